import Glibc
import NemoFence
import NemoKernel
import NemoNetlink

/// Takes away everything that one container's network is made of, and nothing else. May be done again at any time.
struct Teardown {
  let id: String
  let root: String

  init(_ id: String, _ root: String) {
    self.id = id
    self.root = root
  }

  func run() throws(Failure) {
    let store = try LeaseStore(root: root)
    for (index, owner) in try store.all() where owner == id {
      let lease = try store.read(index, owner)
      if index == nil {
        try Teardown.leave(lease, store)
      } else {
        try checkHome(lease)
        var host = try NetworkSockets()
        try Teardown.remove(lease, store, &host)
      }
    }
  }

  /// What belongs to a host's namespace can only be taken away there.
  private func checkHome(_ lease: Lease) throws(Failure) {
    guard lease.boot == (try LeaseStore.boot()), lease.host != (try NetworkNamespace.own().identity) else { return }
    throw Failure(
      "tear down the network", id, reason: "it was set up in another network namespace than this one",
      advice: "call the hook there; if that namespace is gone, remove \(root)/\(lease.fileName)")
  }

  /// Whether the host's end of pair `index` is there.
  static func hasDevice(_ index: Int) -> Bool { if_nametoindex(HostFence.devicePrefix + String(index)) != 0 }

  /// Takes the fence out of a namespace that belongs to an engine, if that is still the same one.
  private static func leave(_ lease: Lease, _ store: borrowing LeaseStore) throws(Failure) {
    do throws(Failure) {
      guard let path = lease.path, lease.boot == (try LeaseStore.boot()) else { return try store.remove(lease) }
      let home = try NetworkNamespace.own()
      let namespace = try NetworkNamespace(path)
      if namespace.identity == lease.sandbox {
        var filter = try namespace.inside(from: home) { () throws(Failure) in try Netlink(.filter) }
        var changes: [Netlink.FilterChange] = []
        for family in Ruleset.Family.allCases {
          let name = FenceConfiguration.tableName
          if try filter.tableComment(family, name) == FenceConfiguration.mark(lease.id) {
            changes.append(.noTable(family, name))
          }
        }
        try filter.transact(changes, lease.id)
      }
    } catch  where error.errno == .noEntry {}  // The namespace is gone, and the fence with it.
    try store.remove(lease)
  }

  /// Takes away the device, the rules, and with the last sandbox the shared table; the lease last, so that it can be done again.
  static func remove(_ lease: Lease, _ store: borrowing LeaseStore, _ host: inout NetworkSockets) throws(Failure) {
    guard let index = lease.index else { return }
    let device = HostFence.devicePrefix + String(index)
    let mark = FenceConfiguration.mark(lease.id)
    // A device of that name that somebody else made has another hardware address.
    if let link = try host.routing.link(named: device),
      link.hardwareAddress == HostFence.hardwareAddress(index, isHost: true)
    {
      try host.routing.delete(link)
    }
    var changes: [Netlink.FilterChange] = []
    let own = HostFence.tableName(index)
    if try host.filter.tableComment(.netdev, own) != nil { changes.append(.noTable(.netdev, own)) }
    let shared = HostFence.tableName
    if try !store.all().contains(where: { other in other.index.map { $0 != index && hasDevice($0) } ?? false }) {
      if try host.filter.tableComment(.inet, shared) != nil { changes.append(.noTable(.inet, shared)) }
    } else {
      for rule in try host.filter.rules(.inet, table: shared) where rule.rule.comment == mark {
        changes.append(.noRule(.inet, table: shared, chain: rule.chain, handle: rule.handle))
      }
    }
    try host.filter.transact(changes, lease.id)
    try store.remove(lease)
  }
}
