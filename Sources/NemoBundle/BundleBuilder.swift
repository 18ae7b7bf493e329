import CWide
import Glibc
import NemoBlueprint
import NemoPolicy

/// A bundle that was built.
public struct BuiltBundle: Sendable {
  /// Digests of everything, as written to `nemoshell.lock`.
  public var lock: JSONValue
  /// Device nodes and sockets of the root file system that were left out.
  public var dropped: Int
  /// The user that the sandbox runs as.
  public var uid: UInt32
  /// The group that the sandbox runs as.
  public var gid: UInt32
  /// What the blueprint does not do on this root file system although it seems to.
  public var warnings: [Diagnostic]
}

/// Makes an OCI bundle of a blueprint: the same blueprint and root file system give the same bytes.
///
/// The bundle appears whole under its name, or not at all.
public struct BundleBuilder {
  /// Files of a bundle.
  public enum Name {
    /// The runtime specification's configuration.
    public static let configuration = "config.json"
    /// What the sandbox is held to.
    public static let policy = "policy.json"
    /// The blueprint as it was read.
    public static let blueprint = "blueprint.yaml"
    /// What the network hook carries out; only with a network.
    public static let network = "network.json"
    /// Every digest.
    public static let lock = "nemoshell.lock"
    /// The root file system.
    public static let rootfs = "rootfs"
    /// The workspace of a bundle that is used without a sandbox's registry.
    public static let workspace = "workspace"
  }

  private let blueprint: Blueprint
  private let text: [UInt8]
  /// What is mounted as the workspace; nil for a directory of the bundle.
  private let workspace: String?
  private let store: RootfsStore?
  private let network: BundleNetwork

  /// A builder for a valid blueprint.
  ///
  /// - Parameters:
  ///   - text: the blueprint's file.
  ///   - workspace: absolute path of the workspace; nil makes one in the bundle.
  ///   - network: how it is connected.
  ///   - store: where an image's root file system that the sandbox cannot change is shared; the caller holds its lock. Without
  ///     one the bundle has its own.
  public init(
    _ blueprint: Blueprint, text: [UInt8], workspace: String? = nil, store: RootfsStore? = nil, network: BundleNetwork
  ) {
    self.network = network
    self.store = store
    self.blueprint = blueprint
    self.text = text
    self.workspace = workspace
  }

  /// Builds the bundle in the new directory `path`.
  ///
  /// - Parameter replacing: an older bundle there is removed once the new one is complete.
  /// - Throws: `BundleFailure`; then nothing is left of the new bundle, and an older one is as it was.
  public func build(at path: String, replacing: Bool = false) throws -> BuiltBundle {
    // What is made must not depend on whose shell it is.
    let mask = umask(0o022)
    defer { umask(mask) }
    try refuseUnsupported()
    var status = stat()
    let exists = lstat(path, &status) == 0
    if exists {
      guard replacing else { throw BundleFailure("\(path): is there already; --force replaces it") }
      guard access(path + "/" + Name.lock, F_OK) == 0 else {
        throw BundleFailure("\(path): is no bundle of nemoshell, and is not replaced")
      }
    }
    let staging = try StagingDirectory(beside: path)
    let built = try fill(staging.path)
    guard chmod(staging.path, 0o755) == 0 else { throw BundleFailure.last("chmod", staging.path) }
    try staging.publish(as: path, replacing: exists)
    return built
  }

  private func refuseUnsupported() throws {
    try network.check(blueprint)
    guard blueprint.sandbox.cdi.isEmpty else {
      let line = blueprint.source["sandbox"]?["cdi"]?.position.line ?? 1
      throw BundleFailure(
        "\(blueprint.file):\(line): sandbox.cdi: devices by CDI name cannot be given yet; name them in sandbox.devices")
    }
  }

  private func fill(_ staging: String) throws -> BuiltBundle {
    let root = try makeRootfs("\(staging)/\(Name.rootfs)")
    guard let rootfs = Rootfs(directory: root.path) else { throw BundleFailure("\(root.path): is no directory") }
    let findings = RootfsLint.run(blueprint, rootfs).sorted
    if let problem = findings.first(where: { $0.severity == .error }) { throw BundleFailure(problem.text) }
    let identity = try ResolvedIdentity(blueprint.identity, rootfs)
    if workspace == nil, blueprint.sandbox.workspace != nil {
      try WorkspaceDirectory.make("\(staging)/\(Name.workspace)", uid: identity.uid, gid: identity.gid)
    }
    let configuration = try ConfigurationCompiler(
      blueprint: blueprint, rootfs: rootfs, rootPath: root.isShared ? root.path : Name.rootfs, identity: identity,
      workspace: workspace ?? Name.workspace, network: network
    ).compile().canonical
    let policy = PolicyDocument.json(blueprint, identity).canonical
    var files = [
      (Name.configuration, Array(configuration.utf8)), (Name.policy, Array(policy.utf8)), (Name.blueprint, text),
    ]
    if let network = network.document(blueprint) { files.append((Name.network, Array(network.utf8))) }
    let lock = lock(root.origin, rootfs: root.digest, files)
    files.append((Name.lock, Array(lock.canonical.utf8)))
    for (name, bytes) in files { try write(bytes, "\(staging)/\(name)") }
    return BuiltBundle(
      lock: lock, dropped: root.dropped, uid: identity.uid, gid: identity.gid,
      warnings: findings.filter { $0.severity == .warning })
  }

