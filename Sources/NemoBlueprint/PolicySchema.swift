import NemoPolicy

extension BlueprintSchema {
  static let policy: Schema = .named(
    "Policy",
    .object([
      Field("filesystem", filesystem, required: true, "Files; what is not named is closed."),
      Field("landlock", landlock, "What happens where the kernel cannot enforce a right."),
      Field("process", identity, "User and groups."),
      Field("system_calls", systemCalls, "System calls."),
      Field("capabilities", .list(.text(.capability), 0...41), "Capabilities; default none."),
      Field("network_policies", .map(.ruleName, networkRule, limit: 20_000), "Network rules by name; default none."),
    ]))

  private static let paths: Schema = .list(.text(.path), 0...256)

  private static let filesystem: Schema = .named(
    "Filesystem",
    .object([
      Field("include_workdir", .boolean, "Add the working directory to `read_write`; default false."),
      Field(
        "read_only", paths, "Read and execute, here and below. Below a `read_write` path it becomes a read-only mount."),
      Field("read_write", paths, "Read, change, create and remove, here and below; not execute."),
      Field("execute", paths, "Execute, here and below."),
      Field(
        "rules",
        .list(
          .object([
            Field("paths", .list(.text(.path), 1...256), required: true, "Here and below."),
            Field("allow", .list(.choice(FileRights.all.map(\.name)), 1...16), required: true, "Landlock rights."),
          ]), 0...256), "Single rights."),
    ]))

  private static let landlock: Schema = .named(
    "Landlock",
    .object([
      Field(
        "compatibility", .choice(["hard_requirement", "best_effort"]),
        "`hard_requirement` (default): no start unless every right is enforced. `best_effort`: start, and say what is missing."
      ),
      Field(
        "best_effort",
        .list(
          .choice(FileRights.all.filter { $0.abi > 1 }.map(\.name) + ["connect_tcp", "bind_tcp", "scope"]), 0...16),
        "Rights that may be missing where the rest is required."),
    ]))

  private static let identity: Schema = .named(
    "Identity",
    .object([
      Field("run_as_user", .text(.userName), "User; default 65532. A name is looked up in the rootfs."),
      Field("run_as_group", .text(.userName), "Group; default 65532."),
      Field("groups", .list(.text(.userName), 0...64), "More groups; default none."),
      Field("allow_root", .boolean, "Permit user or group 0; default false."),
    ]))

  private static let arguments: Schema = .list(
    .object([
      Field("index", .integer(0...5), required: true, "Which argument."),
      Field("comparison", .choice(ArgumentCondition.Comparison.allCases.map(\.rawValue)), required: true, "How."),
      Field("value", .integer(0...Int.max), required: true, "With what."),
      Field("mask", .integer(0...Int.max), "Bits looked at by masked_eq."),
    ]), 0...6)

  private static let systemCalls: Schema = .named(
    "SystemCalls",
    .object([
      Field("profile", .choice([AgentProfile.name]), "What the lists start from; default agent."),
      Field(
        "allow",
        .list(
          .object([
            Field("names", .list(.text(.systemCall), 1...512), required: true, "System calls."),
            Field("arguments", arguments, "All must hold."),
          ]), 0...256), "Allowed in addition."),
      Field(
        "deny",
        .list(
          .object([
            Field("names", .list(.text(.systemCall), 1...512), required: true, "System calls."),
            Field("arguments", arguments, "All must hold."),
            Field("errno", .text(.errno), "What the call fails with; default EPERM."),
          ]), 0...256), "Refused, whatever allows them."),
    ]))

  private static let networkRule: Schema = .named(
    "NetworkRule",
    .object([
      Field("name", .text(.word), "For people; default the rule's key."),
      Field("endpoints", .list(endpoint, 1...20_000), required: true, "What may be reached."),
      Field(
        "binaries", .list(binary, 1...256),
        "Programs that may use the rule; without the list, every program. Only the gate can tell programs apart."),
    ]))

