import CWide
import Glibc
import NemoBlueprint

/// Whole directory trees, by descriptors and without following a link.
public enum Tree {
  /// Removes the file or directory at an operator's `path` with all that is below it; nothing where it is not there.
  public static func remove(_ path: String) throws {
    let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let slash = trimmed.lastIndex(of: "/")
    let parent = slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
    let name = slash.map { String(trimmed[trimmed.index(after: $0)...]) } ?? trimmed
    let fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC)
    if fd < 0 && errno == ENOENT { return }
    guard fd >= 0 else { throw BundleFailure.last("open", parent) }
    let directory = Handle(adopting: fd)
    var status = stat()
    if fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) != 0, errno == ENOENT { return }
    try remove(Array(name.utf8), directory.raw)
  }

  /// Removes `name` in `parent`, which is there.
  static func remove(_ name: [UInt8], _ parent: Int32, depth: Int = 0) throws {
    let path = PathBytes.terminated(name)
    if unlinkat(parent, path, 0) == 0 { return }
    guard errno == EISDIR || errno == EPERM else { throw BundleFailure.last("remove", PathBytes.text(name)) }
    guard depth <= BundleLimits.depth + 16 else { throw BundleFailure("\(PathBytes.text(name)): is nested too deeply") }
    let directory = try Handle(path, in: parent, O_RDONLY | O_DIRECTORY, subject: PathBytes.text(name))
    for inner in try DirectoryNames.sorted(directory.raw, PathBytes.text(name)) {
      try remove(inner, directory.raw, depth: depth + 1)
    }
    guard unlinkat(parent, path, AT_REMOVEDIR) == 0 else { throw BundleFailure.last("remove", PathBytes.text(name)) }
  }

  /// Gives directories their times and computes the digest of the tree: of every path its type, mode, owner, link target
  /// and content, in the order of the names' bytes.
  static func seal(_ root: Int32, directoryTimes: [ino_t: Int]) throws -> String {
    var hash = SHA256()
    try seal(root, [], directoryTimes, &hash, 0)
    return hash.digest
  }

  private static func seal(
    _ directory: Int32, _ path: [UInt8], _ times: [ino_t: Int], _ hash: inout SHA256, _ depth: Int
  ) throws {
    guard depth <= BundleLimits.depth + 16 else { throw BundleFailure("\(PathBytes.text(path)): is nested too deeply") }
    var own = stat()
    guard fstat(directory, &own) == 0 else { throw BundleFailure.last("stat", PathBytes.text(path)) }
    record(path, own, "", &hash)
    for name in try DirectoryNames.sorted(directory, PathBytes.text(path)) {
      let inner = path + [PathBytes.slash] + name
      let subject = PathBytes.text(inner)
      var status = stat()
      guard fstatat(directory, PathBytes.terminated(name), &status, AT_SYMLINK_NOFOLLOW) == 0 else {
        throw BundleFailure.last("stat", subject)
      }
      switch status.st_mode & S_IFMT {
      case S_IFDIR:
        let child = try Handle(PathBytes.terminated(name), in: directory, O_RDONLY | O_DIRECTORY, subject: subject)
        try seal(child.raw, inner, times, &hash, depth + 1)
      case S_IFREG:
        let file = try Handle(PathBytes.terminated(name), in: directory, O_RDONLY, subject: subject)
        let content = DigestingSource(FileRange(file, from: 0, count: Int(status.st_size), subject: subject))
        try content.drain(limit: Int(status.st_size), subject)
        record(inner, status, content.digest, &hash)
      case S_IFLNK:
        var target = [CChar](repeating: 0, count: 4097)
        let count = readlinkat(directory, PathBytes.terminated(name), &target, target.count)
        guard count >= 0 else { throw BundleFailure.last("readlink", subject) }
        record(inner, status, SHA256.digest(target.prefix(count).map { UInt8(bitPattern: $0) }), &hash)
      default: record(inner, status, "", &hash)
      }
    }
    // What no entry names is dated like nothing else, so that it does not tell when it was made.
    guard futimens(directory, TreeWriter.times(times[own.st_ino] ?? 0)) == 0 else {
      throw BundleFailure.last("set the time of", PathBytes.text(path))
    }
  }

  private static func record(_ path: [UInt8], _ status: stat, _ content: String, _ hash: inout SHA256) {
    let mode = String(status.st_mode, radix: 8)
    let line = path + [0] + Array("\(mode) \(status.st_uid) \(status.st_gid) \(content)\n".utf8)
    line.withUnsafeBytes { hash.update($0) }
  }
}
