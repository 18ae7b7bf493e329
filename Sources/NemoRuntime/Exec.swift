import CKernel
import Glibc
import NemoCapabilities
import NemoCgroup
import NemoKernel
import NemoLandlock
import NemoOCI
import NemoSeccomp

/// Options of `exec`.
public struct ExecOptions {
  /// The container's id.
  public var id: String
  /// Process document (`--process FILE`), or empty.
  public var processFile = ""
  /// The command, when there is no document.
  public var arguments: [String] = []
  /// `--tty`.
  public var terminal = false
  /// `--user UID[:GID]`, or empty.
  public var user = ""
  /// `--cwd`, or empty.
  public var cwd = ""
  /// `--env`, added to the container's.
  public var env: [String] = []
  /// `--cap`, added to the container's sets.
  public var capabilities: [String] = []
  /// `--additional-gids`.
  public var additionalGids: [UInt32] = []
  /// `--no-new-privs`.
  public var noNewPrivileges = false
  /// `--apparmor`, or empty.
  public var apparmor = ""
  /// `--process-label`, or empty.
  public var processLabel = ""
  /// `--cgroup`: sub cgroup by controller; the key "" means every one.
  public var cgroup: [String: String] = [:]
  /// `--ignore-paused`.
  public var ignorePaused = false
  /// See ``CreateOptions``.
  public var pidFile = ""
  /// See ``CreateOptions``.
  public var pidfdSocket = ""
  /// See ``CreateOptions``.
  public var preserveFDs: UInt32 = 0

  /// Options for `id` with the defaults.
  public init(id: String) { self.id = id }
}

/// A process that joins a running container. The same ``ProcessSetup`` as the first process: `exec` is as strong a door as `create`.
public struct Execution: ~Copyable {
  let options: ExecOptions
  let container: Container
  /// The process as it will run.
  public let process: Process
  private let setup: ProcessSetup
  private let linux: LinuxConfiguration
  private let cgroup: any CgroupManager
  private let pidfd: OwnedDescriptor
  private let warn: (String) -> Void

  /// Checks the container and prepares the process.
  public init(_ options: ExecOptions, _ context: RuntimeContext) throws(Failure) {
    let container = try Container(options.id, context, locked: false)
    let present = try container.observe()
    let status = present.status
    guard status == .running || status == .created || (status == .paused && options.ignorePaused) else {
      throw container.wrongState("exec", status)
    }
    guard let pidfd = present.keepPidfd() else { throw container.wrongState("exec", .stopped) }
    let configuration = try container.configurationForExec()
    let process = try Execution.process(options, configuration)
    let cgroup = try container.cgroup()
    var warnings: [String] = []
    let inUserNamespace = configuration.linux.namespaces.contains { $0.kind == .user }
    let available = inUserNamespace ? UInt64.max : try Capabilities.available()
    let capabilities = Capabilities(process.capabilities, available: available, warnings: &warnings)
    let filter = configuration.linux.seccomp == nil ? nil : try container.filter()
    for warning in warnings { context.warn(warning) }
    self.setup = ProcessSetup(
      process: process, capabilities: capabilities, filter: filter,
      landlock: try container.landlockPlan(process.landlock), keyring: "_ses.\(options.id)",
      preserved: options.preserveFDs, setgroupsDenied: false,
      keepsGroups: CrunAnnotations.keepsGroups(configuration.annotations))
    self.warn = context.warn
    self.container = container
    self.pidfd = pidfd
    self.process = process
    self.cgroup = cgroup
    self.linux = configuration.linux
    self.options = options
  }

