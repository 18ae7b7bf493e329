import NemoKernel

extension Configuration {
  /// Gives a mount with the option `idmap` or `ridmap` and no mappings those of the container's user namespace
  /// (config.md#linux-mount-options).
  mutating func completeIDMappedMounts() {
    for index in mounts.indices where mounts[index].asksIDMap && !mounts[index].hasMappings {
      let path = linux.path(of: .user) ?? ""
      if path.isEmpty {
        mounts[index].uidMappings = linux.uidMappings
        mounts[index].gidMappings = linux.gidMappings
      } else {
        mounts[index].idMapNamespace = path
      }
    }
  }
}

extension Mount {
  var asksIDMap: Bool { options.contains { $0 == "idmap" || $0 == "ridmap" } }
  var hasMappings: Bool { !uidMappings.isEmpty || !gidMappings.isEmpty }

  /// What may be mounted below /proc: single files that lxcfs and engines replace by what is true for the container.
  private static let replaceable: [String] = [
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
    "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
  ]

  func validate(at index: Int, _ linux: LinuxConfiguration) throws(Failure) {
    try validateType(at: index)
    try validateProc(at: index)
    try validateMappings(at: index)
  }

  private func validateType(at index: Int) throws(Failure) {
    if isRemount { return }
    if isBind {
      guard !source.isEmpty else { throw wrong("/mounts/\(index)/source", "is required for a bind mount") }
    } else if type.isEmpty {
      throw wrong("/mounts/\(index)/type", "is required without the option bind, rbind or remount")
    }
  }

  /// Nothing but a procfs goes over /proc, or the container could fake what the runtime and others read and write there
  /// (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881). Symbolic links are the business of whoever walks the path.
  private func validateProc(at index: Int) throws(Failure) {
    guard destination.utf8.contains(0x70) else { return }
    let place = LexicalPath.clean(destination)
    guard place.hasPrefix("/proc") else { return }
    if place == "/proc" {
      if isRemount || isBind && LexicalPath.clean(source) == "/proc" || !isBind && type == "proc" { return }
      throw wrong(
        "/mounts/\(index)/destination",
        "\"\(destination)\" cannot be mounted because it is not of type proc, nor a bind mount of /proc")
    }
    guard place.hasPrefix("/proc/") else { return }
    guard Mount.replaceable.contains(place) else {
      throw wrong(
        "/mounts/\(index)/destination",
        "\"\(destination)\" cannot be mounted because it is inside /proc, where only these may be replaced: "
          + Mount.replaceable.joined(separator: ", "))
    }
  }

  private func validateMappings(at index: Int) throws(Failure) {
    if !asksIDMap && !hasMappings { return }
    let pointer = "/mounts/\(index)"
    guard isBind, !isRemount else {
      throw wrong(hasMappings ? pointer + "/uidMappings" : pointer + "/options", "id mappings are only for bind mounts")
    }
    if !idMapNamespace.isEmpty { return }
    if !hasMappings {
      throw wrong(pointer + "/options", "idmap needs uidMappings and gidMappings, or a user namespace")
    }
    guard !uidMappings.isEmpty else { throw wrong(pointer + "/uidMappings", "is required beside gidMappings") }
    guard !gidMappings.isEmpty else { throw wrong(pointer + "/gidMappings", "is required beside uidMappings") }
    try IDMapping.validate(uidMappings, at: pointer + "/uidMappings")
    try IDMapping.validate(gidMappings, at: pointer + "/gidMappings")
  }
}

/// Paths as text, without a file system.
enum LexicalPath {
  /// `path` from the root, without empty, `.` and `..` components.
  static func clean(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }

  /// Whether a component is `..`.
  static func climbs(_ path: String) -> Bool { path.split(separator: "/").contains("..") }
}
