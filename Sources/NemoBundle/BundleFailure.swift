import CWide
import Glibc

/// Why a bundle could not be made: one line that says what failed, on what, and what to do.
public struct BundleFailure: Error, CustomStringConvertible, Sendable {
  /// The line.
  public var description: String

  /// A failure that is no system call's.
  public init(_ description: String) { self.description = description }

  /// The errno that the last failed call left: `operation subject: text`.
  static func last(_ operation: String, _ subject: String, advice: String = "") -> BundleFailure {
    let code = errno
    let name = wide_errno_name(code).map { String(cString: $0) } ?? String(code)
    let text = "\(operation) \(subject): \(String(cString: strerror(code))) (\(name))"
    return BundleFailure(advice.isEmpty ? text : "\(text); \(advice)")
  }

  /// The same with what was being done in front.
  func within(_ prefix: String) -> BundleFailure { BundleFailure("\(prefix): \(description)") }
}
