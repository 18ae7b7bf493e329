/// What a sandbox may do. ``decide(_:)`` is the only place where that is decided: explanations, tests and the
/// daemon ask it, and the kernel is set up to agree with it.
///
/// The policy knows what it grants, not the files' own permissions: the kernel's discretionary access control is
/// applied to the sandbox's user in addition.
public struct Policy: Sendable {
  /// What a policy is made of.
  public struct Rules: Sendable {
    /// File rules.
    public var files: [FileRule] = []
    /// Mounts; the longest path decides whether a place can be changed.
    public var mounts: [MountRule] = []
    /// Network rules.
    public var network: [NetworkRule] = []
    /// An egress gate enforces names, programs and requests; without one such rules allow nothing.
    public var hasGate = false
    /// System call rules, the profile's included.
    public var systemCalls: [SystemCallRule] = AgentProfile.rules
    /// The profile's name.
    public var systemCallProfile = AgentProfile.name
    /// Capabilities, as `CAP_NET_RAW`.
    public var capabilities: [(name: String, origin: Origin)] = []
    /// The user.
    public var uid: UInt32 = 65532
    /// Where the user was written.
    public var identityOrigin = Origin.builtIn

    /// Nothing allowed but what the profile `agent` lists.
    public init() {}
  }

  /// What the policy was made of.
  public let rules: Rules
  private let files: FileRules
  private let network: NetworkRules
  private let systemCalls: SystemCallRules

  /// Indexes `rules`.
  public init(_ rules: Rules) {
    self.rules = rules
    files = FileRules(rules.files, rules.mounts)
    network = NetworkRules(rules.network, hasGate: rules.hasGate)
    systemCalls = SystemCallRules(rules.systemCalls, profile: rules.systemCallProfile)
  }

  /// Decides `action`.
  public func decide(_ action: Action) -> Decision {
    switch action {
    case .file(let path, let rights):
      if let problem = PolicyPath.problem(path) {
        return Decision(.deny, by: .landlock, rule: nil, reason: "\"\(path)\" \(problem)")
      }
      return files.decide(path, rights)
    case .connect(let connection):
      return loopback(connection) ?? network.decide(connection)
    case .request(let connection, let message):
      return network.decide(connection, message)
    case .systemCall(let name, let arguments):
      return systemCalls.decide(name, arguments)
    case .capability(let name):
      guard let grant = rules.capabilities.first(where: { $0.name == name }) else {
        return Decision(.deny, by: .capability, rule: nil, reason: "policy.capabilities does not name \(name)")
      }
      return Decision(
        .allow, by: .capability, rule: ("capabilities", grant.origin), reason: "policy.capabilities names it")
    case .become(let uid):
      let rule = ("process.run_as_user", rules.identityOrigin)
      if uid == rules.uid { return Decision(.allow, by: .identity, rule: rule, reason: "the process runs as \(uid)") }
      guard let grant = rules.capabilities.first(where: { $0.name == "CAP_SETUID" }) else {
        return Decision(.deny, by: .identity, rule: rule, reason: "the process runs as \(rules.uid) without CAP_SETUID")
      }
      return Decision(.allow, by: .capability, rule: ("capabilities", grant.origin), reason: "CAP_SETUID is granted")
    }
  }

  /// The sandbox's own loopback device is not a way out.
  private func loopback(_ connection: Connection) -> Decision? {
    guard case .address(let address) = connection.destination, SpecialAddresses.kind(address) == "loopback" else {
      return nil
    }
    return Decision(
      .allow, by: .nftables, rule: ("loopback", .builtIn), reason: "the sandbox has a loopback of its own")
  }
}
