import CKernel
import Glibc

/// A directory and the name of an entry in it.
public struct ParentDirectory: ~Copyable {
  /// The directory, as O_PATH.
  public let directory: OwnedDescriptor
  /// The last component of the path.
  public let name: String
}

/// Walking paths that a container controls: always below a root descriptor, never by the host's path twice.
///
/// `RESOLVE_IN_ROOT` makes absolute and `..` links resolve inside the root, `RESOLVE_NO_MAGICLINKS` refuses
/// procfs links that would lead out (openat2(2); CVE-2019-18837, CVE-2021-30465, CVE-2024-45310).
public enum RootDirectory {
  static let resolveNoMagicLinks: UInt64 = 0x02
  static let resolveNoSymlinks: UInt64 = 0x04
  static let resolveInRoot: UInt64 = 0x10

  /// Opens an existing `path` below `root`; symbolic links stay inside.
  public static func open(_ path: String, _ flags: Int32, in root: Int32) throws(Failure) -> OwnedDescriptor {
    let fd = resolve(path, flags, root)
    guard fd >= 0 else { throw .last("open", path) }
    return OwnedDescriptor(adopting: fd)
  }

  private static func resolve(_ path: String, _ flags: Int32, _ root: Int32) -> Int32 {
    // A rename elsewhere in the tree makes RESOLVE_IN_ROOT answer EAGAIN; a busy attacker gets a bounded number of turns.
    for _ in 0..<64 {
      let fd = nemo_openat2(
        root, path, UInt64(UInt32(bitPattern: flags | O_CLOEXEC)), 0, resolveInRoot | resolveNoMagicLinks)
      if fd >= 0 { return fd }
      let error = nemo_get_errno()
      if error != EAGAIN && error != EINTR { return -1 }
    }
    return -1
  }

  /// Opens `path` below `root` as O_PATH, making what is missing: directories on the way (mode 0755), and as last
  /// component a directory or an empty regular file. Existing links are resolved inside the root.
  ///
  /// - Parameter asFile: the last component shall be a file.
  public static func openOrCreate(_ path: String, asFile: Bool, in root: Int32, directoryMode: mode_t = 0o755)
    throws(Failure) -> OwnedDescriptor
  {
    let found = resolve(path, O_PATH, root)
    if found >= 0 { return OwnedDescriptor(adopting: found) }
    guard nemo_get_errno() == ENOENT else { throw .last("open", path) }
    let parts = try resolved(path, root)
    guard let last = parts.last else { return try open(".", O_PATH, in: root) }
    // One component at a time, no link followed: each parent is a descriptor already resolved.
    var here = try open(".", O_PATH | O_DIRECTORY, in: root)
    for name in parts.dropLast() {
      here = try makeDirectory(name, mode: directoryMode, in: here.raw, subject: path)
    }
    guard asFile else { return try makeDirectory(last, mode: directoryMode, in: here.raw, subject: path) }
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let fd = retrying { Int(openat(here.raw, last, flags, 0o644)) }
    guard fd >= 0 || nemo_get_errno() == EEXIST else { throw .last("create file", path) }
    if fd >= 0 { close(Int32(fd)) }
    return try child(last, O_PATH, in: here.raw, subject: path)
  }

  /// Symbolic links that a path may go through (path_resolution(7)).
  static let linkLimit = 40

  /// The components of `path` with its links replaced, dangling ones too, as the root sees them. Only a plan: who changes the tree
  /// meanwhile makes the walk along it fail.
  private static func resolved(_ path: String, _ root: Int32) throws(Failure) -> [String] {
    var pending = Array(path.split(separator: "/").reversed()).map(String.init)
    var done: [String] = []
    var links = 0
    while let name = pending.popLast() {
      if name == "." { continue }
      if name == ".." {
        _ = done.popLast()
        continue
      }
      let parent = resolve(done.isEmpty ? "." : done.joined(separator: "/"), O_PATH | O_DIRECTORY, root)
      if parent >= 0 {
        let directory = OwnedDescriptor(adopting: parent)
        if let target = try? Files.readLink(name, at: directory.raw) {
          links += 1
          guard links <= linkLimit else { throw Failure("resolve", path, errno: .loop) }
          if target.hasPrefix("/") { done = [] }
          pending += target.split(separator: "/").reversed().map(String.init)
          continue
        }
      }
      done.append(name)
    }
    return done
  }

  private static func makeDirectory(_ name: String, mode: mode_t, in parent: Int32, subject: String)
    throws(Failure) -> OwnedDescriptor
  {
    guard mkdirat(parent, name, mode) == 0 || nemo_get_errno() == EEXIST else { throw .last("mkdir", subject) }
    return try child(name, O_PATH | O_DIRECTORY, in: parent, subject: subject)
  }

  /// Opens one component without following anything.
  private static func child(_ name: String, _ flags: Int32, in parent: Int32, subject: String) throws(Failure)
    -> OwnedDescriptor
  {
    let fd = retrying { Int(openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC)) }
    guard fd >= 0 else { throw .last("open", subject) }
    let owned = OwnedDescriptor(adopting: Int32(fd))
    let status = try Files.status(of: owned.raw, subject: subject)
    guard status.st_mode & S_IFMT != S_IFLNK else {
      throw Failure("open", subject, errno: .loop, reason: "a symbolic link appeared while it was being made")
    }
    return owned
  }

  /// The parent directory of `path` (made if missing) and the last component, for calls that take both (mknodat, symlinkat).
  public static func openParent(_ path: String, in root: Int32) throws(Failure) -> ParentDirectory {
    let parts = try components(path)
    guard let name = parts.last else { throw Failure("open", path, errno: .invalid, reason: "has no last component") }
    let parent = parts.dropLast().joined(separator: "/")
    return ParentDirectory(
      directory: try openOrCreate(parent.isEmpty ? "." : parent, asFile: false, in: root), name: name)
  }

  /// The components of a path; `..` is refused where something would have to be created.
  static func components(_ path: String) throws(Failure) -> [String] {
    let parts = path.split(separator: "/").filter { $0 != "." }.map(String.init)
    if parts.contains("..") {
      throw Failure("create", path, errno: .invalid, reason: "contains '..'")
    }
    return parts
  }
}
