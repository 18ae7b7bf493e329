import CKernel
import Glibc

/// A verified handle on the host's procfs: what is written below it reaches the kernel and nothing else
/// (CVE-2019-16884, CVE-2025-52881).
public struct Procfs: ~Copyable {
  /// PROC_SUPER_MAGIC of statfs(2).
  public static let magic: Int64 = 0x9fa0
  static let resolveBeneath: UInt64 = 0x08
  static let resolveNoXdev: UInt64 = 0x01

  /// The root of the procfs.
  public let root: OwnedDescriptor

  /// Opens `/proc` of the caller's mount namespace and checks that it is the root of a procfs.
  public init() throws(Failure) {
    let fd = try Files.open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW)
    let status = try Files.status(of: fd.raw, subject: "/proc")
    guard nemo_filesystem_magic(fd.raw) == Procfs.magic, status.st_ino == 1 else {
      throw Failure("use /proc", reason: "it is not the root of a proc file system")
    }
    root = fd
  }

  /// Takes over a handle that ``release()`` gave away.
  public init(adopting raw: Int32) { root = OwnedDescriptor(adopting: raw) }

  /// Gives the root's number away; the caller must close it.
  public consuming func release() -> Int32 { root.take() }

  /// Opens a file below the root; no mount over it, no link and no way out is accepted.
  public func open(_ path: String, _ flags: Int32) throws(Failure) -> OwnedDescriptor {
    let resolve = Procfs.resolveBeneath | Procfs.resolveNoXdev | RootDirectory.resolveNoMagicLinks
    let fd = retrying {
      Int(nemo_openat2(root.raw, path, UInt64(UInt32(bitPattern: flags | O_CLOEXEC)), 0, resolve))
    }
    guard fd >= 0 else { throw .last("open", "/proc/" + path) }
    return OwnedDescriptor(adopting: Int32(fd))
  }

  /// Writes a text in one write(2).
  public func write(_ text: String, to path: String) throws(Failure) {
    let fd = try open(path, O_WRONLY)
    try Files.writeText(fd.raw, text, subject: "/proc/" + path)
  }

  /// The whole of a file.
  public func read(_ path: String, limit: Int = 1 << 20) throws(Failure) -> [UInt8] {
    let fd = try open(path, O_RDONLY)
    return try Files.readAll(fd.raw, limit: limit, subject: "/proc/" + path)
  }
}
