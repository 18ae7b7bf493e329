/// A system call filter (config-linux.md#seccomp). Names are the specification's, as written; ``NemoSeccomp`` resolves them.
public struct SeccompProfile: Sendable, Equatable {
  /// `SCMP_ACT_…` for what no rule names.
  public var defaultAction: String
  /// errno of a default ERRNO or TRACE.
  public var defaultErrnoRet: UInt32? = nil
  /// `SCMP_ARCH_…`; empty means the native one.
  public var architectures: [String] = []
  /// `SECCOMP_FILTER_FLAG_…`.
  public var flags: [String] = []
  /// Whether `flags` was there, empty or not.
  public var flagsGiven: Bool = false
  /// Socket of the NOTIFY agent.
  public var listenerPath: String = ""
  /// Passed to the agent.
  public var listenerMetadata: String = ""
  /// Rules in order.
  public var syscalls: [SeccompRule] = []
  /// The rules as they are written in config.json, where that is known: stands for them in the cache of compiled filters.
  public var rulesText: [UInt8] = []

  /// Makes one; what is not given is absent.
  public init(defaultAction: String) {
    self.defaultAction = defaultAction
  }
}

/// One rule: any of the names, all of the conditions.
public struct SeccompRule: Sendable, Equatable {
  /// System call names.
  public var names: [String] = []
  /// `SCMP_ACT_…`.
  public var action: String
  /// errno of ERRNO or TRACE.
  public var errnoRet: UInt32? = nil
  /// Conditions.
  public var args: [SeccompArgument] = []

  /// Makes one; what is not given is absent.
  public init(action: String) {
    self.action = action
  }
}

/// One condition on an argument.
public struct SeccompArgument: Sendable, Equatable {
  /// Argument 0 to 5.
  public var index: UInt32
  /// Value, or mask for MASKED_EQ.
  public var value: UInt64
  /// Compared value for MASKED_EQ.
  public var valueTwo: UInt64 = 0
  /// `SCMP_CMP_…`.
  public var op: String

  /// Makes one; what is not given is absent.
  public init(index: UInt32, value: UInt64, op: String) {
    self.index = index
    self.value = value
    self.op = op
  }
}
