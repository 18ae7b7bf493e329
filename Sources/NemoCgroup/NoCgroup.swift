import NemoKernel
import NemoOCI

/// A container without cgroups (`--cgroup-manager disabled`): it stays in the caller's. What needs one is an error.
public final class NoCgroup: CgroupManager {
  /// Makes the empty place.
  public init() {}

  private func missing(_ what: String) -> Failure {
    Failure(what, reason: "the container has no cgroup of its own", advice: "make it without --cgroup-manager disabled")
  }

  /// Nothing to write down.
  public var saved: [String: String] { [:] }
  /// Nothing to make.
  public func create() throws(Failure) {}
  /// None.
  public func openForClone(making: Bool) throws(Failure) -> Int32 { -1 }
  /// Always.
  public func isEmpty() throws(Failure) -> Bool { true }
  /// Limits cannot be set, and are not promised: the caller asked for none.
  public func apply(_ resources: Resources) throws(Failure) {}
  /// An error.
  public func update(_ resources: Resources) throws(Failure) { throw missing("update") }
  /// None.
  public func joinDescriptors() throws(Failure) -> [Int32] { [] }
  /// An error.
  public func joinDescriptors(below paths: [String: String]) throws(Failure) -> [Int32] {
    throw missing("exec --cgroup")
  }
  /// Unknown.
  public func processes() throws(Failure) -> [Int32] { throw missing("list processes") }
  /// An error.
  public func freeze() throws(Failure) { throw missing("freeze container") }
  /// Nothing is frozen.
  public func thaw() throws(Failure) {}
  /// Never.
  public func isFrozen() throws(Failure) -> Bool { false }
  /// Reaches nobody: the first process is signalled by its pidfd.
  public func signalAll(_ signal: Int32) throws(Failure) {}
  /// Nothing to remove.
  public func removeIfEmpty() throws(Failure) -> Bool { true }
  /// Nothing to remove.
  public func remove() throws(Failure) {}
  /// Nothing to show.
  public func containerMounts() throws(Failure) -> [CgroupMount] { [] }
  /// An error.
  public func stats() throws(Failure) -> CgroupStats { throw missing("events") }
  /// An error.
  public func outOfMemoryEvents() throws(Failure) -> OutOfMemoryEvents { throw missing("events") }
  /// An error.
  public func outOfMemoryKills() throws(Failure) -> UInt64 { throw missing("events") }
}
