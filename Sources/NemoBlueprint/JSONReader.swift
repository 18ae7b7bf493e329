/// Reads JSON (RFC 8259) strictly: no duplicate keys, no text after the value, a limit on nesting.
///
/// A number that is no whole number of 64 bits is kept as its text.
public struct JSONReader {
  /// Objects and lists within one another.
  public static let depth = 64

  /// Why a text is no JSON: where, in bytes from the start.
  public struct Failure: Error, CustomStringConvertible {
    /// One line.
    public var description: String
  }

  private let bytes: [UInt8]
  private var at = 0

  /// Parses the whole of `bytes`.
  public static func parse(_ bytes: [UInt8]) throws(Failure) -> JSONValue {
    var reader = JSONReader(bytes: bytes)
    let value = try reader.value(depth: 0)
    reader.space()
    guard reader.at == bytes.count else { throw reader.wrong("more follows the value") }
    return value
  }

  private func wrong(_ reason: String) -> Failure { Failure(description: "no valid JSON at byte \(at): \(reason)") }

  private mutating func space() {
    while at < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[at]) { at += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    space()
    guard at < bytes.count, bytes[at] == byte else { return false }
    at += 1
    return true
  }

  private mutating func value(depth: Int) throws(Failure) -> JSONValue {
    guard depth <= Self.depth else { throw wrong("nested more than \(Self.depth) levels") }
    space()
    guard at < bytes.count else { throw wrong("it ends early") }
    switch bytes[at] {
    case UInt8(ascii: "{"): return try object(depth)
    case UInt8(ascii: "["): return try array(depth)
    case UInt8(ascii: "\""): return .string(try string())
    default:
      let start = at
      while at < bytes.count, !Array(" \t\r\n,]}".utf8).contains(bytes[at]) { at += 1 }
      let word = String(decoding: bytes[start..<at], as: UTF8.self)
      switch word {
      case "true": return .bool(true)
      case "false": return .bool(false)
      case "null": return .null
      default:
        let first = word.utf8.first ?? 0
        let legal = word.utf8.allSatisfy { (0x30...0x39).contains($0) || Array("+-.eE".utf8).contains($0) }
        guard legal, first == UInt8(ascii: "-") || (0x30...0x39).contains(first) else {
          at = start
          throw wrong("what stands there is no value")
        }
        return Int(word).map { .integer($0) } ?? .string(word)
      }
    }
  }

  private mutating func object(_ depth: Int) throws(Failure) -> JSONValue {
    at += 1
    var members: [String: JSONValue] = [:]
    if take(UInt8(ascii: "}")) { return .object([:]) }
    repeat {
      space()
      guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw wrong("a key is missing") }
      let key = try string()
      guard take(UInt8(ascii: ":")) else { throw wrong("a colon is missing") }
      guard members.updateValue(try value(depth: depth + 1), forKey: key) == nil else {
        throw wrong("the key \(Diagnostic.printable(Diagnostic.quoted(key))) is there twice")
      }
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { throw wrong("a brace is missing") }
    return .object(members)
  }

  private mutating func array(_ depth: Int) throws(Failure) -> JSONValue {
    at += 1
    var values: [JSONValue] = []
    if take(UInt8(ascii: "]")) { return .array([]) }
    repeat { values.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { throw wrong("a bracket is missing") }
    return .array(values)
  }

  private mutating func string() throws(Failure) -> String {
    at += 1
    var text: [UInt8] = []
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw wrong("a text is no UTF-8") }
        return string
      case UInt8(ascii: "\\"): text += try escape()
      case 0..<0x20: throw wrong("a control character in a text")
      default: text.append(byte)
      }
    }
    throw wrong("a text does not end")
  }

  private mutating func escape() throws(Failure) -> [UInt8] {
    guard at < bytes.count else { throw wrong("a text does not end") }
    let byte = bytes[at]
    at += 1
    let simple: [UInt8: UInt8] = [
      0x22: 0x22, 0x5c: 0x5c, 0x2f: 0x2f, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10,
      UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
    ]
    if let plain = simple[byte] { return [plain] }
    guard byte == UInt8(ascii: "u") else { throw wrong("an unknown escape") }
    var code = try unit()
    if (0xd800...0xdbff).contains(code) {
      guard at + 1 < bytes.count, bytes[at] == 0x5c, bytes[at + 1] == UInt8(ascii: "u") else {
        throw wrong("half of a surrogate pair")
      }
      at += 2
      let low = try unit()
      guard (0xdc00...0xdfff).contains(low) else { throw wrong("half of a surrogate pair") }
      code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
    }
    guard let scalar = UnicodeScalar(code) else { throw wrong("half of a surrogate pair") }
    return Array(String(scalar).utf8)
  }

  private mutating func unit() throws(Failure) -> UInt32 {
    guard at + 4 <= bytes.count else { throw wrong("a text does not end") }
    let digits = String(decoding: bytes[at..<at + 4], as: UTF8.self)
    guard digits.allSatisfy({ $0.isASCII && $0.isHexDigit }), let code = UInt32(digits, radix: 16) else {
      throw wrong("an escape without four digits")
    }
    at += 4
    return code
  }
}

extension JSONValue {
  /// The member `key`; nil where this is no object or has no such member.
  public subscript(key: String) -> JSONValue? { if case .object(let members) = self { members[key] } else { nil } }

  /// The text.
  public var text: String? { if case .string(let text) = self { text } else { nil } }

  /// The whole number.
  public var number: Int? { if case .integer(let number) = self { number } else { nil } }

  /// The elements of a list; nil for anything else.
  public var elements: [JSONValue]? { if case .array(let values) = self { values } else { nil } }
}
