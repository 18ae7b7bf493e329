import CKernel
import Glibc

/// Two connected sockets.
public struct SocketPair: ~Copyable {
  /// The end that the maker keeps.
  public let near: OwnedDescriptor
  /// The end that the other process gets.
  public let far: OwnedDescriptor

  /// The near end alone; the far end is closed.
  public consuming func keepNear() -> OwnedDescriptor { near }
  /// The far end alone; the near end is closed.
  public consuming func keepFar() -> OwnedDescriptor { far }
}

/// Sockets and descriptors that cross processes.
public enum Descriptors {
  /// A close-on-exec pair of connected unix sockets; `type` is SOCK_SEQPACKET where message borders matter.
  public static func socketPair(type: Int32 = Int32(SOCK_SEQPACKET.rawValue)) throws(Failure) -> SocketPair {
    var pair: (Int32, Int32) = (-1, -1)
    let failed = withUnsafeMutableBytes(of: &pair) { bytes in
      socketpair(
        AF_UNIX, type | Int32(SOCK_CLOEXEC.rawValue), 0, bytes.baseAddress?.assumingMemoryBound(to: Int32.self)) != 0
    }
    if failed { throw .last("socketpair") }
    return SocketPair(near: OwnedDescriptor(adopting: pair.0), far: OwnedDescriptor(adopting: pair.1))
  }

  /// Sends bytes (at least one) with descriptors (SCM_RIGHTS).
  public static func send(_ bytes: [UInt8], _ descriptors: [Int32], over socket: Int32, subject: String) throws(Failure)
  {
    let n = bytes.withUnsafeBytes { b in
      descriptors.withUnsafeBufferPointer { d in
        nemo_send_descriptors(socket, b.baseAddress, b.count, d.baseAddress, d.count)
      }
    }
    guard n == bytes.count else { throw .last("send to", subject) }
  }

  /// Receives one message and its descriptors; no bytes means the other side is gone.
  public static func receive(over socket: Int32, limit: Int = 65536, descriptors capacity: Int = 0, subject: String)
    throws(Failure) -> (bytes: [UInt8], descriptors: [Int32])
  {
    var descriptors = [Int32](repeating: -1, count: max(capacity, 1))
    var count = 0
    var got = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, size in
      got = descriptors.withUnsafeMutableBufferPointer { d in
        nemo_receive_descriptors(socket, buffer.baseAddress, buffer.count, d.baseAddress, capacity, &count)
      }
      size = max(got, 0)
    }
    guard got >= 0 else { throw .last("receive from", subject) }
    return (bytes, Array(descriptors.prefix(count)))
  }

  /// Connects to a unix socket by path, or by abstract name after a `@`.
  public static func connect(_ path: String, type: Int32 = Int32(SOCK_STREAM.rawValue)) throws(Failure)
    -> OwnedDescriptor
  {
    let fd = nemo_unix_connect(path, type)
    guard fd >= 0 else { throw .last("connect", path) }
    return OwnedDescriptor(adopting: fd)
  }

  /// A non-blocking unix socket called `name` in a directory; a longer path of the directory does not matter.
  public static func bind(_ name: String, in directory: Int32, type: Int32) throws(Failure) -> OwnedDescriptor {
    let fd = nemo_unix_bind("/proc/self/fd/\(directory)/\(name)", type)
    guard fd >= 0 else { throw .last("bind socket", name) }
    return OwnedDescriptor(adopting: fd)
  }

  /// Marks every descriptor from `first` on close-on-exec, so that none reaches a program (CVE-2024-21626).
  public static func closeOnExec(from first: UInt32) throws(Failure) {
    guard nemo_close_range(first, UInt32.max, 4) == 0 else { throw .last("close_range") }
  }
}
