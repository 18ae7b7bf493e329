import NemoPolicy
import Testing

@Suite struct AddressTests {
  @Test(arguments: [
    ("1.2.3.4", "1.2.3.4"), ("::1", "::1"), ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("::ffff:10.0.0.1", "10.0.0.1"),
    ("64:ff9b::1.2.3.4", "64:ff9b::102:304"), ("::", "::"), ("fe80::", "fe80::"),
    ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
  ])
  func parses(_ text: String, _ canonical: String) { #expect(IPAddress(text)?.description == canonical) }

  @Test(arguments: [
    "", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "0x7f.1", "1.2.3.4 ", "+1.2.3.4", ":::", "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "12345::", "::1.2.3", "1.2.3.4::", "1:2:3:4:5:6:7:8::", ":1:2:3:4:5:6:7",
  ])
  func refuses(_ text: String) { #expect(IPAddress(text) == nil) }

  @Test func networks() throws {
    let ten = try IPNetwork("10.0.0.0/8")
    #expect(ten.contains(try #require(IPAddress("10.255.0.1"))))
    #expect(ten.contains(try #require(IPAddress("::ffff:10.0.0.1"))))
    #expect(!ten.contains(try #require(IPAddress("11.0.0.1"))))
    #expect(!ten.contains(try #require(IPAddress("::"))))
    #expect(throws: IPNetwork.ParseError.hostBits(meant: "10.0.0.0/8")) { try IPNetwork("10.1.2.3/8") }
    for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "a/8", "1.2.3.4/8/8"] {
      #expect(throws: IPNetwork.ParseError.malformed) { try IPNetwork(text) }
    }
    #expect(try IPNetwork("0.0.0.0/0").contains(try #require(IPAddress("9.9.9.9"))))
  }

  @Test(
    arguments: [
      ("127.0.0.1", "loopback"), ("::ffff:127.0.0.1", "loopback"), ("169.254.169.254", "cloud metadata"),
      ("168.63.129.16", "cloud metadata"), ("100.100.100.200", "cloud metadata"), ("fd00:ec2::254", "cloud metadata"),
      ("64:ff9b::a00:1", "private"), ("2002:a00:1::", "private"), ("::10.0.0.1", "private"), ("240.0.0.1", "reserved"),
      ("224.0.0.1", "multicast"), ("100.64.0.1", "shared"), ("8.8.8.8", nil), ("2606:4700::1111", nil),
    ] as [(String, String?)])
  func special(_ text: String, _ kind: String?) throws {
    #expect(SpecialAddresses.kind(try #require(IPAddress(text))) == kind)
  }

  @Test(arguments: [
    "*", "**", "*.com", "**.com", "*.*", "a*b", ".", "", "xn--", "a..b", "-a.b", "a-.b", "1.2.3.4", "a.1", "a b.c",
    "é.com",
    "a.b*.c.d", "a.**.c.d", "**a.b.c", "*a*.b.c", "host/path", "host:443", "a.*.com", "0x7f000001",
  ])
  func refusesHostPatterns(_ pattern: String) { #expect(Host.patternProblem(pattern) != nil) }

  @Test(arguments: [
    "a", "localhost", "api.github.com", "*.x.y", "**.x.y", "*-api.x.y", "a.*.x.y", "xn--nxasmq6b.com", "_dmarc.a.b",
  ])
  func acceptsHostPatterns(_ pattern: String) { #expect(Host.patternProblem(pattern) == nil) }

  @Test func canonicalHosts() { #expect(Host.canonical("API.GitHub.com.") == "api.github.com") }

  @Test(arguments: ["", "a", "/a/", "//a", "/a//b", "/a/../b", "/..", "/a/.", "/a\n"])
  func refusesPaths(_ path: String) { #expect(PolicyPath.problem(path) != nil) }

  @Test(arguments: ["/", "/a", "/a/b", "/..a", "/a..", "/...", "/ä"])
  func acceptsPaths(_ path: String) { #expect(PolicyPath.problem(path) == nil) }

  @Test func insideness() {
    #expect(PolicyPath.isInside("/a/b", "/a"))
    #expect(PolicyPath.isInside("/a", "/a"))
    #expect(!PolicyPath.isInside("/ab", "/a"))
    #expect(PolicyPath.isInside("/a", "/"))
    #expect(PolicyPath.parent("/a") == "/" && PolicyPath.parent("/a/b") == "/a")
  }
}
