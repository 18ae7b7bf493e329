import NemoKernel

/// Mount attributes of mount_setattr(2) and fsmount(2).
public enum MountAttribute {
  /// Read-only.
  public static let readOnly: UInt64 = 0x1
  /// Ignore set-user-id bits and file capabilities.
  public static let noSuid: UInt64 = 0x2
  /// No access to device nodes.
  public static let noDev: UInt64 = 0x4
  /// No execution.
  public static let noExec: UInt64 = 0x8
  /// The bits of the access-time mode; relatime is zero.
  public static let accessTime: UInt64 = 0x70
  /// Never update access times.
  public static let noAccessTime: UInt64 = 0x10
  /// Always update access times.
  public static let strictAccessTime: UInt64 = 0x20
  /// No access times of directories.
  public static let noDirectoryAccessTime: UInt64 = 0x80
  /// Mapped ids.
  public static let idMapped: UInt64 = 0x100000
  /// Do not follow symbolic links.
  public static let noSymlinkFollow: UInt64 = 0x200000
}

/// Attributes to set and to clear.
public struct AttributeChange: Equatable, Sendable {
  /// Bits to set.
  public var set: UInt64 = 0
  /// Bits to clear.
  public var clear: UInt64 = 0
  /// No change.
  public init() {}

  /// Whether nothing changes.
  public var isEmpty: Bool { self.set == 0 && self.clear == 0 }

  mutating func apply(_ bits: UInt64, clearing: Bool) {
    if clearing {
      clear |= bits
      set &= ~bits
    } else {
      set |= bits
      if bits & MountAttribute.accessTime == 0 { clear &= ~bits }
    }
  }

  mutating func accessTime(_ mode: UInt64) {
    clear |= MountAttribute.accessTime
    set = set & ~MountAttribute.accessTime | mode
  }
}

/// How a mount's ids are mapped.
public enum IDMapRequest: Equatable, Sendable {
  /// Not at all.
  case none
  /// The top mount only.
  case single
  /// The whole tree.
  case recursive
}

/// The options of one mount, sorted by what the kernel wants them as (mount(8), runc's and crun's tables).
public struct MountOptions: Equatable, Sendable {
  /// Attributes of the mount itself.
  public var attributes = AttributeChange()
  /// Attributes of the mount and everything below (`rro`, `rnosuid`, …).
  public var recursive = AttributeChange()
  /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC; in the order given.
  public var propagation: [UInt] = []
  /// It is a bind mount.
  public var bind = false
  /// Bind the whole tree.
  public var recursiveBind = false
  /// Only change an existing mount.
  public var remount = false
  /// Copy what the destination holds into the new tmpfs.
  public var copyUp = false
  /// Id mapping asked for by `idmap` or `ridmap`.
  public var idMap = IDMapRequest.none
  /// Options for the file system: flags such as `sync`, and `key=value` data.
  public var data: [String] = []
  /// The file system itself shall be read-only (`ro`), for types that have a device below.
  public var superblockReadOnly = false
  /// crun: create the destination as the symbolic link that the source is.
  public var copySymlink = false
  /// crun: do not follow a symbolic link in the source.
  public var sourceNoFollow = false

  /// Sorts `options`; a name that no table knows goes to the file system as data.
  public init(_ options: [String]) {
    for option in options { add(option) }
  }

  private static let recursiveFlag: UInt = 16384

