import CWide
import Glibc

/// A directory tree under construction, written below one descriptor: whatever names, links and whiteouts an image
/// brings, nothing outside of it is opened, made, changed or removed.
///
/// Names of directories are resolved by openat2(2) with RESOLVE_IN_ROOT, so links of the image stay inside; the last
/// component is never followed.
final class TreeWriter {
  private static let resolveInRoot: UInt64 = 0x10 | 0x02  // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS

  private let root: Handle
  /// Modification times of directories, by inode; they are set last, since every entry changes its directory's.
  private(set) var directoryTimes: [ino_t: Int] = [:]
  /// What the current layer has made, as `inode of the directory/name`.
  private var fresh: Set<[UInt8]> = []
  private var entries = 0
  private var written = 0
  /// Device nodes and sockets that were left out.
  private(set) var dropped = 0
  private var buffer = [UInt8](repeating: 0, count: 1 << 18)

  /// A tree in an empty directory that nobody else writes to.
  init(_ directory: String) throws { root = try Handle(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) }

  /// The root of the tree.
  var descriptor: Int32 { root.raw }

  /// Whiteouts of the layer that begins do not hide what it brings itself.
  func beginLayer() { fresh = [] }

  /// Puts one entry of a layer into the tree.
  func apply(_ entry: TarEntry, content: TarReader) throws {
    try countEntry()
    let parts = try Self.components(entry.name)
    guard let name = parts.last else {
      guard entry.kind == .directory else { throw BundleFailure("the root is no directory") }
      return try finishDirectory(root.raw, entry, "/")
    }
    let parent = try directory(parts.dropLast())
    if name.starts(with: Array(".wh.".utf8)) { return try whiteout(name, parent.raw) }
    fresh.insert(try key(parent.raw, name))
    switch entry.kind {
    case .directory:
      if try status(name, parent.raw)?.st_mode ?? 0 & S_IFMT != S_IFDIR {
        try remove(name, parent.raw)
        guard mkdirat(parent.raw, PathBytes.terminated(name), 0o700) == 0 else { throw failure("mkdir", name) }
      }
      let made = try Handle(
        PathBytes.terminated(name), in: parent.raw, O_RDONLY | O_DIRECTORY, subject: PathBytes.text(name))
      try finishDirectory(made.raw, entry, PathBytes.text(name))
    case .file:
      try remove(name, parent.raw)
      try file(entry, name, parent.raw) { try content.read(into: $0) }
    case .symbolicLink:
      guard !entry.target.isEmpty else { throw BundleFailure("a symbolic link that leads nowhere") }
      try remove(name, parent.raw)
      try symbolicLink(entry, name, parent.raw)
    case .hardLink: try hardLink(entry.target, name, parent.raw)
    case .fifo:
      try remove(name, parent.raw)
      guard mkfifoat(parent.raw, PathBytes.terminated(name), 0o600) == 0 else { throw failure("mkfifo", name) }
      try own(name, parent.raw, entry)
      guard fchmodat(parent.raw, PathBytes.terminated(name), Self.mode(entry), 0) == 0 else {
        throw failure("chmod", name)
      }
    case .device:
      // The sandbox has a /dev of its own; a node here would only be reachable from the host.
      try remove(name, parent.raw)
      dropped += 1
    }
  }

  /// Makes `path`, as an absolute path of the sandbox, and the directories on the way, where they are missing.
  ///
  /// - Parameter isFile: an empty file is made instead of a directory.
  func makePlace(_ path: String, isFile: Bool) throws {
    let found = wide_openat2(root.raw, path, O_PATH, Self.resolveInRoot)
    if found >= 0 {
      _ = Handle(adopting: found)
      return
    }
    let parts = try Self.components(Array(path.utf8.drop { $0 == PathBytes.slash }))
    guard let name = parts.last else { return }
    guard isFile else {
      _ = try directory(parts[...])
      return
    }
    let parent = try directory(parts.dropLast())
    let flags = O_WRONLY | O_CREAT | O_EXCL
    _ = try Handle(PathBytes.terminated(name), in: parent.raw, flags, mode: 0o644, subject: path)
  }

  // MARK: pieces, shared with the copy of a directory

