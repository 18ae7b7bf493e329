import CKernel
import Glibc
import NemoCapabilities
import NemoCgroup
import NemoKernel
import NemoLandlock
import NemoMounts
import NemoNetwork
import NemoOCI
import NemoSeccomp

/// Makes a container up to the point where only `start` is missing.
struct Creation: ~Copyable {
  let options: CreateOptions
  let context: RuntimeContext
  let store: StateStore
  let procfs: Procfs
  let configuration: Configuration
  let process: Process
  private let configurationBytes: [UInt8]
  /// The part of the configuration that `exec` needs.
  let forExec: [UInt8]
  private let knownFilter: ConfigurationDocument.Filter?
  /// The program can tell the caller's service manager that it is ready.
  private let isNotified: Bool

  /// Reads and checks everything; makes nothing but the state root.
  init(_ options: CreateOptions, _ context: RuntimeContext) throws(Failure) {
    try ContainerID.validate(options.id)
    var options = options
    options.bundle = try Files.absolute(options.bundle)
    let path =
      options.configuration.isEmpty ? options.bundle + "/config.json" : try Files.absolute(options.configuration)
    let bytes = try Files.read(path, limit: StateStore.configurationLimit)
    let root = try Files.absolute(context.root)
    let document = try ConfigurationDocument(bytes, subject: path, root: root)
    var configuration = document.configuration
    guard var process = configuration.process else {
      throw Failure("", "/process", reason: "is required to create a container")
    }
    try configuration.placeMounts(in: Creation.rootfsPath(configuration, bundle: options.bundle))
    let store = try StateStore(path: root, create: true)
    let procfs = try Procfs()
    let isNotified = NotifySocket.manager != nil
    if isNotified {
      configuration.mounts.append(NotifySocket.mount(root: store.path, id: options.id))
      process.env = ProcessSetup.merge([NotifySocket.variable], into: process.env)
    }
    self.configurationBytes = bytes
    self.forExec = document.forExec
    self.knownFilter = document.filter
    self.configuration = configuration
    self.process = process
    self.options = options
    self.context = context
    self.store = store
    self.procfs = procfs
    self.isNotified = isNotified
  }

  var rootfsPath: String { Creation.rootfsPath(configuration, bundle: options.bundle) }

  private static func rootfsPath(_ configuration: Configuration, bundle: String) -> String {
    let path = configuration.root.path
    return path.hasPrefix("/") ? path : "\(bundle)/\(path)"
  }

  /// Makes the container; what was made is undone when a later step fails.
  ///
  /// - Parameters:
  ///   - throughFIFO: `start` will come as a command of its own; otherwise the caller starts through the channel.
  ///   - console: where the terminal's master goes, or -1.
  consuming func make(throughFIFO: Bool, console: Int32) throws(Failure) -> MadeContainer {
    let resources = configuration.linux
    let cgroup: any CgroupManager =
      context.withoutCgroups ? NoCgroup() : try CgroupV1(cgroupsPath: resources.cgroupsPath, id: options.id)
    var namespaces = try NamespacePlan(resources.namespaces)
    if namespaces.sharedMounts >= 0 { try checkSharedMounts(namespaces) }
    try refuseUnsupported()
    try namespaces.verifyUsers(resources, procfs)
    let setup = try processSetup(joinsUser: namespaces.joins(.user))
    let directory = try store.claim(options.id)
    var record = StateRecord(
      ociVersion: configuration.ociVersion, id: options.id, bundle: options.bundle, rootfs: rootfsPath,
      created: Clock.now(),
      annotations: configuration.annotations, owner: getuid(), cgroup: cgroup.saved)
    if let landlock = setup.landlock { record.annotations.merge(landlock.annotations) { $1 } }
    if !configuration.hooks.poststart.isEmpty { record.laterHooks.append("poststart") }
    if !configuration.hooks.poststop.isEmpty { record.laterHooks.append("poststop") }
    record.sharesPids = !resources.namespaces.contains { $0.kind == .pid && $0.path.isEmpty }
    var pid: Int32 = 0
    var devices: DeviceTransfer? = nil
    do throws(Failure) {
      try directory.writeIntent(record)
      try Files.replace(
        ContainerDirectory.configurationName, in: directory.descriptor.raw, with: configurationBytes, durable: false)
      if isNotified { try NotifySocket.prepare(directory) }
      let notify = isNotified && !throughFIFO ? try NotifySocket(directory) : nil
      let fifo = throughFIFO ? try makeFIFO(directory) : -1
      let plan = try initPlan(setup, namespaces, cgroup, directory, console: console, fifo: fifo, record)
      let channel = try launch(plan, &pid, &namespaces)
      try connect(channel: Channel(socket: channel.raw), &pid, plan, cgroup, &record, directory, &devices)
      if fifo >= 0 { close(fifo) }
      try directory.commit()
      try publish(pid)
      try Channel(socket: channel.raw).send(.proceed)
      return MadeContainer(
        record: record, channel: channel, directory: directory, configuration: configuration, notify: notify)
    } catch {
      if pid > 0 {
        kill(pid, SIGKILL)
        _ = Children.reap(pid)
      }
      for problem in devices?.moveBack() ?? [] { context.warn(problem) }
      try undo(cgroup, directory, error)
      // The specification's step after a failed hook is the end of the life, with what is to run there.
      if pid > 0 { Lifecycle.runPoststop(configuration.hooks.poststop, record, context) }
      throw error
    }
  }

