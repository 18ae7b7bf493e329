import NemoPolicy

/// The tables inside the sandbox's network namespace.
extension FenceConfiguration {
  /// The name of the tables in the sandbox's namespace.
  public static let tableName = "nemoshell"

  /// What is loaded before the first program runs: everything is dropped but what is listed (spec/network.md).
  ///
  /// - Parameter id: the sandbox, which the tables are marked with.
  public func sandboxRuleset(id: String) -> Ruleset {
    let owner = Self.mark(id)
    let inet = Ruleset.Table(.inet, Self.tableName, comment: owner, chains: [input, forward, output])
    guard mode != .join else { return Ruleset([inet]) }
    // The other end's hardware address is written into the neighbour table: nobody has to ask for it.
    let silent = [Ruleset.Rule("refused", [.counter, .drop])]
    let arp = Ruleset.Table(
      .arp, Self.tableName, comment: owner,
      chains: [
        Ruleset.Chain("input", "filter", .prerouting, priority: 0, drops: true, rules: silent),
        Ruleset.Chain("output", "filter", .input, priority: 0, drops: true, rules: silent),
      ])
    return Ruleset([inet, arp])
  }

  /// How what belongs to sandbox `id` is marked.
  public static func mark(_ id: String) -> String { Ruleset.Rule.shortened("sandbox \(id)") }

  private var output: Ruleset.Chain {
    var rules: [Ruleset.Rule] = []
    if mode == .join { rules.append(Ruleset.Rule("engine's resolver", Self.engineResolver + [.counter, .drop])) }
    rules.append(Ruleset.Rule("loopback", .toLoopback + [.counter, .accept]))
    if mode == .join { rules.append(Self.neighbourDiscovery) }
    rules.append(Ruleset.Rule("invalid", .state([.invalid, .untracked]) + [.counter, .drop]))
    rules.append(Ruleset.Rule("answers", .state(.established) + [.counter, .accept]))
    if mode == .veth {
      rules += pool.networks.map {
        Ruleset.Rule("other sandboxes", .family(of: $0.base) + .destination($0) + [.counter] + refusal("output"))
      }
    }
    rules += self.rules.map { rule in
      let there: [Ruleset.Expression] = .family(of: rule.network.base) + .destination(rule.network)
      return Ruleset.Rule(
        "\(rule.origin)", there + .transport(rule.transport) + .destinationPorts(rule.ports) + [.counter, .accept])
    }
    // Refused in words and not in silence: a program learns at once that it may not, and does not wait for an answer.
    rules.append(Ruleset.Rule("refused", [.counter] + refusal("output")))
    return Ruleset.Chain("output", "filter", .output, priority: 0, drops: true, rules: rules)
  }

  private func refusal(_ chain: String) -> [Ruleset.Expression] {
    [.log(group: logGroup, prefix: "nemoshell \(chain)"), .reject]
  }

  private var input: Ruleset.Chain {
    var rules = [Ruleset.Rule("loopback", .fromLoopback + [.counter, .accept])]
    if mode == .join { rules.append(Self.neighbourDiscovery) }
    rules += [
      Ruleset.Rule("invalid", .state([.invalid, .untracked]) + [.counter, .drop]),
      Ruleset.Rule("answers", .state(.established) + [.counter, .accept]),
    ]
    // "Packet too big" and "unreachable" about the sandbox's own connections.
    rules += [1, 58].map { Ruleset.Rule("errors", .state(.related) + .protocolNumber($0) + [.counter, .accept]) }
    rules += publishedInside.map { port in
      let at: [Ruleset.Expression] = .transport(port.transport) + .destinationPorts(port.container...port.container)
      return Ruleset.Rule("published", at + [.counter, .accept])
    }
    rules.append(Ruleset.Rule("refused", dropped("input")))
    return Ruleset.Chain("input", "filter", .input, priority: 0, drops: true, rules: rules)
  }

  private var forward: Ruleset.Chain {
    Ruleset.Chain(
      "forward", "filter", .forward, priority: 0, drops: true, rules: [Ruleset.Rule("refused", dropped("forward"))])
  }

  private func dropped(_ chain: String) -> [Ruleset.Expression] {
    [.counter, .log(group: logGroup, prefix: "nemoshell \(chain)"), .drop]
  }

  /// The published ports as the sandbox has them, each once.
  var publishedInside: [PublishedPort] {
    var seen: Set<String> = []
    return ports.filter { seen.insert("\($0.transport.rawValue) \($0.container)").inserted }
  }

  /// Docker's resolver, which listens in the namespace and asks the world from outside of it.
  private static let engineResolver: [Ruleset.Expression] =
    IPAddress("127.0.0.11").map { .family(of: $0) + .destination(.only($0)) } ?? []

  /// Neighbour solicitations and advertisements, which IPv6 on the engine's network needs (RFC 4861).
  private static let neighbourDiscovery = Ruleset.Rule(
    "neighbours",
    .protocolNumber(58) + [.load(.transport, offset: 0, length: 1), .range([135], [136]), .counter, .accept])
}

extension AddressPool {
  /// Both ranges.
  var networks: [IPNetwork] { [ipv4, ipv6] }
}
