import NemoBlueprint
import NemoPolicy
import Testing

private func importing(_ text: String, binaries: [String] = []) -> (text: String, report: [String]) {
  var options = BlueprintImport.Options()
  options.binaries = binaries
  let outcome = BlueprintImport.run(Array(text.utf8), file: "os.yaml", options: options)
  return (outcome.text ?? "", outcome.report.sorted.map(\.text))
}

private func policyOf(_ text: String) throws -> Policy {
  let (blueprint, diagnostics) = BlueprintReader.read(Array(text.utf8), file: "b.yaml")
  return try #require(blueprint, "\(diagnostics.sorted.map(\.text))").policy(hasGate: true)
}

private func verdict(_ policy: Policy, _ method: String, _ path: String) -> Verdict {
  let connection = Connection(to: .name("api.example.com"), port: 443, binary: "/usr/bin/git")
  return policy.decide(.request(connection, .http(method: method, target: path))).verdict
}

@Suite struct ImportTests {
  private func policy(_ endpoint: String, binaries: String = "    binaries: [{path: /usr/bin/git}]\n") -> String {
    "version: 1\nfilesystem_policy: {read_only: [/usr, /bin, /etc]}\nlandlock: {compatibility: hard_requirement}\nnetwork_policies:\n  a:\n    endpoints:\n    - host: api.example.com\n      port: 443\n\(endpoint)\(binaries)"
  }

  @Test func denyRulesAreNotNarrowerThanTheyRead() throws {
    let (text, report) = importing(
      policy(
        "      protocol: rest\n      enforcement: enforce\n      access: full\n      deny_rules: [{method: DELETE, path: \"/repos/*\"}]\n"
      ))
    let imported = try policyOf(text)
    #expect(verdict(imported, "DELETE", "/repos/a/b") == .deny && verdict(imported, "DELETE", "/repos/a") == .deny)
    #expect(verdict(imported, "GET", "/repos/a") == .allow)
    #expect(
      report.count == 1 && report[0].hasPrefix("os.yaml:12:") && report[0].contains("narrower than it reads"),
      "\(report)")
  }

  @Test(arguments: ["      enforcement: Enforce\n", "      enforcement: enforced\n", ""])
  func enforcementThatIsNone(_ line: String) throws {
    let (text, report) = importing(policy("      protocol: rest\n\(line)      access: read-only\n"))
    #expect(
      report.count == 1 && report[0].contains("weaker than it reads") && report[0].contains("enforced here"),
      "\(report)")
    #expect(verdict(try policyOf(text), "POST", "/") == .deny)
  }

  @Test func rulesWithoutProtocolAreTakenAtTheirWord() throws {
    let (text, report) = importing(
      policy("      enforcement: enforce\n      rules: [{allow: {method: GET, path: /x}}]\n"))
    #expect(report.count == 1 && report[0].contains("every request passes"), "\(report)")
    #expect(verdict(try policyOf(text), "GET", "/x") == .allow)
    #expect(verdict(try policyOf(text), "GET", "/y") == .deny)
  }

  @Test(arguments: ["", "    binaries: []\n"])
  func rulesWithoutProgramsAreDead(_ binaries: String) throws {
    let source = policy("", binaries: binaries)
    let (text, report) = importing(source)
    #expect(
      !text.contains("api.example.com") && report.count == 1 && report[0].contains("dead: it names no program"),
      "\(report)")
    let (with, _) = importing(source, binaries: ["/usr/bin/git"])
    #expect(
      try policyOf(with).decide(.connect(Connection(to: .name("api.example.com"), port: 443, binary: "/usr/bin/git")))
        .verdict == .allow)
  }

  @Test func filesKeepTheirMeaning() throws {
    let (text, report) = importing(
      "version: 1\nfilesystem_policy:\n  read_only: [/usr, /bin, /sandbox/.ssh, relative]\n  read_write: [/sandbox, /, /tmp]\nlandlock: {compatibility: strict}\n"
    )
    let imported = try policyOf(text)
    let write = { (path: String) in imported.decide(.file(path: path, rights: .writeFile)) }
    #expect(
      write("/sandbox/a").verdict == .allow && write("/tmp/a").verdict == .allow && write("/etc/a").verdict == .deny)
    #expect(write("/sandbox/.ssh/a").mechanism == .readOnlyMount)
    #expect(imported.decide(.file(path: "/sandbox/run", rights: .execute)).verdict == .allow)
    for part in [
      "weaker than it reads: /sandbox/.ssh", "never writable", "dead: \"relative\"",
      "strict, which OpenShell takes for best_effort", "implies execute",
    ] {
      #expect(report.contains { $0.contains(part) }, "\(part): \(report)")
    }
  }

  @Test(arguments: [
    ("version: 2\n", "is no version"), ("version: 1\nversion: 1\n", "more than once"), ("a: b\n", "can be imported"),
    ("version: &a 1\n", "anchor"), ("[]\n", "can be imported"),
  ])
  func whatIsNotImported(_ text: String, _ part: String) {
    let (result, report) = importing(text)
    #expect(result.isEmpty && report.contains { $0.contains(part) }, "\(report)")
  }

  @Test func everyPresetIsAValidBlueprint() throws {
    for preset in Preset.all {
      let rule = try preset.rule(registries: ["https://user:secret@packages.example.com/simple"])
      let text = Template.blueprint(name: "agent", rules: rule)
      let (blueprint, diagnostics) = BlueprintReader.read(Array(text.utf8), file: preset.name)
      #expect(blueprint != nil && diagnostics.sorted.isEmpty, "\(diagnostics.sorted.map(\.text))\n\(text)")
      #expect(!text.contains("secret"))
    }
    #expect(BlueprintReader.read(Array(Template.blueprint(name: "agent").utf8), file: "t").diagnostics.sorted.isEmpty)
  }

  @Test func presetsAllowWhatTheServiceNeeds() throws {
    let rules = try ["github", "telegram", "discord"].map {
      try #require(Preset.named($0)).rule(programs: ["/usr/bin/git"])
    }.joined()
    let policy = try policyOf(Template.blueprint(name: "agent", rules: rules))
    let ask = { (method: String, url: String) throws in
      policy.decide(try #require(Requests.action("\(method) \(url)", binary: "/usr/bin/git"))).verdict
    }
    #expect(try ask("GET", "https://github.com/a/b/info/refs?service=git-upload-pack") == .allow)
    #expect(try ask("POST", "https://github.com/a/b/git-upload-pack") == .allow)
    #expect(try ask("GET", "https://github.com/a/b/info/refs?service=git-receive-pack") == .deny)
    #expect(try ask("POST", "https://github.com/a/b/git-receive-pack") == .deny)
    #expect(try ask("HEAD", "https://api.github.com/repos/a/b") == .allow)
    #expect(try ask("POST", "https://api.github.com/repos/a/b") == .deny)
    #expect(try ask("GET", "https://api.telegram.org/bot1:x/getMe") == .allow)
    #expect(try ask("GET", "https://api.telegram.org/file/bot1:x/photos/a.jpg") == .allow)
    #expect(try ask("PATCH", "https://discord.com/api/v10/channels/1/messages/2") == .allow)
    #expect(try ask("WEBSOCKET_TEXT", "https://gateway.discord.gg/?v=10") == .allow)
  }
}
