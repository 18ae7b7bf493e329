import CKernel
import Glibc
import NemoKernel
import NemoOCI
import Testing

@testable import NemoCapabilities

private func sets(_ all: [String], ambient: [String] = []) -> CapabilitySets {
  var sets = CapabilitySets()
  sets.bounding = all
  sets.effective = all
  sets.permitted = all
  sets.inheritable = all
  sets.ambient = ambient
  return sets
}

/// Runs `body` in a process of its own, which ends with what it returns.
private func inChild(_ body: () -> Int32) -> Int32 {
  var arguments = nemo_clone_args()
  arguments.exit_signal = UInt64(SIGCHLD)
  let pid = nemo_clone3(&arguments)
  if pid == 0 { _exit(body()) }
  var status: Int32 = 0
  guard pid > 0, waitpid(pid, &status, 0) == pid else { return -1 }
  return nemo_wifexited(status) != 0 ? nemo_wexitstatus(status) : 128 + nemo_wtermsig(status)
}

@Suite struct CapabilitiesTests {
  @Test func namesBecomeBits() {
    var warnings: [String] = []
    let c = Capabilities(
      sets(["CAP_CHOWN", "CAP_KILL"], ambient: ["CAP_KILL"]), available: UInt64.max, warnings: &warnings)
    #expect(c.effective == 1 << 0 | 1 << 5)
    #expect(c.permitted == c.effective && c.bounding == c.effective && c.inheritable == c.effective)
    #expect(c.ambient == 1 << 5)
    #expect(warnings.isEmpty)
  }

  @Test func absentMeansNone() {
    var warnings: [String] = []
    let c = Capabilities(nil, available: UInt64.max, warnings: &warnings)
    #expect(c.effective | c.permitted | c.bounding | c.inheritable | c.ambient == 0)
    #expect(warnings.isEmpty)
  }

  @Test(arguments: ["CAP_NOPE", "cap_chown", "CHOWN", "CAP_", "", "0", "CAP_5", "all", "CAP_CHOWN ", "CAP_ALL"])
  func unknownNamesAreLeftOutWithAWarning(name: String) {
    var warnings: [String] = []
    let c = Capabilities(sets([name, "CAP_KILL"]), available: UInt64.max, warnings: &warnings)
    #expect(c.effective == 1 << 5 && c.bounding == 1 << 5)
    #expect(warnings == ["ignoring unknown or unavailable capabilities: [\(name)]"])
  }

  @Test func whatIsNotAvailableIsLeftOutOfAllSets() {
    var warnings: [String] = []
    let c = Capabilities(
      sets(["CAP_CHOWN", "CAP_SYS_RESOURCE"], ambient: ["CAP_SYS_RESOURCE"]), available: 1, warnings: &warnings)
    #expect([c.effective, c.permitted, c.bounding, c.inheritable, c.ambient] == [1, 1, 1, 1, 0])
    #expect(warnings == ["ignoring unknown or unavailable capabilities: [CAP_SYS_RESOURCE]"])
  }

  @Test func contradictingSetsOnlyShrink() {
    var sets = CapabilitySets()
    sets.bounding = ["CAP_CHOWN"]
    sets.permitted = ["CAP_CHOWN"]
    sets.effective = ["CAP_CHOWN", "CAP_KILL"]
    sets.inheritable = ["CAP_KILL"]
    sets.ambient = ["CAP_CHOWN"]
    var warnings: [String] = []
    let c = Capabilities(sets, available: UInt64.max, warnings: &warnings)
    #expect([c.effective, c.permitted, c.bounding, c.inheritable, c.ambient] == [1, 1, 1, 0, 0])
    #expect(warnings.count == 3)
    #expect(
      warnings.contains("/process/capabilities/effective: ignoring capabilities that are not permitted: [CAP_KILL]"))
  }

  @Test func namesAreTheKernels() throws {
    let text = try Files.readText("/proc/sys/kernel/cap_last_cap")
    #expect(Capabilities.names.first == "CAP_CHOWN")
    #expect(Capabilities.names.count <= (Int(text) ?? -1) + 1)
    #expect(Capabilities.names.contains("CAP_CHECKPOINT_RESTORE"))
  }

  /// Without root nothing can be dropped from the bounding set; the test then has nothing to show.
  @Test(.enabled(if: geteuid() == 0)) func setsReachTheKernel() {
    var warnings: [String] = []
    let c = Capabilities(
      sets(["CAP_CHOWN", "CAP_KILL"], ambient: ["CAP_KILL"]), available: UInt64.max, warnings: &warnings)
    let code = inChild {
      guard nemo_prctl(23, 21, 0, 0, 0) == 1 else { return 10 }
      do throws(Failure) {
        try c.dropBounding()
        guard nemo_prctl(23, 21, 0, 0, 0) == 0, nemo_prctl(23, 0, 0, 0, 0) == 1 else { return 11 }
        guard nemo_prctl(8, 1, 0, 0, 0) == 0, nemo_setresuid(1000, 1000, 1000) == 0 else { return 12 }
        try c.apply()
      } catch { return 13 }
      var e: UInt64 = 0
      var p: UInt64 = 0
      var i: UInt64 = 0
      guard nemo_capget(&e, &p, &i) == 0, e == 0x21, p == 0x21, i == 0x21 else { return 14 }
      guard nemo_prctl(47, 1, 5, 0, 0) == 1, nemo_prctl(47, 1, 0, 0, 0) == 0 else { return 15 }
      return 0
    }
    #expect(code == 0)
  }

  @Test(.enabled(if: geteuid() == 0)) func whatTheProcessLacksCannotBeApplied() {
    var warnings: [String] = []
    let c = Capabilities(sets(["CAP_CHOWN"]), available: UInt64.max, warnings: &warnings)
    let works = inChild {
      do throws(Failure) { try c.apply() } catch { return 1 }
      return 0
    }
    #expect(works == 0)
    let fails = inChild {
      guard nemo_setresuid(1000, 1000, 1000) == 0 else { return 10 }
      do throws(Failure) { try c.apply() } catch { return error.errno == .notPermitted ? 20 : 11 }
      return 0
    }
    #expect(fails == 20)
  }
}
