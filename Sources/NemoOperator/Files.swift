import Glibc
import NemoBlueprint

/// Why a command failed.
struct CommandFailure: Error, CustomStringConvertible {
  var description: String
  var status: Int32 = 1
}

/// Reading and writing of files and streams.
enum Files {
  /// Largest file that is read.
  static let limit = 64 << 20

  /// The content of a regular file, or of standard input for `-`.
  static func read(_ path: String) throws -> [UInt8] {
    let fd = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
    guard fd >= 0 else { throw CommandFailure(description: "\(path): cannot be opened: \(errorText())", status: 2) }
    defer { close(fd) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(fd, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw CommandFailure(description: "\(path): cannot be read: \(errorText())", status: 2) }
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
      guard bytes.count <= limit else {
        throw CommandFailure(description: "\(path): is larger than \(limit) bytes", status: 2)
      }
    }
  }

  /// Writes a new file; an existing one is kept unless `replacing`.
  static func create(_ path: String, _ text: String, replacing: Bool) throws {
    let fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (replacing ? O_TRUNC : O_EXCL), 0o644)
    guard fd >= 0 else {
      let advice = errno == EEXIST ? "; --force replaces it" : ""
      throw CommandFailure(description: "\(path): cannot be written: \(errorText())\(advice)")
    }
    defer { close(fd) }
    try write(text, to: fd, path)
  }

  /// Writes to standard output.
  static func print(_ text: String) throws { try write(text, to: 1, "standard output") }

  /// Writes one line to standard error; nothing can be done where that fails.
  static func complain(_ text: String) {
    let line = Diagnostic.printable(text) + "\n"
    _ = line.utf8CString.withUnsafeBufferPointer { Glibc.write(2, $0.baseAddress, $0.count - 1) }
  }

  /// Passes bytes on to standard output or standard error.
  static func pass(_ bytes: [UInt8], to fd: Int32) throws {
    try write(bytes, to: fd, fd == 1 ? "standard output" : "standard error")
  }

  private static func write(_ text: String, to fd: Int32, _ path: String) throws {
    try write(Array(text.utf8), to: fd, path)
  }

  private static func write(_ content: [UInt8], to fd: Int32, _ path: String) throws {
    var bytes = content[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw CommandFailure(description: "\(path): cannot be written: \(errorText())") }
      bytes = bytes.dropFirst(count)
    }
  }

  /// The current errno in words.
  static func errorText() -> String { String(cString: strerror(errno)) }

  /// `path` as seen from the directory of `file`.
  static func relative(_ path: String, to file: String) -> String {
    guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
    return file[...slash] + path
  }
}

/// A blueprint file on the command line.
struct Loaded {
  var blueprint: Blueprint?
  var diagnostics: [Diagnostic]
  var dropped: Int

  /// Reads `path`.
  ///
  /// - Parameters:
  ///   - text: the file's content, where it was read already.
  ///   - rootfs: directory to compare with; nil looks for the blueprint's own.
  init(_ path: String, text: [UInt8]? = nil, lintsRootfs: Bool = false, rootfs: String? = nil) throws {
    let (blueprint, found) = BlueprintReader.read(try text ?? Files.read(path), file: path)
    self.blueprint = blueprint
    diagnostics = found.sorted
    dropped = found.dropped
    guard lintsRootfs, let blueprint else { return }
    let directory: String
    if let rootfs {
      directory = rootfs
    } else if case .directory(let own) = blueprint.sandbox.rootfs {
      directory = Files.relative(own, to: path)
    } else {
      return
    }
    guard let tree = Rootfs(directory: directory) else {
      if rootfs != nil { throw CommandFailure(description: "\(directory): is no directory", status: 2) }
      let position = blueprint.source["sandbox"]?["rootfs"]?.position ?? Position(line: 1, column: 1)
      diagnostics.append(
        Diagnostic(
          .warning, file: path, at: position, field: "sandbox.rootfs.directory",
          "\(directory) is not there, so programs and paths are not checked"))
      return
    }
    diagnostics += RootfsLint.run(blueprint, tree).sorted
    diagnostics.sort { $0.position < $1.position }
  }

  /// A valid blueprint, or a failure after its errors were printed.
  static func valid(_ path: String, text: [UInt8]? = nil, status: Int32 = 1) throws -> Blueprint {
    let loaded = try Loaded(path, text: text)
    if let blueprint = loaded.blueprint { return blueprint }
    for diagnostic in loaded.diagnostics where diagnostic.severity == .error { Files.complain(diagnostic.text) }
    throw CommandFailure(description: "\(path): not a valid blueprint", status: status)
  }
}
