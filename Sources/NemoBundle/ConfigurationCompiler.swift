import NemoBlueprint
import NemoPolicy

/// A blueprint as the runtime specification's config.json.
struct ConfigurationCompiler {
  let blueprint: Blueprint
  let rootfs: Rootfs
  /// Where it is, from the bundle or absolute.
  let rootPath: String
  let identity: ResolvedIdentity
  /// What is mounted as the workspace.
  let workspace: String
  let network: BundleNetwork

  /// Version of the runtime specification that the document follows.
  private static let version = "1.2.0"

  /// Files of the kernel that say or do what a sandbox has no use for.
  private static let masked = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware", "/sys/fs/bpf", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing",
  ]
  private static let readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]

  /// The document.
  func compile() throws -> JSONValue {
    let sandbox = blueprint.sandbox
    var document: [String: JSONValue] = [
      "ociVersion": .string(Self.version), "hostname": .string(sandbox.hostname), "process": process(),
      "root": .object(["path": .string(rootPath), "readonly": .bool(!sandbox.isRootfsWritable)]),
      "mounts": try SandboxMounts(blueprint: blueprint, workspace: workspace).compile(), "linux": try linux(),
      "annotations": .object([
        "nemoshell.blueprint.digest": .string(blueprint.digest), "nemoshell.blueprint.name": .string(blueprint.name),
        "nemoshell.blueprint.version": .string(blueprint.version),
      ]),
    ]
    if let hooks = network.hooks(blueprint) { document["hooks"] = hooks }
    return .object(document)
  }

  private func process() -> JSONValue {
    let sandbox = blueprint.sandbox
    let capabilities = JSONValue.array(blueprint.capabilities.map(\.name).sorted().map { .string($0) })
    let sets = ["bounding", "effective", "inheritable", "permitted", "ambient"]
    let limit = { (type: String, value: Int) in
      JSONValue.object(["type": .string(type), "soft": .integer(value), "hard": .integer(value)])
    }
    var user: [String: JSONValue] = [
      "uid": .integer(Int(identity.uid)), "gid": .integer(Int(identity.gid)), "umask": .integer(0o22),
    ]
    if !identity.groups.isEmpty { user["additionalGids"] = .array(identity.groups.map { .integer(Int($0)) }) }
    let environment = sandbox.env.sorted { $0.key < $1.key }.map { JSONValue.string("\($0.key)=\($0.value)") }
    return .object([
      "args": .array(sandbox.args.map { .string($0) }), "cwd": .string(sandbox.cwd), "env": .array(environment),
      "terminal": .bool(sandbox.hasTerminal), "user": .object(user),
      "capabilities": .object(Dictionary(uniqueKeysWithValues: sets.map { ($0, capabilities) })),
      "noNewPrivileges": .bool(true),
      "rlimits": .array([limit("RLIMIT_CORE", 0), limit("RLIMIT_NOFILE", sandbox.resources.nofile)]),
      "landlock": LandlockCompiler(blueprint: blueprint, rootfs: rootfs).compile(),
    ])
  }

  private func seccomp() throws -> JSONValue {
    do { return SeccompDocument.json(try SystemCallFilter(blueprint.systemCalls)) } catch {
      throw BundleFailure("policy.system_calls: the rules for \(error.name) take too many cases by its arguments")
    }
  }

  private func linux() throws -> JSONValue {
    let resources = SandboxResources(sandbox: blueprint.sandbox, identity: identity)
    let kinds = ["pid", "ipc", "uts", "mount", "cgroup"].map { JSONValue.object(["type": .string($0)]) }
    let inner = blueprint.filesystem.readOnlyMounts.map(\.path).sorted()
    var linux: [String: JSONValue] = [
      "namespaces": .array(kinds + (network.namespace(blueprint).map { [$0] } ?? [])),
      "resources": try resources.resources(), "seccomp": try seccomp(),
      "maskedPaths": .array(Self.masked.map { .string($0) }),
      // Read-only below read-write: the runtime mounts it on itself, as the container sees it.
      "readonlyPaths": .array((Self.readOnly + inner).map { .string($0) }),
    ]
    if !blueprint.sandbox.devices.isEmpty { linux["devices"] = try resources.devices() }
    return .object(linux)
  }
}
