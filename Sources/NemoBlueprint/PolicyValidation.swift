import NemoPolicy

extension Validation {
  mutating func systemCalls() {
    let calls = root["policy"]?["system_calls"]
    var denied: [String: Int] = [:]
    for rule in calls?["deny"]?.elements ?? [] where rule["arguments"]?.elements.isEmpty != false {
      for name in rule["names"]?.elements ?? [] { denied[name.text ?? ""] = name.position.line }
    }
    for (path, rule) in items(calls?["allow"], "policy.system_calls.allow") {
      for (field, name) in items(rule["names"], "\(path).names") {
        let text = name.text ?? ""
        if let line = denied[text] {
          diagnostics.error(
            name.position, field, "\(text) is denied in line \(line), which wins; remove one of the two")
        } else if AgentProfile.allowed.contains(text) {
          diagnostics.warning(name.position, field, "\(text) is in the profile agent already; remove it")
        } else if let reason = Self.escapes[text] {
          diagnostics.error(name.position, field, "\(text) \(reason); a sandbox never gets it")
        } else if rule["arguments"] == nil, AgentProfile.conditional.contains(where: { $0.names.contains(text) }) {
          diagnostics.warning(
            name.position, field, "gives \(text) for all arguments, where the profile agent looks at them; name some")
        } else if AgentProfile.refused.contains(text) {
          diagnostics.warning(
            name.position, field, "\(text) is refused by the profile agent for a reason; this gives it back")
        }
      }
    }
    for (path, rule) in items(calls?["deny"], "policy.system_calls.deny") {
      for (field, name) in items(rule["names"], "\(path).names") {
        if ["execve", "exit", "exit_group", "rt_sigreturn"].contains(name.text), rule["arguments"] == nil {
          diagnostics.error(name.position, field, "no program runs without \(name.text ?? "")")
        }
      }
    }
    do throws(SystemCallFilter.TooManyEntries) {
      _ = try SystemCallFilter(blueprint.systemCalls)
    } catch {
      diagnostics.error(
        calls?.position ?? Position(line: 1, column: 1), "policy.system_calls",
        "the rules of \(error.name) compare too much for one filter; compare the 32 bits of an int (masked_eq, mask 4294967295), or fewer arguments"
      )
    }
    for (path, value) in items(root["policy"]?["capabilities"], "policy.capabilities") {
      if let reason = Capabilities.refused[value.text ?? ""] {
        diagnostics.error(value.position, path, "\(value.text ?? "") \(reason); a sandbox never gets it")
      }
    }
    duplicates(items(root["policy"]?["capabilities"], "policy.capabilities"))
    let landlock = root["policy"]?["landlock"]
    if let value = landlock?["compatibility"], value.text == "best_effort" {
      diagnostics.warning(
        value.position, "policy.landlock.compatibility",
        "the sandbox also starts where Landlock enforces nothing; list single rights in best_effort instead")
    }
  }

  /// Calls that undo the sandbox, and how.
  private static let escapes: [String: String] = {
    var table: [String: String] = [:]
    let groups = [
      ("io_uring_setup io_uring_enter io_uring_register", "does what other system calls do, past the filter"),
      ("unshare setns clone clone3", "makes or joins namespaces"),
      (
        "mount umount2 pivot_root fsopen fsconfig fsmount fspick move_mount open_tree open_tree_attr mount_setattr",
        "changes what the paths of the policy mean"
      ),
      ("open_by_handle_at", "opens files past every rule"),
      ("bpf userfaultfd perf_event_open", "reaches into the kernel"),
      ("init_module finit_module delete_module kexec_load kexec_file_load reboot", "changes the host's kernel"),
      ("keyctl add_key request_key", "reaches keys of the host, which are not namespaced"),
    ]
    for (names, reason) in groups { for name in names.split(separator: " ") { table[String(name)] = reason } }
    return table
  }()

  mutating func network() {
    let rules = root["policy"]?["network_policies"]
    let mode = blueprint.sandbox.network
    if mode == .none, let rules, !rules.entries.isEmpty {
      diagnostics.error(
        rules.position, "policy.network_policies",
        "the sandbox has no network (sandbox.network.mode is none), so no rule could ever match",
        legal: ["sandbox.network.mode: veth", "sandbox.network.mode: join"])
    }
    if mode == .host, let value = root["sandbox"]?["network"]?["mode"] {
      diagnostics.warning(
        value.position, "sandbox.network.mode",
        "host needs the operator's flag at the start, and the sandbox then shares the host's network")
    }
    if mode != .join, let value = root["sandbox"]?["network"]?["path"] {
      diagnostics.error(value.position, "sandbox.network.path", "is for mode join alone")
    }
    var places: [String: [Placed]] = [:]
    for entry in rules?.entries ?? [] {
      let path = "policy.network_policies.\(entry.key)"
      for (field, value) in items(entry.value["endpoints"], "\(path).endpoints") {
        endpoint(value, field)
        let key = value["host"]?.text.map(Host.canonical) ?? value["address"]?.text ?? ""
        places[key, default: []].append(Placed(rule: entry.key, field: field, value: value))
      }
      if let binaries = entry.value["binaries"] { programs(binaries, "\(path).binaries", entry.value) }
    }
    for placed in places.values where placed.count > 1 { overlaps(placed) }
  }

