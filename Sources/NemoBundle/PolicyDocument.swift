import NemoBlueprint
import NemoPolicy

/// `policy.json`: what the sandbox is held to, as the blueprint's rules come out, each with the line it was written on.
enum PolicyDocument {
  /// Layout of the document.
  static let version = 1

  static func json(_ blueprint: Blueprint, _ identity: ResolvedIdentity) -> JSONValue {
    let sandbox = blueprint.sandbox
    return .object([
      "version": .integer(version),
      "blueprint": .object([
        "name": .string(blueprint.name), "version": .string(blueprint.version), "digest": .string(blueprint.digest),
      ]),
      "files": .array((Blueprint.builtInFileRules + blueprint.filesystem.rules).map(file)),
      "mounts": .array(
        blueprint.mountRules.map {
          .object(["path": .string($0.path), "readOnly": .bool($0.isReadOnly), "line": .integer($0.origin.line)])
        }),
      "landlock": .object([
        "required": .bool(!blueprint.isLandlockBestEffort),
        "bestEffort": .array(blueprint.bestEffortRights.map { .string($0) }),
      ]),
      "identity": .object([
        "uid": .integer(Int(identity.uid)), "gid": .integer(Int(identity.gid)),
        "groups": .array(identity.groups.map { .integer(Int($0)) }),
      ]),
      "capabilities": .array(blueprint.capabilities.map { .string($0.name) }),
      "systemCalls": blueprint.source["policy"]?["system_calls"]?.json
        ?? .object(["profile": .string(AgentProfile.name)]),
      "network": .object([
        "mode": .string(sandbox.network.rawValue),
        "rules": blueprint.source["policy"]?["network_policies"]?.json ?? .object([:]),
        "ports": blueprint.source["sandbox"]?["ports"]?.json ?? .array([]),
      ]),
      "inference": blueprint.source["inference"]?.json ?? .null,
      "monitoring": blueprint.source["monitoring"]?.json ?? .null,
      "approvals": blueprint.source["approvals"]?.json ?? .null,
    ])
  }

  private static func file(_ rule: FileRule) -> JSONValue {
    .object([
      "path": .string(rule.path), "rights": .array(rule.rights.names.map { .string($0) }), "rule": .string(rule.name),
      "line": .integer(rule.origin.line),
    ])
  }
}
