import NemoPolicy
import Testing

/// Decides requests on a policy of one inspected endpoint, api.example.com:443.
private func policy(_ inspection: Inspection, binaries: [String]? = nil, hasGate: Bool = true) -> Policy {
  var rules = Policy.Rules()
  rules.hasGate = hasGate
  rules.network = [
    NetworkRule(
      name: "api",
      endpoints: [
        Endpoint(
          target: .host(Glob("api.example.com", separator: .dot)), ports: [443...443], inspection: inspection,
          origin: Origin(file: "b.yaml", line: 7))
      ], binaries: binaries?.map { Glob($0, separator: .slash) })
  ]
  return Policy(rules)
}

private let origin = Origin(file: "b.yaml", line: 9)
private let everything = RequestRule(origin: origin)
private let api = Connection(to: .name("api.example.com"), port: 443)

private func verdict(_ policy: Policy, _ method: String, _ target: String) -> Verdict {
  policy.decide(.request(api, .http(method: method, target: target))).verdict
}

@Suite struct RequestTests {
  @Test func aStarStaysInItsSegmentAndTheSpecificationSaysSo() {
    let p = policy(
      Inspection(.rest, allow: [everything], deny: [RequestRule(method: "DELETE", path: "/repos/*", origin: origin)]))
    #expect(verdict(p, "DELETE", "/repos/a") == .deny)
    #expect(verdict(p, "DELETE", "/repos/a/b") == .allow)
    let all = policy(
      Inspection(.rest, allow: [everything], deny: [RequestRule(method: "DELETE", path: "/repos/**", origin: origin)]))
    #expect(verdict(all, "DELETE", "/repos/a/b") == .deny)
    #expect(verdict(all, "DELETE", "/repos") == .deny)
    #expect(verdict(all, "GET", "/repos") == .allow)
  }

  @Test func queryPatternsHaveNoDelimiter() {
    let rule = RequestRule(query: ["ref": ["release-*"]], origin: origin)
    let denying = policy(Inspection(.rest, allow: [everything], deny: [rule]))
    #expect(verdict(denying, "GET", "/x?ref=release-1.2") == .deny)
    #expect(verdict(denying, "GET", "/x?ref=main&ref=release%2D1") == .deny)
    #expect(verdict(denying, "GET", "/x?ref=main") == .allow)
    #expect(verdict(denying, "GET", "/x") == .allow)
    let allowing = policy(Inspection(.rest, allow: [rule]))
    #expect(verdict(allowing, "GET", "/x?ref=release-1.2") == .allow)
    #expect(verdict(allowing, "GET", "/x?ref=release-1&ref=main") == .deny)
    #expect(verdict(allowing, "GET", "/x") == .deny)
  }

  @Test func toolPatternsHaveNoDelimiter() {
    let p = policy(Inspection(.mcp, allow: [everything], deny: [RequestRule(tool: "delete_*", origin: origin)]))
    #expect(p.decide(.request(api, .mcp(method: "tools/call", tool: "delete_repo.v2"))).verdict == .deny)
    #expect(p.decide(.request(api, .mcp(method: "tools/call", tool: "read"))).verdict == .allow)
    #expect(p.decide(.request(api, .mcp(method: "tools/list", tool: nil))).verdict == .allow)
  }

  @Test(arguments: [
    "/a/%2e%2e/b", "/a/..;/b", "/a/%2fx", "/a/%5cx", "/a/%00", "/a/%252e%252e/b", "/a/%zz", "/../a/x", "/a/\\x", "a/x",
    "/a/%ff", "/a/x#y", "/a/%2E%2E/%2e%2e/x",
  ])
  func disguisesAreSeenThroughOrRefused(_ target: String) {
    let p = policy(Inspection(.rest, allow: [RequestRule(path: "/a/*", origin: origin)]))
    #expect(verdict(p, "GET", target) == .deny)
  }

