import CKernel
import Glibc

/// Repeats a call that a signal interrupted (EINTR).
@inline(__always)
public func retrying(_ call: () -> Int) -> Int {
  while true {
    let result = call()
    if result >= 0 || nemo_get_errno() != EINTR { return result }
  }
}

/// open(2): a descriptor that only names a place (the C library hides the constant from Swift).
public let O_PATH: Int32 = 0o10000000

/// File-system calls below a directory descriptor. Every descriptor they return is close-on-exec.
public enum Files {
  /// The working directory, where a path is meant to be the caller's.
  public static let workingDirectory: Int32 = AT_FDCWD

  /// openat(2); `path` is followed as the flags say.
  public static func open(_ path: String, _ flags: Int32, mode: mode_t = 0, at directory: Int32 = AT_FDCWD)
    throws(Failure) -> OwnedDescriptor
  {
    let fd = retrying { Int(openat(directory, path, flags | O_CLOEXEC, mode)) }
    guard fd >= 0 else { throw .last("open", path) }
    return OwnedDescriptor(adopting: Int32(fd))
  }

  /// Reads from `fd` to the end; more than `limit` bytes is an error that names `subject`.
  public static func readAll(_ fd: Int32, limit: Int, subject: String) throws(Failure) -> [UInt8] {
    var status = stat()
    var expected = 4096
    if fstat(fd, &status) == 0, status.st_size > 0 {
      guard status.st_size <= limit else {
        throw Failure("read", subject, reason: "\(status.st_size) bytes, the limit is \(limit)")
      }
      expected = Int(status.st_size) + 1
    }
    var bytes: [UInt8] = []
    var error: Failure?
    while true {
      let have = bytes.count
      let chunk = max(expected - have, 4096)
      bytes.append(contentsOf: repeatElement(0, count: chunk))
      let got = bytes.withUnsafeMutableBytes { buffer in
        retrying { Glibc.read(fd, buffer.baseAddress.map { $0 + have }, chunk) }
      }
      if got < 0 { error = .last("read", subject) }
      bytes.removeLast(chunk - max(got, 0))
      if let error { throw error }
      if got == 0 { return bytes }
      guard bytes.count <= limit else { throw Failure("read", subject, reason: "more than \(limit) bytes") }
    }
  }

