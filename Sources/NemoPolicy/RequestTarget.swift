/// An HTTP request target in the one form that rules are matched on.
public struct RequestTarget: Sendable, Hashable {
  /// The decoded path: begins with `/`, no dot segments, no empty segments.
  public let path: String
  /// The decoded query, in order.
  public let query: [(name: String, value: String)]

  /// Why a target is not decided but refused.
  public struct Refusal: Error, Equatable {
    /// What is wrong, as in "holds an encoded slash".
    public let reason: String
  }

  /// Two targets with the same path and query.
  public static func == (a: RequestTarget, b: RequestTarget) -> Bool {
    a.path == b.path && a.query.map(\.name) == b.query.map(\.name) && a.query.map(\.value) == b.query.map(\.value)
  }

  /// Hashes path and query.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(path)
    for item in query {
      hasher.combine(item.name)
      hasher.combine(item.value)
    }
  }

  /// Makes `target` (origin form) canonical.
  ///
  /// Encodings that servers read in more than one way are refused: a slash, backslash or NUL in disguise, an escape
  /// of an escape, path parameters on dot segments, bytes that are no UTF-8.
  ///
  /// - Parameter allowsEncodedSlash: keep `%2F` as part of its segment instead of refusing it.
  public init(_ target: String, allowsEncodedSlash: Bool = false) throws(Refusal) {
    let bytes = Array(target.utf8)
    guard bytes.first == UInt8(ascii: "/") else { throw Refusal(reason: "does not begin with /") }
    guard bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      throw Refusal(reason: "holds a space or control character")
    }
    guard !bytes.contains(UInt8(ascii: "#")) else { throw Refusal(reason: "holds a fragment") }
    guard !bytes.contains(UInt8(ascii: "\\")) else { throw Refusal(reason: "holds a backslash") }
    let mark = bytes.firstIndex(of: UInt8(ascii: "?")) ?? bytes.endIndex
    path = try Self.path(bytes[..<mark], allowsEncodedSlash)
    var items: [(name: String, value: String)] = []
    for item in bytes[mark...].dropFirst().split(separator: UInt8(ascii: "&")) {
      let equals = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
      let name = try Self.text(Self.decode(item[..<equals], form: true))
      items.append((name, try Self.text(Self.decode(item[equals...].dropFirst(), form: true))))
    }
    query = items
  }

  private static func path(_ raw: ArraySlice<UInt8>, _ allowsEncodedSlash: Bool) throws(Refusal) -> String {
    var segments: [String] = []
    let parts = raw.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
    for (index, part) in zip(parts.indices, parts) {
      let decoded = try decode(part, form: false)
      let name = decoded.prefix { $0 != UInt8(ascii: ";") }
      let dots = name.elementsEqual(".".utf8) ? 1 : name.elementsEqual("..".utf8) ? 2 : 0
      if dots > 0 && name.count < decoded.count { throw Refusal(reason: "holds a dot segment with parameters") }
      if decoded.contains(0) || decoded.contains(UInt8(ascii: "\\")) {
        throw Refusal(reason: "holds an encoded NUL or backslash")
      }
      if decoded.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
        throw Refusal(reason: "holds an encoded control character")
      }
      if holdsEscape(decoded) { throw Refusal(reason: "holds an escape of an escape") }
      if decoded.contains(UInt8(ascii: "/")) && !allowsEncodedSlash { throw Refusal(reason: "holds an encoded slash") }
      let isLast = index == parts.endIndex - 1
      switch dots {
      case 1: if isLast { segments.append("") }
      case 2:
        if segments.popLast() == nil { throw Refusal(reason: "leads above the root") }
        if isLast { segments.append("") }
      default:
        if !decoded.isEmpty || isLast {
          let kept = decoded.flatMap { $0 == UInt8(ascii: "/") ? Array("%2F".utf8) : [$0] }
          segments.append(try text(kept))
        }
      }
    }
    return "/" + segments.joined(separator: "/")
  }

  private static func decode(_ raw: ArraySlice<UInt8>, form: Bool) throws(Refusal) -> [UInt8] {
    if !raw.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) { return Array(raw) }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(raw.count)
    var index = raw.startIndex
    while index < raw.endIndex {
      if raw[index] == UInt8(ascii: "%") {
        guard index + 2 < raw.endIndex, let high = hex(raw[index + 1]), let low = hex(raw[index + 2]) else {
          throw Refusal(reason: "holds a % that is no escape")
        }
        decoded.append(high << 4 | low)
        index += 3
      } else {
        decoded.append(form && raw[index] == UInt8(ascii: "+") ? 0x20 : raw[index])
        index += 1
      }
    }
    return decoded
  }

  private static func holdsEscape(_ bytes: [UInt8]) -> Bool {
    bytes.indices.dropLast(2).contains {
      bytes[$0] == UInt8(ascii: "%") && hex(bytes[$0 + 1]) != nil && hex(bytes[$0 + 2]) != nil
    }
  }

  private static func text(_ bytes: [UInt8]) throws(Refusal) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw Refusal(reason: "is not UTF-8") }
    return text
  }

  private static func hex(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}
