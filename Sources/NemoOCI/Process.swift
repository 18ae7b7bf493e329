/// The container process (config.md#process).
public struct Process: Sendable, Equatable {
  /// Attach a pseudo-terminal.
  public var terminal: Bool = false
  /// Initial size of the terminal.
  public var consoleSize: ConsoleSize? = nil
  /// Absolute working directory.
  public var cwd: String = "/"
  /// `NAME=value` entries.
  public var env: [String] = []
  /// argv; at least one.
  public var args: [String] = []
  /// Identity.
  public var user: User = User()
  /// Resource limits.
  public var rlimits: [ResourceLimit] = []
  /// The five sets; absent means none.
  public var capabilities: CapabilitySets? = nil
  /// prctl PR_SET_NO_NEW_PRIVS.
  public var noNewPrivileges: Bool = false
  /// /proc/self/oom_score_adj.
  public var oomScoreAdj: Int? = nil
  /// sched_setattr(2).
  public var scheduler: Scheduler? = nil
  /// ioprio_set(2).
  public var ioPriority: IOPriority? = nil
  /// CPU affinity of exec.
  public var execCPUAffinity: ExecCPUAffinity? = nil
  /// AppArmor profile; empty for none.
  public var apparmorProfile: String = ""
  /// SELinux process label; empty for none.
  public var selinuxLabel: String = ""
  /// Landlock restrictions (spec/landlock.md).
  public var landlock: Landlock? = nil

  /// Makes one; what is not given is absent.
  public init() {}
}

/// Size of a terminal in characters.
public struct ConsoleSize: Sendable, Equatable {
  /// Rows.
  public var height: UInt16
  /// Columns.
  public var width: UInt16

  /// Makes one; what is not given is absent.
  public init(height: UInt16, width: UInt16) {
    self.height = height
    self.width = width
  }
}

/// Identity of a process (config.md#posix-platform-user).
public struct User: Sendable, Equatable {
  /// User id in the container.
  public var uid: UInt32 = 0
  /// Group id in the container.
  public var gid: UInt32 = 0
  /// File mode creation mask.
  public var umask: UInt32? = nil
  /// Supplementary groups.
  public var additionalGids: [UInt32] = []

  /// Makes one; what is not given is absent.
  public init() {}
}

/// One resource limit (setrlimit(2)).
public struct ResourceLimit: Sendable, Equatable {
  /// RLIMIT_* number.
  public var resource: Int32
  /// `RLIMIT_…` as written.
  public var name: String
  /// Soft limit.
  public var soft: UInt64
  /// Hard limit.
  public var hard: UInt64

  /// Makes one; what is not given is absent.
  public init(resource: Int32, name: String, soft: UInt64, hard: UInt64) {
    self.resource = resource
    self.name = name
    self.soft = soft
    self.hard = hard
  }
}

/// Capability names as written (`CAP_…`), by set (capabilities(7)).
public struct CapabilitySets: Sendable, Equatable {
  /// Effective.
  public var effective: [String] = []
  /// Bounding.
  public var bounding: [String] = []
  /// Inheritable.
  public var inheritable: [String] = []
  /// Permitted.
  public var permitted: [String] = []
  /// Ambient.
  public var ambient: [String] = []

  /// Makes one; what is not given is absent.
  public init() {}
}

/// Scheduling policy (sched_setattr(2)).
public struct Scheduler: Sendable, Equatable {
  /// SCHED_* number.
  public var policy: UInt32
  /// Nice value.
  public var nice: Int32 = 0
  /// Static priority of the real-time policies.
  public var priority: Int32 = 0
  /// SCHED_FLAG_* bits.
  public var flags: UInt64 = 0
  /// Deadline: runtime in ns.
  public var runtime: UInt64 = 0
  /// Deadline: deadline in ns.
  public var deadline: UInt64 = 0
  /// Deadline: period in ns.
  public var period: UInt64 = 0

  /// Makes one; what is not given is absent.
  public init(policy: UInt32) {
    self.policy = policy
  }
}

/// I/O priority (ioprio_set(2)).
public struct IOPriority: Sendable, Equatable {
  /// 1 real time, 2 best effort, 3 idle.
  public var ioClass: Int32
  /// 0 (highest) to 7.
  public var priority: Int32 = 0

  /// Makes one; what is not given is absent.
  public init(ioClass: Int32) {
    self.ioClass = ioClass
  }
}

/// CPU sets for exec, as cpuset lists such as `0-2,4` (config-linux.md execCPUAffinity).
public struct ExecCPUAffinity: Sendable, Equatable {
  /// While the runtime prepares the process.
  public var initial: String = ""
  /// From the moment it is in its cgroup.
  public var final: String = ""

  /// Makes one; what is not given is absent.
  public init() {}
}
