import Testing

@testable import NemoPolicy

/// What mounts take away from what Landlock grants.
@Suite struct MountRuleTests {
  private let policy: Policy = {
    var rules = Policy.Rules()
    rules.files = [
      FileRule(path: "/a", rights: [.readWrite, .execute], name: "rules /a", origin: .builtIn)
    ]
    rules.mounts = [
      MountRule(path: "/", isReadOnly: true, name: "root file system", origin: .builtIn),
      MountRule(path: "/a", isReadOnly: false, name: "workspace", origin: .builtIn),
      MountRule(path: "/a/data", isReadOnly: false, isExecutable: false, name: "mount /a/data", origin: .builtIn),
      MountRule(path: "/a/held", isReadOnly: true, coversInner: true, name: "read_only /a/held", origin: .builtIn),
      MountRule(path: "/a/held/inner", isReadOnly: false, name: "mount /a/held/inner", origin: .builtIn),
      MountRule(path: "/a/image", isReadOnly: true, name: "mount /a/image", origin: .builtIn),
      MountRule(path: "/a/image/inner", isReadOnly: false, name: "mount /a/image/inner", origin: .builtIn),
    ]
    return Policy(rules)
  }()

  private func decide(_ path: String, _ rights: FileRights) -> (Verdict, Mechanism, String?) {
    let decision = policy.decide(.file(path: path, rights: rights))
    return (decision.verdict, decision.mechanism, decision.rule)
  }

  @Test func aMountWithoutPrograms() {
    #expect(decide("/a/tool", .run) == (.allow, .landlock, "rules /a"))
    #expect(decide("/a/data/tool", .run) == (.deny, .noexecMount, "mount /a/data"))
    #expect(decide("/a/data/tool", .writeFile).0 == .allow)
  }

  @Test func readOnlyCoversWhatIsMountedInside() {
    #expect(decide("/a/held/x", .create) == (.deny, .readOnlyMount, "read_only /a/held"))
    #expect(decide("/a/held/inner/x", .create) == (.deny, .readOnlyMount, "read_only /a/held"))
    #expect(decide("/a/held/inner/x", .readFile).0 == .allow)
    #expect(decide("/a/image/x", .create) == (.deny, .readOnlyMount, "mount /a/image"))
    #expect(decide("/a/image/inner/x", .create).0 == .allow)
  }

  @Test func runningTakesReading() {
    var rules = Policy.Rules()
    rules.files = [FileRule(path: "/bin", rights: .execute, name: "execute /bin", origin: .builtIn)]
    #expect(Policy(rules).decide(.file(path: "/bin/true", rights: .run)).verdict == .deny)
    #expect(Policy(rules).decide(.file(path: "/bin/true", rights: .execute)).verdict == .allow)
  }
}
