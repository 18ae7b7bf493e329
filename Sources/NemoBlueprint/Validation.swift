import NemoPolicy

/// What the schema cannot say: fields that contradict each other, that open what must stay shut, or that do nothing.
struct Validation {
  let blueprint: Blueprint
  var diagnostics: Diagnostics

  var root: Value { blueprint.source }

  mutating func run() {
    files()
    mounts()
    identity()
    systemCalls()
    network()
    surroundings()
    inference()
  }

  /// Every (field, element) of a list.
  func items(_ value: Value?, _ path: String) -> [(path: String, value: Value)] {
    (value?.elements ?? []).enumerated().map { ("\(path)[\($0.offset)]", $0.element) }
  }

  private mutating func files() {
    let filesystem = root["policy"]?["filesystem"]
    let prefix = "policy.filesystem"
    let readOnly = items(filesystem?["read_only"], "\(prefix).read_only")
    let readWrite = items(filesystem?["read_write"], "\(prefix).read_write")
    if blueprint.filesystem.rules.isEmpty {
      diagnostics.error(
        filesystem?.position ?? root.position, prefix, "names no path, so the program itself could not be started")
    }
    for list in [readOnly, readWrite, items(filesystem?["execute"], "\(prefix).execute")] { duplicates(list) }
    for (path, value) in readWrite {
      let text = value.text ?? ""
      if text == "/" {
        diagnostics.error(value.position, path, "opens the whole file system for writing; name the directories")
      } else if ["/proc", "/sys", "/dev"].contains(where: { PolicyPath.isInside(text, $0) }), text != "/dev/shm" {
        diagnostics.error(
          value.position, path,
          "\(text) belongs to the kernel and is never writable; /dev/null and terminals need no rule")
      } else if let same = readOnly.first(where: { $0.value.text == text }) {
        diagnostics.error(
          value.position, path,
          "\(text) is in \(same.path) too, line \(same.value.position.line); it is one or the other")
      } else if let mount = mount(of: text), mount.isReadOnly {
        let advice =
          mount.path == "/"
          ? "put a tmpfs, the workspace or a writable mount there, or set sandbox.rootfs.writable"
          : "make that writable"
        diagnostics.error(
          value.position, path, "\(text) is on the read-only \(mount.name), so nothing could be written; \(advice)")
      }
    }
    let writable = blueprint.filesystem.rules.filter { $0.rights == .readWrite }
    for (path, value) in readOnly {
      let text = value.text ?? ""
      if let outer = writable.first(where: { $0.path != text && PolicyPath.isInside(text, $0.path) }) {
        diagnostics.note(
          value.position, path,
          "\(text) is below \(outer.name) and becomes a read-only mount; it must exist when the sandbox starts")
      } else if let outer = readOnly.first(where: {
        $0.value.text != text && PolicyPath.isInside(text, $0.value.text ?? "?")
      }) {
        diagnostics.warning(
          value.position, path, "\(text) is already covered by \(outer.path) (\(outer.value.text ?? "")); remove it")
      }
    }
    for (path, value) in readWrite {
      let text = value.text ?? ""
      if let outer = readWrite.first(where: { $0.value.text != text && PolicyPath.isInside(text, $0.value.text ?? "?") }
      ) {
        let between = readOnly.contains {
          PolicyPath.isInside(text, $0.value.text ?? "?")
            && PolicyPath.isInside($0.value.text ?? "", outer.value.text ?? "?")
        }
        if !between {
          diagnostics.warning(
            value.position, path, "\(text) is already covered by \(outer.path) (\(outer.value.text ?? "")); remove it")
        }
      }
    }
    for (path, rule) in items(filesystem?["rules"], "\(prefix).rules") {
      for (inner, value) in items(rule["paths"], "\(path).paths") where value.text == "/" {
        let rights = FileRights((rule["allow"]?.elements ?? []).compactMap { $0.text.flatMap { FileRights(name: $0) } })
        if !rights.isDisjoint(with: .changing) {
          diagnostics.error(value.position, inner, "opens the whole file system for changes; name the directories")
        }
      }
    }
    let program = blueprint.sandbox.args.first ?? ""
    if program.hasPrefix("/"), PolicyPath.problem(program) == nil {
      let decision = blueprint.policy().decide(.file(path: program, rights: .run))
      let args = root["sandbox"]?["process"]?["args"]
      if decision.verdict == .deny, let args {
        // A symbolic link of the root file system may lead to a place that is open; the lint looks.
        diagnostics.warning(
          args.position, "sandbox.process.args[0]", "\(program) may not be executed: \(decision.reason)")
      }
    } else if let args = root["sandbox"]?["process"]?["args"] {
      diagnostics.error(
        args.position, "sandbox.process.args[0]",
        "\(Diagnostic.quoted(program)) is no absolute, clean path; the PATH of an image is not trusted")
    }
  }

