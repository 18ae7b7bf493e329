import CKernel
import Glibc

/// The one owner of a file descriptor: closes it when it goes out of scope.
///
/// Functions that only use a descriptor take its `raw` number; functions that keep it consume the owner.
public struct OwnedDescriptor: ~Copyable {
  /// The number, valid while the owner lives.
  public let raw: Int32

  /// Takes over `raw`, which must be open and owned by nobody else.
  public init(adopting raw: Int32) { self.raw = raw }

  deinit { _ = close(raw) }

  /// Gives the number away; the caller must close it.
  public consuming func take() -> Int32 {
    let number = raw
    discard self
    return number
  }

  /// Another close-on-exec descriptor of the same open file (fcntl F_DUPFD_CLOEXEC), at 3 or above.
  public func duplicate() throws(Failure) -> OwnedDescriptor {
    let copy = fcntl(raw, F_DUPFD_CLOEXEC, 3)
    guard copy >= 0 else { throw .last("duplicate descriptor") }
    return OwnedDescriptor(adopting: copy)
  }
}
