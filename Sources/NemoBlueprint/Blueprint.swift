import NemoPolicy

/// A blueprint that has been read and found valid.
public struct Blueprint: Sendable {
  /// The file as the user named it.
  public var file: String
  /// The text as read, with every position.
  public var source: Value

  /// Name of the blueprint.
  public var name: String
  /// Version of the blueprint.
  public var version: String
  /// For people.
  public var description: String
  /// Oldest nemoshell that can hold it; empty for any.
  public var minimumRuntime: String
  /// For tools.
  public var labels: [String: String]

  /// What runs, and in what surroundings.
  public var sandbox: Sandbox
  /// What it may do.
  public var filesystem: Filesystem
  /// Landlock may be missing as a whole.
  public var isLandlockBestEffort: Bool
  /// Landlock rights that may be missing.
  public var bestEffortRights: [String]
  /// User and groups.
  public var identity: Identity
  /// System call rules, the profile's first.
  public var systemCalls: [SystemCallRule]
  /// Capabilities with where they were written.
  public var capabilities: [(name: String, origin: Origin)]
  /// Network rules.
  public var networkRules: [NetworkRule]
  /// Assertions.
  public var expectations: [Expectation]
}

/// What runs, and in what surroundings.
public struct Sandbox: Sendable {
  /// Where a root file system comes from. Paths are as written.
  public enum RootfsSource: Sendable, Hashable {
    case directory(String)
    case ociLayout(String)
    case dockerArchive(String)
  }

  /// A mount.
  public struct Mount: Sendable, Hashable {
    /// Where it is mounted.
    public var destination: String
    /// Path of the host as written; nil for a tmpfs.
    public var source: String?
    /// Bytes of a tmpfs.
    public var size: Int
    /// Whether it can be changed.
    public var isWritable: Bool
    /// Whether programs can be run from it.
    public var isExecutable: Bool
    /// Where it was written.
    public var origin: Origin
  }

  /// Limits.
  public struct Resources: Sendable, Hashable {
    /// Bytes of memory.
    public var memory = 2 << 30
    /// Bytes of swap on top.
    public var swap = 0
    /// Thousandths of a processor.
    public var milliCPUs = 2000
    /// Processes and threads.
    public var pids = 512
    /// Open files of a process.
    public var nofile = 4096
    /// Share of busy block devices; nil for the kernel's default.
    public var ioWeight: Int?
    /// Limits by block device.
    public var throttles: [Throttle] = []

    init() {}
  }

  /// Limits of a block device, in bytes and operations a second; nil for none.
  public struct Throttle: Sendable, Hashable {
    /// The device.
    public var device: String
    /// Bytes read.
    public var readBytes: Int?
    /// Bytes written.
    public var writeBytes: Int?
    /// Reads.
    public var readOperations: Int?
    /// Writes.
    public var writeOperations: Int?
  }

  /// A device of the host.
  public struct Device: Sendable, Hashable {
    /// Path, outside and inside.
    public var path: String
    /// `r`, `w` or `rw`.
    public var access: String
    /// Where it was written.
    public var origin: Origin
  }

  /// A port that the host offers.
  public struct Port: Sendable, Hashable {
    /// Port inside.
    public var container: UInt16
    /// Port of the host.
    public var host: UInt16
    /// Address of the host.
    public var address: String
    /// TCP or UDP.
    public var transport: Transport
  }

  /// How the sandbox is connected.
  public enum NetworkMode: String, Sendable, Hashable {
    /// Loopback only.
    case none
    /// A network of its own.
    case veth
    /// The engine's network.
    case join
    /// The host's network.
    case host
  }

  /// Where the root file system comes from.
  public var rootfs: RootfsSource
  /// Which image of a layout or archive; nil for the only one.
  public var reference: String?
  /// Digest that the image manifest must have; with docker_archive the image's id.
  public var digest: String?
  /// The sandbox may change its root file system.
  public var isRootfsWritable: Bool
  /// Program and arguments.
  public var args: [String]
  /// Working directory.
  public var cwd: String
  /// Environment.
  public var env: [String: String]
  /// It gets a terminal.
  public var hasTerminal: Bool
  /// Host name.
  public var hostname: String
  /// Where the workspace is mounted; nil for none.
  public var workspace: String?
  /// More mounts, in order.
  public var mounts: [Mount]
  /// Limits.
  public var resources: Resources
  /// Devices.
  public var devices: [Device]
  /// Devices by CDI name.
  public var cdi: [String]
  /// How it is connected.
  public var network: NetworkMode
  /// Namespace to join; nil for the engine's.
  public var networkPath: String?
  /// Published ports.
  public var ports: [Port]
}

/// The file rules as written.
public struct Filesystem: Sendable {
  /// Grants in order, the built-in ones not included.
  public var rules: [FileRule]
  /// Paths below a read-write path that must become read-only mounts.
  public var readOnlyMounts: [MountRule]
}

/// User and groups, by number or by a name of the rootfs.
public struct Identity: Sendable, Hashable {
  /// User.
  public var user: String
  /// Group.
  public var group: String
  /// More groups.
  public var groups: [String]
  /// User or group 0 is permitted.
  public var allowsRoot: Bool
  /// Where the user was written.
  public var origin: Origin

  /// The user of a sandbox that names none.
  public static let defaultID = "65532"
}

/// An assertion of the blueprint about itself.
public struct Expectation: Sendable {
  /// What is tried.
  public var action: Action
  /// How it reads.
  public var title: String
  /// What the policy must say.
  public var verdict: Verdict
  /// Where it was written.
  public var origin: Origin
}
