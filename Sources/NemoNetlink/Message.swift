import CMnl
import Glibc
import NemoFence
import NemoKernel

typealias Attribute = Ruleset.Attribute

/// A message to the kernel: a fixed part and attributes.
struct Message {
  var kind: UInt16
  var flags: UInt16
  var fixed: [UInt8]
  var attributes: [Attribute] = []

  init(_ kind: UInt16, _ flags: Int32 = 0, fixed: [UInt8], _ attributes: [Attribute] = []) {
    self.kind = kind
    self.flags = UInt16(NLM_F_REQUEST) | UInt16(truncatingIfNeeded: flags)
    self.fixed = fixed
    self.attributes = attributes
  }

  /// The message as it is sent.
  func sealed(_ sequence: UInt32) -> [UInt8] {
    let size = attributes.reduce(mnl_nlmsg_size(Message.aligned(fixed.count))) {
      $0 + Message.aligned(4 + $1.bytes.count)
    }
    return withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { buffer in
      guard let base = buffer.baseAddress, let header = mnl_nlmsg_put_header(base) else { return [] }
      header.pointee.nlmsg_type = kind
      header.pointee.nlmsg_flags = flags
      header.pointee.nlmsg_seq = sequence
      mnl_nlmsg_put_extra_header(header, fixed.count)?.copyMemory(from: fixed, byteCount: fixed.count)
      for attribute in attributes { mnl_attr_put(header, attribute.kind, attribute.bytes.count, attribute.bytes) }
      return Array(UnsafeRawBufferPointer(start: base, count: Int(header.pointee.nlmsg_len)))
    }
  }

  private static func aligned(_ size: Int) -> Int { (size + 3) & ~3 }
}

extension Attribute {
  /// A text with its closing NUL.
  init(_ kind: UInt16, text: String) { self.init(kind, Array(text.utf8) + [0]) }
  /// A number in the machine's order.
  init<T: FixedWidthInteger>(_ kind: UInt16, native number: T) { self.init(kind, native(number)) }
}

/// The same by the names of C enumerations.
extension Attribute {
  init<Kind: RawRepresentable<UInt32>>(_ kind: Kind, _ bytes: [UInt8]) { self.init(UInt16(kind.rawValue), bytes) }
  init<Kind: RawRepresentable<UInt32>>(_ kind: Kind, _ number: UInt32) { self.init(UInt16(kind.rawValue), number) }
  init<Kind: RawRepresentable<UInt32>>(_ kind: Kind, text: String) { self.init(UInt16(kind.rawValue), text: text) }
  init<Kind: RawRepresentable<UInt32>>(_ kind: Kind, nesting inner: [Attribute]) {
    self.init(UInt16(kind.rawValue), nesting: inner)
  }
  init<Kind: RawRepresentable<UInt32>>(_ kind: Kind, nesting inner: Attribute...) {
    self.init(UInt16(kind.rawValue), nesting: inner)
  }
  init<Kind: RawRepresentable<UInt32>, T: FixedWidthInteger>(_ kind: Kind, native number: T) {
    self.init(UInt16(kind.rawValue), native: number)
  }
}

/// The bytes of a number in the machine's order.
func native<T: FixedWidthInteger>(_ number: T) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }

/// A message as it was received.
struct Reply {
  let kind: UInt16
  let flags: UInt16
  let sequence: UInt32
  let port: UInt32
  /// What follows the header.
  let body: [UInt8]

  /// The messages of one datagram; what is cut off at the end is left out.
  static func all(in datagram: [UInt8]) -> [Reply] {
    datagram.withUnsafeBytes { bytes in
      var replies: [Reply] = []
      var left = Int32(clamping: bytes.count)
      var next = bytes.baseAddress?.assumingMemoryBound(to: nlmsghdr.self)
      while let header = next, mnl_nlmsg_ok(header, left) {
        let body = UnsafeRawBufferPointer(
          start: mnl_nlmsg_get_payload(header), count: mnl_nlmsg_get_payload_len(header))
        replies.append(
          Reply(
            kind: header.pointee.nlmsg_type, flags: header.pointee.nlmsg_flags, sequence: header.pointee.nlmsg_seq,
            port: header.pointee.nlmsg_pid, body: Array(body)))
        next = UnsafePointer(mnl_nlmsg_next(header, &left))
      }
      return replies
    }
  }

  /// The attributes after the first `fixed` bytes, in their order.
  func attributes(after fixed: Int) -> [Attribute] { Reply.attributes(body[min(fixed, body.count)...]) }

  /// Attributes one after the other.
  static func attributes(_ bytes: ArraySlice<UInt8>) -> [Attribute] {
    bytes.withUnsafeBytes { bytes in
      var found: [Attribute] = []
      var at = 0
      while let base = bytes.baseAddress, at < bytes.count {
        let attribute = (base + at).assumingMemoryBound(to: nlattr.self)
        guard mnl_attr_ok(attribute, Int32(clamping: bytes.count - at)) else { break }
        let value = UnsafeRawBufferPointer(
          start: mnl_attr_get_payload(attribute), count: Int(mnl_attr_get_payload_len(attribute)))
        found.append(Attribute(mnl_attr_get_type(attribute), Array(value)))
        at += (Int(mnl_attr_get_len(attribute)) + 3) & ~3
      }
      return found
    }
  }

  /// An acknowledgement, or an error.
  var isError: Bool { kind == UInt16(NLMSG_ERROR) || (kind == UInt16(NLMSG_DONE) && error < 0) }

  /// The negative error number; 0 for an acknowledgement.
  var error: Int32 { body.number(0) ?? 0 }

  /// Throws what an error says, with the kernel's reason in words.
  func check(_ operation: String, _ subject: String) throws(Failure) {
    if error == 0 { return }
    var reason = ""
    let hasAttributes: UInt16 = 0x200
    if kind == UInt16(NLMSG_ERROR), flags & hasAttributes != 0 {
      // The request follows the error, whole or its header alone.
      let isCapped = flags & 0x100 != 0
      let length: UInt32 = body.number(4) ?? 0
      let said = attributes(after: 4 + (isCapped ? 16 : (Int(length) + 3) & ~3)).first { $0.kind == 1 }
      reason = said.map { $0.bytes.text } ?? ""
    }
    throw Failure(operation, subject, errno: Errno(rawValue: -error), reason: reason)
  }
}

extension [UInt8] {
  /// The number at `at` in the machine's order; nil when it is not all there.
  func number<T: FixedWidthInteger>(_ at: Int) -> T? {
    guard at >= 0, at + MemoryLayout<T>.size <= count else { return nil }
    return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: T.self) }
  }

  /// A text without its closing NUL.
  var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}

extension [Attribute] {
  /// The bytes of the last attribute of that number.
  subscript(kind: UInt16) -> [UInt8]? { last { $0.kind == kind }?.bytes }
  /// The same by the name of a C enumeration.
  subscript<Kind: RawRepresentable<UInt32>>(kind: Kind) -> [UInt8]? { self[UInt16(kind.rawValue)] }
}
