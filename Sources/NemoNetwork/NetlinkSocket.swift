import CKernel
import Glibc
import NemoKernel

/// A socket to the routing part of the kernel, in the network namespace in which it was opened (rtnetlink(7)).
///
/// It can be used from outside of that namespace: the kernel acts where the socket was opened.
public struct NetlinkSocket: ~Copyable {
  private let descriptor: OwnedDescriptor
  private var sequence: UInt32 = 0

  /// Bytes of the largest datagram that is read; the kernel splits what is longer.
  static let datagramLimit = 64 << 10
  /// How often a list that changed while it was read is read again.
  static let dumpTries = 8

  /// Opens one in the caller's network namespace.
  public init() throws(Failure) {
    let netlink: Int32 = 16
    let fd = socket(netlink, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw .last("open a netlink socket") }
    self.init(adopting: fd)
  }

  /// Takes over the number of one that another process opened.
  public init(adopting raw: Int32) {
    descriptor = OwnedDescriptor(adopting: raw)
    // The kernel's reason in words, and lists of only what was asked for. Without them the answers are poorer, not wrong.
    let level: Int32 = 270
    var on: Int32 = 1
    for option in [11, 12] as [Int32] { setsockopt(raw, level, option, &on, socklen_t(MemoryLayout<Int32>.size)) }
  }

  /// The number, valid while the owner lives.
  public var raw: Int32 { descriptor.raw }

  /// Sends a request that changes something, and waits for its acknowledgement.
  mutating func change(_ message: NetlinkMessage, _ operation: String, _ subject: String) throws(Failure) {
    try send(message, operation, subject)
    while true {
      for reply in try receive(operation, subject) where reply.kind == NetlinkMessage.Kind.error {
        return try NetlinkSocket.check(reply, operation, subject)
      }
    }
  }

  /// Sends a request for one thing, and returns the answer.
  mutating func get(_ message: NetlinkMessage, _ operation: String, _ subject: String) throws(Failure) -> NetlinkReply {
    try send(message, operation, subject)
    while true {
      for reply in try receive(operation, subject) {
        guard reply.kind == NetlinkMessage.Kind.error else { return reply }
        try NetlinkSocket.check(reply, operation, subject)
      }
    }
  }

  /// Sends a request for a list, and returns all of it as it was at one moment.
  mutating func list(_ message: NetlinkMessage, _ operation: String, _ subject: String) throws(Failure)
    -> [NetlinkReply]
  {
    for _ in 0..<NetlinkSocket.dumpTries {
      if let found = try listOnce(message, operation, subject) { return found }
    }
    throw Failure(operation, subject, errno: .again, reason: "it keeps changing")
  }

  /// The list, or nil when it changed while it was read.
  private mutating func listOnce(_ message: NetlinkMessage, _ operation: String, _ subject: String) throws(Failure)
    -> [NetlinkReply]?
  {
    try send(message, operation, subject)
    var found: [NetlinkReply] = []
    var interrupted = false
    while true {
      for reply in try receive(operation, subject) {
        if reply.flags & NetlinkMessage.Flag.interrupted != 0 { interrupted = true }
        switch reply.kind {
        case NetlinkMessage.Kind.error: try NetlinkSocket.check(reply, operation, subject)
        case NetlinkMessage.Kind.done: return interrupted ? nil : found
        default: found.append(reply)
        }
      }
    }
  }

  private mutating func send(_ message: NetlinkMessage, _ operation: String, _ subject: String) throws(Failure) {
    sequence += 1
    let bytes = message.sealed(sequence: sequence)
    let sent = Glibc.send(raw, bytes, bytes.count, 0)
    guard sent == bytes.count else { throw .last(operation, subject) }
  }

  /// The next messages of the kernel to the last request. Others may write to the socket's port: what does not come from the kernel
  /// (port 0, netlink(7)) is dropped.
  private func receive(_ operation: String, _ subject: String) throws(Failure) -> [NetlinkReply] {
    var address = [UInt8](repeating: 0, count: 12)
    while true {
      var length = socklen_t(address.count)
      var got = 0
      let datagram = [UInt8](unsafeUninitializedCapacity: NetlinkSocket.datagramLimit) { buffer, count in
        got = address.withUnsafeMutableBytes { name in
          recvfrom(
            raw, buffer.baseAddress, buffer.count, Int32(MSG_TRUNC),
            name.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        count = max(0, min(got, buffer.count))
      }
      if got < 0 {
        if nemo_get_errno() == EINTR { continue }
        throw .last(operation, subject)
      }
      guard got <= NetlinkSocket.datagramLimit else {
        throw Failure(operation, subject, reason: "the kernel's answer has \(got) bytes")
      }
      guard NetlinkReply.read(address, 4) == UInt32(0) else { continue }
      let answers = NetlinkReply.all(in: datagram).filter { $0.sequence == sequence }
      if !answers.isEmpty { return answers }
    }
  }

  /// Throws what an NLMSG_ERROR says, with the kernel's reason in words; an error of 0 is an acknowledgement.
  private static func check(_ reply: NetlinkReply, _ operation: String, _ subject: String) throws(Failure) {
    let code: Int32 = NetlinkReply.read(reply.body, 0) ?? -EBADMSG
    if code == 0 { return }
    var reason = ""
    if reply.flags & NetlinkMessage.Flag.attributes != 0 {
      // The request follows the error, whole or its header alone.
      let request: UInt32 = NetlinkReply.read(reply.body, 4) ?? 0
      let length =
        reply.flags & NetlinkMessage.Flag.capped != 0 ? NetlinkMessage.headerLength : (Int(request) + 3) & ~3
      reason = reply.attributes(after: 4 + length)[1].map(NetlinkReply.text) ?? ""
    }
    throw Failure(operation, subject, errno: Errno(rawValue: -code), reason: reason)
  }
}
