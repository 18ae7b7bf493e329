import NemoPolicy

extension Decoder {
  func networkRules(_ value: Value?) -> [NetworkRule] {
    (value?.entries ?? []).map { entry in
      NetworkRule(
        name: entry.key, endpoints: (entry.value["endpoints"]?.elements ?? []).compactMap(endpoint),
        binaries: entry.value["binaries"].map { list in
          list.elements.compactMap { $0["path"]?.text }.map { Glob($0, separator: .slash) }
        })
    }
  }

  /// The endpoint; nil where its target does not parse, which the schema has refused before.
  func endpoint(_ value: Value) -> Endpoint? {
    let target: Endpoint.Target
    if let host = value["host"]?.text {
      target = .host(Glob(Host.canonical(host), separator: .dot))
    } else if let text = value["address"]?.text, let network = try? IPNetwork(text) {
      target = .network(network)
    } else {
      return nil
    }
    return Endpoint(
      target: target, ports: ports(value),
      transport: value["transport"]?.text.flatMap(Transport.init(rawValue:)) ?? .tcp,
      inspection: inspection(value), origin: origin(value))
  }

  func ports(_ value: Value) -> [ClosedRange<UInt16>] {
    let texts = value["port"].map { [$0] } ?? value["ports"]?.elements ?? []
    return texts.compactMap { item in
      guard let text = item.text else { return nil }
      return UInt16(text).map { $0...$0 } ?? PortRange.parse(text)
    }
  }

  private func inspection(_ value: Value) -> Inspection? {
    guard let application = value["protocol"]?.text.flatMap(Inspection.Application.init(rawValue:)) else { return nil }
    let allow: [RequestRule]
    if let access = value["access"]?.text {
      allow = Self.preset(access, application, origin(value["access"] ?? value))
    } else {
      allow = (value["rules"]?.elements ?? []).compactMap { $0["allow"] }.map(request)
    }
    return Inspection(
      application, selector: value["path"]?.text.map { Glob($0, separator: .slash) },
      isAuditOnly: value["enforcement"]?.text == "audit",
      allowsEncodedSlash: value["allow_encoded_slash"]?.isTrue ?? false,
      allow: allow, deny: (value["deny_rules"]?.elements ?? []).map(request))
  }

  func request(_ value: Value) -> RequestRule {
    var query: [String: [String]] = [:]
    for entry in value["query"]?.entries ?? [] {
      query[entry.key] = entry.value.text.map { [$0] } ?? texts(entry.value["any"])
    }
    let path = value["path"]?.text.map { $0 == "**" ? "/**" : $0 }
    return RequestRule(
      method: value["method"]?.text ?? value["command"]?.text?.uppercased(), path: path, query: query,
      tool: value["tool"]?.text, operation: value["operation_type"]?.text, operationName: value["operation_name"]?.text,
      fields: texts(value["fields"]), origin: origin(value))
  }

  /// The rules of `read-only`, `read-write` and `full`.
  private static func preset(_ access: String, _ application: Inspection.Application, _ origin: Origin) -> [RequestRule]
  {
    if access == "full" { return [RequestRule(origin: origin)] }
    let writes = access == "read-write"
    switch application {
    case .rest:
      let methods = ["GET", "HEAD", "OPTIONS"] + (writes ? ["POST", "PUT", "PATCH"] : [])
      return methods.map { RequestRule(method: $0, origin: origin) }
    case .websocket:
      return (["GET"] + (writes ? ["WEBSOCKET_TEXT"] : [])).map { RequestRule(method: $0, origin: origin) }
    case .graphql:
      return (["query"] + (writes ? ["mutation"] : [])).map { RequestRule(operation: $0, origin: origin) }
    case .sql, .jsonRPC, .mcp: return []
    }
  }
}
