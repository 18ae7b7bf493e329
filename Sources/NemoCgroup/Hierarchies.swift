import CKernel
import Glibc
import NemoKernel

/// One mounted cgroup v1 hierarchy.
struct Hierarchy: Equatable, Sendable {
  /// Controllers, or the one name `name=…`.
  var controllers: [String]
  /// Where it is mounted.
  var mountpoint: String
  /// Which directory of the hierarchy the mount shows.
  var mountRoot = "/"
  /// The calling process's own cgroup in it.
  var own = "/"

  /// The host directory of `path`: absolute from the mount, relative from the caller's own cgroup.
  func directory(of path: String) -> String {
    let relative = path.hasPrefix("/") ? path : inside(own) + "/" + path
    let clean = relative.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    return clean.isEmpty ? mountpoint : mountpoint + "/" + clean
  }

  /// Whether both are the same hierarchy.
  func shares(_ other: Hierarchy) -> Bool { controllers.contains(where: other.controllers.contains) }

  /// The part of a hierarchy's path that the mount shows. A place above the cgroup namespace (`/..`) is out of reach.
  private func inside(_ path: String) -> String {
    if path.split(separator: "/").contains("..") { return "/" }
    if mountRoot == "/" { return path }
    if path == mountRoot { return "/" }
    return path.hasPrefix(mountRoot + "/") ? String(path.dropFirst(mountRoot.utf8.count)) : "/"
  }
}

/// Which hierarchies there are, from /proc (cgroups(7), proc(5)).
enum Hierarchies {
  /// Bytes of a file in /proc.
  static let limit = 64 << 20
  static let usualPlace = "/sys/fs/cgroup"
  /// CGROUP_SUPER_MAGIC (statfs(2)).
  static let magic: Int64 = 0x27e0eb
  /// CGROUP2_SUPER_MAGIC.
  static let magicOfVersion2: Int64 = 0x6367_7270

  /// The mounted ones with the caller's place in each. Where all are at their usual place, the mount table, which grows with
  /// every container, is not read.
  static func read() throws(Failure) -> [Hierarchy] {
    let bytes = try Files.read("/proc/self/cgroup", limit: limit)
    let own = memberships(bytes)
    let version2 = try unified(bytes).map { [$0] } ?? []
    if let usual = atUsualPlaces(own, isRoot: isHierarchyRoot) { return usual + version2 }
    return parse(mountinfo: try Files.read("/proc/self/mountinfo", limit: limit), own) + version2
  }

  /// Version 2 on a hybrid host, where systemd mounts it.
  private static func unified(_ cgroup: [UInt8]) throws(Failure) -> Hierarchy? {
    let mountpoint = usualPlace + "/" + CgroupV1.unified
    guard let own = unifiedMembership(cgroup) else { return nil }
    let place: OwnedDescriptor
    do throws(Failure) { place = try Files.open(mountpoint, O_PATH | O_DIRECTORY | O_NOFOLLOW) } catch
      where error.errno == .noEntry || error.errno == .notDirectory || error.errno == .loop
    {
      return nil
    }
    let found = nemo_filesystem_magic(place.raw)
    guard found >= 0 else { throw .last("read file system of", mountpoint) }
    guard found == magicOfVersion2 else { return nil }
    return Hierarchy(controllers: [CgroupV1.unified], mountpoint: mountpoint, own: own)
  }

  /// The place that /proc/self/cgroup gives for version 2 (`0::PLACE`).
  static func unifiedMembership(_ cgroup: [UInt8]) -> String? {
    let prefix = Array("0::".utf8)
    return cgroup.split(separator: 10).first { $0.starts(with: prefix) }
      .map { String(decoding: $0.dropFirst(prefix.count), as: UTF8.self) }
  }

  /// The lines of /proc/self/cgroup that are of version 1, without a place.
  static func memberships(_ cgroup: [UInt8]) -> [Hierarchy] {
    var result: [Hierarchy] = []
    for line in cgroup.split(separator: 10) {
      let parts = line.split(separator: 0x3a, maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, !parts[1].isEmpty else { continue }
      let controllers = String(decoding: parts[1], as: UTF8.self).split(separator: ",").map(String.init)
      result.append(
        Hierarchy(controllers: controllers, mountpoint: "", own: String(decoding: parts[2], as: UTF8.self)))
    }
    return result
  }

  /// Each at /sys/fs/cgroup/CONTROLLERS, or nil if one is not.
  static func atUsualPlaces(_ hierarchies: [Hierarchy], isRoot: (String) -> Bool) -> [Hierarchy]? {
    if hierarchies.isEmpty { return nil }
    var result = hierarchies
    for i in result.indices {
      let named = result[i].controllers.first { $0.hasPrefix("name=") }
      let name = named.map { String($0.dropFirst(5)) } ?? result[i].controllers.joined(separator: ",")
      result[i].mountpoint = usualPlace + "/" + name
      if let named { result[i].controllers = [named] }
      guard isRoot(result[i].mountpoint) else { return nil }
    }
    return result
  }

  /// Whether a whole cgroup v1 hierarchy is mounted here: only its root directory has the number 1. Where that cannot be told, the
  /// mount table is asked.
  private static func isHierarchyRoot(_ path: String) -> Bool {
    let fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard fd >= 0 else { return false }
    defer { close(fd) }
    var status = stat()
    return fstat(fd, &status) == 0 && status.st_ino == 1 && nemo_filesystem_magic(fd) == magic
  }

  /// The mounts of the hierarchies in which the caller has a place; of several of one hierarchy the first.
  static func parse(mountinfo: [UInt8], _ memberships: [Hierarchy]) -> [Hierarchy] {
    var result: [Hierarchy] = []
    let marker = Array(" - cgroup ".utf8)
    for line in mountinfo.split(separator: 10) {
      guard let at = find(marker, in: line) else { continue }
      let fields = line[..<at].split(separator: 0x20)
      let last = line[at...].split(separator: 0x20)
      guard fields.count > 4, last.count > 3 else { continue }
      let options = String(decoding: last[3], as: UTF8.self).split(separator: ",").map(String.init)
      let membership = memberships.first { $0.controllers.contains(where: options.contains) }
      guard let membership, !result.contains(where: { $0.shares(membership) }) else { continue }
      let named = membership.controllers.filter { $0.hasPrefix("name=") }
      result.append(
        Hierarchy(
          controllers: named.isEmpty ? membership.controllers : named, mountpoint: unescape(fields[4]),
          mountRoot: unescape(fields[3]), own: membership.own))
    }
    return result
  }

  /// Blank, tab, newline and backslash are three octal digits in mountinfo (proc_pid_mountinfo(5)).
  static func unescape(_ field: ArraySlice<UInt8>) -> String {
    var result: [UInt8] = []
    var i = field.startIndex
    while i < field.endIndex {
      if field[i] == 0x5c, i + 3 < field.endIndex,
        let code = UInt8(String(decoding: field[(i + 1)...(i + 3)], as: UTF8.self), radix: 8)
      {
        result.append(code)
        i += 4
      } else {
        result.append(field[i])
        i += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func find(_ marker: [UInt8], in line: ArraySlice<UInt8>) -> Int? {
    guard line.count >= marker.count else { return nil }
    var i = line.startIndex
    while i <= line.endIndex - marker.count {
      if line[i] == marker[0] && line[i..<(i + marker.count)].elementsEqual(marker) { return i }
      i += 1
    }
    return nil
  }
}
