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
    let pid = try hold(flags: NamespaceKind.user.flag) { true }
    defer { release(pid) }
    try map(pid, uids: uids, gids: gids, procfs)
    return try Files.open("/proc/\(pid)/ns/user", O_RDONLY)
  }

  /// Checks that what config.json says of the ids of a joined user namespace is so: engines repeat the mappings of a pod's, and the
  /// files that they prepared belong to the ids of these. Ids outside are the runtime's, so somebody inside has to be looked at.
  ///
  /// - Parameter path: the namespace's file, for the error.
  static func verify(
    _ namespace: Int32, path: String, uids: [IDMapping], gids: [IDMapping], _ procfs: borrowing Procfs
  ) throws(Failure) {
    if uids.isEmpty && gids.isEmpty { return }
    let pair = try Descriptors.socketPair()
    let far = pair.far.raw
    let pid = try hold(flags: 0) {
      var errno = nemo_setns(namespace, NamespaceKind.user.flag) == 0 ? 0 : UInt8(clamping: nemo_get_errno())
      return write(far, &errno, 1) == 1
    }
    defer { release(pid) }
    let near = pair.keepNear()
    let errno = try Descriptors.receive(over: near.raw, limit: 1, subject: path).bytes.first
    guard errno == 0 else {
      throw Failure("join user namespace", path, errno: Errno(rawValue: errno.map { Int32($0) } ?? ESRCH))
    }
    for (file, mappings, pointer) in [("uid_map", uids, "/linux/uidMappings"), ("gid_map", gids, "/linux/gidMappings")]
    where !mappings.isEmpty {
      let present = try ranges(procfs.read("\(pid)/\(file)"))
      guard merged(mappings) == merged(present) else {
        let shown = present.map { "\($0.containerID) \($0.hostID) \($0.size)" }.joined(separator: ", ")
        throw Failure(
          "", pointer,
          reason: "are not those of the user namespace to join, \(path): \(shown.isEmpty ? "none" : shown)",
          advice: "leave them out or repeat these")
      }
    }
  }

  /// The ranges that uid_map and gid_map list.
  private static func ranges(_ text: [UInt8]) -> [IDMapping] {
    text.split(separator: 10).compactMap { line in
      let numbers = line.split(separator: 0x20).compactMap { UInt32(String(decoding: $0, as: UTF8.self)) }
      return numbers.count == 3 ? IDMapping(containerID: numbers[0], hostID: numbers[1], size: numbers[2]) : nil
    }
  }

  /// The same mapping in one way only: in order, ranges that continue another joined with it.
  static func merged(_ mappings: [IDMapping]) -> [IDMapping] {
    var result: [IDMapping] = []
    for next in mappings.sorted(by: { $0.containerID < $1.containerID }) {
      if let last = result.last, UInt64(last.containerID) + UInt64(last.size) == UInt64(next.containerID),
        UInt64(last.hostID) + UInt64(last.size) == UInt64(next.hostID)
      {
        let (size, isTooLarge) = last.size.addingReportingOverflow(next.size)
        if !isTooLarge {
          result[result.count - 1].size = size
          continue
        }
      }
      result.append(next)
    }
    return result
  }

  /// A process that only stays where it is until ``release(_:)``.
  ///
  /// - Parameter enter: what it does first; when that fails it ends.
  private static func hold(flags: Int32, _ enter: () -> Bool) throws(Failure) -> Int32 {
    var arguments = nemo_clone_args()
    arguments.flags = UInt64(UInt32(bitPattern: flags))
    arguments.exit_signal = UInt64(SIGCHLD)
    let pid = nemo_clone3(&arguments)
    guard pid >= 0 else { throw .last(flags == 0 ? "clone a process" : "make a user namespace") }
    if pid > 0 { return pid }
    ChildProcess.dieWithRuntime()
    guard enter() else { _exit(1) }
    while true { pause() }
  }

  private static func release(_ pid: Int32) {
    kill(pid, SIGKILL)
    _ = Children.reap(pid)
  }

  /// Whether the user namespace of `pid` denies setgroups(2).
  static func deniesSetgroups(_ procfs: borrowing Procfs) -> Bool {
    guard let bytes = try? procfs.read("self/setgroups") else { return false }
    return bytes.starts(with: Array("deny".utf8))
  }
}
