import Glibc
import NemoBlueprint

/// The output of a sandbox's program, in the form that Kubernetes gives container logs: a line is
/// `TIME stdout|stderr F|P TEXT`, P where the text goes on in the next line.
final class OutputLog {
  private let path: String
  private var file: Descriptor
  private var size = 0

  /// A new log; the one of the run before is kept as `.1`.
  init(_ path: String) throws {
    self.path = path
    file = try Self.begin(path)
  }

  private static func begin(_ path: String) throws -> Descriptor {
    guard rename(path, path + ".1") == 0 || errno == ENOENT else { throw SandboxFailure.last("rename", path) }
    return try Descriptor(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, mode: 0o600)
  }

  /// Adds what came from `stream`.
  func write(_ bytes: some Collection<UInt8>, _ stream: String) throws {
    var text: [UInt8] = []
    let time = Array("\(Clock.now) \(stream) ".utf8)
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
      let piece = rest.prefix(SandboxLimits.piece)
      let end = piece.firstIndex(of: 0x0a)
      text +=
        time + [end == nil ? UInt8(ascii: "P") : UInt8(ascii: "F"), 0x20] + piece[..<(end ?? piece.endIndex)] + [0x0a]
      rest = rest[(end.map { $0 + 1 } ?? piece.endIndex)...]
    }
    if size + text.count > SandboxLimits.log {
      file = try Self.begin(path)
      size = 0
    }
    try RegistryFiles.writeAll(file.raw, text, path)
    size += text.count
  }
}

/// Reads a log as it grows.
public final class LogReader {
  private let path: String
  private var file: Descriptor?
  private var inode: ino_t = 0
  private var pending: [UInt8] = []

  /// A piece of output.
  public struct Piece: Sendable {
    /// RFC 3339.
    public var time: String
    /// It came from standard error.
    public var isError: Bool
    /// The bytes, with the newline where one ends them.
    public var bytes: [UInt8]
  }

  /// A reader from the log's beginning on; the log need not be there yet.
  public init(_ path: String) { self.path = path }

  /// What was added since the last call.
  public func next() throws -> [Piece] {
    var pieces: [Piece] = []
    while true {
      if file == nil { try reopen() }
      guard let open = file else { return pieces }
      var chunk = [UInt8](repeating: 0, count: 1 << 16)
      let count = read(open.raw, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw SandboxFailure.last("read", path) }
      if count > 0 {
        take(chunk.prefix(count), &pieces)
        continue
      }
      // At the end: another file has the name once the log was begun anew.
      var status = stat()
      guard stat(path, &status) == 0, status.st_ino != inode else { return pieces }
      file = nil
    }
  }

  private func reopen() throws {
    let fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    if fd < 0 && errno == ENOENT { return }
    guard fd >= 0 else { throw SandboxFailure.last("open", path) }
    var status = stat()
    guard fstat(fd, &status) == 0 else { throw SandboxFailure.last("stat", path) }
    file = Descriptor(adopting: fd)
    inode = status.st_ino
    pending = []
  }

  private func take(_ bytes: ArraySlice<UInt8>, _ pieces: inout [Piece]) {
    pending += bytes
    while let end = pending.firstIndex(of: 0x0a) {
      let fields = pending[..<end].split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
      if fields.count == 4 {
        let isWhole = fields[2].elementsEqual("F".utf8)
        pieces.append(
          Piece(
            time: String(decoding: fields[0], as: UTF8.self), isError: fields[1].elementsEqual("stderr".utf8),
            bytes: Array(fields[3]) + (isWhole ? [0x0a] : [])))
      }
      pending.removeSubrange(...end)
    }
  }
}
