import NemoFence
import NemoJSON
import NemoKernel
import NemoPolicy

extension FenceConfiguration {
  /// Bytes of a configuration.
  static let sizeLimit = 16 << 20

  /// Reads and checks a configuration (spec/network.md).
  ///
  /// - Throws: one line with the member's JSON pointer.
  public init(file: String) throws(Failure) {
    let bytes = try Files.read(file, limit: FenceConfiguration.sizeLimit)
    try self.init(json: bytes, subject: file)
  }

  /// Reads and checks a configuration; errors name `subject`.
  public init(json: [UInt8], subject: String) throws(Failure) {
    do throws(Failure) { try self.init(JSONDocument(parsing: json, subject: subject)) } catch {
      throw error.operation.isEmpty ? error.within("read \(subject)") : error
    }
    if let problem { throw Failure("read", subject, reason: problem) }
  }

  private init(_ document: JSONDocument) throws(Failure) {
    let root = document.root
    try root.allow(["apiVersion", "kind", "mode", "rules", "gate", "ports", "pool", "logGroup"])
    try root.required("apiVersion").expect("nemoshell/v1")
    try root.required("kind").expect("Network")
    self.init(mode: try root.required("mode").word())
    rules = try root.field("rules")?.array { (node) throws(Failure) in try Rule(node) } ?? []
    gate = try root.field("gate")?.array { (node) throws(Failure) in try GateRule(node) } ?? []
    ports = try root.field("ports")?.array { (node) throws(Failure) in try PublishedPort(node) } ?? []
    if let node = try root.field("pool") {
      try node.allow(["ipv4", "ipv6"])
      if let ipv4 = try node.field("ipv4") { pool.ipv4 = try ipv4.network() }
      if let ipv6 = try node.field("ipv6") { pool.ipv6 = try ipv6.network() }
    }
    logGroup = try root.field("logGroup")?.integer() ?? logGroup
  }
}

extension FenceConfiguration.Rule {
  fileprivate init(_ node: JSONNode) throws(Failure) {
    try node.allow(["name", "network", "ports", "protocol", "file", "line"])
    self.init(
      network: try node.required("network").network(), ports: try node.required("ports").ports(),
      transport: try node.required("protocol").word(), name: try node.required("name").string(),
      origin: try node.origin())
  }
}

extension FenceConfiguration.GateRule {
  fileprivate init(_ node: JSONNode) throws(Failure) {
    try node.allow(["name", "target", "ports", "protocol", "file", "line"])
    self.init(
      target: try node.required("target").string(),
      ports: try node.required("ports").array { (port) throws(Failure) in try port.ports() },
      transport: try node.required("protocol").word(), name: try node.required("name").string(),
      origin: try node.origin())
  }
}

extension FenceConfiguration.PublishedPort {
  fileprivate init(_ node: JSONNode) throws(Failure) {
    try node.allow(["address", "host", "container", "protocol"])
    let text = try node.required("address").string()
    guard let address = IPAddress(text) else { throw try node.required("address").failure("\"\(text)\" is no address") }
    self.init(
      address: address, host: try node.required("host").integer(), container: try node.required("container").integer(),
      transport: try node.required("protocol").word())
  }
}

extension JSONNode {
  fileprivate func allow(_ names: Set<String>) throws(Failure) {
    for member in try members() where !names.contains(member.name) {
      throw member.node.failure("is unknown", advice: "legal: \(names.sorted().joined(separator: ", "))")
    }
  }

  fileprivate func expect(_ text: String) throws(Failure) {
    let found = try string()
    guard found == text else { throw failure("\"\(found)\" is not known; legal: \(text)") }
  }

  fileprivate func word<T: RawRepresentable<String> & CaseIterable>() throws(Failure) -> T {
    let text = try string()
    guard let word = T(rawValue: text) else {
      throw failure("\"\(text)\" is not known; legal: \(T.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return word
  }

  fileprivate func network() throws(Failure) -> IPNetwork {
    let text = try string()
    do throws(IPNetwork.ParseError) { return try IPNetwork(text) } catch {
      throw failure("\"\(text)\" is no address or CIDR range")
    }
  }

  /// `PORT` or `FIRST-LAST`, as a text.
  fileprivate func ports() throws(Failure) -> ClosedRange<UInt16> {
    let text = try string()
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
    guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first > 0, first <= last else {
      throw failure("\"\(text)\" is no port or range of ports")
    }
    return first...last
  }

  fileprivate func origin() throws(Failure) -> Origin {
    Origin(file: try required("file").string(), line: try required("line").integer())
  }
}