  func countEntry() throws {
    entries += 1
    guard entries <= BundleLimits.entries else {
      throw BundleFailure("more than \(BundleLimits.entries) files and directories")
    }
  }

  func count(bytes: Int) throws {
    written += bytes
    guard written <= BundleLimits.unpacked else {
      throw BundleFailure("more than \(BundleLimits.unpacked) bytes when unpacked")
    }
  }

  func drop() { dropped += 1 }

  /// Permissions without setuid and setgid, which mean nothing in a sandbox and much on the host.
  static func mode(_ entry: TarEntry) -> mode_t { mode_t(entry.mode & 0o1777) }

  func finishDirectory(_ fd: Int32, _ entry: TarEntry, _ subject: String) throws {
    guard fchown(fd, entry.uid, entry.gid) == 0, fchmod(fd, Self.mode(entry)) == 0 else {
      throw ownerFailure(subject)
    }
    try attributes(fd, entry, subject)
    var status = stat()
    guard fstat(fd, &status) == 0 else { throw BundleFailure.last("stat", subject) }
    directoryTimes[status.st_ino] = entry.modified
  }

  func file(
    _ entry: TarEntry, _ name: [UInt8], _ parent: Int32, read: (UnsafeMutableRawBufferPointer) throws -> Int
  ) throws {
    let subject = PathBytes.text(name)
    let made = try Handle(
      PathBytes.terminated(name), in: parent, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600, subject: subject)
    while true {
      let got = try buffer.withUnsafeMutableBytes { try read($0) }
      if got == 0 { break }
      try count(bytes: got)
      try buffer.withUnsafeBytes { try made.write(UnsafeRawBufferPointer(rebasing: $0[..<got]), subject) }
    }
    try finishFile(made.raw, entry, subject)
  }

  func finishFile(_ fd: Int32, _ entry: TarEntry, _ subject: String) throws {
    guard fchown(fd, entry.uid, entry.gid) == 0, fchmod(fd, Self.mode(entry)) == 0 else {
      throw ownerFailure(subject)
    }
    try attributes(fd, entry, subject)
    guard futimens(fd, Self.times(entry.modified)) == 0 else { throw BundleFailure.last("set the time of", subject) }
  }

  func symbolicLink(_ entry: TarEntry, _ name: [UInt8], _ parent: Int32) throws {
    let path = PathBytes.terminated(name)
    guard symlinkat(PathBytes.terminated(entry.target), parent, path) == 0 else { throw failure("symlink", name) }
    try own(name, parent, entry)
    guard utimensat(parent, path, Self.times(entry.modified), AT_SYMLINK_NOFOLLOW) == 0 else {
      throw failure("set the time of", name)
    }
  }

  static func times(_ seconds: Int) -> [timespec] {
    [timespec](repeating: timespec(tv_sec: seconds, tv_nsec: 0), count: 2)
  }

  private func own(_ name: [UInt8], _ parent: Int32, _ entry: TarEntry) throws {
    guard fchownat(parent, PathBytes.terminated(name), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) == 0 else {
      throw ownerFailure(PathBytes.text(name))
    }
  }

  private func ownerFailure(_ subject: String) -> BundleFailure {
    .last("set owner and mode of", subject, advice: errno == EPERM ? "unpacking an image takes root" : "")
  }

  /// `user.` alone: the others are the host's (trusted, security) or another spelling of the mode (ACLs).
  private func attributes(_ fd: Int32, _ entry: TarEntry, _ subject: String) throws {
    for attribute in entry.attributes where attribute.name.starts(with: Array("user.".utf8)) {
      let result = attribute.value.withUnsafeBytes {
        fsetxattr(fd, PathBytes.terminated(attribute.name), $0.baseAddress, $0.count, 0)
      }
      guard result == 0 || errno == EOPNOTSUPP else { throw BundleFailure.last("set an attribute of", subject) }
    }
  }

  private func failure(_ operation: String, _ name: [UInt8]) -> BundleFailure {
    .last(operation, PathBytes.text(name))
  }
}

// MARK: names and links

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

  private func key(_ parent: Int32, _ name: [UInt8]) throws -> [UInt8] {
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
  private func whiteout(_ name: [UInt8], _ parent: Int32) throws {
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
