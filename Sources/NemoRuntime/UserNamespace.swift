import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// Id mappings of user namespaces (user_namespaces(7)).
enum UserNamespace {
  /// Longest text the kernel takes in one write.
  static let mapLimit = 340

  static func text(_ mappings: [IDMapping]) -> String {
    mappings.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined()
  }

  /// Writes both maps of `pid`.
  static func map(_ pid: Int32, uids: [IDMapping], gids: [IDMapping], _ procfs: borrowing Procfs) throws(Failure) {
    for (file, mappings, pointer) in [("gid_map", gids, "/linux/gidMappings"), ("uid_map", uids, "/linux/uidMappings")]
    where !mappings.isEmpty {
      guard mappings.count <= mapLimit else {
        throw Failure("", pointer, errno: .invalid, reason: "\(mappings.count) mappings, the kernel takes \(mapLimit)")
      }
      do throws(Failure) {
        try procfs.write(text(mappings), to: "\(pid)/\(file)")
      } catch {
        throw error.within(pointer)
      }
    }
  }

  /// The id outside of the container's `id`.
  ///
  /// - Throws: one line naming `pointer` when no mapping covers it.
  static func hostID(of id: UInt32, _ mappings: [IDMapping], _ pointer: String) throws(Failure) -> UInt32 {
    for mapping in mappings where id >= mapping.containerID && id - mapping.containerID < mapping.size {
      return mapping.hostID + (id - mapping.containerID)
    }
    throw Failure("", pointer, reason: "\(id) is not mapped in the user namespace")
  }

  /// A user namespace with these maps and nobody in it.
  static func make(uids: [IDMapping], gids: [IDMapping], _ procfs: borrowing Procfs) throws(Failure) -> OwnedDescriptor
  {
    var arguments = nemo_clone_args()
    arguments.flags = UInt64(UInt32(bitPattern: NamespaceKind.user.flag))
    arguments.exit_signal = UInt64(SIGCHLD)
    let pid = nemo_clone3(&arguments)
    guard pid >= 0 else { throw .last("make a user namespace") }
    if pid == 0 {
      ChildProcess.dieWithRuntime()
      while true { pause() }
    }
    defer {
      kill(pid, SIGKILL)
      _ = Children.reap(pid)
    }
    try map(pid, uids: uids, gids: gids, procfs)
    return try Files.open("/proc/\(pid)/ns/user", O_RDONLY)
  }

  /// Whether the user namespace of `pid` denies setgroups(2).
  static func deniesSetgroups(_ procfs: borrowing Procfs) -> Bool {
    guard let bytes = try? procfs.read("self/setgroups") else { return false }
    return bytes.starts(with: Array("deny".utf8))
  }
}
