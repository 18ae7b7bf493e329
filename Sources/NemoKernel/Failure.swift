/// The one error type of the hot side: what failed, on what, the kernel's errno by name, and what to do.
///
/// Its ``message`` is one line: `operation subject: text (ERRNO); advice`.
public struct Failure: Error, Sendable, Equatable {
  /// What was attempted: `open`, `mount tmpfs`, `parse`; or the whole sentence where there is no subject.
  public var operation: String
  /// The path, the id, or the JSON pointer (`/process/user/uid`) it was attempted on; may be empty.
  public var subject: String
  /// The kernel's answer, when there was one.
  public var errno: Errno?
  /// What is wrong, when the errno does not say it; may be empty.
  public var reason: String
  /// What a user can do about it; may be empty.
  public var advice: String

  /// Makes an error; see the properties for the meaning of each part.
  public init(
    _ operation: String, _ subject: String = "", errno: Errno? = nil, reason: String = "", advice: String = ""
  ) {
    self.operation = operation
    self.subject = subject
    self.errno = errno
    self.reason = reason
    self.advice = advice
  }

  /// The errno that the last failed call left, on `subject`.
  public static func last(_ operation: String, _ subject: String = "", advice: String = "") -> Failure {
    let errno = Errno.current
    return Failure(operation, subject, errno: errno, advice: advice)
  }

  /// One line for people, logs and engines.
  public var message: String {
    var text = operation
    if !subject.isEmpty { text += text.isEmpty ? subject : " " + subject }
    if !reason.isEmpty { text += (text.isEmpty ? "" : ": ") + reason }
    if let errno { text += ": \(errno.text) (\(errno.name))" }
    if !advice.isEmpty { text += "; \(advice)" }
    return Failure.oneLine(text)
  }

  /// The text with control characters written as `\n`, `\t` or `\xNN`, so that what a configuration contains cannot forge lines.
  private static func oneLine(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { return text }
    var line = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x0a: line += "\\n"
      case 0x09: line += "\\t"
      case 0..<0x20, 0x7f: line += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: line.unicodeScalars.append(scalar)
      }
    }
    return line
  }

  /// The same error with what was being done put in front: `prefix: message`.
  public func within(_ prefix: String) -> Failure {
    var copy = self
    copy.operation = prefix + ": " + operation
    return copy
  }
}
