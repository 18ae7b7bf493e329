/// Looks into JSON text without parsing it.
///
/// What it says is true of well-formed text without duplicate keys; of other text it may say anything, and a parser must have the
/// last word.
public enum JSONText {
  /// Where the value at `path` is: names of members, from the top down; nil when it is not there or a name on the way is written
  /// with escapes.
  public static func value(at path: [StaticString], in text: [UInt8]) -> Range<Int>? {
    text.withUnsafeBufferPointer { buffer in
      var scanner = Scanner(text: buffer)
      scanner.skipSpace()
      for name in path {
        guard scanner.enterMember(name) else { return nil }
      }
      let start = scanner.position
      return scanner.skipValue() ? start..<scanner.position : nil
    }
  }
}

private struct Scanner {
  let text: UnsafeBufferPointer<UInt8>
  var position = 0

  init(text: UnsafeBufferPointer<UInt8>) { self.text = text }

  private var byte: UInt8 { position < text.count ? text[position] : 0 }

  mutating func skipSpace() {
    while byte == 0x20 || byte &- 0x09 < 5 { position += 1 }
  }

  /// From the start of an object to the value of its member `name`.
  mutating func enterMember(_ name: StaticString) -> Bool {
    guard byte == 0x7b else { return false }
    position += 1
    while true {
      skipSpace()
      let start = position + 1
      guard skipString() else { return false }
      let isIt = position - 1 - start == name.utf8CodeUnitCount && equal(start, name)
      skipSpace()
      guard byte == 0x3a else { return false }
      position += 1
      skipSpace()
      if isIt { return true }
      guard skipValue() else { return false }
      skipSpace()
      guard byte == 0x2c else { return false }
      position += 1
    }
  }

  private func equal(_ start: Int, _ name: StaticString) -> Bool {
    for i in 0..<name.utf8CodeUnitCount where text[start + i] != name.utf8Start[i] { return false }
    return true
  }

  private mutating func skipString() -> Bool {
    guard byte == 0x22 else { return false }
    position += 1
    while position < text.count {
      let byte = text[position]
      position += byte == 0x5c ? 2 : 1
      if byte == 0x22 { return true }
    }
    return false
  }

  /// Over one value, by its brackets.
  mutating func skipValue() -> Bool {
    var depth = 0
    while position < text.count {
      switch text[position] {
      case 0x22: guard skipString() else { return false }
      case 0x7b, 0x5b:
        depth += 1
        position += 1
        continue
      case 0x7d, 0x5d:
        depth -= 1
        position += 1
      default:
        // A number or a word, or what stands between values.
        position += 1
        if depth == 0 {
          while position < text.count, !JSONText.endsWord(text[position]) { position += 1 }
        }
      }
      if depth == 0 { return true }
      if depth < 0 { return false }
    }
    return false
  }
}

extension JSONText {
  fileprivate static func endsWord(_ byte: UInt8) -> Bool {
    byte == 0x2c || byte == 0x7d || byte == 0x5d || byte == 0x20 || byte &- 0x09 < 5
  }
}
