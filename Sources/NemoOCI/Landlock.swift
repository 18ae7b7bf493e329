/// Landlock restrictions of a process (spec/landlock.md): `process.landlock`, or the annotation ``annotation``.
public struct Landlock: Sendable, Equatable {
  /// The annotation that carries the same JSON for engines that drop unknown fields.
  public static let annotation = "nemoshell.landlock"

  /// What is denied unless a rule allows it, the scopes, and the flags of landlock_restrict_self(2).
  public var handled: LandlockRights
  /// What of `handled` may be missing in the kernel.
  public var bestEffort: LandlockRights = LandlockRights()
  /// Rules for files, one per path, in the order of the configuration.
  public var paths: [LandlockPath] = []
  /// Rules for TCP ports, one per port.
  public var ports: [LandlockPort] = []

  /// Makes one without rules.
  public init(handled: LandlockRights) {
    self.handled = handled
  }
}

/// Sets of the kernel's bits (linux/landlock.h).
public struct LandlockRights: Sendable, Equatable {
  /// `LANDLOCK_ACCESS_FS_*`.
  public var files: UInt64 = 0
  /// `LANDLOCK_ACCESS_NET_*`.
  public var ports: UInt64 = 0
  /// `LANDLOCK_SCOPE_*`.
  public var scopes: UInt64 = 0
  /// `LANDLOCK_RESTRICT_SELF_*`.
  public var flags: UInt64 = 0

  /// Makes an empty one.
  public init() {}

  /// Whether there is nothing to enforce; flags alone enforce nothing.
  public var enforceNothing: Bool { files == 0 && ports == 0 && scopes == 0 }
}

/// What is allowed at a path and below it.
public struct LandlockPath: Sendable, Equatable {
  /// Absolute and clean.
  public var path: String
  /// `LANDLOCK_ACCESS_FS_*`.
  public var allowed: UInt64
  /// The path need not be there.
  public var optional: Bool
  /// Its place below `/process/landlock`, for errors: `rules/pathBeneath/0/paths/1`.
  public var place: String

  /// Makes one of its parts.
  public init(path: String, allowed: UInt64, optional: Bool, place: String) {
    self.path = path
    self.allowed = allowed
    self.optional = optional
    self.place = place
  }

  /// Equal in what it allows, wherever it was written.
  public static func == (a: LandlockPath, b: LandlockPath) -> Bool {
    a.path == b.path && a.allowed == b.allowed && a.optional == b.optional
  }
}

/// What is allowed at a TCP port.
public struct LandlockPort: Sendable, Equatable {
  /// The port.
  public var port: UInt16
  /// `LANDLOCK_ACCESS_NET_*`.
  public var allowed: UInt64

  /// Makes one of its parts.
  public init(port: UInt16, allowed: UInt64) {
    self.port = port
    self.allowed = allowed
  }
}

/// One name of the configuration.
public struct LandlockName: Sendable, Equatable {
  /// As written.
  public let name: String
  /// The kernel's bit.
  public let bit: UInt64
  /// The first ABI that has it.
  public let abi: Int
}

/// The names that a configuration may use, with the kernel's bits (linux/landlock.h).
public enum LandlockNames {
  /// Rights on files.
  public static let files: [LandlockName] = [
    LandlockName(name: "execute", bit: 1 << 0, abi: 1), LandlockName(name: "write_file", bit: 1 << 1, abi: 1),
    LandlockName(name: "read_file", bit: 1 << 2, abi: 1), LandlockName(name: "read_dir", bit: 1 << 3, abi: 1),
    LandlockName(name: "remove_dir", bit: 1 << 4, abi: 1), LandlockName(name: "remove_file", bit: 1 << 5, abi: 1),
    LandlockName(name: "make_char", bit: 1 << 6, abi: 1), LandlockName(name: "make_dir", bit: 1 << 7, abi: 1),
    LandlockName(name: "make_reg", bit: 1 << 8, abi: 1), LandlockName(name: "make_sock", bit: 1 << 9, abi: 1),
    LandlockName(name: "make_fifo", bit: 1 << 10, abi: 1), LandlockName(name: "make_block", bit: 1 << 11, abi: 1),
    LandlockName(name: "make_sym", bit: 1 << 12, abi: 1), LandlockName(name: "refer", bit: 1 << 13, abi: 2),
    LandlockName(name: "truncate", bit: 1 << 14, abi: 3), LandlockName(name: "ioctl_dev", bit: 1 << 15, abi: 5),
  ]
  /// Rights on TCP ports.
  public static let ports: [LandlockName] = [
    LandlockName(name: "bind_tcp", bit: 1 << 0, abi: 4), LandlockName(name: "connect_tcp", bit: 1 << 1, abi: 4),
  ]
  /// Scopes.
  public static let scopes: [LandlockName] = [
    LandlockName(name: "abstract_unix_socket", bit: 1 << 0, abi: 6), LandlockName(name: "signal", bit: 1 << 1, abi: 6),
  ]
  /// Flags of landlock_restrict_self(2).
  public static let flags: [LandlockName] = [
    LandlockName(name: "log_same_exec_off", bit: 1 << 0, abi: 7),
    LandlockName(name: "log_new_exec_on", bit: 1 << 1, abi: 7),
    LandlockName(name: "log_subdomains_off", bit: 1 << 2, abi: 7),
  ]

  /// What a program needs to be executed: execute, read_file.
  public static let toExecute: UInt64 = 1 << 0 | 1 << 2
  /// The right to bind to a port.
  public static let bindTCP: UInt64 = 1 << 0
  /// The right to connect to a port.
  public static let connectTCP: UInt64 = 1 << 1
  /// The rights that a file other than a directory has: execute, write_file, read_file, truncate, ioctl_dev.
  public static let onFiles: UInt64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15

  /// The names of `bits` in `table`.
  public static func list(_ bits: UInt64, _ table: [LandlockName]) -> [String] {
    table.filter { bits & $0.bit != 0 }.map(\.name)
  }
}
