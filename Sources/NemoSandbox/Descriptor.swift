import CWide
import Glibc
import NemoBlueprint

/// The owner of a file descriptor.
final class Descriptor {
  let raw: Int32

  init(adopting raw: Int32) { self.raw = raw }

  deinit { close(raw) }

  /// open(2), close-on-exec.
  convenience init(_ path: String, _ flags: Int32, mode: mode_t = 0) throws {
    let fd = open(path, flags | O_CLOEXEC, mode)
    guard fd >= 0 else { throw SandboxFailure.last("open", path) }
    self.init(adopting: fd)
  }
}

/// Files of the registry.
enum RegistryFiles {
  /// The content, or nil where there is no such file.
  static func read(_ path: String) throws -> [UInt8]? {
    let fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    if fd < 0 && errno == ENOENT { return nil }
    guard fd >= 0 else { throw SandboxFailure.last("open", path) }
    let file = Descriptor(adopting: fd)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      let count = Glibc.read(file.raw, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw SandboxFailure.last("read", path) }
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
      guard bytes.count <= SandboxLimits.record else { throw SandboxFailure("\(path): is larger than a record can be") }
    }
  }

  /// The JSON of a file, or nil where there is no such file.
  static func json(_ path: String) throws -> JSONValue? {
    guard let bytes = try read(path) else { return nil }
    do { return try JSONReader.parse(bytes) } catch { throw SandboxFailure("\(path): \(error)") }
  }

  /// Replaces a file so that a reader, and a machine that stops, sees the old or the new content.
  static func replace(_ path: String, _ text: String) throws {
    let temporary = "\(path).\(getpid())"
    let file = try Descriptor(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
    try writeAll(file.raw, Array(text.utf8), path)
    guard fsync(file.raw) == 0, rename(temporary, path) == 0 else { throw SandboxFailure.last("write", path) }
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    let directory = try Descriptor(String(path[..<slash]), O_RDONLY | O_DIRECTORY)
    guard fsync(directory.raw) == 0 else { throw SandboxFailure.last("write", path) }
  }

  static func writeAll(_ fd: Int32, _ bytes: [UInt8], _ subject: String) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw SandboxFailure.last("write", subject) }
      rest = rest.dropFirst(count)
    }
  }

  static func makeDirectory(_ path: String, mode: mode_t) throws {
    if mkdir(path, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw SandboxFailure.last("mkdir", path)
    }
    try makeDirectory(String(path[..<slash]), mode: 0o755)
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw SandboxFailure.last("mkdir", path) }
  }
}
