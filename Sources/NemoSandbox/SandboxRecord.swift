import NemoBlueprint

/// What is known of a sandbox from its creation on: `sandbox.json`.
public struct SandboxRecord: Sendable {
  /// Layout of the file.
  static let version = 1

  /// The sandbox's name, which is the container's id too.
  public var name: String
  /// The blueprint's file, absolute, or the bundle's directory.
  public var source: String
  /// The blueprint's name.
  public var blueprint: String
  /// The blueprint's version.
  public var blueprintVersion: String
  /// Digest of the blueprint's content.
  public var digest: String
  /// Directory of the runtime's state.
  public var runtimeRoot: String
  /// Its program gets a terminal.
  public var hasTerminal: Bool
  /// The user that it runs as.
  public var uid: UInt32
  /// The group that it runs as.
  public var gid: UInt32
  /// Directory that survives the sandbox; empty for none.
  public var workspace: String
  /// Paths that must be there before a start, each a directory of the host and a path below it: a read-only path within
  /// a writable one that was moved away would be writable under its old name.
  public var mustExist: [(directory: String, path: String)]
  /// When it was made, RFC 3339.
  public var created: String

  /// The same as an object.
  public var json: JSONValue {
    .object([
      "version": .integer(Self.version), "name": .string(name), "source": .string(source),
      "blueprint": .object([
        "name": .string(blueprint), "version": .string(blueprintVersion), "digest": .string(digest),
      ]),
      "runtimeRoot": .string(runtimeRoot), "terminal": .bool(hasTerminal), "uid": .integer(Int(uid)),
      "gid": .integer(Int(gid)), "workspace": .string(workspace),
      "mustExist": .array(mustExist.map { .array([.string($0.directory), .string($0.path)]) }),
      "created": .string(created),
    ])
  }

  /// Reads what ``json`` wrote; nil for anything else.
  init?(_ json: JSONValue) {
    guard json["version"]?.number == Self.version, let name = json["name"]?.text, let source = json["source"]?.text,
      let blueprint = json["blueprint"]?["name"]?.text, let version = json["blueprint"]?["version"]?.text,
      let digest = json["blueprint"]?["digest"]?.text, let root = json["runtimeRoot"]?.text,
      case .bool(let hasTerminal)? = json["terminal"], let uid = json["uid"]?.number.flatMap({ UInt32(exactly: $0) }),
      let gid = json["gid"]?.number.flatMap({ UInt32(exactly: $0) }), let workspace = json["workspace"]?.text,
      let must = json["mustExist"]?.elements, let created = json["created"]?.text
    else { return nil }
    self.init(
      name: name, source: source, blueprint: blueprint, blueprintVersion: version, digest: digest, runtimeRoot: root,
      hasTerminal: hasTerminal, uid: uid, gid: gid, workspace: workspace, mustExist: [], created: created)
    for pair in must {
      guard let directory = pair.elements?.first?.text, let path = pair.elements?.last?.text else { return nil }
      mustExist.append((directory, path))
    }
  }

  init(
    name: String, source: String, blueprint: String, blueprintVersion: String, digest: String, runtimeRoot: String,
    hasTerminal: Bool, uid: UInt32, gid: UInt32, workspace: String, mustExist: [(directory: String, path: String)],
    created: String
  ) {
    self.name = name
    self.source = source
    self.blueprint = blueprint
    self.blueprintVersion = blueprintVersion
    self.digest = digest
    self.runtimeRoot = runtimeRoot
    self.hasTerminal = hasTerminal
    self.uid = uid
    self.gid = gid
    self.workspace = workspace
    self.mustExist = mustExist
    self.created = created
  }
}

/// What is known of a sandbox's last start: `status.json`.
public struct SandboxRun: Sendable {
  /// The program's process; 0 before there is one.
  public var pid = 0
  /// Boot that it belongs to.
  public var bootID: String
  /// When it was started, RFC 3339.
  public var started: String
  /// When it ended; empty while it runs.
  public var finished = ""
  /// Its exit status, 128 + N when signal N ended it; nil while it runs, or where nobody saw the end.
  public var exitStatus: Int?
  /// What was verified to hold, as in the line after the start.
  public var protections: [String] = []
  /// What is missing by the blueprint's leave.
  public var degraded = ""

  /// The same as an object.
  public var json: JSONValue {
    .object([
      "version": .integer(1), "pid": .integer(pid), "bootId": .string(bootID), "started": .string(started),
      "finished": .string(finished), "exitStatus": exitStatus.map { .integer($0) } ?? .null,
      "protections": .array(protections.map { .string($0) }), "degraded": .string(degraded),
    ])
  }

  init(bootID: String, started: String) {
    self.bootID = bootID
    self.started = started
  }

  /// Reads what ``json`` wrote; nil for anything else.
  init?(_ json: JSONValue) {
    guard json["version"]?.number == 1, let pid = json["pid"]?.number, let bootID = json["bootId"]?.text,
      let started = json["started"]?.text, let finished = json["finished"]?.text
    else { return nil }
    self.init(bootID: bootID, started: started)
    self.pid = pid
    self.finished = finished
    exitStatus = json["exitStatus"]?.number
    protections = json["protections"]?.elements?.compactMap(\.text) ?? []
    degraded = json["degraded"]?.text ?? ""
  }
}
