import CKernel
import Glibc
import NemoKernel

/// `tmpcopyup`: fills a new tmpfs with what its destination held.
public enum CopyUp {
  /// Copies everything below directory `source` into directory `target`: modes, owners, links, extended attributes of files.
  /// Sockets and FIFOs are skipped, as they mean nothing without their process.
  public static func copy(from source: Int32, to target: Int32, subject: String, depth: Int = 0) throws(Failure) {
    guard depth < 64 else { throw Failure("tmpcopyup", subject, reason: "more than 64 directory levels") }
    let status = try Files.status(of: source, subject: subject)
    guard fchown(target, status.st_uid, status.st_gid) == 0, fchmod(target, status.st_mode & 0o7777) == 0 else {
      throw .last("tmpcopyup", subject)
    }
    for name in try Files.list(".", at: source) {
      let path = "\(subject)/\(name)"
      var entry = stat()
      guard fstatat(source, name, &entry, AT_SYMLINK_NOFOLLOW) == 0 else { throw .last("tmpcopyup", path) }
      switch entry.st_mode & S_IFMT {
      case S_IFDIR:
        try Files.makeDirectory(name, mode: 0o700, at: target)
        let from = try Files.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: source)
        let to = try Files.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: target)
        try copy(from: from.raw, to: to.raw, subject: path, depth: depth + 1)
      case S_IFLNK:
        let link = try Files.readLink(name, at: source)
        guard symlinkat(link, target, name) == 0,
          fchownat(target, name, entry.st_uid, entry.st_gid, AT_SYMLINK_NOFOLLOW) == 0
        else { throw .last("tmpcopyup", path) }
      case S_IFREG:
        try copyFile(name, from: source, to: target, entry, subject: path)
      case S_IFCHR, S_IFBLK:
        guard nemo_mknodat(target, name, entry.st_mode, nemo_major(entry.st_rdev), nemo_minor(entry.st_rdev)) == 0
        else {
          throw .last("tmpcopyup", path)
        }
      default: continue
      }
    }
  }

  private static func copyFile(_ name: String, from source: Int32, to target: Int32, _ entry: stat, subject: String)
    throws(Failure)
  {
    let from = try Files.open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: source)
    let to = try Files.open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, at: target)
    while true {
      let n = sendfile(to.raw, from.raw, nil, 1 << 20)
      if n == 0 { break }
      guard n > 0 else { throw .last("tmpcopyup", subject) }
    }
    guard fchown(to.raw, entry.st_uid, entry.st_gid) == 0, fchmod(to.raw, entry.st_mode & 0o7777) == 0 else {
      throw .last("tmpcopyup", subject)
    }
  }
}