  /// The container's process with what the command line or the document changes.
  private static func process(_ options: ExecOptions, _ configuration: Configuration) throws(Failure) -> Process {
    var process: Process
    if !options.processFile.isEmpty {
      process = try Process(
        parsing: Files.read(options.processFile, limit: StateStore.configurationLimit), subject: options.processFile)
    } else {
      guard let initial = configuration.process else {
        throw Failure("", "/process", reason: "is missing in the container's config.json")
      }
      process = initial
      process.args = options.arguments
      process.terminal = options.terminal
      process.consoleSize = nil
      process.env = ProcessSetup.merge(options.env, into: process.env)
    }
    try restrict(&process, by: configuration.process?.landlock)
    // A document that names no capabilities gets the container's.
    if process.capabilities == nil { process.capabilities = configuration.process?.capabilities }
    if options.terminal { process.terminal = true }
    if !options.cwd.isEmpty { process.cwd = options.cwd }
    if !options.user.isEmpty { try parse(user: options.user, into: &process.user) }
    process.user.additionalGids += options.additionalGids
    if options.noNewPrivileges { process.noNewPrivileges = true }
    if !options.apparmor.isEmpty { process.apparmorProfile = options.apparmor }
    if !options.processLabel.isEmpty { process.selinuxLabel = options.processLabel }
    if !options.capabilities.isEmpty {
      var sets = process.capabilities ?? CapabilitySets()
      sets.bounding += options.capabilities
      sets.effective += options.capabilities
      sets.permitted += options.capabilities
      // Programs without file capabilities keep it where the container hands any on.
      if !sets.inheritable.isEmpty { sets.ambient += options.capabilities }
      process.capabilities = sets
    }
    guard let name = process.args.first, !name.isEmpty else {
      throw Failure("", "/process/args", reason: "must have a command")
    }
    guard process.cwd.hasPrefix("/") else {
      throw Failure("", "/process/cwd", reason: "\"\(process.cwd)\" must be absolute")
    }
    return process
  }

  /// The container's Landlock restrictions are those of every process in it. A document may repeat them, and nothing else.
  private static func restrict(_ process: inout Process, by landlock: Landlock?) throws(Failure) {
    if let given = process.landlock, given != landlock {
      throw Failure(
        "", "/landlock", reason: "differs from the container's", advice: "leave it out: the container's is used")
    }
    process.landlock = landlock
    if landlock != nil { process.noNewPrivileges = true }
  }

