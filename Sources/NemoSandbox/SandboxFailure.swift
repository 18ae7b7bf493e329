import CWide
import Glibc

/// Why something could not be done with a sandbox: one line.
public struct SandboxFailure: Error, CustomStringConvertible, Sendable {
  /// The line.
  public var description: String

  /// A failure that is no system call's.
  public init(_ description: String) { self.description = description }

  /// The errno that the last failed call left: `operation subject: text (NAME)`.
  static func last(_ operation: String, _ subject: String) -> SandboxFailure {
    let code = errno
    let name = wide_errno_name(code).map { String(cString: $0) } ?? String(code)
    return SandboxFailure("\(operation) \(subject): \(String(cString: strerror(code))) (\(name))")
  }
}
