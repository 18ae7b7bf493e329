import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// Options of `run` beyond those of `create`.
public struct RunOptions {
  /// What `create` takes.
  public var create: CreateOptions
  /// Return when the program was executed.
  public var detach = false
  /// Leave the container when it has ended.
  public var keep = false
  /// Adopt orphans, so that none outlives unnoticed.
  public var subreaper = true

  /// The options with their defaults.
  public init(create: CreateOptions) { self.create = create }
}

/// `run` and `exec` in the foreground: terminal, signals, exit status.
public enum Foreground {
  /// Creates, starts, waits, deletes.
  ///
  /// - Returns: the exit status for the shell.
  public static func run(_ options: RunOptions, _ context: RuntimeContext) throws(Failure) -> Int32 {
    let creation = try Creation(options.create, context)
    let wantsTerminal = creation.process.terminal
    let link = try ConsoleLink(
      terminal: wantsTerminal, detach: options.detach, socket: options.create.consoleSocket)
    if options.subreaper && !options.detach { nemo_prctl(ProcessControl.childSubreaper, 1, 0, 0, 0) }
    let session = options.detach ? nil : try ForegroundSession.Signals.block()
    let made = try creation.make(throughFIFO: false, console: link.far)
    let pid = made.pid
    let master: Int32
    do throws(Failure) {
      master = try link.receive()
      try start(made, context)
    } catch {
      try remove(made, context)
      _ = Children.reap(pid)
      throw error
    }
    do throws(Failure) {
      // From here on the container is anybody's: other verbs may work on it while this one waits.
      try made.directory.unlock()
      link.closeFar()
      guard let session else {
        try awaitReadiness(of: made, context)
        return 0
      }
      let status = try ForegroundSession(
        pid: pid, signals: session, console: master, notify: made.notify, warn: context.warn
      ).wait()
      if !options.keep { try Lifecycle.delete(made.record.id, force: true, context) }
      return status
    } catch {
      // Nobody waits for it any more; and a removal that failed may succeed now.
      try remove(made, context)
      throw error
    }
  }

  /// For a service manager, a container that runs on its own counts as started when its program says so.
  private static func awaitReadiness(of made: borrowing MadeContainer, _ context: RuntimeContext) throws(Failure) {
    guard var notify = made.notify else { return }
    let pidfd = try OwnedDescriptor(pidfdOf: made.pid)
    notify.wait(pid: made.pid, pidfd: pidfd.raw, context)
  }

  private static func remove(_ made: borrowing MadeContainer, _ context: RuntimeContext) throws(Failure) {
    let store = try StateStore(path: Files.absolute(context.root), create: false)
    try Lifecycle.remove(made.record, made.directory, store, force: true, context)
  }

  private static func start(_ made: borrowing MadeContainer, _ context: RuntimeContext) throws(Failure) {
    let channel = Channel(socket: made.channel.raw)
    try channel.send(.start)
    if let message = try channel.next(), message.kind == .failed { throw Channel.decode(message.body) }
    let hooks = made.configuration.hooks.poststart
    if hooks.isEmpty { return }
    try HookRunner.run(
      hooks, kind: "poststart", state: StateDocument.hook(made.record, status: "running", pid: made.pid))
  }

  /// Runs a further process in a container.
  ///
  /// - Returns: its exit status, or 0 when detached.
  public static func exec(_ options: ExecOptions, detach: Bool, consoleSocket: String, _ context: RuntimeContext)
    throws(Failure) -> Int32
  {
    let execution = try Execution(options, context)
    let link = try ConsoleLink(terminal: execution.process.terminal, detach: detach, socket: consoleSocket)
    let session = detach ? nil : try ForegroundSession.Signals.block()
    let executed = try execution.make(console: link.far)
    let pid = executed.pid
    let master = try link.receive()
    try executed.start()
    link.closeFar()
    guard let session else { return 0 }
    return try ForegroundSession(
      pid: pid, signals: session, console: master, notify: nil, warn: context.warn
    ).wait()
  }
}

/// Where the terminal's master goes: to the caller's console socket, or to this process.
struct ConsoleLink {
  /// What the container's process gets, or -1.
  let far: Int32
  /// Where this process receives the master, or -1.
  let near: Int32

  init(terminal: Bool, detach: Bool, socket: String) throws(Failure) {
    if !socket.isEmpty {
      guard terminal else { throw Failure("cannot use console socket if nemoshell will not detach or allocate tty") }
      far = try Descriptors.connect(socket).take()
      near = -1
    } else if terminal {
      guard !detach else {
        throw Failure(
          "cannot allocate tty if nemoshell will detach without setting console socket", advice: "pass --console-socket"
        )
      }
      var pair: (Int32, Int32) = (-1, -1)
      let failed = withUnsafeMutableBytes(of: &pair) { bytes in
        socketpair(
          AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0,
          bytes.baseAddress?.assumingMemoryBound(to: Int32.self)) != 0
      }
      if failed { throw .last("socketpair") }
      far = pair.0
      near = pair.1
    } else {
      far = -1
      near = -1
    }
  }

  /// The master, before its program runs: that finds the caller's window size, and what it writes passes unchanged, without a
  /// carriage return before a line's end. -1 where this process receives none.
  func receive() throws(Failure) -> Int32 {
    guard near >= 0 else { return -1 }
    let (_, descriptors) = try Descriptors.receive(over: near, limit: 4096, descriptors: 1, subject: "terminal")
    guard let master = descriptors.first else { throw Failure("receive the terminal") }
    var settings = termios()
    guard tcgetattr(master, &settings) == 0 else { throw .last("read the terminal's settings") }
    settings.c_oflag &= ~tcflag_t(ONLCR)
    guard tcsetattr(master, TCSANOW, &settings) == 0 else { throw .last("change the terminal's settings") }
    TerminalRelay.copySize(to: master)
    return master
  }

  func closeFar() { if far >= 0 { close(far) } }
}
