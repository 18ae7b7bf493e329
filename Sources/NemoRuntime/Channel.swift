import CKernel
import Glibc
import NemoKernel

/// What the runtime and the container's process say to each other while the container is being made.
///
/// One SEQPACKET socket pair, one message per step; the order is fixed:
/// ```
///   runtime                      container's process
///      | -- mapped -------------->|   user namespace maps are written (only with a new user namespace)
///      | -- cgroup + fds -------->|   join by writing "0" to each (after network devices, if any; with `exec` it has them)
///      |<------- network + fds ---|   only with network devices: the namespaces are made
///      | -- proceed ------------->|   the devices are in
///      |<------- source + fd -----|   for each idmapped bind mount whose source lies in the root file system
///      | -- proceed ------------->|   its ids are mapped
///      |<------- mounted ---------|   only when there are hooks: namespaces and mounts are ready, not yet pivoted
///      | -- proceed ------------->|   prestart and createRuntime hooks ran
///      |<------- landlock --------|   only with Landlock: the files of its rules, in one or several messages
///      |<------- listener + fd ---|   only with seccomp NOTIFY
///      | -- proceed ------------->|
///      |<------- ready -----------|   everything but the last steps before execve is done
///      | -- proceed ------------->|   the state is on disk
///      | -- start --------------->|   `run` and `exec`; `create` waits on the FIFO instead
///      |<------- (closed) --------|   execve succeeded
/// ```
/// `warning` and `failed` may come from the process at any time. Either side takes a closed socket as the other's death.
struct Channel {
  enum Kind: UInt8 {
    case mapped = 0x4d  // M
    case cgroup = 0x43  // C
    case network = 0x4e  // N
    case source = 0x42  // B
    case mounted = 0x48  // H
    case proceed = 0x47  // G
    case listener = 0x4c  // L
    case ready = 0x52  // R
    case start = 0x53  // S
    case warning = 0x57  // W
    case failed = 0x45  // E
    case landlock = 0x4b  // K
    case process = 0x50  // P
  }

  struct Message {
    var kind: Kind
    var body: [UInt8]
    var descriptors: [Int32]
  }

  /// Bytes of a warning or a failure.
  static let longestText = 12000
  /// Lines of a `landlock` message, which have at most 42 bytes.
  static let linesPerMessage = 256

  let socket: Int32

  func send(_ kind: Kind, _ body: [UInt8] = [], _ descriptors: [Int32] = []) throws(Failure) {
    try Descriptors.send([kind.rawValue] + body, descriptors, over: socket, subject: "the container's start channel")
  }

  /// Offers a seccomp listener by number, with write(2): a filter that asks about sendmsg(2) is already in force.
  func offer(_ listener: Int32) throws(Failure) {
    let bytes = [Kind.listener.rawValue] + Array(String(listener).utf8)
    guard write(socket, bytes, bytes.count) == bytes.count else { throw .last("offer the seccomp listener") }
  }

  /// The next message; nil when the other side closed.
  func next() throws(Failure) -> Message? {
    let (bytes, descriptors) = try receive()
    guard let first = bytes.first else { return nil }
    guard let kind = Kind(rawValue: first) else {
      throw Failure("read the container's start channel", reason: "unknown message \(first)")
    }
    return Message(kind: kind, body: Array(bytes.dropFirst()), descriptors: descriptors)
  }

  private func receive() throws(Failure) -> (bytes: [UInt8], descriptors: [Int32]) {
    let subject = "the container's start channel"
    do throws(Failure) {
      return try Descriptors.receive(over: socket, limit: 16384, descriptors: 64, subject: subject)
    } catch  where error.errno?.rawValue == ECONNRESET {
      // It ended without having read everything. That is told once; what it said before comes after (unix(7)).
      return try Descriptors.receive(over: socket, limit: 16384, descriptors: 64, subject: subject)
    }
  }

  /// The process's side: waits for exactly `kind`; the runtime's death ends the process.
  func expect(_ kind: Kind) throws(Failure) -> Message {
    guard let message = try next() else { throw Failure("wait for the runtime", reason: "it is gone") }
    guard message.kind == kind else {
      throw Failure("wait for the runtime", reason: "message \(message.kind) came instead of \(kind)")
    }
    return message
  }

  func sendFailure(_ failure: Failure) throws(Failure) {
    try send(.failed, Channel.encode(failure))
  }

  static func encode(_ failure: Failure) -> [UInt8] {
    let parts = [
      failure.operation, failure.subject, failure.errno.map { String($0.rawValue) } ?? "", failure.reason,
      failure.advice,
    ]
    return Array(parts.joined(separator: "\u{1f}").utf8.prefix(longestText))
  }

  static func decode(_ body: [UInt8]) -> Failure {
    let parts = String(decoding: body, as: UTF8.self).split(separator: "\u{1f}", omittingEmptySubsequences: false).map(
      String.init)
    guard parts.count == 5 else { return Failure(String(decoding: body, as: UTF8.self)) }
    return Failure(
      parts[0], parts[1], errno: Int32(parts[2]).map { Errno(rawValue: $0) }, reason: parts[3], advice: parts[4])
  }
}
