import NemoPolicy

/// Reads blueprints.
public enum BlueprintReader {
  /// Version of nemoshell that `minimum_runtime` is compared with.
  public static let runtimeVersion = "0.1.0"

  /// Reads and validates a blueprint.
  ///
  /// - Parameters:
  ///   - bytes: the file's content.
  ///   - file: the file as the user named it.
  /// - Returns: the blueprint, nil where there is an error; and everything there is to say about it.
  public static func read(_ bytes: [UInt8], file: String) -> (blueprint: Blueprint?, diagnostics: Diagnostics) {
    var diagnostics = Diagnostics(file: file)
    guard let value = YAMLReader.read(bytes, &diagnostics), !diagnostics.hasErrors else { return (nil, diagnostics) }
    var check = SchemaCheck(diagnostics: diagnostics)
    check.check(value, BlueprintSchema.root, "")
    guard !check.diagnostics.hasErrors else { return (nil, check.diagnostics) }
    let blueprint = Decoder(file: file).blueprint(value)
    var validation = Validation(blueprint: blueprint, diagnostics: check.diagnostics)
    validation.run()
    return (validation.diagnostics.hasErrors ? nil : blueprint, validation.diagnostics)
  }
}

/// Turns a value that fits the schema into the model.
struct Decoder {
  let file: String

  func origin(_ value: Value) -> Origin { Origin(file: file, line: value.position.line) }

  func texts(_ value: Value?) -> [String] { value?.elements.compactMap(\.text) ?? [] }

  func map(_ value: Value?) -> [String: String] {
    Dictionary((value?.entries ?? []).map { ($0.key, $0.value.text ?? "") }, uniquingKeysWith: { first, _ in first })
  }

  func blueprint(_ root: Value) -> Blueprint {
    let metadata = root["metadata"]
    let policy = root["policy"]
    let name = metadata?["name"]?.text ?? ""
    let sandbox = sandbox(root["sandbox"], name: name)
    return Blueprint(
      file: file, source: root, name: name, version: metadata?["version"]?.text ?? "",
      description: metadata?["description"]?.text ?? "", minimumRuntime: metadata?["minimum_runtime"]?.text ?? "",
      labels: map(metadata?["labels"]), sandbox: sandbox, filesystem: filesystem(policy?["filesystem"], sandbox, root),
      isLandlockBestEffort: policy?["landlock"]?["compatibility"]?.text == "best_effort",
      bestEffortRights: texts(policy?["landlock"]?["best_effort"]), identity: identity(policy?["process"]),
      systemCalls: systemCalls(policy?["system_calls"]),
      capabilities: policy?["capabilities"]?.elements.map { ($0.text ?? "", origin($0)) } ?? [],
      networkRules: networkRules(policy?["network_policies"]), expectations: expectations(root["expect"]))
  }

  private func identity(_ value: Value?) -> Identity {
    Identity(
      user: value?["run_as_user"]?.text ?? Identity.defaultID,
      group: value?["run_as_group"]?.text ?? Identity.defaultID,
      groups: texts(value?["groups"]), allowsRoot: value?["allow_root"]?.isTrue ?? false,
      origin: (value?["run_as_user"]).map(origin) ?? .builtIn)
  }

  private func filesystem(_ value: Value?, _ sandbox: Sandbox, _ root: Value) -> Filesystem {
    var rules: [FileRule] = []
    let lists: [(String, FileRights)] = [("read_only", .readOnly), ("read_write", .readWrite), ("execute", .execute)]
    for (field, rights) in lists {
      for path in value?[field]?.elements ?? [] {
        let text = path.text ?? ""
        rules.append(FileRule(path: text, rights: rights, name: "\(field) \(text)", origin: origin(path)))
      }
    }
    for rule in value?["rules"]?.elements ?? [] {
      let rights = FileRights(texts(rule["allow"]).compactMap { FileRights(name: $0) })
      for path in rule["paths"]?.elements ?? [] {
        let text = path.text ?? ""
        rules.append(FileRule(path: text, rights: rights, name: "rules \(text)", origin: origin(path)))
      }
    }
    if let flag = value?["include_workdir"], flag.isTrue {
      rules.append(
        FileRule(path: sandbox.cwd, rights: .readWrite, name: "include_workdir \(sandbox.cwd)", origin: origin(flag)))
    }
    if let path = sandbox.workspace, let workspace = root["sandbox"]?["workspace"] {
      rules.append(FileRule(path: path, rights: .readWrite, name: "workspace \(path)", origin: origin(workspace)))
    }
    let writable = rules.filter { $0.rights == .readWrite }.map(\.path)
    let inner = rules.filter { rule in
      rule.name.hasPrefix("read_only ") && writable.contains { $0 != rule.path && PolicyPath.isInside(rule.path, $0) }
    }
    let mounts = inner.map {
      MountRule(path: $0.path, isReadOnly: true, coversInner: true, name: $0.name, origin: $0.origin)
    }
    return Filesystem(rules: rules, readOnlyMounts: mounts)
  }

  private func systemCalls(_ value: Value?) -> [SystemCallRule] {
    var rules: [SystemCallRule] = []
    for (field, isDenied) in [("deny", true), ("allow", false)] {
      for rule in value?[field]?.elements ?? [] {
        let conditions = (rule["arguments"]?.elements ?? []).map { condition in
          ArgumentCondition(
            condition["index"]?.integer ?? 0,
            condition["comparison"]?.text.flatMap(ArgumentCondition.Comparison.init(rawValue:)) ?? .equal,
            UInt64(condition["value"]?.integer ?? 0), mask: condition["mask"]?.integer.map { UInt64($0) } ?? .max)
        }
        let outcome: SystemCallRule.Outcome = isDenied ? .refuse(errno: rule["errno"]?.text ?? "EPERM") : .allow
        rules.append(
          SystemCallRule(
            texts(rule["names"]), when: conditions, outcome, name: "system_calls.\(field)", origin: origin(rule)))
      }
    }
    // What the blueprint gives back is no longer refused by the profile; what it denies wins over both.
    let given = Set(rules.filter { $0.outcome == .allow }.flatMap(\.names))
    return rules
      + AgentProfile.rules.map { rule in
        guard rule.outcome != .allow, rule.conditions.isEmpty else { return rule }
        var rule = rule
        rule.names.removeAll { given.contains($0) }
        return rule
      }
  }

  private func expectations(_ value: Value?) -> [Expectation] {
    (value?.elements ?? []).compactMap { item in
      guard let (action, title) = ActionText.action(item) else { return nil }
      return Expectation(
        action: action, title: title, verdict: item["verdict"]?.text == "allow" ? .allow : .deny, origin: origin(item))
    }
  }
}
