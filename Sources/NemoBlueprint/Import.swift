import NemoPolicy

/// Turns what others wrote into blueprints: OpenShell policies (version 1), NemoClaw blueprints and presets.
public struct BlueprintImport {
  /// What came out.
  public struct Outcome: Sendable {
    /// The blueprint as YAML; nil where nothing could be made of the file.
    public var text: String?
    /// Every line that has no meaning, is dead, is weaker than it reads, or was changed.
    public var report: Diagnostics
  }

  /// What the importing person adds.
  public struct Options: Sendable {
    /// Name of the blueprint; empty for the file's own.
    public var name = ""
    /// Programs for rules that name none.
    public var binaries: [String] = []
    /// The root file system the programs are looked up in.
    public var rootfs: String?

    /// Nothing added.
    public init() {}
  }

  let options: Options
  let rootfs: Rootfs?
  var report: Diagnostics

  /// Imports a file.
  ///
  /// - Parameters:
  ///   - bytes: the file's content.
  ///   - file: the file as the user named it.
  public static func run(_ bytes: [UInt8], file: String, options: Options = Options()) -> Outcome {
    var diagnostics = Diagnostics(file: file)
    guard let root = YAMLReader.read(bytes, &diagnostics), !diagnostics.hasErrors else {
      return Outcome(text: nil, report: diagnostics)
    }
    var work = BlueprintImport(
      options: options, rootfs: options.rootfs.flatMap { Rootfs(directory: $0) }, report: diagnostics)
    let result: Value?
    if root["components"] != nil {
      result = work.nemoClaw(root)
    } else if root["preset"] != nil {
      result = work.preset(root)
    } else if root["version"] != nil {
      result = work.openShell(root, name: "imported")
    } else {
      work.report.error(
        root.position, "", "is none of what can be imported",
        legal: ["OpenShell policy (version: 1)", "NemoClaw blueprint (components:)", "NemoClaw preset (preset:)"])
      result = nil
    }
    return Outcome(text: result.map { Self.header(file) + YAMLWriter.text($0) }, report: work.report)
  }

  private static func header(_ file: String) -> String {
    "# Imported from \(Diagnostic.printable(file)). The import's report says what changed and why.\n"
  }

  mutating func unknownKeys(_ value: Value?, _ known: [String], _ path: String) {
    for entry in value?.entries ?? [] where !known.contains(entry.key) {
      report.warning(
        entry.position, path.isEmpty ? entry.key : "\(path).\(entry.key)", "no meaning: no such key there; left out")
    }
  }

  private func name(_ fallback: String) -> String {
    let wanted = options.name.isEmpty ? fallback : options.name
    let folded = wanted.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    let trimmed = String(folded).split(separator: "-").joined(separator: "-").prefix(63)
    return trimmed.isEmpty ? "imported" : String(trimmed)
  }

  /// The frame that every import fills.
  func document(
    name: String, version: String = "1.0.0", description: String?, sandbox: [(String, Value?)],
    policy: [(String, Value?)],
    inference: Value? = nil
  ) -> Value {
    .object([
      ("apiVersion", .text(BlueprintSchema.apiVersion)), ("kind", .text(BlueprintSchema.kind)),
      (
        "metadata",
        .object([
          ("name", .text(self.name(name))), ("version", .text(SemanticVersion(version) == nil ? "1.0.0" : version)),
          ("description", description.map { .text($0) }),
        ])
      ),
      ("sandbox", .object(sandbox)), ("policy", .object(policy)), ("inference", inference),
    ])
  }

  func defaultSandbox(network: Bool, workspace: String = "/workspace", writable: Bool = false, ports: Value? = nil)
    -> [(String, Value?)]
  {
    [
      ("rootfs", .object([("directory", .text("./rootfs")), ("writable", writable ? .plain("true") : nil)])),
      ("process", .object([("args", .texts(["/bin/sh"]))])), ("workspace", .object([("path", .text(workspace))])),
      ("network", .object([("mode", .text(network || ports != nil ? "veth" : "none"))])), ("ports", ports),
    ]
  }

  private mutating func preset(_ root: Value) -> Value {
    unknownKeys(root, ["preset", "network_policies"], "")
    let rules = networkPolicies(root["network_policies"])
    let filesystem = Value.object([
      ("read_only", .texts(["/usr", "/lib", "/lib64", "/bin", "/etc"])), ("read_write", .texts(["/tmp"])),
    ])
    return document(
      name: root["preset"]?["name"]?.text ?? "preset", description: root["preset"]?["description"]?.text,
      sandbox: defaultSandbox(network: rules != nil), policy: [("filesystem", filesystem), ("network_policies", rules)])
  }

  mutating func openShell(_ root: Value, name: String) -> Value? {
    guard let version = root["version"], version.text == "1" else {
      let version = root["version"] ?? root
      report.error(version.position, "version", "\(version.text ?? "") is no version that is known", legal: ["1"])
      return nil
    }
    unknownKeys(
      root, ["version", "filesystem_policy", "landlock", "process", "network_policies", "network_middlewares"], "")
    if let value = root["network_middlewares"] {
      report.warning(value.position, "network_middlewares", "not carried over: there are no middlewares here")
    }
    let files = filesystem(root["filesystem_policy"])
    let rules = networkPolicies(root["network_policies"])
    landlock(root["landlock"], root)
    let writable = files.readWrite.filter { path in
      path != "/tmp" && !PolicyPath.isInside(path, "/tmp") && !PolicyPath.isInside(path, files.workspace)
    }
    if !writable.isEmpty {
      report.note(
        root.position, "filesystem_policy.read_write",
        "\(writable.joined(separator: ", ")) is in the image, so sandbox.rootfs.writable is set, as there")
    }
    return document(
      name: name, description: nil,
      sandbox: defaultSandbox(network: rules != nil, workspace: files.workspace, writable: !writable.isEmpty),
      policy: [("filesystem", files.value), ("process", identity(root["process"])), ("network_policies", rules)])
  }

  private mutating func landlock(_ value: Value?, _ root: Value) {
    unknownKeys(value, ["compatibility"], "landlock")
    let compatibility = value?["compatibility"]
    let text = compatibility?.text ?? "nothing"
    guard text != "hard_requirement" else { return }
    let meaning = text == "best_effort" || text == "nothing" ? "" : ", which OpenShell takes for best_effort"
    report.warning(
      (compatibility ?? root).position, "landlock.compatibility",
      "weaker than it reads: \(text)\(meaning), so the sandbox may run without Landlock; hard_requirement here")
  }

  private mutating func identity(_ value: Value?) -> Value {
    unknownKeys(value, ["run_as_user", "run_as_group"], "process")
    let pick = { (field: String) -> Value in
      guard let text = value?[field]?.text, text != "0", text != "root" else { return .plain(Identity.defaultID) }
      return UInt32(text) == nil ? .text(text) : .plain(text)
    }
    for field in ["run_as_user", "run_as_group"] {
      if let entry = value?[field], entry.text == "0" || entry.text == "root" {
        report.warning(entry.position, "process.\(field)", "root becomes \(Identity.defaultID)")
      } else if let entry = value?[field], let text = entry.text, UInt32(text) == nil {
        report.note(entry.position, "process.\(field)", "\(text) must be in the image's /etc/passwd or /etc/group")
      }
    }
    return .object([("run_as_user", pick("run_as_user")), ("run_as_group", pick("run_as_group"))])
  }
}
