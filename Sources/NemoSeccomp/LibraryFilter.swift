import CKernel
import CSeccomp
import Glibc
import NemoKernel

/// A filter under construction in libseccomp.
struct LibraryFilter: ~Copyable {
  private let context: scmp_filter_ctx

  init(_ profile: ResolvedProfile) throws(Failure) {
    guard let context = seccomp_init(profile.defaultAction) else {
      throw Failure("", "/linux/seccomp/defaultAction", reason: "libseccomp refuses it")
    }
    self.context = context
  }

  deinit { seccomp_release(context) }

  /// Adds the architectures besides the native one; a call from any other kills the process.
  borrowing func add(architectures: some Sequence<UInt32>) throws(Failure) {
    try LibraryFilter.check(
      seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SeccompNames.killProcess),
      "set the foreign architecture action")
    for token in architectures {
      // EEXIST: the native one, under another name.
      let result = seccomp_arch_add(context, token)
      guard result == 0 || result == -EEXIST else {
        throw Failure(
          "", "/linux/seccomp/architectures", errno: Errno(rawValue: -result),
          reason: "libseccomp cannot combine them with this machine's")
      }
    }
  }

  /// A binary tree by number instead of a list. Not for few rules: libseccomp up to 2.5.4 fails on a tree without any.
  borrowing func useTree() throws(Failure) {
    try LibraryFilter.check(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "use a tree")
  }

  /// Adds one rule; `number` is the native architecture's, libseccomp translates it for the others.
  borrowing func add(_ rule: ResolvedProfile.Rule, number: Int32) throws(Failure) {
    if rule.isAlternative {
      for condition in rule.conditions { try add(rule.action, number, [condition], rule.index) }
    } else {
      try add(rule.action, number, rule.conditions, rule.index)
    }
  }

  private borrowing func add(_ action: UInt32, _ number: Int32, _ conditions: [scmp_arg_cmp], _ index: Int)
    throws(Failure)
  {
    let result = seccomp_rule_add_array(context, action, number, UInt32(conditions.count), conditions)
    // EEXIST: an earlier rule says it already.
    guard result == 0 || result == -EEXIST else {
      throw Failure("add the rule", "/linux/seccomp/syscalls/\(index)", errno: Errno(rawValue: -result))
    }
  }

  /// The compiled program. libseccomp 2.5.4 only writes it to a descriptor.
  borrowing func program() throws(Failure) -> [FilterInstruction] {
    let number = nemo_memfd("seccomp")
    guard number >= 0 else { throw .last("memfd_create") }
    let file = OwnedDescriptor(adopting: number)
    try LibraryFilter.check(seccomp_export_bpf(context, file.raw), "compile the seccomp profile")
    guard lseek(file.raw, 0, SEEK_SET) == 0 else { throw .last("rewind the seccomp program") }
    let bytes = try Files.readAll(file.raw, limit: 1 << 24, subject: "the seccomp program")
    guard bytes.count.isMultiple(of: 8) else { throw Failure("read the seccomp program", errno: .invalid) }
    return bytes.withUnsafeBytes { buffer in
      (0..<buffer.count / 8).map {
        FilterInstruction(bits: buffer.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
      }
    }
  }

  private static func check(_ result: Int32, _ operation: String) throws(Failure) {
    if result != 0 { throw Failure(operation, errno: Errno(rawValue: -result)) }
  }
}
