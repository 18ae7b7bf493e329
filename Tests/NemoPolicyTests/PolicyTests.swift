import NemoPolicy
import Testing

private func at(_ line: Int) -> Origin { Origin(file: "b.yaml", line: line) }

@Suite struct PolicyTests {
  private let policy: Policy

  init() throws {
    var rules = Policy.Rules()
    let lan = try IPNetwork("10.0.0.0/8")
    rules.files = [
      FileRule(path: "/usr", rights: .readOnly, name: "read_only /usr", origin: at(1)),
      FileRule(path: "/work", rights: .readWrite, name: "read_write /work", origin: at(2)),
      FileRule(path: "/work/.git/hooks", rights: .readOnly, name: "read_only /work/.git/hooks", origin: at(3)),
      FileRule(path: "/etc/hosts", rights: .read, name: "read_only /etc/hosts", origin: at(4)),
    ]
    rules.mounts = [
      MountRule(path: "/", isReadOnly: true, name: "root file system", origin: .builtIn),
      MountRule(path: "/work", isReadOnly: false, name: "workspace", origin: at(5)),
      MountRule(path: "/work/.git/hooks", isReadOnly: true, name: "read_only /work/.git/hooks", origin: at(3)),
    ]
    rules.network = [
      NetworkRule(
        name: "lan",
        endpoints: [
          Endpoint(target: .network(lan), ports: [80...80, 8000...8080], origin: at(6))
        ], binaries: nil)
    ]
    rules.capabilities = [("CAP_NET_BIND_SERVICE", at(7))]
    policy = Policy(rules)
  }

  private func file(_ path: String, _ rights: FileRights) -> Decision {
    policy.decide(.file(path: path, rights: rights))
  }

  @Test func rightsAddUpAlongThePath() {
    #expect(file("/usr/bin/python3", [.readFile, .execute]).verdict == .allow)
    #expect(file("/usr/bin/python3", .writeFile).verdict == .deny)
    #expect(file("/usr/bin/python3", .writeFile).mechanism == .landlock)
    #expect(file("/work/a", .writeFile).verdict == .allow)
    #expect(file("/work/a", .execute).verdict == .deny, "read_write does not imply execute")
    #expect(file("/work", .makeReg).verdict == .deny, "a new /work would be made in /")
    #expect(file("/work/a", .makeReg).verdict == .allow)
    #expect(file("/etc/hosts", .readFile).verdict == .allow)
    #expect(file("/etc", .readDir).verdict == .deny)
    #expect(file("/usr/../etc/shadow", .readFile).verdict == .deny)
    #expect(file("/usrlocal", .readFile).verdict == .deny)
    #expect(file("/Usr/bin", .readFile).verdict == .deny)
  }

  @Test func readOnlyBelowReadWriteIsHeldByTheMount() {
    let decision = file("/work/.git/hooks/pre-commit", .writeFile)
    #expect(decision.verdict == .deny && decision.mechanism == .readOnlyMount && decision.origin == at(3))
    #expect(file("/work/.git/config", .writeFile).verdict == .allow)
    #expect(file("/work/.git/hooks/pre-commit", .readFile).verdict == .allow)
  }

  @Test func addresses() throws {
    let ask = { (text: String, port: UInt16, transport: Transport) in
      self.policy.decide(
        .connect(Connection(to: .address(try #require(IPAddress(text))), port: port, transport: transport)))
    }
    #expect(try ask("10.1.2.3", 80, .tcp).verdict == .allow)
    #expect(try ask("10.1.2.3", 8042, .tcp).verdict == .allow)
    #expect(try ask("10.1.2.3", 81, .tcp).verdict == .deny)
    #expect(try ask("10.1.2.3", 80, .udp).verdict == .deny)
    #expect(try ask("11.1.2.3", 80, .tcp).verdict == .deny)
    #expect(try ask("::ffff:10.1.2.3", 80, .tcp).verdict == .allow)
    #expect(try ask("127.0.0.1", 9, .tcp).verdict == .allow)
    #expect(policy.decide(.connect(Connection(to: .name("example.com"), port: 443))).verdict == .deny)
  }

  @Test func capabilitiesAndIdentity() {
    #expect(policy.decide(.capability("CAP_NET_BIND_SERVICE")).verdict == .allow)
    #expect(policy.decide(.capability("CAP_SYS_ADMIN")).verdict == .deny)
    #expect(policy.decide(.become(uid: 0)).verdict == .deny)
    #expect(policy.decide(.become(uid: 65532)).verdict == .allow)
  }

  @Test(arguments: [
    "read", "openat", "execve", "fork", "clone", "futex", "epoll_wait", "landlock_restrict_self", "socket",
  ])
  func workIsAllowed(_ call: String) {
    #expect(policy.decide(.systemCall(name: call, arguments: [])).verdict == .allow)
  }

  @Test(arguments: [
    "memfd_create", "ptrace", "bpf", "process_vm_readv", "pidfd_getfd", "io_uring_setup", "mount", "open_tree_attr",
    "mount_setattr", "setns", "unshare", "userfaultfd", "perf_event_open", "keyctl", "add_key", "clone3", "seccomp",
    "no_such_call",
  ])
  func administrationIsNot(_ call: String) {
    #expect(policy.decide(.systemCall(name: call, arguments: [])).verdict == .deny)
  }

  @Test func argumentsDecide() {
    let socket = { (a: UInt64, b: UInt64, c: UInt64) in
      self.policy.decide(.systemCall(name: "socket", arguments: [a, b, c])).verdict
    }
    #expect(
      socket(1, 5, 0) == .allow && socket(2, 1 | 0x80000, 6) == .allow && socket(10, 2, 0) == .allow
        && socket(16, 3, 0) == .allow)
    #expect(
      socket(17, 3, 0) == .deny && socket(2, 3, 1) == .deny && socket(2, 1, 262) == .deny && socket(16, 3, 9) == .deny)
    #expect(socket(38, 5, 0) == .deny && socket(40, 1, 0) == .deny)
    let call = { (name: String, arguments: [UInt64?]) in
      self.policy.decide(.systemCall(name: name, arguments: arguments)).verdict
    }
    #expect(call("clone", [0x0101_0011]) == .allow && call("clone", [0x1000_0000]) == .deny)
    #expect(
      call("ioctl", [0, 0x5412]) == .deny && call("ioctl", [0, 0xff_0000_5412]) == .deny
        && call("ioctl", [0, 0x5401]) == .allow)
    #expect(
      call("execveat", [3, nil, nil, nil, 0x1000]) == .deny && call("execveat", [3, nil, nil, nil, 0]) == .allow)
  }

  @Test func theCountOfRulesDoesNotMatter() throws {
    var rules = Policy.Rules()
    rules.hasGate = true
    rules.network = (0..<10_000).map { index in
      NetworkRule(
        name: "r\(index)",
        endpoints: [
          Endpoint(
            target: .host(Glob("h\(index).example\(index).com", separator: .dot)), ports: [443...443], origin: at(index)
          )
        ], binaries: nil)
    }
    rules.files = (0..<10_000).map { FileRule(path: "/d/\($0)", rights: .read, name: "r", origin: at($0)) }
    let large = Policy(rules)
    let clock = ContinuousClock()
    let time = clock.measure {
      for _ in 0..<1000 {
        #expect(large.decide(.connect(Connection(to: .name("h9999.example9999.com"), port: 443))).verdict == .allow)
        #expect(large.decide(.file(path: "/d/9999/a/b", rights: .readFile)).verdict == .allow)
      }
    }
    #expect(time < .seconds(2), "an unoptimised build on a busy machine; the bar itself is the benchmark's")
  }
}
