import CSeccomp
import NemoOCI
import NemoPolicy
import Testing

@testable import NemoSeccomp

/// What a policy decides about system calls, and what the compiled filter answers.
@Suite struct PolicyFilterTests {
  private static let operators: [ArgumentCondition.Comparison: String] = [
    .equal: "SCMP_CMP_EQ", .notEqual: "SCMP_CMP_NE", .less: "SCMP_CMP_LT", .lessOrEqual: "SCMP_CMP_LE",
    .greater: "SCMP_CMP_GT", .greaterOrEqual: "SCMP_CMP_GE", .maskedEqual: "SCMP_CMP_MASKED_EQ",
  ]
  private static let errnos = ["EPERM": Int32(1), "EACCES": 13, "ENOSYS": 38]

  private static func compiled(_ rules: [SystemCallRule]) throws -> (program: [FilterInstruction], warnings: [String]) {
    var profile = SeccompProfile(defaultAction: "SCMP_ACT_ERRNO")
    profile.defaultErrnoRet = 1
    profile.syscalls = try SystemCallFilter(rules).entries.map { entry in
      var rule = SeccompRule(action: "SCMP_ACT_ALLOW")
      if case .refuse(let errno) = entry.outcome {
        rule.action = "SCMP_ACT_ERRNO"
        rule.errnoRet = UInt32(try #require(errnos[errno]))
      }
      rule.names = entry.names
      rule.args = try entry.conditions.map { condition in
        let masked = condition.comparison == .maskedEqual
        var argument = SeccompArgument(
          index: UInt32(condition.index), value: masked ? condition.mask : condition.value,
          op: try #require(operators[condition.comparison]))
        if masked { argument.valueTwo = condition.value }
        return argument
      }
      return rule
    }
    let (program, warnings) = try Seccomp.compile(profile)
    return (program.instructions.map(FilterInstruction.init(bits:)), warnings)
  }

  private static func wanted(_ decision: Decision) -> UInt32? {
    if decision.verdict == .allow { return SeccompNames.allow }
    return errnos.first { decision.reason.hasSuffix("fails with \($0.key)") }.map { NemoSeccompTests.errno($0.value) }
  }

  private static func policy(_ rules: [SystemCallRule]) -> Policy {
    var all = Policy.Rules()
    all.systemCalls = rules
    return Policy(all)
  }

  private static let samples: [UInt64] = [
    0, 1, 2, 3, 6, 8, 9, 10, 16, 17, 38, 40, 262, 0x1000, 0x5401, 0x5412, 0x541c, 0x541d, 0x8_0001, 0x1000_0000,
    0x8000_0000, 0xffff_ffff,
    0x1_0000_0001, 0xff_0000_5412, .max,
  ]

  @Test func theProfileAnswersAsThePolicySays() throws {
    let (program, warnings) = try Self.compiled(AgentProfile.rules)
    #expect(warnings.isEmpty)
    let policy = Self.policy(AgentProfile.rules)
    var random = SystemRandomNumberGenerator()
    for name in Set(AgentProfile.rules.flatMap(\.names)).sorted() {
      let resolved = seccomp_syscall_resolve_name(name)
      guard let number = resolved >= 0 ? UInt32(resolved) : RecentCalls.number(name) else { continue }
      for round in 0..<(AgentProfile.conditional.contains { $0.names.contains(name) } ? 4000 : 5) {
        var arguments = (0..<6).map { _ in Self.samples.randomElement(using: &random) ?? 0 }
        if round == 0 { arguments = [0, 0, 0, 0, 0, 0] }
        let decision = policy.decide(.systemCall(name: name, arguments: arguments))
        let answer = answer(program, Call(number: number, architecture: x8664, arguments: arguments))
        #expect(answer == Self.wanted(decision), "\(name) \(arguments): \(decision.reason)")
      }
    }
    for number: UInt32 in [470, 471, 500, 1000, 0x3fff_ffff] {
      #expect(answer(program, Call(number: number, architecture: x8664)) == errno(38))
    }
    let own = UInt32(bitPattern: 39)
    #expect(answer(program, Call(number: own, architecture: x8664)) == SeccompNames.allow)
    #expect(answer(program, Call(number: own, architecture: x86)) == SeccompNames.killProcess)
    #expect(answer(program, Call(number: own, architecture: aarch64)) == SeccompNames.killProcess)
    #expect(answer(program, Call(number: own | 0x4000_0000, architecture: x8664)) == SeccompNames.killProcess)
  }

  @Test(arguments: 0..<60)
  func blueprintsRulesAnswerAsThePolicySays(_ seed: UInt64) throws {
    var random = Generator(state: seed)
    let names = ["socket", "ioctl", "read", "personality", "prctl", "ptrace", "clone"]
    let rules = (0..<Int.random(in: 1...3, using: &random)).map { _ in
      let conditions = Set((0..<3).prefix(Int.random(in: 0...2, using: &random))).map { index in
        ArgumentCondition(
          index, ArgumentCondition.Comparison.allCases.randomElement(using: &random) ?? .equal,
          Self.samples.randomElement(using: &random) ?? 0,
          mask: [0xffff_ffff, 0xff, .max].randomElement(using: &random) ?? 0)
      }
      let outcome: SystemCallRule.Outcome =
        Bool.random(using: &random)
        ? .allow : .refuse(errno: ["EPERM", "EACCES"].randomElement(using: &random) ?? "EPERM")
      return SystemCallRule(
        [names.randomElement(using: &random) ?? "read"], when: conditions, outcome, name: "r", origin: .builtIn)
    }
    let all = rules + AgentProfile.rules
    guard let (program, _) = try? Self.compiled(all) else { return }
    let policy = Self.policy(all)
    for name in names {
      for _ in 0..<400 {
        let arguments = (0..<6).map { _ in Self.samples.randomElement(using: &random) ?? 0 }
        let decision = policy.decide(.systemCall(name: name, arguments: arguments))
        let answer = answer(program, Call(number: number(name), architecture: x8664, arguments: arguments))
        #expect(answer == Self.wanted(decision), "\(rules): \(name) \(arguments): \(decision.reason)")
      }
    }
  }
}

/// Repeatable random numbers (splitmix64).
private struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
