/// JSON that is written, always in one form: sorted keys, no floating point, so that a digest of it means something.
public indirect enum JSONValue: Sendable, Hashable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A whole number.
  case integer(Int)
  /// A whole number that may be above the signed ones.
  case unsigned(UInt64)
  /// A text.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// An object.
  case object([String: JSONValue])

  /// One line without spaces, and a newline.
  public var canonical: String {
    var text = ""
    write(into: &text, indent: nil, depth: 0)
    return text + "\n"
  }

  /// For people: two spaces a level, and a newline.
  public var pretty: String {
    var text = ""
    write(into: &text, indent: 2, depth: 0)
    return text + "\n"
  }

  private func write(into text: inout String, indent: Int?, depth: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .unsigned(let value): text += String(value)
    case .string(let value): Self.quote(value, into: &text)
    case .array(let values):
      Self.sequence("[", "]", values.count, indent, depth, &text) { index, text in
        values[index].write(into: &text, indent: indent, depth: depth + 1)
      }
    case .object(let members):
      let keys = members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      Self.sequence("{", "}", keys.count, indent, depth, &text) { index, text in
        Self.quote(keys[index], into: &text)
        text += indent == nil ? ":" : ": "
        (members[keys[index]] ?? .null).write(into: &text, indent: indent, depth: depth + 1)
      }
    }
  }

  private static func sequence(
    _ open: String, _ close: String, _ count: Int, _ indent: Int?, _ depth: Int, _ text: inout String,
    _ element: (Int, inout String) -> Void
  ) {
    let line = { (depth: Int) in indent.map { "\n" + String(repeating: " ", count: $0 * depth) } ?? "" }
    text += open
    for index in 0..<count {
      text += (index > 0 ? "," : "") + line(depth + 1)
      element(index, &text)
    }
    text += (count > 0 ? line(depth) : "") + close
  }

  private static func quote(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case "\r": text += "\\r"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        let hex = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
