/// The one pattern dialect of policies: `*` is any run of characters without the separator, `**` any run with it.
///
/// `/**` before another `/` or at the end stands for nothing too, so `/a/**` matches `/a` and `/a/**/b` matches `/a/b`:
/// a rule is never narrower than it reads. Everything else, `?` and `[` included, stands for itself. Matching is on
/// bytes and takes time in proportion to pattern times text, whatever the pattern.
public struct Glob: Sendable, Hashable, CustomStringConvertible {
  /// What `*` does not cross.
  public enum Separator: Sendable, Hashable {
    /// Paths.
    case slash
    /// Host names: `*` stays inside a label.
    case dot
    /// Query values, tool and operation names: `*` crosses everything.
    case none

    var byte: UInt8? {
      switch self {
      case .slash: UInt8(ascii: "/")
      case .dot: UInt8(ascii: ".")
      case .none: nil
      }
    }
  }

  private enum Token: Sendable, Hashable {
    case byte(UInt8)
    case star
    case anything
    /// A separator, then `treeBody`; or nothing at all.
    case tree
    case treeBody
  }

  /// The pattern as written.
  public let pattern: String
  /// What `*` does not cross.
  public let separator: Separator
  /// The bytes before the first wildcard; the whole pattern where there is none.
  private let prefix: [UInt8]
  private let rest: [Token]
  /// For each state the states that are entered with it, as bits; empty where there are too many states for that.
  private let closures: [UInt64]

  /// Compiles `pattern`; every text is a pattern.
  public init(_ pattern: String, separator: Separator) {
    self.pattern = pattern
    self.separator = separator
    let bytes = Array(pattern.utf8)
    let tokens = Self.tokens(bytes, separator.byte)
    let literal = tokens.prefix { if case .byte = $0 { true } else { false } }
    prefix = Array(bytes.prefix(literal.count))
    rest = Array(tokens.dropFirst(literal.count))
    closures = rest.count < UInt64.bitWidth ? Self.closures(rest) : []
  }

  private static func closures(_ tokens: [Token]) -> [UInt64] {
    var closures = [UInt64](repeating: 0, count: tokens.count + 1)
    closures[tokens.count] = 1 << UInt64(tokens.count)
    for state in tokens.indices.reversed() {
      closures[state] = 1 << UInt64(state)
      switch tokens[state] {
      case .byte: break
      case .star, .anything, .treeBody: closures[state] |= closures[state + 1]
      case .tree: closures[state] |= closures[state + 2]
      }
    }
    return closures
  }

  /// The pattern as written.
  public var description: String { pattern }

  /// Whether the pattern stands for exactly one text.
  public var isLiteral: Bool { rest.isEmpty }

  private static func tokens(_ bytes: [UInt8], _ separator: UInt8?) -> [Token] {
    let star = UInt8(ascii: "*")
    var tokens: [Token] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == separator, separator == UInt8(ascii: "/"),
        bytes[index...].dropFirst().prefix(2).elementsEqual([star, star]),
        index + 3 == bytes.count || bytes[index + 3] == separator
      {
        tokens += [.tree, .treeBody]
        index += 3
      } else if bytes[index] == star {
        let run = bytes[index...].prefix { $0 == star }.count
        tokens.append(run > 1 || separator == nil ? .anything : .star)
        index += run
      } else {
        tokens.append(.byte(bytes[index]))
        index += 1
      }
    }
    return tokens
  }

  /// Whether the whole of `text` matches. `text` must be in canonical form.
  public func matches(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
      guard bytes.count >= prefix.count, bytes.prefix(prefix.count).elementsEqual(prefix) else { return false }
      if rest.isEmpty { return bytes.count == prefix.count }
      if rest.count == 1, case .anything = rest[0] { return true }
      return closures.isEmpty ? simulate(bytes[prefix.count...]) : simulateInBits(bytes[prefix.count...])
    }
  }

  /// Follows every way through the tokens at once, the ways being the bits of a word.
  private func simulateInBits(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    let end = UInt64(1) << UInt64(rest.count)
    var active = closures[0]
    for byte in text {
      var pending = active & ~end
      var next: UInt64 = 0
      while pending != 0 {
        let state = pending.trailingZeroBitCount
        pending &= pending - 1
        switch rest[state] {
        case .byte(let wanted): if byte == wanted { next |= closures[state + 1] }
        case .star: if byte != separator.byte { next |= closures[state] }
        case .anything, .treeBody: next |= closures[state]
        case .tree: if byte == separator.byte { next |= closures[state + 1] }
        }
      }
      active = next
      if active == 0 { return false }
    }
    return active & end != 0
  }

  /// The same for any number of tokens.
  private func simulate(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    var active: [Int] = []
    var next: [Int] = []
    var seen = [Int](repeating: -1, count: rest.count + 1)
    enter(0, &active, &seen, 0)
    var round = 0
    for byte in text {
      round += 1
      next.removeAll(keepingCapacity: true)
      for state in active where state < rest.count {
        switch rest[state] {
        case .byte(let wanted): if byte == wanted { enter(state + 1, &next, &seen, round) }
        case .star: if byte != separator.byte { enter(state, &next, &seen, round) }
        case .anything, .treeBody: enter(state, &next, &seen, round)
        case .tree: if byte == separator.byte { enter(state + 1, &next, &seen, round) }
        }
      }
      swap(&active, &next)
      if active.isEmpty { return false }
    }
    return active.contains(rest.count)
  }

  private func enter(_ state: Int, _ states: inout [Int], _ seen: inout [Int], _ round: Int) {
    guard seen[state] != round else { return }
    seen[state] = round
    states.append(state)
    guard state < rest.count else { return }
    switch rest[state] {
    case .byte: break
    case .star, .anything, .treeBody: enter(state + 1, &states, &seen, round)
    case .tree: enter(state + 2, &states, &seen, round)
    }
  }
}
