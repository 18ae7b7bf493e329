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
    guard LexicalPath.names("proc", in: destination) else { return }
    let place = LexicalPath.clean(destination)
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

extension Configuration {
  /// Takes a destination that is written as the host sees it, below `rootfs`, for the place in the root file system that it names.
  ///
  /// - Throws: as for any other configuration, when nothing may be mounted there.
  public mutating func placeMounts(in rootfs: String) throws(Failure) {
    let rootfs = LexicalPath.clean(rootfs)
    for index in mounts.indices {
      guard let place = LexicalPath.below(rootfs, mounts[index].destination) else { continue }
      mounts[index].destination = place
      try mounts[index].validate(at: index, linux)
    }
  }
}

/// Paths as text, without a file system.
public enum LexicalPath {
  /// The absolute `path` as seen from directory `root`, which is clean; nil when it does not lie in there, or `root` is the whole
  /// file system.
  public static func below(_ root: String, _ path: String) -> String? {
    // Cleaning makes no path longer.
    guard root != "/", path.utf8.count >= root.utf8.count else { return nil }
    let path = clean(path)
    if path == root { return "/" }
    guard path.utf8.starts(with: (root + "/").utf8) else { return nil }
    return String(decoding: path.utf8.dropFirst(root.utf8.count), as: UTF8.self)
  }

  /// `path` from the root, without empty, `.` and `..` components.
  public static func clean(_ path: String) -> String {
    var clean: [UInt8] = [0x2f]
    var start = 1
    for byte in path.utf8 {
      if byte == 0x2f { close(&clean, &start) } else { clean.append(byte) }
    }
    close(&clean, &start)
    if clean.count > 1 { clean.removeLast() }
    return String(decoding: clean, as: UTF8.self)
  }

  /// Ends the component that begins at `start`; afterwards `clean` ends with a slash.
  private static func close(_ clean: inout [UInt8], _ start: inout Int) {
    let length = clean.count - start
    if length == 0 { return }
    let isDots = length <= 2 && clean[start] == 0x2e && clean[clean.count - 1] == 0x2e
    if isDots {
      clean.removeLast(length)
      if length == 2, start > 1 {
        clean.removeLast()
        while clean.last != 0x2f { clean.removeLast() }
      }
    } else {
      clean.append(0x2f)
    }
    start = clean.count
  }

  /// Whether a component of `path` is `name`.
  static func names(_ name: StaticString, in path: String) -> Bool {
    let length = name.utf8CodeUnitCount
    var matched = 0
    for byte in path.utf8 {
      if byte == 0x2f {
        if matched == length { return true }
        matched = 0
      } else {
        matched = matched >= 0 && matched < length && name.utf8Start[matched] == byte ? matched + 1 : -1
      }
    }
    return matched == length
  }

  /// Whether a component is `..`.
  static func climbs(_ path: String) -> Bool { names("..", in: path) }
}
