import NemoPolicy

/// `linux.seccomp` of an OCI configuration (config-linux.md#seccomp) for the system call rules of a policy.
///
/// No architectures are named, which means the machine's own alone: calls of another one, x32 included, end the process.
/// No flags are named, which turns no mitigation off. Numbers above the newest call named fail with ENOSYS (runc, crun and
/// nemoshell see to that); everything else that is not listed fails with EPERM.
public enum SeccompDocument {
  /// The object, with names and lists sorted.
  public static func json(_ filter: SystemCallFilter) -> JSONValue {
    .object([
      "defaultAction": .string("SCMP_ACT_ERRNO"), "defaultErrnoRet": .integer(number(SystemCallFilter.defaultErrno)),
      "flags": .array([]), "syscalls": .array(filter.entries.map(entry)),
    ])
  }

  private static func entry(_ entry: SystemCallFilter.Entry) -> JSONValue {
    var members: [String: JSONValue] = ["names": .array(entry.names.map { .string($0) })]
    switch entry.outcome {
    case .allow: members["action"] = .string("SCMP_ACT_ALLOW")
    case .refuse(let errno):
      members["action"] = .string("SCMP_ACT_ERRNO")
      members["errnoRet"] = .integer(number(errno))
    }
    if !entry.conditions.isEmpty { members["args"] = .array(entry.conditions.map(argument)) }
    return .object(members)
  }

  /// For MASKED_EQ the specification has the mask in `value` and what it is compared with in `valueTwo`.
  private static func argument(_ condition: ArgumentCondition) -> JSONValue {
    var members: [String: JSONValue] = [
      "index": .integer(condition.index), "op": .string(operators[condition.comparison] ?? "SCMP_CMP_EQ"),
      "value": .unsigned(condition.value),
    ]
    if condition.comparison == .maskedEqual {
      members["value"] = .unsigned(condition.mask)
      members["valueTwo"] = .unsigned(condition.value)
    }
    return .object(members)
  }

  private static let operators: [ArgumentCondition.Comparison: String] = [
    .equal: "SCMP_CMP_EQ", .notEqual: "SCMP_CMP_NE", .less: "SCMP_CMP_LT", .lessOrEqual: "SCMP_CMP_LE",
    .greater: "SCMP_CMP_GT", .greaterOrEqual: "SCMP_CMP_GE", .maskedEqual: "SCMP_CMP_MASKED_EQ",
  ]

  /// Numbers of the errnos that a blueprint may name (errno(3); the same on every architecture that Swift runs on).
  static let errnos: [String: Int] = [
    "EPERM": 1, "ENOENT": 2, "EACCES": 13, "EINVAL": 22, "ENOSYS": 38, "EPROTONOSUPPORT": 93, "ENOTSUP": 95,
    "EAFNOSUPPORT": 97,
  ]

  private static func number(_ errno: String) -> Int { errnos[errno] ?? 1 }
}
