import ArgumentParser
import Glibc
import NemoBlueprint
import NemoBundle
import NemoSandbox

struct ExecCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run a further program in a sandbox, held like its own.",
    discussion: "The exit status is the program's; 255 when it could not be started.")
  @OptionGroup var place: RegistryOptions
  @Flag(name: [.short, .long], help: "Give it a terminal.") var tty = false
  @Option(help: ArgumentHelp("Working directory.", valueName: "dir")) var cwd: String?
  @Option(
    name: [.short, .long], help: ArgumentHelp("Add to the environment; may be repeated.", valueName: "name=value"))
  var env: [String] = []
  @Option(
    name: .customLong("sandbox"),
    help: ArgumentHelp("The sandbox; `nemoshell NAME exec` gives it.", visibility: .hidden))
  var name: String
  @Argument(parsing: .captureForPassthrough, help: "Program and arguments.") var command: [String] = []

  func run() throws {
    if let first = command.first, ["-h", "--help"].contains(first) {
      return try Files.print(Self.helpMessage() + "\n")
    }
    let files = try place.registry().sandbox(name)
    let words = command.first == "--" ? Array(command.dropFirst()) : command
    guard !words.isEmpty else { throw CommandFailure(description: "\(name): exec: name a program", status: 2) }
    var flags = tty ? ["--tty"] : []
    if let cwd { flags += ["--cwd", cwd] }
    for pair in env { flags += ["--env", pair] }
    try SandboxAccess(files).exec(flags, words)
  }
}

struct ConnectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connect", abstract: "Open a shell in a sandbox, or attach to its program's terminal.",
    discussion:
      "A program that has a terminal is attached to; Control-P Control-Q detaches and leaves it running. Any other sandbox gets a shell, held like its program."
  )
  @OptionGroup var sandbox: SandboxOptions
  @Flag(help: "A shell, also where the program has a terminal.") var shell = false

  func run() throws {
    let files = try sandbox.files()
    let record = try files.record()
    let access = SandboxAccess(files)
    guard record.hasTerminal, !shell else { return try access.shell() }
    try access.mustRun()
    if try Attachment(files).run() == .detached {
      Files.complain("nemoshell: detached; `nemoshell \(files.name) connect` attaches again")
    }
  }
}

/// Ways into a sandbox that runs.
struct SandboxAccess {
  private let files: SandboxFiles

  init(_ files: SandboxFiles) { self.files = files }

  func mustRun() throws {
    guard try files.isKept() else {
      throw CommandFailure(
        description: "\(files.name): does not run; `nemoshell \(files.name) start` starts it", status: 255)
    }
  }

  /// Becomes the OCI verb `exec`.
  func exec(_ flags: [String], _ words: [String]) throws {
    try mustRun()
    try SandboxRuntime.become(files, ["exec"] + flags + [files.name] + words)
  }

  func shell() throws {
    guard let rootfs = Rootfs(directory: try SandboxRuntime.rootfs(files)) else {
      throw CommandFailure(description: "\(files.name): its root file system is gone")
    }
    guard let shell = ["/bin/bash", "/bin/sh"].first(where: { rootfs.resolve($0) != nil }) else {
      throw CommandFailure(description: "\(files.name): its root file system has no shell; use exec", status: 255)
    }
    try exec(isatty(0) == 1 ? ["--tty"] : [], [shell])
  }
}

/// What a running sandbox is kept by; started by `run` and `start`, not by people.
struct KeepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keep", abstract: "Keep a sandbox.", shouldDisplay: false)
  @OptionGroup var sandbox: SandboxOptions

  func run() throws {
    // Standard output is the pipe on which the start waits.
    let ready = fcntl(1, F_DUPFD_CLOEXEC, 3)
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard ready >= 0, null >= 0, dup2(null, 1) == 1 else {
      throw CommandFailure(description: "keep: \(Files.errorText())")
    }
    close(null)
    let keeper: Keeper
    do { keeper = try Keeper(try sandbox.files()) } catch {
      _ = "\(error)\n".withCString { write(ready, $0, strlen($0)) }
      throw error
    }
    try keeper.keep(ready: ready)
  }
}
