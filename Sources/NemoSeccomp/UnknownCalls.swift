import CSeccomp
import Glibc

/// ENOSYS for what the profile's author could not know.
///
/// A C library that gets EPERM from a system call newer than the profile gives up; with ENOSYS it uses an older call. So
/// numbers above the newest one that the profile names, per architecture, answer ENOSYS, unless the default lets them pass.
enum UnknownCalls {
  private static let x32Bit: UInt32 = 0x4000_0000
  private static let notImplemented = SeccompNames.errno | UInt32(ENOSYS)

  /// Instructions to put in front of a filter of libseccomp's; they end by falling into it.
  static func stub(_ profile: ResolvedProfile) -> [FilterInstruction] {
    let recent = RecentCalls.answers(profile)
    let newest = passes(profile.defaultAction) ? [:] : newest(profile)
    if recent.isEmpty && newest.isEmpty { return [] }
    let x32 = seccomp_arch_resolve_name("x32")
    let x86 = seccomp_arch_resolve_name("x86_64")
    func section(_ token: UInt32) -> [FilterInstruction] {
      guard profile.architectures.contains(token) else { return [FilterInstruction(FilterInstruction.jump, 0)] }
      var code: [FilterInstruction] = []
      for (number, action) in recent {
        guard let own = RecentCalls.number(number, on: token) else { continue }
        code.append(FilterInstruction(FilterInstruction.jumpIfEqual, own, 0, 1))
        code.append(FilterInstruction(FilterInstruction.answer, action))
      }
      if let limit = newest[token] {
        code.append(FilterInstruction(FilterInstruction.jumpIfGreater, limit, 0, 1))
        code.append(FilterInstruction(FilterInstruction.answer, notImplemented))
      }
      // To the filter; the length is filled in below.
      return code + [FilterInstruction(FilterInstruction.jump, 0)]
    }
    var sections: [(token: UInt32, code: [FilterInstruction])] = []
    for token in profile.architectures where token != x32 {
      var code = [FilterInstruction(FilterInstruction.load, FilterData.number)]
      let plain = section(token)
      if token == x86 {
        code.append(FilterInstruction(FilterInstruction.jumpIfAnySet, x32Bit, UInt8(plain.count), 0))
        code += plain + section(x32)
      } else {
        code += plain
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

  /// Whether new calls are let through anyway, or are answered so already. A tracer is expected to answer for itself.
  private static func passes(_ action: UInt32) -> Bool {
    let kind = action & 0xffff_0000
    return kind == SeccompNames.allow || kind == SeccompNames.log || kind == SeccompNames.trace
      || action == notImplemented
  }

  /// The greatest number per architecture among the names, where any is known.
  private static func newest(_ profile: ResolvedProfile) -> [UInt32: UInt32] {
    var newest: [UInt32: UInt32] = [:]
    for token in profile.architectures {
      var greatest: Int32 = -1
      let recent = { (name: String) -> Int32 in
        guard let common = RecentCalls.number(name), let own = RecentCalls.number(common, on: token) else { return -1 }
        return Int32(own)
      }
      for rule in profile.rules {
        // Negative numbers are libseccomp's for calls that the architecture lacks.
        for name in rule.names {
          let number = seccomp_syscall_resolve_name_arch(token, name)
          greatest = max(greatest, number == -1 ? recent(name) : number)
        }
      }
      if greatest >= 0 { newest[token] = UInt32(greatest) }
    }
    return newest
  }
}
