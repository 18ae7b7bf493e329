import NemoKernel
import NemoOCI
import Testing

@testable import NemoSeccomp

/// A small generator with a seed, so that a failure can be repeated (Numerical Recipes' constants).
private struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 11 ^ state << 32
  }
}

/// The short program against the one of libseccomp, call by call, in an interpreter that knows nothing of either.
@Suite struct ShorteningTests {
  private static let architectures = [x86, x8664, aarch64, 0]

  private static func argumentsOfInterest(_ p: SeccompProfile) -> [UInt64] {
    var values: Set<UInt64> = [0, 1, 0xffff_ffff, UInt64.max, 0x7e02_0000, 0x1_0000_0000]
    for argument in p.syscalls.flatMap(\.args) {
      for value in [argument.value, argument.valueTwo] {
        values.formUnion([value, value &+ 1, value &- 1, ~value, value | 1 << 40, value << 32])
      }
    }
    return values.sorted()
  }

  private func expectSame(_ p: SeccompProfile, calls: Int, _ generator: inout Seeded) throws {
    let (long, _) = try Seccomp.libraryProgram(try ResolvedProfile(p))
    var table = FilterDecisions.Table()
    let decisions = try #require(FilterDecisions(long, &table))
    let short = FilterAssembler.program(decisions, table)
    #expect(FilterDecisions(short, &table) == decisions)
    let interesting = ShorteningTests.argumentsOfInterest(p)
    var numbers: [UInt32] = []
    for number in 0...600 as ClosedRange<UInt32> { numbers += [number, number | 0x4000_0000] }
    numbers += [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, 0xffff_fffe, 0xffff_ffff]
    var differences = 0
    func compare(_ call: Call) {
      let expected = answer(long, call)
      if expected == nil || expected != answer(short, call) { differences += 1 }
    }
    for architecture in ShorteningTests.architectures {
      for number in numbers {
        compare(Call(number: number, architecture: architecture))
        for _ in 0..<calls {
          let arguments = (0..<6).map { _ in interesting.randomElement(using: &generator) ?? 0 }
          compare(Call(number: number, architecture: architecture, arguments: arguments))
        }
      }
    }
    #expect(differences == 0)
  }

  @Test func dockersProfileIsMuchShorterAndAnswersTheSame() throws {
    var generator = Seeded(state: 1)
    try expectSame(dockerProfile, calls: 12, &generator)
    #expect(try Seccomp.compile(dockerProfile).program.instructions.count < 256)
  }

  @Test(arguments: 1...40)
  func randomProfilesAnswerTheSame(seed: UInt64) throws {
    var generator = Seeded(state: seed)
    let names = dockerProfile.syscalls[0].names + ["mount", "setns", "bpf", "clone", "clone3", "personality"]
    let actions = Seccomp.supportedActions.filter { $0 != "SCMP_ACT_NOTIFY" }
    var p = SeccompProfile(defaultAction: actions.randomElement(using: &generator) ?? "")
    let sets = [
      [], ["SCMP_ARCH_X86"], ["SCMP_ARCH_X32"], ["SCMP_ARCH_X86", "SCMP_ARCH_X32"], ["SCMP_ARCH_AARCH64"],
      ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X86"],
    ]
    p.architectures = sets.randomElement(using: &generator) ?? []
    for _ in 0..<Int.random(in: 1...60, using: &generator) {
      var rule = SeccompRule(action: actions.randomElement(using: &generator) ?? "")
      for _ in 0..<Int.random(in: 1...12, using: &generator) {
        rule.names.append(names.randomElement(using: &generator) ?? "")
      }
      if Bool.random(using: &generator) {
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
          var argument = SeccompArgument(
            index: UInt32.random(in: 0...5, using: &generator), value: UInt64.random(in: 0...9, using: &generator),
            op: Seccomp.supportedOperators.randomElement(using: &generator) ?? "")
          if Bool.random(using: &generator) { argument.value |= UInt64.random(in: 1...2, using: &generator) << 32 }
          argument.valueTwo = argument.value & UInt64.random(in: 0...9, using: &generator)
          rule.args.append(argument)
        }
      }
      p.syscalls.append(rule)
    }
    do throws(Failure) {
      _ = try Seccomp.libraryProgram(try ResolvedProfile(p))
    } catch {
      // libseccomp refuses some combinations of conditions; that is no matter of this test.
      #expect(error.message.contains("/linux/seccomp/syscalls/"))
      return
    }
    try expectSame(p, calls: 6, &generator)
  }

  /// Single numbers, ranges, neighbours and the ends, with jumps longer than a conditional jump reaches.
  @Test func farJumpsArrive() {
    var generator = Seeded(state: 7)
    var long: [FilterInstruction] = [FilterInstruction(FilterInstruction.load, FilterData.number)]
    for number in 0..<1500 as Range<UInt32> where Bool.random(using: &generator) {
      long.append(FilterInstruction(FilterInstruction.jumpIfEqual, number, 0, 1))
      long.append(FilterInstruction(FilterInstruction.answer, UInt32.random(in: 0...40, using: &generator)))
    }
    long.append(FilterInstruction(FilterInstruction.answer, SeccompNames.allow))
    var table = FilterDecisions.Table()
    let decisions = FilterDecisions(long, &table)
    let short = decisions.map { FilterAssembler.program($0, table) } ?? []
    #expect(FilterDecisions(short, &table) == decisions)
    for number in 0..<1600 as Range<UInt32> {
      let call = Call(number: number, architecture: x8664)
      #expect(answer(short, call) == answer(long, call))
    }
  }

  /// What is not understood is left as it is.
  @Test func otherProgramsStay() {
    let scratch = [FilterInstruction(0x00, 5), FilterInstruction(0x16, 0)]
    #expect(FilterAssembler.shortened(scratch) == scratch)
    let endless = [FilterInstruction(FilterInstruction.load, FilterData.number)]
    #expect(FilterAssembler.shortened(endless) == endless)
    let arithmetic = [
      FilterInstruction(FilterInstruction.load, FilterData.number), FilterInstruction(FilterInstruction.and, 1),
      FilterInstruction(FilterInstruction.jumpIfEqual, 1, 0, 1), FilterInstruction(FilterInstruction.answer, 1),
      FilterInstruction(FilterInstruction.answer, 2),
    ]
    #expect(FilterAssembler.shortened(arithmetic) == arithmetic)
  }
}
