import CKernel
import Glibc
import NemoKernel

/// Mounts made and moved by descriptor (fsopen(2), open_tree(2), move_mount(2), mount_setattr(2)): no path is used twice.
public enum MountTree {
  static let cloneTree: UInt32 = 1
  static let cloexec: UInt32 = UInt32(bitPattern: O_CLOEXEC)
  static let recursiveAt: UInt32 = 0x8000
  static let emptyPathAt: UInt32 = 0x1000
  static let noFollowAt: UInt32 = 0x100

  /// A detached copy of the tree at `path` (relative to `directory`; empty means `directory` itself).
  ///
  /// - Parameter subject: what the error names; nil is `path`.
  public static func copy(
    _ path: String, at directory: Int32 = AT_FDCWD, recursive: Bool, noFollow: Bool = false, subject: String? = nil
  ) throws(Failure) -> OwnedDescriptor {
    var flags = cloneTree | cloexec
    if recursive { flags |= recursiveAt }
    if path.isEmpty { flags |= emptyPathAt }
    if noFollow { flags |= noFollowAt }
    let fd = nemo_open_tree(directory, path, flags)
    guard fd >= 0 else { throw .last("bind mount source", subject ?? path) }
    return OwnedDescriptor(adopting: fd)
  }

  /// A detached mount of a new file system instance.
  ///
  /// - Parameters:
  ///   - data: `key=value` strings and flags such as `sync`.
  ///   - superblockReadOnly: ask the file system itself to be read-only.
  public static func new(
    _ type: String, source: String, data: [String] = [], attributes: UInt64 = 0, superblockReadOnly: Bool = false
  ) throws(Failure) -> OwnedDescriptor {
    let context = nemo_fsopen(type, 1)
    guard context >= 0 else { throw .last("mount file system", type) }
    let fs = OwnedDescriptor(adopting: context)
    if !source.isEmpty { try configure(fs.raw, 1, "source", source, type) }
    if superblockReadOnly { try configure(fs.raw, 0, "ro", nil, type) }
    for option in data {
      if let equals = option.firstIndex(of: "=") {
        let value = String(option[option.index(after: equals)...])
        try configure(fs.raw, 1, String(option[..<equals]), value, type)
      } else {
        try configure(fs.raw, 0, option, nil, type)
      }
    }
    guard nemo_fsconfig(fs.raw, 6, nil, nil, 0) == 0 else { throw explained(fs.raw, "mount file system", type) }
    let mount = nemo_fsmount(fs.raw, 1, UInt32(truncatingIfNeeded: attributes))
    guard mount >= 0 else { throw explained(fs.raw, "mount file system", type) }
    return OwnedDescriptor(adopting: mount)
  }

  private static func configure(_ fs: Int32, _ command: UInt32, _ key: String, _ value: String?, _ type: String)
    throws(Failure)
  {
    let result =
      value.map { v in v.withCString { nemo_fsconfig(fs, command, key, $0, 0) } }
      ?? nemo_fsconfig(fs, command, key, nil, 0)
    guard result == 0 else {
      throw explained(fs, "mount file system", "\(type) with option \(value.map { "\(key)=\($0)" } ?? key)")
    }
  }

  /// The errno with the message that the file system left in its context, if any.
  private static func explained(_ fs: Int32, _ operation: String, _ subject: String) -> Failure {
    let errno = Errno.current
    var reason = ""
    var buffer = [UInt8](repeating: 0, count: 256)
    let n = read(fs, &buffer, buffer.count)
    if n > 2 { reason = String(decoding: buffer[2..<n], as: UTF8.self).filter { $0 != "\n" } }
    return Failure(operation, subject, errno: errno, reason: reason)
  }

  /// Puts a detached mount on the file or directory that `target` names.
  public static func attach(_ mount: Int32, to target: Int32, subject: String) throws(Failure) {
    guard nemo_move_mount(mount, "", target, "", 0x4 | 0x40) == 0 else { throw .last("mount", subject) }
  }

  /// Changes attributes of a mount by descriptor.
  public static func change(
    _ mount: Int32, _ change: AttributeChange, recursive: Bool = false, propagation: UInt = 0, subject: String
  ) throws(Failure) {
    if change.isEmpty && propagation == 0 { return }
    let flags = emptyPathAt | (recursive ? recursiveAt : 0)
    guard nemo_mount_setattr(mount, "", flags, change.set, change.clear, UInt64(propagation), 0) == 0 else {
      throw .last("change mount attributes of", subject)
    }
  }

  /// Maps the ids of a detached mount as the user namespace `userNamespace` does.
  public static func mapIDs(_ mount: Int32, userNamespace: Int32, recursive: Bool, subject: String) throws(Failure) {
    let flags = emptyPathAt | (recursive ? recursiveAt : 0)
    guard nemo_mount_setattr(mount, "", flags, MountAttribute.idMapped, 0, 0, UInt64(userNamespace)) == 0 else {
      throw .last("map ids of the mount", subject)
    }
  }
}
