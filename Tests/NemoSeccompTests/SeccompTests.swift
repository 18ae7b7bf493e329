import CKernel
import Glibc
import NemoKernel
import NemoOCI
import Testing

@testable import NemoSeccomp

private func profile(_ action: String, _ rules: [SeccompRule], architectures: [String] = []) -> SeccompProfile {
  var p = SeccompProfile(defaultAction: action)
  p.syscalls = rules
  p.architectures = architectures
  return p
}

private func rule(_ names: [String], _ action: String, errno: UInt32? = nil, _ args: [SeccompArgument] = [])
  -> SeccompRule
{
  var rule = SeccompRule(action: action)
  rule.names = names
  rule.errnoRet = errno
  rule.args = args
  return rule
}

private func compiled(_ p: SeccompProfile) throws -> [FilterInstruction] {
  try Seccomp.compile(p).program.instructions.map { FilterInstruction(bits: $0) }
}

private func failure(_ p: SeccompProfile) -> String? {
  do throws(Failure) { _ = try Seccomp.compile(p) } catch { return error.message }
  return nil
}

@Suite struct SeccompTests {
  @Test func dockersProfileAnswersAsWritten() throws {
    let program = try compiled(dockerProfile)
    #expect(answer(program, Call(number: number("read"), architecture: x8664)) == SeccompNames.allow)
    #expect(answer(program, Call(number: number("read", x86), architecture: x86)) == SeccompNames.allow)
    #expect(answer(program, Call(number: number("mount"), architecture: x8664)) == errno(EPERM))
    #expect(answer(program, Call(number: number("clone3"), architecture: x8664)) == errno(ENOSYS))
    #expect(answer(program, Call(number: number("clone"), architecture: x8664)) == SeccompNames.allow)
    let newNamespace = Call(number: number("clone"), architecture: x8664, arguments: [0x1000_0000, 0, 0, 0, 0, 0])
    #expect(answer(program, newNamespace) == errno(EPERM))
    #expect(answer(program, Call(number: 900, architecture: x8664)) == errno(ENOSYS))
    #expect(answer(program, Call(number: 900, architecture: x86)) == errno(ENOSYS))
    #expect(answer(program, Call(number: 0x4000_0000 + 900, architecture: x8664)) == errno(ENOSYS))
    #expect(answer(program, Call(number: 0x4000_0000 + 1, architecture: x8664)) == SeccompNames.allow)
    #expect(answer(program, Call(number: 0, architecture: aarch64)) == SeccompNames.killProcess)
  }

  @Test func nativeArchitectureIsAlwaysInAndOthersAreKilled() throws {
    let program = try compiled(profile("SCMP_ACT_ERRNO", [rule(["read"], "SCMP_ACT_ALLOW")]))
    #expect(answer(program, Call(number: number("read"), architecture: x8664)) == SeccompNames.allow)
    #expect(answer(program, Call(number: number("read", x86), architecture: x86)) == SeccompNames.killProcess)
    #expect(answer(program, Call(number: 0x4000_0000, architecture: x8664)) == SeccompNames.killProcess)
    // Naming the native one changes nothing.
    let named = profile("SCMP_ACT_ERRNO", [rule(["read"], "SCMP_ACT_ALLOW")], architectures: ["SCMP_ARCH_X86_64"])
    #expect(try compiled(named) == program)
  }

  @Test func everyActionHasItsAnswer() throws {
    let answers: [(String, UInt32?, UInt32)] = [
      ("SCMP_ACT_KILL", nil, 0), ("SCMP_ACT_KILL_THREAD", nil, 0), ("SCMP_ACT_KILL_PROCESS", nil, 0x8000_0000),
      ("SCMP_ACT_TRAP", nil, 0x0003_0000), ("SCMP_ACT_ERRNO", nil, 0x0005_0001),
      ("SCMP_ACT_ERRNO", 38, 0x0005_0026), ("SCMP_ACT_TRACE", nil, 0x7ff0_0001),
      ("SCMP_ACT_TRACE", 7, 0x7ff0_0007), ("SCMP_ACT_LOG", nil, 0x7ffc_0000),
    ]
    for (name, number, value) in answers {
      let p = profile("SCMP_ACT_ALLOW", [rule(["getpid"], name, errno: number)])
      #expect(answer(try compiled(p), Call(number: 39, architecture: x8664)) == value, "\(name)")
      var d = profile(name, [rule(["getpid"], "SCMP_ACT_ALLOW")])
      d.defaultErrnoRet = number
      // write's number is below getpid's: known, so the default answers.
      #expect(answer(try compiled(d), Call(number: 1, architecture: x8664)) == value, "\(name)")
    }
    var p = profile("SCMP_ACT_ALLOW", [rule(["getpid"], "SCMP_ACT_NOTIFY")])
    p.listenerPath = "/run/agent"
    #expect(answer(try compiled(p), Call(number: 39, architecture: x8664)) == 0x7fc0_0000)
  }

