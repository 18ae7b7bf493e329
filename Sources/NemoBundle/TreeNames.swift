import CWide
import Glibc

// Names, links and whiteouts.
extension TreeWriter {
  /// The components of an entry's name. It is relative, and stays below the root.
  static func components(_ name: [UInt8]) throws -> [[UInt8]] {
    guard name.first != PathBytes.slash else {
      throw BundleFailure("\(PathBytes.text(name)): an absolute name in a layer")
    }
    let parts = name.split(separator: PathBytes.slash).map(Array.init).filter { $0 != [0x2e] }
    guard !parts.contains([0x2e, 0x2e]) else { throw BundleFailure("\(PathBytes.text(name)): a name with ..") }
    guard parts.count <= BundleLimits.depth else {
      throw BundleFailure("more than \(BundleLimits.depth) directories below one another")
    }
    return parts
  }

  /// The directory `parts`; what is missing of it is made.
  func directory(_ parts: ArraySlice<[UInt8]>) throws -> Handle {
    guard !parts.isEmpty else { return try Handle([0x2e, 0], in: descriptor, O_PATH | O_DIRECTORY, subject: "/") }
    let whole = Array(parts.joined(separator: [PathBytes.slash]))
    let found = resolve(whole)
    if found >= 0 { return Handle(adopting: found) }
    guard errno == ENOENT, let name = parts.last else { throw BundleFailure.last("open", PathBytes.text(whole)) }
    let parent = try directory(parts.dropLast())
    guard mkdirat(parent.raw, PathBytes.terminated(name), 0o755) == 0 else {
      if errno == EEXIST {
        throw BundleFailure("\(PathBytes.text(whole)): is a symbolic link that leads to nothing in the image")
      }
      throw BundleFailure.last("mkdir", PathBytes.text(whole))
    }
    fresh.insert(try key(parent.raw, name))
    return try Handle(PathBytes.terminated(name), in: parent.raw, O_PATH | O_DIRECTORY, subject: PathBytes.text(whole))
  }

  private func resolve(_ path: [UInt8]) -> Int32 {
    wide_openat2(descriptor, PathBytes.terminated(path), O_PATH | O_DIRECTORY, Self.resolveInRoot)
  }

  func key(_ parent: Int32, _ name: [UInt8]) throws -> [UInt8] {
    var status = stat()
    guard fstat(parent, &status) == 0 else { throw BundleFailure.last("stat", PathBytes.text(name)) }
    return Array(String(status.st_ino).utf8) + [PathBytes.slash] + name
  }

  func status(_ name: [UInt8], _ parent: Int32) throws -> stat? {
    var status = stat()
    if fstatat(parent, PathBytes.terminated(name), &status, AT_SYMLINK_NOFOLLOW) == 0 { return status }
    guard errno == ENOENT else { throw BundleFailure.last("stat", PathBytes.text(name)) }
    return nil
  }

  /// A second name for a file that is in the tree.
  func hardLink(_ target: [UInt8], _ name: [UInt8], _ parent: Int32) throws {
    let parts = try Self.components(target)
    guard let last = parts.last else { throw BundleFailure("a hard link to the root") }
    let whole = Array(parts.dropLast().joined(separator: [PathBytes.slash]))
    let found = resolve(whole.isEmpty ? [0x2e] : whole)
    guard found >= 0 else { throw BundleFailure.last("link to", PathBytes.text(target)) }
    let directory = Handle(adopting: found)
    guard let status = try status(last, directory.raw) else {
      throw BundleFailure("a hard link to \(PathBytes.text(target)), which is not there")
    }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw BundleFailure("a hard link to the directory \(PathBytes.text(target))")
    }
    // A link of a file to itself leaves it as it is.
    if let old = try self.status(name, parent), old.st_ino == status.st_ino { return }
    try remove(name, parent)
    guard linkat(directory.raw, PathBytes.terminated(last), parent, PathBytes.terminated(name), 0) == 0 else {
      throw BundleFailure.last("link", PathBytes.text(name))
    }
  }

  /// Takes away what the layers below have there (OCI image specification, layer.md#whiteouts).
  func whiteout(_ name: [UInt8], _ parent: Int32) throws {
    let hidden = Array(name.dropFirst(4))
    if hidden == Array(".wh..opq".utf8) { return try clear(parent, ".") }
    guard !hidden.isEmpty, hidden != [0x2e], hidden != [0x2e, 0x2e], !hidden.starts(with: Array(".wh.".utf8)) else {
      throw BundleFailure("\(PathBytes.text(name)): no whiteout that could be meant")
    }
    if fresh.contains(try key(parent, hidden)) { return }
    try remove(hidden, parent)
  }

  /// Empties a directory of what this layer has not made.
  private func clear(_ directory: Int32, _ subject: String) throws {
    for name in try DirectoryNames.sorted(directory, subject) {
      let isFresh = fresh.contains(try key(directory, name))
      guard isFresh else {
        try remove(name, directory)
        continue
      }
      if try status(name, directory)?.st_mode ?? 0 & S_IFMT == S_IFDIR {
        let inner = try Handle(
          PathBytes.terminated(name), in: directory, O_RDONLY | O_DIRECTORY, subject: PathBytes.text(name))
        try clear(inner.raw, PathBytes.text(name))
      }
    }
  }

  /// Removes `name` and what is below it; nothing where it is not there.
  func remove(_ name: [UInt8], _ parent: Int32) throws {
    guard let status = try status(name, parent) else { return }
    if status.st_mode & S_IFMT == S_IFDIR { directoryTimes[status.st_ino] = nil }
    try Tree.remove(name, parent)
  }
}
