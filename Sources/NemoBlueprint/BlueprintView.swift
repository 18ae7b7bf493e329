import NemoPolicy

/// What a blueprint comes to: its values, and the defaults where it is silent.
public enum BlueprintView {
  /// The effective blueprint as JSON.
  public static func json(_ blueprint: Blueprint) -> JSONValue {
    let sandbox = blueprint.sandbox
    let resources = sandbox.resources
    return .object([
      "name": .string(blueprint.name), "version": .string(blueprint.version), "digest": .string(blueprint.digest),
      "sandbox": .object([
        "rootfs": blueprint.source["sandbox"]?["rootfs"]?.json ?? .null,
        "rootfs_writable": .bool(sandbox.isRootfsWritable), "args": .array(sandbox.args.map { .string($0) }),
        "cwd": .string(sandbox.cwd), "env": .object(sandbox.env.mapValues { .string($0) }),
        "terminal": .bool(sandbox.hasTerminal), "hostname": .string(sandbox.hostname),
        "workspace": sandbox.workspace.map { .string($0) } ?? .null,
        "mounts": .array(
          blueprint.mountRules.map { .string("\($0.path) (\($0.name), \($0.isReadOnly ? "read-only" : "writable"))") }),
        "resources": .object([
          "memory_bytes": .integer(resources.memory), "swap_bytes": .integer(resources.swap),
          "cpu_thousandths": .integer(resources.milliCPUs), "pids": .integer(resources.pids),
          "nofile": .integer(resources.nofile),
          "io": blueprint.source["sandbox"]?["resources"]?["io"]?.json ?? .null,
        ]),
        "devices": .array(sandbox.devices.map { .string("\($0.path) \($0.access)") }),
        "cdi": .array(sandbox.cdi.map { .string($0) }),
        "network": .string(sandbox.network.rawValue),
        "ports": .array(
          sandbox.ports.map { .string("\($0.address):\($0.host)->\($0.container)/\($0.transport.rawValue)") }),
      ]),
      "policy": policy(blueprint), "inference": blueprint.source["inference"]?.json ?? .null,
      "monitoring": blueprint.source["monitoring"]?.json ?? .null,
      "approvals": blueprint.source["approvals"]?.json ?? .null,
    ])
  }

  private static func policy(_ blueprint: Blueprint) -> JSONValue {
    let files = blueprint.filesystem.rules.map { rule in "\(rule.path): \(rule.rights.names.joined(separator: " "))" }
    return .object([
      "files": .array(files.map { .string($0) }),
      "landlock": .string(blueprint.isLandlockBestEffort ? "best_effort" : "hard_requirement"),
      "landlock_best_effort": .array(blueprint.bestEffortRights.map { .string($0) }),
      "user": .string(blueprint.identity.user), "group": .string(blueprint.identity.group),
      "groups": .array(blueprint.identity.groups.map { .string($0) }),
      "system_calls": blueprint.source["policy"]?["system_calls"]?.json
        ?? .object(["profile": .string(AgentProfile.name)]),
      "capabilities": .array(blueprint.capabilities.map { .string($0.name) }),
      "network": blueprint.source["policy"]?["network_policies"]?.json ?? .object([:]),
    ])
  }

  /// The same for people: one value a line.
  public static func text(_ view: JSONValue) -> String {
    var lines: [String] = []
    flatten(view, "", &lines)
    return lines.map { Diagnostic.printable($0) + "\n" }.joined()
  }

  private static func flatten(_ value: JSONValue, _ path: String, _ lines: inout [String]) {
    switch value {
    case .object(let members) where !members.isEmpty:
      for key in members.keys.sorted() { flatten(members[key] ?? .null, path.isEmpty ? key : "\(path).\(key)", &lines) }
    case .array(let values) where !values.isEmpty:
      for (index, element) in values.enumerated() { flatten(element, "\(path)[\(index)]", &lines) }
    case .string(let text): lines.append("\(path): \(text)")
    default: lines.append("\(path): \(value.canonical.dropLast())")
    }
  }
}

/// One difference between two values.
public struct ValueChange: Sendable, Hashable {
  /// Where, as `policy.files`.
  public var path: String
  /// What was there; nil for nothing.
  public var old: JSONValue?
  /// What is there; nil for nothing.
  public var new: JSONValue?

  /// `- path: old` and `+ path: new`.
  public var text: String {
    let line = { (sign: String, value: JSONValue?) in value.map { "\(sign) \(path): \($0.canonical.dropLast())" } }
    return [line("-", old), line("+", new)].compactMap { $0.map(Diagnostic.printable) }.joined(separator: "\n")
  }

  /// The same as an object.
  public var json: JSONValue { .object(["path": .string(path), "old": old ?? .null, "new": new ?? .null]) }
}

/// Compares values.
public enum ValueDiff {
  /// Members that differ, and elements that are only in one of two lists.
  public static func changes(from old: JSONValue, to new: JSONValue, at path: String = "") -> [ValueChange] {
    if old == new { return [] }
    switch (old, new) {
    case (.object(let a), .object(let b)):
      return Set(a.keys).union(b.keys).sorted().flatMap { key -> [ValueChange] in
        let inner = path.isEmpty ? key : "\(path).\(key)"
        guard let x = a[key] else { return [ValueChange(path: inner, old: nil, new: b[key])] }
        guard let y = b[key] else { return [ValueChange(path: inner, old: x, new: nil)] }
        return changes(from: x, to: y, at: inner)
      }
    case (.array(let a), .array(let b)):
      let removed = a.filter { !b.contains($0) }.map { ValueChange(path: path, old: $0, new: nil) }
      let added = b.filter { !a.contains($0) }.map { ValueChange(path: path, old: nil, new: $0) }
      let changes = removed + added
      return changes.isEmpty ? [ValueChange(path: path, old: old, new: new)] : changes
    default: return [ValueChange(path: path, old: old, new: new)]
    }
  }
}
