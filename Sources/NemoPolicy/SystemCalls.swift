/// A comparison of one argument of a system call, as seccomp makes it.
public struct ArgumentCondition: Sendable, Hashable {
  /// How the argument is compared.
  public enum Comparison: String, Sendable, Hashable, CaseIterable {
    case equal = "eq"
    case notEqual = "ne"
    case less = "lt"
    case lessOrEqual = "le"
    case greater = "gt"
    case greaterOrEqual = "ge"
    /// The bits of `mask` equal `value`.
    case maskedEqual = "masked_eq"
  }

  /// Argument, 0 to 5.
  public var index: Int
  /// How it is compared.
  public var comparison: Comparison
  /// What it is compared with.
  public var value: UInt64
  /// Bits looked at by `maskedEqual`.
  public var mask: UInt64

  /// A comparison of argument `index`.
  public init(_ index: Int, _ comparison: Comparison, _ value: UInt64, mask: UInt64 = .max) {
    self.index = index
    self.comparison = comparison
    self.value = value
    self.mask = mask
  }

  func holds(_ argument: UInt64) -> Bool {
    switch comparison {
    case .equal: argument == value
    case .notEqual: argument != value
    case .less: argument < value
    case .lessOrEqual: argument <= value
    case .greater: argument > value
    case .greaterOrEqual: argument >= value
    case .maskedEqual: argument & mask == value
    }
  }
}

/// What is done with some system calls.
public struct SystemCallRule: Sendable, Hashable {
  /// What happens.
  public enum Outcome: Sendable, Hashable {
    case allow
    /// The call fails with this errno, by name.
    case refuse(errno: String)
  }

  /// The calls, by name.
  public var names: [String]
  /// All must hold.
  public var conditions: [ArgumentCondition]
  /// What happens.
  public var outcome: Outcome
  /// How the rule reads: `system_calls.deny`.
  public var name: String
  /// Where it was written.
  public var origin: Origin

  /// A rule for `names`.
  public init(
    _ names: [String], when conditions: [ArgumentCondition] = [], _ outcome: Outcome, name: String, origin: Origin
  ) {
    self.names = names
    self.conditions = conditions
    self.outcome = outcome
    self.name = name
    self.origin = origin
  }
}

/// The system call rules of a policy: refusals come first, then allowances, then the profile's default.
struct SystemCallRules: Sendable {
  private var byName: [String: [SystemCallRule]] = [:]
  private let profile: String

  init(_ rules: [SystemCallRule], profile: String) {
    self.profile = profile
    for rule in rules { for name in Set(rule.names) { byName[name, default: []].append(rule) } }
  }

  func decide(_ call: String, _ arguments: [UInt64?]) -> Decision {
    let rules = byName[call] ?? []
    var open: SystemCallRule?
    for refuses in [true, false] {
      for rule in rules where (rule.outcome != .allow) == refuses {
        switch Self.matches(rule, arguments) {
        case true?: return Self.decision(call, rule, "\(rule.name) names it")
        case nil where !refuses || open == nil: open = open ?? rule
        default: break
        }
      }
    }
    if let open {
      let text = "\(open.name) decides it by its arguments, which are not given"
      return Self.decision(call, open, text)
    }
    if !rules.isEmpty {
      return Decision(
        .deny, by: .seccomp, rule: (rules[0].name, rules[0].origin),
        reason: "no rule covers these arguments; \(call) fails with \(AgentProfile.uncoveredErrno)")
    }
    return Decision(
      .deny, by: .seccomp, rule: nil,
      reason: "the profile \(profile) does not list \(call), which fails with \(AgentProfile.unknownErrno)")
  }

  private static func decision(_ call: String, _ rule: SystemCallRule, _ reason: String) -> Decision {
    switch rule.outcome {
    case .allow: Decision(.allow, by: .seccomp, rule: (rule.name, rule.origin), reason: reason)
    case .refuse(let errno):
      Decision(.deny, by: .seccomp, rule: (rule.name, rule.origin), reason: "\(reason); \(call) fails with \(errno)")
    }
  }

  /// Whether all conditions hold; nil where an argument that matters is not known.
  private static func matches(_ rule: SystemCallRule, _ arguments: [UInt64?]) -> Bool? {
    var known = true
    for condition in rule.conditions {
      guard let argument = arguments.indices.contains(condition.index) ? arguments[condition.index] : nil else {
        known = false
        continue
      }
      if !condition.holds(argument) { return false }
    }
    return known ? true : nil
  }
}
