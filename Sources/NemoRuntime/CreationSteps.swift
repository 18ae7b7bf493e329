import CKernel
import Glibc
import NemoCgroup
import NemoJSON
import NemoKernel
import NemoMounts
import NemoNetwork
import NemoOCI

/// A container that waits for its start.
public struct MadeContainer: ~Copyable {
  /// Its state, on disk too.
  public let record: StateRecord
  let channel: OwnedDescriptor
  let directory: ContainerDirectory
  let configuration: Configuration
  /// Where the program says that it is ready, when somebody wants to know and this process starts it.
  let notify: NotifySocket?

  /// The pid of its first process.
  public var pid: Int32 { record.process?.pid ?? 0 }
}

extension Creation {
  /// The runtime's half of the protocol in ``Channel``, up to `ready`.
  func connect(
    channel: Channel, _ pid: inout Int32, _ plan: InitPlan, _ cgroup: any CgroupManager, _ record: inout StateRecord,
    _ directory: borrowing ContainerDirectory, _ devices: inout DeviceTransfer?
  ) throws(Failure) {
    // The process listens for nothing else while it waits for its network devices.
    let movesDevices = !configuration.linux.netDevices.isEmpty
    do throws(Failure) {
      if let score = process.oomScoreAdj { try OOMScore.set(score, of: pid, procfs) }
      try mapUsers(pid, plan, channel)
      if !movesDevices { try attachCgroup(cgroup, channel) }
      // While the process mounts; it becomes the state when the process is ready.
      try directory.writeForExec(forExec, plan.setup.filter)
      try stage(pid, &record, directory)
    } catch {
      // What the process itself says is nearer to the cause than its silence.
      if let told = pendingFailure(channel) { throw told }
      throw error
    }
    var ready = false
    var known = !plan.namespaces.needsSecondClone
    while !(ready && known), let message = try channel.next() {
      switch message.kind {
      case .ready: ready = true
      case .failed: throw Channel.decode(message.body)
      case .warning: context.warn(String(decoding: message.body, as: UTF8.self))
      case .process:
        guard let second = Int32(String(decoding: message.body, as: UTF8.self)) else {
          throw Failure("read the second process's id")
        }
        _ = Children.reap(pid)
        pid = second
        known = true
        try stage(pid, &record, directory)
      case .landlock: try directory.recordLandlock(message.body)
      case .network:
        try move(message, &devices)
        try channel.send(.proceed)
        try attachCgroup(cgroup, channel)
      case .source:
        try mapIDs(message)
        try channel.send(.proceed)
      case .mounted:
        try runHooks(state: plan.hookState("creating", pid))
        try channel.send(.proceed)
      case .listener:
        guard let profile = configuration.linux.seccomp else { throw Failure("receive the seccomp listener") }
        let listener = try SeccompAgent.take(message, from: pid)
        defer { close(listener) }
        try SeccompAgent.hand(listener, profile, pid: pid, state: plan.hookState("creating", pid))
        try channel.send(.proceed)
      default: throw Failure("read the container's start channel", reason: "message \(message.kind) is not expected")
      }
    }
    guard ready && known else { throw silence(pid) }
  }

  /// Moves the network devices into the namespace that the process opened.
  private func move(_ message: Channel.Message, _ devices: inout DeviceTransfer?) throws(Failure) {
    guard message.descriptors.count == 2 else { throw Failure("receive the container's network namespace") }
    var transfer = try DeviceTransfer(
      namespace: OwnedDescriptor(adopting: message.descriptors[0]),
      socket: NetlinkSocket(adopting: message.descriptors[1]))
    do throws(Failure) { try transfer.move(configuration.linux.netDevices) } catch {
      devices = consume transfer
      throw error
    }
    devices = consume transfer
  }

  private func runHooks(state: [UInt8]) throws(Failure) {
    let bundle = try Files.open(options.bundle, O_PATH | O_DIRECTORY)
    let hooks = configuration.hooks
    try HookRunner.run(hooks.prestart, kind: "prestart", state: state, in: bundle.raw)
    try HookRunner.run(hooks.createRuntime, kind: "createRuntime", state: state, in: bundle.raw)
  }

  /// Maps the ids of a bind mount's source that the process found in the root file system.
  private func mapIDs(_ message: Channel.Message) throws(Failure) {
    guard let tree = message.descriptors.first,
      let index = Int(String(decoding: message.body, as: UTF8.self)), configuration.mounts.indices.contains(index)
    else { throw Failure("receive the source of a bind mount") }
    defer { close(tree) }
    do throws(Failure) { try configuration.mounts[index].mapIDs(of: tree, procfs) } catch {
      throw error.within("/mounts/\(index)")
    }
  }