  @Test(arguments: [
    ("SCMP_CMP_EQ", [false, true, false]), ("SCMP_CMP_NE", [true, false, true]), ("SCMP_CMP_LT", [true, false, false]),
    ("SCMP_CMP_LE", [true, true, false]), ("SCMP_CMP_GE", [false, true, true]), ("SCMP_CMP_GT", [false, false, true]),
  ])
  func operatorsCompareAll64Bits(op: String, expected: [Bool]) throws {
    let value: UInt64 = 0x1_0000_0005
    let p = profile(
      "SCMP_ACT_ERRNO", [rule(["read"], "SCMP_ACT_ALLOW", [SeccompArgument(index: 2, value: value, op: op)])])
    let program = try compiled(p)
    for (argument, matches) in zip([0x5, value, 0x2_0000_0000], expected) {
      let call = Call(number: 0, architecture: x8664, arguments: [0, 0, argument, 0, 0, 0])
      #expect(answer(program, call) == (matches ? SeccompNames.allow : errno(EPERM)))
    }
  }

  @Test func maskedEqualUsesBothValues() throws {
    var argument = SeccompArgument(index: 0, value: 0xff00, op: "SCMP_CMP_MASKED_EQ")
    argument.valueTwo = 0x1200
    let program = try compiled(profile("SCMP_ACT_ERRNO", [rule(["read"], "SCMP_ACT_ALLOW", [argument])]))
    for (value, matches) in [(0x1234 as UInt64, true), (0x1334, false)] {
      let call = Call(number: 0, architecture: x8664, arguments: [value, 0, 0, 0, 0, 0])
      #expect(answer(program, call) == (matches ? SeccompNames.allow : errno(EPERM)))
    }
  }

  /// Conditions on different arguments must all hold; two on one argument are alternatives.
  @Test func conditionsAreAllOfThemOrAnyOnOneArgument() throws {
    func read(_ a: UInt64, _ b: UInt64, _ program: [FilterInstruction]) -> Bool {
      answer(program, Call(number: 0, architecture: x8664, arguments: [a, b, 0, 0, 0, 0])) == SeccompNames.allow
    }
    let all = try compiled(
      profile(
        "SCMP_ACT_ERRNO",
        [
          rule(
            ["read"], "SCMP_ACT_ALLOW",
            [
              SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ"),
              SeccompArgument(index: 1, value: 2, op: "SCMP_CMP_EQ"),
            ])
        ]))
    #expect(read(1, 2, all) && !read(1, 3, all) && !read(0, 2, all))
    let any = try compiled(
      profile(
        "SCMP_ACT_ERRNO",
        [
          rule(
            ["read"], "SCMP_ACT_ALLOW",
            [
              SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ"),
              SeccompArgument(index: 0, value: 2, op: "SCMP_CMP_EQ"),
            ])
        ]))
    #expect(read(1, 0, any) && read(2, 0, any) && !read(3, 0, any))
  }

  @Test func anUnknownNameKeepsItsRule() throws {
    let p = profile("SCMP_ACT_ERRNO", [rule(["no_such_call", "read"], "SCMP_ACT_ALLOW")])
    let (program, warnings) = try Seccomp.compile(p)
    let instructions = program.instructions.map { FilterInstruction(bits: $0) }
    #expect(answer(instructions, Call(number: 0, architecture: x8664)) == SeccompNames.allow)
    #expect(warnings.count == 1 && warnings[0].hasSuffix(": no_such_call"))
  }

