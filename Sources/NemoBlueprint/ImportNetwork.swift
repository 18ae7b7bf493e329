import NemoPolicy

extension BlueprintImport {
  mutating func networkPolicies(_ value: Value?) -> Value? {
    var rules: [(String, Value?)] = []
    for entry in value?.entries ?? [] {
      let path = "network_policies.\(entry.key)"
      unknownKeys(entry.value, ["name", "endpoints", "binaries"], path)
      guard let binaries = binaries(entry, path) else { continue }
      var endpoints: [Value] = []
      for (index, item) in (entry.value["endpoints"]?.elements ?? []).enumerated() {
        endpoints += endpoint(item, "\(path).endpoints[\(index)]")
      }
      if endpoints.isEmpty {
        report.warning(entry.position, path, "dead: no endpoint is left; left out")
        continue
      }
      let name = entry.value["name"]?.text.flatMap { $0 == entry.key ? nil : Value.text($0) }
      rules.append(
        (entry.key, .object([("name", name), ("endpoints", .array(endpoints)), ("binaries", .array(binaries))])))
    }
    return rules.isEmpty ? nil : .object(rules)
  }

  /// The programs of a rule; nil where it never matches.
  private mutating func binaries(_ entry: Value.Entry, _ path: String) -> [Value]? {
    let listed = entry.value["binaries"]?.elements ?? []
    if listed.isEmpty {
      guard !options.binaries.isEmpty else {
        report.warning(
          entry.position, path,
          "dead: it names no program, and OpenShell then never matches it; left out (--binary PATH names one)")
        return nil
      }
      report.note(entry.position, path, "it names no program; \(options.binaries.joined(separator: ", ")) put in")
      return options.binaries.map { .object([("path", .text($0))]) }
    }
    var kept: [Value] = []
    for (index, item) in listed.enumerated() {
      let field = "\(path).binaries[\(index)]"
      unknownKeys(item, ["path", "harness"], field)
      if let value = item["harness"] {
        report.warning(value.position, "\(field).harness", "no meaning: ignored there; left out")
      }
      let program = item["path"]?.text ?? ""
      if let problem = PolicyPath.problem(program) {
        report.warning(item.position, field, "dead: \(Diagnostic.quoted(program)) \(problem); left out")
      } else {
        kept += located(program, item.position, field)
      }
    }
    if kept.isEmpty {
      report.warning(entry.position, path, "dead: none of its programs is left; left out")
      return nil
    }
    return kept
  }

  /// The program as the kernel will name it, looked up in the root file system where there is one.
  private mutating func located(_ program: String, _ position: Position, _ field: String) -> [Value] {
    let asWritten = Value.object([("path", .text(program))])
    guard let rootfs else { return [asWritten] }
    guard !rootfs.matches(program).isEmpty else {
      report.warning(position, field, "dead: \(program) does not exist in the root file system; left out")
      return []
    }
    guard Glob(program, separator: .slash).isLiteral, let item = rootfs.resolve(program) else { return [asWritten] }
    if let interpreter = rootfs.interpreter(program) {
      let real = rootfs.resolve(interpreter)?.path ?? interpreter
      report.warning(
        position, field, "dead there: \(program) is a script, and the program that runs is \(real); both are named here"
      )
      return [.object([("path", .text(real)), ("script", .text(item.path))])]
    }
    if item.path != program {
      report.note(position, field, "\(program) is a symbolic link to \(item.path), which is what runs")
    }
    return [.object([("path", .text(item.path))])]
  }

  private static let endpointKeys = [
    "host", "port", "ports", "path", "protocol", "tls", "enforcement", "access", "rules", "deny_rules", "allowed_ips",
    "allow_encoded_slash", "websocket_credential_rewrite", "request_body_credential_rewrite",
    "allow_uninspected_credentials",
    "graphql_max_body_bytes", "json_rpc", "mcp",
  ]
  private static let lostKeys = [
    "persisted_queries", "graphql_persisted_queries", "credential_signing", "signing_service", "signing_region",
    "credential_binding",
  ]

