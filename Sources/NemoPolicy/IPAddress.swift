/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses become IPv4, so that no rule can be passed by in disguise.
public struct IPAddress: Sendable, Hashable, CustomStringConvertible {
  /// The bytes in network order: 4 or 16.
  public let bytes: [UInt8]

  /// An address of 4 or 16 bytes in network order; nil for any other count.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    let mapped = bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
    self.bytes = mapped ? Array(bytes.suffix(4)) : bytes
  }

  /// Parses dotted decimal without leading zeros, or RFC 4291 text without a zone.
  public init?(_ text: String) {
    guard let bytes = text.contains(":") ? Self.v6(text) : Self.v4(text) else { return nil }
    self.init(bytes: bytes)
  }

  /// Whether the address is IPv4.
  public var isIPv4: Bool { bytes.count == 4 }

  /// The usual text: dotted decimal, or RFC 5952.
  public var description: String {
    if isIPv4 { return bytes.map(String.init).joined(separator: ".") }
    let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    var best = 0..<0
    var start = 0
    while start < 8 {
      let run = groups[start...].prefix { $0 == 0 }.count
      if run > 1, run > best.count { best = start..<start + run }
      start += max(run, 1)
    }
    let hex = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
    return best.isEmpty ? hex(groups[...]) : hex(groups[..<best.lowerBound]) + "::" + hex(groups[best.upperBound...])
  }

  private static func v4(_ text: String) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    let bytes = parts.compactMap { part -> UInt8? in
      let digits = part.utf8.allSatisfy { (0x30...0x39).contains($0) }
      return digits && (part.count == 1 || part.first != "0") ? UInt8(part) : nil
    }
    return bytes.count == 4 ? bytes : nil
  }

  private static func v6(_ text: String) -> [UInt8]? {
    var text = text
    var tail: [UInt8] = []
    if let colon = text.lastIndex(of: ":"), text[colon...].contains(".") {
      guard let dotted = v4(String(text[text.index(after: colon)...])) else { return nil }
      tail = dotted
      text = String(text[...colon])
      if !text.hasSuffix("::") { text.removeLast() }
    }
    let halves = split(text)
    guard halves.count <= 2 else { return nil }
    var parsed: [[UInt8]] = []
    for half in halves {
      guard let bytes = groups(half) else { return nil }
      parsed.append(bytes)
    }
    let head = parsed.first ?? []
    let rest = (parsed.count == 2 ? parsed[1] : []) + tail
    guard halves.count == 2 else { return head.count + tail.count == 16 ? head + tail : nil }
    guard head.count + rest.count <= 14 else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - rest.count) + rest
  }

  /// The text around each `::`.
  private static func split(_ text: String) -> [String] {
    var parts = [""]
    var index = text.startIndex
    while index < text.endIndex {
      if text[index...].hasPrefix("::") {
        parts.append("")
        index = text.index(index, offsetBy: 2)
      } else {
        parts[parts.count - 1].append(text[index])
        index = text.index(after: index)
      }
    }
    return parts
  }

  private static func groups(_ text: String) -> [UInt8]? {
    guard !text.isEmpty else { return [] }
    var bytes: [UInt8] = []
    for group in text.split(separator: ":", omittingEmptySubsequences: false) {
      guard (1...4).contains(group.utf8.count), group.allSatisfy(\.isHexDigit), let value = UInt16(group, radix: 16)
      else { return nil }
      bytes += [UInt8(value >> 8), UInt8(value & 0xff)]
    }
    return bytes
  }
}

/// A range of addresses in CIDR notation.
public struct IPNetwork: Sendable, Hashable, CustomStringConvertible {
  /// The first address.
  public let base: IPAddress
  /// Leading bits that are fixed: up to 32 or 128.
  public let prefix: Int

  /// Why a text is no range.
  public enum ParseError: Error, Equatable {
    /// Not an address, or not a prefix length in range.
    case malformed
    /// Bits after the prefix are set; `meant` has them cleared.
    case hostBits(meant: String)
  }

  /// Parses `ADDRESS` or `ADDRESS/PREFIX`.
  public init(_ text: String) throws(ParseError) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let address = IPAddress(String(parts[0])) else { throw .malformed }
    let width = address.bytes.count * 8
    guard parts.count == 2 else {
      self.init(base: address, prefix: width)
      return
    }
    let digits =
      parts[1].utf8.allSatisfy { (0x30...0x39).contains($0) } && (parts[1].count == 1 || parts[1].first != "0")
    guard digits, let prefix = Int(parts[1]), prefix <= width, !(address.isIPv4 && parts[0].contains(":")) else {
      throw .malformed
    }
    let masked = Self.mask(address, prefix)
    guard masked == address else { throw .hostBits(meant: "\(masked)/\(prefix)") }
    self.init(base: address, prefix: prefix)
  }

  init(base: IPAddress, prefix: Int) {
    self.base = base
    self.prefix = prefix
  }

  /// `ADDRESS/PREFIX`, or the address alone where it is the only one.
  public var description: String { prefix == base.bytes.count * 8 ? "\(base)" : "\(base)/\(prefix)" }

  /// Whether `address` is in the range; addresses of the other family never are.
  public func contains(_ address: IPAddress) -> Bool {
    address.bytes.count == base.bytes.count && Self.mask(address, prefix) == base
  }

  /// Whether every address of `other` is in the range.
  public func contains(_ other: IPNetwork) -> Bool { other.prefix >= prefix && contains(other.base) }

  /// `address` with the bits after `prefix` cleared.
  static func mask(_ address: IPAddress, _ prefix: Int) -> IPAddress {
    var bytes = address.bytes
    for index in bytes.indices {
      let kept = max(0, min(8, prefix - index * 8))
      bytes[index] &= kept == 0 ? 0 : UInt8(truncatingIfNeeded: 0xff << (8 - kept))
    }
    return IPAddress(bytes: bytes) ?? address
  }
}
