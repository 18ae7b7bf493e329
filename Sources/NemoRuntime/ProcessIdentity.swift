import Glibc
import NemoKernel

/// A process that cannot be mistaken for another one after its id was used again: pid and start time.
public struct ProcessIdentity: Equatable, Sendable {
  /// Process id in the runtime's namespace.
  public var pid: Int32
  /// Start time in clock ticks after boot (field 22 of /proc/PID/stat).
  public var startTime: UInt64

  /// What /proc/PID/stat says of a process.
  struct Status {
    var state: UInt8
    var startTime: UInt64
  }

  static func status(of pid: Int32, _ procfs: borrowing Procfs) -> Status? {
    guard pid > 0, let bytes = try? procfs.read("\(pid)/stat", limit: 8192) else { return nil }
    // The name in parentheses may hold anything; fields count from the last parenthesis.
    guard let close = bytes.lastIndex(of: 0x29) else { return nil }
    let fields = bytes[(close + 2)...].split(separator: 0x20)
    guard fields.count > 19, let state = fields[0].first else { return nil }
    return Status(state: state, startTime: UInt64(String(decoding: fields[19], as: UTF8.self)) ?? 0)
  }

  /// Whether this very process still runs; a zombie does not.
  func isAlive(_ procfs: borrowing Procfs) -> Bool {
    guard let now = ProcessIdentity.status(of: pid, procfs), now.startTime == startTime else { return false }
    return now.state != 0x5a && now.state != 0x58
  }
}
