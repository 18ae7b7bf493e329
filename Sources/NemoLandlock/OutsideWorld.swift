import CKernel
import Glibc
import NemoKernel

/// An abstract socket that listens, made before the process is restricted and so outside of its scope.
struct AbstractSocket {
  private let listener: Int32
  private var address = sockaddr_un()
  private var length = socklen_t(MemoryLayout<sockaddr_un>.size)

  init() throws(Failure) {
    let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    listener = fd
    guard fd >= 0 else { throw .last("make the socket of the Landlock canary") }
    // With the family alone the kernel chooses a free abstract name (unix(7)).
    address.sun_family = sa_family_t(AF_UNIX)
    let family = socklen_t(MemoryLayout<sa_family_t>.size)
    guard withAddress({ bind(fd, $0, family) }) == 0, listen(fd, 1) == 0, readName() == 0 else {
      let failure = Failure.last("make the socket of the Landlock canary")
      close(fd)
      throw failure
    }
  }

  private mutating func readName() -> Int32 {
    let fd = listener
    var size = length
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &size) }
    }
    length = size
    return result
  }

  private func withAddress(_ body: (UnsafePointer<sockaddr>) -> Int32) -> Int32 {
    withUnsafePointer(to: address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
  }

  /// Connects to it with a socket made now.
  func connect() -> Int32 {
    let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if fd < 0 { return fd }
    let result = withAddress { Glibc.connect(fd, $0, length) }
    let error = nemo_get_errno()
    close(fd)
    nemo_set_errno(error)
    return result
  }

  func end() { close(listener) }
}

/// A process of the same user, made before this one is restricted and so outside of its scope.
struct OutsideProcess {
  /// Its pid.
  let pid: Int32

  init() throws(Failure) {
    pid = nemo_bystander()
    guard pid >= 0 else {
      throw .last("make the process of the Landlock canary", advice: "limits on processes must leave room for one more")
    }
  }

  func end() { nemo_dismiss_bystander(pid) }
}
