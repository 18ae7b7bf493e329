import NemoKernel

/// Builds a JSON text, compact or indented by two spaces.
///
/// Call `key` before each value inside an object; `begin`/`end` pairs must match.
public struct JSONWriter {
  /// The text so far (UTF-8).
  public private(set) var bytes: [UInt8] = []
  private let indented: Bool
  private var depth = 0
  private var needsComma = false
  private var afterKey = false

  /// Starts an empty text.
  public init(indented: Bool = false) {
    self.indented = indented
    bytes.reserveCapacity(1024)
  }

  private mutating func newline() {
    guard indented else { return }
    bytes.append(10)
    for _ in 0..<depth { bytes += [32, 32] }
  }

  private mutating func separate() {
    if afterKey {
      afterKey = false
      return
    }
    if needsComma { bytes.append(0x2c) }
    if depth > 0 { newline() }
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    depth += 1
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    depth -= 1
    if needsComma { newline() }
    bytes.append(bracket)
    needsComma = true
  }

  /// Opens an object.
  public mutating func beginObject() { open(0x7b) }
  /// Closes an object.
  public mutating func endObject() { close(0x7d) }
  /// Opens an array.
  public mutating func beginArray() { open(0x5b) }
  /// Closes an array.
  public mutating func endArray() { close(0x5d) }

  /// Writes a member's name.
  public mutating func key(_ name: String) {
    separate()
    quote(name)
    bytes.append(0x3a)
    if indented { bytes.append(32) }
    afterKey = true
  }

  /// Writes a string.
  public mutating func string(_ text: String) {
    separate()
    quote(text)
    needsComma = true
  }

  /// Writes a number that is already text, `true`, `false` or `null`.
  public mutating func raw(_ token: String) {
    separate()
    bytes += Array(token.utf8)
    needsComma = true
  }

  /// Writes an integer.
  public mutating func integer(_ number: some FixedWidthInteger) { raw(String(decimal: number)) }
  /// Writes a boolean.
  public mutating func boolean(_ value: Bool) { raw(value ? "true" : "false") }

  /// Writes a member with a string value.
  public mutating func member(_ name: String, _ value: String) {
    key(name)
    string(value)
  }
  /// Writes a member with an integer value.
  public mutating func member(_ name: String, _ value: some FixedWidthInteger) {
    key(name)
    integer(value)
  }
  /// Writes a member with a boolean value.
  public mutating func member(_ name: String, _ value: Bool) {
    key(name)
    boolean(value)
  }
  /// Writes a member with an array of strings.
  public mutating func member(_ name: String, _ values: [String]) {
    key(name)
    beginArray()
    for value in values { string(value) }
    endArray()
  }
  /// Writes a member with an object of strings, keys sorted.
  public mutating func member(_ name: String, _ values: [String: String]) {
    key(name)
    beginObject()
    for (key, value) in values.sorted(by: { $0.key < $1.key }) { member(key, value) }
    endObject()
  }

  private mutating func quote(_ text: String) {
    bytes.append(0x22)
    for byte in text.utf8 {
      switch byte {
      case 0x22, 0x5c: bytes += [0x5c, byte]
      case 0x0a: bytes += [0x5c, 0x6e]
      case 0x09: bytes += [0x5c, 0x74]
      case 0x0d: bytes += [0x5c, 0x72]
      case 0..<0x20, 0x7f:
        let hex = Array("0123456789abcdef".utf8)
        bytes += Array("\\u00".utf8) + [hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(0x22)
  }
}
