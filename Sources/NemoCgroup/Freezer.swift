import CKernel
import Glibc
import NemoKernel

extension CgroupV1 {
  /// How long ``freeze()`` tries, in milliseconds.
  static let freezePatience = 10_000
  /// The same before a signal: it goes out also when some process does not freeze.
  static let signalFreezePatience = 300
  /// How long ``signalAll(_:)`` goes on when killed processes do not get fewer, in milliseconds.
  static let killPatience = 1500

  /// How long the cgroup may be FREEZING until it is thawed and frozen anew, in milliseconds.
  private static let thawInterval = 100

  private func freezer() throws(Failure) -> String {
    guard let directory = saved["freezer"] else {
      throw Failure("cannot toggle freezer: cgroups not configured for container")
    }
    return directory
  }

  /// Freezes all processes here and below.
  public func freeze() throws(Failure) { try freeze(patience: CgroupV1.freezePatience) }

  /// A process that is created meanwhile can hold the cgroup in FREEZING: writing again catches it, and thawing for a moment lets
  /// one go on that waits for another which is frozen already.
  private func freeze(patience: Int) throws(Failure) {
    let file = try freezer() + "/freezer.state"
    let end = Clock.milliseconds() + patience
    var thawAt = Clock.milliseconds() + CgroupV1.thawInterval
    var attempt = 0
    while true {
      try Files.write("FROZEN", to: file)
      if try Files.readText(file) == "FROZEN" { return }
      attempt += 1
      // Woken and stopped at once, mostly; then the processors are busy, or somebody keeps on making processes.
      if attempt > 10 { usleep(200) }
      let now = Clock.milliseconds()
      if now < thawAt && now < end { continue }
      try Files.write("THAWED", to: file)
      guard now < end else { break }
      usleep(10_000)
      thawAt = Clock.milliseconds() + CgroupV1.thawInterval
    }
    throw Failure("unable to freeze", file, errno: .busy, reason: "some process does not stop")
  }

  /// Lets the processes go on; without a freezer nothing was frozen.
  public func thaw() throws(Failure) {
    guard let directory = saved["freezer"] else { return }
    do throws(Failure) { try Files.write("THAWED", to: directory + "/freezer.state") } catch  where error.isGone {
      return
    }
  }

  /// Thaws also what froze itself further down: a frozen process does not die.
  private func thawAll() throws(Failure) {
    guard let directory = saved["freezer"] else { return }
    try walk(directory) { (path) throws(Failure) in
      do throws(Failure) { try Files.write("THAWED", to: path + "/freezer.state") } catch  where error.isGone { return }
    }
  }

  /// Whether this cgroup itself is to be frozen; that some process has not stopped yet, or that an ancestor is frozen, makes no
  /// difference, so that the answer never has to be waited for.
  public func isFrozen() throws(Failure) -> Bool {
    guard let directory = saved["freezer"] else { return false }
    do throws(Failure) { return try Files.readText(directory + "/freezer.self_freezing") == "1" } catch
      where error.isGone
    { return false }
  }

  /// Signals every process of the cgroup. It is frozen meanwhile, so that none escapes by clone(2) and no number gets a new owner
  /// between reading and signalling.
  public func signalAll(_ signal: Int32) throws(Failure) {
    let wasFrozen = try isFrozen()
    var end = Clock.milliseconds() + CgroupV1.killPatience
    var fewest = Int.max
    var pause = 200
    while true {
      var remaining = try processesOfAll()
      if remaining.isEmpty { return }
      if !wasFrozen && saved["freezer"] != nil {
        do throws(Failure) { try freeze(patience: CgroupV1.signalFreezePatience) } catch
          where error.errno == .busy || error.isGone
        {
          // Thawed again. What escapes a SIGKILL is met by the next round.
        }
        remaining = try processesOfAll()
      }
      let failure = send(signal, to: remaining)
      if signal == SIGKILL { try thawAll() } else if !wasFrozen { try thaw() }
      if let failure { throw failure }
      guard signal == SIGKILL else { return }
      if remaining.count < fewest {
        fewest = remaining.count
        end = Clock.milliseconds() + CgroupV1.killPatience
      }
      guard Clock.milliseconds() < end else {
        throw Failure("kill all processes", directories.first ?? "", reason: "\(remaining.count) do not end")
      }
      usleep(useconds_t(pause))
      pause = min(pause * 2, 20_000)
    }
  }

  private func send(_ signal: Int32, to processes: Set<Int32>) -> Failure? {
    var failure: Failure?
    for pid in processes where pid != getpid() && kill(pid, signal) != 0 && nemo_get_errno() != ESRCH {
      failure = .last("signal process", String(pid))
    }
    return failure
  }
}

enum Clock {
  /// Milliseconds that only grow (CLOCK_MONOTONIC).
  static func milliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }
}
