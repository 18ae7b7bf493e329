import CKernel
import NemoKernel
import NemoOCI

/// A configuration's restrictions as this kernel will enforce them.
public struct LandlockPlan: Sendable {
  /// What the kernel can do.
  public let kernel: LandlockKernel
  /// What will be in force.
  public let enforced: LandlockRights
  /// Names of what was asked for, is missing in the kernel, and may be missing.
  public let dropped: [String]
  let paths: [LandlockPath]
  let ports: [LandlockPort]
  /// The files that the container's own ruleset was made of, for one that shall equal it; nil for the container's own.
  public var recorded: [PathIdentity?]?

  /// Plans for the running kernel.
  ///
  /// - Throws: when something is missing that the configuration does not name in `bestEffort`.
  public init(_ landlock: Landlock) throws(Failure) { try self.init(landlock, on: .probe()) }

  init(_ landlock: Landlock, on kernel: LandlockKernel) throws(Failure) {
    let missing = landlock.handled.subtracting(kernel.supported)
    let needed = missing.subtracting(landlock.bestEffort)
    guard needed == LandlockRights() else { throw LandlockPlan.unsupported(needed, kernel) }
    self.kernel = kernel
    enforced = landlock.handled.intersection(kernel.supported)
    dropped = missing.entries.map(\.name)
    paths = landlock.paths
    ports = landlock.ports
  }

  private static func unsupported(_ rights: LandlockRights, _ kernel: LandlockKernel) -> Failure {
    let advice = "name what may be missing in /process/landlock/bestEffort, or use a newer kernel"
    guard kernel.abi > 0 else {
      return Failure(
        "", "/process/landlock", errno: kernel.errno,
        reason: "this kernel has no Landlock: it cannot restrict \(rights.text)",
        advice: advice)
    }
    let abi = rights.entries.map(\.abi).max() ?? 0
    return Failure(
      "", "/process/landlock/ruleset",
      reason: "this kernel cannot restrict \(rights.text): its Landlock has ABI \(kernel.abi), ABI \(abi) is needed",
      advice: advice)
  }

  /// What is in force, in one line, for the state: `abi 7: execute, read_file, connect_tcp, signal`.
  public var summary: String {
    enforced.enforceNothing ? "nothing" : "abi \(kernel.abi): \(enforced.text)"
  }

  /// One line about what was dropped, for whoever starts the container; nil when nothing was.
  public var warning: String? {
    dropped.isEmpty
      ? nil : "Landlock does not restrict \(dropped.joined(separator: ", ")): this kernel cannot (ABI \(kernel.abi))"
  }

  /// Makes the ruleset and what the canaries need, in the container's root and with the rights to mount.
  ///
  /// - Parameters:
  ///   - root: the container's root directory.
  ///   - warn: takes one line about a rule that was left out.
  /// - Returns: nil when nothing is to be enforced.
  public func open(root: Int32, warn: (String) throws(Failure) -> Void) throws(Failure) -> LandlockRuleset? {
    if enforced.enforceNothing { return nil }
    let fd = nemo_landlock_create_ruleset(enforced.files, enforced.ports, enforced.scopes)
    guard fd >= 0 else { throw .last("create the Landlock ruleset", "/process/landlock/ruleset") }
    var rules = PathRules(ruleset: fd, handled: enforced.files, paths: paths, recorded: recorded)
    try rules.add(below: root, warn)
    for rule in ports {
      let allowed = rule.allowed & enforced.ports
      if allowed == 0 { continue }
      guard nemo_landlock_allow_port(fd, rule.port, allowed) == 0 else {
        throw .last("add the Landlock rule for port \(rule.port)")
      }
    }
    return LandlockRuleset(
      descriptor: fd, scratch: enforced.files == 0 ? -1 : try LandlockCanaries.makeScratch(),
      identities: rules.identities)
  }

  /// Restricts the calling process for good, and proves it: each canary must fail as Landlock makes it fail.
  public func enforce(_ ruleset: LandlockRuleset) throws(Failure) {
    let canaries = try LandlockCanaries(plan: self, scratch: ruleset.scratch)
    // The canaries are denials too, which nobody shall find in the log: the program is a new executable to the kernel.
    let quiet: UInt64 = kernel.abi >= 7 ? LandlockPlan.logSameExecOff : 0
    guard nemo_landlock_restrict_self(ruleset.descriptor, UInt32(enforced.flags | quiet)) == 0 else {
      let errno = Errno.current
      canaries.discard()
      throw Failure(
        "restrict the process with Landlock", errno: errno,
        advice: errno == Errno.tooBig ? "the kernel allows 16 nested restrictions" : "")
    }
    try canaries.check()
  }

  private static let logSameExecOff: UInt64 = 1
}

extension Errno {
  /// Argument list too long; landlock_restrict_self(2): too many nested restrictions.
  static let tooBig = Errno(rawValue: 7)
}

/// A ruleset ready to be enforced, and what its canaries use. Its descriptors close on exec.
public struct LandlockRuleset: Sendable {
  /// The ruleset.
  public let descriptor: Int32
  /// A directory that no rule covers, or -1.
  public let scratch: Int32
  /// The files of the rules, in the configuration's order; nil where there was none.
  public let identities: [PathIdentity?]
}