  @Test func canonicalForms() throws {
    #expect(try RequestTarget("//a/x").path == "/a/x")
    #expect(try RequestTarget("/a/%2e%2e/b").path == "/b")
    #expect(try RequestTarget("/a/./b/").path == "/a/b/")
    #expect(try RequestTarget("/a/..").path == "/")
    #expect(try RequestTarget("/a/b/..").path == "/a/")
    #expect(try RequestTarget("/").path == "/")
    #expect(try RequestTarget("/%61?x=1%202+3&y").query.map { "\($0.name)=\($0.value)" } == ["x=1 2 3", "y="])
    #expect(try RequestTarget("/a/%2Fx", allowsEncodedSlash: true).path == "/a/%2Fx")
    let p = policy(Inspection(.rest, allow: [RequestRule(path: "/a/*", origin: origin)]))
    #expect(verdict(p, "GET", "//a/x") == .allow)
  }

  @Test func headFollowsGetAndAuditOnlyRecords() {
    let get = [RequestRule(method: "GET", origin: origin)]
    #expect(verdict(policy(Inspection(.rest, allow: get)), "HEAD", "/") == .allow)
    #expect(verdict(policy(Inspection(.rest, allow: get)), "POST", "/") == .deny)
    let audit = policy(Inspection(.rest, isAuditOnly: true, allow: get)).decide(
      .request(api, .http(method: "POST", target: "/")))
    #expect(audit.verdict == .allow && audit.isAuditOnly)
  }

  @Test func graphQLAllowsOnlyIfEveryRootFieldIsAllowed() {
    let p = policy(
      Inspection(
        .graphql, allow: [RequestRule(operation: "query", fields: ["repository*"], origin: origin)],
        deny: [RequestRule(fields: ["repositorySecrets"], origin: origin)]))
    let ask = { (operation: String, fields: [String]) in
      p.decide(.request(api, .graphQL(operation: operation, name: "", fields: fields))).verdict
    }
    #expect(ask("query", ["repository"]) == .allow)
    #expect(ask("query", ["repository", "viewer"]) == .deny)
    #expect(ask("mutation", ["repository"]) == .deny)
    #expect(ask("query", ["repository", "repositorySecrets"]) == .deny)
    #expect(p.decide(.request(api, .http(method: "GET", target: "/"))).verdict == .deny)
  }

  @Test func aDenyRuleOfAnotherRuleCounts() {
    var rules = Policy.Rules()
    rules.hasGate = true
    let endpoint = { (inspection: Inspection?) in
      Endpoint(
        target: .host(Glob("api.example.com", separator: .dot)), ports: [443...443], inspection: inspection,
        origin: origin)
    }
    rules.network = [
      NetworkRule(name: "wide", endpoints: [endpoint(nil)], binaries: nil),
      NetworkRule(name: "open", endpoints: [endpoint(Inspection(.rest, allow: [everything]))], binaries: nil),
      NetworkRule(
        name: "shut",
        endpoints: [endpoint(Inspection(.rest, allow: [], deny: [RequestRule(method: "DELETE", origin: origin)]))],
        binaries: nil),
    ]
    let p = Policy(rules)
    #expect(verdict(p, "DELETE", "/x") == .deny)
    #expect(verdict(p, "GET", "/x") == .allow)
  }

  @Test func programsAndTheGate() {
    let p = policy(Inspection(.rest, allow: [everything]), binaries: ["/usr/bin/git"])
    var connection = api
    #expect(p.decide(.connect(connection)).verdict == .deny)
    connection.binary = "/usr/bin/curl"
    #expect(p.decide(.connect(connection)).verdict == .deny)
    connection.binary = "/usr/bin/git"
    #expect(p.decide(.connect(connection)).verdict == .allow)
    let without = policy(Inspection(.rest, allow: [everything]), hasGate: false).decide(.connect(api))
    #expect(without.verdict == .deny && without.mechanism == .nftables && without.origin?.line == 7)
  }
}
