import NemoKernel
import Testing

@testable import NemoOCI

/// A part of a document, and the pointer and words of the error it gives.
struct Refusal: Sendable, CustomTestStringConvertible {
  let part: String
  let pointer: String
  let words: String

  init(_ part: String, _ pointer: String, _ words: String) {
    self.part = part
    self.pointer = pointer
    self.words = words
  }

  var testDescription: String { "\(part) at \(pointer)" }

  /// Expects `document` to be refused by this pointer and these words, in one line.
  func expect<T>(_ document: String, _ decode: ([UInt8], String) throws(Failure) -> T) {
    do throws(Failure) {
      _ = try decode(Array(document.utf8), "file.json")
      Issue.record("accepted: \(document)")
    } catch {
      #expect(error.subject == pointer)
      #expect(error.message.hasPrefix(pointer + ": "))
      #expect(error.message.contains(words), "\(error.message)")
      #expect(!error.message.contains("\n"))
    }
  }
}

/// config.json with these members beside the required ones.
func whole(_ members: String) -> String {
  "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}\(members.isEmpty ? "" : ", ")\(members)}"
}

/// config.json with these members of `process` beside the required ones.
func withProcess(_ members: String) -> String {
  whole("\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"]\(members.isEmpty ? "" : ", ")\(members)}")
}

/// config.json with these members of `linux`.
func withLinux(_ members: String) -> String { whole("\"linux\": {\(members)}") }

/// config.json with these members of `linux` and new namespaces of all these kinds.
func withLinux(_ members: String, new kinds: String...) -> String {
  let namespaces = kinds.map { "{\"type\": \"\($0)\"}" }.joined(separator: ", ")
  return withLinux("\"namespaces\": [\(namespaces)]\(members.isEmpty ? "" : ", ")\(members)")
}

func configuration(_ text: String) throws -> Configuration {
  try Configuration(parsing: Array(text.utf8), subject: "config.json")
}

/// Expects config.json to be accepted.
func accept(_ text: String) {
  do throws(Failure) {
    _ = try Configuration(parsing: Array(text.utf8), subject: "config.json")
  } catch {
    Issue.record("\(error.message): \(text)")
  }
}
