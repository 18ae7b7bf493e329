import CWide
import Glibc

/// A directory tree under construction, written below one descriptor: whatever names, links and whiteouts an image
/// brings, nothing outside of it is opened, made, changed or removed.
///
/// Names of directories are resolved by openat2(2) with RESOLVE_IN_ROOT, so links of the image stay inside; the last
/// component is never followed.
final class TreeWriter {
  static let resolveInRoot: UInt64 = 0x10 | 0x02  // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS

  private let root: Handle
  /// Modification times of directories, by inode; they are set last, since every entry changes its directory's.
  var directoryTimes: [ino_t: Int] = [:]
  /// What the current layer has made, as `inode of the directory/name`.
  var fresh: Set<[UInt8]> = []
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
