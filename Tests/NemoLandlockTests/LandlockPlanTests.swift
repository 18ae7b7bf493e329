import NemoKernel
import NemoOCI
import Testing

@testable import NemoLandlock

@Suite struct LandlockPlanTests {
  /// execute (ABI 1), truncate (3), connect_tcp (4), signal (6), log_new_exec_on (7).
  private static let asked = {
    var rights = LandlockRights()
    rights.files = 1 << 0 | 1 << 14
    rights.ports = 1 << 1
    rights.scopes = 1 << 1
    rights.flags = 1 << 1
    return rights
  }()

  private func plan(abi: Int, bestEffort: LandlockRights = LandlockRights()) throws(Failure) -> LandlockPlan {
    var landlock = Landlock(handled: LandlockPlanTests.asked)
    landlock.bestEffort = bestEffort
    return try LandlockPlan(landlock, on: LandlockKernel(abi: abi, errno: abi == 0 ? .notImplemented : nil))
  }

  @Test func everythingIsEnforcedByANewKernel() throws {
    let plan = try plan(abi: 7)
    #expect(plan.enforced == LandlockPlanTests.asked)
    #expect(plan.dropped.isEmpty && plan.warning == nil)
    #expect(plan.summary == "abi 7: execute, truncate, connect_tcp, signal, log_new_exec_on")
  }

  @Test(arguments: [
    (0, "has no Landlock: it cannot restrict execute, truncate, connect_tcp, signal, log_new_exec_on"),
    (1, "cannot restrict truncate, connect_tcp, signal, log_new_exec_on: its Landlock has ABI 1, ABI 7 is needed"),
    (3, "cannot restrict connect_tcp, signal, log_new_exec_on: its Landlock has ABI 3, ABI 7 is needed"),
    (6, "cannot restrict log_new_exec_on: its Landlock has ABI 6, ABI 7 is needed"),
  ])
  func whatIsMissingIsAnError(abi: Int, words: String) {
    do throws(Failure) {
      _ = try plan(abi: abi)
      Issue.record("accepted")
    } catch {
      #expect(error.message.contains(words))
      #expect(error.subject.hasPrefix("/process/landlock"))
    }
  }

  @Test func bestEffortIsByRight() throws {
    var optional = LandlockPlanTests.asked
    optional.files = 0
    let plan = try plan(abi: 3, bestEffort: optional)
    #expect(plan.dropped == ["connect_tcp", "signal", "log_new_exec_on"])
    #expect(plan.summary == "abi 3: execute, truncate")
    #expect(
      plan.warning == "Landlock does not restrict connect_tcp, signal, log_new_exec_on: this kernel cannot (ABI 3)")
    #expect(throws: Failure.self) { try self.plan(abi: 2, bestEffort: optional) }
  }

  @Test func withoutLandlockNothingIsEnforcedWhereAllIsBestEffort() throws {
    let plan = try plan(abi: 0, bestEffort: LandlockPlanTests.asked)
    #expect(plan.enforced.enforceNothing)
    #expect(plan.summary == "nothing")
    #expect(plan.dropped.count == 5)
  }

  @Test func rightsComeWithTheirABI() {
    let counts = (0...7).map { abi in
      let rights = LandlockKernel(abi: abi).supported
      return [rights.files, rights.ports, rights.scopes, rights.flags].map(\.nonzeroBitCount)
    }
    #expect(
      counts == [
        [0, 0, 0, 0], [13, 0, 0, 0], [14, 0, 0, 0], [15, 0, 0, 0], [15, 2, 0, 0], [16, 2, 0, 0], [16, 2, 2, 0],
        [16, 2, 2, 3],
      ])
  }

  @Test func identitiesAsText() throws {
    let identities = [PathIdentity(device: 43, inode: UInt64.max), nil, PathIdentity(device: 0, inode: 2)]
    let text = PathIdentity.encode(identities).joined()
    #expect(text == "43 18446744073709551615\n-\n0 2\n")
    #expect(try PathIdentity.decode(text, subject: "landlock") == identities)
    for damaged in ["1", "1 2 3", "a b", "--", "1 -2"] {
      #expect(throws: Failure.self) { try PathIdentity.decode(damaged, subject: "landlock") }
    }
  }
}
