import ArgumentParser
import Glibc
import NemoBlueprint
import NemoBundle
import NemoSandbox

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Make a sandbox of a blueprint or a bundle and start it.",
    discussion:
      "Stays until the sandbox ends and passes its output and exit status on; Control-C stops it. The sandbox stays in the registry: `nemoshell NAME start` starts it again. A path has a slash in it or ends in .yaml; any other word is a container of the OCI verb `run`."
  )
  @OptionGroup var place: RegistryOptions
  @Flag(name: [.short, .long], help: "Return when it runs.") var detach = false
  @Flag(help: "Remove the sandbox when it has ended; its workspace stays.") var rm = false
  @Flag(help: "With --detach: print JSON.") var json = false
  @Flag(help: "Permit network mode host, in which nothing holds the network.") var allowHost = false
  @Option(help: ArgumentHelp("Copy this directory into the new workspace, for the sandbox's user.", valueName: "dir"))
  var seed: String?
  @Argument(help: "Blueprint file, or directory of a bundle.") var path: String
  @Argument(help: "Name of the sandbox; default the blueprint's.") var name: String?

  func validate() throws {
    if rm && detach { throw ValidationError("--rm and --detach exclude each other") }
    if json && !detach { throw ValidationError("--json goes with --detach") }
  }

  func run() throws {
    let sandboxes = Sandboxes(try place.registry())
    var status = stat()
    let isDirectory = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    let made: (files: SandboxFiles, warnings: [String])
    if isDirectory {
      made = try sandboxes.make(name, of: try BundleDirectory(path), seed: seed, allowsHost: allowHost)
    } else {
      let text = try Files.read(path)
      let source = try HostPath.absolute(path, from: "./")
      made = try sandboxes.make(
        name, of: try Loaded.valid(path, text: text), text: text, source: source, seed: seed, allowsHost: allowHost)
    }
    made.warnings.forEach { Files.complain("nemoshell: warning: \($0)") }
    let run = try sandboxes.start(made.files)
    let summary = SandboxStatus.summary(made.files.name, run) + "\n"
    if detach { return try StatusReport.write(made.files, json: json, summary) }
    Files.complain(String(summary.dropLast()))
    let end = try Session(made.files, sandboxes).follow()
    if rm, end != nil { try sandboxes.remove(made.files, force: false, withWorkspace: false) }
    throw ExitStatus(status: end ?? 0)
  }
}

/// A person, or a script, that watches a sandbox until it ends.
struct Session {
  private let files: SandboxFiles
  private let sandboxes: Sandboxes

  init(_ files: SandboxFiles, _ sandboxes: Sandboxes) {
    self.files = files
    self.sandboxes = sandboxes
  }

  /// Set by a signal that asks for the sandbox's end.
  nonisolated(unsafe) private static var isInterrupted: sig_atomic_t = 0

  /// Passes on what it writes until it ends.
  ///
  /// - Returns: its exit status; nil where the terminal was detached.
  func follow() throws -> Int32? {
    let record = try files.record()
    if record.hasTerminal, isatty(0) == 1, try files.isKept(), try attach() == .detached, try files.isKept() {
      Files.complain("nemoshell: detached; `nemoshell \(files.name) connect` attaches again")
      return nil
    }
    if !record.hasTerminal || isatty(0) == 0 { try copyOutput() }
    while try files.isKept() { usleep(10_000) }
    return Int32(try files.run()?.exitStatus ?? 1)
  }

  private func attach() throws -> Attachment.End {
    do { return try Attachment(files).run() } catch {
      // It may have ended in the meantime.
      if try files.isKept() { throw error }
      return .closed
    }
  }

  private func copyOutput() throws {
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number) { _ in Session.isInterrupted = 1 } }
    let reader = LogReader(files.log)
    while true {
      // Looked at first, so that what is written at the very end is read.
      let isKept = try files.isKept()
      for piece in try reader.next() { try Files.pass(piece.bytes, to: piece.isError ? 2 : 1) }
      if !isKept { return }
      if Session.isInterrupted != 0 {
        Session.isInterrupted = 0
        try sandboxes.stop(files)
      }
      usleep(10_000)
    }
  }
}
