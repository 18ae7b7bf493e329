import Glibc
import NemoBlueprint
import NemoBundle

/// The sandboxes of a machine, on disk.
///
/// `DIR/sandboxes/NAME` holds a sandbox, `DIR/workspaces/NAME` what survives it. Making the first is what claims the name.
public struct Registry: Sendable {
  /// Where the registry is unless the operator says otherwise.
  public static let defaultDirectory = "/var/lib/nemoshell"

  /// Directory of the registry.
  public let directory: String
  /// Directory of the runtime's state for new sandboxes.
  public let runtimeRoot: String

  /// The registry in `directory`.
  ///
  /// - Parameter runtimeRoot: nil for the runtime's own default, or `DIR/run` where the registry is elsewhere.
  public init(directory: String? = nil, runtimeRoot: String? = nil) throws {
    let chosen = directory ?? Self.defaultDirectory
    self.directory = try Self.absolute(chosen)
    self.runtimeRoot =
      try runtimeRoot.map(Self.absolute) ?? (directory == nil ? "/run/nemoshell" : "\(self.directory)/run")
  }

  private static func absolute(_ path: String) throws -> String {
    if path.hasPrefix("/") { return path }
    guard let cwd = getcwd(nil, 0) else { throw SandboxFailure.last("find", path) }
    defer { free(cwd) }
    return String(cString: cwd) + "/" + path
  }

  var sandboxes: String { "\(directory)/sandboxes" }
  var workspaces: String { "\(directory)/workspaces" }
  /// Root file systems that sandboxes share.
  var store: RootfsStore { RootfsStore("\(directory)/rootfs") }

  /// The sandbox `name`, which must be there.
  public func sandbox(_ name: String) throws -> SandboxFiles {
    if let problem = SandboxName.problem(name) { throw SandboxFailure("\(Diagnostic.quoted(name)) \(problem)") }
    let files = SandboxFiles(registry: self, name: name)
    guard access(files.directory, F_OK) == 0 else {
      throw SandboxFailure("\(name): there is no such sandbox; `nemoshell sandboxes` lists them")
    }
    return files
  }

  /// All sandboxes, by name.
  public func all() throws -> [SandboxFiles] {
    guard let stream = opendir(sandboxes) else {
      if errno == ENOENT { return [] }
      throw SandboxFailure.last("read", sandboxes)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if SandboxName.problem(name) == nil { names.append(name) }
    }
    return names.sorted().map { SandboxFiles(registry: self, name: $0) }
  }

  /// Claims `name` for a new sandbox.
  func claim(_ name: String) throws -> SandboxFiles {
    if let problem = SandboxName.problem(name) { throw SandboxFailure("\(Diagnostic.quoted(name)) \(problem)") }
    try RegistryFiles.makeDirectory(directory, mode: 0o711)
    try RegistryFiles.makeDirectory(sandboxes, mode: 0o700)
    try RegistryFiles.makeDirectory(workspaces, mode: 0o700)
    let files = SandboxFiles(registry: self, name: name)
    guard mkdir(files.directory, 0o700) == 0 else {
      guard errno == EEXIST else { throw SandboxFailure.last("mkdir", files.directory) }
      throw SandboxFailure(
        "\(name): is there already; `nemoshell \(name) start` starts it, `nemoshell \(name) rm` removes it and keeps its workspace"
      )
    }
    return files
  }
}

/// The files of one sandbox.
public struct SandboxFiles: Sendable {
  /// The registry that it is in.
  public let registry: Registry
  /// Its name.
  public let name: String

  /// Its directory.
  public var directory: String { "\(registry.sandboxes)/\(name)" }
  /// Its bundle.
  public var bundle: String { "\(directory)/bundle" }
  /// Where its workspace would be.
  public var workspace: String { "\(registry.workspaces)/\(name)" }
  /// Its log.
  public var log: String { "\(directory)/output.log" }
  var recordPath: String { "\(directory)/sandbox.json" }
  var runPath: String { "\(directory)/status.json" }
  var lockPath: String { "\(directory)/keeper.lock" }
  /// Socket of its terminal, by its name in the directory.
  static let attach = "attach.sock"

  /// What was written at its creation.
  public func record() throws -> SandboxRecord {
    guard let json = try RegistryFiles.json(recordPath) else {
      throw SandboxFailure("\(name): was never completed; remove it with `nemoshell \(name) rm`")
    }
    guard let record = SandboxRecord(json), record.name == name else {
      throw SandboxFailure("\(recordPath): is no record of this sandbox")
    }
    return record
  }

  /// What is known of its last start; nil where there was none.
  public func run() throws -> SandboxRun? {
    try RegistryFiles.json(runPath).flatMap { SandboxRun($0) }
  }

  /// Whether a keeper holds it, that is: whether it runs.
  public func isKept() throws -> Bool {
    let fd = open(lockPath, O_RDWR | O_CLOEXEC)
    if fd < 0 && errno == ENOENT { return false }
    guard fd >= 0 else { throw SandboxFailure.last("open", lockPath) }
    let lock = Descriptor(adopting: fd)
    if flock(lock.raw, LOCK_SH | LOCK_NB) == 0 { return false }
    guard errno == EWOULDBLOCK else { throw SandboxFailure.last("look at the lock", lockPath) }
    return true
  }
}
