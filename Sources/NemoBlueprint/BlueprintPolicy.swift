import NemoPolicy

extension Blueprint {
  /// What every sandbox may use: its terminal and the harmless devices, and its own /proc.
  public static let builtInFileRules: [FileRule] = {
    let rule = { (path: String, rights: FileRights) in
      FileRule(path: path, rights: rights, name: "built in \(path)", origin: .builtIn)
    }
    let terminals: FileRights = [.readFile, .readDir, .writeFile, .ioctlDev]
    return ["/dev/null", "/dev/zero", "/dev/full"].map { rule($0, [.readFile, .writeFile]) }
      + ["/dev/random", "/dev/urandom"].map { rule($0, .readFile) }
      + ["/dev/tty", "/dev/ptmx", "/dev/pts"].map { rule($0, terminals) } + [rule("/proc", .read)]
  }()

  /// Mounts that every sandbox has.
  public static let builtInMounts: [MountRule] = [
    MountRule(path: "/proc", isReadOnly: false, isExecutable: false, name: "proc", origin: .builtIn),
    MountRule(path: "/dev", isReadOnly: false, isExecutable: false, name: "dev", origin: .builtIn),
    MountRule(path: "/dev/shm", isReadOnly: false, isExecutable: false, name: "shm", origin: .builtIn),
    MountRule(path: "/tmp", isReadOnly: false, name: "tmp", origin: .builtIn),
    MountRule(path: "/sys", isReadOnly: true, isExecutable: false, name: "sys", origin: .builtIn),
  ]

  /// The policy that the sandbox is held to.
  ///
  /// - Parameters:
  ///   - uid: the user's number, where the blueprint names it.
  ///   - hasGate: an egress gate enforces names, programs and requests.
  public func policy(uid: UInt32? = nil, hasGate: Bool = false) -> Policy {
    var rules = Policy.Rules()
    rules.files = Self.builtInFileRules + filesystem.rules
    rules.mounts = mountRules
    rules.network = sandbox.network == .none ? [] : networkRules
    rules.hasGate = hasGate
    rules.systemCalls = systemCalls
    rules.capabilities = capabilities
    rules.uid = uid ?? UInt32(identity.user) ?? 65532
    rules.identityOrigin = identity.origin
    return Policy(rules)
  }

  /// Every mount but those that `read_only` below a read-write path becomes; the root file system first.
  public var outerMounts: [MountRule] {
    let root = MountRule(
      path: "/", isReadOnly: !sandbox.isRootfsWritable, name: "root file system", origin: .builtIn)
    var mounts = [root] + Self.builtInMounts
    if let path = sandbox.workspace {
      let line = source["sandbox"]?["workspace"]?.position.line ?? 0
      mounts.append(MountRule(path: path, isReadOnly: false, name: "workspace", origin: Origin(file: file, line: line)))
    }
    for mount in sandbox.mounts {
      mounts.append(
        MountRule(
          path: mount.destination, isReadOnly: !mount.isWritable, isExecutable: mount.isExecutable,
          name: "mount \(mount.destination)", origin: mount.origin))
    }
    return mounts
  }

  /// Every mount, the root file system first.
  public var mountRules: [MountRule] {
    let mounts = outerMounts
    // What becomes read-only is mounted on itself, and keeps what else holds there.
    let inner = filesystem.readOnlyMounts.map { inner in
      var inner = inner
      let around = mounts.filter { PolicyPath.isInside(inner.path, $0.path) }
      inner.isExecutable = around.max { $0.path.utf8.count < $1.path.utf8.count }?.isExecutable ?? true
      return inner
    }
    return mounts + inner
  }

  /// Digest of what the blueprint says: the same for the same content in another layout or with other comments.
  public var digest: String { SHA256.digest(Array(source.json.canonical.utf8)) }
}
