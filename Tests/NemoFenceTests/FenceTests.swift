import NemoPolicy
import Testing

@testable import NemoFence

private func network(_ text: String) throws -> IPNetwork { try IPNetwork(text) }

private func endpoint(_ text: String, _ ports: [ClosedRange<UInt16>], _ transport: Transport = .tcp, line: Int = 1)
  throws
  -> Endpoint
{
  Endpoint(
    target: .network(try network(text)), ports: ports, transport: transport, origin: Origin(file: "a.yaml", line: line))
}

@Suite struct FenceTests {
  @Test func onlyWhatTheEngineGivesThePacketFilter() throws {
    let origin = Origin(file: "a.yaml", line: 9)
    let named = Endpoint(target: .host(Glob("*.example.com", separator: .dot)), ports: [443...443], origin: origin)
    let policy = [
      NetworkRule(name: "db", endpoints: [try endpoint("10.1.0.0/16", [1...2, 5...5]), named], binaries: nil),
      NetworkRule(
        name: "git", endpoints: [try endpoint("10.2.0.1", [22...22])],
        binaries: [Glob("/usr/bin/git", separator: .slash)]),
    ]
    let fence = FenceConfiguration(mode: .veth, policy: policy)
    #expect(
      fence.rules.map { "\($0.name) \($0.network) \($0.ports)" } == ["db 10.1.0.0/16 1...2", "db 10.1.0.0/16 5...5"])
    #expect(fence.gate.map { "\($0.name) \($0.target)" } == ["db *.example.com", "git 10.2.0.1"])
    #expect(fence.problem == nil)
    #expect(FenceConfiguration(mode: .none, policy: policy).rules.isEmpty)
    #expect(FenceConfiguration(mode: .host, policy: policy).problem == "rules: mode host can have none")
  }

  @Test func canonicalText() throws {
    var fence = FenceConfiguration(
      mode: .join, policy: [NetworkRule(name: "d\"b", endpoints: [try endpoint("10.1.0.7", [5...9])], binaries: nil)])
    fence.ports = [
      .init(address: try #require(IPAddress("0.0.0.0")), host: 8080, container: 80, transport: .udp)
    ]
    #expect(
      fence.canonicalJSON
        == #"{"apiVersion":"nemoshell/v1","gate":[],"kind":"Network","logGroup":4112,"mode":"join","#
        + #""pool":{"ipv4":"10.201.0.0/16","ipv6":"fd6e:656d:6f::/64"},"#
        + #""ports":[{"address":"0.0.0.0","container":80,"host":8080,"protocol":"udp"}],"#
        + #""rules":[{"file":"a.yaml","line":1,"name":"d\"b","network":"10.1.0.7","ports":"5-9","protocol":"tcp"}]}"#
        + "\n")
  }

  @Test func addressesOfThePool() throws {
    let pool = AddressPool.standard
    #expect(pool.count == 32768)
    #expect(pool.pair(0).host.map(\.description) == ["10.201.0.0", "fd6e:656d:6f::"])
    #expect(pool.pair(127).sandbox.map(\.description) == ["10.201.0.255", "fd6e:656d:6f::ff"])
    #expect(pool.pair(32767).sandbox.map(\.description) == ["10.201.255.255", "fd6e:656d:6f::ffff"])
    #expect(AddressPool(ipv4: try network("10.0.0.0/30"), ipv6: pool.ipv6).count == 2)
    #expect(AddressPool(ipv4: try network("10.0.0.0/31"), ipv6: pool.ipv6).problem != nil)
    #expect(AddressPool(ipv4: pool.ipv6, ipv6: pool.ipv6).problem != nil)
  }

  @Test func namesFitTheKernel() {
    let fence = HostFence(id: "x", index: 32767, configuration: FenceConfiguration(mode: .veth))
    #expect(fence.device == "nemo32767" && fence.device.utf8.count < 16)
    #expect(fence.hardwareAddress(isHost: true) == [0x0a, 0x6e, 0x00, 0x7f, 0xff, 0])
    let long = Ruleset.Rule(String(repeating: "é", count: 100) + ".yaml:12", [])
    #expect(long.comment.utf8.count <= 127 && long.comment.hasSuffix(".yaml:12") && long.comment.hasPrefix("…"))
  }

  @Test func differencesAreFound() throws {
    let policy = [NetworkRule(name: "db", endpoints: [try endpoint("10.1.0.0/16", [1...2])], binaries: nil)]
    let wanted = FenceConfiguration(mode: .veth, policy: policy).sandboxRuleset(id: "a")
    #expect(wanted.difference(from: wanted) == nil)
    var found = wanted
    found.tables[0].chains[2].rules.swapAt(0, 1)
    #expect(wanted.difference(from: found)?.contains("chain output: rule 1 (loopback) differs") == true)
    found = wanted
    found.tables[0].chains[0].drops = false
    #expect(wanted.difference(from: found)?.contains("chain input: its policy is accept") == true)
    found = wanted
    found.tables.removeLast()
    #expect(wanted.difference(from: found) == "table arp nemoshell is not there")
    found = wanted
    found.tables[0].hasMore = true
    #expect(wanted.difference(from: found)?.contains("it holds more than its chains") == true)
    found = wanted
    found.tables[0].comment = "sandbox b"
    #expect(wanted.difference(from: found)?.contains("its comment") == true)
  }

  @Test func publishedPortsThatMeet() throws {
    let rules = { (id: String, address: String, transport: Transport) throws -> [Ruleset.Rule] in
      var fence = FenceConfiguration(mode: .veth)
      fence.ports = [.init(address: try #require(IPAddress(address)), host: 80, container: 8, transport: transport)]
      let table = HostFence(id: id, index: id == "a" ? 0 : 1, configuration: fence).shared
      return table.chains.first { $0.name == "output" }?.rules ?? []
    }
    let meet = { (one: [Ruleset.Rule], other: [Ruleset.Rule]) in HostFence.overlap(one[0], other[0]) }
    let loopback = try rules("a", "127.0.0.1", .tcp)
    #expect(try meet(loopback, rules("b", "127.0.0.1", .tcp)))
    #expect(try meet(loopback, rules("b", "0.0.0.0", .tcp)))
    #expect(try !meet(loopback, rules("b", "127.0.0.1", .udp)))
    #expect(try !meet(loopback, rules("b", "192.0.2.1", .tcp)))
    #expect(try !meet(loopback, rules("b", "::", .tcp)))
    #expect(!meet(loopback, loopback))
  }
}

/// The engine and the packet filter say the same of every destination.
@Suite struct FenceAgreementTests {
  private static let seed: UInt64 = 20_260_101

  private func address(_ numbers: inout Numbers) throws -> IPAddress {
    if Bool.random(using: &numbers) {
      return try #require(
        IPAddress("10.\(Int.random(in: 0...2, using: &numbers)).0.\(Int.random(in: 0...9, using: &numbers))"))
    }
    return try #require(
      IPAddress("fd00::\(Int.random(in: 0...2, using: &numbers)):\(Int.random(in: 0...9, using: &numbers))"))
  }

  /// The range, with the bits after its prefix cleared.
  private static func range(_ text: String) throws -> IPNetwork {
    do throws(IPNetwork.ParseError) { return try IPNetwork(text) } catch {
      if case .hostBits(let meant) = error { return try IPNetwork(meant) }
      throw error
    }
  }

  private func rule(_ number: Int, _ numbers: inout Numbers) throws -> NetworkRule {
    let base = try address(&numbers)
    let prefix =
      base.isIPv4
      ? [8, 15, 16, 29, 31, 32].randomElement(using: &numbers)
      : [16, 111, 112, 125, 128].randomElement(using: &numbers)
    let range = try Self.range("\(base)/\(prefix ?? 32)")
    let first = UInt16.random(in: 1...10, using: &numbers)
    let ports = first...(Bool.random(using: &numbers) ? first : first + UInt16.random(in: 0...5, using: &numbers))
    return NetworkRule(
      name: "r\(number)",
      endpoints: [
        Endpoint(
          target: .network(range), ports: [ports], transport: Bool.random(using: &numbers) ? .tcp : .udp,
          origin: Origin(file: "a.yaml", line: number))
      ], binaries: number % 7 == 6 ? [Glob("/bin/x", separator: .slash)] : nil)
  }

  @Test func insideAndAtTheCable() throws {
    var numbers = Numbers(seed: Self.seed)
    var allowed = 0
    for _ in 0..<120 {
      let rules = try (0..<Int.random(in: 0...6, using: &numbers)).map { try rule($0, &numbers) }
      var policy = Policy.Rules()
      policy.network = rules
      let engine = Policy(policy)
      let fence = FenceConfiguration(mode: .veth, policy: rules)
      let output = try #require(fence.sandboxRuleset(id: "a").tables[0].chains.first { $0.name == "output" })
      let host = HostFence(id: "a", index: 3, configuration: fence)
      let entrance = host.entrance.chains[0]
      for _ in 0..<50 {
        let to = try address(&numbers)
        let packet = Packet(
          source: host.addresses.sandbox[to.isIPv4 ? 0 : 1], destination: to,
          transport: Bool.random(using: &numbers) ? .tcp : .udp, port: UInt16.random(in: 1...15, using: &numbers))
        let connection = Connection(to: .address(to), port: packet.port, transport: packet.transport)
        let verdict = engine.decide(.connect(connection)).verdict == .allow
        #expect(
          output.passes(packet) == verdict, "seed \(Self.seed): \(connection.target) \(packet.transport)")
        #expect(entrance.passes(packet) == verdict, "seed \(Self.seed): at the cable: \(connection.target)")
        var forged = packet
        forged.source = host.addresses.host[to.isIPv4 ? 0 : 1]
        #expect(!entrance.passes(forged))
        if verdict { allowed += 1 }
      }
    }
    #expect(allowed > 200)
  }
}
