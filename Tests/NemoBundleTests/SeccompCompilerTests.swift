import NemoBlueprint
import NemoPolicy
import Testing

@testable import NemoBundle

/// What a filter of these rules answers: nil allows, otherwise the errno.
private func answer(_ rules: [String: [SeccompCompiler.Rule]], _ call: String, _ arguments: [UInt64]) -> String? {
  guard let list = rules[call] else { return "ENOSYS" }
  let matching = Set(list.filter { $0.cube.contains(arguments) }.map(\.errno))
  #expect(matching.count <= 1, "rules with different answers cover \(call) \(arguments)")
  guard let first = matching.first else { return "EPERM" }
  return first
}

private func expected(_ policy: Policy, _ call: String, _ arguments: [UInt64]) -> String? {
  let decision = policy.decide(.systemCall(name: call, arguments: arguments.map { $0 }))
  if decision.verdict == .allow { return nil }
  return decision.reason.split(separator: " ").last.map(String.init)
}

@Test func theFilterAnswersAsThePolicyDecides() throws {
  var rules = AgentProfile.rules
  let origin = Origin(file: "b.yaml", line: 1)
  let rule = { (names: [String], conditions: [ArgumentCondition], outcome: SystemCallRule.Outcome) in
    SystemCallRule(names, when: conditions, outcome, name: "system_calls", origin: origin)
  }
  rules.insert(
    contentsOf: [
      rule(["kill"], [ArgumentCondition(1, .equal, 9)], .refuse(errno: "EACCES")),
      rule(["kill"], [ArgumentCondition(0, .less, 5), ArgumentCondition(1, .greater, 3)], .refuse(errno: "EPERM")),
      rule(["lseek"], [ArgumentCondition(2, .notEqual, 1)], .refuse(errno: "EINVAL")),
      rule(
        ["fcntl"], [ArgumentCondition(1, .greaterOrEqual, 1024), ArgumentCondition(1, .lessOrEqual, 1026)],
        .refuse(errno: "EBUSY")),
      rule(["mount"], [ArgumentCondition(3, .maskedEqual, 0, mask: ~0x8000_0000_0000_0001)], .allow),
    ], at: 0)
  var parts = Policy.Rules()
  parts.systemCalls = rules
  let policy = Policy(parts)
  let compiled = try SeccompCompiler.compiled(rules)
  let interesting: [UInt64] = [
    0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 16, 17, 0x5412, 0x541c, 0x5413, 0x1_0000_5412, 0x20000, 0x20008, 0xffff_ffff, 0x1000,
    1023,
    1024, 1025, 1026, 1027, 0x7e02_0080, 1 << 63, UInt64.max, 0x80000, 0x800,
  ]
  var generator = SystemRandomNumberGenerator()
  let calls = Set(rules.flatMap(\.names)).sorted() + ["afs_syscall"]
  for call in calls {
    for _ in 0..<200 {
      let arguments = (0..<6).map { _ in
        Bool.random(using: &generator)
          ? interesting.randomElement(using: &generator) ?? 0 : UInt64.random(in: .min ... .max, using: &generator)
      }
      #expect(answer(compiled, call, arguments) == expected(policy, call, arguments), "\(call) \(arguments)")
    }
  }
}

@Test func theProfileIsTheSameEveryTimeAndNamesEveryCallOnce() throws {
  let profile = try SeccompCompiler.compile(AgentProfile.rules)
  #expect(profile.canonical == (try SeccompCompiler.compile(AgentProfile.rules).canonical))
  let rules = profile["syscalls"]?.elements ?? []
  let plain = rules.filter { $0["args"] == nil }.flatMap { $0["names"]?.elements ?? [] }.compactMap(\.text)
  #expect(Set(plain).count == plain.count && plain.contains("read") && !plain.contains("ptrace"))
  // No rule compares one argument twice: that would mean "or".
  for rule in rules {
    let indexes = rule["args"]?.elements?.compactMap { $0["index"]?.number } ?? []
    #expect(Set(indexes).count == indexes.count)
  }
}

@Test func setsAreTakenOutOfOneAnother() {
  let low = ArgumentCube(arguments: [0: .init(mask: 0xff, value: 0x12)])
  let pieces = ArgumentCube().subtracting(low)
  #expect(pieces.count == 8)
  for value in 0..<256 as Range<UInt64> {
    let holders = pieces.filter { $0.contains([value, 0, 0, 0, 0, 0]) }.count
    #expect(holders == (value == 0x12 ? 0 : 1))
  }
  #expect(low.subtracting(low).isEmpty)
  #expect(low.subtracting(ArgumentCube(arguments: [0: .init(mask: 0xff, value: 0x13)])) == [low])
}
