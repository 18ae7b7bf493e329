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

  mutating func apply(_ effect: AttributeEffect) {
    switch effect {
    case .set(let bits):
      set |= bits
      clear &= ~bits
    case .clear(let bits):
      clear |= bits
      set &= ~bits
    case .accessTime(let mode):
      clear |= MountAttribute.accessTime
      set = set & ~MountAttribute.accessTime | mode
    case .notAccessTime(let mode):
      guard choosesAccessTime, set & MountAttribute.accessTime == mode else { return }
      clear &= ~MountAttribute.accessTime
      set &= ~MountAttribute.accessTime
    }
  }

  /// Whether one of the access-time modes is chosen.
  var choosesAccessTime: Bool { clear & MountAttribute.accessTime != 0 }
}

/// What an option does to the attributes.
enum AttributeEffect: Sendable {
  /// Sets bits.
  case set(UInt64)
  /// Clears bits.
  case clear(UInt64)
  /// Chooses one of the access-time modes, which exclude each other.
  case accessTime(UInt64)
  /// Takes back the choice of a mode: the mount has the one that it has, or the kernel's default, relatime.
  case notAccessTime(UInt64)

  /// What it does to a tree, whose mounts the kernel changes all alike.
  var ofTree: AttributeEffect {
    if case .notAccessTime = self { return .accessTime(0) }
    return self
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
  /// Whether an option says anything about the mount itself, even what is the default.
  public var namesAttributes = false
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

  /// A bind mount takes what is mounted below its source too.
  public var copiesTree: Bool { recursiveBind || !bind }
  /// A symbolic link as the source is meant itself.
  public var keepsLink: Bool { copySymlink || sourceNoFollow }

  /// Sorts `options`; a name that no table knows goes to the file system as data.
  public init(_ options: [String]) {
    for option in options { add(option) }
  }

  private mutating func add(_ option: String) {
    if let effect = MountOptions.effect(option[...]) {
      attributes.apply(effect)
      namesAttributes = true
      if option == "ro" { superblockReadOnly = true }
      if option == "rw" { superblockReadOnly = false }
      return
    }
    if option.hasPrefix("r"), let effect = MountOptions.effect(option.dropFirst()) {
      recursive.apply(effect.ofTree)
      return
    }
    switch option {
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
    case "": break
    // crun's: of a file system as a whole, which has nothing below.
    case "rsync", "rasync", "rdirsync", "rmand", "rnomand": add(String(option.dropFirst()))
    default:
      if MountOptions.withoutEffect.contains(option) || MountOptions.superblockFlags.contains(option) {
        namesAttributes = namesAttributes || option != "defaults"
      }
      if MountOptions.withoutEffect.contains(option) { return }
      if let flag = MountOptions.propagationFlags[option] { propagation.append(flag) } else { data.append(option) }
    }
  }

  private static func effect(_ name: Substring) -> AttributeEffect? {
    attributeOptions.first { $0.name == name }?.effect
  }

  /// The options that change attributes of the mount; with an `r` before the name, of the whole tree.
  private static let attributeOptions: [(name: String, effect: AttributeEffect)] = [
    ("ro", .set(MountAttribute.readOnly)), ("rw", .clear(MountAttribute.readOnly)),
    ("nosuid", .set(MountAttribute.noSuid)), ("suid", .clear(MountAttribute.noSuid)),
    ("nodev", .set(MountAttribute.noDev)), ("dev", .clear(MountAttribute.noDev)),
    ("noexec", .set(MountAttribute.noExec)), ("exec", .clear(MountAttribute.noExec)),
    ("nosymfollow", .set(MountAttribute.noSymlinkFollow)), ("symfollow", .clear(MountAttribute.noSymlinkFollow)),
    ("nodiratime", .set(MountAttribute.noDirectoryAccessTime)),
    ("diratime", .clear(MountAttribute.noDirectoryAccessTime)),
    ("noatime", .accessTime(MountAttribute.noAccessTime)),
    ("strictatime", .accessTime(MountAttribute.strictAccessTime)),
    ("relatime", .accessTime(0)), ("atime", .notAccessTime(MountAttribute.noAccessTime)),
    ("norelatime", .notAccessTime(0)), ("nostrictatime", .notAccessTime(MountAttribute.strictAccessTime)),
  ]

  /// The defaults, by their names.
  private static let withoutEffect = ["defaults", "loud", "nomand", "noiversion", "nolazytime", "async"]

  /// The propagation options and their flags (mount(2)).
  public static let propagationFlags: [String: UInt] = [
    "shared": 1 << 20, "slave": 1 << 19, "private": 1 << 18, "unbindable": 1 << 17,
    "rshared": 1 << 20 | 16384, "rslave": 1 << 19 | 16384, "rprivate": 1 << 18 | 16384, "runbindable": 1 << 17 | 16384,
  ]

  /// Flags of a file system as a whole, which take no value. On a bind mount, whose file system is mounted already, they change
  /// nothing, in mount(2) as here.
  private static let superblockFlags = ["dirsync", "iversion", "lazytime", "mand", "silent", "sync"]

  /// The first option that only a new mount of a file system could fulfil: not of a bind mount, which would ignore it.
  public var firstForNewFileSystem: String? { data.first { !MountOptions.superblockFlags.contains($0) } }

  /// Every option with a meaning of its own, for `features`.
  public static var known: [String] {
    let attributes = attributeOptions.map(\.name)
    let own = ["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"]
    return
      (attributes + attributes.map { "r" + $0 } + own + superblockFlags + withoutEffect + propagationFlags.keys)
      .sorted()
  }
}
