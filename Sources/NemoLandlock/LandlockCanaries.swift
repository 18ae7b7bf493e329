import CKernel
import Glibc
import NemoKernel
import NemoMounts
import NemoOCI

/// Attempts that must fail, made by the restricted process itself before its program runs. Each would succeed without Landlock, or
/// fail with another errno, and none has an effect when it succeeds: files are tried in a file system of the canaries' own that is
/// mounted nowhere, the socket and the process to reach are their own, and no packet is sent.
struct LandlockCanaries {
  private let plan: LandlockPlan
  private let scratch: Int32
  private var socket: AbstractSocket?
  private var process: OutsideProcess?

  /// A directory that no rule can cover, open to every user.
  static func makeScratch() throws(Failure) -> Int32 {
    let mount = try MountTree.new("tmpfs", source: "nemoshell", data: ["mode=777"])
    let file = try Files.open("file", O_WRONLY | O_CREAT | O_EXCL, mode: 0o777, at: mount.raw)
    // Whatever the umask says.
    guard fchmod(file.raw, 0o777) == 0, mkdirat(mount.raw, "directory", 0o777) == 0,
      fchmodat(mount.raw, "directory", 0o777, 0) == 0
    else { throw .last("make the files of the Landlock canaries") }
    return mount.take()
  }

  /// Makes what has to be there before the restriction.
  init(plan: LandlockPlan, scratch: Int32) throws(Failure) {
    self.plan = plan
    self.scratch = scratch
    let names = plan.enforced.entries.map(\.name)
    if names.contains("abstract_unix_socket") { socket = try AbstractSocket() }
    if names.contains("signal") { process = try OutsideProcess() }
  }

  /// Gives back what the canaries use.
  func discard() {
    process?.end()
    socket?.end()
    if scratch >= 0 { close(scratch) }
  }

  /// Tries everything that is enforced and can be tried.
  func check() throws(Failure) {
    defer { discard() }
    for right in plan.enforced.entries {
      guard let result = attempt(right.name) else { continue }
      let errno = Errno.current
      let expected = LandlockCanaries.errnos(right.name)
      if result < 0, expected.contains(errno) { continue }
      let wanted = expected.map(\.name).joined(separator: " or ")
      throw Failure(
        "Landlock canary \(right.name)",
        reason: (result < 0 ? "failed with \(errno.name)" : "succeeded")
          + " instead of failing with \(wanted): the restrictions do not hold, and the program was not started")
    }
  }

  /// What Landlock answers.
  private static func errnos(_ name: String) -> [Errno] {
    switch name {
    case "refer": [.crossDevice, .accessDenied]
    case "abstract_unix_socket", "signal": [.notPermitted]
    default: [.accessDenied]
    }
  }

  /// Tries what the right is needed for; nil where nothing can be tried: no port is denied, the kernel has no TCP, or (truncate,
  /// ioctl_dev, flags) the attempt would need a path or a device of the container's.
  private func attempt(_ name: String) -> Int32? {
    switch name {
    case "execute": executeFile()
    case "write_file": opened("file", O_WRONLY)
    case "read_file": opened("file", O_RDONLY)
    case "read_dir": opened("directory", O_RDONLY | O_DIRECTORY)
    case "remove_dir": unlinkat(scratch, "directory", AT_REMOVEDIR)
    case "remove_file": unlinkat(scratch, "file", 0)
    case "make_char": mknodat(scratch, "character", S_IFCHR | 0o600, 0)
    case "make_dir": mkdirat(scratch, "made", 0o700)
    case "make_reg": mknodat(scratch, "regular", S_IFREG | 0o600, 0)
    case "make_sock": mknodat(scratch, "socket", S_IFSOCK | 0o600, 0)
    case "make_fifo": mknodat(scratch, "fifo", S_IFIFO | 0o600, 0)
    case "make_block": mknodat(scratch, "block", S_IFBLK | 0o600, 0)
    case "make_sym": symlinkat("file", scratch, "link")
    case "refer": renameat(scratch, "file", scratch, "directory/file")
    case "bind_tcp": deniedPort(LandlockNames.bindTCP).flatMap(TCP.bind)
    case "connect_tcp": deniedPort(LandlockNames.connectTCP).flatMap(TCP.connect)
    case "abstract_unix_socket": socket?.connect()
    case "signal": process.map { kill($0.pid, 0) }
    default: nil
    }
  }

  private func opened(_ name: String, _ flags: Int32) -> Int32 {
    let fd = openat(scratch, name, flags | O_CLOEXEC)
    if fd >= 0 { close(fd) }
    return fd
  }

  /// An empty file is no program: without Landlock the answer is ENOEXEC, and the process goes on.
  private func executeFile() -> Int32 {
    var none: [UnsafeMutablePointer<CChar>?] = [nil]
    return none.withUnsafeMutableBufferPointer { list in
      guard let base = list.baseAddress else { return -1 }
      return nemo_execveat(scratch, "file", base, base, 0)
    }
  }

  /// A port that no rule allows, from the top, where no privilege is needed.
  private func deniedPort(_ bit: UInt64) -> UInt16? {
    let allowed = Set(plan.ports.filter { $0.allowed & bit != 0 }.map(\.port))
    return (1024...UInt16.max).reversed().first { !allowed.contains($0) }
  }
}

/// Attempts on TCP ports; nil where the kernel has no IPv4.
private enum TCP {
  /// Binds, on the loopback address.
  static func bind(_ port: UInt16) -> Int32? { attempt(INADDR_LOOPBACK, port) { Glibc.bind($0, $1, $2) } }

  /// Connects to the broadcast address, which TCP refuses before it sends anything.
  static func connect(_ port: UInt16) -> Int32? { attempt(INADDR_BROADCAST, port) { Glibc.connect($0, $1, $2) } }

  private static func attempt(
    _ host: UInt32, _ port: UInt16, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32? {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if socket < 0 { return nemo_get_errno() == EAFNOSUPPORT ? nil : socket }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = host.bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(socket, $0, size) }
    }
    let error = nemo_get_errno()
    close(socket)
    nemo_set_errno(error)
    return result
  }
}
