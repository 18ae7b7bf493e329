import CMnl
import Glibc
import NemoFence
import NemoKernel

/// A socket to one part of the kernel's networking, by libmnl, in the network namespace in which it was opened (netlink(7)).
///
/// It can be used from outside of that namespace: the kernel acts where the socket was opened.
public struct Netlink: ~Copyable {
  /// Which part.
  public enum Part: Int32, Sendable {
    /// Devices, addresses, routes, neighbours (NETLINK_ROUTE).
    case routing = 0
    /// The packet filter (NETLINK_NETFILTER).
    case filter = 12
  }

  private let socket: OpaquePointer
  private var sequence: UInt32 = 0

  /// Bytes of the largest datagram that is read; the kernel splits lists to half of it.
  static let datagramLimit = 64 << 10
  /// How often a list that changed while it was read is read again.
  static let listTries = 8
  /// SOL_NETLINK, and its options EXT_ACK, CAP_ACK and GET_STRICT_CHK.
  private static let level: Int32 = 270

  /// Opens one in the caller's network namespace.
  public init(_ part: Part) throws(Failure) {
    guard let socket = mnl_socket_open2(part.rawValue, Int32(SOCK_CLOEXEC.rawValue)) else {
      throw .last("open a netlink socket")
    }
    guard mnl_socket_bind(socket, 0, 0) == 0 else {
      let failure = Failure.last("bind a netlink socket")
      mnl_socket_close(socket)
      throw failure
    }
    self.socket = socket
    // The kernel's reason in words, and lists of only what was asked for. Without them the answers are poorer, not wrong.
    var on: Int32 = 1
    for option in [11, 10, 12] as [Int32] {
      setsockopt(mnl_socket_get_fd(socket), Netlink.level, option, &on, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  deinit { mnl_socket_close(socket) }

  /// Sends a request that changes something, and waits for its acknowledgement.
  mutating func change(_ message: Message, _ operation: String, _ subject: String) throws(Failure) {
    var message = message
    message.flags |= UInt16(NLM_F_ACK)
    try change([message], operation, subject)
  }

  /// Sends requests in one datagram, and waits for the acknowledgement of the last one that asks for it.
  ///
  /// - Throws: the first error that any of them meets.
  mutating func change(_ messages: [Message], _ operation: String, _ subject: String) throws(Failure) {
    let first = sequence + 1
    var last = first
    var bytes: [UInt8] = []
    for message in messages {
      sequence += 1
      bytes += message.sealed(sequence)
      if message.flags & UInt16(NLM_F_ACK) != 0 { last = sequence }
    }
    try makeRoom(bytes.count)
    try send(bytes, operation, subject)
    while true {
      for reply in try receive(operation, subject) where reply.sequence >= first && reply.isError {
        try reply.check(operation, subject)
        if reply.sequence == last { return }
      }
    }
  }

  /// Sends a request for one thing, and returns the answer; nil when the kernel says that there is none (`missing`).
  mutating func find(_ message: Message, missing: [Int32], _ operation: String, _ subject: String) throws(Failure)
    -> Reply?
  {
    sequence += 1
    try send(message.sealed(sequence), operation, subject)
    while true {
      for reply in try receive(operation, subject) where reply.sequence == sequence {
        guard reply.isError else { return reply }
        if missing.contains(-reply.error) { return nil }
        try reply.check(operation, subject)
      }
    }
  }

  /// Sends a request for a list, and returns all of it as it was at one moment; empty when there is nothing to list (`missing`).
  mutating func list(_ message: Message, missing: [Int32] = [], _ operation: String, _ subject: String)
    throws(Failure) -> [Reply]
  {
    var message = message
    message.flags |= UInt16(NLM_F_DUMP)
    for _ in 0..<Netlink.listTries {
      if let found = try listOnce(message, missing, operation, subject) { return found }
    }
    throw Failure(operation, subject, errno: .again, reason: "it keeps changing")
  }

  private mutating func listOnce(_ message: Message, _ missing: [Int32], _ operation: String, _ subject: String)
    throws(Failure) -> [Reply]?
  {
    sequence += 1
    try send(message.sealed(sequence), operation, subject)
    var found: [Reply] = []
    var changed = false
    while true {
      for reply in try receive(operation, subject) where reply.sequence == sequence {
        if reply.flags & UInt16(NLM_F_DUMP_INTR) != 0 { changed = true }
        if reply.isError {
          if missing.contains(-reply.error) { return [] }
          try reply.check(operation, subject)
        } else if reply.kind == UInt16(NLMSG_DONE) {
          return changed ? nil : found
        } else {
          found.append(reply)
        }
      }
    }
  }

  /// The kernel takes a datagram only if all of it fits into the socket's buffer.
  private func makeRoom(_ size: Int) throws(Failure) {
    guard size > Netlink.datagramLimit else { return }
    var bytes = Int32(clamping: size * 2)
    // SO_SNDBUFFORCE goes beyond net.core.wmem_max.
    let force: Int32 = 32
    let fd = mnl_socket_get_fd(socket)
    guard setsockopt(fd, SOL_SOCKET, force, &bytes, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
      throw .last("enlarge a netlink socket's buffer")
    }
  }

  private func send(_ bytes: [UInt8], _ operation: String, _ subject: String) throws(Failure) {
    guard retrying({ mnl_socket_sendto(socket, bytes, bytes.count) }) == bytes.count else {
      throw .last(operation, subject)
    }
  }

  private func receive(_ operation: String, _ subject: String) throws(Failure) -> [Reply] {
    var count = 0
    let datagram = [UInt8](unsafeUninitializedCapacity: Netlink.datagramLimit) { buffer, initialized in
      count = retrying { mnl_socket_recvfrom(socket, buffer.baseAddress, buffer.count) }
      initialized = max(count, 0)
    }
    guard count >= 0 else { throw .last(operation, subject) }
    let port = mnl_socket_get_portid(socket)
    return Reply.all(in: datagram).filter { $0.port == port }
  }
}
