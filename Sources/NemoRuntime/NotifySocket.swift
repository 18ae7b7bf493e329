import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// Readiness of a container that a service manager started (sd_notify(3)): NOTIFY_SOCKET in the caller's environment.
///
/// The program gets a socket of its own at ``place``. Of what it says only that it is ready goes on to the manager, in the
/// runtime's words: everything else, such as another main process or a descriptor to keep, would be the container's to choose.
struct NotifySocket {
  /// The directory with the socket, in the container's state directory.
  static let directoryName = "notify"
  static let socketName = "notify.sock"
  /// Where the program finds the directory.
  static let place = "/run/notify"
  /// Bytes of a message that are read.
  static let messageLimit = 4096
  /// Milliseconds in which the manager has to say that it has read what came before.
  static let barrierTime: Int32 = 30_000

  /// The manager's socket, a path or an abstract name after a `@`; nil when there is none that can be reached like that.
  static var manager: String? {
    guard let value = getenv("NOTIFY_SOCKET") else { return nil }
    let name = String(cString: value)
    return name.hasPrefix("/") || name.hasPrefix("@") ? name : nil
  }

  /// The mount that brings the directory of container `id` in.
  static func mount(root: String, id: String) -> Mount {
    var mount = Mount(destination: place)
    mount.type = "bind"
    mount.source = "\(root)/\(id)/\(directoryName)"
    mount.options = ["bind", "nosuid", "noexec", "nodev", "ro"]
    return mount
  }

  /// What the program is told.
  static let variable = "NOTIFY_SOCKET=\(place)/\(socketName)"

  /// Makes the directory.
  static func prepare(_ directory: borrowing ContainerDirectory) throws(Failure) {
    try Files.makeDirectory(directoryName, mode: 0o755, at: directory.descriptor.raw)
    guard fchmodat(directory.descriptor.raw, directoryName, 0o755, 0) == 0 else {
      throw .last("make", "\(directory.path)/\(directoryName)")
    }
  }

  private let manager: String
  /// The container's end, non-blocking.
  let socket: Int32
  private var isReady = false

  /// Listens for a container that was made with a notification socket; nil when there is no manager, or the container has none.
  init?(_ directory: borrowing ContainerDirectory) throws(Failure) {
    guard let manager = NotifySocket.manager else { return nil }
    let name = NotifySocket.directoryName
    let place: OwnedDescriptor
    do throws(Failure) {
      place = try Files.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory.descriptor.raw)
    } catch  where error.errno == .noEntry { return nil }
    unlinkat(place.raw, NotifySocket.socketName, 0)
    let bound = try Descriptors.bind(NotifySocket.socketName, in: place.raw, type: Int32(SOCK_DGRAM.rawValue))
    // Whoever the program runs as may write.
    guard fchmodat(place.raw, NotifySocket.socketName, 0o777, 0) == 0 else {
      throw .last("make", "\(directory.path)/\(name)/\(NotifySocket.socketName)")
    }
    self.manager = manager
    socket = bound.take()
  }

  /// Reads what has come, and tells the manager once that the container is ready.
  ///
  /// - Parameters:
  ///   - pid: the process that the manager shall watch.
  ///   - isLast: the runtime ends next, so the manager has to have read it before.
  /// - Returns: whether the container is ready.
  mutating func relay(pid: Int32, isLast: Bool) throws(Failure) -> Bool {
    var buffer = [UInt8](repeating: 0, count: NotifySocket.messageLimit)
    while true {
      let n = read(socket, &buffer, buffer.count)
      if n < 0, nemo_get_errno() == EINTR { continue }
      guard n >= 0 else { return isReady }
      guard !isReady, buffer[..<n].split(separator: 10).contains(where: { $0.elementsEqual("READY=1".utf8) }) else {
        continue
      }
      isReady = true
      try tell(pid, isLast: isLast)
    }
  }

  private func tell(_ pid: Int32, isLast: Bool) throws(Failure) {
    do throws(Failure) {
      let connection = try Descriptors.connect(manager, type: Int32(SOCK_DGRAM.rawValue))
      try Descriptors.send(
        Array("READY=1\nMAINPID=\(pid)".utf8), [], over: connection.raw, subject: "the service manager")
      if isLast { try waitUntilRead(connection.raw) }
    } catch { throw error.within("tell the service manager at \(manager) that the container is ready") }
  }

  /// The manager closes the descriptor that comes with a barrier when it has read everything before it (sd_notify_barrier(3)). One
  /// that does not know barriers is not waited for longer than ``barrierTime``.
  private func waitUntilRead(_ connection: Int32) throws(Failure) {
    let pair = try Descriptors.socketPair(type: Int32(SOCK_STREAM.rawValue))
    try Descriptors.send(Array("BARRIER=1".utf8), [pair.far.raw], over: connection, subject: "the service manager")
    let near = pair.keepNear()
    var entry = pollfd(fd: near.raw, events: 0, revents: 0)
    while poll(&entry, 1, NotifySocket.barrierTime) < 0, nemo_get_errno() == EINTR {}
  }

  /// Waits until the container is ready or has ended, for a runtime that does not stay. The container runs: what the manager cannot
  /// be told is a warning.
  mutating func wait(pid: Int32, pidfd: Int32, _ context: RuntimeContext) {
    do throws(Failure) { try wait(pid: pid, pidfd: pidfd) } catch { context.warn(error.message) }
  }

  private mutating func wait(pid: Int32, pidfd: Int32) throws(Failure) {
    while true {
      var entries = [
        pollfd(fd: socket, events: Int16(POLLIN), revents: 0), pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0),
      ]
      if poll(&entries, UInt(entries.count), -1) < 0, nemo_get_errno() != EINTR { throw .last("poll") }
      if try relay(pid: pid, isLast: true) || entries[1].revents != 0 { return }
    }
  }
}
