import NemoPolicy
import Testing

@Suite struct GlobTests {
  @Test(arguments: [
    ("/a/*", "/a/b", true), ("/a/*", "/a/b/c", false), ("/a/*", "/a", false), ("/a/*", "/a/", true),
    ("/a/**", "/a/b/c", true), ("/a/**", "/a", true), ("/a/**", "/ab", false), ("/a/**", "/a/", true),
    ("/a/**/b", "/a/b", true), ("/a/**/b", "/a/x/y/b", true), ("/a/**/b", "/a/xb", false), ("/**", "/", true),
    ("/**", "/x/y", true), ("**", "/x/y", true), ("/a**", "/a/b", true),
    ("/usr/bin/python3*", "/usr/bin/python3.11", true),
    ("/**x/**/b", "/axyx/q/b", true), ("/a/?", "/a/b", false), ("/a/?", "/a/?", true), ("/a/[b]", "/a/b", false),
    ("/A", "/a", false), ("", "", true), ("", "/", false), ("/a", "/a", true), ("/*/c", "/a/b/c", false),
    ("/a*b*c", "/axbxbxc", true), ("/a*b*c", "/axbxbx", false),
  ])
  func paths(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(Glob(pattern, separator: .slash).matches(text) == expected)
  }

  @Test(arguments: [
    ("*.example.com", "a.example.com", true), ("*.example.com", "a.b.example.com", false),
    ("*.example.com", "example.com", false), ("**.example.com", "a.b.example.com", true),
    ("**.example.com", "example.com", false), ("*-api.x.y", "my-api.x.y", true), ("a.*.x.y", "a.b.x.y", true),
    ("*.example.com", "a.example.com.evil.org", false), ("*.example.com", "aexample.com", false),
  ])
  func hosts(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(Glob(pattern, separator: .dot).matches(text) == expected)
  }

  @Test(arguments: [
    ("release-*", "release-1.2", true), ("delete_*", "delete_repo.v2", true),
    ("*@nvidia.com", "bob.smith@nvidia.com", true),
    ("a*", "a/b.c", true), ("a", "ab", false),
  ])
  func plainText(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(Glob(pattern, separator: .none).matches(text) == expected)
  }

  @Test func aHostilePatternTakesNoTime() {
    let pattern = String(repeating: "*a", count: 200)
    let text = String(repeating: "a", count: 1000) + "b"
    #expect(!Glob(pattern, separator: .slash).matches(text))
    #expect(
      !Glob(String(repeating: "/**", count: 200) + "/b", separator: .slash).matches(String(repeating: "/a", count: 400))
    )
  }
}
