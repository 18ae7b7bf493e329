import CKernel
import Glibc
import NemoCapabilities
import NemoCgroup
import NemoKernel
import NemoNetwork
import NemoOCI
import NemoSeccomp

/// Everything the container's process needs, prepared by the runtime before it is made.
struct InitPlan {
  var id: String
  var configuration: Configuration
  var setup: ProcessSetup
  var namespaces: NamespacePlan
  /// Absolute path of the root file system.
  var rootfs: String
  /// The detached tree of the root file system.
  var tree: Int32
  /// The source of each bind mount, by index in `configuration.mounts`.
  var bound: [BindSource]
  /// The detached node of each device, by index in `linux.devices`; see ``Devices/nodes(_:_:in:)``.
  var nodes: [Int32]
  var cgroup: any CgroupManager
  /// Connected console socket, or -1.
  var console: Int32
  /// The FIFO that `start` writes to, or -1: the channel starts it.
  var fifo: Int32
  var noPivot: Bool
  /// The state that hooks read, for a pid.
  var hookState: (_ status: String, _ pid: Int32) -> [UInt8]
}

/// The container's first process, from clone3(2) to execve(2). Single-threaded: it goes on with the runtime's memory.
struct ContainerInit: ~Copyable {
  let plan: InitPlan
  let channel: Channel
  let procfs: Procfs

  /// Never returns: executes the program, or reports the failure and exits.
  static func run(_ plan: InitPlan, _ channel: Channel) -> Never {
    do throws(Failure) {
      let process = ContainerInit(plan: plan, channel: channel, procfs: try Procfs())
      process.launch(try process.prepare())
    } catch {
      _ = try? channel.sendFailure(error)
    }
    _exit(1)
  }

  /// Waits for the start and executes; who started hears of a failure.
  private func launch(_ program: Program) {
    let failure: Failure
    do throws(Failure) {
      if plan.fifo >= 0 { Signals.endOnRequest() }
      try waitForStart()
      failure = finish(program)
    } catch { failure = error }
    if plan.fifo >= 0 {
      let bytes = Channel.encode(failure)
      _ = write(plan.fifo, bytes, bytes.count)
    } else {
      _ = try? channel.sendFailure(failure)
    }
  }

  private func prepare() throws(Failure) -> Program {
    let linux = plan.configuration.linux
    ChildProcess.dieWithRuntime()
    try ChildProcess.leaveSession()
    umask(0)
    if plan.namespaces.isNew(.user) { _ = try channel.expect(.mapped) }
    try plan.namespaces.join()
    if plan.namespaces.needsSecondClone { try ChildProcess.cloneAgain(flags: NamespaceKind.pid.flag, channel) }
    // Its offsets belong to who the process is until it changes its user (proc(5), dumpable).
    try plan.namespaces.enterTime(linux.timeOffsets, procfs)
    let userNamespace = plan.namespaces.isPrivate(.user)
    if userNamespace { try becomeRoot() }
    try plan.namespaces.unshare()
    // Before the kernel parameters, some of which are those of a device.
    if !linux.netDevices.isEmpty { try receiveDevices() }
    try setNames()
    try ProcessAttributes.apply(linux)
    try setSysctl(linux.sysctl)
    try buildRootfs(inUserNamespace: userNamespace)
    try plan.setup.prepare()
    if plan.setup.isLabelled { try plan.setup.applyLabels(procfs) }
    if plan.configuration.process?.terminal == true { try Terminal.control() }
    return try ChildProcess.arm(plan.setup, channel, keeping: plan.fifo)
  }

  private func becomeRoot() throws(Failure) {
    try ChildProcess.becomeRoot()
    if !plan.setup.setgroupsDenied, !plan.setup.keepsGroups, nemo_setgroups(0, nil) != 0 {
      throw .last("drop supplementary groups")
    }
  }

  /// Opens the way into the network namespace for the runtime, and waits for it to move the devices.
  private func receiveDevices() throws(Failure) {
    let namespace = try Files.open("/proc/self/ns/net", O_RDONLY)
    let socket = try NetlinkSocket()
    try channel.send(.network, [], [namespace.raw, socket.raw])
    _ = try channel.expect(.proceed)
  }

  private func joinCgroup() throws(Failure) {
    ProcessAttributes.resetAffinity()
    try ChildProcess.joinCgroups(channel)
    if plan.namespaces.isNew(.cgroup), nemo_unshare(NamespaceKind.cgroup.flag) != 0 {
      throw .last("unshare cgroup namespace")
    }
  }

  private func setNames() throws(Failure) {
    let configuration = plan.configuration
    if !configuration.hostname.isEmpty {
      guard sethostname(configuration.hostname, configuration.hostname.utf8.count) == 0 else {
        throw .last("set hostname", "/hostname")
      }
    }
    if !configuration.domainname.isEmpty {
      guard setdomainname(configuration.domainname, configuration.domainname.utf8.count) == 0 else {
        throw .last("set domainname", "/domainname")
      }
    }
  }

