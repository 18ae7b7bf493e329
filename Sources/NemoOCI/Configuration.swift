/// config.json of an OCI bundle, runtime-spec 1.3, decoded and in range.
///
/// Property names are the specification's; see config.md and config-linux.md for their meaning.
/// config.json as a whole (config.md).
public struct Configuration: Sendable, Equatable {
  /// Semantic version of the specification it was written for.
  public var ociVersion: String
  /// What runs; needed by `start`.
  public var process: Process? = nil
  /// The root file system.
  public var root: Root
  /// Host name in the UTS namespace; empty leaves it.
  public var hostname: String = ""
  /// NIS domain name in the UTS namespace; empty leaves it.
  public var domainname: String = ""
  /// Mounts in their order.
  public var mounts: [Mount] = []
  /// Programs run at fixed moments.
  public var hooks: Hooks = Hooks()
  /// The Linux part.
  public var linux: LinuxConfiguration = LinuxConfiguration()
  /// Arbitrary metadata.
  public var annotations: [String: String] = [:]

  /// Makes one; what is not given is absent.
  public init(ociVersion: String, root: Root) {
    self.ociVersion = ociVersion
    self.root = root
  }
}

/// The root file system (config.md#root).
public struct Root: Sendable, Equatable {
  /// Path, relative to the bundle or absolute.
  public var path: String
  /// Read-only inside the container.
  public var readonly: Bool = false

  /// Makes one; what is not given is absent.
  public init(path: String) {
    self.path = path
  }
}

/// One range of a user-namespace mapping (config-linux.md#user-namespace-mappings).
public struct IDMapping: Sendable, Equatable {
  /// First id inside.
  public var containerID: UInt32
  /// First id outside.
  public var hostID: UInt32
  /// Number of ids.
  public var size: UInt32

  /// Makes one; what is not given is absent.
  public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
    self.containerID = containerID
    self.hostID = hostID
    self.size = size
  }
}

/// One mount (config.md#mounts).
public struct Mount: Sendable, Equatable {
  /// Absolute path in the container.
  public var destination: String
  /// File system type; empty or `bind` with a bind option.
  public var type: String = ""
  /// Device, directory or file; relative paths are the bundle's.
  public var source: String = ""
  /// fstab-like options.
  public var options: [String] = []
  /// Uid mapping of an idmapped mount.
  public var uidMappings: [IDMapping] = []
  /// Gid mapping of an idmapped mount.
  public var gidMappings: [IDMapping] = []
  /// A user namespace file whose mappings an idmapped mount takes; set where the container joins one and the mount has none.
  public var idMapNamespace: String = ""

  /// Makes one; what is not given is absent.
  public init(destination: String) {
    self.destination = destination
  }
}

/// One hook (config.md#posix-platform-hooks).
public struct Hook: Sendable, Equatable {
  /// Absolute path in the runtime's file system.
  public var path: String
  /// The whole argv, name first; empty means the path.
  public var args: [String] = []
  /// The whole environment; nil where the configuration names none.
  public var env: [String]?
  /// Seconds until it is killed; at least 1.
  public var timeout: Int? = nil

  /// Makes one; what is not given is absent.
  public init(path: String) {
    self.path = path
  }
}

/// The six kinds of hooks.
public struct Hooks: Sendable, Equatable {
  /// Deprecated: after create, before pivot_root, in the runtime's namespaces.
  public var prestart: [Hook] = []
  /// After prestart, in the runtime's namespaces.
  public var createRuntime: [Hook] = []
  /// Before pivot_root, in the container's namespaces.
  public var createContainer: [Hook] = []
  /// Before the process is executed, in the container.
  public var startContainer: [Hook] = []
  /// After the process was started, in the runtime's namespaces.
  public var poststart: [Hook] = []
  /// After delete, in the runtime's namespaces.
  public var poststop: [Hook] = []

  /// Makes one; what is not given is absent.
  public init() {}
}
