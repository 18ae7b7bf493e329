import CWide
import Glibc

/// The keeper's side of a sandbox's terminal: its output goes to the log, to a short memory, and to whoever is attached.
final class Console {
  private final class Client {
    let socket: Descriptor
    var pending: [UInt8] = []

    init(_ socket: Descriptor) { self.socket = socket }
  }

  private let listener: Descriptor
  private let terminal: Descriptor
  private var clients: [Client] = []
  private var replay: [UInt8] = []

  /// A console for the terminal's master; clients connect to `name` in the working directory.
  init(terminal: Descriptor, name: String) throws {
    self.terminal = terminal
    unlink(name)
    let fd = wide_unix_socket(name, 1)
    guard fd >= 0 else { throw SandboxFailure.last("listen on", name) }
    listener = Descriptor(adopting: fd)
    guard chmod(name, 0o600) == 0 else { throw SandboxFailure.last("chmod", name) }
  }

  /// What to wait for: the listener first, then each client.
  var waiting: [pollfd] {
    ([listener.raw] + clients.map(\.socket.raw)).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  }

  /// Takes new clients and what the present ones sent.
  func handle(_ events: ArraySlice<pollfd>) {
    let ready = Set(events.filter { $0.revents != 0 }.map(\.fd))
    for client in clients where ready.contains(client.socket.raw) { receive(client) }
    guard ready.contains(listener.raw) else { return }
    let fd = accept(listener.raw, nil, nil)
    guard fd >= 0 else { return }
    let client = Client(Descriptor(adopting: fd))
    guard clients.count < SandboxLimits.clients, fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 else { return }
    clients.append(client)
    send(replay, to: client)
  }

  private func receive(_ client: Client) {
    var chunk = [UInt8](repeating: 0, count: ConsoleFrame.limit)
    let count = recv(client.socket.raw, &chunk, chunk.count, Int32(MSG_DONTWAIT))
    if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
    client.pending += chunk.prefix(max(count, 0))
    guard count > 0, let frames = ConsoleFrame.take(&client.pending) else {
      clients.removeAll { $0 === client }
      return
    }
    for frame in frames {
      switch frame {
      case .input(let bytes):
        // A program that does not read its terminal makes typing wait, not the keeper.
        _ = bytes.withUnsafeBytes { write(terminal.raw, $0.baseAddress, $0.count) }
      case .size(let rows, let columns):
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = wide_set_window_size(terminal.raw, &size)
      }
    }
  }

  /// Shows output to everybody, and remembers its end.
  func show(_ bytes: [UInt8]) {
    replay += bytes
    if replay.count > SandboxLimits.replay { replay.removeFirst(replay.count - SandboxLimits.replay) }
    for client in clients { send(bytes, to: client) }
  }

  /// Who reads too slowly is let go; reattaching shows the end of the output again.
  private func send(_ bytes: [UInt8], to client: Client) {
    guard !bytes.isEmpty else { return }
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    let count = bytes.withUnsafeBytes { Glibc.send(client.socket.raw, $0.baseAddress, $0.count, flags) }
    if count != bytes.count { clients.removeAll { $0 === client } }
  }
}