  private func setSysctl(_ values: [String: String]) throws(Failure) {
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      do throws(Failure) {
        try procfs.write(value, to: "sys/" + Sysctl.path(name))
      } catch {
        throw error.within("/linux/sysctl/\(name)")
      }
    }
  }

  private func buildRootfs(inUserNamespace: Bool) throws(Failure) {
    let configuration = plan.configuration
    let rootfs = try Rootfs(
      attaching: OwnedDescriptor(adopting: plan.tree), path: plan.rootfs, configuration: configuration,
      inUserNamespace: inUserNamespace)
    // The runtime makes the cgroup meanwhile; only what shows it has to wait.
    var inCgroup = false
    for (index, mount) in configuration.mounts.enumerated() {
      var asksRuntime = false
      if case .inRoot = plan.bound[index], mount.isIDMapped { asksRuntime = true }
      // The runtime's answer comes after the cgroup.
      if !inCgroup, asksRuntime || mount.type == "cgroup" || mount.type == "cgroup2" {
        try joinCgroup()
        inCgroup = true
      }
      try rootfs.mount(mount, bound: plan.bound[index], cgroup: plan.cgroup) { (tree) throws(Failure) in
        try channel.send(.source, Array(String(index).utf8), [tree])
        _ = try channel.expect(.proceed)
      }
    }
    if !inCgroup { try joinCgroup() }
    // A /dev bound from elsewhere is the operator's own.
    let boundDev = configuration.mounts.contains {
      $0.destination.trimmedSlashes == "/dev"
        && ($0.type == "bind" || $0.options.contains { $0 == "bind" || $0 == "rbind" })
    }
    if !boundDev {
      try Devices.make(configuration.linux.devices, plan.nodes, in: rootfs.root.raw, byBind: inUserNamespace)
    }
    try rootfs.makeWorkingDirectory(plan.setup.process.cwd)
    if plan.configuration.process?.terminal == true {
      try Terminal.open(
        in: rootfs.root.raw, size: plan.setup.process.consoleSize, console: plan.console, mountConsole: true)
    }
    let hooks = configuration.hooks
    if !hooks.prestart.isEmpty || !hooks.createRuntime.isEmpty {
      try channel.send(.mounted)
      _ = try channel.expect(.proceed)
    }
    try HookRunner.run(
      hooks.createContainer, kind: "createContainer", state: plan.hookState("creating", getpid()), in: rootfs.root.raw)
    var protection = try PathProtection(root: rootfs.root.raw)
    for path in configuration.linux.readonlyPaths { try protection.makeReadOnly(path) }
    for path in configuration.linux.maskedPaths { try protection.mask(path) }
    if plan.namespaces.sharedMounts >= 0 {
      try rootfs.seal()
      return try rootfs.enter(from: plan.namespaces.sharedMounts)
    }
    if plan.noPivot { try OldRoot.hideKernelFiles(outside: plan.rootfs, procfs) }
    try rootfs.pivot(noPivot: plan.noPivot)
    try rootfs.seal()
  }

  /// Blocks until one byte comes: from `start` through the FIFO, from `run` through the channel.
  private func waitForStart() throws(Failure) {
    let fd = plan.fifo >= 0 ? plan.fifo : channel.socket
    // `create` is over: its end of the channel goes, so that nothing but the FIFO holds this process.
    if plan.fifo >= 0 { close(channel.socket) }
    var byte: UInt8 = 0
    while true {
      let n = read(fd, &byte, 1)
      if n == 1 { return }
      if n == 0 { throw Failure("wait for start", reason: "the runtime is gone") }
      guard nemo_get_errno() == EINTR else { throw .last("wait for start") }
    }
  }

  private func finish(_ program: Program) -> Failure {
    do throws(Failure) {
      try HookRunner.run(
        plan.configuration.hooks.startContainer, kind: "startContainer", state: plan.hookState("created", getpid()),
        inherited: program.environment, restrict: plan.setup.loadLateFilter)
    } catch {
      return error
    }
    return plan.setup.execute(program)
  }
}

extension String {
  /// The path without trailing slashes.
  var trimmedSlashes: String {
    var text = self
    while text.utf8.count > 1 && text.hasSuffix("/") { text.removeLast() }
    return text
  }
}

/// Kernel parameter names.
enum Sysctl {
  /// The path below /proc/sys of a name written with dots or slashes; in the dotted form a slash stands for a dot
  /// (sysctl(8): `net/ipv4/conf/eth0.100/x` or `net.ipv4.conf.eth0/100.x`).
  static func path(_ name: String) -> String {
    guard let separator = name.first(where: { $0 == "." || $0 == "/" }), separator == "." else { return name }
    return String(name.map { $0 == "." ? "/" : $0 == "/" ? "." : $0 })
  }
}
