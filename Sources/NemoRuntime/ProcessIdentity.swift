import CKernel
import Glibc
import NemoKernel

/// A process that cannot be mistaken for another one after its id was used again: pid, start time, and the number that the kernel
/// gives no second process until the next boot. The start time alone has ticks of 10 ms, in which a pid can be used twice.
public struct ProcessIdentity: Equatable, Sendable {
  /// Process id in the runtime's namespace.
  public var pid: Int32
  /// Start time in clock ticks after boot (field 22 of /proc/PID/stat).
  public var startTime: UInt64
  /// Inode of its pidfds in pidfs; 0 before Linux 6.9, which has no pidfs.
  public var inode: UInt64

  /// The boot in which it lives (/proc/sys/kernel/random/boot_id), which a state root on a disk outlives; empty means any.
  public var boot: String

  /// As it was recorded.
  init(pid: Int32, startTime: UInt64, inode: UInt64, boot: String) {
    self.pid = pid
    self.startTime = startTime
    self.inode = inode
    self.boot = boot
  }

  /// Of the living child `pid`.
  init(ofChild pid: Int32, _ procfs: borrowing Procfs) throws(Failure) {
    let pidfd = try OwnedDescriptor(pidfdOf: pid)
    guard let status = try ProcessIdentity.status(of: pid, procfs) else {
      throw Failure("container's process ended while it was being made")
    }
    let isPidfs = nemo_filesystem_magic(pidfd.raw) == 0x5049_4446
    self.init(
      pid: pid, startTime: status.startTime, inode: isPidfs ? UInt64(try Files.status(of: pidfd.raw).st_ino) : 0,
      boot: try ProcessIdentity.presentBoot(procfs))
  }

  private static func presentBoot(_ procfs: borrowing Procfs) throws(Failure) -> String {
    var bytes = try procfs.read("sys/kernel/random/boot_id", limit: 4096)
    while bytes.last == 10 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What /proc/PID/stat says of a process.
  private struct Status {
    var state: UInt8
    var startTime: UInt64
  }

  /// nil when there is no such process. What cannot be read is an error: it must not look like an end.
  private static func status(of pid: Int32, _ procfs: borrowing Procfs) throws(Failure) -> Status? {
    let bytes: [UInt8]
    do throws(Failure) { bytes = try procfs.read(String(decimal: pid) + "/stat", limit: 8192) } catch
      where error.errno == .noEntry || error.errno == .noProcess
    {
      return nil
    }
    // The name in parentheses may hold anything; fields count from the last parenthesis.
    guard let close = bytes.lastIndex(of: 0x29) else { return nil }
    let fields = bytes[(close + 2)...].split(separator: 0x20)
    guard fields.count > 19, let state = fields[0].first else { return nil }
    return Status(state: state, startTime: UInt64(String(decoding: fields[19], as: UTF8.self)) ?? 0)
  }

  /// A descriptor of this very process, which cannot become another's; nil when it has ended. A zombie has.
  func hold(_ procfs: borrowing Procfs) throws(Failure) -> OwnedDescriptor? {
    let pidfd: OwnedDescriptor
    do throws(Failure) { pidfd = try OwnedDescriptor(pidfdOf: pid) } catch
      where error.errno == .noProcess || error.errno == .invalid || error.errno == .noEntry
    {
      // The latter two: it is a thread's id now.
      return nil
    }
    if inode != 0, UInt64(try Files.status(of: pidfd.raw).st_ino) != inode { return nil }
    // Read after the descriptor is held: from now on the pid cannot be used again unnoticed.
    guard let now = try ProcessIdentity.status(of: pid, procfs), now.startTime == startTime else { return nil }
    if now.state == 0x5a || now.state == 0x58 { return nil }
    if !boot.isEmpty, try ProcessIdentity.presentBoot(procfs) != boot { return nil }
    return pidfd
  }

  /// Whether this very process still runs.
  func isAlive(_ procfs: borrowing Procfs) throws(Failure) -> Bool { try hold(procfs) != nil }
}

extension OwnedDescriptor {
  /// pidfd_open(2).
  init(pidfdOf pid: Int32) throws(Failure) {
    let fd = nemo_pidfd_open(pid, 0)
    guard fd >= 0 else { throw .last("pidfd_open", "\(pid)") }
    self.init(adopting: fd)
  }
}
