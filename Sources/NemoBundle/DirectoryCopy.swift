import CWide
import Glibc

/// Copies a directory into a tree: what a layer of it would hold. Links are copied, never followed.
final class DirectoryCopy {
  private let tree: TreeWriter
  /// Who everything belongs to; nil keeps the owners.
  private let owner: (uid: UInt32, gid: UInt32)?
  /// First path of a file with several names, by inode.
  private var linked: [ino_t: [UInt8]] = [:]
  private var device: UInt = 0

  init(_ tree: TreeWriter, owner: (uid: UInt32, gid: UInt32)? = nil) {
    self.tree = tree
    self.owner = owner
  }

  func copy(_ path: String) throws {
    let source = try Handle(path, O_RDONLY | O_DIRECTORY)
    let status = try source.status(path)
    var target = stat()
    guard fstat(tree.descriptor, &target) == 0 else { throw BundleFailure.last("stat", path) }
    device = status.st_dev
    do { try copy(source.raw, to: tree.descriptor, [], depth: 0) } catch let failure as BundleFailure {
      throw failure.within(path)
    }
    try tree.finishDirectory(tree.descriptor, entry(.directory, status, source.raw), path)
  }

  private func entry(_ kind: TarEntry.Kind, _ status: stat, _ fd: Int32) throws -> TarEntry {
    TarEntry(
      kind: kind, name: [], mode: status.st_mode & 0o7777, uid: owner?.uid ?? status.st_uid,
      gid: owner?.gid ?? status.st_gid, size: 0,
      modified: status.st_mtim.tv_sec, attributes: fd < 0 ? [] : try Attributes.user(fd))
  }

  private func copy(_ from: Int32, to: Int32, _ path: [UInt8], depth: Int) throws {
    guard depth <= BundleLimits.depth else {
      throw BundleFailure("more than \(BundleLimits.depth) directories below one another")
    }
    for name in try DirectoryNames.sorted(from, PathBytes.text(path)) {
      try tree.countEntry()
      let inner = path.isEmpty ? name : path + [PathBytes.slash] + name
      guard let status = try tree.status(name, from) else {
        throw BundleFailure("\(PathBytes.text(inner)): went away while it was copied")
      }
      guard status.st_dev == device else {
        throw BundleFailure("\(PathBytes.text(inner)): another file system is mounted there; unmount it first")
      }
      try copy(name, status, from, to, inner, depth)
    }
  }

  private func copy(_ name: [UInt8], _ status: stat, _ from: Int32, _ to: Int32, _ path: [UInt8], _ depth: Int) throws {
    let subject = PathBytes.text(path)
    let term = PathBytes.terminated(name)
    switch status.st_mode & S_IFMT {
    case S_IFDIR:
      let source = try Handle(term, in: from, O_RDONLY | O_DIRECTORY, subject: subject)
      guard mkdirat(to, term, 0o700) == 0 else { throw BundleFailure.last("mkdir", subject) }
      let made = try Handle(term, in: to, O_RDONLY | O_DIRECTORY, subject: subject)
      try copy(source.raw, to: made.raw, path, depth: depth + 1)
      try tree.finishDirectory(made.raw, entry(.directory, status, source.raw), subject)
    case S_IFREG:
      if status.st_nlink > 1, let first = linked[status.st_ino] { return try tree.hardLink(first, name, to) }
      if status.st_nlink > 1 { linked[status.st_ino] = path }
      let source = try Handle(term, in: from, O_RDONLY | O_NONBLOCK, subject: subject)
      let opened = try source.status(subject)
      guard opened.st_ino == status.st_ino, opened.st_mode & S_IFMT == S_IFREG else {
        throw BundleFailure("\(subject): changed while it was copied")
      }
      try file(source, opened, name, to, subject)
    case S_IFLNK:
      var target = [CChar](repeating: 0, count: 4097)
      let count = readlinkat(from, term, &target, target.count)
      guard count > 0 else { throw BundleFailure.last("readlink", subject) }
      var link = try entry(.symbolicLink, status, -1)
      link.target = target.prefix(count).map { UInt8(bitPattern: $0) }
      try tree.symbolicLink(link, name, to)
    case S_IFIFO:
      let pipe = try entry(.fifo, status, -1)
      guard mkfifoat(to, term, 0o600) == 0, fchownat(to, term, pipe.uid, pipe.gid, AT_SYMLINK_NOFOLLOW) == 0,
        fchmodat(to, term, status.st_mode & 0o777, 0) == 0
      else { throw BundleFailure.last("mkfifo", subject) }
    default: tree.drop()
    }
  }

  private func file(_ source: borrowing Handle, _ status: stat, _ name: [UInt8], _ to: Int32, _ subject: String) throws
  {
    let entry = try entry(.file, status, source.raw)
    let made = try Handle(
      PathBytes.terminated(name), in: to, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600, subject: subject)
    try tree.count(bytes: Int(status.st_size))
    if wide_clone_file(made.raw, source.raw) != 0 { try content(source, made, Int(status.st_size), subject) }
    try tree.finishFile(made.raw, entry, subject)
  }

  private func content(_ source: borrowing Handle, _ made: borrowing Handle, _ size: Int, _ subject: String) throws {
    var left = size
    while left > 0 {
      let count = wide_copy_file_range(source.raw, made.raw, left)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && [EXDEV, EINVAL, EOPNOTSUPP, ENOSYS].contains(errno) && left == size {
        return try plain(source, made, size, subject)
      }
      guard count >= 0 else { throw BundleFailure.last("copy", subject) }
      guard count > 0 else { throw BundleFailure("\(subject): became shorter while it was copied") }
      left -= count
    }
  }

  /// Between file systems that cannot copy to one another.
  private func plain(_ source: borrowing Handle, _ made: borrowing Handle, _ size: Int, _ subject: String) throws {
    let copy = dup(source.raw)
    guard copy >= 0 else { throw BundleFailure.last("copy", subject) }
    let range = FileRange(Handle(adopting: copy), from: 0, count: size, subject: subject)
    var chunk = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let count = try chunk.withUnsafeMutableBytes { try range.read(into: $0) }
      if count == 0 { return }
      try chunk.withUnsafeBytes { try made.write(UnsafeRawBufferPointer(rebasing: $0[..<count]), subject) }
    }
  }
}

/// Extended attributes.
enum Attributes {
  /// Those in the namespace `user`, sorted.
  static func user(_ fd: Int32) throws -> [(name: [UInt8], value: [UInt8])] {
    var names = [CChar](repeating: 0, count: 1 << 16)
    let count = flistxattr(fd, &names, names.count)
    guard count > 0 else { return [] }
    let list = names.prefix(count).map { UInt8(bitPattern: $0) }.split(separator: 0).map(Array.init)
    return list.filter { $0.starts(with: Array("user.".utf8)) }.sorted { $0.lexicographicallyPrecedes($1) }.compactMap {
      var value = [UInt8](repeating: 0, count: 1 << 16)
      let size = fgetxattr(fd, PathBytes.terminated($0), &value, value.count)
      return size < 0 ? nil : ($0, Array(value.prefix(size)))
    }
  }
}