  /// `UID[:GID]`, numbers only: a name, a sign or a number out of range never becomes another user (CVE-2016-3697, CVE-2026-30892).
  static func parse(user text: String, into user: inout User) throws(Failure) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    func number(_ part: Substring) -> UInt32? {
      guard !part.isEmpty, part.utf8.allSatisfy({ $0 &- 0x30 < 10 }), let n = UInt32(part), n != UInt32.max
      else { return nil }
      return n
    }
    guard parts.count <= 2, let uid = number(parts[0]), parts.count == 1 || number(parts[1]) != nil else {
      throw Failure("parse user", "\"\(text)\"", reason: "must be UID[:GID], numbers from 0 to \(UInt32.max - 1)")
    }
    user.uid = uid
    user.gid = parts.count == 2 ? number(parts[1]) ?? 0 : user.gid
  }

  /// Makes the process; it waits for ``ExecutedProcess/start()``.
  ///
  /// - Parameter console: where the terminal's master goes, or -1.
  public consuming func make(console: Int32) throws(Failure) -> ExecutedProcess {
    guard let first = container.record.process?.pid else { throw container.wrongState("exec", .stopped) }
    let pair = try Descriptors.socketPair()
    let root = try sharedRoot(first)
    let namespaces = try foreign(first)
    let unified = try cgroup.openForClone(making: false)
    defer { if unified >= 0 { close(unified) } }
    let cgroups =
      options.cgroup.isEmpty ? try cgroup.joinDescriptors() : try cgroup.joinDescriptors(below: options.cgroup)
    let initial = ExecInit(
      options: options, setup: setup, linux: linux, namespaces: namespaces, pidfd: pidfd.raw, root: root,
      cgroups: cgroups, channel: Channel(socket: pair.far.raw), console: console)
    let near = pair.near.raw
    let outer = ChildProcess.runFirst(joinsTime: namespaces & NamespaceKind.time.flag != 0, into: unified) {
      // The runtime's death then shows as a closed channel.
      close(near)
      initial.run()
    }
    for fd in cgroups { close(fd) }
    guard outer >= 0 else { throw .last("clone the process") }
    if root >= 0 { close(root) }
    var pid = outer
    let channel = pair.keepNear()
    do throws(Failure) {
      try attach(&pid, Channel(socket: channel.raw))
      try PidFile.write(pid, to: options.pidFile)
      try PidFile.sendPidfd(pid, to: options.pidfdSocket)
      try Channel(socket: channel.raw).send(.proceed)
    } catch {
      for child in Set([outer, pid]) {
        kill(child, SIGKILL)
        _ = Children.reap(child)
      }
      throw error
    }
    _ = Children.reap(outer)
    return ExecutedProcess(pid: pid, channel: channel)
  }

  /// The root of a container that shares its mount namespace, whose own root is another one; -1 for others.
  private func sharedRoot(_ pid: Int32) throws(Failure) -> Int32 {
    if linux.namespaces.contains(where: { $0.kind == .mount && $0.path.isEmpty }) { return -1 }
    let root = try Files.open("\(pid)/root", O_PATH | O_DIRECTORY, at: container.procfs.root.raw)
    // It was that of the container, and not of somebody who has its number now.
    guard nemo_pidfd_send_signal(pidfd.raw, 0) == 0 else { throw container.wrongState("exec", .stopped) }
    return root.take()
  }

  /// The container's namespaces to join before its pid namespace, as setns(2) flags. A user namespace that is the runtime's own cannot
  /// be joined, and joining the mount namespace changes the root.
  private func foreign(_ pid: Int32) throws(Failure) -> Int32 {
    var flags: Int32 = 0
    for kind in linux.namespaces.map(\.kind) where kind != .pid {
      flags |= kind.flag
      guard kind == .user || kind == .mount else { continue }
      var own = stat()
      var theirs = stat()
      guard stat("/proc/self/ns/\(kind.file)", &own) == 0 else { continue }
      guard stat("/proc/" + String(decimal: pid) + "/ns/" + kind.file, &theirs) == 0 else {
        throw .last("read namespaces of container", options.id)
      }
      if own.st_ino == theirs.st_ino && own.st_dev == theirs.st_dev { flags &= ~kind.flag }
    }
    return flags
  }

  private func attach(_ pid: inout Int32, _ channel: Channel) throws(Failure) {
    // The outer process tells the pid, the inner one that it is ready: in either order.
    var ready = false
    var known = false
    while !(ready && known), let message = try channel.next() {
      switch message.kind {
      case .ready: ready = true
      case .failed: throw Channel.decode(message.body)
      case .warning: warn(String(decoding: message.body, as: UTF8.self))
      case .process:
        guard let inner = Int32(String(decoding: message.body, as: UTF8.self)) else {
          throw Failure("read the process's id")
        }
        pid = inner
        known = true
      case .listener:
        guard let profile = linux.seccomp else { throw Failure("receive the seccomp listener") }
        let listener = try SeccompAgent.take(message, from: pid)
        defer { close(listener) }
        try SeccompAgent.hand(
          listener, profile, pid: pid,
          state: StateDocument.hook(container.record, status: "running", pid: container.record.process?.pid ?? 0))
        try channel.send(.proceed)
      default: throw Failure("read the process's start channel", reason: "message \(message.kind) is not expected")
      }
    }
    guard ready && known else { throw Failure("process ended while it was joining the container", options.id) }
    if let score = process.oomScoreAdj { try OOMScore.set(score, of: pid, container.procfs) }
  }
}

/// A process made by `exec`, not yet executed.
public struct ExecutedProcess: ~Copyable {
  /// Its pid in the runtime's namespace.
  public let pid: Int32
  let channel: OwnedDescriptor

  /// Executes the program; returns when that is done.
  public consuming func start() throws(Failure) {
    let channel = Channel(socket: channel.raw)
    try channel.send(.start)
    if let message = try channel.next(), message.kind == .failed {
      _ = Children.reap(pid)
      throw Channel.decode(message.body)
    }
  }
}
