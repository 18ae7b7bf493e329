import CKernel
import Glibc
import NemoKernel

extension CgroupV1 {
  private static let freezeAttempts = 1000

  private func freezerState(_ directory: String) throws(Failure) -> String {
    try Files.readText(directory + "/freezer.state")
  }

  /// Freezes; a process in the middle of clone(2) can hold the cgroup in FREEZING, so it is thawed and frozen again (kernel
  /// documentation, freezer-subsystem).
  public func freeze() throws(Failure) {
    let directory = try directory(of: "freezer", for: "pause")
    for attempt in 0..<CgroupV1.freezeAttempts {
      if attempt % 50 == 49 {
        try Files.write("THAWED", to: directory + "/freezer.state")
        usleep(10_000)
      }
      try Files.write("FROZEN", to: directory + "/freezer.state")
      if attempt % 25 == 24 { usleep(10) }
      if try freezerState(directory) == "FROZEN" { return }
    }
    try thaw()
    throw Failure("freeze container", directory, errno: .busy, reason: "some process does not freeze")
  }

  /// Lets the processes go on; without a freezer nothing was frozen.
  public func thaw() throws(Failure) {
    guard let directory = saved["freezer"] else { return }
    do throws(Failure) { try Files.write("THAWED", to: directory + "/freezer.state") } catch
      where error.errno == .noEntry
    { return }
  }

  /// Whether it is frozen or freezing by its own state.
  public func isFrozen() throws(Failure) -> Bool {
    guard let directory = saved["freezer"] else { return false }
    do throws(Failure) { return try freezerState(directory) != "THAWED" } catch
      where error.errno == .noEntry || error.errno?.rawValue == ENODEV
    {
      return false
    }
  }

  /// Signals every process of the cgroup. Frozen meanwhile, so that none escapes by clone(2); SIGKILL repeats until none is left.
  public func signalAll(_ signal: Int32) throws(Failure) {
    var round = 0
    while true {
      let before = try processes()
      if before.isEmpty { return }
      let wasFrozen = try isFrozen()
      if !wasFrozen && saved["freezer"] != nil {
        // Best effort: one that does not freeze is caught by the next round.
        do throws(Failure) { try freeze() } catch  where signal == SIGKILL {}
      }
      for pid in try processes() where kill(pid, signal) != 0 && nemo_get_errno() != ESRCH {
        throw .last("signal process", String(pid))
      }
      if !wasFrozen || signal == SIGKILL { try thaw() }
      guard signal == SIGKILL else { return }
      round += 1
      guard round < 200 else {
        throw Failure("kill the container's processes", reason: "\(before.count) are still there")
      }
      usleep(useconds_t(min(round, 10) * 1000))
    }
  }
}
