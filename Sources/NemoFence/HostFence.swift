import NemoPolicy

/// What one sandbox of mode `veth` has on the host: an address of the pool, a device, and rules in nemoshell's own tables.
public struct HostFence: Sendable, Hashable {
  /// The name of the table in the host's namespace that all sandboxes share.
  public static let tableName = "nemoshell_host"
  /// The name of the table of the pair number `index`.
  public static func tableName(_ index: Int) -> String { tableName + "_" + String(index) }
  /// The comment of the shared table.
  public static let tableComment = "nemoshell"
  /// How devices begin.
  public static let devicePrefix = "nemo"

  /// The sandbox.
  public var id: String
  /// The number of its pair of addresses.
  public var index: Int
  /// What it is to have.
  public var configuration: FenceConfiguration

  /// The host's part of sandbox `id` with the pair of addresses number `index`.
  public init(id: String, index: Int, configuration: FenceConfiguration) {
    self.id = id
    self.index = index
    self.configuration = configuration
  }

  /// The host's end of the pair of devices.
  public var device: String { Self.devicePrefix + String(index) }
  /// The addresses.
  public var addresses: AddressPair { configuration.pool.pair(index) }
  /// Whether the sandbox has an IPv6 address: only where something needs one.
  public var usesIPv6: Bool {
    configuration.rules.contains { !$0.network.base.isIPv4 } || configuration.ports.contains { !$0.address.isIPv4 }
  }

  /// The hardware address of the host's or the sandbox's end: locally administered, and other for every sandbox.
  public func hardwareAddress(isHost: Bool) -> [UInt8] { Self.hardwareAddress(index, isHost: isHost) }

  /// The same by the number of the pair.
  public static func hardwareAddress(_ index: Int, isHost: Bool) -> [UInt8] {
    [0x0a, 0x6e] + bigEndian(UInt32(truncatingIfNeeded: index)).suffix(3) + [isHost ? 0 : 1]
  }

  private var families: [Int] { usesIPv6 ? [0, 1] : [0] }
  private var mark: String { FenceConfiguration.mark(id) }

  /// The filter at the entrance of the host's end, in family netdev: what a program with raw sockets makes up, it cannot get past.
  ///
  /// A table of its own: with every change the kernel checks the whole table.
  public var entrance: Ruleset.Table {
    let chain = Ruleset.Chain(
      "entrance", "filter", .prerouting, priority: 0, drops: true, device: device, rules: entranceRules)
    return Ruleset.Table(.netdev, Self.tableName(index), comment: mark, chains: [chain])
  }

  private var entranceRules: [Ruleset.Rule] {
    var rules: [Ruleset.Rule] = []
    for family in families {
      let own = addresses.sandbox[family]
      let from: [Ruleset.Expression] = .etherType(of: own) + .source(.only(own))
      // That these belong to connections from outside is seen to by the chain `answers`.
      for port in configuration.publishedInside {
        let back: [Ruleset.Expression] = from + .transport(port.transport) + .sourcePort(port.container)
        rules.append(Ruleset.Rule("published", back + [.counter, .accept]))
      }
      let pool = configuration.pool.networks[family]
      rules.append(Ruleset.Rule("other sandboxes", from + .destination(pool) + [.counter, .drop]))
      rules.append(Ruleset.Rule("loopback", from + .destination(Self.loopback[family]) + [.counter, .drop]))
      for rule in configuration.rules where rule.network.base.isIPv4 == own.isIPv4 {
        let there = from + .destination(rule.network) + .transport(rule.transport)
        rules.append(Ruleset.Rule("\(rule.origin)", there + .destinationPorts(rule.ports) + [.counter, .accept]))
        if rule.transport == .udp, own.isIPv4 {
          rules.append(Ruleset.Rule("\(rule.origin)", there + Self.laterFragment + [.counter, .accept]))
        }
      }
    }
    return rules + [Ruleset.Rule("refused", [.counter, .drop])]
  }

