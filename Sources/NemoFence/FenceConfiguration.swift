import NemoPolicy

/// What holds a sandbox's network: how it is connected, and what its packet filter lets through (spec/network.md).
///
/// Pure data: whoever makes a bundle writes ``canonicalJSON`` as `network.json`, and the hook program carries it out.
public struct FenceConfiguration: Sendable, Hashable {
  /// The file beside config.json that the hook reads.
  public static let fileName = "network.json"
  /// The hook program, which is installed beside nemoshell: `setup` for createRuntime, `teardown` for poststop.
  public static let hookProgram = "nemoshell-network"

  /// How the sandbox is connected.
  public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// Loopback only.
    case none
    /// A pair of virtual devices of its own, with an address of the pool.
    case veth
    /// The network that the engine made; only the packet filter is added.
    case join
    /// The host's network, without a filter; needs the operator's flag.
    case host
  }

  /// A destination that is open to every program of the sandbox.
  public struct Rule: Sendable, Hashable {
    /// Where to.
    public var network: IPNetwork
    /// Ports, from 1.
    public var ports: ClosedRange<UInt16>
    /// TCP or UDP.
    public var transport: Transport
    /// The rule's name in the blueprint.
    public var name: String
    /// Where it was written.
    public var origin: Origin

    /// A rule.
    public init(network: IPNetwork, ports: ClosedRange<UInt16>, transport: Transport, name: String, origin: Origin) {
      self.network = network
      self.ports = ports
      self.transport = transport
      self.name = name
      self.origin = origin
    }
  }

  /// A destination that only the egress gate can decide on: kept for it, and closed until it is there.
  public struct GateRule: Sendable, Hashable {
    /// Host name or pattern, address or range.
    public var target: String
    /// Ports; never empty.
    public var ports: [ClosedRange<UInt16>]
    /// TCP or UDP.
    public var transport: Transport
    /// The rule's name in the blueprint.
    public var name: String
    /// Where it was written.
    public var origin: Origin

    /// A destination.
    public init(target: String, ports: [ClosedRange<UInt16>], transport: Transport, name: String, origin: Origin) {
      self.target = target
      self.ports = ports
      self.transport = transport
      self.name = name
      self.origin = origin
    }
  }

  /// A port of the host that leads into the sandbox. In mode `join` the engine publishes, and only `container` counts.
  public struct PublishedPort: Sendable, Hashable {
    /// Address of the host; all of its family when unspecified.
    public var address: IPAddress
    /// Port of the host.
    public var host: UInt16
    /// Port inside.
    public var container: UInt16
    /// TCP or UDP.
    public var transport: Transport

    /// A port.
    public init(address: IPAddress, host: UInt16, container: UInt16, transport: Transport) {
      self.address = address
      self.host = host
      self.container = container
      self.transport = transport
    }
  }

  /// How it is connected.
  public var mode: Mode
  /// What is open.
  public var rules: [Rule] = []
  /// What waits for the gate.
  public var gate: [GateRule] = []
  /// Ports that lead in.
  public var ports: [PublishedPort] = []
  /// Where addresses come from.
  public var pool = AddressPool.standard
  /// Group of nfnetlink_log that refused packets are reported to, in the sandbox's namespace.
  public var logGroup: UInt16 = FenceLimits.logGroup

  /// No rules and no ports.
  public init(mode: Mode) { self.mode = mode }

  /// The part of `policy` that the packet filter holds, and the part that waits for the gate.
  ///
  /// The split is the engine's own (``NemoPolicy/Endpoint/isByAddress``): by address, without inspection, for every program.
  public init(mode: Mode, policy: [NetworkRule], ports: [PublishedPort] = []) {
    self.mode = mode
    self.ports = ports
    guard mode != .none else { return }
    for rule in policy {
      for endpoint in rule.endpoints {
        if case .network(let network) = endpoint.target, endpoint.isByAddress, rule.binaries == nil {
          rules += endpoint.ports.map {
            Rule(
              network: network, ports: $0, transport: endpoint.transport, name: rule.name, origin: endpoint.origin)
          }
        } else {
          gate.append(
            GateRule(
              target: endpoint.target.text, ports: endpoint.ports, transport: endpoint.transport, name: rule.name,
              origin: endpoint.origin))
        }
      }
    }
  }

  /// Why it cannot be carried out, as `field: reason`; nil when it can.
  public var problem: String? {
    if rules.count > FenceLimits.rules { return "rules: \(rules.count), the limit is \(FenceLimits.rules)" }
    if ports.count > FenceLimits.ports { return "ports: \(ports.count), the limit is \(FenceLimits.ports)" }
    if mode == .none || mode == .host {
      if !rules.isEmpty { return "rules: mode \(mode.rawValue) can have none" }
      if !ports.isEmpty { return "ports: mode \(mode.rawValue) can have none" }
    }
    if let rule = rules.first(where: { $0.ports.lowerBound == 0 }) { return "rules: \(rule.name): port 0" }
    if ports.contains(where: { $0.host == 0 || $0.container == 0 }) { return "ports: port 0" }
    if mode == .veth, let port = ports.first(where: { $0.address.isSpecial(of: "loopback") && !$0.address.isIPv4 }) {
      return "ports: \(port.address): only the IPv4 loopback can be published on; use 127.0.0.1"
    }
    let taken = Dictionary(grouping: ports) { "\($0.address) \($0.transport.rawValue) \($0.host)" }
    if mode == .veth, let twice = taken.first(where: { $0.value.count > 1 }) { return "ports: \(twice.key) twice" }
    return pool.problem
  }
}

extension Endpoint.Target {
  /// How it reads.
  var text: String {
    switch self {
    case .host(let glob): glob.pattern
    case .network(let network): network.description
    }
  }
}

extension IPAddress {
  func isSpecial(of kind: String) -> Bool { SpecialAddresses.kind(self) == kind }
}

/// The fence's limits (spec/limits.md).
public enum FenceLimits {
  /// Rules of one sandbox.
  public static let rules = 20_000
  /// Published ports of one sandbox.
  public static let ports = 1_000
  /// Group of nfnetlink_log, where the configuration names none.
  public static let logGroup: UInt16 = 4112
  /// Bytes of a sandbox's id: with the address's number it is a file name.
  public static let idLength = 200
}
