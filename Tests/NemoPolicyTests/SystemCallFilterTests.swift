import Testing

@testable import NemoPolicy

/// What a filter made of the entries answers: nil for its default.
private func answer(_ filter: SystemCallFilter, _ call: String, _ arguments: [UInt64]) -> Set<SystemCallRule.Outcome> {
  Set(
    filter.entries.filter { entry in
      entry.names.contains(call) && entry.conditions.allSatisfy { $0.holds(arguments[$0.index]) }
    }.map(\.outcome))
}

private func rule(_ conditions: [ArgumentCondition], _ outcome: SystemCallRule.Outcome) -> SystemCallRule {
  SystemCallRule(["call"], when: conditions, outcome, name: "r", origin: .builtIn)
}

@Suite struct SystemCallFilterTests {
  @Test func theProfileNamesEveryCallOnce() {
    let lists = [AgentProfile.allowed, AgentProfile.refused, AgentProfile.absent]
    let names = lists.flatMap { $0 } + Set(AgentProfile.conditional.flatMap(\.names))
    #expect(Set(names).count == names.count)
    #expect(lists.allSatisfy { $0 == $0.sorted() })
  }

  @Test func entriesOfTheProfileAreWhatACompilerCanHold() throws {
    let filter = try SystemCallFilter(AgentProfile.rules)
    #expect(filter.entries[0].outcome == .allow && filter.entries[0].names == AgentProfile.allowed)
    #expect(filter.entries[1].outcome == .refuse(errno: "ENOSYS") && filter.entries[1].names == AgentProfile.absent)
    #expect(filter.entries[2].outcome == .refuse(errno: "EPERM") && filter.entries[2].names == AgentProfile.refused)
    for entry in filter.entries.dropFirst(3) {
      #expect(!entry.conditions.isEmpty && entry.outcome == .allow)
      #expect(Set(entry.conditions.map(\.index)).count == entry.conditions.count)
    }
    for command: UInt64 in [0x5412, 0x541c, 0xff_0000_5412] { #expect(answer(filter, "ioctl", [0, command]).isEmpty) }
    for command: UInt64 in [0x5401, 0x5413, 0x541d, 0, .max, 0xffff_ffff_8004_5430] {
      #expect(answer(filter, "ioctl", [0, command]) == [.allow])
    }
  }

  @Test func entriesSayWhatTheRulesSay() throws {
    var random = Generator(state: 7)
    let comparisons = ArgumentCondition.Comparison.allCases
    let values: [UInt64] = [0, 1, 2, 3, 5, 7, 8, 1 << 31, 1 << 32, .max - 1, .max]
    for _ in 0..<2000 {
      let rules = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        let conditions = (0..<Int.random(in: 0...2, using: &random)).map { _ in
          ArgumentCondition(
            Int.random(in: 0...1, using: &random), comparisons.randomElement(using: &random) ?? .equal,
            values.randomElement(using: &random) ?? 0, mask: values.randomElement(using: &random) ?? 0)
        }
        let outcomes: [SystemCallRule.Outcome] = [.allow, .refuse(errno: "EPERM"), .refuse(errno: "EACCES")]
        return rule(conditions, outcomes.randomElement(using: &random) ?? .allow)
      }
      guard let filter = try? SystemCallFilter(rules) else { continue }
      for a in values {
        for b in values {
          let arguments = [a, b, 0, 0, 0, 0]
          let refusal = rules.first { it in
            it.outcome != .allow && it.conditions.allSatisfy { $0.holds(arguments[$0.index]) }
          }
          let allowance = rules.first { it in
            it.outcome == .allow && it.conditions.allSatisfy { $0.holds(arguments[$0.index]) }
          }
          let wanted = (refusal ?? allowance)?.outcome ?? .refuse(errno: "EPERM")
          let found = answer(filter, "call", arguments)
          // What fails with the default's errno may be left out.
          #expect(found == [wanted] || (found.isEmpty && wanted == .refuse(errno: "EPERM")), "\(rules) \(a) \(b)")
        }
      }
    }
  }

  @Test func tooMuchIsAnError() {
    let rules = [
      rule([ArgumentCondition(0, .notEqual, 5), ArgumentCondition(0, .notEqual, 9)], .refuse(errno: "EACCES")),
      rule([ArgumentCondition(1, .less, .max), ArgumentCondition(0, .less, .max)], .allow),
    ]
    #expect(throws: SystemCallFilter.TooManyEntries(name: "call")) { try SystemCallFilter(rules) }
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
