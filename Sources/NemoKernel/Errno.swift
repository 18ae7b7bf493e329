import CKernel
import Glibc

/// An error number of the kernel (errno(3)).
public struct Errno: RawRepresentable, Equatable, Hashable, Sendable {
  /// The number itself.
  public let rawValue: Int32

  /// Wraps a number.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// What the last failed call of this thread left.
  public static var current: Errno { Errno(rawValue: nemo_get_errno()) }

  /// The symbolic name, such as `ENOENT`.
  public var name: String { String(cString: nemo_errno_name(rawValue)) }

  /// The text in the spelling that container engines match: `no such file or directory`.
  public var text: String {
    guard let c = strerror(rawValue) else { return "error \(rawValue)" }
    var text = String(cString: c)
    // "Invalid argument" becomes "invalid argument", "RPC struct is bad" stays.
    let second = text.dropFirst().first
    if let first = text.first, let second, !second.isUppercase {
      text.replaceSubrange(text.startIndex...text.startIndex, with: first.lowercased())
    }
    return text
  }
}

extension Errno {
  /// No such file or directory.
  public static let noEntry = Errno(rawValue: ENOENT)
  /// File exists.
  public static let exists = Errno(rawValue: EEXIST)
  /// Not a directory.
  public static let notDirectory = Errno(rawValue: ENOTDIR)
  /// Is a directory.
  public static let isDirectory = Errno(rawValue: EISDIR)
  /// Operation not permitted.
  public static let notPermitted = Errno(rawValue: EPERM)
  /// Permission denied.
  public static let accessDenied = Errno(rawValue: EACCES)
  /// Invalid argument.
  public static let invalid = Errno(rawValue: EINVAL)
  /// Device or resource busy.
  public static let busy = Errno(rawValue: EBUSY)
  /// No such process.
  public static let noProcess = Errno(rawValue: ESRCH)
  /// Too many levels of symbolic links (openat2 also uses it for refused magic links).
  public static let loop = Errno(rawValue: ELOOP)
  /// Invalid cross-device link (openat2: left the root).
  public static let crossDevice = Errno(rawValue: EXDEV)
  /// Function not implemented.
  public static let notImplemented = Errno(rawValue: ENOSYS)
  /// Operation not supported.
  public static let notSupported = Errno(rawValue: EOPNOTSUPP)
  /// Resource temporarily unavailable.
  public static let again = Errno(rawValue: EAGAIN)
  /// No such device or address.
  public static let noDevice = Errno(rawValue: ENXIO)
  /// Numerical result out of range.
  public static let range = Errno(rawValue: ERANGE)
  /// Exec format error.
  public static let execFormat = Errno(rawValue: ENOEXEC)
  /// No child processes.
  public static let noChild = Errno(rawValue: ECHILD)
  /// Directory not empty.
  public static let notEmpty = Errno(rawValue: ENOTEMPTY)
  /// File name too long.
  public static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
  /// Read-only file system.
  public static let readOnly = Errno(rawValue: EROFS)
  /// No space left on device.
  public static let noSpace = Errno(rawValue: ENOSPC)
}
