import CWide
import NemoBlueprint
import NemoPolicy

/// The system call rules of a policy as the runtime specification's `linux.seccomp` (config-linux.md#seccomp).
///
/// The policy lets refusals win over allowances; a filter's rules have no order. So what is refused is taken out of what is
/// allowed, and no two rules with different answers cover the same call. A call that the policy speaks of fails with EPERM
/// where nothing allows it, every other known one with ENOSYS; numbers beyond the newest call get ENOSYS from the runtime.
enum SeccompCompiler {
  /// One rule of the result.
  struct Rule: Hashable {
    /// nil allows.
    var errno: String?
    var cube: ArgumentCube
  }

  /// The profile.
  ///
  /// - Throws: where the rules with arguments become too many, or an errno is unknown.
  static func compile(_ rules: [SystemCallRule]) throws -> JSONValue {
    let byCall = try compiled(rules)
    var groups: [Rule: [String]] = [:]
    for (call, list) in byCall { for rule in list { groups[rule, default: []].append(call) } }
    let absent = SystemCallNames.sorted.filter { byCall[$0] == nil && !unlisted.contains($0) }
    if !absent.isEmpty { groups[Rule(errno: "ENOSYS", cube: ArgumentCube()), default: []] += absent }
    let conditional = groups.keys.filter { !$0.cube.arguments.isEmpty }.count
    guard conditional <= BundleLimits.conditionalRules else {
      throw BundleFailure(
        "policy.system_calls: \(conditional) rules with arguments when refusals are taken out of allowances; the limit is \(BundleLimits.conditionalRules)"
      )
    }
    let syscalls = try groups.map { rule, names in try json(rule, names.sorted()) }
    let sorted = syscalls.map { ($0.canonical, $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    return .object([
      "defaultAction": .string("SCMP_ACT_ERRNO"), "defaultErrnoRet": .integer(1),
      "architectures": .array([.string(architecture)]), "syscalls": .array(sorted),
    ])
  }

  /// Newer than the newest call that is named, so the runtime answers ENOSYS already; or never called by a program.
  private static let unlisted: Set<String> = ["listns", "rseq_slice_yield", "uprobe", "uretprobe"]

  #if arch(arm64)
    private static let architecture = "SCMP_ARCH_AARCH64"
  #else
    private static let architecture = "SCMP_ARCH_X86_64"
  #endif

  /// The rules of each call that the policy speaks of; none for one that always fails with EPERM.
  static func compiled(_ rules: [SystemCallRule]) throws -> [String: [Rule]] {
    var byCall: [String: [SystemCallRule]] = [:]
    for rule in rules { for name in Set(rule.names) { byCall[name, default: []].append(rule) } }
    return try byCall.mapValues { list in
      var result: [Rule] = []
      var taken: [ArgumentCube] = []
      let refusing = list.filter { $0.outcome != .allow }
      for rule in refusing + list.filter({ $0.outcome == .allow }) {
        var pieces = ArgumentCube.all(rule.conditions)
        for cube in taken {
          pieces = pieces.flatMap { $0.subtracting(cube) }
          guard pieces.count <= BundleLimits.conditionalRules else {
            throw BundleFailure("\(rule.origin): \(rule.name): too many cases by its arguments")
          }
        }
        // Two allowances may overlap: the answer is the same.
        if case .refuse(let errno) = rule.outcome {
          taken += pieces
          if errno != "EPERM" { result += pieces.map { Rule(errno: errno, cube: $0) } }
        } else {
          result += pieces.map { Rule(errno: nil, cube: $0) }
        }
      }
      return result.contains { $0.errno == nil && $0.cube.arguments.isEmpty }
        ? result.filter { $0.errno != nil || $0.cube.arguments.isEmpty } : result
    }
  }

  private static func json(_ rule: Rule, _ names: [String]) throws -> JSONValue {
    var object: [String: JSONValue] = ["names": .array(names.map { .string($0) })]
    if let errno = rule.errno {
      guard let number = Self.number(errno) else { throw BundleFailure("policy.system_calls: no errno \(errno)") }
      object["action"] = .string("SCMP_ACT_ERRNO")
      object["errnoRet"] = .integer(number)
    } else {
      object["action"] = .string("SCMP_ACT_ALLOW")
    }
    let arguments = rule.cube.arguments.filter { $0.value.mask != 0 }.sorted { $0.key < $1.key }
    if !arguments.isEmpty { object["args"] = .array(try arguments.map { try argument($0.key, $0.value) }) }
    return .object(object)
  }

  private static func argument(_ index: Int, _ bits: ArgumentCube.Bits) throws -> JSONValue {
    let integer = { (value: UInt64) in Int(exactly: value).map { JSONValue.integer($0) } ?? .unsigned(value) }
    if bits.mask == .max {
      return .object(["index": .integer(index), "op": .string("SCMP_CMP_EQ"), "value": integer(bits.value)])
    }
    return .object([
      "index": .integer(index), "op": .string("SCMP_CMP_MASKED_EQ"), "value": integer(bits.mask),
      "valueTwo": integer(bits.value),
    ])
  }

  /// The number of an errno by name.
  private static func number(_ name: String) -> Int? {
    (1..<134).first { wide_errno_name(Int32($0)).map { String(cString: $0) } == name }
  }
}
