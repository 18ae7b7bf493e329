import Glibc
import NemoKernel

// The attributes of a bind mount are those of its source, until an option names one: then the options name them all, as with the
// remount of a bind in mount(2) and so with runc and crun. Only the access time stays what it is unless an option chooses it.

extension MountOptions {
  private static let restrictions =
    MountAttribute.readOnly | MountAttribute.noSuid | MountAttribute.noDev | MountAttribute.noExec

  /// What the options change in the source's attributes.
  public var bindAttributes: AttributeChange {
    var change = AttributeChange()
    guard namesAttributes else { return change }
    change.set = attributes.set
    change.clear = (MountOptions.restrictions | MountAttribute.noSymlinkFollow) & ~change.set
    if choosesAccessTime {
      change.clear |= MountAttribute.accessTime | MountAttribute.noDirectoryAccessTime & ~change.set
    }
    return change
  }

  /// The same where the restrictions of the source, `present`, must hold: in a user namespace, which could not lift them either if
  /// it had made the mount itself (mount_namespaces(7), on mounts that are locked together).
  ///
  /// - Throws: EPERM, when an option would lift one or change the access time.
  public func bindAttributes(keeping present: UInt64) throws(Failure) -> AttributeChange {
    var change = bindAttributes
    let lifted = present & change.clear & MountOptions.restrictions
    guard lifted & attributes.clear == 0 else {
      throw Failure(
        "change mount attributes", errno: .notPermitted, reason: "the options lift a restriction of the source")
    }
    change.set |= lifted
    change.clear &= ~lifted
    let accessTime = MountAttribute.accessTime | MountAttribute.noDirectoryAccessTime
    guard !choosesAccessTime || change.set & accessTime == present & accessTime else {
      throw Failure("change mount attributes", errno: .notPermitted, reason: "the source has another access-time mode")
    }
    return change
  }

  private var choosesAccessTime: Bool {
    attributes.choosesAccessTime || attributes.set & MountAttribute.noDirectoryAccessTime != 0
  }
}

extension MountAttribute {
  /// The attributes of the mount that `fd` lies on (statfs(2)).
  public static func present(at fd: Int32, subject: String) throws(Failure) -> UInt64 {
    var status = statvfs()
    guard fstatvfs(fd, &status) == 0 else { throw .last("read mount attributes of", subject) }
    let flags = UInt64(status.f_flag)
    // ST_RDONLY, ST_NOSUID, ST_NODEV and ST_NOEXEC have the same numbers here.
    var present = flags & (readOnly | noSuid | noDev | noExec)
    if flags & 1024 != 0 {
      present |= noAccessTime
    } else if flags & 4096 == 0 {
      present |= strictAccessTime
    }
    if flags & 2048 != 0 { present |= noDirectoryAccessTime }
    if flags & 8192 != 0 { present |= noSymlinkFollow }
    return present
  }
}