  private mutating func add(_ option: String) {
    switch option {
    case "defaults", "", "loud", "nomand", "noiversion", "nolazytime", "async", "rw", "suid", "dev", "exec",
      "symfollow",
      "diratime":
      clearing(option)
    case "ro":
      attributes.apply(MountAttribute.readOnly, clearing: false)
      superblockReadOnly = true
    case "nosuid": attributes.apply(MountAttribute.noSuid, clearing: false)
    case "nodev": attributes.apply(MountAttribute.noDev, clearing: false)
    case "noexec": attributes.apply(MountAttribute.noExec, clearing: false)
    case "nosymfollow": attributes.apply(MountAttribute.noSymlinkFollow, clearing: false)
    case "nodiratime": attributes.apply(MountAttribute.noDirectoryAccessTime, clearing: false)
    case "noatime": attributes.accessTime(MountAttribute.noAccessTime)
    case "strictatime": attributes.accessTime(MountAttribute.strictAccessTime)
    case "relatime", "atime", "norelatime", "nostrictatime": attributes.accessTime(0)
    case "rro": recursive.apply(MountAttribute.readOnly, clearing: false)
    case "rrw": recursive.apply(MountAttribute.readOnly, clearing: true)
    case "rnosuid": recursive.apply(MountAttribute.noSuid, clearing: false)
    case "rsuid": recursive.apply(MountAttribute.noSuid, clearing: true)
    case "rnodev": recursive.apply(MountAttribute.noDev, clearing: false)
    case "rdev": recursive.apply(MountAttribute.noDev, clearing: true)
    case "rnoexec": recursive.apply(MountAttribute.noExec, clearing: false)
    case "rexec": recursive.apply(MountAttribute.noExec, clearing: true)
    case "rnosymfollow": recursive.apply(MountAttribute.noSymlinkFollow, clearing: false)
    case "rsymfollow": recursive.apply(MountAttribute.noSymlinkFollow, clearing: true)
    case "rnodiratime": recursive.apply(MountAttribute.noDirectoryAccessTime, clearing: false)
    case "rdiratime": recursive.apply(MountAttribute.noDirectoryAccessTime, clearing: true)
    case "rnoatime": recursive.accessTime(MountAttribute.noAccessTime)
    case "rstrictatime": recursive.accessTime(MountAttribute.strictAccessTime)
    case "rrelatime", "ratime", "rnorelatime", "rnostrictatime": recursive.accessTime(0)
    case "bind": bind = true
    case "rbind":
      bind = true
      recursiveBind = true
    case "remount": remount = true
    case "tmpcopyup": copyUp = true
    case "idmap": idMap = .single
    case "ridmap": idMap = .recursive
    case "copy-symlink": copySymlink = true
    case "src-nofollow": sourceNoFollow = true
    default:
      if let flag = MountOptions.propagationFlags[option] { propagation.append(flag) } else { data.append(option) }
    }
  }

  private mutating func clearing(_ option: String) {
    switch option {
    case "rw":
      attributes.apply(MountAttribute.readOnly, clearing: true)
      superblockReadOnly = false
    case "suid": attributes.apply(MountAttribute.noSuid, clearing: true)
    case "dev": attributes.apply(MountAttribute.noDev, clearing: true)
    case "exec": attributes.apply(MountAttribute.noExec, clearing: true)
    case "symfollow": attributes.apply(MountAttribute.noSymlinkFollow, clearing: true)
    case "diratime": attributes.apply(MountAttribute.noDirectoryAccessTime, clearing: true)
    default: break
    }
  }

  /// The propagation options and their flags (mount(2)).
  public static let propagationFlags: [String: UInt] = [
    "shared": 1 << 20, "slave": 1 << 19, "private": 1 << 18, "unbindable": 1 << 17,
    "rshared": 1 << 20 | 16384, "rslave": 1 << 19 | 16384, "rprivate": 1 << 18 | 16384, "runbindable": 1 << 17 | 16384,
  ]

  /// Every option with a meaning of its own, for `features`.
  public static let known: [String] =
    [
      "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "idmap", "iversion", "lazytime",
      "loud",
      "mand", "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime",
      "nostrictatime",
      "nosuid", "nosymfollow", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount", "rexec", "ridmap",
      "rnoatime",
      "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rrelatime",
      "rro",
      "rrw", "rstrictatime", "rsuid", "rsymfollow", "rw", "silent", "strictatime", "suid", "symfollow", "sync",
      "tmpcopyup",
    ] + propagationFlags.keys.sorted()
}