  private func mount(of path: String) -> MountRule? {
    let mounts = blueprint.outerMounts.filter { PolicyPath.isInside(path, $0.path) }
    return readOnlyMount(around: path) ?? mounts.max { $0.path.utf8.count < $1.path.utf8.count }
  }

  /// The `read_only` path above that becomes a read-only mount, with everything that is mounted inside of it.
  private func readOnlyMount(around path: String) -> MountRule? {
    blueprint.filesystem.readOnlyMounts.first { $0.path != path && PolicyPath.isInside(path, $0.path) }
  }

  mutating func duplicates(_ list: [(path: String, value: Value)]) {
    var seen: [String: String] = [:]
    for (path, value) in list {
      guard let text = value.text else { continue }
      if let first = seen[text] {
        diagnostics.error(value.position, path, "\(Diagnostic.quoted(text)) is there already as \(first)")
      } else {
        seen[text] = path
      }
    }
  }

  private mutating func mounts() {
    var seen: [String: String] = [:]
    if let workspace = blueprint.sandbox.workspace { seen[workspace] = "sandbox.workspace" }
    for (path, value) in items(root["sandbox"]?["mounts"], "sandbox.mounts") {
      guard let destination = value["destination"], let text = destination.text else { continue }
      let field = "\(path).destination"
      if text == "/"
        || ["/proc", "/sys", "/dev"].contains(where: { PolicyPath.isInside(text, $0) && text != "/dev/shm" })
      {
        diagnostics.error(destination.position, field, "\(text) is the runtime's own; mount somewhere else")
      }
      if let first = seen[text] {
        diagnostics.error(destination.position, field, "\(text) is taken by \(first)")
      }
      seen[text] = path
      if value["writable"]?.isTrue == true || value["tmpfs"] != nil, let around = readOnlyMount(around: text) {
        diagnostics.error(
          destination.position, field, "\(text) is inside of \(around.name), so nothing could be written")
      }
      guard let source = value["source"], let host = source.text else { continue }
      if let danger = HostPaths.danger(host, writable: value["writable"]?.isTrue ?? false) {
        diagnostics.error(source.position, "\(path).source", "\(host) \(danger)")
      }
    }
    if let workspace = root["sandbox"]?["workspace"], let text = blueprint.sandbox.workspace,
      let around = readOnlyMount(around: text)
    {
      diagnostics.error(
        workspace.position, "sandbox.workspace.path", "\(text) is inside of \(around.name), so nothing could be written"
      )
    }
    if let workspace = root["sandbox"]?["workspace"], let text = blueprint.sandbox.workspace,
      text == "/" || ["/proc", "/sys", "/dev", "/etc", "/usr"].contains(where: { PolicyPath.isInside(text, $0) })
    {
      diagnostics.error(
        workspace.position, "sandbox.workspace.path",
        "\(text) cannot be a workspace; use a directory of its own such as /workspace")
    }
  }

  private mutating func identity() {
    let process = root["policy"]?["process"]
    guard !blueprint.identity.allowsRoot else { return }
    let named = [("run_as_user", process?["run_as_user"]), ("run_as_group", process?["run_as_group"])]
    let groups = items(process?["groups"], "groups").map { ($0.path, Optional($0.value)) }
    for (field, value) in named + groups {
      guard let value, let text = value.text, text == "root" || text == "0" else { continue }
      diagnostics.error(
        value.position, "policy.process.\(field)", "\(text) is root; name another, or set allow_root: true")
    }
  }
}

/// Paths of the host that hand it over.
enum HostPaths {
  static func danger(_ path: String, writable: Bool) -> String? {
    if path.hasSuffix("docker.sock") || path.hasSuffix("containerd.sock") || path.hasSuffix("podman.sock")
      || path.hasSuffix("crio.sock")
    {
      return "is the socket of a container engine, which is root on the host"
    }
    guard path.hasPrefix("/") else { return nil }
    if PolicyPath.problem(path) != nil { return "is no clean path" }
    if path == "/" { return "is the whole host" }
    for kernel in ["/proc", "/sys", "/dev", "/run/nemoshell", "/var/lib/nemoshell"]
    where PolicyPath.isInside(path, kernel) {
      return "is the host's \(kernel), which is never handed to a sandbox"
    }
    for system in ["/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/root", "/var", "/run"]
    where path == system && writable {
      return "is a system directory of the host; a sandbox may not write to it"
    }
    return path == "/run" || path == "/var/run" ? "holds the sockets of the host's services" : nil
  }
}
