import CSeccomp
import NemoKernel

/// The specification's names and what the kernel and libseccomp call them (config-linux.md#seccomp).
enum SeccompNames {
  /// SECCOMP_RET_… without data (seccomp(2)).
  static let errno: UInt32 = 0x0005_0000
  static let trace: UInt32 = 0x7ff0_0000
  static let notify: UInt32 = 0x7fc0_0000
  static let allow: UInt32 = 0x7fff_0000
  static let log: UInt32 = 0x7ffc_0000
  static let killProcess: UInt32 = 0x8000_0000

  static let actions: [(name: String, value: UInt32)] = [
    ("SCMP_ACT_KILL", 0), ("SCMP_ACT_KILL_PROCESS", killProcess), ("SCMP_ACT_KILL_THREAD", 0),
    ("SCMP_ACT_TRAP", 0x0003_0000), ("SCMP_ACT_ERRNO", errno), ("SCMP_ACT_TRACE", trace),
    ("SCMP_ACT_ALLOW", allow), ("SCMP_ACT_LOG", log), ("SCMP_ACT_NOTIFY", notify),
  ]

  static let operators: [(name: String, value: scmp_compare)] = [
    ("SCMP_CMP_NE", SCMP_CMP_NE), ("SCMP_CMP_LT", SCMP_CMP_LT), ("SCMP_CMP_LE", SCMP_CMP_LE),
    ("SCMP_CMP_EQ", SCMP_CMP_EQ), ("SCMP_CMP_GE", SCMP_CMP_GE), ("SCMP_CMP_GT", SCMP_CMP_GT),
    ("SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ),
  ]

  /// Every architecture of the specification; whether this libseccomp knows it, it is asked.
  static let architectures: [(name: String, library: String)] = [
    ("SCMP_ARCH_X86", "x86"), ("SCMP_ARCH_X86_64", "x86_64"), ("SCMP_ARCH_X32", "x32"), ("SCMP_ARCH_ARM", "arm"),
    ("SCMP_ARCH_AARCH64", "aarch64"), ("SCMP_ARCH_MIPS", "mips"), ("SCMP_ARCH_MIPS64", "mips64"),
    ("SCMP_ARCH_MIPS64N32", "mips64n32"), ("SCMP_ARCH_MIPSEL", "mipsel"), ("SCMP_ARCH_MIPSEL64", "mipsel64"),
    ("SCMP_ARCH_MIPSEL64N32", "mipsel64n32"), ("SCMP_ARCH_PPC", "ppc"), ("SCMP_ARCH_PPC64", "ppc64"),
    ("SCMP_ARCH_PPC64LE", "ppc64le"), ("SCMP_ARCH_S390", "s390"), ("SCMP_ARCH_S390X", "s390x"),
    ("SCMP_ARCH_PARISC", "parisc"), ("SCMP_ARCH_PARISC64", "parisc64"), ("SCMP_ARCH_RISCV64", "riscv64"),
    ("SCMP_ARCH_LOONGARCH64", "loongarch64"), ("SCMP_ARCH_M68K", "m68k"), ("SCMP_ARCH_SH", "sh"),
    ("SCMP_ARCH_SHEB", "sheb"),
  ]

  /// SECCOMP_FILTER_FLAG_… (seccomp(2)).
  static let threadSync: UInt32 = 1
  static let newListener: UInt32 = 1 << 3
  static let threadSyncAsErrno: UInt32 = 1 << 4
  static let waitKillable: UInt32 = 1 << 5
  static let flags: [(name: String, value: UInt32)] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", threadSync), ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1 << 2), ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", waitKillable),
  ]

  static func find<T>(_ name: String, in table: [(name: String, value: T)]) -> T? {
    for entry in table where entry.name == name { return entry.value }
    return nil
  }

  /// The library's token of an architecture; nil when the specification has no such name, 0 when the library is too old.
  static func architecture(_ name: String) -> UInt32? {
    for entry in architectures where entry.name == name { return seccomp_arch_resolve_name(entry.library) }
    return nil
  }
}
