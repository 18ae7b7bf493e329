import CKernel
import Glibc
import NemoFence
import NemoKernel
import NemoNetlink
import NemoPolicy

/// Mode `veth`: a pair of devices between the host and the container.
extension ContainerNetwork {
  /// The container's end.
  static let insideDevice = "eth0"
  /// Numbers that are tried before the pool counts as taken by others.
  static let triedAddresses = 64
  /// Leases that a setup looks at, whether their sandboxes still live.
  static let examinedLeases = 16

  /// Makes the pair, the host's rules, addresses and routes, and reads back what was loaded.
  func connect(
    _ home: borrowing NetworkNamespace, _ namespace: borrowing NetworkNamespace, _ host: inout NetworkSockets,
    _ inside: inout NetworkSockets
  ) throws(Failure) {
    try checkForwarding()
    for port in configuration.ports { try checkUnused(port) }
    let store = try LeaseStore(root: options.root)
    let boot = try LeaseStore.boot()
    let taken = try reclaim(store, boot: boot, home: home.identity, &host)
    let (fence, mtu) = try choose(besides: taken, &host.routing)
    let lease = Lease(
      index: fence.index, id: state.id, boot: boot, host: home.identity, sandbox: namespace.identity, path: nil)
    try store.add(lease)
    do throws(Failure) {
      let ends = try makePair(fence, mtu: mtu, in: namespace, &host.routing, &inside.routing)
      try loadHost(fence, &host.filter)
      try giveAddresses(fence, ends.host, ends.inside, &host.routing, &inside.routing)
      try checkHost(fence, &host)
    } catch {
      try Teardown.remove(lease, store, &host)
      throw error
    }
  }

  /// Packets of the sandbox leave the machine only if it forwards. To switch that on is the operator's decision: it is for all networks.
  private func checkForwarding() throws(Failure) {
    let outside = configuration.ports.map(\.address).filter { SpecialAddresses.kind($0) != "loopback" }
    let addresses = configuration.rules.map(\.network.base) + outside
    for (isIPv4, name) in [(true, "ipv4.ip_forward"), (false, "ipv6.conf.all.forwarding")] {
      guard addresses.contains(where: { $0.isIPv4 == isIPv4 }) else { continue }
      let path = String(name.map { $0 == "." ? "/" : $0 })
      guard try NetworkParameters.isOn(path) else {
        throw Failure(
          "set up the network", state.id, reason: "the host does not forward \(isIPv4 ? "IPv4" : "IPv6") packets",
          advice: "sysctl -w net.\(name)=1")
      }
    }
  }

