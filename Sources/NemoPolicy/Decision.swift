/// Allowed or not.
public enum Verdict: String, Sendable, Hashable {
  /// The action succeeds as far as the policy is concerned.
  case allow
  /// The action fails.
  case deny
}

/// What in the sandbox makes a verdict true.
public enum Mechanism: String, Sendable, Hashable {
  /// Landlock rules.
  case landlock
  /// A mount that is read-only.
  case readOnlyMount
  /// A mount that no program is run from.
  case noexecMount
  /// The system call filter.
  case seccomp
  /// The packet filter of the sandbox's network namespace.
  case nftables
  /// The capability sets.
  case capability
  /// The user and groups of the process.
  case identity
  /// The egress gate of the host.
  case gate
}

/// A verdict with the rule, the mechanism and the reason behind it.
public struct Decision: Sendable, Hashable {
  /// Allowed or not.
  public var verdict: Verdict
  /// What enforces it.
  public var mechanism: Mechanism
  /// The rule as it reads; nil where no rule speaks of the action.
  public var rule: String?
  /// Where that rule was written.
  public var origin: Origin?
  /// One sentence.
  public var reason: String
  /// The rule only records: the action is allowed although enforcement would refuse it.
  public var isAuditOnly = false

  init(_ verdict: Verdict, by mechanism: Mechanism, rule: (name: String, origin: Origin)?, reason: String) {
    self.verdict = verdict
    self.mechanism = mechanism
    self.rule = rule?.name
    self.origin = rule?.origin
    self.reason = reason
  }
}
