import Glibc
import NemoPolicy

/// A root file system in a directory, looked at from outside: symbolic links lead inside it, never out.
public struct Rootfs {
  /// What a path leads to.
  public struct Item {
    /// The path without symbolic links, seen from inside.
    public var path: String
    /// Type and permissions, as in `st_mode`.
    public var mode: UInt32
  }

  /// The directory.
  public let directory: String

  /// The root file system in `directory`; nil where that is no directory.
  public init?(directory: String) {
    var status = stat()
    guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
    self.directory = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
  }

  /// Follows `path`; nil where it leads nowhere.
  public func resolve(_ path: String) -> Item? {
    var pending = path.split(separator: "/").map(String.init).reversed() as [String]
    var done: [String] = []
    var links = 0
    var mode = UInt32(S_IFDIR | 0o755)
    while let name = pending.popLast() {
      if name == "." { continue }
      if name == ".." {
        _ = done.popLast()
        continue
      }
      let inside = "/" + (done + [name]).joined(separator: "/")
      var status = stat()
      guard lstat(directory + inside, &status) == 0 else { return nil }
      mode = status.st_mode
      if mode & S_IFMT == S_IFLNK {
        links += 1
        guard links <= 40, let target = readLink(directory + inside) else { return nil }
        if target.hasPrefix("/") { done = [] }
        pending += target.split(separator: "/").map(String.init).reversed()
        mode = UInt32(S_IFDIR | 0o755)
      } else {
        done.append(name)
      }
    }
    return Item(path: "/" + done.joined(separator: "/"), mode: mode)
  }

  /// Paths that a pattern of programs matches, up to `limit`.
  public func matches(_ pattern: String, limit: Int = 16) -> [String] {
    let glob = Glob(pattern, separator: .slash)
    guard !glob.isLiteral else { return resolve(pattern) == nil ? [] : [pattern] }
    let literal = pattern.prefix { $0 != "*" }
    var found: [String] = []
    var budget = 100_000
    walk(PolicyPath.parent(String(literal) + "x"), glob, deep: pattern.contains("**"), limit, &budget, &found)
    return found
  }

  private func walk(
    _ path: String, _ glob: Glob, deep: Bool, _ limit: Int, _ budget: inout Int, _ found: inout [String]
  ) {
    let depth = glob.pattern.count { $0 == "/" }
    for name in names(path) {
      guard found.count < limit, budget > 0 else { return }
      budget -= 1
      let child = path == "/" ? "/" + name : "\(path)/\(name)"
      var status = stat()
      guard lstat(directory + child, &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR {
        if deep || child.count(where: { $0 == "/" }) < depth { walk(child, glob, deep: deep, limit, &budget, &found) }
      } else if glob.matches(child) {
        found.append(child)
      }
    }
  }

  private func names(_ path: String) -> [String] {
    guard let item = resolve(path), let handle = opendir(directory + item.path) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// The interpreter that the first line of a script names; nil for what is no script.
  public func interpreter(_ path: String) -> String? {
    guard let head = read(path, 256), head.starts(with: [0x23, 0x21]) else { return nil }
    let line = String(decoding: head.dropFirst(2).prefix { $0 != 0x0a }, as: UTF8.self)
    let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
    guard let first = words.first else { return nil }
    guard first.hasSuffix("/env"), let name = words.dropFirst().first(where: { !$0.hasPrefix("-") }) else {
      return first
    }
    return ["/usr/local/bin/", "/usr/bin/", "/bin/"].map { $0 + name }.first { resolve($0) != nil } ?? name
  }

  /// The number of a user by name, from the image's /etc/passwd.
  public func uid(_ name: String) -> UInt32? { id(name, in: "/etc/passwd") }

  /// The number of a group by name, from the image's /etc/group.
  public func gid(_ name: String) -> UInt32? { id(name, in: "/etc/group") }

  private func id(_ name: String, in file: String) -> UInt32? {
    guard let bytes = read(file, 1 << 20) else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      if fields.count > 2, fields[0] == name { return UInt32(fields[2]) }
    }
    return nil
  }

  private func read(_ path: String, _ limit: Int) -> [UInt8]? {
    guard let item = resolve(path), item.mode & S_IFMT == S_IFREG else { return nil }
    let fd = open(directory + item.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard fd >= 0 else { return nil }
    defer { close(fd) }
    return [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      count = max(0, Glibc.read(fd, buffer.baseAddress, limit))
    }
  }

  private func readLink(_ path: String) -> String? {
    var bytes = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &bytes, bytes.count)
    return count <= 0 ? nil : String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
