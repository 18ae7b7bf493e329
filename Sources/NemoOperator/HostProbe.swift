import CHost
import Glibc
import NemoBlueprint

/// Asks the kernel what it can enforce. Everything is tried, nothing is concluded from versions or configurations.
enum HostProbe {
  static func run() -> HostCapabilities {
    var host = HostCapabilities()
    host.kernel = kernel
    let abi = host_landlock_abi()
    host.landlockABI = Int(max(abi, 0))
    host.landlock = abi > 0 ? .works : .missing(name(-abi))
    host.seccompActions = actions.map { ($0, answer(host_seccomp_action($1))) }
    host.namespaces = namespaces.map { name, flag in
      let error = host_unshare(UInt(flag))
      return (name, error == EPERM && getuid() != 0 && name != "user" ? .unknown("needs root") : answer(error))
    }
    host.userNamespaceLimit = text("/proc/sys/user/max_user_namespaces").flatMap { Int($0) }
    (host.cgroupVersion, host.cgroupControllers) = cgroups()
    host.nftables = privileged(host_nftables())
    var enabled: UInt32 = 0
    let error = host_audit(&enabled)
    host.audit = error == 0 && enabled == 0 ? .missing("built in, and off") : privileged(error)
    host.idmappedMounts = privileged(host_idmapped("/"))
    host.missingCalls = calls.filter { host_has_call($0.1) == 0 }.map(\.0)
    return host
  }

  /// SECCOMP_RET_… (seccomp(2)).
  private static let actions: [(String, UInt32)] = [
    ("errno", 0x0005_0000), ("kill_process", 0x8000_0000), ("log", 0x7ffc_0000), ("notify", 0x7fc0_0000),
  ]

  /// CLONE_NEW… (unshare(2)).
  private static let namespaces: [(String, Int)] = [
    ("mount", 0x0002_0000), ("pid", 0x2000_0000), ("network", 0x4000_0000), ("ipc", 0x0800_0000), ("uts", 0x0400_0000),
    ("cgroup", 0x0200_0000), ("user", 0x1000_0000),
  ]

  /// Numbers that all architectures share.
  private static let calls: [(String, Int)] = [
    ("open_tree", 428), ("move_mount", 429), ("fsopen", 430), ("pidfd_open", 434), ("close_range", 436),
    ("openat2", 437),
    ("mount_setattr", 442),
  ]

  private static func name(_ error: Int32) -> String {
    host_errno_name(error).map { String(cString: $0) } ?? "\(error)"
  }

  private static func answer(_ error: Int32) -> HostCapabilities.Answer { error == 0 ? .works : .missing(name(error)) }

  private static func privileged(_ error: Int32) -> HostCapabilities.Answer {
    [EPERM, EACCES].contains(error) && getuid() != 0 ? .unknown("needs root") : answer(error)
  }

  private static var kernel: String {
    var names = utsname()
    guard uname(&names) == 0 else { return "" }
    let text = { (bytes: UnsafeRawBufferPointer) in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
    return [
      withUnsafeBytes(of: names.sysname, text), withUnsafeBytes(of: names.release, text),
      withUnsafeBytes(of: names.machine, text),
    ].joined(separator: " ")
  }

  private static func text(_ path: String) -> String? {
    (try? Files.read(path)).map { String(decoding: $0, as: UTF8.self).trimmed }
  }

  /// Versions that are mounted, and the controllers of all (cgroups(7)); version 1's blkio is version 2's io.
  private static func cgroups() -> (String, Set<String>) {
    let known: Set = ["memory", "cpu", "cpuset", "pids", "blkio", "devices", "freezer", "hugetlb", "io", "rdma"]
    var versions: Set<String> = []
    var controllers: Set<String> = []
    for line in (text("/proc/self/mountinfo") ?? "").split(separator: "\n") {
      // Fields before " - " end with the mount point's; after it come type, source and options.
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash > 4, fields.count > dash + 3 else { continue }
      switch fields[dash + 1] {
      case "cgroup":
        versions.insert("1")
        controllers.formUnion(fields[dash + 3].split(separator: ",").map(String.init).filter(known.contains))
      case "cgroup2":
        versions.insert("2")
        let names = text("\(fields[4])/cgroup.controllers") ?? ""
        controllers.formUnion(names.split(separator: " ").map(String.init))
        // These need no controller there.
        controllers.formUnion(["devices", "freezer"])
      default: break
      }
    }
    if controllers.remove("blkio") != nil { controllers.insert("io") }
    return (versions.isEmpty ? "none" : versions.sorted().joined(separator: " and "), controllers)
  }
}

extension String {
  fileprivate var trimmed: String {
    let isSpace = { (character: Character) in character.isWhitespace }
    return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }
}