  private func stage(_ pid: Int32, _ record: inout StateRecord, _ directory: borrowing ContainerDirectory)
    throws(Failure)
  {
    record.process = try ProcessIdentity(ofChild: pid, procfs)
    try directory.stage(record)
  }

  private func pendingFailure(_ channel: Channel) -> Failure? {
    var entry = pollfd(fd: channel.socket, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, 100) > 0, let message = try? channel.next(), message.kind == .failed else { return nil }
    return Channel.decode(message.body)
  }

  /// The process died without a word.
  private func silence(_ pid: Int32) -> Failure {
    let status = Children.reap(pid)
    let how =
      nemo_wifsignaled(status) != 0 ? "signal \(nemo_wtermsig(status))" : "exit status \(nemo_wexitstatus(status))"
    return Failure("container's process ended while it was being made", reason: how)
  }

  private func mapUsers(_ pid: Int32, _ plan: InitPlan, _ channel: Channel) throws(Failure) {
    guard plan.namespaces.isNew(.user) else { return }
    try UserNamespace.map(pid, uids: configuration.linux.uidMappings, gids: configuration.linux.gidMappings, procfs)
    try channel.send(.mapped)
  }

  private func attachCgroup(_ cgroup: any CgroupManager, _ channel: Channel) throws(Failure) {
    try cgroup.create()
    try cgroup.apply(configuration.linux.resources)
    let descriptors = try cgroup.joinDescriptors()
    defer { for fd in descriptors { close(fd) } }
    try channel.send(.cgroup, [], descriptors)
  }

  /// The pid file and the pidfd, for whoever asked.
  func publish(_ pid: Int32) throws(Failure) {
    try PidFile.write(pid, to: options.pidFile)
    try PidFile.sendPidfd(pid, to: options.pidfdSocket)
  }
}

/// Telling the caller the pid.
enum PidFile {
  /// Writes the number whole or not at all; an empty path is nothing to do.
  static func write(_ pid: Int32, to path: String) throws(Failure) {
    if path.isEmpty { return }
    let absolute = try Files.absolute(path)
    let slash = absolute.lastIndex(of: "/") ?? absolute.startIndex
    let directory = try Files.open(
      slash == absolute.startIndex ? "/" : String(absolute[..<slash]), O_RDONLY | O_DIRECTORY)
    let name = String(absolute[absolute.index(after: slash)...])
    do throws(Failure) {
      try Files.replace(name, in: directory.raw, with: Array(String(pid).utf8), mode: 0o644, durable: false)
    } catch {
      throw error.within("write pid file \(path)")
    }
  }

  /// Sends a pidfd over the unix socket at `path` (`--pidfd-socket`).
  static func sendPidfd(_ pid: Int32, to path: String) throws(Failure) {
    if path.isEmpty { return }
    let pidfd = try OwnedDescriptor(pidfdOf: pid)
    let socket = try Descriptors.connect(path)
    try Descriptors.send(Array("pidfd".utf8), [pidfd.raw], over: socket.raw, subject: path)
  }
}

/// Handing a seccomp listener to its agent (config-linux.md#containerprocessstate).
enum SeccompAgent {
  /// The listener that process `pid` offered.
  static func take(_ message: Channel.Message, from pid: Int32) throws(Failure) -> Int32 {
    let pidfd = try OwnedDescriptor(pidfdOf: pid)
    guard let number = Int32(String(decoding: message.body, as: UTF8.self)) else {
      throw Failure("receive the seccomp listener")
    }
    let listener = nemo_pidfd_getfd(pidfd.raw, number)
    guard listener >= 0 else { throw .last("receive the seccomp listener") }
    return listener
  }

  static func hand(_ listener: Int32, _ profile: SeccompProfile, pid: Int32, state: [UInt8]) throws(Failure) {
    let socket: OwnedDescriptor
    do throws(Failure) { socket = try Descriptors.connect(profile.listenerPath) } catch {
      throw error.within("failed to connect with seccomp agent")
    }
    var json = JSONWriter()
    json.beginObject()
    json.member("ociVersion", Specification.version)
    json.member("fds", ["seccompFd"])
    json.member("pid", pid)
    json.member("metadata", profile.listenerMetadata)
    json.key("state")
    json.raw(String(decoding: state, as: UTF8.self))
    json.endObject()
    try Descriptors.send(json.bytes, [listener], over: socket.raw, subject: profile.listenerPath)
  }
}
