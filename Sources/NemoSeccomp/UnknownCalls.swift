import CSeccomp
import Glibc

/// ENOSYS for what the profile's author could not know.
///
/// A C library that gets EPERM from a system call newer than the profile gives up; with ENOSYS it uses an older call. So
/// numbers above the newest one that the profile names, per architecture, answer ENOSYS, unless the default lets them pass.
enum UnknownCalls {
  private static let x32Bit: UInt32 = 0x4000_0000
  private static let notImplemented = SeccompNames.errno | UInt32(ENOSYS)

  /// Instructions to put in front of a filter; they end by falling into it.
  static func stub(_ profile: ResolvedProfile, _ newest: [UInt32: UInt32]) -> [FilterInstruction] {
    let kind = profile.defaultAction & 0xffff_0000
    // A tracer is expected to answer for itself.
    let passes: [UInt32] = [SeccompNames.allow, SeccompNames.log, SeccompNames.trace]
    if passes.contains(kind) || profile.defaultAction == notImplemented { return [] }
    var sections: [(token: UInt32, code: [FilterInstruction])] = []
    let x32 = seccomp_arch_resolve_name("x32")
    let x86 = seccomp_arch_resolve_name("x86_64")
    for token in profile.architectures where token != x32 {
      var code = [FilterInstruction(FilterInstruction.load, FilterData.number)]
      if token == x86 {
        let plain = limit(newest[x86])
        let other = limit(newest[x32])
        code.append(FilterInstruction(FilterInstruction.jumpIfAnySet, x32Bit, UInt8(plain.count), 0))
        code += plain + other
      } else {
        code += limit(newest[token])
      }
      sections.append((token, code))
    }
    var left = sections.reduce(1) { $0 + 1 + $1.code.count }
    var program = [FilterInstruction(FilterInstruction.load, FilterData.architecture)]
    left -= 1
    for section in sections {
      program.append(
        FilterInstruction(FilterInstruction.jumpIfEqual, section.token, 0, UInt8(section.code.count)))
      left -= 1
      for var instruction in section.code {
        left -= 1
        if instruction.code == FilterInstruction.jump { instruction.constant = UInt32(left) }
        program.append(instruction)
      }
    }
    return program
  }

  /// Answers for numbers above `newest`, then a jump to the filter, whose length is filled in later.
  private static func limit(_ newest: UInt32?) -> [FilterInstruction] {
    let toFilter = FilterInstruction(FilterInstruction.jump, 0)
    guard let newest else { return [toFilter] }
    return [
      FilterInstruction(FilterInstruction.jumpIfGreater, newest, 0, 1),
      FilterInstruction(FilterInstruction.answer, notImplemented), toFilter,
    ]
  }

  /// The greatest number per architecture among the names, where any is known.
  static func newest(_ profile: ResolvedProfile) -> [UInt32: UInt32] {
    var newest: [UInt32: UInt32] = [:]
    for token in profile.architectures {
      var greatest: Int32 = -1
      for rule in profile.rules {
        // Negative numbers are libseccomp's for calls that the architecture lacks.
        for name in rule.names { greatest = max(greatest, seccomp_syscall_resolve_name_arch(token, name)) }
      }
      if greatest >= 0 { newest[token] = UInt32(greatest) }
    }
    return newest
  }
}
