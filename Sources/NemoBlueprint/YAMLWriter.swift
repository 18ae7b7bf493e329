/// Writes values as YAML that reads back the same.
enum YAMLWriter {
  static func text(_ value: Value) -> String {
    var out = ""
    write(value, 0, &out)
    return out
  }

  private static func write(_ value: Value, _ depth: Int, _ out: inout String) {
    let indent = String(repeating: " ", count: depth)
    switch value.kind {
    case .map(let entries):
      for entry in entries {
        out += "\(indent)\(scalar(entry.key, isPlain: false)):"
        nested(entry.value, depth + 2, &out)
      }
    case .list(let values):
      for element in values {
        out += "\(indent)-"
        if case .map(let entries) = element.kind, !entries.isEmpty {
          var inner = ""
          write(element, depth + 2, &inner)
          out += " " + inner.dropFirst(depth + 2)
        } else {
          nested(element, depth + 2, &out)
        }
      }
    case .scalar(let text, let isPlain): out += indent + scalar(text, isPlain: isPlain) + "\n"
    }
  }

  private static func nested(_ value: Value, _ depth: Int, _ out: inout String) {
    switch value.kind {
    case .scalar(let text, let isPlain): out += " " + scalar(text, isPlain: isPlain) + "\n"
    case .map(let entries) where entries.isEmpty: out += " {}\n"
    case .list(let values) where values.isEmpty: out += " []\n"
    case .list(let values)
    where values.allSatisfy({ $0.text.map { $0.utf8.count < 40 } ?? false }) && values.count <= 6:
      let items = values.map { scalar($0.text ?? "", isPlain: isPlain($0)) }
      out += " [\(items.joined(separator: ", "))]\n"
    default:
      out += "\n"
      write(value, depth, &out)
    }
  }

  private static func isPlain(_ value: Value) -> Bool {
    if case .scalar(_, let isPlain) = value.kind { isPlain } else { false }
  }

  /// A text without quotes where every reader takes it for the same text.
  private static func scalar(_ text: String, isPlain: Bool) -> String {
    if isPlain { return text }
    let safe = text.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        || "/._-".utf8.contains(byte)
    }
    if safe, !text.isEmpty, !text.hasPrefix("-"), !Scalar.isAmbiguous(text) { return text }
    return String(JSONValue.string(text).canonical.dropLast())
  }
}

extension Value {
  /// Values that are written, not read, have no place.
  private static let nowhere = Position(line: 1, column: 1)

  static func text(_ text: String) -> Value { Value(kind: .scalar(text, isPlain: false), position: nowhere) }
  static func plain(_ text: String) -> Value { Value(kind: .scalar(text, isPlain: true), position: nowhere) }
  static func array(_ values: [Value]) -> Value { Value(kind: .list(values), position: nowhere) }
  static func texts(_ texts: [String]) -> Value { array(texts.map { text($0) }) }

  /// A mapping of those members that are not nil.
  static func object(_ members: [(String, Value?)]) -> Value {
    let entries = members.compactMap { key, value in value.map { Entry(key: key, position: nowhere, value: $0) } }
    return Value(kind: .map(entries), position: nowhere)
  }
}
