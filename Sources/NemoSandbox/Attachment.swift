import CWide
import Glibc

/// A person's terminal connected to a sandbox's.
public struct Attachment {
  /// How it ended.
  public enum End: Sendable {
    /// By the keys for it; the sandbox goes on.
    case detached
    /// The sandbox's terminal is gone.
    case closed
  }

  /// Control-P, Control-Q: Docker's.
  static let detachKeys: [UInt8] = [0x10, 0x11]

  private let socket: Descriptor

  /// Connects to the terminal of a sandbox that runs.
  public init(_ files: SandboxFiles) throws {
    // By the name in the directory: a path has few bytes in a socket's address.
    guard chdir(files.directory) == 0 else { throw SandboxFailure.last("enter", files.directory) }
    let fd = wide_unix_socket(SandboxFiles.attach, 0)
    guard fd >= 0 else { throw SandboxFailure.last("connect to the terminal of", files.name) }
    socket = Descriptor(adopting: fd)
  }

  /// Passes bytes both ways until either side ends. Standard input is put into raw mode where it is a terminal.
  public func run() throws -> End {
    var saved = termios()
    let isTerminal = tcgetattr(0, &saved) == 0
    if isTerminal {
      var raw = saved
      cfmakeraw(&raw)
      tcsetattr(0, TCSANOW, &raw)
    }
    defer { if isTerminal { tcsetattr(0, TCSANOW, &saved) } }
    var typed: [UInt8] = []
    var known = winsize()
    var reads = true
    while true {
      try reportSize(&known)
      var entries = [
        pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: reads ? 0 : -1, events: Int16(POLLIN), revents: 0),
      ]
      // The time-out notices a window that changed its size.
      if poll(&entries, 2, 200) < 0 {
        if errno == EINTR { continue }
        throw SandboxFailure.last("wait for", "the terminal")
      }
      var chunk = [UInt8](repeating: 0, count: 1024)
      if entries[0].revents != 0 {
        let count = read(socket.raw, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        if count <= 0 { return .closed }
        try RegistryFiles.writeAll(1, Array(chunk.prefix(count)), "standard output")
      }
      if entries[1].revents != 0 {
        let count = read(0, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        reads = count > 0
        if !reads && !isTerminal { continue }
        if !reads { return .detached }
        typed += chunk.prefix(count)
        if let end = Self.detach(in: typed) {
          try send(Array(typed[..<end]))
          return .detached
        }
        // The first of the keys alone waits for what follows it.
        let held = typed.last == Self.detachKeys[0] ? 1 : 0
        try send(Array(typed.dropLast(held)))
        typed = Array(typed.suffix(held))
      }
    }
  }

  /// Where the keys that detach begin.
  static func detach(in typed: [UInt8]) -> Int? {
    typed.indices.dropLast().first { typed[$0] == detachKeys[0] && typed[$0 + 1] == detachKeys[1] }
  }

  private func send(_ bytes: [UInt8]) throws {
    guard !bytes.isEmpty else { return }
    try RegistryFiles.writeAll(socket.raw, ConsoleFrame.input(bytes).bytes, "the sandbox's terminal")
  }

  private func reportSize(_ known: inout winsize) throws {
    var size = winsize()
    guard wide_get_window_size(1, &size) == 0, size.ws_row != known.ws_row || size.ws_col != known.ws_col else {
      return
    }
    known = size
    try RegistryFiles.writeAll(
      socket.raw, ConsoleFrame.size(rows: size.ws_row, columns: size.ws_col).bytes, "the sandbox's terminal")
  }
}
