import Glibc
import NemoKernel
import NemoRuntime

extension NemoshellProgram {
  static let creationFlags: [Flag] = [
    .option("--bundle", "-b", value: "DIR", "bundle directory (default: the current one)"),
    .option("--config", value: "FILE", "config.json elsewhere than in the bundle"),
    .option("--console-socket", value: "SOCKET", "unix socket that gets the terminal's master"),
    .option("--pidfd-socket", value: "SOCKET", "unix socket that gets a pidfd of the container's process"),
    .option("--pid-file", value: "FILE", "write the process id to FILE"),
    .toggle("--no-pivot", help: "use chroot instead of pivot_root (a root on a ramdisk)"),
    .toggle("--no-new-keyring", help: "keep the caller's session keyring"),
    .option("--preserve-fds", value: "N", "pass N descriptors after stdio to the process"),
  ]

  static func createOptions(_ invocation: Invocation) throws(Failure) -> CreateOptions {
    let arguments = invocation.arguments
    var options = CreateOptions(id: invocation.id)
    options.bundle = arguments.string("--bundle") ?? "."
    options.configuration = arguments.string("--config") ?? ""
    options.consoleSocket = arguments.string("--console-socket") ?? ""
    options.pidfdSocket = arguments.string("--pidfd-socket") ?? ""
    options.pidFile = arguments.string("--pid-file") ?? ""
    options.noPivot = arguments.has("--no-pivot")
    options.noNewKeyring = arguments.has("--no-new-keyring")
    options.preserveFDs = try preservedDescriptors(arguments)
    return options
  }

  /// `--preserve-fds` plus what systemd's socket activation passes (sd_listen_fds(3)).
  static func preservedDescriptors(_ arguments: Arguments) throws(Failure) -> UInt32 {
    let given: UInt32 = try number("--preserve-fds", arguments) ?? 0
    guard given <= 1 << 20 else { throw Failure("", "--preserve-fds", reason: "\(given) is more than \(1 << 20)") }
    for fd in 0..<given where fcntl(Int32(3 + fd), F_GETFD) < 0 {
      throw .last("preserve descriptor \(3 + fd)", advice: "--preserve-fds counts open descriptors from 3")
    }
    // A caller that was activated itself may have left the variable without the descriptors: that is no error.
    let listening = getenv("LISTEN_FDS").flatMap { UInt32(String(cString: $0)) } ?? 0
    return max(given, min(listening, 1 << 10))
  }

  static func number<T: FixedWidthInteger>(_ name: String, _ arguments: Arguments) throws(Failure) -> T? {
    do throws(UsageError) { return try arguments.integer(name) } catch { throw Failure(error.reason) }
  }

  static let createVerb = Verb(
    name: "create", operands: "ID", summary: "make a container; start runs its program", flags: creationFlags,
    count: 1...1
  ) { (invocation) throws(Failure) in
    try Lifecycle.create(createOptions(invocation), invocation.context)
    return 0
  }

  static let startVerb = Verb(
    name: "start", operands: "ID", summary: "run the program of a created container", count: 1...1
  ) { (invocation) throws(Failure) in
    try Lifecycle.start(invocation.id, invocation.context)
    return 0
  }

  static let runVerb = Verb(
    name: "run", operands: "ID", summary: "create and start a container, wait for its end and delete it",
    details:
      "The exit status is the program's, or 128 + N when signal N ended it.\nWith a path (a slash, or .yaml at the end) in place of ID, see `nemoshell run ./PATH --help`.",
    flags: creationFlags + [
      .toggle("--detach", "-d", help: "return when the program runs; leave the container"),
      .toggle("--keep", help: "leave the container when its program has ended"),
      .toggle("--no-subreaper", help: "do not adopt orphans of the container"),
    ], count: 1...1
  ) { (invocation) throws(Failure) in
    var run = RunOptions(create: try createOptions(invocation))
    run.detach = invocation.arguments.has("--detach")
    run.keep = invocation.arguments.has("--keep")
    run.subreaper = !invocation.arguments.has("--no-subreaper")
    return try Foreground.run(run, invocation.context)
  }

  static let killVerb = Verb(
    name: "kill", operands: "ID [SIGNAL]", summary: "send a signal (default TERM) to the container's process",
    details: "SIGNAL is a number or a name, with or without SIG.",
    flags: [.toggle("--all", "-a", help: "to every process of the container")], count: 1...2
  ) { (invocation) throws(Failure) in
    let text = invocation.arguments.positional.count > 1 ? invocation.arguments.positional[1] : "TERM"
    guard let signal = Signals.number(text) else { throw Failure("unknown signal", "\"\(text)\"") }
    try Lifecycle.kill(invocation.id, signal: signal, all: invocation.arguments.has("--all"), invocation.context)
    return 0
  }

  static let deleteVerb = Verb(
    name: "delete", operands: "ID", summary: "remove a container that has ended",
    flags: [
      .toggle("--force", "-f", help: "kill it first; what does not exist is no error"),
      .toggle("--regex", help: "ID is a POSIX extended regular expression"),
    ], count: 1...1
  ) { (invocation) throws(Failure) in
    let force = invocation.arguments.has("--force")
    guard invocation.arguments.has("--regex") else {
      try Lifecycle.delete(invocation.id, force: force, invocation.context)
      return 0
    }
    var failure: Failure?
    for id in try Containers.ids(matching: invocation.id, invocation.context) {
      do throws(Failure) { try Lifecycle.delete(id, force: force, invocation.context) } catch {
        invocation.log.warning(error.message)
        failure = error
      }
    }
    if let failure { throw failure }
    return 0
  }

  static let pauseVerb = Verb(
    name: "pause", operands: "ID", summary: "freeze all processes of a container", count: 1...1
  ) { (invocation) throws(Failure) in
    try Lifecycle.pause(invocation.id, invocation.context)
    return 0
  }

  static let resumeVerb = Verb(
    name: "resume", operands: "ID", summary: "let a frozen container go on", count: 1...1
  ) { (invocation) throws(Failure) in
    try Lifecycle.resume(invocation.id, invocation.context)
    return 0
  }

  static let checkpointVerb = unsupported("checkpoint")
  static let restoreVerb = unsupported("restore")

  private static func unsupported(_ name: String) -> Verb {
    Verb(name: name, operands: "[...]", summary: "not supported", count: 0...Int.max, stopsAtPositional: true) {
      (_) throws(Failure) in
      throw Failure("\(name) is not supported")
    }
  }
}