  private mutating func programs(_ list: Value, _ path: String, _ rule: Value) {
    for (field, value) in items(list, path) {
      guard let program = value["path"], let text = program.text else { continue }
      if text == "/**" || text == "/*" {
        diagnostics.warning(program.position, "\(field).path", "covers every program; leave binaries out to say so")
      }
    }
    let byAddress = (rule["endpoints"]?.elements ?? []).filter { $0["address"] != nil }
    if let first = byAddress.first {
      diagnostics.warning(
        first.position, path,
        "the packet filter cannot tell programs apart, so this address stays closed until the gate runs; leave binaries out to open it for every program"
      )
    }
  }

  private mutating func endpoint(_ value: Value, _ path: String) {
    let application = value["protocol"]?.text
    let hasRules = value["rules"] != nil || value["access"] != nil
    if application == nil {
      for field in ["rules", "deny_rules", "access", "path", "enforcement", "allow_encoded_slash"] {
        guard let inner = value[field], !(field == "access" && inner.text == "full"),
          !(field == "enforcement" && inner.text == "enforce")
        else { continue }
        diagnostics.error(
          inner.position, "\(path).\(field)",
          "needs protocol: without it nothing looks into the connection and the field does nothing",
          legal: ["rest", "websocket", "graphql", "sql", "json-rpc", "mcp"])
      }
    } else if !hasRules {
      diagnostics.error(value.position, path, "protocol needs rules or access, or it refuses everything")
    }
    if let application, let access = value["access"], ["mcp", "json-rpc", "sql"].contains(application),
      access.text != "full"
    {
      diagnostics.error(
        access.position, "\(path).access", "\(application) has no \(access.text ?? ""); write rules", legal: ["full"])
    }
    if let tls = value["tls"], tls.text == "skip", let application {
      diagnostics.error(tls.position, "\(path).tls", "skip leaves \(application) unread; remove one of the two")
    }
    if value["transport"]?.text == "udp", let inner = value["protocol"] {
      diagnostics.error(inner.position, "\(path).protocol", "is for tcp")
    }
    if let enforcement = value["enforcement"], enforcement.text == "audit" {
      diagnostics.warning(enforcement.position, "\(path).enforcement", "audit records refusals and lets them pass")
    }
    address(value, path)
    for (field, rule) in items(value["rules"], "\(path).rules") {
      if let allow = rule["allow"] {
        request(allow, "\(field).allow", application)
        let shadow = (value["deny_rules"]?.elements ?? []).first { deny in
          deny.json == allow.json || deny.entries.allSatisfy { entry in allow[entry.key]?.json == entry.value.json }
        }
        if let shadow {
          diagnostics.error(
            allow.position, "\(field).allow", "never applies: the deny rule in line \(shadow.position.line) covers it")
        }
      }
    }
    for (field, rule) in items(value["deny_rules"], "\(path).deny_rules") { request(rule, field, application) }
  }

  private mutating func address(_ value: Value, _ path: String) {
    let targets =
      [("address", value["address"])] + items(value["allowed_ips"], "allowed_ips").map { ($0.path, Optional($0.value)) }
    for (field, target) in targets {
      guard let target, let text = target.text, let network = try? IPNetwork(text) else { continue }
      if network.prefix < (network.base.isIPv4 ? 8 : 16) {
        diagnostics.error(
          target.position, "\(path).\(field)", "\(text) is too wide; name at most a /\(network.base.isIPv4 ? 8 : 16)")
      } else if let kind = SpecialAddresses.kind(network), kind != "private", kind != "shared" {
        let text =
          kind == "loopback"
          ? "is the sandbox's own loopback, which needs no rule" : "is \(kind), which a sandbox never reaches"
        diagnostics.error(target.position, "\(path).\(field)", "\(network) \(text)")
      }
    }
    if let ips = value["allowed_ips"], value["host"] == nil {
      diagnostics.error(ips.position, "\(path).allowed_ips", "goes with host")
    }
    let ports = items(value["ports"], "\(path).ports")
    duplicates(ports)
  }

  private mutating func request(_ value: Value, _ path: String, _ application: String?) {
    if value.entries.isEmpty {
      diagnostics.error(value.position, path, "names nothing; write method: \"*\" to mean every request")
    }
    let fields: [String: [String]] = [
      "rest": ["method", "path", "query"], "websocket": ["method", "path", "query"],
      "graphql": ["operation_type", "operation_name", "fields"], "json-rpc": ["method"], "mcp": ["method", "tool"],
      "sql": ["command"],
    ]
    guard let application, let legal = fields[application] else { return }
    for entry in value.entries where !legal.contains(entry.key) {
      diagnostics.error(
        entry.position, "\(path).\(entry.key)", "means nothing for protocol \(application)", legal: legal)
    }
    if let method = value["method"], ["rest", "websocket"].contains(application), let text = method.text {
      let known =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "*"]
        + (application == "websocket" ? ["WEBSOCKET_TEXT"] : [])
      if !text.contains("*"), !known.contains(text) {
        let isUnknown = text != text.uppercased() || text == "WEBSOCKET_TEXT"
        if isUnknown {
          diagnostics.error(
            method.position, "\(path).method", "\(Diagnostic.quoted(text)) is no method; methods are in capitals",
            legal: known)
        }
      }
    }
  }
}
