import Glibc
import NemoBlueprint
import NemoBundle

/// How a sandbox comes into the registry: from a blueprint, or from a bundle that was built before.
struct Installation {
  let files: SandboxFiles
  private let network: BundleNetwork
  private(set) var warnings: [String] = []

  /// - Parameter allowsHost: the operator permits the host's network.
  init(_ files: SandboxFiles, allowsHost: Bool) throws {
    self.files = files
    network = try BundleNetwork(leases: "\(files.registry.directory)/network", allowsHost: allowsHost)
  }

  /// Builds the bundle of a blueprint.
  mutating func install(_ blueprint: Blueprint, text: [UInt8], source: String) throws {
    let hasWorkspace = blueprint.sandbox.workspace != nil
    let built = try BundleBuilder(
      blueprint, text: text, workspace: hasWorkspace ? files.workspace : nil, store: files.registry.store,
      network: network
    ).build(at: files.bundle)
    warnings = built.warnings.map(\.text)
    if built.dropped > 0 { warnings.append("\(built.dropped) device nodes and sockets were left out") }
    try complete(blueprint, source: source, uid: built.uid, gid: built.gid)
  }

  /// Takes a bundle. Its root file system stays where it is, unless the sandbox may change it.
  mutating func install(_ bundle: BundleDirectory) throws {
    guard case .object(var document) = bundle.configuration, let user = document["process"]?["user"],
      let uid = user["uid"]?.number.flatMap({ UInt32(exactly: $0) }),
      let gid = user["gid"]?.number.flatMap({ UInt32(exactly: $0) })
    else { throw SandboxFailure("\(bundle.path): config.json: has no user") }
    guard mkdir(files.bundle, 0o755) == 0 else { throw SandboxFailure.last("mkdir", files.bundle) }
    var root = "\(bundle.path)/\(BundleBuilder.Name.rootfs)"
    if bundle.blueprint.sandbox.isRootfsWritable {
      let own = "\(files.bundle)/\(BundleBuilder.Name.rootfs)"
      try RootfsCopy.copy(root, to: own)
      root = own
    }
    document["root"] = .object(["path": .string(root), "readonly": .bool(!bundle.blueprint.sandbox.isRootfsWritable)])
    try network.check(bundle.blueprint)
    document["hooks"] = network.hooks(bundle.blueprint)
    document["mounts"] = .array((document["mounts"]?.elements ?? []).map(workspaceMount))
    try RegistryFiles.replace(
      "\(files.bundle)/\(BundleBuilder.Name.configuration)", JSONValue.object(document).canonical)
    let hasNetwork = bundle.lock[BundleBuilder.Name.network] != nil
    let copied = [BundleBuilder.Name.policy, BundleBuilder.Name.blueprint, BundleBuilder.Name.lock]
    for name in copied + (hasNetwork ? [BundleBuilder.Name.network] : []) {
      let bytes = try RegistryFiles.read("\(bundle.path)/\(name)") ?? []
      try RegistryFiles.replace("\(files.bundle)/\(name)", String(decoding: bytes, as: UTF8.self))
    }
    try complete(bundle.blueprint, source: bundle.path, uid: uid, gid: gid)
  }

  private func workspaceMount(_ mount: JSONValue) -> JSONValue {
    guard case .object(var members) = mount, members["source"]?.text == BundleBuilder.Name.workspace else {
      return mount
    }
    members["source"] = .string(files.workspace)
    return .object(members)
  }

  private func complete(_ blueprint: Blueprint, source: String, uid: UInt32, gid: UInt32) throws {
    let hasWorkspace = blueprint.sandbox.workspace != nil
    if hasWorkspace { try WorkspaceDirectory.make(files.workspace, uid: uid, gid: gid) }
    let path = "\(files.bundle)/\(BundleBuilder.Name.configuration)"
    let inner = blueprint.filesystem.readOnlyMounts.map(\.path)
    guard let document = try RegistryFiles.json(path),
      let nested = NestedReadOnly(document, inner, bundle: files.bundle)
    else { throw SandboxFailure("\(path): is no configuration of a sandbox") }
    if !inner.isEmpty { try RegistryFiles.replace(path, nested.document.canonical) }
    let record = SandboxRecord(
      name: files.name, source: source, blueprint: blueprint.name, blueprintVersion: blueprint.version,
      digest: blueprint.digest, runtimeRoot: files.registry.runtimeRoot, hasTerminal: blueprint.sandbox.hasTerminal,
      uid: uid, gid: gid, workspace: hasWorkspace ? files.workspace : "", mustExist: nested.mustExist,
      created: Clock.now)
    try RegistryFiles.replace(files.recordPath, record.json.canonical)
  }
}
