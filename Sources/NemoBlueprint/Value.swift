/// A YAML value with its place in the file.
public struct Value: Sendable {
  /// What kind of value.
  public indirect enum Kind: Sendable {
    /// A text; plain where it was written without quotes and so could be something else than a text.
    case scalar(String, isPlain: Bool)
    /// A list.
    case list([Value])
    /// A mapping, in the file's order, without duplicates.
    case map([Entry])
  }

  /// One line of a mapping.
  public struct Entry: Sendable {
    /// The key.
    public var key: String
    /// Where the key is.
    public var position: Position
    /// The value.
    public var value: Value
  }

  /// What it is.
  public var kind: Kind
  /// Where it is.
  public var position: Position

  /// The member `key`; nil where this is no mapping or has no such key.
  public subscript(key: String) -> Value? { entries.first { $0.key == key }?.value }

  /// The entries of a mapping; none for anything else.
  public var entries: [Entry] { if case .map(let entries) = kind { entries } else { [] } }

  /// The elements of a list; none for anything else.
  public var elements: [Value] { if case .list(let values) = kind { values } else { [] } }

  /// The text of a scalar.
  public var text: String? { if case .scalar(let text, _) = kind { text } else { nil } }

  /// The whole number of a scalar.
  public var integer: Int? { text.flatMap { Int($0) } }

  /// `true` of a scalar; everything else is false.
  public var isTrue: Bool { text == "true" }

  /// A key without a value.
  public var isEmpty: Bool { if case .scalar("", isPlain: true) = kind { true } else { false } }

  /// What it is called in messages.
  public var kindName: String {
    switch kind {
    case .scalar("", isPlain: true): "nothing"
    case .scalar: "a single value"
    case .list: "a list"
    case .map: "a mapping"
    }
  }

  /// The same without positions: texts stay texts, plain numbers and booleans become theirs.
  public var json: JSONValue {
    switch kind {
    case .scalar(let text, isPlain: true):
      if text == "true" || text == "false" { return .bool(text == "true") }
      if Scalar.isInteger(text), let number = Int(text) { return .integer(number) }
      return Scalar.isNull(text) ? .null : .string(text)
    case .scalar(let text, isPlain: false): return .string(text)
    case .list(let values): return .array(values.map(\.json))
    case .map(let entries):
      return .object(Dictionary(entries.map { ($0.key, $0.value.json) }, uniquingKeysWith: { first, _ in first }))
    }
  }
}

/// How plain scalars are read: by one strict rule each, never by guessing.
enum Scalar {
  static func isInteger(_ text: String) -> Bool {
    let digits = text.utf8.allSatisfy { (0x30...0x39).contains($0) } && !text.isEmpty
    return digits && (text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0"))
  }

  /// `1.5`: digits, a point, digits.
  static func isDecimal(_ text: String) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return (1...2).contains(parts.count) && isInteger(String(parts[0]))
      && (parts.count == 1 || (!parts[1].isEmpty && parts[1].utf8.allSatisfy { (0x30...0x39).contains($0) }))
  }

  static func isNull(_ text: String) -> Bool { ["", "~", "null", "Null", "NULL"].contains(text) }

  /// Whether some YAML reader takes the plain text for a number, a boolean, a date or null.
  static func isAmbiguous(_ text: String) -> Bool {
    if isNull(text) { return true }
    if ["true", "false", "yes", "no", "on", "off", "y", "n"].contains(text.lowercased()) { return true }
    let lower = text.lowercased()
    var body = Substring(lower)
    if let sign = body.first, sign == "+" || sign == "-" { body = body.dropFirst() }
    if [".inf", ".nan"].contains(body) { return true }
    guard let first = body.first, first.isASCII, first.isNumber || first == "." else { return false }
    if body.hasPrefix("0x") || body.hasPrefix("0o") || body.hasPrefix("0b") {
      return body.dropFirst(2).allSatisfy { $0.isHexDigit || $0 == "_" } && body.count > 2
    }
    guard body.contains(where: { $0.isASCII && $0.isNumber }) else { return false }
    if body.allSatisfy({ ($0.isASCII && $0.isNumber) || $0 == "_" }) { return true }
    if isDate(body) { return true }
    let sexagesimal = body.split(separator: ":", omittingEmptySubsequences: false)
    if sexagesimal.count > 1 { return sexagesimal.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isNumber) } }
    let mantissa = body.split(separator: "e", maxSplits: 1, omittingEmptySubsequences: false)
    let digits = mantissa[0].allSatisfy { ($0.isASCII && $0.isNumber) || $0 == "_" || $0 == "." }
    guard digits, mantissa[0].filter({ $0 == "." }).count <= 1 else { return false }
    return mantissa.count == 1 || mantissa[1].drop { $0 == "+" || $0 == "-" }.allSatisfy { $0.isASCII && $0.isNumber }
  }

  private static func isDate(_ text: Substring) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    return parts.count == 3 && parts[0].count == 4 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isNumber) }
  }
}
