import CKernel
import Glibc
import NemoCgroup
import NemoKernel
import NemoOCI

/// The verbs that change a container's life. Each takes the container's lock; none leaves it half changed.
public enum Lifecycle {
  /// Makes a container that waits for ``start(_:_:)``.
  public static func create(_ options: CreateOptions, _ context: RuntimeContext) throws(Failure) {
    let creation = try Creation(options, context)
    guard creation.process.terminal == !options.consoleSocket.isEmpty else {
      throw creation.process.terminal
        ? Failure(
          "cannot allocate tty if nemoshell will detach without setting console socket", advice: "pass --console-socket"
        )
        : Failure("cannot use console socket if nemoshell will not detach or allocate tty")
    }
    let console = options.consoleSocket.isEmpty ? -1 : try Descriptors.connect(options.consoleSocket).take()
    let made = try creation.make(throughFIFO: true, console: console)
    _ = made.pid
  }

  /// Starts a created container: returns when its program was executed.
  public static func start(_ id: String, _ context: RuntimeContext) throws(Failure) {
    let container = try Container(id, context, locked: true)
    let status = try container.status()
    guard status == .created else { throw container.wrongState("start", status) }
    let directory = container.directory.descriptor.raw
    var notify = try NotifySocket(container.directory)
    let pidfd = notify == nil ? nil : try container.pidfd()
    let name = ContainerDirectory.fifoName
    let reader = try Files.open(name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, at: directory)
    do {
      let writer = try Files.open(name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW, at: directory)
      var byte: UInt8 = 0
      guard retrying({ write(writer.raw, &byte, 1) }) == 1 else { throw .last("start", id) }
    }
    // The process holds the FIFO until execve(2) closes it: a hang-up is success, unless it left a message.
    let failure = waitForExecution(reader.raw)
    unlinkat(directory, name, 0)
    if let failure { throw failure }
    if container.record.laterHooks.contains("poststart") {
      try poststart(container.configuration().hooks.poststart, container)
    }
    guard let pidfd else { return }
    // Other verbs may work on it meanwhile.
    try container.directory.unlock()
    notify?.wait(pid: container.record.process?.pid ?? 0, pidfd: pidfd.raw, context)
  }

  private static func waitForExecution(_ fifo: Int32) -> Failure? {
    while true {
      var entry = pollfd(fd: fifo, events: 0, revents: 0)
      let n = poll(&entry, 1, -1)
      if n > 0 && entry.revents & Int16(POLLHUP) != 0 { break }
    }
    var buffer = [UInt8](repeating: 0, count: 16384)
    let n = read(fifo, &buffer, buffer.count)
    // One byte alone is our own: the process died before it read it.
    if n == 1 { return Failure("container's process ended before it was started") }
    return n > 0 ? Channel.decode(Array(buffer[..<n])) : nil
  }

  static func poststart(_ hooks: [Hook], _ container: borrowing Container) throws(Failure) {
    let state = StateDocument.hook(container.record, status: "running", pid: container.record.process?.pid ?? 0)
    do throws(Failure) {
      try HookRunner.run(hooks, kind: "poststart", state: state)
    } catch {
      try container.cgroup().signalAll(SIGKILL)
      throw error
    }
  }

  /// Sends a signal to the first process, or to all.
  public static func kill(_ id: String, signal: Int32, all: Bool, _ context: RuntimeContext) throws(Failure) {
    let container = try Container(id, context, locked: false)
    let status = try container.status()
    if all {
      // Also of a stopped container: others may live on in a shared pid namespace.
      return try container.cgroup().signalAll(signal)
    }
    if signal == SIGKILL, container.record.sharesPids {
      // Without a pid namespace of its own its processes do not end with the first one.
      let cgroup = try container.cgroup()
      if try !cgroup.processes().isEmpty { return try cgroup.signalAll(SIGKILL) }
    }
    guard status != .stopped, status != .creating, let pidfd = try container.pidfd() else {
      throw container.wrongState("kill", .stopped)
    }
    guard nemo_pidfd_send_signal(pidfd.raw, signal) == 0 else {
      throw nemo_get_errno() == ESRCH ? Failure("process already finished", id) : .last("signal", id)
    }
    if signal == SIGKILL, status == .paused { try container.cgroup().thaw() }
  }

  /// Freezes all processes.
  public static func pause(_ id: String, _ context: RuntimeContext) throws(Failure) {
    let container = try Container(id, context, locked: true)
    let status = try container.status()
    guard status == .running || status == .created else { throw container.wrongState("pause", status) }
    try container.cgroup().freeze()
  }

