import NemoBlueprint
import NemoPolicy
import Testing

@Suite struct ValidationTests {
  @Test(arguments: [
    ("    read_only: [/usr]\n    read_write: [/]\n", "opens the whole file system"),
    ("    read_only: [/usr]\n    read_write: [/data]\n", "read-only root file system"),
    ("    read_only: [/usr, /tmp]\n    read_write: [/tmp]\n", "one or the other"),
    ("    read_only: [/usr, /usr]\n", "is there already"), ("    read_only: [usr]\n", "must be absolute"),
    ("    read_only: [/usr/../etc]\n", "must not hold a .."), ("    read_only: [/usr//x]\n", "must not hold //"),
    ("    read_only: [/usr]\n    read_write: [/proc/sys]\n", "belongs to the kernel"),
    (
      "    read_only: [/usr]\n    rules:\n    - {paths: [/], allow: [write_file]}\n",
      "opens the whole file system for changes"
    ),
    ("    read_only: [/usr]\n    rules:\n    - {paths: [/tmp], allow: [delete]}\n", "is not known"),
    ("    include_workdir: false\n", "names no path"),
  ])
  func files(_ lines: String, _ part: String) {
    let found = errors(blueprint(filesystem: lines))
    #expect(found.contains { $0.contains(part) }, "\(found)")
  }

  @Test func readOnlyBelowReadWriteBecomesAMount() throws {
    let text = blueprint(
      sandbox: "  workspace: {path: /work}\n", filesystem: "    read_only: [/usr, /work/.git/hooks]\n")
    let (result, diagnostics) = BlueprintReader.read(Array(text.utf8), file: "b.yaml")
    let policy = try #require(result).policy()
    #expect(diagnostics.sorted.contains { $0.severity == .note && $0.message.contains("becomes a read-only mount") })
    let hook = policy.decide(.file(path: "/work/.git/hooks/x", rights: .writeFile))
    #expect(hook.verdict == .deny && hook.mechanism == .readOnlyMount && hook.origin?.line == 16)
    #expect(policy.decide(.file(path: "/work/x", rights: .writeFile)).verdict == .allow)
  }