  /// A root file system that is complete: places that are mounted over are there.
  private struct Root {
    var path: String
    var isShared = false
    var digest: String
    var origin: RootfsOrigin
    var dropped: Int
  }

  private func makeRootfs(_ path: String) throws -> Root {
    let places = try self.places()
    let source = RootfsSource(blueprint)
    let unpack = { (path: String, fill: (TreeWriter) throws -> Void) throws -> (digest: String, dropped: Int) in
      guard mkdir(path, 0o755) == 0 else { throw BundleFailure.last("mkdir", path) }
      let tree = try TreeWriter(path)
      try fill(tree)
      for place in places { try tree.makePlace(place.path, isFile: place.isFile) }
      return (try Tree.seal(tree.descriptor, directoryTimes: tree.directoryTimes), tree.dropped)
    }
    guard let image = try source.image() else {
      let made = try unpack(path) { try source.copy(into: $0) }
      return Root(path: path, digest: made.digest, origin: source.origin(nil), dropped: made.dropped)
    }
    let origin = source.origin(image)
    if let store, !blueprint.sandbox.isRootfsWritable {
      let entry = try store.entry(image, places: places) { path in
        try unpack(path) { try source.unpack(image, into: $0) }
      }
      return Root(path: entry.rootfs, isShared: true, digest: entry.digest, origin: origin, dropped: entry.dropped)
    }
    let made = try unpack(path) { try source.unpack(image, into: $0) }
    return Root(path: path, digest: made.digest, origin: origin, dropped: made.dropped)
  }

  /// What is mounted over must be there, and on a read-only root the runtime could not make it.
  private func places() throws -> [(path: String, isFile: Bool)] {
    var places = Blueprint.builtInMounts.map(\.path).filter { $0 != "/dev/shm" }.map { ($0, false) }
    if let path = blueprint.sandbox.workspace { places.append((path, false)) }
    let inMemory = blueprint.sandbox.mounts.filter { $0.source == nil }.map(\.destination) + ["/dev", "/tmp"]
    for mount in blueprint.sandbox.mounts {
      // Below a mount the place is made there, by the runtime.
      let outer = SandboxMounts.destinations(blueprint).contains {
        $0 != mount.destination && PolicyPath.isInside(mount.destination, $0)
      }
      if !outer { places.append((mount.destination, try isFile(mount))) }
    }
    if !SandboxMounts.destinations(blueprint).contains(where: { PolicyPath.isInside(blueprint.sandbox.cwd, $0) }) {
      places.append((blueprint.sandbox.cwd, false))
    }
    for rule in blueprint.filesystem.readOnlyMounts
    where inMemory.contains(where: { PolicyPath.isInside(rule.path, $0) }) {
      throw BundleFailure(
        "\(rule.origin): \(rule.name): nothing is there when the sandbox starts, since it is in memory; make it a mount"
      )
    }
    return places
  }

  private func isFile(_ mount: Sandbox.Mount) throws -> Bool {
    guard let source = mount.source else { return false }
    let path = try HostPath.absolute(source, from: blueprint.file)
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw BundleFailure.last("\(mount.origin): sandbox.mounts: look at", path)
    }
    return status.st_mode & S_IFMT != S_IFDIR
  }

  private func lock(_ origin: RootfsOrigin, rootfs: String, _ files: [(name: String, bytes: [UInt8])]) -> JSONValue {
    var source: [String: JSONValue] = ["kind": .string(origin.kind)]
    if !origin.manifest.isEmpty { source["manifest"] = .string(origin.manifest) }
    if !origin.configuration.isEmpty { source["config"] = .string(origin.configuration) }
    if !origin.layers.isEmpty { source["layers"] = .array(origin.layers.map { .string($0) }) }
    var lock: [String: JSONValue] = [
      "version": .integer(1), "nemoshell": .string(BlueprintReader.runtimeVersion), "name": .string(blueprint.name),
      "blueprint": .string(blueprint.digest), "rootfs": .string(rootfs), "source": .object(source),
    ]
    for (name, bytes) in files { lock[name] = .string(SHA256.digest(bytes)) }
    return .object(lock)
  }

  private func write(_ bytes: [UInt8], _ path: String) throws {
    let fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard fd >= 0 else { throw BundleFailure.last("create", path) }
    let file = Handle(adopting: fd)
    try bytes.withUnsafeBytes { try file.write($0, path) }
  }
}
