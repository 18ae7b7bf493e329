import CSeccomp
import NemoKernel
import NemoOCI

/// A profile with every name but those of system calls turned into numbers: what is wrong in it is found here.
struct ResolvedProfile {
  struct Rule {
    /// Place in the profile, for errors.
    var index: Int
    var names: [String]
    var action: UInt32
    var conditions: [scmp_arg_cmp]

    /// Two conditions on one argument cannot be one rule of libseccomp: each becomes its own, so any of them matches, as with runc.
    var isAlternative: Bool {
      var seen: UInt32 = 0
      for condition in conditions {
        if seen & (1 << condition.arg) != 0 { return true }
        seen |= 1 << condition.arg
      }
      return false
    }
  }

  /// SECCOMP_RET_… with data.
  var defaultAction: UInt32
  /// libseccomp tokens, the native one first, each once.
  var architectures: [UInt32]
  /// SECCOMP_FILTER_FLAG_… for seccomp(2).
  var flags: UInt32
  var notifies = false
  var rules: [Rule] = []
  var warnings: [String] = []

  private static let place = "/linux/seccomp"

  /// - Throws: an error that names the JSON pointer of the first unknown or contradicting value.
  init(_ profile: SeccompProfile) throws(Failure) {
    let place = ResolvedProfile.place
    defaultAction = try ResolvedProfile.action(
      profile.defaultAction, profile.defaultErrnoRet, "\(place)/defaultAction", "\(place)/defaultErrnoRet")
    guard defaultAction != SeccompNames.notify else {
      throw Failure("", "\(place)/defaultAction", reason: "SCMP_ACT_NOTIFY cannot be used as default action")
    }
    architectures = [seccomp_arch_native()]
    for (i, name) in profile.architectures.enumerated() {
      guard let token = SeccompNames.architecture(name) else {
        throw Failure("", "\(place)/architectures/\(i)", reason: "unknown architecture \"\(name)\"")
      }
      guard token != 0 else {
        throw Failure(
          "", "\(place)/architectures/\(i)", reason: "libseccomp \(Seccomp.libraryVersion) does not know \(name)")
      }
      if !architectures.contains(token) { architectures.append(token) }
    }
    flags = 0
    for (i, name) in profile.flags.enumerated() {
      guard let flag = SeccompNames.find(name, in: SeccompNames.flags) else {
        throw Failure("", "\(place)/flags/\(i)", reason: "unknown flag \"\(name)\"")
      }
      flags |= flag
    }
    rules.reserveCapacity(profile.syscalls.count)
    for (i, rule) in profile.syscalls.enumerated() { rules.append(try ResolvedProfile.rule(rule, i)) }
    try resolveListener(profile)
  }

  private mutating func resolveListener(_ profile: SeccompProfile) throws(Failure) {
    let place = ResolvedProfile.place
    for rule in rules where rule.action == SeccompNames.notify {
      notifies = true
      // The process tells the runtime of its listener with write(2), before anybody could answer for it.
      if rule.names.contains("write") {
        throw Failure(
          "", "\(place)/syscalls/\(rule.index)", reason: "SCMP_ACT_NOTIFY cannot be used for the write syscall")
      }
    }
    if notifies && profile.listenerPath.isEmpty {
      throw Failure("", "\(place)/listenerPath", reason: "is required with SCMP_ACT_NOTIFY")
    }
    if profile.listenerPath.isEmpty && !profile.listenerMetadata.isEmpty {
      throw Failure("", "\(place)/listenerMetadata", reason: "is set without listenerPath")
    }
    if notifies {
      flags |= SeccompNames.newListener
      // A listener and a failing thread would both be a positive result (seccomp(2)).
      if flags & SeccompNames.threadSync != 0 { flags |= SeccompNames.threadSyncAsErrno }
    } else if flags & SeccompNames.waitKillable != 0 {
      // The kernel refuses it without a listener.
      flags &= ~SeccompNames.waitKillable
      warnings.append("\(place)/flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV has no effect without SCMP_ACT_NOTIFY")
    }
  }

  private static func rule(_ rule: SeccompRule, _ i: Int) throws(Failure) -> Rule {
    let place = "\(place)/syscalls/\(i)"
    let action = try action(rule.action, rule.errnoRet, "\(place)/action", "\(place)/errnoRet")
    for (n, name) in rule.names.enumerated() where name.isEmpty {
      throw Failure("", "\(place)/names/\(n)", reason: "is empty")
    }
    var conditions: [scmp_arg_cmp] = []
    for (n, argument) in rule.args.enumerated() {
      guard let op = SeccompNames.find(argument.op, in: SeccompNames.operators) else {
        throw Failure("", "\(place)/args/\(n)/op", reason: "unknown operator \"\(argument.op)\"")
      }
      guard argument.index <= 5 else {
        throw Failure("", "\(place)/args/\(n)/index", reason: "\(argument.index) is out of range 0 ... 5")
      }
      conditions.append(
        scmp_arg_cmp(arg: argument.index, op: op, datum_a: argument.value, datum_b: argument.valueTwo))
    }
    return Rule(index: i, names: rule.names, action: action, conditions: conditions)
  }

  /// The kernel's answer for an action with its errno; EPERM where none is given.
  private static func action(_ name: String, _ errnoRet: UInt32?, _ place: String, _ errnoPlace: String)
    throws(Failure) -> UInt32
  {
    guard let action = SeccompNames.find(name, in: SeccompNames.actions) else {
      throw Failure("", place, reason: "unknown action \"\(name)\"")
    }
    guard action == SeccompNames.errno || action == SeccompNames.trace else {
      guard errnoRet == nil else { throw Failure("", errnoPlace, reason: "\(name) has no errno") }
      return action
    }
    let number = errnoRet ?? 1
    // The kernel answers no errno above MAX_ERRNO; a tracer gets 16 bits.
    let limit: UInt32 = action == SeccompNames.errno ? 4095 : 65535
    guard number <= limit else { throw Failure("", errnoPlace, reason: "\(number) is out of range 0 ... \(limit)") }
    return action | number
  }
}