  @Test func coveredPathsAreWarnedOf() {
    let found = findings(blueprint(filesystem: "    read_only: [/usr, /usr/lib]\n"))
    #expect(
      found.map(\.text) == [
        "b.yaml:15:23: warning: policy.filesystem.read_only[1]: /usr/lib is already covered by policy.filesystem.read_only[0] (/usr); remove it"
      ])
  }

  @Test(arguments: [
    ("  capabilities: [CAP_SYS_ADMIN]\n", "never gets it"), ("  capabilities: [NET_RAW]\n", "did you mean CAP_NET_RAW"),
    ("  capabilities: [CAP_CHOWN, CAP_CHOWN]\n", "is there already"), ("  process: {run_as_user: root}\n", "is root"),
    ("  process: {run_as_user: 0}\n", "is root"), ("  process: {run_as_group: 0}\n", "is root"),
    ("  process: {run_as_user: 4294967295}\n", "is not a number from 0"),
    ("  process: {run_as_user: -1}\n", "run_as_user"),
    ("  process: {run_as_user: 4294967296}\n", "is not a number from 0"),
    ("  system_calls: {allow: [{names: [opnat]}]}\n", "did you mean openat"),
    ("  system_calls: {allow: [{names: [mount]}]}\n", "a sandbox never gets it"),
    ("  system_calls: {allow: [{names: [io_uring_setup]}]}\n", "a sandbox never gets it"),
    ("  system_calls: {allow: [{names: [ptrace]}], deny: [{names: [ptrace]}]}\n", "which wins"),
    ("  system_calls: {deny: [{names: [execve]}]}\n", "no program runs"),
    ("  system_calls: {profile: docker}\n", "(legal: agent)"),
  ])
  func identityAndSystemCalls(_ lines: String, _ part: String) {
    let found = errors(blueprint(policy: lines))
    #expect(found.count == 1 && found[0].contains(part), "\(found)")
  }

  @Test func whatTheBlueprintGivesBackAndTakes() throws {
    let text = blueprint(
      policy:
        "  system_calls:\n    allow:\n    - names: [ptrace]\n    deny:\n    - names: [chmod]\n      errno: EACCES\n")
    let policy = try #require(BlueprintReader.read(Array(text.utf8), file: "b.yaml").blueprint).policy()
    #expect(policy.decide(.systemCall(name: "ptrace", arguments: [])).verdict == .allow)
    let chmod = policy.decide(.systemCall(name: "chmod", arguments: []))
    #expect(chmod.verdict == .deny && chmod.origin?.line == 20 && chmod.reason.contains("EACCES"))
    #expect(policy.decide(.systemCall(name: "mount", arguments: [])).verdict == .deny)
  }

  private func endpoint(_ text: String, _ more: String = "") -> [String] {
    errors(
      blueprint(policy: "  network_policies:\n    a:\n      endpoints:\n      - {\(text)}\n\(more)", network: "veth"))
  }

  @Test(arguments: [
    ("host: a.b.c", "exactly one of port, ports"), ("port: 1", "exactly one of host, address"),
    ("host: a.b.c, address: 1.2.3.4, port: 1", "exactly one of host, address"),
    ("address: 10.0.0.1/8, port: 1", "did you mean 10.0.0.0/8"), ("address: 0.0.0.0/0, port: 1", "too wide"),
    ("address: 127.0.0.1, port: 1", "loopback"), ("address: 169.254.169.254, port: 1", "never reaches"),
    ("address: 224.0.0.0/8, port: 1", "multicast"), ("host: a.b.c, port: 1, access: read-only", "needs protocol"),
    ("host: a.b.c, port: 1, rules: [{allow: {method: GET}}]", "needs protocol"),
    ("host: a.b.c, port: 1, protocol: rest", "refuses everything"),
    (
      "host: a.b.c, port: 1, protocol: rest, access: full, rules: [{allow: {method: GET}}]",
      "takes one of rules, access"
    ),
    ("host: a.b.c, port: 1, protocol: mcp, access: read-only", "has no read-only"),
    ("host: a.b.c, port: 1, protocol: rest, access: full, tls: skip", "unread"),
    ("host: a.b.c, port: 1, protocol: rest, rules: []", "is empty"),
    ("host: a.b.c, port: 1, protocol: rest, rules: [{allow: {tool: x}}]", "means nothing for protocol rest"),
    ("host: a.b.c, port: 1, protocol: rest, rules: [{allow: {method: get}}]", "is no method"),
    ("host: a.b.c, port: 1, protocol: rest, rules: [{allow: {}}]", "names nothing"),
    ("host: a.b.c, port: 1, protocol: rest, rules: [{allow: {path: /a/../b}}]", "not canonical"),
    ("host: a.b.c, port: 1, protocol: rest, rules: [{allow: {path: /a%2fb}}]", "decoded"),
    (
      "host: a.b.c, port: 1, protocol: rest, rules: [{allow: {method: GET, path: /a}}], deny_rules: [{path: /a}]",
      "never applies"
    ),
    ("host: a.b.c, port: 1, transport: udp, protocol: rest, access: full", "is for tcp"),
    ("host: a.b.c, ports: [80, 80]", "is there already"),
    ("host: a.b.c, port: 1, protocol: REST, access: full", "did you mean rest"),
  ])
  func endpoints(_ text: String, _ part: String) {
    let found = endpoint(text)
    #expect(found.contains { $0.contains(part) }, "\(found)")
  }

  @Test func rulesForOneDestinationMustNotUndoEachOther() {
    let found = endpoint("host: a.b.c, port: 1", "      - {host: A.b.c, ports: [1-9], protocol: rest, access: full}\n")
    #expect(found.count == 1 && found[0].contains("inspection would mean nothing"), "\(found)")
    #expect(endpoint("host: a.b.c, port: 1", "      - {host: a.b.c, port: 2, protocol: rest, access: full}\n") == [])
    #expect(
      endpoint("host: a.b.c, port: 1", "      - {host: a.b.c, port: 1}\n").first?.contains("says the same") == true)
  }

  @Test func rulesWithoutANetworkAreRefused() {
    let rule = "  network_policies:\n    a:\n      endpoints:\n      - {host: a.b.c, port: 1}\n"
    #expect(
      errors(blueprint(policy: rule)).first?.contains("no rule could ever match (legal: sandbox.network.mode: veth")
        == true)
  }

  @Test(arguments: [
    ("  mounts:\n  - {source: /, destination: /x}\n", "is the whole host"),
    ("  mounts:\n  - {source: /var/run/docker.sock, destination: /x}\n", "root on the host"),
    ("  mounts:\n  - {source: /proc/1, destination: /x}\n", "never handed"),
    ("  mounts:\n  - {source: /etc, destination: /x, writable: true}\n", "may not write"),
    ("  mounts:\n  - {source: ./a, destination: /proc/x}\n", "the runtime's own"),
    ("  mounts:\n  - {source: ./a, destination: /x}\n  - {source: ./b, destination: /x}\n", "is taken by"),
    ("  mounts:\n  - {destination: /x}\n", "exactly one of source, tmpfs"),
    ("  mounts:\n  - {destination: /x, tmpfs: {size: 0MiB}}\n", "is no size"),
    ("  resources: {memory: 512}\n", "memory"), ("  resources: {cpus: 0}\n", "above 0"),
    ("  resources: {pids: 0}\n", "from 1"),
    ("  ports:\n  - {container: 80, host: 80}\n", "veth alone"), ("  devices:\n  - {path: /dev/mem}\n", "never gets"),
    ("  devices:\n  - {path: /etc/x}\n", "is not below /dev"), ("  cdi: [a]\n", "is no CDI name"),
    ("  workspace: {path: /etc/x}\n", "cannot be a workspace"), ("  hostname: \"a b\"\n", "hostname"),
  ])
  func sandboxes(_ lines: String, _ part: String) {
    let found = errors(blueprint(sandbox: lines))
    #expect(found.contains { $0.contains(part) }, "\(found)")
  }

  @Test func inferenceProfiles() {
    let text = { (more: String) in
      blueprint(
        rest:
          "inference:\n  default: a\n\(more)  profiles:\n    a: {type: openai, endpoint: 'http://localhost:8000/v1', model: m, residency: local, fallback: [b]}\n    b: {type: nvidia, endpoint: 'https://x.y/v1', model: m}\n"
      )
    }
    #expect(errors(text("")).count == 1 && errors(text(""))[0].contains("never crosses"))
    #expect(errors(text("  residency: local\n")).contains { $0.contains("inference.profiles.b: is remote") })
    #expect(
      errors(text("").replacing("default: a", with: "default: c")).contains {
        $0.contains("is no profile (legal: a, b)")
      })
    #expect(
      errors(text("").replacing("https://x.y", with: "https://u:p@x.y")).contains { $0.contains("name a credential") })
  }

  @Test func expectationsRunOnTheEngine() throws {
    let text = blueprint(
      rest: """
        expect:
        - {read: /usr/bin/true, verdict: allow}
        - {write: /usr/bin/true, verdict: allow}
        - {connect: "example.com:443", verdict: deny}
        - {request: "GET https://example.com/", verdict: deny}
        - {system_call: socket, arguments: [17, 3, 0], verdict: deny}
        - {capability: CAP_NET_RAW, verdict: deny}

        """)
    let suite = PolicyTest.run(
      try #require(BlueprintReader.read(Array(text.utf8), file: "b.yaml").blueprint), hasGate: false)
    #expect(suite.failures == 1 && suite.cases[1].expectation.origin.line == 18)
    #expect(PolicyTest.junit([suite]).contains("<testsuite name=\"b.yaml\" tests=\"6\" failures=\"1\">"))
  }
}
