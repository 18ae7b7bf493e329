/// A network rule: some endpoints, for some programs.
public struct NetworkRule: Sendable {
  /// The rule's name in the blueprint.
  public var name: String
  /// What may be reached.
  public var endpoints: [Endpoint]
  /// Programs that may use the rule; nil for all of the sandbox.
  public var binaries: [Glob]?

  /// A rule; an empty list of programs would match nothing and is the reader's to refuse.
  public init(name: String, endpoints: [Endpoint], binaries: [Glob]?) {
    self.name = name
    self.endpoints = endpoints
    self.binaries = binaries
  }
}

/// A destination, and what may be said to it.
public struct Endpoint: Sendable {
  /// A name, a pattern of names, or a range of addresses.
  public enum Target: Sendable {
    /// A host name or pattern, in canonical form.
    case host(Glob)
    /// Addresses, which the packet filter enforces.
    case network(IPNetwork)
  }

  /// Where it is.
  public var target: Target
  /// Ports; never empty.
  public var ports: [ClosedRange<UInt16>]
  /// TCP or UDP.
  public var transport: Transport
  /// What inspects the connection; nil for none.
  public var inspection: Inspection?
  /// Where it was written.
  public var origin: Origin

  /// An endpoint.
  public init(
    target: Target, ports: [ClosedRange<UInt16>], transport: Transport = .tcp, inspection: Inspection? = nil,
    origin: Origin
  ) {
    self.target = target
    self.ports = ports
    self.transport = transport
    self.inspection = inspection
    self.origin = origin
  }

  /// Whether the packet filter alone can hold it: an address, and nothing to look into.
  public var isByAddress: Bool {
    if case .network = target { return inspection == nil }
    return false
  }
}

/// The network rules of a policy, indexed by host and by address so that the count of rules does not matter.
struct NetworkRules: Sendable {
  /// An endpoint with its rule; a class, since decisions pass many of them around.
  final class Candidate: Sendable {
    let rule: NetworkRule
    let endpoint: Endpoint
    let name: String

    init(rule: NetworkRule, endpoint: Endpoint) {
      self.rule = rule
      self.endpoint = endpoint
      name = "network_policies.\(rule.name)"
    }
  }

  private var exact: [String: [Candidate]] = [:]
  /// Patterns by their last two labels, which are always written out.
  private var patterns: [Substring: [Candidate]] = [:]
  private var networks: [IPNetwork: [Candidate]] = [:]
  private var prefixes: Set<[Int]> = []
  private let hasGate: Bool

  init(_ rules: [NetworkRule], hasGate: Bool) {
    self.hasGate = hasGate
    for rule in rules {
      for endpoint in rule.endpoints {
        let candidate = Candidate(rule: rule, endpoint: endpoint)
        switch endpoint.target {
        case .host(let glob) where glob.isLiteral: exact[glob.pattern, default: []].append(candidate)
        case .host(let glob): patterns[Self.suffix(glob.pattern), default: []].append(candidate)
        case .network(let network):
          networks[network, default: []].append(candidate)
          prefixes.insert([network.base.bytes.count, network.prefix])
        }
      }
    }
  }

  private static func suffix(_ host: String) -> Substring {
    var dots = 0
    for index in host.utf8.indices.reversed() where host.utf8[index] == UInt8(ascii: ".") {
      dots += 1
      if dots == 2 { return host[host.utf8.index(after: index)...] }
    }
    return host[...]
  }

  /// Endpoints of that destination, whatever the port and the program.
  private func candidates(_ destination: Connection.Destination) -> [Candidate] {
    switch destination {
    case .name(let name):
      let host = Host.canonical(name)
      let matching = (patterns[Self.suffix(host)] ?? []).filter {
        if case .host(let glob) = $0.endpoint.target { glob.matches(host) } else { false }
      }
      return (exact[host] ?? []) + matching
    case .address(let address):
      return prefixes.filter { $0[0] == address.bytes.count }.sorted { $0[1] > $1[1] }.flatMap {
        networks[IPNetwork(base: IPNetwork.mask(address, $0[1]), prefix: $0[1])] ?? []
      }
    }
  }

  func decide(_ connection: Connection) -> Decision {
    switch usable(connection) {
    case .success(let candidates): allowance(connection, candidates)
    case .failure(let refusal): refusal.decision
    }
  }

  func decide(_ connection: Connection, _ message: Message) -> Decision {
    switch usable(connection) {
    case .failure(let refusal): refusal.decision
    case .success(let candidates):
      if hasGate {
        Inspector.decide(connection, message, candidates)
      } else {
        needsGate(candidates[0])
      }
    }
  }

  private struct Refusal: Error { var decision: Decision }

  /// The endpoints that the connection may use; never empty.
  private func usable(_ connection: Connection) -> Result<[Candidate], Refusal> {
    if case .name(let name) = connection.destination, let problem = Host.problem(name) {
      return refuse(.gate, nil, "\"\(name)\" \(problem)")
    }
    let mechanism: Mechanism =
      if case .address = connection.destination { .nftables } else { hasGate ? .gate : .nftables }
    let known = candidates(connection.destination)
    guard let first = known.first else {
      return refuse(mechanism, nil, "no network rule covers \(connection.target)")
    }
    let right = known.filter { candidate in
      candidate.endpoint.transport == connection.transport
        && candidate.endpoint.ports.contains { $0.contains(connection.port) }
    }
    guard let near = right.first else {
      let text = "\(first.name) covers the host, not \(connection.transport.rawValue) port \(connection.port)"
      return refuse(mechanism, first, text)
    }
    let permitted = right.filter { candidate in
      guard let binaries = candidate.rule.binaries else { return true }
      guard let binary = connection.binary else { return false }
      return binaries.contains { $0.matches(binary) }
    }
    guard !permitted.isEmpty else {
      let who = connection.binary ?? "a program that is not named"
      return refuse(.gate, near, "\(near.name) is for other programs than \(who)")
    }
    return .success(permitted)
  }

  private func allowance(_ connection: Connection, _ candidates: [Candidate]) -> Decision {
    if let kernel = candidates.first(where: { $0.endpoint.isByAddress && $0.rule.binaries == nil }) {
      return Decision(
        .allow, by: .nftables, rule: (kernel.name, kernel.endpoint.origin),
        reason: "\(kernel.name) covers \(connection.target)")
    }
    guard hasGate else { return needsGate(candidates[0]) }
    let inspected = candidates.first { $0.endpoint.inspection != nil }
    let chosen = inspected ?? candidates[0]
    return Decision(
      .allow, by: .gate, rule: (chosen.name, chosen.endpoint.origin),
      reason: "\(chosen.name) covers \(connection.target)"
        + (inspected == nil ? "" : "; each request is decided by itself"))
  }

  private func needsGate(_ candidate: Candidate) -> Decision {
    let what =
      candidate.rule.binaries != nil
      ? "its programs" : candidate.endpoint.inspection != nil ? "its requests" : "a host name"
    return Decision(
      .deny, by: .nftables, rule: (candidate.name, candidate.endpoint.origin),
      reason:
        "\(candidate.name) needs the egress gate for \(what), and this sandbox has none; the packet filter drops it")
  }

  private func refuse<T>(_ mechanism: Mechanism, _ near: Candidate?, _ reason: String) -> Result<T, Refusal> {
    .failure(
      Refusal(
        decision: Decision(.deny, by: mechanism, rule: near.map { ($0.name, $0.endpoint.origin) }, reason: reason)))
  }
}
