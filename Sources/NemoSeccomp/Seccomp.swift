import CKernel
import CSeccomp
import Glibc
import NemoKernel
import NemoOCI

/// A filter ready for the kernel.
public struct SeccompProgram: Sendable, Equatable {
  /// The instructions, each a `struct sock_filter`.
  public var instructions: [UInt64]
  /// `SECCOMP_FILTER_FLAG_…` bits for seccomp(2).
  public var flags: UInt32
  /// Whether loading it makes a listener.
  public var notifies: Bool

  /// Makes one of its parts.
  public init(instructions: [UInt64], flags: UInt32, notifies: Bool) {
    self.instructions = instructions
    self.flags = flags
    self.notifies = notifies
  }
}

/// System call filters: from the profile of config.json to the kernel (config-linux.md#seccomp, seccomp(2)).
public enum Seccomp {
  /// Compiles a profile. The native architecture is always in; others than the profile's kill the process.
  ///
  /// - Returns: the program, and warnings about names that libseccomp does not know: those are skipped, the rest of
  ///   their rule stays.
  /// - Throws: an error naming the JSON pointer of what is unknown or contradicts, or that the program is too long.
  public static func compile(_ p: SeccompProfile) throws(Failure) -> (program: SeccompProgram, warnings: [String]) {
    let profile = try ResolvedProfile(p)
    var warnings = profile.warnings
    let (long, unknown) = try libraryProgram(profile)
    let instructions = FilterAssembler.shortened(long)
    if !unknown.isEmpty {
      warnings.append(
        "seccomp: skipping system calls unknown to libseccomp \(libraryVersion): \(unknown.joined(separator: ", "))")
    }
    guard instructions.count <= SeccompLimits.instructions else {
      throw Failure(
        "compile", "/linux/seccomp",
        reason: "\(instructions.count) instructions, the kernel takes \(SeccompLimits.instructions)",
        advice: "use fewer rules with arguments, or fewer architectures")
    }
    let program = SeccompProgram(
      instructions: instructions.map(\.bits), flags: profile.flags, notifies: profile.notifies)
    return (program, warnings)
  }

  /// What libseccomp makes of the profile, with the answers for what libseccomp does not know in front.
  static func libraryProgram(_ profile: ResolvedProfile) throws(Failure) -> ([FilterInstruction], unknown: [String]) {
    let filter = try LibraryFilter(profile)
    try filter.add(architectures: profile.architectures.dropFirst())
    var unknown: [String] = []
    var numbers: [(rule: ResolvedProfile.Rule, number: Int32)] = []
    for rule in profile.rules {
      for name in rule.names {
        let number = seccomp_syscall_resolve_name(name)
        if number == -1 {
          let isKept = rule.conditions.isEmpty && RecentCalls.number(name) != nil
          if !isKept && !unknown.contains(name) { unknown.append(name) }
        } else if rule.action != profile.defaultAction {
          numbers.append((rule, number))
        }
      }
    }
    if numbers.count > 32 { try filter.useTree() }
    for (rule, number) in numbers { try filter.add(rule, number: number) }
    return (UnknownCalls.stub(profile) + (try filter.program()), unknown)
  }

  /// Compiles through a cache of compiled profiles.
  ///
  /// - Parameter directory: the cache's directory, or -1 for none. A cache that cannot be used is only a warning.
  public static func program(for p: SeccompProfile, cache directory: Int32) throws(Failure)
    -> (program: SeccompProgram, warnings: [String])
  {
    guard directory >= 0 else { return try compile(p) }
    let entry = SeccompCache(directory: directory, profile: p)
    if let found = entry.read() { return found }
    var (program, warnings) = try compile(p)
    do throws(Failure) {
      try entry.makeRoom()
      try entry.write(program, warnings)
    } catch {
      warnings.append(error.within("seccomp cache").message)
    }
    return (program, warnings)
  }

  /// What ``program(for:cache:)`` has in its cache for this profile, whose rules may be there as text alone; nil when it has nothing.
  public static func cached(_ p: SeccompProfile, cache directory: Int32) -> (
    program: SeccompProgram, warnings: [String]
  )? {
    SeccompCache(directory: directory, profile: p).read()
  }

  /// Writes a compiled filter into `directory`, for ``stored(_:in:)``.
  public static func store(_ program: SeccompProgram, as name: String, in directory: Int32) throws(Failure) {
    try SeccompCache(directory: directory, name: name).write(program, [])
  }

  /// A filter that ``store(_:as:in:)`` wrote; nil when it is missing or damaged.
  public static func stored(_ name: String, in directory: Int32) -> SeccompProgram? {
    SeccompCache(directory: directory, name: name).read()?.program
  }

  /// Checks everything that can be checked without compiling.
  public static func validate(_ p: SeccompProfile) throws(Failure) {
    _ = try ResolvedProfile(p)
  }

  /// Loads the program into the calling thread, which needs no_new_privs or CAP_SYS_ADMIN. Allocates nothing.
  ///
  /// - Returns: the listener, close-on-exec, or -1 where nothing notifies.
  public static func load(_ program: SeccompProgram) throws(Failure) -> Int32 {
    let result = program.instructions.withUnsafeBufferPointer { buffer in
      // Longer than `struct sock_fprog` can say would be cut off.
      guard let length = UInt16(exactly: buffer.count) else {
        nemo_set_errno(EINVAL)
        return -1 as Int32
      }
      var header = FilterHeader(length: length, instructions: buffer.baseAddress)
      return withUnsafeMutablePointer(to: &header) { nemo_seccomp(1, program.flags, $0) }  // SECCOMP_SET_MODE_FILTER
    }
    guard result >= 0 else { throw .last("load the seccomp filter") }
    if program.notifies { return result }
    // With TSYNC, a positive result is the thread that could not follow.
    guard result == 0 else { throw Failure("load the seccomp filter", errno: Errno(rawValue: ESRCH)) }
    return -1
  }

  /// Actions for `features`.
  public static var supportedActions: [String] { SeccompNames.actions.map(\.name) }
  /// Operators for `features`.
  public static var supportedOperators: [String] { SeccompNames.operators.map(\.name) }
  /// Flags that profiles may name, for `features`.
  public static var knownFlags: [String] { SeccompNames.flags.map(\.name) }
  /// Flags that this kernel takes, for `features`: with no program it answers EFAULT only after it accepted the flags.
  public static var supportedFlags: [String] {
    SeccompNames.flags.filter { flag in
      let listener = flag.value == SeccompNames.waitKillable ? SeccompNames.newListener : 0
      return nemo_seccomp(1, flag.value | listener, nil) != 0 && nemo_get_errno() == EFAULT
    }.map(\.name)
  }
  /// Architectures for `features`: those that the library knows.
  public static var supportedArchitectures: [String] {
    SeccompNames.architectures.filter { seccomp_arch_resolve_name($0.library) != 0 }.map(\.name)
  }

  /// Version of libseccomp, such as `2.5.4`.
  public static var libraryVersion: String {
    guard let version = seccomp_version() else { return "" }
    return "\(version.pointee.major).\(version.pointee.minor).\(version.pointee.micro)"
  }
}

/// `struct sock_fprog` (linux/filter.h), which Swift lays out as C does.
private struct FilterHeader {
  var length: UInt16
  var instructions: UnsafePointer<UInt64>?
}
