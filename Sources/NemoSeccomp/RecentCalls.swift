import CSeccomp

/// System calls that Linux got after libseccomp's release: since Linux 5.1 a new call has one number on all architectures
/// (include/uapi/asm-generic/unistd.h).
///
/// A profile that forbids one of them by name would otherwise let it through. Only rules without conditions can be kept.
enum RecentCalls {
  static let numbers: [(name: String, value: UInt32)] = [
    ("set_mempolicy_home_node", 450), ("cachestat", 451), ("fchmodat2", 452), ("map_shadow_stack", 453),
    ("futex_wake", 454), ("futex_wait", 455), ("futex_requeue", 456), ("statmount", 457), ("listmount", 458),
    ("lsm_get_self_attr", 459), ("lsm_set_self_attr", 460), ("lsm_list_modules", 461), ("mseal", 462),
    ("setxattrat", 463), ("getxattrat", 464), ("listxattrat", 465), ("removexattrat", 466), ("open_tree_attr", 467),
    ("file_getattr", 468), ("file_setattr", 469),
  ]

  /// The number of a name that libseccomp does not know.
  static func number(_ name: String) -> UInt32? { SeccompNames.find(name, in: numbers) }

  /// A number as an architecture spells it; nil where it is another.
  static func number(_ number: UInt32, on token: UInt32) -> UInt32? {
    let mips: UInt32 = 8  // EM_MIPS; each of its three ABIs adds its own base.
    if token & 0xffff == mips { return nil }
    return token == seccomp_arch_resolve_name("x32") ? number | 0x4000_0000 : number
  }

  /// The answers that the profile's rules give to such calls, the first rule of each call.
  static func answers(_ profile: ResolvedProfile) -> [(number: UInt32, action: UInt32)] {
    var answers: [(number: UInt32, action: UInt32)] = []
    for rule in profile.rules where rule.action != profile.defaultAction && rule.conditions.isEmpty {
      for name in rule.names where seccomp_syscall_resolve_name(name) == -1 {
        guard let number = number(name), !answers.contains(where: { $0.number == number }) else { continue }
        answers.append((number, rule.action))
      }
    }
    return answers
  }
}
