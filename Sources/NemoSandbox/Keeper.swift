import CWide
import Glibc
import NemoBlueprint

/// The process that a running sandbox has on the host: it starts the container by the OCI verbs, is its parent, keeps its
/// output and its terminal, and records its end. One small process for each sandbox, with nothing shared to break.
public final class Keeper {
  private let files: SandboxFiles
  private let record: SandboxRecord
  private let runtime: RuntimeCommand
  private let lock: Descriptor
  private var run: SandboxRun

  /// Takes the sandbox; one that has a keeper already is refused.
  public init(_ files: SandboxFiles) throws {
    self.files = files
    record = try files.record()
    runtime = RuntimeCommand(root: record.runtimeRoot)
    lock = try Descriptor(files.lockPath, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    guard flock(lock.raw, LOCK_EX | LOCK_NB) == 0 else {
      throw SandboxFailure("\(files.name): runs already; `nemoshell \(files.name) status` tells")
    }
    run = SandboxRun(bootID: try Clock.bootID(), started: Clock.now)
  }

  /// Starts the sandbox, tells `ready` how that went, and stays until it has ended.
  ///
  /// - Parameter ready: a descriptor that gets one line, `ok` or what failed, and is closed.
  public func keep(ready: Int32) throws {
    let report = { (text: String) in
      _ = (Diagnostic.printable(text) + "\n").withCString { write(ready, $0, strlen($0)) }
      close(ready)
    }
    do { try start() } catch {
      report("\(error)")
      throw error
    }
    report("ok")
    try loop()
    try finish()
  }

  private var output: Pipe?
  private var messages: Pipe?
  private var console: Console?
  private var terminal: Descriptor?
  private var log: OutputLog?
  private var process: Descriptor?

  private func start() throws {
    // Orphans of the container become children of this process, the container's first process among them.
    guard wide_become_subreaper() == 0 else { throw SandboxFailure.last("become parent of", files.name) }
    guard chdir(files.directory) == 0 else { throw SandboxFailure.last("enter", files.directory) }
    signal(SIGPIPE, SIG_IGN)
    for number in [SIGHUP, SIGINT, SIGTERM] { signal(number, SIG_IGN) }
    try RegistryFiles.makeDirectory(record.runtimeRoot, mode: 0o711)
    // What a keeper that was killed, or the last boot, has left.
    if try runtime.ownState(files) != nil { try runtime.check(["delete", "--force", files.name]) }
    // Only now is there nobody who could exchange what was looked at.
    try checkPlaces()
    log = try OutputLog(files.log)
    try RegistryFiles.replace(files.runPath, run.json.canonical)
    do { try startContainer() } catch {
      if try runtime.ownState(files) != nil { _ = try runtime.run(["delete", "--force", files.name]) }
      run.finished = Clock.now
      try RegistryFiles.replace(files.runPath, run.json.canonical)
      throw error
    }
  }

  private func startContainer() throws {
    let outputs = try Pipe()
    let errors = try Pipe()
    // So that the program can open /dev/stdout and /dev/stderr, too.
    for fd in [outputs.write, errors.write] where fchown(fd, record.uid, record.gid) != 0 {
      throw SandboxFailure.last("give away", "a pipe")
    }
    var words = ["create", "--bundle", files.bundle, "--pid-file", "pid"]
    var listener: Descriptor?
    if record.hasTerminal {
      unlink("console.sock")
      let fd = wide_unix_socket("console.sock", 1)
      guard fd >= 0 else { throw SandboxFailure.last("listen on", "console.sock") }
      listener = Descriptor(adopting: fd)
      words += ["--console-socket", "console.sock"]
    }
    // The container gets the descriptors of `create`, whose own messages go to a file.
    unlink("create.log")
    let pid = try Child.spawn(
      try RuntimeCommand.executable(),
      ["nemoshell", "--root", record.runtimeRoot, "--log", "create.log"] + words + [files.name], input: -1,
      output: record.hasTerminal ? -1 : outputs.write, messages: record.hasTerminal ? -1 : errors.write)
    let status = try Child.wait(pid)
    outputs.closeWrite()
    errors.closeWrite()
    guard status == 0 else {
      let text = String(decoding: try RegistryFiles.read("create.log") ?? [], as: UTF8.self)
      throw SandboxFailure(RuntimeCommand.line(text, words))
    }
    if let listener { try takeTerminal(listener) }
    let digits = String(decoding: try RegistryFiles.read("pid") ?? [], as: UTF8.self).filter(\.isNumber)
    run.pid = Int(digits) ?? 0
    let fd = wide_pidfd(pid_t(run.pid))
    guard run.pid > 0, fd >= 0 else { throw SandboxFailure.last("watch the process of", files.name) }
    process = Descriptor(adopting: fd)
    _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
    (output, messages) = (outputs, errors)
    try verifyAndStart()
  }

  private func verifyAndStart() throws {
    let created = try runtime.ownState(files) ?? .null
    let surroundings = try Verification(pid: pid_t(run.pid), state: created).surroundings()
    try runtime.check(["start", files.name])
    let started = try runtime.ownState(files) ?? .null
    // Not reaped yet, so it can be looked at even where it has ended by now.
    run.protections = try Verification(pid: pid_t(run.pid), state: started).restrictions() + surroundings
    if try FenceCheck(files).holds(started) { run.protections.append("network fence") }
    run.degraded = started["annotations"]?["nemoshell.degraded"]?.text ?? ""
    try RegistryFiles.replace(files.runPath, run.json.canonical)
  }

  private func takeTerminal(_ listener: Descriptor) throws {
    let connection = accept(listener.raw, nil, nil)
    guard connection >= 0 else { throw SandboxFailure.last("take the terminal of", files.name) }
    let peer = Descriptor(adopting: connection)
    let fd = wide_receive_descriptor(peer.raw)
    guard fd >= 0 else { throw SandboxFailure("\(files.name): the runtime sent no terminal") }
    let master = Descriptor(adopting: fd)
    guard fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 else { throw SandboxFailure.last("set up", "the terminal") }
    var size = winsize(ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0)
    _ = wide_set_window_size(fd, &size)
    terminal = master
    console = try Console(terminal: master, name: SandboxFiles.attach)
    unlink("console.sock")
  }

  /// Read-only paths within the workspace or another writable directory are where they were, and no link leads to them.
  private func checkPlaces() throws {
    for place in record.mustExist {
      let directory = try Descriptor(place.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let fd = wide_openat2(directory.raw, place.path, O_RDONLY | O_NONBLOCK, 0x08 | 0x04)
      guard fd >= 0 else {
        throw SandboxFailure.last("find the path that is to be read-only,", "\(place.directory)/\(place.path)")
      }
      _ = Descriptor(adopting: fd)
    }
  }

  // MARK: while it runs

  private func loop() throws {
    var sources: [(fd: Int32, stream: String)] = []
    if let terminal {
      sources = [(terminal.raw, "stdout")]
    } else if let output, let messages {
      sources = [(output.read, "stdout"), (messages.read, "stderr")]
    }
    var hasEnded = false
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while !hasEnded || !sources.isEmpty {
      var entries = sources.map { pollfd(fd: $0.fd, events: Int16(POLLIN), revents: 0) }
      entries.append(pollfd(fd: hasEnded ? -1 : process?.raw ?? -1, events: Int16(POLLIN), revents: 0))
      let fixed = entries.count
      entries += console?.waiting ?? []
      // Once the program has ended, what it has written is there already.
      let count = poll(&entries, nfds_t(entries.count), hasEnded ? 0 : -1)
      if count < 0 {
        if errno == EINTR { continue }
        throw SandboxFailure.last("wait for", files.name)
      }
      if count == 0 { return }
      console?.handle(entries[fixed...])
      for (index, source) in sources.enumerated().reversed() where entries[index].revents != 0 {
        let count = read(source.fd, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        // EIO: nobody has the other side of the terminal.
        if count < 0 && errno == EAGAIN { continue }
        guard count > 0 else {
          sources.remove(at: index)
          continue
        }
        let bytes = Array(chunk.prefix(count))
        keepLog(bytes, source.stream)
        console?.show(bytes)
      }
      if entries[fixed - 1].revents != 0 { hasEnded = true }
      reapOrphans()
    }
  }

  /// A log that cannot be written (a full disk) must not end the sandbox.
  private func keepLog(_ bytes: [UInt8], _ stream: String) {
    do { try log?.write(bytes, stream) } catch {
      log = nil
      _ = "the log ends: \(error)\n".withCString { write(2, $0, strlen($0)) }
    }
  }

  /// Other processes that became this one's children; the sandbox's own is kept for its status.
  private func reapOrphans() {
    var information = siginfo_t()
    while true {
      information = siginfo_t()
      guard waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0 else { return }
      let pid = information._sifields._sigchld.si_pid
      guard pid > 0, pid != run.pid else { return }
      waitpid(pid, nil, 0)
    }
  }

  private func finish() throws {
    run.exitStatus = Int(try Child.wait(pid_t(run.pid)))
    run.finished = Clock.now
    unlink(SandboxFiles.attach)
    _ = try runtime.run(["delete", "--force", files.name])
    try RegistryFiles.replace(files.runPath, run.json.canonical)
  }
}
