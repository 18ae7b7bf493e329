import Glibc
import NemoFence
import NemoKernel
import NemoNetlink
import NemoPolicy

/// What the operator chose on the hook's command line.
struct HookOptions {
  /// The configuration; nil for `network.json` in the bundle.
  var configuration: String?
  /// The directory of leases.
  var root = LeaseStore.standardRoot
  /// Mode `host` is permitted.
  var allowsHost = false
}

/// One container's network at one moment of its life.
struct ContainerNetwork {
  let state: ContainerState
  let options: HookOptions
  let configuration: FenceConfiguration
  let settings: ContainerSettings

  init(_ state: ContainerState, _ options: HookOptions) throws(Failure) {
    self.state = state
    self.options = options
    let beside = state.bundle + "/" + FenceConfiguration.fileName
    configuration = try FenceConfiguration(file: options.configuration ?? beside)
    settings = try ContainerSettings(bundle: state.bundle)
  }

  /// The container's namespace: its own, never the host's.
  private func namespace(besides home: borrowing NetworkNamespace) throws(Failure) -> NetworkNamespace {
    guard state.pid > 0 else {
      throw Failure("", "/pid", reason: "the container has no process, and so no network namespace")
    }
    let namespace = try NetworkNamespace("/proc/\(state.pid)/ns/net")
    guard namespace.identity != home.identity, try namespace.identity != machineNamespace() else {
      throw Failure(
        "set up the network", state.id, reason: "the container is in the host's network namespace",
        advice: "give it a namespace of its own, or use mode host")
    }
    return namespace
  }

  /// The machine's namespace is also that of its first process, wherever the runtime is; nil where that may not be looked at.
  private func machineNamespace() throws(Failure) -> String? {
    do throws(Failure) { return try NetworkNamespace("/proc/1/ns/net").identity } catch
      where error.errno == .accessDenied
    {
      return nil
    }
  }

  /// Makes everything, and proves it. When something fails, what was made is gone again.
  func setUp() throws(Failure) {
    if configuration.mode == .host { return try permitHost() }
    try settings.check(for: configuration.mode)
    let home = try NetworkNamespace.own()
    let namespace = try namespace(besides: home)
    var inside = try namespace.inside(from: home) { () throws(Failure) in try NetworkSockets() }
    let wasFenced = try inside.filter.tableComment(.inet, FenceConfiguration.tableName) != nil
    if configuration.mode == .join { try recordJoin(namespace.identity, home.identity) }
    do throws(Failure) {
      try loadFence(&inside.filter)
      if configuration.mode != .join { try raiseLoopback(&inside.routing) }
      if configuration.mode == .veth {
        var host = try NetworkSockets()
        try connect(home, namespace, &host, &inside)
      }
    } catch {
      // A fence that was there before holds on.
      if configuration.mode == .join, !wasFenced { try Teardown(state.id, options.root).run() }
      throw error
    }
  }

  /// Nothing is made, and nothing holds the container: somebody must have said so on the host's side.
  private func permitHost() throws(Failure) {
    guard options.allowsHost else {
      throw Failure(
        "set up the network", state.id, reason: "mode host needs the operator's permission",
        advice: "call the hook with --allow-host")
    }
  }

  /// Loads the tables in one transaction, reads them back, and compares.
  private func loadFence(_ filter: inout Netlink) throws(Failure) {
    let wanted = configuration.sandboxRuleset(id: state.id)
    var changes: [Netlink.FilterChange] = []
    for table in wanted.tables {
      let owner = try filter.tableComment(table.family, table.name)
      guard owner == nil || owner == table.comment else {
        throw Failure(
          "load the packet filter", state.id,
          reason: "the namespace is fenced for another: table \(table.family.name) \(table.name) is \(owner ?? "")'s",
          advice: "give every sandbox a namespace of its own")
      }
      changes.append(.table(table, replacing: owner != nil))
    }
    try filter.transact(changes, state.id)
    try checkFence(&filter)
  }

  /// Compares the tables in the container's namespace with what they must be.
  func checkFence(_ filter: inout Netlink) throws(Failure) {
    let wanted = configuration.sandboxRuleset(id: state.id)
    var found = Ruleset([])
    for table in wanted.tables {
      if let table = try filter.table(like: table) { found.tables.append(table) }
    }
    if let difference = wanted.difference(from: found) {
      throw Failure("read the packet filter back", state.id, reason: difference)
    }
  }

  private func raiseLoopback(_ routing: inout Netlink) throws(Failure) {
    guard let loopback = try routing.link(named: "lo") else {
      throw Failure("set up the network", state.id, reason: "the namespace has no device lo")
    }
    try routing.bringUp(loopback)
  }

  /// Where the namespace can be found again when the container is gone: it is the engine's, and may outlive it.
  private func recordJoin(_ sandbox: String, _ home: String) throws(Failure) {
    guard let path = settings.networkPath else { return }
    let store = try LeaseStore(root: options.root)
    try store.add(
      Lease(
        index: nil, id: state.id, boot: try LeaseStore.boot(), host: home, sandbox: sandbox, path: path))
  }

  /// Proves that everything is as ``setUp()`` left it.
  func verify() throws(Failure) {
    if configuration.mode == .host { return try permitHost() }
    let home = try NetworkNamespace.own()
    let namespace = try namespace(besides: home)
    var inside = try namespace.inside(from: home) { () throws(Failure) in try NetworkSockets() }
    try checkFence(&inside.filter)
    guard configuration.mode == .veth else { return }
    let store = try LeaseStore(root: options.root)
    guard let found = try store.all().first(where: { $0.id == state.id && $0.index != nil }), let index = found.index
    else { throw Failure("verify the network", state.id, reason: "it has no addresses of the pool") }
    var host = try NetworkSockets()
    try checkHost(HostFence(id: state.id, index: index, configuration: configuration), &host)
  }
}
