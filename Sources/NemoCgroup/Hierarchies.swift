import NemoKernel

/// One mounted cgroup v1 hierarchy.
struct Hierarchy: Equatable, Sendable {
  /// Controllers, or the one name `name=…`.
  var controllers: [String]
  /// Where it is mounted.
  var mountpoint: String
  /// Which directory of the hierarchy the mount shows.
  var mountRoot: String
  /// The calling process's own cgroup in it.
  var own = "/"

  /// The host directory of `path`: absolute from the mount, relative from the caller's own cgroup.
  func directory(of path: String) -> String {
    let relative = path.hasPrefix("/") ? path : joined(inside(own), path)
    let clean = relative.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    return clean.isEmpty ? mountpoint : mountpoint + "/" + clean
  }

  private func joined(_ a: String, _ b: String) -> String { a + "/" + b }

  /// The part of a hierarchy's path that the mount shows.
  private func inside(_ path: String) -> String {
    if mountRoot == "/" { return path }
    return path.hasPrefix(mountRoot) ? String(path.dropFirst(mountRoot.utf8.count)) : "/"
  }
}

/// Which hierarchies there are, from /proc (cgroups(7), proc(5)).
enum Hierarchies {
  static let limit = 16 << 20

  static func read() throws(Failure) -> [Hierarchy] {
    let mounts = try Files.read("/proc/self/mountinfo", limit: limit)
    let own = try Files.read("/proc/self/cgroup", limit: limit)
    return parse(mountinfo: mounts, cgroup: own)
  }

  static func parse(mountinfo: [UInt8], cgroup: [UInt8]) -> [Hierarchy] {
    var result: [Hierarchy] = []
    let marker = Array(" - cgroup ".utf8)
    for line in mountinfo.split(separator: 10) {
      guard let at = find(marker, in: line) else { continue }
      let fields = line[..<at].split(separator: 0x20)
      let last = line[at...].split(separator: 0x20)
      guard fields.count > 4, last.count > 3 else { continue }
      let options = String(decoding: last[3], as: UTF8.self).split(separator: ",").map(String.init)
      let named = options.filter { $0.hasPrefix("name=") }
      let controllers = named.isEmpty ? options.filter { !ignored.contains($0) && !$0.contains("=") } : named
      let mountpoint = String(decoding: fields[4], as: UTF8.self)
      if controllers.isEmpty || result.contains(where: { $0.controllers == controllers }) { continue }
      result.append(
        Hierarchy(
          controllers: controllers, mountpoint: mountpoint, mountRoot: String(decoding: fields[3], as: UTF8.self)))
    }
    for line in cgroup.split(separator: 10) {
      let parts = line.split(separator: 0x3a, maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let controllers = String(decoding: parts[1], as: UTF8.self).split(separator: ",").map(String.init)
      for i in result.indices where result[i].controllers.contains(where: controllers.contains) {
        result[i].own = String(decoding: parts[2], as: UTF8.self)
      }
    }
    return result
  }

  private static let ignored: Set<String> = [
    "rw", "ro", "clone_children", "noprefix", "xattr", "none", "favordynmods", "nofavordynmods",
  ]

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