  /// Removes what a failed creation made; if even that fails, says so together with the cause.
  private func undo(_ cgroup: any CgroupManager, _ directory: borrowing ContainerDirectory, _ cause: Failure)
    throws(Failure)
  {
    do throws(Failure) {
      try cgroup.remove()
      try store.remove(directory)
    } catch {
      throw cause.within("\(error.message), while cleaning up after")
    }
  }

  /// What a container cannot have in a mount namespace that it shares.
  private func checkSharedMounts(_ namespaces: NamespacePlan) throws(Failure) {
    guard !namespaces.isNew(.user) else {
      throw Failure(
        "", "/linux/namespaces", reason: "a new user namespace has no rights in a mount namespace that is not new")
    }
    let fixed = ["unbindable", "runbindable"]
    for (index, mount) in configuration.mounts.enumerated() where mount.options.contains(where: fixed.contains) {
      throw Failure("", "/mounts/\(index)/options", reason: "unbindable needs a new mount namespace")
    }
    guard !fixed.contains(configuration.linux.rootfsPropagation) else {
      throw Failure("", "/linux/rootfsPropagation", reason: "unbindable needs a new mount namespace")
    }
  }

  /// Known fields that this runtime, or this host, cannot fulfil: an error, never ignored.
  private func refuseUnsupported() throws(Failure) {
    try CrunAnnotations.check(configuration.annotations, warn: context.warn)
    if configuration.linux.intelRdt != nil {
      throw Failure("", "/linux/intelRdt", reason: "Intel RDT is not supported on this host")
    }
    if LinuxSecurity.selinuxEnabled {
      guard configuration.linux.mountLabel.isEmpty else {
        throw Failure("", "/linux/mountLabel", reason: "SELinux mount labels are not supported")
      }
    } else {
      for (pointer, label) in [
        ("/process/selinuxLabel", process.selinuxLabel), ("/linux/mountLabel", configuration.linux.mountLabel),
      ]
      where !label.isEmpty {
        throw Failure("", pointer, reason: "SELinux is not enabled in this kernel")
      }
    }
  }

  private func processSetup(joinsUser: Bool) throws(Failure) -> ProcessSetup {
    var warnings: [String] = []
    let hasUserNamespace = configuration.linux.namespaces.contains { $0.kind == .user }
    let available = hasUserNamespace ? UInt64.max : try Capabilities.available()
    let capabilities = Capabilities(process.capabilities, available: available, warnings: &warnings)
    var filter: SeccompProgram?
    if let profile = configuration.linux.seccomp {
      let (program, filterWarnings) = if let knownFilter { knownFilter } else { try store.filter(for: profile) }
      filter = program
      warnings += filterWarnings
    }
    let landlock = try process.landlock.map { (landlock) throws(Failure) in try LandlockPlan(landlock) }
    if let warning = landlock?.warning { warnings.append(warning) }
    for warning in warnings { context.warn(warning) }
    return ProcessSetup(
      process: process, capabilities: capabilities, filter: filter, landlock: landlock,
      keyring: options.noNewKeyring ? nil : "_ses.\(options.id)", preserved: options.preserveFDs,
      setgroupsDenied: false,
      keepsGroups: CrunAnnotations.keepsGroups(configuration.annotations))
  }

