/// One message of rtnetlink(7), written or read. Numbers are in the machine's byte order, parts are padded to four bytes.
///
/// Written by hand: Debian ships no static libmnl, and the executable is static. It needs four kinds of messages.
struct NetlinkMessage {
  /// RTM_*, NLMSG_ERROR or NLMSG_DONE.
  enum Kind {
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let newLink: UInt16 = 16
    static let getLink: UInt16 = 18
    static let newAddress: UInt16 = 20
    static let getAddress: UInt16 = 22
  }

  /// NLM_F_*.
  enum Flag {
    static let request: UInt16 = 0x1
    static let acknowledge: UInt16 = 0x4
    static let interrupted: UInt16 = 0x10
    static let capped: UInt16 = 0x100
    static let attributes: UInt16 = 0x200
    static let exclusive: UInt16 = 0x200
    static let dump: UInt16 = 0x300
    static let create: UInt16 = 0x400
  }

  /// Bytes of the header: length, kind, flags, sequence number, port.
  static let headerLength = 16

  /// The message from its header on; the length is filled in when it is sent.
  private(set) var bytes: [UInt8]

  /// Starts a message with its fixed part.
  init(_ kind: UInt16, _ flags: UInt16, fixed: [UInt8]) {
    bytes = [0, 0, 0, 0]
    bytes += NetlinkMessage.number(kind)
    bytes += NetlinkMessage.number(flags)
    bytes += [UInt8](repeating: 0, count: 8)
    bytes += fixed
  }

  /// The fixed part of a message about a link (struct ifinfomsg).
  static func link(index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) -> [UInt8] {
    [0, 0, 0, 0] + number(index) + number(flags) + number(change)
  }

  /// The fixed part of a message about an address (struct ifaddrmsg).
  static func address(family: UInt8 = 0, prefix: UInt8 = 0, flags: UInt8 = 0, scope: UInt8 = 0, index: Int32)
    -> [UInt8]
  {
    [family, prefix, flags, scope] + number(index)
  }

  /// The bytes of a number.
  static func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

  /// Adds an attribute.
  mutating func add(_ attribute: UInt16, _ value: [UInt8]) {
    bytes += NetlinkMessage.number(UInt16(4 + value.count))
    bytes += NetlinkMessage.number(attribute)
    bytes += value
    while bytes.count % 4 != 0 { bytes.append(0) }
  }

  /// Adds a text with its closing NUL.
  mutating func add(_ attribute: UInt16, _ text: String) { add(attribute, Array(text.utf8) + [0]) }

  /// The message as it is sent, with its length and `sequence`.
  func sealed(sequence: UInt32) -> [UInt8] {
    var bytes = bytes
    bytes.replaceSubrange(0..<4, with: NetlinkMessage.number(UInt32(bytes.count)))
    bytes.replaceSubrange(8..<12, with: NetlinkMessage.number(sequence))
    return bytes
  }
}

/// A message as it was received.
struct NetlinkReply {
  let kind: UInt16
  let flags: UInt16
  let sequence: UInt32
  /// What follows the header.
  let body: [UInt8]

  /// The messages of one datagram; what is cut off at the end is left out.
  static func all(in datagram: [UInt8]) -> [NetlinkReply] {
    var replies: [NetlinkReply] = []
    var at = 0
    while let length: UInt32 = read(datagram, at), let kind: UInt16 = read(datagram, at + 4),
      let flags: UInt16 = read(datagram, at + 6), let sequence: UInt32 = read(datagram, at + 8)
    {
      let end = at + Int(length)
      guard Int(length) >= NetlinkMessage.headerLength, end <= datagram.count else { break }
      replies.append(
        NetlinkReply(
          kind: kind, flags: flags, sequence: sequence, body: Array(datagram[at + NetlinkMessage.headerLength..<end])))
      at = (end + 3) & ~3
    }
    return replies
  }

  /// The attributes after the first `fixed` bytes, by number; of several with one number the last.
  func attributes(after fixed: Int) -> [UInt16: [UInt8]] {
    var found: [UInt16: [UInt8]] = [:]
    var at = fixed
    while let length: UInt16 = NetlinkReply.read(body, at), let kind: UInt16 = NetlinkReply.read(body, at + 2) {
      let end = at + Int(length)
      guard length >= 4, end <= body.count else { break }
      // The two highest bits say how the value is made (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
      found[kind & 0x3fff] = Array(body[at + 4..<end])
      at = (end + 3) & ~3
    }
    return found
  }

  /// The number at `at`, or nil when it is not all there.
  static func read<T: FixedWidthInteger>(_ bytes: [UInt8], _ at: Int) -> T? {
    guard at >= 0, at + MemoryLayout<T>.size <= bytes.count else { return nil }
    return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: T.self) }
  }

  /// A text without its closing NUL.
  static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
}
