import CKernel
import Glibc
import NemoKernel
import NemoOCI

extension NamespaceKind {
  /// The CLONE_NEW* flag (namespaces(7)).
  public var flag: Int32 {
    switch self {
    case .user: 0x1000_0000
    case .mount: 0x0002_0000
    case .uts: 0x0400_0000
    case .ipc: 0x0800_0000
    case .pid: 0x2000_0000
    case .network: 0x4000_0000
    case .cgroup: 0x0200_0000
    case .time: 0x0000_0080
    }
  }

  /// The name in /proc/PID/ns.
  public var file: String {
    switch self {
    case .mount: "mnt"
    case .network: "net"
    default: rawValue
    }
  }
}

/// Which namespaces a container makes and which it joins.
struct NamespacePlan {
  /// Kinds to make new.
  private(set) var new: Set<NamespaceKind> = []
  /// Namespace files to join, opened and checked.
  private(set) var joined: [(kind: NamespaceKind, descriptor: Int32, path: String)] = []
  /// The mount namespace that the container shares with others: the one of the configuration, or the runtime's where it names none;
  /// -1 when it has a new one. The root file system is built in a new one in any case, where it is nobody else's business.
  private(set) var sharedMounts: Int32 = -1

  init(_ namespaces: [Namespace]) throws(Failure) {
    if !namespaces.contains(where: { $0.kind == .mount }) {
      sharedMounts = try Files.open("/proc/self/ns/mnt", O_RDONLY).take()
      new.insert(.mount)
    }
    for namespace in namespaces {
      if namespace.path.isEmpty {
        new.insert(namespace.kind)
        continue
      }
      let fd = try Files.open(namespace.path, O_RDONLY)
      let kind = nemo_ioctl_int(fd.raw, 0xb703, 0)  // NS_GET_NSTYPE
      guard kind == namespace.kind.flag else {
        throw Failure(
          "join namespace", namespace.path, errno: .invalid, reason: "it is not a \(namespace.kind.rawValue) namespace")
      }
      guard namespace.kind != .mount else {
        sharedMounts = fd.take()
        new.insert(.mount)
        continue
      }
      joined.append((namespace.kind, fd.take(), namespace.path))
    }
  }

  func isNew(_ kind: NamespaceKind) -> Bool { new.contains(kind) }
  func isPrivate(_ kind: NamespaceKind) -> Bool { new.contains(kind) || joined.contains { $0.kind == kind } }
  func joins(_ kind: NamespaceKind) -> Bool { joined.contains { $0.kind == kind } }

  /// Compares the mappings in config.json with those of the user namespace to join, when there are both.
  func verifyUsers(_ linux: LinuxConfiguration, _ procfs: borrowing Procfs) throws(Failure) {
    for (kind, descriptor, path) in joined where kind == .user {
      try UserNamespace.verify(descriptor, path: path, uids: linux.uidMappings, gids: linux.gidMappings, procfs)
    }
  }

  /// Kinds that the parent enters for the moment of clone(2), because the new user namespace would have no right to.
  private static let parentKinds: Set<NamespaceKind> = [.network, .ipc, .uts, .cgroup, .pid, .time]

  /// Runs `clone`, which returns a pid, inside the joined namespaces that a child inherits; the parent then returns to its own.
  func around(_ clone: () throws(Failure) -> Int32) throws(Failure) -> Int32 {
    var back: [(kind: NamespaceKind, descriptor: Int32)] = []
    defer { for (_, fd) in back { close(fd) } }
    var failure: Failure?
    var pid: Int32 = -1
    do throws(Failure) {
      for (kind, fd, path) in joined where NamespacePlan.parentKinds.contains(kind) {
        back.append((kind, try Files.open("/proc/self/ns/\(kind.file)", O_RDONLY).take()))
        guard nemo_setns(fd, kind.flag) == 0 else { throw .last("join \(kind.rawValue) namespace", path) }
      }
      pid = try clone()
    } catch { failure = error }
    if pid == 0 { return 0 }
    for (kind, fd) in back {
      guard nemo_setns(fd, kind.flag) == 0 else { throw .last("return to the own namespace", kind.rawValue) }
    }
    if let failure { throw failure }
    return pid
  }

  /// The flags of clone3(2): the new user namespace owns what is made after it, the pid namespace holds the child.
  var cloneFlags: Int32 {
    (isNew(.user) ? NamespaceKind.user.flag : 0) | (isNew(.pid) && !joins(.user) ? NamespaceKind.pid.flag : 0)
  }

  /// A new pid namespace inside a joined user namespace takes a second clone, by the child.
  var needsSecondClone: Bool { isNew(.pid) && joins(.user) }

  /// The child's first part: joins the user namespace.
  func join() throws(Failure) {
    for (kind, fd, path) in joined where kind == .user {
      guard nemo_setns(fd, kind.flag) == 0 else { throw .last("join \(kind.rawValue) namespace", path) }
    }
  }

  /// The child's second part: makes the others. The cgroup namespace comes later, when the child is in its cgroup.
  func unshare() throws(Failure) {
    let later: Set<NamespaceKind> = [.user, .pid, .cgroup, .time]
    let flags = new.subtracting(later).reduce(Int32(0)) { $0 | $1.flag }
    if flags != 0, nemo_unshare(flags) != 0 { throw .last("unshare namespaces") }
    if isNew(.network), nemo_loopback_up() != 0 { throw .last("bring up", "lo") }
  }

  /// A new time namespace with its offsets; it takes effect at execve(2).
  func enterTime(_ offsets: [String: TimeOffset], _ procfs: borrowing Procfs) throws(Failure) {
    guard new.contains(.time) else { return }
    guard nemo_unshare(NamespaceKind.time.flag) == 0 else { throw .last("unshare time namespace") }
    for (clock, offset) in offsets.sorted(by: { $0.key < $1.key }) {
      do throws(Failure) {
        try procfs.write("\(clock) \(offset.secs) \(offset.nanosecs)", to: "self/timens_offsets")
      } catch {
        throw error.within("/linux/timeOffsets/\(clock)")
      }
    }
  }

  func closeJoined() {
    for (_, fd, _) in joined { close(fd) }
    if sharedMounts >= 0 { close(sharedMounts) }
  }
}