  /// What all sandboxes share, with this one's rules marked by its name: published ports, and the host's address for what leaves.
  public var shared: Ruleset.Table {
    let chain = { (name: String, hook: Ruleset.Hook, priority: Int32, rules: [Ruleset.Rule]) in
      Ruleset.Chain(name, "nat", hook, priority: priority, drops: false, rules: rules)
    }
    return Ruleset.Table(
      .inet, Self.tableName, comment: Self.tableComment,
      chains: [
        Ruleset.Chain("answers", "filter", .prerouting, priority: -150, drops: false, rules: answers),
        chain("prerouting", .prerouting, -100, published(isLocal: false)),
        chain("output", .output, -100, published(isLocal: true)), chain("postrouting", .postrouting, 100, leaving),
      ])
  }

  /// A published port answers; it does not call.
  private var answers: [Ruleset.Rule] {
    configuration.publishedInside.map { port in
      let from: [Ruleset.Expression] = .device(.incomingName, .equal, device, isWhole: true)
      let back: [Ruleset.Expression] = from + .transport(port.transport) + .sourcePort(port.container)
      return Ruleset.Rule(mark, back + .state([.new, .invalid, .untracked]) + [.counter, .drop])
    }
  }

  private func published(isLocal: Bool) -> [Ruleset.Rule] {
    configuration.ports.compactMap { port in
      let isLoopback = port.address.isSpecial(of: "loopback")
      if isLoopback && !isLocal { return nil }
      var at: [Ruleset.Expression] = .family(of: port.address)
      if port.address.isSpecial(of: "unspecified") {
        at += [.loadDestinationKind, .compare(.equal, hostOrder(UInt32(2)))]
      } else {
        at += .destination(.only(port.address))
      }
      at += .transport(port.transport)
      at += .destinationPorts(port.host...port.host)
      let own = addresses.sandbox[port.address.isIPv4 ? 0 : 1]
      return Ruleset.Rule(mark, at + [.counter] + Ruleset.Expression.redirect(to: own, port: port.container))
    }
  }

  /// Out of the pool's range into the world, and from the host's loopback into a sandbox, under an address that is answered.
  private var leaving: [Ruleset.Rule] {
    let toSandbox: [Ruleset.Expression] = .device(.outgoingName, .equal, Self.devicePrefix, isWhole: false)
    let toWorld: [Ruleset.Expression] = .device(.outgoingName, .notEqual, Self.devicePrefix, isWhole: false)
    let outward = configuration.pool.networks.map {
      Ruleset.Rule("\($0)", .family(of: $0.base) + .source($0) + toWorld + [.counter, .masquerade])
    }
    let loopback = Self.loopback[0]
    return outward + [
      Ruleset.Rule("loopback", .family(of: loopback.base) + .source(loopback) + toSandbox + [.counter, .masquerade])
    ]
  }

  /// 127.0.0.0/8 and ::1.
  private static let loopback: [IPNetwork] = ["127.0.0.0/8", "::1"].compactMap { try? IPNetwork($0) }

  /// A fragment without ports: it goes where its first one may go, and without that one it is nothing.
  private static let laterFragment: [Ruleset.Expression] = [
    .load(.network, offset: 6, length: 2), .mask([0x1f, 0xff]), .compare(.notEqual, [0, 0]),
  ]
}

extension HostFence {
  /// Whether two rules of the chain `output` send one port of the host to different places.
  public static func overlap(_ one: Ruleset.Rule, _ other: Ruleset.Rule) -> Bool {
    guard one.comment != other.comment, let first = match(one), let second = match(other),
      first.family == second.family, first.port == second.port
    else { return false }
    let isEverywhere = { (address: ArraySlice<Ruleset.Expression>) in address.first?.name == "fib" }
    return first.address == second.address || isEverywhere(first.address) || isEverywhere(second.address)
  }

  /// Family (two steps), address, transport and port (four steps), then the counter.
  private static func match(_ rule: Ruleset.Rule) -> (
    family: ArraySlice<Ruleset.Expression>, address: ArraySlice<Ruleset.Expression>,
    port: ArraySlice<Ruleset.Expression>
  )? {
    guard let end = rule.expressions.firstIndex(of: .counter), end >= 8 else { return nil }
    return (rule.expressions[..<2], rule.expressions[2..<end - 4], rule.expressions[(end - 4)..<end])
  }
}