  /// The whole content of a regular file or a kernel file.
  public static func read(_ path: String, limit: Int, at directory: Int32 = AT_FDCWD) throws(Failure) -> [UInt8] {
    let fd = try open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, at: directory)
    return try readAll(fd.raw, limit: limit, subject: path)
  }

  /// The content as text with trailing newlines cut (kernel files).
  public static func readText(_ path: String, limit: Int = 1 << 20, at directory: Int32 = AT_FDCWD) throws(Failure)
    -> String
  {
    var bytes = try read(path, limit: limit, at: directory)
    while bytes.last == 10 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Writes all bytes to `fd`.
  public static func writeAll(_ fd: Int32, _ bytes: UnsafeRawBufferPointer, subject: String) throws(Failure) {
    var done = 0
    while done < bytes.count {
      let n = retrying { Glibc.write(fd, bytes.baseAddress.map { $0 + done }, bytes.count - done) }
      guard n > 0 else { throw .last("write", subject) }
      done += n
    }
  }

  /// Writes all bytes to `fd`.
  public static func writeAll(_ fd: Int32, _ bytes: [UInt8], subject: String) throws(Failure) {
    var failure: Failure?
    bytes.withUnsafeBytes { buffer in
      do throws(Failure) { try writeAll(fd, buffer, subject: subject) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Writes a short text in one write(2), as kernel files want it.
  public static func writeText(_ fd: Int32, _ text: String, subject: String) throws(Failure) {
    var text = text
    let failed = text.withUTF8 { utf8 -> Bool in
      retrying { Glibc.write(fd, utf8.baseAddress, utf8.count) } < 0
    }
    if failed { throw .last("write \"\(text.count > 80 ? String(text.prefix(80)) + "…" : text)\" to", subject) }
  }

  /// Writes a text to an existing kernel file (cgroup, sysctl) in one write(2).
  public static func write(_ text: String, to path: String, at directory: Int32 = AT_FDCWD) throws(Failure) {
    let fd = try open(path, O_WRONLY | O_NOFOLLOW, at: directory)
    try writeText(fd.raw, text, subject: path)
  }

  /// Replaces `name` in `directory` crash-safely: temporary file, fsync, rename, fsync of the directory.
  ///
  /// - Parameter durable: false leaves the two fsyncs out, for what may be lost with the machine.
  public static func replace(
    _ name: String, in directory: Int32, with bytes: [UInt8], mode: mode_t = 0o600, durable: Bool = true
  ) throws(Failure) {
    let temporary = ".\(name).\(String(decimal: getpid()))"
    _ = unlinkat(directory, temporary, 0)
    do throws(Failure) {
      let fd = try open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode, at: directory)
      try writeAll(fd.raw, bytes, subject: name)
      if durable, fsync(fd.raw) != 0 { throw Failure.last("fsync", name) }
      guard renameat(directory, temporary, directory, name) == 0 else { throw Failure.last("rename", name) }
      if durable, fsync(directory) != 0 { throw Failure.last("fsync directory of", name) }
    } catch {
      _ = unlinkat(directory, temporary, 0)
      throw error
    }
  }

  /// mkdirat(2); returns false when the directory was there already.
  @discardableResult
  public static func makeDirectory(_ path: String, mode: mode_t = 0o755, at directory: Int32 = AT_FDCWD) throws(Failure)
    -> Bool
  {
    if mkdirat(directory, path, mode) == 0 { return true }
    if nemo_get_errno() == EEXIST { return false }
    throw .last("mkdir", path)
  }

  /// mkdir -p of an operator's path (state root), not for paths of a container.
  public static func makeDirectories(_ path: String, mode: mode_t = 0o755) throws(Failure) {
    if mkdir(path, mode) == 0 || nemo_get_errno() == EEXIST { return }
    guard nemo_get_errno() == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw .last("mkdir", path)
    }
    try makeDirectories(String(path[..<slash]), mode: mode)
    guard mkdir(path, mode) == 0 || nemo_get_errno() == EEXIST else { throw .last("mkdir", path) }
  }

  /// The names in a directory, without `.` and `..`.
  public static func list(_ path: String, at directory: Int32 = AT_FDCWD) throws(Failure) -> [String] {
    let opened = try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory)
    return try names(in: opened.raw, subject: path)
  }

  /// The names in an open directory, without `.` and `..`; needs no further descriptor.
  public static func names(in directory: Int32, subject: String) throws(Failure) -> [String] {
    guard lseek(directory, 0, SEEK_SET) == 0 else { throw .last("read directory", subject) }
    var names: [String] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = nemo_getdents(directory, &buffer, buffer.count)
      guard count >= 0 else { throw .last("read directory", subject) }
      if count == 0 { return names }
      // struct linux_dirent64: two 64-bit numbers, the record's length, a type, the name (getdents(2)).
      var start = 0
      while start < count {
        let length = Int(buffer[start + 16]) | Int(buffer[start + 17]) << 8
        let name = String(decoding: buffer[(start + 19)..<(start + length)].prefix { $0 != 0 }, as: UTF8.self)
        if name != "." && name != ".." { names.append(name) }
        start += length
      }
    }
  }

  /// The target of a symbolic link.
  public static func readLink(_ path: String, at directory: Int32 = AT_FDCWD) throws(Failure) -> String {
    var failed = false
    let text = String(unsafeUninitializedCapacity: 4096) { buffer in
      let n = buffer.withMemoryRebound(to: CChar.self) { chars in
        chars.baseAddress.map { readlinkat(directory, path, $0, chars.count) } ?? -1
      }
      if n < 0 { failed = true }
      return max(n, 0)
    }
    if failed { throw .last("readlink", path) }
    return text
  }

  /// fstat(2).
  public static func status(of fd: Int32, subject: String = "descriptor") throws(Failure) -> stat {
    var status = stat()
    guard fstat(fd, &status) == 0 else { throw .last("stat", subject) }
    return status
  }

  /// An absolute spelling of an operator's path, relative to the working directory; dots are left alone.
  public static func absolute(_ path: String) throws(Failure) -> String {
    if path.hasPrefix("/") { return path }
    guard let cwd = getcwd(nil, 0) else { throw .last("getcwd") }
    defer { free(cwd) }
    let base = String(cString: cwd)
    return path.isEmpty || path == "." ? base : base == "/" ? "/" + path : base + "/" + path
  }
}