  /// Nobody on the host may listen where a port is published: it would no longer be reached.
  private func checkUnused(_ port: FenceConfiguration.PublishedPort) throws(Failure) {
    let type = port.transport == .tcp ? SOCK_STREAM : SOCK_DGRAM
    let fd = socket(port.address.isIPv4 ? AF_INET : AF_INET6, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw .last("open a socket") }
    let probe = OwnedDescriptor(adopting: fd)
    let name = port.socketAddress
    let result = name.withUnsafeBytes { bytes in
      bytes.baseAddress.map { bind(probe.raw, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count)) } ?? -1
    }
    guard result == 0 else {
      throw .last(
        "publish port", "\(port.address) \(port.host)/\(port.transport.rawValue)",
        advice: "choose a port of an address of this host that nothing uses")
    }
  }

  /// Takes away what dead sandboxes left; returns the numbers that are in use. Of many leases only some are looked at, other ones by
  /// every setup, so that the thousandth costs what the first does; when none is free, all.
  private func reclaim(_ store: borrowing LeaseStore, boot: String, home: String, _ host: inout NetworkSockets)
    throws(Failure) -> Set<Int>
  {
    let leases = try store.all().filter { $0.index != nil }
    let isFull = leases.count >= configuration.pool.count
    let start = isFull || leases.isEmpty ? 0 : Int(getpid()) % leases.count
    let count = isFull ? leases.count : ContainerNetwork.examinedLeases
    var taken = Set(leases.compactMap(\.index))
    for (offset, lease) in leases.enumerated() {
      guard let index = lease.index else { continue }
      let isDue = (offset - start + leases.count) % leases.count < count || lease.id == state.id
      if isDue, try removeIfDead(index, lease.id, store, boot: boot, home: home, &host) {
        taken.remove(index)
      } else if lease.id == state.id {
        throw Failure(
          "set up the network", state.id, reason: "a sandbox of that name has a network already",
          advice: "delete it first, or choose another name")
      }
    }
    return taken
  }

  /// A device goes a moment after its sandbox's namespace. Without one, nothing of this host's can be in use.
  private func removeIfDead(
    _ index: Int, _ id: String, _ store: borrowing LeaseStore, boot: String, home: String,
    _ host: inout NetworkSockets
  ) throws(Failure) -> Bool {
    guard !Teardown.hasDevice(index) else { return false }
    let lease = try store.read(index, id)
    guard lease.boot != boot || lease.host == home else { return false }
    try Teardown.remove(lease, store, &host)
    return true
  }

  /// The lowest number whose addresses are nobody's on this host, and the size of the largest packet on its way out.
  private func choose(besides taken: Set<Int>, _ routing: inout Netlink) throws(Failure) -> (HostFence, UInt32) {
    var tries = 0
    var conflict = ""
    for index in 0..<configuration.pool.count where !taken.contains(index) {
      let fence = HostFence(id: state.id, index: index, configuration: configuration)
      var way: Netlink.RouteMatch?
      var isFree = !Teardown.hasDevice(index)
      if !isFree { conflict = "there is a device \(fence.device)" }
      for family in fence.usesIPv6 ? [0, 1] : [0] where isFree {
        for address in [fence.addresses.host[family], fence.addresses.sandbox[family]] where isFree {
          let match = try routing.route(to: address)
          if let match, match.prefix > 0 {
            isFree = false
            conflict = "\(address) is on a network that this host knows (a route of /\(match.prefix))"
          } else if family == 0 {
            way = match
          }
        }
      }
      if isFree {
        let device = try way?.device.flatMap { (number) throws(Failure) in try routing.link(numbered: number) }
        return (fence, max(1280, device?.mtu ?? 1500))
      }
      tries += 1
      if tries == ContainerNetwork.triedAddresses { break }
    }
    throw Failure(
      "get an address of the pool", "\(configuration.pool.ipv4)",
      reason: conflict.isEmpty ? "all \(configuration.pool.count) are in use" : conflict,
      advice: "choose another range (pool in network.json)")
  }

  private func makePair(
    _ fence: HostFence, mtu: UInt32, in namespace: borrowing NetworkNamespace, _ host: inout Netlink,
    _ inside: inout Netlink
  ) throws(Failure) -> (host: NetworkLink, inside: NetworkLink) {
    let end = NetworkEnd(name: fence.device, hardwareAddress: fence.hardwareAddress(isHost: true))
    let peer = NetworkEnd(
      name: ContainerNetwork.insideDevice, hardwareAddress: fence.hardwareAddress(isHost: false))
    try host.makePair(end, peer: peer, in: namespace.descriptor.raw, mtu: mtu)
    guard let outer = try host.link(named: end.name), let inner = try inside.link(named: peer.name) else {
      throw Failure("find network device", end.name, reason: "it was made, and is not there")
    }
    return (outer, inner)
  }

  /// Loads the filter at the host's end and this sandbox's rules in the shared table.
  private func loadHost(_ fence: HostFence, _ filter: inout Netlink) throws(Failure) {
    let shared = fence.shared
    let loaded = try filter.table(like: shared)
    try checkPorts(shared, loaded)
    var changes: [Netlink.FilterChange] = [
      .table(fence.entrance, replacing: false), .emptyTable(.inet, shared.name, comment: shared.comment),
    ]
    for chain in shared.chains {
      // To make a chain again that is there would cost the kernel a grace period.
      guard let there = loaded?.chains.first(where: { $0.name == chain.name }) else {
        changes.append(.chain(.inet, table: shared.name, chain))
        continue
      }
      let known = Set(there.rules)
      for rule in chain.rules where !known.contains(rule) {
        changes.append(.rule(.inet, table: shared.name, chain: chain.name, rule))
      }
    }
    try filter.transact(changes, state.id)
  }

  /// A port of the host leads to one sandbox.
  private func checkPorts(_ shared: Ruleset.Table, _ loaded: Ruleset.Table?) throws(Failure) {
    let rules = { (table: Ruleset.Table?) in table?.chains.first { $0.name == "output" }?.rules ?? [] }
    for rule in rules(shared) {
      if let other = rules(loaded).first(where: { HostFence.overlap(rule, $0) }) {
        throw Failure(
          "publish ports", state.id, reason: "one of them leads to \(other.comment) already",
          advice: "choose another port of the host")
      }
    }
  }

  private func giveAddresses(
    _ fence: HostFence, _ outer: NetworkLink, _ inner: NetworkLink, _ host: inout Netlink, _ inside: inout Netlink
  ) throws(Failure) {
    // Connections to a port of 127.0.0.1 may leave through this device; what comes in for 127.0.0.0/8 is dropped at its entrance.
    let routesLoopback = configuration.ports.contains { SpecialAddresses.kind($0.address) == "loopback" }
    let mark = FenceConfiguration.mark(state.id)
    try host.prepare(outer, note: mark, routesLoopback: routesLoopback)
    try inside.prepare(inner, note: mark, routesLoopback: false)
    try host.bringUp(outer)
    try inside.bringUp(inner)
    for family in fence.usesIPv6 ? [0, 1] : [0] {
      let gateway = fence.addresses.host[family]
      let own = fence.addresses.sandbox[family]
      try host.add(gateway, to: outer)
      try inside.add(own, to: inner)
      try host.addNeighbour(own, fence.hardwareAddress(isHost: false), on: outer)
      try inside.addNeighbour(gateway, fence.hardwareAddress(isHost: true), on: inner)
      try inside.addDefaultRoute(through: gateway, on: inner)
    }
  }

  /// Compares the host's tables with what they must hold for this sandbox.
  func checkHost(_ fence: HostFence, _ host: inout NetworkSockets) throws(Failure) {
    let entrance = fence.entrance
    let found = try host.filter.table(like: entrance)
    var difference = Ruleset([entrance]).difference(from: Ruleset(found.map { [$0] } ?? []))
    let shared = fence.shared
    let loaded = try host.filter.table(like: shared)
    for chain in shared.chains where difference == nil {
      difference = chain.missing(in: loaded?.chains.first { $0.name == chain.name })
    }
    if let difference { throw Failure("read the packet filter back", state.id, reason: "on the host: \(difference)") }
  }
}

extension FenceConfiguration.PublishedPort {
  /// As bind(2) wants it: struct sockaddr_in or sockaddr_in6.
  var socketAddress: [UInt8] {
    let family = UInt16(truncatingIfNeeded: address.isIPv4 ? AF_INET : AF_INET6)
    let start = withUnsafeBytes(of: family) { Array($0) } + withUnsafeBytes(of: host.bigEndian) { Array($0) }
    let rest = [UInt8](repeating: 0, count: address.isIPv4 ? 8 : 4)
    return address.isIPv4 ? start + address.bytes + rest : start + [0, 0, 0, 0] + address.bytes + rest
  }
}
