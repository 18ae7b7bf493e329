import NemoBlueprint
import NemoPolicy

/// The file rules of a policy as `process.landlock` (spec/landlock.md).
struct LandlockCompiler {
  let blueprint: Blueprint
  let rootfs: Rootfs

  /// Everything is handled that Landlock knows about files, so what no rule names is closed. Ports are the packet filter's:
  /// a Landlock rule for them could not tell the sandbox's own loopback from the world.
  func compile() -> JSONValue {
    var grants: [String: FileRights] = [:]
    for rule in Blueprint.builtInFileRules + blueprint.filesystem.rules {
      grants[place(rule.path), default: []].formUnion(rule.rights)
    }
    // Rights add up along a path, in the kernel and in the policy; here they are written down as they are.
    let effective = Dictionary(
      uniqueKeysWithValues: grants.keys.map { path in
        let above = grants.filter { PolicyPath.isInside(path, $0.key) }
        return (path, above.values.reduce(into: FileRights()) { $0.formUnion($1) })
      })
    var groups: [FileRights: [String]] = [:]
    for (path, rights) in effective {
      let isRepetition = effective.contains {
        $0.key != path && PolicyPath.isInside(path, $0.key) && $0.value == rights
      }
      if !isRepetition { groups[rights, default: []].append(path) }
    }
    let rules = groups.sorted { $0.key.rawValue < $1.key.rawValue }.map { rights, paths in
      JSONValue.object(["allowedAccess": names(rights), "paths": .array(paths.sorted().map { .string($0) })])
    }
    var landlock: [String: JSONValue] = [
      "ruleset": .object([
        "handledAccessFS": .array(FileRights.all.map { .string($0.name) }),
        "scoped": .array(Self.scopes.map { .string($0) }), "flags": .array([.string(Self.logging)]),
      ]),
      "rules": .object(["pathBeneath": .array(rules)]),
    ]
    if blueprint.isLandlockBestEffort {
      landlock["disableBestEffort"] = .bool(false)
    } else {
      landlock["bestEffort"] = .array(bestEffort.map { .string($0) })
    }
    return .object(landlock)
  }

  private static let scopes = ["abstract_unix_socket", "signal"]
  /// Denials reach the kernel's audit log; a kernel that cannot report them still denies.
  private static let logging = "log_new_exec_on"

  private var bestEffort: [String] {
    let rights = blueprint.bestEffortRights.flatMap { $0 == "scope" ? Self.scopes : [$0] }
    return rights.filter { FileRights(name: $0) != nil || Self.scopes.contains($0) } + [Self.logging]
  }

  private func names(_ rights: FileRights) -> JSONValue { .array(rights.names.map { .string($0) }) }

  /// The path behind the links of the root file system. What lies on a mount is only seen when it is mounted.
  private func place(_ path: String) -> String {
    let mounts = SandboxMounts.destinations(blueprint).filter { PolicyPath.isInside(path, $0) }
    guard let mount = mounts.max(by: { $0.utf8.count < $1.utf8.count }) else {
      return rootfs.resolve(path)?.path ?? path
    }
    return (rootfs.resolve(mount)?.path ?? mount) + path.dropFirst(mount.count)
  }
}
