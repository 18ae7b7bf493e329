/// The kinds of namespaces (namespaces(7)); the raw value is the specification's name.
public enum NamespaceKind: String, Sendable, CaseIterable {
  /// User ids and capabilities.
  case user
  /// Mounts.
  case mount
  /// Host and domain name.
  case uts
  /// System V IPC and POSIX message queues.
  case ipc
  /// Process ids.
  case pid
  /// Network.
  case network
  /// The cgroup root seen from inside.
  case cgroup
  /// Boot and monotonic clocks.
  case time
}

/// One namespace of the container: new, or joined by path.
public struct Namespace: Sendable, Equatable {
  /// Which.
  public var kind: NamespaceKind
  /// A namespace file to join; empty makes a new one.
  public var path: String = ""

  /// Makes one; what is not given is absent.
  public init(kind: NamespaceKind) {
    self.kind = kind
  }
}

/// Offset of one clock of a new time namespace.
public struct TimeOffset: Sendable, Equatable {
  /// Seconds.
  public var secs: Int64 = 0
  /// Nanoseconds.
  public var nanosecs: UInt32 = 0

  /// Makes one; what is not given is absent.
  public init() {}
}

/// A device node to make (config-linux.md#devices).
public struct Device: Sendable, Equatable {
  /// `c`, `u`, `b` or `p`.
  public var type: String
  /// Absolute path in the container.
  public var path: String
  /// Major number.
  public var major: Int64 = 0
  /// Minor number.
  public var minor: Int64 = 0
  /// Permission bits.
  public var fileMode: UInt32? = nil
  /// Owner in the container.
  public var uid: UInt32? = nil
  /// Group in the container.
  public var gid: UInt32? = nil

  /// Makes one; what is not given is absent.
  public init(type: String, path: String) {
    self.type = type
    self.path = path
  }
}

/// A network device to move into the container (config-linux.md#network-devices).
public struct NetDevice: Sendable, Equatable {
  /// Its name outside.
  public var hostName: String
  /// Its name inside; empty keeps it.
  public var name: String = ""

  /// Makes one; what is not given is absent.
  public init(hostName: String) {
    self.hostName = hostName
  }
}

/// Resource director technology (config-linux.md#intelrdt).
public struct IntelRdt: Sendable, Equatable {
  /// Class of service; empty means the container id.
  public var closID: String = ""
  /// L3 schema line.
  public var l3CacheSchema: String = ""
  /// MB schema line.
  public var memBwSchema: String = ""
  /// Schemata lines.
  public var schemata: [String] = []
  /// A monitoring group of its own.
  public var enableMonitoring: Bool = false

  /// Makes one; what is not given is absent.
  public init() {}
}

/// NUMA memory policy (set_mempolicy(2)).
public struct MemoryPolicy: Sendable, Equatable {
  /// MPOL_* number.
  public var mode: Int32
  /// Node list such as `0-1`.
  public var nodes: String = ""
  /// MPOL_F_* bits.
  public var flags: Int32 = 0

  /// Makes one; what is not given is absent.
  public init(mode: Int32) {
    self.mode = mode
  }
}

/// The Linux part (config-linux.md).
public struct LinuxConfiguration: Sendable, Equatable {
  /// Namespaces; those not named are shared with the runtime.
  public var namespaces: [Namespace] = []
  /// Of a new user namespace.
  public var uidMappings: [IDMapping] = []
  /// Of a new user namespace.
  public var gidMappings: [IDMapping] = []
  /// By clock name: `monotonic`, `boottime`.
  public var timeOffsets: [String: TimeOffset] = [:]
  /// Device nodes beside the default ones.
  public var devices: [Device] = []
  /// Network devices to move in.
  public var netDevices: [NetDevice] = []
  /// Cgroup path, absolute or relative; empty lets the runtime choose.
  public var cgroupsPath: String = ""
  /// Limits.
  public var resources: Resources = Resources()
  /// Kernel parameters, dotted names.
  public var sysctl: [String: String] = [:]
  /// Paths to hide.
  public var maskedPaths: [String] = []
  /// Paths to make read-only.
  public var readonlyPaths: [String] = []
  /// `shared`, `slave`, `private`, `unbindable` or an `r` form; empty means rslave as runc's default of rprivate for the old root.
  public var rootfsPropagation: String = ""
  /// SELinux mount label.
  public var mountLabel: String = ""
  /// Execution domain.
  public var personality: Personality? = nil
  /// Resource director technology.
  public var intelRdt: IntelRdt? = nil
  /// NUMA policy.
  public var memoryPolicy: MemoryPolicy? = nil
  /// System call filter.
  public var seccomp: SeccompProfile? = nil

  /// Makes one; what is not given is absent.
  public init() {}
}

/// Execution domain (personality(2)).
public struct Personality: Sendable, Equatable {
  /// PER_* number.
  public var domain: UInt

  /// Makes one; what is not given is absent.
  public init(domain: UInt) {
    self.domain = domain
  }
}
