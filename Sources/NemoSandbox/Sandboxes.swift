import CWide
import Glibc
import NemoBlueprint
import NemoBundle

/// What is done with sandboxes.
public struct Sandboxes {
  private let registry: Registry

  /// The sandboxes of a registry.
  public init(_ registry: Registry) { self.registry = registry }

  /// Makes a sandbox of a valid blueprint; nothing is left of it where that fails.
  ///
  /// - Parameters:
  ///   - text: the blueprint's file.
  ///   - source: its path, for people.
  ///   - seed: a directory that is copied into the workspace, which must be empty; nil for none.
  ///   - allowsHost: the operator permits the host's network.
  /// - Returns: the sandbox, and what there is to know about its root file system.
  public func make(
    _ name: String?, of blueprint: Blueprint, text: [UInt8], source: String, seed: String? = nil,
    allowsHost: Bool = false
  ) throws
    -> (files: SandboxFiles, warnings: [String])
  {
    try make(name ?? blueprint.name, seed, allowsHost) { try $0.install(blueprint, text: text, source: source) }
  }

  /// Makes a sandbox of a bundle.
  public func make(_ name: String?, of bundle: BundleDirectory, seed: String? = nil, allowsHost: Bool = false) throws
    -> (files: SandboxFiles, warnings: [String])
  {
    try make(name ?? bundle.blueprint.name, seed, allowsHost) { try $0.install(bundle) }
  }

  private func make(_ name: String, _ seed: String?, _ allowsHost: Bool, _ install: (inout Installation) throws -> Void)
    throws
    -> (files: SandboxFiles, warnings: [String])
  {
    let files = try registry.claim(name)
    // Until the sandbox's configuration names its root file system, nobody may take that for unused.
    let lock = try registry.store.lock(exclusive: false)
    defer { withExtendedLifetime(lock) {} }
    let warnings: [String]
    do {
      var installation = try Installation(files, allowsHost: allowsHost)
      try install(&installation)
      warnings = installation.warnings
      if let seed { try fill(files, from: seed) }
    } catch {
      try Tree.remove(files.directory)
      throw error
    }
    return (files, warnings)
  }

  private func fill(_ files: SandboxFiles, from seed: String) throws {
    let record = try files.record()
    guard !record.workspace.isEmpty else {
      throw SandboxFailure("\(files.name): the blueprint has no workspace to fill")
    }
    try WorkspaceDirectory.seed(record.workspace, from: seed, uid: record.uid, gid: record.gid)
  }

  /// Starts a sandbox and returns when its program runs, or has run.
  public func start(_ files: SandboxFiles) throws -> SandboxRun {
    _ = try files.record()
    let ready = try Pipe()
    let errors = try Descriptor("\(files.directory)/keeper.log", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
    let words = [
      "nemoshell-keeper", "keep", files.name, "--state-dir", registry.directory, "--runtime-root", registry.runtimeRoot,
    ]
    _ = try Child.spawn(
      try OwnExecutable.path(), words, input: -1, output: ready.write, messages: errors.raw, newSession: true)
    ready.closeWrite()
    let answer = String(decoding: try Pipe.drain([ready])[0], as: UTF8.self)
    guard answer == "ok\n" else {
      let log = String(decoding: try RegistryFiles.read("\(files.directory)/keeper.log") ?? [], as: UTF8.self)
      let text = answer.isEmpty ? RuntimeCommand.line(log, ["keep"]) : answer.filter { $0 != "\n" }
      throw SandboxFailure("\(files.name): \(text)")
    }
    guard let run = try files.run() else { throw SandboxFailure("\(files.name): has no record of its start") }
    return run
  }

  /// Ends a sandbox: by SIGTERM, and after `seconds` by SIGKILL. One that does not run is no error.
  public func stop(_ files: SandboxFiles, seconds: Int = SandboxLimits.stopSeconds) throws {
    let runtime = RuntimeCommand(root: try files.record().runtimeRoot)
    guard try files.isKept() else {
      // Its keeper was killed: nobody else would end it.
      if try runtime.ownState(files) != nil { try runtime.check(["delete", "--force", files.name]) }
      return
    }
    // What is frozen sees no signal.
    if try runtime.ownState(files)?["status"]?.text == "paused" { try runtime.check(["resume", files.name]) }
    for (signal, wait) in [("TERM", seconds), ("KILL", SandboxLimits.killSeconds)] {
      if try runtime.ownState(files) != nil { _ = try runtime.run(["kill", files.name, signal]) }
      let end = Clock.monotonic + Double(wait)
      while Clock.monotonic < end {
        if try !files.isKept() { return }
        usleep(20_000)
      }
    }
    throw SandboxFailure("\(files.name): did not end \(SandboxLimits.killSeconds) s after SIGKILL")
  }

  /// Removes a sandbox that does not run.
  ///
  /// - Parameter withWorkspace: its workspace goes too; otherwise a new sandbox of the name finds it again.
  public func remove(_ files: SandboxFiles, force: Bool, withWorkspace: Bool) throws {
    if try files.isKept() {
      guard force else {
        throw SandboxFailure("\(files.name): runs; stop it with `nemoshell \(files.name) stop`, or use --force")
      }
      try stop(files, seconds: 0)
    }
    // An incomplete one has no record, and nothing of it ever ran; what a damaged one ran cannot be found out.
    if access(files.recordPath, F_OK) == 0 {
      do { try stop(files) } catch { guard force, isDamaged(files) else { throw error } }
    }
    try Tree.remove(files.directory)
    if withWorkspace { try Tree.remove(files.workspace) }
    try collect()
  }

  private func isDamaged(_ files: SandboxFiles) -> Bool {
    do {
      _ = try files.record()
      return false
    } catch { return true }
  }

  /// Removes shared root file systems that no sandbox has any more; with a damaged sandbox nobody knows.
  private func collect() throws {
    var used: Set<String> = []
    for files in try registry.all() {
      do { used.insert(try SandboxRuntime.rootfs(files)) } catch { return }
    }
    try registry.store.collect(used: used)
  }
}
