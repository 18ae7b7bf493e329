import NemoKernel
import NemoOCI

/// The container's place in the cgroup hierarchy: one interface for every version and driver.
///
/// Nothing is made before ``create()``; ``saved`` is known before, so that it can be written down first.
public protocol CgroupManager: AnyObject {
  /// Controller name to absolute directory, for the state file.
  var saved: [String: String] { get }
  /// Makes the cgroups. One that exists must hold no process and must not be frozen; when it does, what this call made is gone
  /// again, and ``remove()`` leaves the rest alone.
  func create() throws(Failure)
  /// A directory of version 2 for CLONE_INTO_CGROUP (clone3(2)), which pays no grace period as writing to one would; -1 where there
  /// is none. With `making`, before ``create()``, it is made under the same conditions.
  func openForClone(making: Bool) throws(Failure) -> Int32
  /// Whether no process is in it or below, in any hierarchy.
  func isEmpty() throws(Failure) -> Bool
  /// Sets a new container's limits; nothing can join before. Pointers in errors begin with `/linux/resources`.
  func apply(_ resources: Resources) throws(Failure)
  /// Changes the limits that `resources` names; others stay, device rules among them. Pointers in errors begin at its top.
  func update(_ resources: Resources) throws(Failure)
  /// Descriptors into which a single-threaded process writes "0" to join; the caller closes them.
  func joinDescriptors() throws(Failure) -> [Int32]
  /// The same for sub cgroups by controller name; the key "" stands for every controller (`exec --cgroup`).
  func joinDescriptors(below paths: [String: String]) throws(Failure) -> [Int32]
  /// Every process in it and below.
  func processes() throws(Failure) -> [Int32]
  /// Freezes all processes; returns when they are frozen.
  func freeze() throws(Failure)
  /// Lets them go on.
  func thaw() throws(Failure)
  /// Whether it is frozen, or about to be, by its own state; a frozen ancestor does not count.
  func isFrozen() throws(Failure) -> Bool
  /// Signals every process; SIGKILL repeats until none is left, and reaches what froze itself in a nested cgroup.
  func signalAll(_ signal: Int32) throws(Failure)
  /// Removes the cgroups in one go; false, with nothing promised, when something is still in them.
  func removeIfEmpty() throws(Failure) -> Bool
  /// Removes the cgroups and what is below them; missing ones are no error.
  func remove() throws(Failure)
  /// What `/sys/fs/cgroup` in the container consists of.
  func containerMounts() throws(Failure) -> [CgroupMount]
  /// What the kernel counts.
  func stats() throws(Failure) -> CgroupStats
  /// Begins to listen for out-of-memory events.
  func outOfMemoryEvents() throws(Failure) -> OutOfMemoryEvents
  /// How many processes the kernel has killed for lack of memory; 0 where it does not count or the cgroup is gone.
  func outOfMemoryKills() throws(Failure) -> UInt64
}

/// One hierarchy as it appears in the container.
public struct CgroupMount: Sendable, Equatable {
  /// Directory name inside: the controllers joined by commas, or `systemd`.
  public var name: String
  /// What mount(2) of the hierarchy takes as data, for a cgroup namespace.
  public var data: [String]
  /// The container's own directory on the host.
  public var hostDirectory: String
  /// Names of single controllers that lead to `name`.
  public var symlinks: [String]
}
