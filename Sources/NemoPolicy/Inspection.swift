/// How requests on an endpoint are decided.
public struct Inspection: Sendable {
  /// What is spoken there.
  public enum Application: String, Sendable, CaseIterable {
    case rest
    case websocket
    case graphql
    case jsonRPC = "json-rpc"
    case mcp
    case sql
  }

  /// What is spoken.
  public var application: Application
  /// Which paths the endpoint speaks for, where several share a host.
  public var selector: Glob?
  /// A refused request is recorded and forwarded all the same.
  public var isAuditOnly: Bool
  /// `%2F` stays part of its segment.
  public var allowsEncodedSlash: Bool
  /// Any of them allows.
  public var allow: [RequestRule]
  /// Any of them refuses, whatever is allowed anywhere else for this destination.
  public var deny: [RequestRule]

  /// How an endpoint is inspected.
  public init(
    _ application: Application, selector: Glob? = nil, isAuditOnly: Bool = false, allowsEncodedSlash: Bool = false,
    allow: [RequestRule], deny: [RequestRule] = []
  ) {
    self.application = application
    self.selector = selector
    self.isAuditOnly = isAuditOnly
    self.allowsEncodedSlash = allowsEncodedSlash
    self.allow = allow
    self.deny = deny
  }
}

/// One pattern of requests. Parts that are nil match everything.
public struct RequestRule: Sendable {
  /// HTTP method, MCP or JSON-RPC method, SQL command.
  public var method: Glob?
  /// Path.
  public var path: Glob?
  /// Patterns by query name.
  public var query: [String: [Glob]]
  /// MCP tool.
  public var tool: Glob?
  /// GraphQL: `query`, `mutation`, `subscription`.
  public var operation: Glob?
  /// GraphQL operation name.
  public var operationName: Glob?
  /// GraphQL root fields.
  public var fields: [Glob]
  /// Where it was written.
  public var origin: Origin

  /// A pattern of requests.
  public init(
    method: String? = nil, path: String? = nil, query: [String: [String]] = [:], tool: String? = nil,
    operation: String? = nil, operationName: String? = nil, fields: [String] = [], origin: Origin
  ) {
    let glob = { (text: String) in Glob(text, separator: .none) }
    self.method = method.map { glob($0) }
    self.path = path.map { Glob($0, separator: .slash) }
    self.query = query.mapValues { $0.map { glob($0) } }
    self.tool = tool.map { glob($0) }
    self.operation = operation.map { glob($0) }
    self.operationName = operationName.map { glob($0) }
    self.fields = fields.map { glob($0) }
    self.origin = origin
  }
}

/// Decides requests on inspected connections.
enum Inspector {
  /// A message with its canonical target.
  private struct Request {
    var application: Inspection.Application?
    var method: String
    var target: RequestTarget?
    var tool: String?
    var operation: (type: String, name: String, fields: [String])?
  }

  static func decide(
    _ connection: Connection, _ message: Message, _ candidates: [NetworkRules.Candidate]
  ) -> Decision {
    guard candidates.contains(where: { $0.endpoint.inspection != nil }) else {
      return Decision(
        .allow, by: .gate, rule: (candidates[0].name, candidates[0].endpoint.origin),
        reason: "\(candidates[0].name) covers \(connection.target) and is not inspected")
    }
    let inspected = candidates.filter { $0.endpoint.inspection != nil }
    let request: Request
    do throws(RequestTarget.Refusal) {
      request = try canonical(message, inspected.contains { $0.endpoint.inspection?.allowsEncodedSlash == true })
    } catch {
      return Decision(
        .deny, by: .gate, rule: (inspected[0].name, inspected[0].endpoint.origin),
        reason: "the request target \(error.reason), which is refused before any rule")
    }
    var allowance: Decision?
    var auditOnly = false
    for candidate in inspected {
      let name = candidate.name
      guard let inspection = candidate.endpoint.inspection, speaks(inspection, request) else { continue }
      auditOnly = auditOnly || inspection.isAuditOnly
      if let rule = inspection.deny.first(where: { matches($0, request, denying: true) }) {
        var decision = Decision(
          .deny, by: .gate, rule: ("\(name).deny_rules", rule.origin), reason: "a deny rule of \(name) matches")
        if inspection.isAuditOnly {
          decision.verdict = .allow
          decision.isAuditOnly = true
          allowance = decision
          continue
        }
        return decision
      }
      if allowance == nil, let rule = inspection.allow.first(where: { matches($0, request, denying: false) }) {
        allowance = Decision(
          .allow, by: .gate, rule: ("\(name).rules", rule.origin), reason: "a rule of \(name) matches")
      }
    }
    if let allowance { return allowance }
    var decision = Decision(
      .deny, by: .gate, rule: (inspected[0].name, inspected[0].endpoint.origin),
      reason: "no rule of \(inspected[0].name) allows \(describe(request))")
    if auditOnly {
      decision.verdict = .allow
      decision.isAuditOnly = true
    }
    return decision
  }

  private static func canonical(_ message: Message, _ slash: Bool) throws(RequestTarget.Refusal) -> Request {
    switch message {
    case .http(let method, let target):
      return Request(method: method, target: try RequestTarget(target, allowsEncodedSlash: slash))
    case .webSocketText(let target):
      return Request(
        application: .websocket, method: "WEBSOCKET_TEXT", target: try RequestTarget(target, allowsEncodedSlash: slash))
    case .graphQL(let operation, let name, let fields):
      return Request(application: .graphql, method: operation, operation: (operation, name, fields))
    case .jsonRPC(let method): return Request(application: .jsonRPC, method: method)
    case .mcp(let method, let tool): return Request(application: .mcp, method: method, tool: tool)
    case .sql(let command): return Request(application: .sql, method: command.uppercased())
    }
  }

  private static func speaks(_ inspection: Inspection, _ request: Request) -> Bool {
    guard let application = request.application else {
      guard inspection.application == .rest || inspection.application == .websocket else { return false }
      guard let selector = inspection.selector, let target = request.target else { return true }
      return selector.matches(target.path)
    }
    return application == inspection.application
  }

  private static func matches(_ rule: RequestRule, _ request: Request, denying: Bool) -> Bool {
    if let method = rule.method, !method.matches(request.method),
      !(request.method == "HEAD" && request.target != nil && method.matches("GET"))
    {
      return false
    }
    if let path = rule.path, !(request.target.map { path.matches($0.path) } ?? false) { return false }
    for (key, patterns) in rule.query {
      let values = (request.target?.query ?? []).filter { $0.name == key }.map(\.value)
      let hit = { (value: String) in patterns.contains { $0.matches(value) } }
      guard denying ? values.contains(where: hit) : !values.isEmpty && values.allSatisfy(hit) else { return false }
    }
    if let tool = rule.tool, !(request.tool.map(tool.matches) ?? false) { return false }
    guard let operation = request.operation else {
      return rule.operation == nil && rule.operationName == nil && rule.fields.isEmpty
    }
    if let type = rule.operation, !type.matches(operation.type) { return false }
    if let name = rule.operationName, !name.matches(operation.name) { return false }
    guard !rule.fields.isEmpty else { return true }
    let hit = { (field: String) in rule.fields.contains { $0.matches(field) } }
    return denying
      ? operation.fields.contains(where: hit) : !operation.fields.isEmpty && operation.fields.allSatisfy(hit)
  }

  private static func describe(_ request: Request) -> String {
    if let target = request.target { return "\(request.method) \(target.path)" }
    if let tool = request.tool { return "\(request.method) \(tool)" }
    return request.operation.map { "\($0.type) \($0.name)" } ?? request.method
  }
}
