import NemoPolicy

extension BlueprintImport {
  struct Files {
    var value: Value
    var readWrite: [String]
    var workspace: String
  }

  mutating func filesystem(_ value: Value?) -> Files {
    unknownKeys(value, ["include_workdir", "read_only", "read_write"], "filesystem_policy")
    if value == nil {
      report.note(
        Position(line: 1, column: 1), "filesystem_policy", "there is none; the usual system directories are readable")
    }
    let writable = paths(value?["read_write"], "filesystem_policy.read_write")
    var readable = paths(value?["read_only"], "filesystem_policy.read_only")
    if value == nil { readable = ["/usr", "/lib", "/lib64", "/bin", "/etc"] }
    let candidates = writable.filter { !PolicyPath.isInside($0, "/tmp") && PolicyPath.parent($0) == "/" }
    let workspace = candidates.first { $0 == "/sandbox" || $0 == "/workspace" } ?? candidates.first ?? "/workspace"
    for (index, item) in (value?["read_only"]?.elements ?? []).enumerated() {
      guard let path = item.text, let outer = writable.first(where: { $0 != path && PolicyPath.isInside(path, $0) })
      else { continue }
      report.warning(
        item.position, "filesystem_policy.read_only[\(index)]",
        "weaker than it reads: \(path) is below read_write \(outer), and Landlock adds rights up, so OpenShell leaves it writable; a read-only mount here"
      )
    }
    readable.removeAll(where: writable.contains)
    if let first = value?["read_write"]?.elements.first {
      report.note(
        first.position, "filesystem_policy.read_write",
        "implies execute there and not here; the paths are in execute too")
    }
    let others = writable.filter { $0 != workspace }
    let fields: [(String, Value?)] = [
      ("include_workdir", value?["include_workdir"]?.isTrue == true ? .plain("true") : nil),
      ("read_only", .texts(readable)),
      ("read_write", others.isEmpty ? nil : .texts(others)), ("execute", writable.isEmpty ? nil : .texts(writable)),
    ]
    return Files(value: .object(fields), readWrite: writable, workspace: workspace)
  }

  private mutating func paths(_ value: Value?, _ field: String) -> [String] {
    var kept: [String] = []
    for (index, item) in (value?.elements ?? []).enumerated() {
      let path = item.text ?? ""
      let place = "\(field)[\(index)]"
      if let problem = PolicyPath.problem(path) {
        report.warning(item.position, place, "dead: \(Diagnostic.quoted(path)) \(problem); left out")
      } else if path == "/" && field.hasSuffix("read_write") {
        report.warning(item.position, place, "the whole file system is never writable; left out")
      } else if PolicyPath.isInside(path, "/proc") || PolicyPath.isInside(path, "/sys")
        || (PolicyPath.isInside(path, "/dev") && path != "/dev/shm")
      {
        report.note(
          item.position, place, "\(path) is the runtime's own: what is harmless of it is there without a rule; left out"
        )
      } else if kept.contains(path) {
        report.note(item.position, place, "\(path) is there twice")
      } else if let rootfs, rootfs.resolve(path) == nil {
        report.warning(item.position, place, "dead: \(path) does not exist in the root file system; left out")
      } else {
        kept.append(path)
      }
    }
    return kept
  }

  mutating func nemoClaw(_ root: Value) -> Value {
    unknownKeys(
      root,
      ["version", "min_openshell_version", "min_openclaw_version", "digest", "profiles", "description", "components"],
      "")
    for field in ["min_openshell_version", "min_openclaw_version", "profiles"] {
      if let value = root[field] {
        report.warning(value.position, field, "no meaning: nothing reads it, there or here")
      }
    }
    if let value = root["digest"] {
      report.warning(
        value.position, "digest", "no meaning: a digest inside the file cannot be right; `blueprint digest` prints it")
    }
    let components = root["components"]
    unknownKeys(components, ["sandbox", "inference", "policy"], "components")
    let sandbox = components?["sandbox"]
    if let image = sandbox?["image"], let text = image.text {
      let pin = text.contains("@sha256:") ? "" : "weaker than it reads: a tag can change; "
      report.warning(
        image.position, "components.sandbox.image",
        "\(pin)put \(text) into sandbox.rootfs as an OCI layout or docker save archive, with its digest")
    }
    let ports = (sandbox?["forward_ports"]?.elements ?? []).compactMap(\.text).map { port in
      Value.object([("container", .plain(port)), ("host", .plain(port))])
    }
    if let base = components?["policy"]?["base"] {
      report.warning(
        base.position, "components.policy.base",
        "not carried over: it names a file (\(base.text ?? "")); import that policy by itself")
    }
    let rules = networkPolicies(additions(components?["policy"]?["additions"]))
    let filesystem = Value.object([
      ("read_only", .texts(["/usr", "/lib", "/lib64", "/bin", "/etc"])), ("read_write", .texts(["/tmp"])),
    ])
    return document(
      name: sandbox?["name"]?.text ?? "imported", version: root["version"]?.text ?? "1.0.0",
      description: root["description"]?.text,
      sandbox: defaultSandbox(network: rules != nil, ports: ports.isEmpty ? nil : .array(ports)),
      policy: [("filesystem", filesystem), ("network_policies", rules)], inference: inference(components?["inference"]))
  }

  private mutating func additions(_ value: Value?) -> Value? {
    if let value {
      report.warning(
        value.position, "components.policy.additions", "dead there: NemoClaw never applies them; applied here")
    }
    return value
  }

  private mutating func inference(_ value: Value?) -> Value? {
    var profiles: [(String, Value?)] = []
    for entry in value?["profiles"]?.entries ?? [] {
      let path = "components.inference.profiles.\(entry.key)"
      let profile = entry.value
      guard let endpoint = profile["endpoint"]?.text, let url = SimpleURL(endpoint), !url.hasUserInfo else {
        report.warning(entry.position, path, "dead: it has no usable endpoint; left out")
        continue
      }
      unknownKeys(
        profile,
        [
          "provider_type", "provider_name", "endpoint", "model", "credential_env", "credential_default",
          "dynamic_endpoint",
        ], path)
      let type = profile["provider_type"]?.text ?? "openai"
      if let value = profile["credential_default"] {
        report.warning(
          value.position, "\(path).credential_default",
          "left out: a credential is named here, and its value is in the operator's store")
      }
      let isLocal = ["localhost", "127.0.0.1"].contains { endpoint.contains("//\($0)") }
      let credential = profile["credential_env"]?.text?.lowercased().replacing("_", with: "-")
      profiles.append(
        (
          entry.key,
          .object([
            ("type", .text(["openai", "anthropic", "nvidia"].contains(type) ? type : "openai")),
            ("endpoint", .text(endpoint)),
            ("model", .text(profile["model"]?.text ?? "default")), ("credential", credential.map { .text($0) }),
            ("residency", isLocal ? .text("local") : nil),
          ])
        ))
    }
    guard let first = profiles.first else { return nil }
    let name = profiles.contains { $0.0 == "default" } ? "default" : first.0
    return .object([("default", .text(name)), ("profiles", .object(profiles))])
  }
}
