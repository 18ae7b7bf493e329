/// Limits of the container's cgroup (config-linux.md#control-groups). All-optional; `update` uses it too.
public struct Resources: Sendable, Equatable {
  /// Device access rules in order.
  public var devices: [DeviceRule] = []
  /// Memory.
  public var memory: MemoryResources? = nil
  /// CPU.
  public var cpu: CPUResources? = nil
  /// Number of tasks; negative means no limit, and 0 a limit that lets nothing fork.
  public var pidsLimit: Int64? = nil
  /// Block devices.
  public var blockIO: BlockIOResources? = nil
  /// Huge pages.
  public var hugepageLimits: [HugepageLimit] = []
  /// net_cls and net_prio.
  public var network: NetworkResources? = nil
  /// By device.
  public var rdma: [String: RdmaLimit] = [:]
  /// cgroup v2 files by name.
  public var unified: [String: String] = [:]

  /// Makes one; what is not given is absent.
  public init() {}
}

/// One device rule; absent type, major or minor mean all.
public struct DeviceRule: Sendable, Equatable {
  /// Allow or deny.
  public var allow: Bool
  /// `a`, `c` or `b`.
  public var type: String = "a"
  /// Major number.
  public var major: Int64? = nil
  /// Minor number.
  public var minor: Int64? = nil
  /// Letters of r, w, m.
  public var access: String = "rwm"

  /// Makes one; what is not given is absent.
  public init(allow: Bool) {
    self.allow = allow
  }
}

/// Memory limits in bytes; −1 means unlimited.
public struct MemoryResources: Sendable, Equatable {
  /// Hard limit.
  public var limit: Int64? = nil
  /// Soft limit.
  public var reservation: Int64? = nil
  /// Memory plus swap.
  public var swap: Int64? = nil
  /// Kernel memory; has no effect on current kernels.
  public var kernel: Int64? = nil
  /// TCP buffers.
  public var kernelTCP: Int64? = nil
  /// 0 to 100.
  public var swappiness: UInt64? = nil
  /// Tasks wait instead of being killed.
  public var disableOOMKiller: Bool? = nil
  /// Children count too.
  public var useHierarchy: Bool? = nil
  /// Refuse a limit below the current usage.
  public var checkBeforeUpdate: Bool? = nil

  /// Makes one; what is not given is absent.
  public init() {}
}

/// CPU limits.
public struct CPUResources: Sendable, Equatable {
  /// Relative weight; 0 means the default.
  public var shares: UInt64? = nil
  /// µs per period; negative means none.
  public var quota: Int64? = nil
  /// µs that may be saved up.
  public var burst: UInt64? = nil
  /// µs.
  public var period: UInt64? = nil
  /// µs per real-time period.
  public var realtimeRuntime: Int64? = nil
  /// µs.
  public var realtimePeriod: UInt64? = nil
  /// cpuset list.
  public var cpus: String = ""
  /// cpuset list of memory nodes.
  public var mems: String = ""
  /// 1 makes it SCHED_IDLE.
  public var idle: Int64? = nil

  /// Makes one; what is not given is absent.
  public init() {}
}

/// Block device limits.
public struct BlockIOResources: Sendable, Equatable {
  /// 10 to 1000; 0 means the default.
  public var weight: UInt16? = nil
  /// 10 to 1000.
  public var leafWeight: UInt16? = nil
  /// By device.
  public var weightDevice: [WeightDevice] = []
  /// Bytes per second.
  public var throttleReadBpsDevice: [ThrottleDevice] = []
  /// Bytes per second.
  public var throttleWriteBpsDevice: [ThrottleDevice] = []
  /// Operations per second.
  public var throttleReadIOPSDevice: [ThrottleDevice] = []
  /// Operations per second.
  public var throttleWriteIOPSDevice: [ThrottleDevice] = []

  /// Makes one; what is not given is absent.
  public init() {}
}

/// Weight of one device.
public struct WeightDevice: Sendable, Equatable {
  /// Major number.
  public var major: Int64
  /// Minor number.
  public var minor: Int64
  /// Weight.
  public var weight: UInt16? = nil
  /// Weight against its own children.
  public var leafWeight: UInt16? = nil

  /// Makes one; what is not given is absent.
  public init(major: Int64, minor: Int64) {
    self.major = major
    self.minor = minor
  }
}

/// Rate of one device.
public struct ThrottleDevice: Sendable, Equatable {
  /// Major number.
  public var major: Int64
  /// Minor number.
  public var minor: Int64
  /// Per second.
  public var rate: UInt64

  /// Makes one; what is not given is absent.
  public init(major: Int64, minor: Int64, rate: UInt64) {
    self.major = major
    self.minor = minor
    self.rate = rate
  }
}

/// Limit of one huge-page size.
public struct HugepageLimit: Sendable, Equatable {
  /// Such as `2MB`.
  public var pageSize: String
  /// Bytes.
  public var limit: UInt64

  /// Makes one; what is not given is absent.
  public init(pageSize: String, limit: UInt64) {
    self.pageSize = pageSize
    self.limit = limit
  }
}

/// Network classes.
public struct NetworkResources: Sendable, Equatable {
  /// net_cls.classid.
  public var classID: UInt32? = nil
  /// net_prio.ifpriomap.
  public var priorities: [InterfacePriority] = []

  /// Makes one; what is not given is absent.
  public init() {}
}

/// Priority on one interface.
public struct InterfacePriority: Sendable, Equatable {
  /// Interface.
  public var name: String
  /// Priority.
  public var priority: UInt32

  /// Makes one; what is not given is absent.
  public init(name: String, priority: UInt32) {
    self.name = name
    self.priority = priority
  }
}

/// Limit of one RDMA device.
public struct RdmaLimit: Sendable, Equatable {
  /// Handles.
  public var hcaHandles: UInt32? = nil
  /// Objects.
  public var hcaObjects: UInt32? = nil

  /// Makes one; what is not given is absent.
  public init() {}
}
