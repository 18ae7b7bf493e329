/// Finds what YAML allows and blueprints do not, before the YAML parser builds anything from it: anchors and aliases
/// (a few lines of them unfold to gigabytes), tags, complex keys, directives, several documents, tabs, deep nesting.
///
/// It reads token by token as far as needed to tell a token from the inside of a text.
struct YAMLGuard {
  /// Largest file.
  static let sizeLimit = 4 << 20
  /// Deepest nesting, of indentation and brackets together.
  static let depthLimit = 32

  /// Why a file is refused.
  struct Refusal: Error {
    var position: Position
    var message: String
  }

  private let bytes: [UInt8]
  private var index = 0
  private var line = 1
  private var lineStart = 0
  private var brackets = 0
  /// Indentations of the open block collections.
  private var indents: [Int] = []
  /// Indentation of the line that the current token is on.
  private var indent = 0
  private var atTokenStart = true
  private var dashes = 0

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Checks `bytes` and returns them as text.
  static func check(_ bytes: [UInt8]) throws(Refusal) -> String {
    let start = Position(line: 1, column: 1)
    guard bytes.count <= sizeLimit else {
      throw Refusal(position: start, message: "is \(bytes.count) bytes long; at most \(sizeLimit) are read")
    }
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) {
      throw Refusal(position: start, message: "begins with a byte order mark; save it as plain UTF-8")
    }
    if bytes.starts(with: [0xff, 0xfe]) || bytes.starts(with: [0xfe, 0xff]) {
      throw Refusal(position: start, message: "is UTF-16; save it as UTF-8")
    }
    var guardian = YAMLGuard(bytes)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Refusal(position: guardian.place(ofInvalidUTF8: bytes), message: "is not UTF-8")
    }
    try guardian.scan()
    return text
  }

  private var position: Position {
    let column = bytes[lineStart..<min(index, bytes.count)].count { $0 & 0xc0 != 0x80 } + 1
    return Position(line: line, column: column)
  }

  private func refuse(_ message: String) -> Refusal { Refusal(position: position, message: message) }

  private func peek(_ offset: Int = 0) -> UInt8 { index + offset < bytes.count ? bytes[index + offset] : 0x0a }

  private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d }

  private mutating func scan() throws(Refusal) {
    while index < bytes.count {
      let byte = bytes[index]
      switch byte {
      case 0x0a:
        index += 1
        try newLine()
      case 0x09 where index == lineStart || bytes[lineStart..<index].allSatisfy({ $0 == 0x20 || $0 == 0x09 }):
        throw refuse("has a tab in its indentation; use spaces")
      case 0x20, 0x09, 0x0d: index += 1
      case 0..<0x20, 0x7f: throw refuse("holds a control character")
      case UInt8(ascii: "#") where index == lineStart || isBlank(bytes[index - 1]):
        while index < bytes.count, bytes[index] != 0x0a { index += 1 }
      default: try token(byte)
      }
    }
  }

  private mutating func newLine() throws(Refusal) {
    line += 1
    lineStart = index
    atTokenStart = true
    dashes = 0
    var column = 0
    while peek(column) == 0x20, index + column < bytes.count { column += 1 }
    indent = column
    let marker = bytes[index...].prefix(3)
    if column == 0, marker.elementsEqual("...".utf8) || marker.elementsEqual("---".utf8), isBlank(peek(3)) {
      let isFirst = marker.elementsEqual("---".utf8) && indents.isEmpty
      if !isFirst { throw refuse("holds more than one document") }
      index += 3
    }
  }

  private mutating func token(_ byte: UInt8) throws(Refusal) {
    if line == 1, index == 0, bytes.prefix(3).elementsEqual("---".utf8), isBlank(peek(3)) {
      index += 3
      return
    }
    guard atTokenStart else { return plainCharacter(byte) }
    switch byte {
    case UInt8(ascii: "%") where index == lineStart: throw refuse("holds a YAML directive")
    case UInt8(ascii: "&"): throw refuse("holds an anchor (&); blueprints write values out")
    case UInt8(ascii: "*"): throw refuse("holds an alias (*); quote a text that begins with *")
    case UInt8(ascii: "!"): throw refuse("holds a tag (!); quote a text that begins with !")
    case UInt8(ascii: "?") where isBlank(peek(1)): throw refuse("holds a complex key (?)")
    case UInt8(ascii: "-") where isBlank(peek(1)) && brackets == 0:
      try open(index - lineStart)
      dashes += 1
      index += 1
    case UInt8(ascii: "["), UInt8(ascii: "{"):
      try open(index - lineStart)
      brackets += 1
      if brackets + indents.count > Self.depthLimit { throw refuse("is nested deeper than \(Self.depthLimit) levels") }
      index += 1
    case UInt8(ascii: "]"), UInt8(ascii: "}"):
      brackets = max(0, brackets - 1)
      index += 1
      atTokenStart = false
    case UInt8(ascii: ","):
      index += 1
    case UInt8(ascii: "'"), UInt8(ascii: "\""): try quoted(byte)
    case UInt8(ascii: "|"), UInt8(ascii: ">"): blockScalar()
    default:
      try open(index - lineStart)
      atTokenStart = false
      plainCharacter(byte)
    }
  }

  /// A collection may begin at this column: closes the deeper ones.
  private mutating func open(_ column: Int) throws(Refusal) {
    guard brackets == 0 else { return }
    while let last = indents.last, last > column { indents.removeLast() }
    if indents.last != column { indents.append(column) }
    if indents.count + dashes > Self.depthLimit { throw refuse("is nested deeper than \(Self.depthLimit) levels") }
  }

  /// A character inside a plain text: `: ` ends a key, brackets and commas end a text inside brackets.
  private mutating func plainCharacter(_ byte: UInt8) {
    index += 1
    if byte == UInt8(ascii: ":"), isBlank(peek()) || (brackets > 0 && [0x2c, 0x5b, 0x5d, 0x7b, 0x7d].contains(peek())) {
      atTokenStart = true
    } else if brackets > 0, byte == UInt8(ascii: ",") {
      atTokenStart = true
    } else if brackets > 0, byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") {
      brackets -= 1
    } else if brackets > 0, byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") {
      brackets += 1
      atTokenStart = true
    }
  }

  private mutating func quoted(_ quote: UInt8) throws(Refusal) {
    let start = position
    index += 1
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
        index += peek(1) == 0x0a ? 1 : 2
      } else if byte == quote {
        index += 1
        if quote == UInt8(ascii: "'"), peek() == quote, index < bytes.count {
          index += 1
        } else {
          atTokenStart = false
          return
        }
      } else if byte == 0x0a {
        index += 1
        line += 1
        lineStart = index
      } else if (byte < 0x20 && byte != 0x09 && byte != 0x0d) || byte == 0x7f {
        throw refuse("holds a control character")
      } else {
        index += 1
      }
    }
    throw Refusal(position: start, message: "begins a quoted text that never ends")
  }

  /// Skips a literal or folded text: the lines indented deeper than the line it begins on.
  private mutating func blockScalar() {
    let parent = indents.last ?? 0
    let base = dashes > 0 ? max(parent, indent) : indent
    while index < bytes.count, bytes[index] != 0x0a { index += 1 }
    while index < bytes.count {
      var end = index + 1
      while end < bytes.count, bytes[end] == 0x20 { end += 1 }
      let isEmptyLine = end >= bytes.count || bytes[end] == 0x0a || bytes[end] == 0x0d
      guard isEmptyLine || end - index - 1 > base else { return }
      line += 1
      lineStart = index + 1
      index = end
      while index < bytes.count, bytes[index] != 0x0a { index += 1 }
    }
  }

  private func place(ofInvalidUTF8 bytes: [UInt8]) -> Position {
    var line = 1
    for part in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
      if String(validating: part, as: UTF8.self) == nil { break }
      line += 1
    }
    return Position(line: line, column: 1)
  }
}
