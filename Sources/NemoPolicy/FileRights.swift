/// What may be done with files, in Landlock's rights.
///
/// The names are those of the Landlock proposal for the runtime specification (opencontainers/runtime-spec #1241).
public struct FileRights: OptionSet, Sendable, Hashable {
  /// Landlock's own bits (`LANDLOCK_ACCESS_FS_*`).
  public let rawValue: UInt64

  /// Rights from Landlock's bits.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Execute a file.
  public static let execute = FileRights(rawValue: 1 << 0)
  /// Open a file for writing.
  public static let writeFile = FileRights(rawValue: 1 << 1)
  /// Open a file for reading.
  public static let readFile = FileRights(rawValue: 1 << 2)
  /// List a directory.
  public static let readDir = FileRights(rawValue: 1 << 3)
  /// Remove an empty directory.
  public static let removeDir = FileRights(rawValue: 1 << 4)
  /// Remove a file.
  public static let removeFile = FileRights(rawValue: 1 << 5)
  /// Create a character device.
  public static let makeChar = FileRights(rawValue: 1 << 6)
  /// Create a directory.
  public static let makeDir = FileRights(rawValue: 1 << 7)
  /// Create a regular file.
  public static let makeReg = FileRights(rawValue: 1 << 8)
  /// Create a UNIX socket.
  public static let makeSock = FileRights(rawValue: 1 << 9)
  /// Create a named pipe.
  public static let makeFifo = FileRights(rawValue: 1 << 10)
  /// Create a block device.
  public static let makeBlock = FileRights(rawValue: 1 << 11)
  /// Create a symbolic link.
  public static let makeSym = FileRights(rawValue: 1 << 12)
  /// Link or rename to another directory.
  public static let refer = FileRights(rawValue: 1 << 13)
  /// Shorten a file.
  public static let truncate = FileRights(rawValue: 1 << 14)
  /// ioctl on a device.
  public static let ioctlDev = FileRights(rawValue: 1 << 15)

  /// Running a program: the kernel opens it for reading too.
  public static let run: FileRights = [.execute, .readFile]
  /// Creating a file and opening what was created.
  public static let create: FileRights = [.makeReg, .writeFile]
  /// Read files and list directories.
  public static let read: FileRights = [.readFile, .readDir]
  /// Change, create and remove whatever is no device.
  public static let write: FileRights = [
    .writeFile, .removeDir, .removeFile, .makeDir, .makeReg, .makeSock, .makeFifo, .makeSym, .refer, .truncate,
  ]
  /// What the blueprint's `read_only` grants.
  public static let readOnly: FileRights = [.readFile, .readDir, .execute]
  /// What the blueprint's `read_write` grants: it does not imply execute.
  public static let readWrite: FileRights = [.read, .write]
  /// What changes a file system, and so fails on a read-only mount.
  public static let changing: FileRights = [.write, .makeChar, .makeBlock]
  /// Rights that Landlock checks on the directory that holds the path.
  public static let ofParent: FileRights = [
    .removeDir, .removeFile, .makeChar, .makeDir, .makeReg, .makeSock, .makeFifo, .makeBlock, .makeSym, .refer,
  ]

  /// Every right with its name and the Landlock ABI that brought it, in the order of the bits.
  public static let all: [(name: String, right: FileRights, abi: Int)] = [
    ("execute", .execute, 1), ("write_file", .writeFile, 1), ("read_file", .readFile, 1), ("read_dir", .readDir, 1),
    ("remove_dir", .removeDir, 1), ("remove_file", .removeFile, 1), ("make_char", .makeChar, 1),
    ("make_dir", .makeDir, 1), ("make_reg", .makeReg, 1), ("make_sock", .makeSock, 1), ("make_fifo", .makeFifo, 1),
    ("make_block", .makeBlock, 1), ("make_sym", .makeSym, 1), ("refer", .refer, 2), ("truncate", .truncate, 3),
    ("ioctl_dev", .ioctlDev, 5),
  ]

  /// The right of that name; nil for an unknown one.
  public init?(name: String) {
    guard let entry = Self.all.first(where: { $0.name == name }) else { return nil }
    self = entry.right
  }

  /// The names of the rights, in the order of the bits.
  public var names: [String] { Self.all.filter { contains($0.right) }.map(\.name) }
}