  private func makeFIFO(_ directory: borrowing ContainerDirectory) throws(Failure) -> Int32 {
    let name = ContainerDirectory.fifoName
    guard mkfifoat(directory.descriptor.raw, name, 0o600) == 0 else { throw .last("make", "\(directory.path)/\(name)") }
    return try Files.open(name, O_RDWR | O_NOFOLLOW, at: directory.descriptor.raw).take()
  }

  private func initPlan(
    _ setup: ProcessSetup, _ namespaces: NamespacePlan, _ cgroup: any CgroupManager,
    _ directory: borrowing ContainerDirectory, console: Int32, fifo: Int32, _ record: StateRecord
  ) throws(Failure) -> InitPlan {
    let place = try Files.open(rootfsPath, O_PATH | O_DIRECTORY)
    let tree = try MountTree.copy("", at: place.raw, recursive: true, subject: rootfsPath)
    var bound: [BindSource] = []
    bound.reserveCapacity(configuration.mounts.count)
    for (index, mount) in configuration.mounts.enumerated() {
      do throws(Failure) {
        bound.append(try bindSource(index, mount))
      } catch  where error.operation.isEmpty {
        throw error
      } catch {
        throw error.within("/mounts/\(index)")
      }
    }
    let nodes =
      namespaces.isNew(.user)
      ? try Devices.nodes(configuration.linux.devices, configuration.linux, in: directory.descriptor.raw) : []
    return InitPlan(
      id: options.id, configuration: configuration, setup: setup, namespaces: namespaces, rootfs: rootfsPath,
      tree: tree.take(),
      bound: bound, nodes: nodes, cgroup: cgroup, console: console, fifo: fifo, noPivot: options.noPivot,
      hookState: { status, pid in StateDocument.hook(record, status: status, pid: pid) })
  }

  /// Takes a bind mount's source, once and with the runtime's own rights, unless it lies in the root file system.
  private func bindSource(_ index: Int, _ mount: Mount) throws(Failure) -> BindSource {
    let options = MountOptions(mount.options)
    guard mount.type == "bind" || options.bind, !options.remount else { return .none }
    guard !mount.source.isEmpty else {
      throw Failure("mount", mount.destination, reason: "a bind mount needs a source")
    }
    if let option = options.firstForNewFileSystem {
      throw Failure(
        "", "/mounts/\(index)/options",
        reason: "bind mounts cannot have any filesystem-specific options applied: \"\(option)\"")
    }
    let path = mount.source.hasPrefix("/") ? mount.source : "\(self.options.bundle)/\(mount.source)"
    if let inside = LexicalPath.below(LexicalPath.clean(rootfsPath), path) { return .inRoot(inside) }
    let tree = try MountTree.copy(path, recursive: options.copiesTree, noFollow: options.keepsLink)
    if mount.isIDMapped { try mount.mapIDs(of: tree.raw, procfs) }
    return .detached(tree.take())
  }

  /// Clones the container's process; returns the runtime's end of the channel.
  private func launch(_ plan: InitPlan, _ pid: inout Int32, _ namespaces: inout NamespacePlan) throws(Failure)
    -> OwnedDescriptor
  {
    let pair = try Descriptors.socketPair()
    let flags = namespaces.cloneFlags
    let cgroup = try plan.cgroup.openForClone(making: true)
    defer { if cgroup >= 0 { close(cgroup) } }
    pid = try namespaces.around { () throws(Failure) in
      let pid = ChildProcess.clone(flags: flags, into: cgroup)
      guard pid >= 0 else { throw .last("clone the container's process") }
      return pid
    }
    if pid == 0 {
      // The other end is closed with it: the runtime's death then shows as a closed channel.
      let socket = pair.keepFar().take()
      if cgroup >= 0 { close(cgroup) }
      ContainerInit.run(plan, Channel(socket: socket))
    }
    close(plan.tree)
    for source in plan.bound { source.closeDetached() }
    for fd in plan.nodes where fd >= 0 { close(fd) }
    namespaces.closeJoined()
    return pair.keepNear()
  }
}
