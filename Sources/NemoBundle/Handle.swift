import CWide
import Glibc

/// open(2): a descriptor that only names a place (the C library hides the constant from Swift).
let O_PATH: Int32 = 0o10000000

/// The owner of a file descriptor.
struct Handle: ~Copyable {
  let raw: Int32

  init(adopting raw: Int32) { self.raw = raw }

  deinit { close(raw) }

  /// A directory or file of the host, by the operator's path.
  init(_ path: String, _ flags: Int32) throws {
    let fd = Handle.retrying { open(path, flags | O_CLOEXEC) }
    guard fd >= 0 else { throw BundleFailure.last("open", path) }
    raw = fd
  }

  /// One component of a directory, never through a symbolic link.
  init(_ name: [CChar], in directory: Int32, _ flags: Int32, mode: mode_t = 0, subject: String) throws {
    let fd = Handle.retrying { openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, mode) }
    guard fd >= 0 else { throw BundleFailure.last("open", subject) }
    raw = fd
  }

  static func retrying(_ call: () -> Int32) -> Int32 {
    while true {
      let result = call()
      if result >= 0 || errno != EINTR { return result }
    }
  }

  /// The file's status.
  func status(_ subject: String) throws -> stat {
    var status = stat()
    guard fstat(raw, &status) == 0 else { throw BundleFailure.last("stat", subject) }
    return status
  }

  /// Writes all of `bytes`.
  func write(_ bytes: UnsafeRawBufferPointer, _ subject: String) throws {
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(raw, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw BundleFailure.last("write", subject) }
      done += count
    }
  }
}

/// A path of an archive or a directory: bytes, which need not be text.
enum PathBytes {
  static let slash = UInt8(ascii: "/")

  /// For system calls.
  static func terminated(_ bytes: some Sequence<UInt8>) -> [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

  /// For messages.
  static func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// Entries of an open directory as bytes, sorted.
enum DirectoryNames {
  static func sorted(_ directory: Int32, _ subject: String) throws -> [[UInt8]] {
    // A descriptor of its own: the stream takes it over, and starts where it stands.
    let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = fdopendir(copy) else { throw BundleFailure.last("read directory", subject) }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != [0x2e] && name != [0x2e, 0x2e] { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw BundleFailure.last("read directory", subject) }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }
}