  private mutating func endpoint(_ value: Value, _ path: String) -> [Value] {
    unknownKeys(value, Self.endpointKeys + Self.lostKeys, path)
    for key in Self.lostKeys {
      if let lost = value[key] {
        report.warning(lost.position, "\(path).\(key)", "not carried over: it has no counterpart here yet")
      }
    }
    let host = value["host"]?.text ?? ""
    var targets: [(String, Value?)] = []
    if host.isEmpty {
      targets = (value["allowed_ips"]?.elements ?? []).compactMap(\.text).map { ("address", .text($0)) }
    } else if IPAddress(host) != nil {
      targets = [("address", .text(host))]
    } else if let problem = Host.patternProblem(host) {
      report.warning(
        (value["host"] ?? value).position, "\(path).host", "\(Diagnostic.quoted(host)) \(problem); left out")
      return []
    } else {
      targets = [("host", .text(Host.canonical(host)))]
    }
    if value["port"] != nil, let both = value["ports"] {
      report.warning(both.position, "\(path).ports", "port is there too; ports is taken")
    }
    let ports = value["ports"]?.elements ?? value["port"].map { [$0] } ?? []
    let legal = ports.compactMap(\.integer).filter { (1...65535).contains($0) }
    if targets.isEmpty || legal.isEmpty || legal.count != ports.count {
      report.warning(value.position, path, "dead: it has no host, or no port from 1 to 65535; left out")
      return []
    }
    let port: (String, Value?) =
      legal.count == 1 ? ("port", .plain("\(legal[0])")) : ("ports", .array(legal.map { .plain("\($0)") }))
    let isAddress = targets[0].0 == "address"
    let inspected = isAddress ? [] : inspection(value, path)
    if isAddress, value["protocol"] != nil || value["rules"] != nil {
      report.warning(value.position, path, "weaker than it reads: requests to an address are not inspected")
    }
    let ips: [(String, Value?)] =
      isAddress ? [] : [("allowed_ips", value["allowed_ips"].map { .texts($0.elements.compactMap(\.text)) })]
    return targets.map { .object([$0, port] + inspected + ips) }
  }

  private mutating func inspection(_ value: Value, _ path: String) -> [(String, Value?)] {
    let written = value["protocol"]?.text?.lowercased()
    let rules = value["rules"]?.elements ?? []
    var application = written == "tcp" ? nil : written
    if let tls = value["tls"], tls.text != "skip" {
      report.warning(tls.position, "\(path).tls", "no meaning: \(tls.text ?? "") does nothing; left out")
    }
    if application == nil, !rules.isEmpty {
      report.warning(
        value.position, path,
        "weaker than it reads: without protocol its rules are never looked at and every request passes; protocol: rest put in"
      )
      application = "rest"
    }
    guard let application else {
      if let access = value["access"] {
        report.warning(access.position, "\(path).access", "no meaning without protocol; left out")
      }
      return [("tls", value["tls"]?.text == "skip" ? .text("skip") : nil)]
    }
    guard Inspection.Application(rawValue: application) != nil else {
      report.warning(
        value.position, "\(path).protocol",
        "\(Diagnostic.quoted(application)) is not known; left out, and nothing is allowed")
      return [("protocol", .text("rest")), ("rules", .array([Self.never]))]
    }
    let enforcement = value["enforcement"]
    if enforcement?.text == "audit" {
      report.warning(
        (enforcement ?? value).position, "\(path).enforcement",
        "weaker than it reads: audit records refusals and lets them pass; kept")
    } else if enforcement?.text != "enforce" {
      let text = enforcement?.text.map { "\(Diagnostic.quoted($0)) is not exactly enforce" } ?? "it is not there"
      report.warning(
        (enforcement ?? value).position, "\(path).enforcement",
        "weaker than it reads: \(text), so OpenShell only records; enforced here")
    }
    var allow = rules.compactMap { $0["allow"] }.map { request($0, "\(path).rules", denying: false) }
    let access = value["access"]?.text.flatMap { ["read-only", "read-write", "full"].contains($0) ? $0 : nil }
    if let given = value["access"], access == nil {
      report.warning(
        given.position, "\(path).access",
        "no meaning: \(Diagnostic.quoted(given.text ?? "")) is ignored there; left out")
    }
    if access == nil, allow.isEmpty {
      report.warning(value.position, path, "it allows no request, so everything is refused")
      allow = [Self.request([("method", .text("NONE"))])]
    }
    let deny = (value["deny_rules"]?.elements ?? []).map { request($0, "\(path).deny_rules", denying: true) }
    let flags = [
      "allow_encoded_slash", "websocket_credential_rewrite", "request_body_credential_rewrite",
      "allow_uninspected_credentials",
    ]
    let bytes =
      value["graphql_max_body_bytes"] ?? value["json_rpc"]?["max_body_bytes"] ?? value["mcp"]?["max_body_bytes"]
    if let all = value["mcp"]?["allow_all_known_mcp_methods"], all.isTrue {
      report.warning(
        all.position, "\(path).mcp.allow_all_known_mcp_methods", "not carried over: write the methods as rules")
    }
    return [
      ("path", value["path"]?.text.flatMap { $0.isEmpty ? nil : .text($0) }), ("protocol", .text(application)),
      ("enforcement", .text(enforcement?.text == "audit" ? "audit" : "enforce")),
      ("access", allow.isEmpty ? access.map { .text($0) } : nil),
      ("rules", allow.isEmpty ? nil : .array(allow.map { .object([("allow", $0)]) })),
      ("deny_rules", deny.isEmpty ? nil : .array(deny)),
    ] + flags.map { ($0, value[$0]?.isTrue == true ? .plain("true") : nil) } + [
      ("max_body_bytes", bytes?.text.map { .plain($0) }),
      ("strict_tool_names", value["mcp"]?["strict_tool_names"]?.text == "false" ? .plain("false") : nil),
    ]
  }

