import CJansson
import NemoKernel

/// A parsed JSON text (RFC 8259). Duplicate keys are refused; integers that can be read reach from −2^63 to 2^64−1, and others
/// are an error of whoever reads them, by JSON pointer.
///
/// Nodes are borrowed: they may be used only while their document lives.
public final class JSONDocument {
  let rootValue: UnsafeMutablePointer<json_t>

  /// Parses `bytes`; errors name `subject` with line and column.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    let text = LargeIntegers.quoted(bytes)
    JSONArena.enter()
    var error = json_error_t()
    let flags = json_reject_duplicates
    let value = text.withUnsafeBytes { buffer in
      json_loadb(buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count, flags, &error)
    }
    guard let value else {
      defer { JSONArena.leave() }
      let reason = withUnsafePointer(to: &error.text) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: Int(JSON_ERROR_TEXT_LENGTH)) { String(cString: $0) }
      }
      throw Failure("parse", subject, reason: "line \(error.line), column \(error.column): \(reason)")
    }
    rootValue = value
  }

  deinit {
    if !JSONArena.isUsed { json_decref(rootValue) }
    JSONArena.leave()
  }

  /// Takes the member at `path`, names from the top, out of the tree; nothing when it is not there. Its nodes are gone with it.
  public func remove(_ path: [String]) {
    var value = rootValue
    for name in path.dropLast() {
      guard let below = json_object_get(value, name) else { return }
      value = below
    }
    if let name = path.last { json_object_del(value, name) }
  }

  /// The tree as compact JSON text, which reads as the same tree.
  public func text() throws(Failure) -> [UInt8] { try root.text(flags: 0) }

  /// The top of the tree.
  public var root: JSONNode { JSONNode(value: rootValue, root: rootValue, parent: nil, key: nil, index: -1) }
}

// The macros of jansson.h that Swift does not import.
private let json_reject_duplicates = 0x1

/// jansson keeps integers in 64 signed bits and refuses a text with others. They travel through it as marked strings.
enum LargeIntegers {
  /// U+FDD0, a noncharacter that no configuration contains.
  static let mark: [UInt8] = [0xef, 0xb7, 0x90]
  /// Digits that always fit.
  private static let safeLength = 18

  /// The text with every integer outside of −2^63 ... 2^63−1 replaced by a marked string; the same text when there is none.
  static func quoted(_ bytes: [UInt8]) -> [UInt8] {
    var found: [Range<Int>] = []
    bytes.withUnsafeBufferPointer { text in
      var i = 0
      let end = text.count
      while i < end {
        let byte = text[i]
        if byte == 0x22 {  // a string: skip to its closing quote
          i += 1
          while i < end && text[i] != 0x22 { i += text[i] == 0x5c ? 2 : 1 }
          i += 1
        } else if byte &- 0x30 < 10 {
          let start = i
          while i < end && text[i] &- 0x30 < 10 { i += 1 }
          if i - start > safeLength, let range = large(text, start..<i) { found.append(range) }
          while i < end
            && (text[i] &- 0x30 < 10 || text[i] == 0x2e || text[i] | 0x20 == 0x65 || text[i] == 0x2b || text[i] == 0x2d)
          {
            i += 1
          }
        } else {
          i += 1
        }
      }
    }
    if found.isEmpty { return bytes }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + found.count * 5)
    var from = 0
    for range in found {
      result += bytes[from..<range.lowerBound]
      result.append(0x22)
      result += mark
      result += bytes[range]
      result.append(0x22)
      from = range.upperBound
    }
    result += bytes[from...]
    return result
  }

  /// Where the integer with these digits is, its sign included, when it does not fit into 64 signed bits.
  private static func large(_ text: UnsafeBufferPointer<UInt8>, _ digits: Range<Int>) -> Range<Int>? {
    if let next = text[digits.upperBound...].first, next == 0x2e || next | 0x20 == 0x65 { return nil }
    // A leading zero, and a number where a name belongs, stay the errors that they are.
    let follower = text[digits.upperBound...].first { $0 != 0x20 && !(0x09...0x0d).contains($0) }
    if text[digits.lowerBound] == 0x30 || follower == 0x3a { return nil }
    let isNegative = digits.lowerBound > 0 && text[digits.lowerBound - 1] == 0x2d
    let limit = UInt64(Int64.max) + (isNegative ? 1 : 0)
    if let value = unsigned(text[digits]), value <= limit { return nil }
    return isNegative ? digits.lowerBound - 1..<digits.upperBound : digits
  }

  /// The value of decimal digits, or nil when it does not fit.
  static func unsigned(_ digits: some Sequence<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for digit in digits {
      guard digit &- 0x30 < 10 else { return nil }
      let (product, over1) = value.multipliedReportingOverflow(by: 10)
      let (sum, over2) = product.addingReportingOverflow(UInt64(digit &- 0x30))
      if over1 || over2 { return nil }
      value = sum
    }
    return value
  }
}
