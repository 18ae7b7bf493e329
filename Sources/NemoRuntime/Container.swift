import CKernel
import Glibc
import NemoCgroup
import NemoKernel
import NemoOCI
import NemoSeccomp

/// The life of a container as the specification names it (runtime.md#state).
public enum Status: String, Sendable {
  /// Being made.
  case creating
  /// Made, waits for `start`.
  case created
  /// Its process was executed.
  case running
  /// Its cgroup is frozen.
  case paused
  /// Its process has ended.
  case stopped
}

/// An existing container, found by id.
public struct Container: ~Copyable {
  let context: RuntimeContext
  let store: StateStore
  let directory: ContainerDirectory
  let procfs: Procfs
  /// Its state as read.
  public let record: StateRecord

  /// Finds `id`.
  ///
  /// - Parameter locked: keep others from changing it; readers do not.
  public init(_ id: String, _ context: RuntimeContext, locked: Bool) throws(Failure) {
    try ContainerID.validate(id)
    let opened = try StateStore.existing(context.root, id)
    let directory = locked ? try opened.lock(id) : try opened.open(id)
    let procfs = try Procfs()
    let record = try directory.record()
    self.context = context
    self.store = opened
    self.directory = directory
    self.procfs = procfs
    self.record = record
  }

  /// Its cgroups.
  public func cgroup() throws(Failure) -> any CgroupManager { try record.cgroupManager() }

  /// The configuration it was made from.
  public func configuration() throws(Failure) -> Configuration {
    try Configuration(parsing: directory.configuration(), subject: "\(directory.path)/config.json")
  }

  /// As much of the configuration as a further process needs.
  func configurationForExec() throws(Failure) -> Configuration {
    try Configuration(parsing: directory.configurationForExec(), subject: "\(directory.path)/exec.json")
  }

  /// The compiled filter of the container, from its own copy or, where that is missing or damaged, compiled anew.
  func filter() throws(Failure) -> SeccompProgram {
    if let stored = directory.filter() { return stored }
    guard let profile = try configuration().linux.seccomp else {
      throw Failure("read the system call filter of container", record.id, reason: "config.json has none")
    }
    return try store.filter(for: profile).program
  }

  /// What it is doing now, derived from the kernel.
  public func status() throws(Failure) -> Status { try observe().status }

  /// What it is doing now, and the process of which that is true.
  struct Observation: ~Copyable {
    let status: Status
    /// Of the first process, unless the container is stopped or not yet made.
    let pidfd: OwnedDescriptor?

    consuming func keepPidfd() -> OwnedDescriptor? { pidfd }
  }

  func observe() throws(Failure) -> Observation {
    guard let process = record.process else {
      // Whoever makes it holds the lock; without a holder nobody does any more.
      if retrying({ Int(flock(directory.descriptor.raw, LOCK_SH | LOCK_NB)) }) != 0 {
        return Observation(status: .creating, pidfd: nil)
      }
      flock(directory.descriptor.raw, LOCK_UN)
      return Observation(status: .stopped, pidfd: nil)
    }
    guard let pidfd = try process.hold(procfs) else { return Observation(status: .stopped, pidfd: nil) }
    let status: Status = try cgroup().isFrozen() ? .paused : directory.waitsForStart ? .created : .running
    return Observation(status: status, pidfd: pidfd)
  }

  /// The pid of the first process, or 0 when it has ended.
  public func livePid() throws(Failure) -> Int32 {
    guard let process = record.process, try process.isAlive(procfs) else { return 0 }
    return process.pid
  }

  /// A descriptor of the first process that cannot become another's; nil when it has ended.
  func pidfd() throws(Failure) -> OwnedDescriptor? {
    guard let process = record.process else { return nil }
    return try process.hold(procfs)
  }

  func wrongState(_ verb: String, _ status: Status) -> Failure {
    switch (verb, status) {
    case ("start", .running), ("start", .paused): Failure("cannot start an already running container", record.id)
    case ("start", .stopped): Failure("cannot start a container that has stopped", record.id)
    case ("exec", .paused): Failure("cannot exec in a paused container", record.id, advice: "use --ignore-paused")
    case ("exec", .stopped): Failure("cannot exec in a stopped container", record.id, reason: "container not running")
    case ("pause", .stopped), ("resume", .stopped), ("kill", .stopped), ("ps", .stopped),
      ("update", .stopped), ("events", .stopped):
      Failure("container not running", record.id)
    case ("resume", _): Failure("container not paused", record.id)
    default: Failure("cannot \(verb) container \(record.id) in the \(status.rawValue) state")
    }
  }
}
