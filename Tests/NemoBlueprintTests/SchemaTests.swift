import Glibc
import NemoBlueprint
import Testing

@Suite struct SchemaTests {
  @Test(arguments: [
    ("yes", "neither true nor false"), ("True", "neither true nor false"), ("1", "neither true nor false"),
    ("\"true\"", "remove the quotes"), ("[true]", "is a list"), ("", "has no value"),
  ])
  func booleans(_ text: String, _ part: String) {
    let found = errors(blueprint(filesystem: "    read_only: [/usr]\n    include_workdir: \(text)\n"))
    #expect(
      found.count == 1 && found[0].contains("policy.filesystem.include_workdir: ") && found[0].contains(part),
      "\(found)")
    #expect(found.first?.contains("(legal: true, false)") == true)
  }

  @Test(arguments: [
    "0", "65536", "\"443 \"", "443.0", "0x1bb", "4_43", "1e3", "+443", "0443", "-1", "99999999999999999999", "\"443\"",
    "[443]",
  ])
  func ports(_ text: String) {
    let rule = "  network_policies:\n    a:\n      endpoints:\n      - host: a.example.com\n        port: \(text)\n"
    let found = errors(blueprint(policy: rule, network: "veth"))
    #expect(
      found.count == 1 && found[0].hasPrefix("b.yaml:20:15: error: policy.network_policies.a.endpoints[0].port: "),
      "\(found)")
  }

  @Test(arguments: ["0-5", "5-4", "1-65536", "a-b", "65536", "\"443 \"", "1-2-3"])
  func portRanges(_ text: String) {
    let rule =
      "  network_policies:\n    a:\n      endpoints:\n      - host: a.example.com\n        ports: [80, \(text)]\n"
    #expect(errors(blueprint(policy: rule, network: "veth")).count == 1)
  }

  @Test(arguments: ["*", "**.com", "*.*", "a*b", ".", "xn--", "*.com", "\"\"", "1.2.3.4", "a..b"])
  func hostPatterns(_ host: String) {
    let rule =
      "  network_policies:\n    a:\n      endpoints:\n      - host: \"\(host.replacing("\"", with: ""))\"\n        port: 443\n"
    let found = errors(blueprint(policy: rule, network: "veth"))
    #expect(
      found.count == 1 && found[0].hasPrefix("b.yaml:19:15: error: policy.network_policies.a.endpoints[0].host: "),
      "\(found)")
  }

  @Test(arguments: [
    "yes", "no", "1.0", "1e3", "0x10", "~", "null", "2026-01-01", "12", "true", "1_000", ".inf", "12:30:45",
  ])
  func plainTextsThatAreSomethingElseElsewhere(_ text: String) {
    let found = errors(blueprint(sandbox: "  hostname: \(text)\n"))
    #expect(found.count == 1 && found[0].hasPrefix("b.yaml:13:13: error: sandbox.hostname: "), "\(found)")
  }

  @Test func unknownKeysAndValuesSayWhatIsLegal() {
    #expect(
      errors(blueprint(policy: "  landlock:\n    compatability: best_effort\n")) == [
        "b.yaml:17:5: error: policy.landlock.compatability: unknown key; did you mean compatibility? (legal: compatibility, best_effort)"
      ])
    let rule =
      "  network_policies:\n    a:\n      endpoints:\n      - {host: a.b.c, port: 1, protocol: rest, access: full, enforcement: Enforce}\n"
    #expect(
      errors(blueprint(policy: rule, network: "veth")) == [
        "b.yaml:19:75: error: policy.network_policies.a.endpoints[0].enforcement: \"Enforce\" is not known; did you mean enforce? (legal: enforce, audit)"
      ])
    #expect(errors("apiVersion: nemoshell/v2\nkind: Blueprint\n").first == "b.yaml:1:1: error: metadata: is required")
    #expect(
      errors("just text\n") == [
        "b.yaml:1:1: error: is a single value, not a mapping (legal: apiVersion, kind, metadata, sandbox, policy, inference, monitoring, approvals, expect)"
      ])
  }

  @Test func emptyBinariesMatchNothing() {
    let rule = "  network_policies:\n    a:\n      endpoints:\n      - {host: a.b.c, port: 1}\n      binaries: []\n"
    #expect(
      errors(blueprint(policy: rule, network: "veth")) == [
        "b.yaml:20:17: error: policy.network_policies.a.binaries: is empty, so nothing could ever match; leave it out or name something"
      ])
  }

  @Test func messagesCarryNoControlCharacters() {
    let found = findings("\"a\\e[31m\\nb\": 1\n")
    #expect(!found.isEmpty && found.allSatisfy { !$0.text.contains("\u{1b}") && !$0.text.contains("\n") })
  }

  @Test func theSchemaInSpecIsThisOne() throws {
    let path = #filePath.replacing("Tests/NemoBlueprintTests/SchemaTests.swift", with: "spec/blueprint.schema.json")
    let file = try #require(fopen(path, "r"), "spec/blueprint.schema.json is missing")
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    let text = String(decoding: bytes.prefix(count), as: UTF8.self)
    #expect(
      text == SchemaDocument.json.pretty, "write it again: nemoshell blueprint schema > spec/blueprint.schema.json")
  }

  @Test func digestsAreKnown() {
    #expect(SHA256.digest([]) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(SHA256.digest("abc".utf8) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      SHA256.digest([UInt8](repeating: 0x61, count: 1000))
        == "sha256:41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3")
  }

  @Test func theDigestIsOfTheContent() throws {
    let read = { (text: String) in BlueprintReader.read(Array(text.utf8), file: "x").blueprint?.digest }
    let one = try #require(read(blueprint()))
    #expect(read("# a comment\n" + blueprint().replacing("[/usr, /etc]", with: "\n    - /usr\n    - \"/etc\"")) == one)
    #expect(read(blueprint().replacing("/etc", with: "/opt")) != one)
  }
}
