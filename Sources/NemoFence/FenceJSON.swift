import NemoPolicy

extension FenceConfiguration {
  /// The configuration as canonical JSON: sorted keys, no spaces, a newline at the end. Equal configurations give equal bytes.
  public var canonicalJSON: String {
    let origin = { (origin: Origin) in
      [("line", "\(origin.line)"), ("file", Self.quote(origin.file))]
    }
    let rules = rules.map { rule in
      Self.object(
        [
          ("name", Self.quote(rule.name)), ("network", Self.quote("\(rule.network)")),
          ("ports", Self.quote(Self.text(rule.ports))), ("protocol", Self.quote(rule.transport.rawValue)),
        ] + origin(rule.origin))
    }
    let gate = gate.map { rule in
      Self.object(
        [
          ("name", Self.quote(rule.name)), ("target", Self.quote(rule.target)),
          ("ports", Self.list(rule.ports.map { Self.quote(Self.text($0)) })),
          ("protocol", Self.quote(rule.transport.rawValue)),
        ] + origin(rule.origin))
    }
    let ports = ports.map { port in
      Self.object([
        ("address", Self.quote("\(port.address)")), ("host", "\(port.host)"), ("container", "\(port.container)"),
        ("protocol", Self.quote(port.transport.rawValue)),
      ])
    }
    return Self.object([
      ("apiVersion", Self.quote("nemoshell/v1")), ("kind", Self.quote("Network")), ("mode", Self.quote(mode.rawValue)),
      ("rules", Self.list(rules)), ("gate", Self.list(gate)), ("ports", Self.list(ports)),
      ("pool", Self.object([("ipv4", Self.quote("\(pool.ipv4)")), ("ipv6", Self.quote("\(pool.ipv6)"))])),
      ("logGroup", "\(logGroup)"),
    ]) + "\n"
  }

  /// `PORT` or `FIRST-LAST`.
  private static func text(_ ports: ClosedRange<UInt16>) -> String {
    ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
  }

  private static func object(_ members: [(String, String)]) -> String {
    "{" + members.sorted { $0.0 < $1.0 }.map { quote($0.0) + ":" + $0.1 }.joined(separator: ",") + "}"
  }

  private static func list(_ values: [String]) -> String { "[" + values.joined(separator: ",") + "]" }

  private static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x22, 0x5c: quoted += "\\" + String(scalar)
      case 0..<0x20, 0x7f:
        let hex = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