  private static let never = Value.object([("allow", request([("method", .text("NONE"))]))])

  private static func request(_ members: [(String, Value?)]) -> Value { .object(members) }

  private mutating func request(_ value: Value, _ path: String, denying: Bool) -> Value {
    let known = ["method", "path", "query", "operation_type", "operation_name", "fields", "tool", "params", "command"]
    unknownKeys(value, known, path)
    var members: [(String, Value?)] = []
    for entry in value.entries where known.contains(entry.key) {
      switch entry.key {
      case "path":
        var text = entry.value.text ?? "/**"
        if text == "**" { text = "/**" }
        if denying, text.contains("*"), !text.contains("**") {
          let wide = text.replacing("*", with: "**")
          report.warning(
            entry.position, "\(path).path",
            "narrower than it reads: there * stops at /, so \(text) lets deeper paths through; \(wide) here")
          text = wide
        }
        members.append(("path", .text(text)))
      case "params": members.append(("tool", entry.value["name"]?.text.map { .text($0) }))
      case "query", "operation_name", "fields", "tool":
        if Self.holdsStar(entry.value) {
          report.note(entry.position, "\(path).\(entry.key)", "there * stops at a dot; here it does not")
        }
        members.append((entry.key, Self.copy(entry.value)))
      case "method"
      where entry.value.text != entry.value.text?.uppercased() && value["tool"] == nil && value["params"] == nil
        && !(entry.value.text ?? "").contains("/"):
        report.warning(entry.position, "\(path).method", "methods are in capitals; changed")
        members.append(("method", .text((entry.value.text ?? "").uppercased())))
      default: members.append((entry.key, Self.copy(entry.value)))
      }
    }
    return .object(members)
  }

  private static func holdsStar(_ value: Value) -> Bool {
    value.text?.contains("*") ?? false || value.elements.contains(where: holdsStar)
      || value.entries.contains { holdsStar($0.value) }
  }

  private static func copy(_ value: Value) -> Value {
    switch value.kind {
    case .scalar(let text, _): .text(text)
    case .list(let values): .array(values.map(copy))
    case .map(let entries): .object(entries.map { ($0.key, copy($0.value)) })
    }
  }
}
