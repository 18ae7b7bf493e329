import Glibc
import NemoCgroup
import NemoJSON
import NemoKernel

/// What `events` prints.
public enum Events {
  /// Prints statistics at once and then every `interval` milliseconds, and an event for each out-of-memory kill, until the
  /// container has ended.
  public static func print(
    _ id: String, once: Bool, interval: Int, _ context: RuntimeContext, _ emit: ([UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    let container = try Container(id, context, locked: false)
    guard try container.status() != .stopped else { throw container.wrongState("events", .stopped) }
    throw Failure("events", reason: "not ready")
  }
}