  private static let binary: Schema = .named(
    "Binary",
    .object([
      Field("path", .text(.pathPattern), required: true, "The program: for a script its interpreter."),
      Field("script", .text(.pathPattern), "The script, where path is an interpreter."),
    ]))

  private static let portNumber: Schema = .integer(1...65535)

  private static let endpoint: Schema = .named(
    "Endpoint",
    .object(
      [
        Field("host", .text(.host), "Host name or pattern: `*` one label, `**` one or more. Needs the gate."),
        Field("address", .text(.network), "Address or CIDR range. Enforced by the packet filter."),
        Field("port", portNumber, "Port."),
        Field("ports", .list(.text(.portOrRange), 1...64), "Ports and ranges (`8000-8080`)."),
        Field("transport", .choice(["tcp", "udp"]), "Default tcp."),
        Field(
          "protocol", .choice(["rest", "websocket", "graphql", "sql", "json-rpc", "mcp"]),
          "What is spoken, for requests to be decided one by one."),
        Field("path", .text(.requestPath), "Paths this endpoint speaks for, where several share a host."),
        Field("tls", .choice(["auto", "skip"]), "`skip`: pass TLS through unopened; default auto."),
        Field("enforcement", .choice(["enforce", "audit"]), "`audit` records what `enforce` (default) would refuse."),
        Field("access", .choice(["read-only", "read-write", "full"]), "A ready set of rules."),
        Field(
          "rules", .list(.object([Field("allow", request, required: true, "A request.")]), 1...1000),
          "Requests that are allowed."),
        Field("deny_rules", .list(request, 1...1000), "Requests that are refused, whatever allows them."),
        Field(
          "allowed_ips", .list(.text(.network), 1...64), "Addresses the name may resolve to; without it public ones."),
        Field("allow_encoded_slash", .boolean, "Keep `%2F` in a path segment instead of refusing it; default false."),
        Field("websocket_credential_rewrite", .boolean, "Recorded for the gate; default false."),
        Field("request_body_credential_rewrite", .boolean, "Recorded for the gate; default false."),
        Field("allow_uninspected_credentials", .boolean, "Recorded for the gate; default false."),
        Field("max_body_bytes", .integer(1...1 << 30), "Largest body that is inspected; default 65536."),
        Field("strict_tool_names", .boolean, "MCP: refuse tool names beyond letters, digits, `_ . -`; default true."),
      ],
      ObjectRule(exactlyOne: [["host", "address"], ["port", "ports"]], atMostOne: [["rules", "access"]])))

  private static let request: Schema = .named(
    "Request",
    .object([
      Field(
        "method", .text(.pattern), "HTTP method (GET includes HEAD), WEBSOCKET_TEXT, JSON-RPC or MCP method; `*` any."),
      Field("path", .text(.requestPath), "Path: `*` stays in its segment, `**` does not."),
      Field(
        "query",
        .map(
          .pattern,
          .either(
            .text(.pattern), .object([Field("any", .list(.text(.pattern), 1...64), required: true, "One of these.")])),
          limit: 64),
        "Patterns by query name."),
      Field("operation_type", .choice(["query", "mutation", "subscription", "*"]), "GraphQL."),
      Field("operation_name", .text(.pattern), "GraphQL."),
      Field("fields", .list(.text(.pattern), 1...256), "GraphQL root fields."),
      Field("tool", .text(.pattern), "MCP tool."),
      Field("command", .text(.pattern), "SQL command."),
    ]))
}

extension Format {
  static let portOrRange = Format(
    "port or range", "a port or FIRST-LAST", pattern: "^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?$", limit: 11,
    takesNumbers: true
  ) { text in
    if Scalar.isInteger(text) { return UInt16(text).map { $0 > 0 } == true ? nil : "is no port from 1 to 65535" }
    return PortRange.parse(text) == nil ? "is no range of ports from 1 to 65535" : nil
  }
}