  /// Lets frozen processes go on.
  public static func resume(_ id: String, _ context: RuntimeContext) throws(Failure) {
    let container = try Container(id, context, locked: true)
    let status = try container.status()
    guard status == .paused else { throw container.wrongState("resume", status) }
    try container.cgroup().thaw()
  }

  /// Removes a container that has ended, or with `force` any, whatever is left of it.
  public static func delete(_ id: String, force: Bool, _ context: RuntimeContext) throws(Failure) {
    try ContainerID.validate(id)
    do throws(Failure) {
      let store = try StateStore.existing(context.root, id)
      try store.sweep()
      if force { try store.removeStray(id) }
      try delete(store.lock(id), store, force: force, context)
    } catch  where force && error.operation == StateStore.absent(id).operation {
      return
    }
  }

  private static func delete(
    _ directory: borrowing ContainerDirectory, _ store: borrowing StateStore, force: Bool, _ context: RuntimeContext
  ) throws(Failure) {
    let record: StateRecord
    do throws(Failure) { record = try directory.record() } catch {
      guard force, error.errno.map(Lifecycle.tellsOfDamage) ?? true else { throw error }
      try removeWithoutRecord(directory)
      return try store.remove(directory)
    }
    try remove(record, directory, store, force: force, context)
  }

  /// Whether a state that cannot be read is missing or damaged; anything else (EIO, EMFILE) may pass, and must change nothing.
  private static func tellsOfDamage(_ errno: Errno) -> Bool {
    errno == .noEntry || errno == .isDirectory || errno == .loop || errno == .noDevice
  }

  /// The copy of the configuration says where the cgroup is when the record cannot. It is written after the intent: without it
  /// nothing has been made.
  private static func removeWithoutRecord(_ directory: borrowing ContainerDirectory) throws(Failure) {
    let bytes: [UInt8]
    do throws(Failure) { bytes = try directory.configuration() } catch  where error.errno == .noEntry { return }
    let configuration = try? Configuration(parsing: bytes, subject: directory.path)
    let cgroup = try CgroupV1(cgroupsPath: configuration?.linux.cgroupsPath ?? "", id: directory.id)
    if try cgroup.removeIfEmpty() { return }
    try cgroup.signalAll(SIGKILL)
    try cgroup.remove()
  }

  private static func poststop(_ directory: borrowing ContainerDirectory) throws(Failure) -> [Hook] {
    try Configuration(parsing: directory.configuration(), subject: "\(directory.path)/config.json").hooks.poststop
  }

  /// Kills what lives, removes the cgroup and the state, then runs the poststop hooks.
  static func remove(
    _ record: StateRecord, _ directory: borrowing ContainerDirectory, _ store: borrowing StateStore, force: Bool,
    _ context: RuntimeContext
  ) throws(Failure) {
    let procfs = try Procfs()
    let living = try record.process?.hold(procfs)
    if living != nil, !force, !directory.waitsForStart {
      throw Failure("cannot delete container \(record.id) that is not stopped", advice: "stop it first or use --force")
    }
    let cgroup = try record.cgroupManager()
    if let living {
      let sent = nemo_pidfd_send_signal(living.raw, SIGKILL) == 0 || nemo_get_errno() == ESRCH
      guard sent else { throw .last("kill", record.id) }
      try cgroup.thaw()
      // One that does not end in time is still in its cgroup, whose removal then fails.
      _ = Children.wait(living.raw, milliseconds: 10_000)
    }
    if !(try cgroup.removeIfEmpty()) {
      try cgroup.signalAll(SIGKILL)
      try cgroup.remove()
    }
    var hooks: [Hook] = []
    if record.laterHooks.contains("poststop") {
      do throws(Failure) { hooks = try poststop(directory) } catch {
        guard force else { throw error }
        context.warn(error.within("poststop hooks are not run").message)
      }
    }
    try store.remove(directory)
    runPoststop(hooks, record, context)
  }

  /// Each is tried: what one cannot clean up another may.
  static func runPoststop(_ hooks: [Hook], _ record: StateRecord, _ context: RuntimeContext) {
    let state = StateDocument.hook(record, status: "stopped", pid: 0)
    for hook in hooks {
      do throws(Failure) { try HookRunner.run([hook], kind: "poststop", state: state) } catch {
        context.warn(error.message)
      }
    }
  }
}