  /// Calls newer than libseccomp must not slip through a profile that forbids them.
  @Test func recentCallsAreKnownOnAllArchitectures() throws {
    let p = profile(
      "SCMP_ACT_ALLOW",
      [rule(["open_tree_attr", "mount"], "SCMP_ACT_ERRNO", errno: 3), rule(["mseal"], "SCMP_ACT_KILL")],
      architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    let (program, warnings) = try Seccomp.compile(p)
    #expect(warnings.isEmpty)
    let instructions = program.instructions.map { FilterInstruction(bits: $0) }
    for (architecture, bit) in [(x86, 0), (x8664, 0), (x8664, 0x4000_0000)] as [(UInt32, UInt32)] {
      #expect(answer(instructions, Call(number: 467 | bit, architecture: architecture)) == errno(3))
      #expect(answer(instructions, Call(number: 462 | bit, architecture: architecture)) == 0)
      #expect(answer(instructions, Call(number: 466 | bit, architecture: architecture)) == SeccompNames.allow)
    }
    #expect(answer(instructions, Call(number: 467, architecture: aarch64)) == SeccompNames.killProcess)
    // A condition on one cannot be kept: that is said.
    let argument = SeccompArgument(index: 0, value: 0, op: "SCMP_CMP_EQ")
    let conditional = profile("SCMP_ACT_ALLOW", [rule(["open_tree_attr"], "SCMP_ACT_ERRNO", [argument])])
    #expect(try Seccomp.compile(conditional).warnings.count == 1)
  }

  @Test func aRecentCallMovesTheBorderOfWhatIsUnknown() throws {
    let program = try compiled(profile("SCMP_ACT_ERRNO", [rule(["read", "mseal"], "SCMP_ACT_ALLOW")]))
    #expect(answer(program, Call(number: 462, architecture: x8664)) == SeccompNames.allow)
    #expect(answer(program, Call(number: 461, architecture: x8664)) == errno(EPERM))
    #expect(answer(program, Call(number: 463, architecture: x8664)) == errno(ENOSYS))
  }

  @Test func aRuleLikeTheDefaultIsSkipped() throws {
    let p = profile("SCMP_ACT_ALLOW", [rule(["read"], "SCMP_ACT_ALLOW"), rule(["write"], "SCMP_ACT_ERRNO")])
    let program = try compiled(p)
    #expect(answer(program, Call(number: 0, architecture: x8664)) == SeccompNames.allow)
    #expect(answer(program, Call(number: 1, architecture: x8664)) == errno(EPERM))
  }

  @Test func numbersAboveTheNewestKnownAnswerENOSYSUnlessTheDefaultPasses() throws {
    for (action, passes) in [
      ("SCMP_ACT_ERRNO", false), ("SCMP_ACT_KILL_PROCESS", false), ("SCMP_ACT_TRAP", false), ("SCMP_ACT_ALLOW", true),
      ("SCMP_ACT_LOG", true), ("SCMP_ACT_TRACE", true),
    ] {
      let other = action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_LOG" : "SCMP_ACT_ALLOW"
      let program = try compiled(profile(action, [rule(["openat2"], other)]))
      let newest = number("openat2")
      #expect(answer(program, Call(number: newest - 1, architecture: x8664)) != errno(ENOSYS))
      #expect((answer(program, Call(number: newest + 1, architecture: x8664)) == errno(ENOSYS)) == !passes, "\(action)")
    }
  }

  @Test func mistakesNameTheirPlace() {
    #expect(failure(profile("SCMP_ACT_NOPE", [])) == "/linux/seccomp/defaultAction: unknown action \"SCMP_ACT_NOPE\"")
    #expect(
      failure(profile("SCMP_ACT_ALLOW", [rule(["read"], "nope")]))
        == "/linux/seccomp/syscalls/0/action: unknown action \"nope\"")
    #expect(
      failure(profile("SCMP_ACT_ALLOW", [], architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_Z80"]))
        == "/linux/seccomp/architectures/1: unknown architecture \"SCMP_ARCH_Z80\"")
    let argument = SeccompArgument(index: 0, value: 0, op: "SCMP_CMP_ISH")
    #expect(
      failure(profile("SCMP_ACT_ALLOW", [rule(["read"], "SCMP_ACT_ERRNO", [argument])]))
        == "/linux/seccomp/syscalls/0/args/0/op: unknown operator \"SCMP_CMP_ISH\"")
    let sixth = SeccompArgument(index: 6, value: 0, op: "SCMP_CMP_EQ")
    #expect(
      failure(profile("SCMP_ACT_ALLOW", [rule(["read"], "SCMP_ACT_ERRNO", [sixth])]))
        == "/linux/seccomp/syscalls/0/args/0/index: 6 is out of range 0 ... 5")
    #expect(
      failure(profile("SCMP_ACT_ALLOW", [rule(["read"], "SCMP_ACT_KILL", errno: 1)]))
        == "/linux/seccomp/syscalls/0/errnoRet: SCMP_ACT_KILL has no errno")
    #expect(
      failure(profile("SCMP_ACT_ALLOW", [rule(["read"], "SCMP_ACT_ERRNO", errno: 5000)]))
        == "/linux/seccomp/syscalls/0/errnoRet: 5000 is out of range 0 ... 4095")
    var flagged = profile("SCMP_ACT_ALLOW", [])
    flagged.flags = ["SECCOMP_FILTER_FLAG_X"]
    #expect(failure(flagged) == "/linux/seccomp/flags/0: unknown flag \"SECCOMP_FILTER_FLAG_X\"")
  }

  @Test func notifyNeedsItsListener() {
    var p = profile("SCMP_ACT_ALLOW", [rule(["mkdir"], "SCMP_ACT_NOTIFY")])
    #expect(failure(p) == "/linux/seccomp/listenerPath: is required with SCMP_ACT_NOTIFY")
    p.listenerPath = "/run/agent"
    #expect(failure(p) == nil)
    p.syscalls[0].names.append("write")
    #expect(failure(p)?.contains("SCMP_ACT_NOTIFY cannot be used for the write syscall") == true)
    // A listener nobody needs is never made.
    p.syscalls = []
    #expect(failure(p) == nil)
    p.listenerPath = ""
    p.listenerMetadata = "x"
    #expect(failure(p)?.hasPrefix("/linux/seccomp/listenerMetadata: ") == true)
    #expect(failure(profile("SCMP_ACT_NOTIFY", []))?.contains("cannot be used as default action") == true)
  }

  @Test func flagsBecomeTheKernels() throws {
    var p = profile("SCMP_ACT_ALLOW", [rule(["mkdir"], "SCMP_ACT_ERRNO")])
    #expect(try Seccomp.compile(p).program.flags == 0)
    p.flags = [
      "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
      "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ]
    let (program, warnings) = try Seccomp.compile(p)
    #expect(program.flags == 7 && warnings.count == 1)
    p.syscalls[0].action = "SCMP_ACT_NOTIFY"
    p.listenerPath = "/run/agent"
    #expect(try Seccomp.compile(p).program.flags == 0x3f)
  }

  @Test func featuresTellWhatWorksHere() {
    #expect(Seccomp.knownFlags.count == 4)
    #expect(Seccomp.supportedFlags.allSatisfy { Seccomp.knownFlags.contains($0) })
    #expect(Seccomp.supportedFlags.contains("SECCOMP_FILTER_FLAG_LOG"))
    #expect(Seccomp.supportedActions.count == 9 && Seccomp.supportedOperators.count == 7)
    #expect(Seccomp.supportedArchitectures.contains("SCMP_ARCH_X86_64"))
    #expect(!Seccomp.supportedArchitectures.contains("SCMP_ARCH_SHEB"))
    #expect(Seccomp.libraryVersion.split(separator: ".").count == 3)
  }

  @Test func tooManyInstructionsAreRefused() {
    var rules: [SeccompRule] = []
    for i in 0..<3000 {
      rules.append(
        rule(["read"], "SCMP_ACT_ALLOW", [SeccompArgument(index: 0, value: UInt64(i) << 32 | 7, op: "SCMP_CMP_EQ")]))
    }
    #expect(failure(profile("SCMP_ACT_ERRNO", rules))?.contains("instructions, the kernel takes 4096") == true)
  }
}
