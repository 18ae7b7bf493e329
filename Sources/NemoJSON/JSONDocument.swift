import CJansson
import NemoKernel

/// A parsed JSON text (RFC 8259). Duplicate keys are refused; integers reach from −2^63 to 2^64−1.
///
/// Nodes are borrowed: they may be used only while their document lives.
public final class JSONDocument {
  let rootValue: UnsafeMutablePointer<json_t>

  /// Parses `bytes`; errors name `subject` with line and column.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    let text = LargeIntegers.quoted(bytes)
    var error = json_error_t()
    let flags = json_reject_duplicates
    let value = text.withUnsafeBytes { buffer in
      json_loadb(buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count, flags, &error)
    }
    guard let value else {
      let reason = withUnsafePointer(to: &error.text) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: Int(JSON_ERROR_TEXT_LENGTH)) { String(cString: $0) }
      }
      throw Failure("parse", subject, reason: "line \(error.line), column \(error.column): \(reason)")
    }
    rootValue = value
  }

  deinit { json_decref(rootValue) }

  /// The top of the tree.
  public var root: JSONNode { JSONNode(value: rootValue, root: rootValue, parent: nil, key: nil, index: -1) }
}

// The macros of jansson.h that Swift does not import.
private let json_reject_duplicates = 0x1

/// jansson keeps integers in 64 signed bits. Larger ones, up to 2^64−1, travel through it as marked strings.
enum LargeIntegers {
  /// U+FDD0, a noncharacter that no configuration contains.
  static let mark: [UInt8] = [0xef, 0xb7, 0x90]

  /// The text with every integer in 2^63 ... 2^64−1 replaced by a marked string; the same text when there is none.
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
          let more = i < end && (text[i] == 0x2e || text[i] | 0x20 == 0x65)
          let signed = start > 0 && text[start - 1] == 0x2d
          let length = i - start
          if !more && !signed && (length == 19 || length == 20) && text[start] != 0x30,
            let value = unsigned(text[start..<i]), value > UInt64(Int64.max)
          {
            found.append(start..<i)
          }
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
