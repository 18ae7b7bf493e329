import NemoFence
import NemoKernel
import NemoNetworkHook
import NemoPolicy
import Testing

@Suite struct FenceReadingTests {
  private func full() throws -> FenceConfiguration {
    let origin = Origin(file: "agents/a \"b\".yaml", line: 7)
    var fence = FenceConfiguration(mode: .veth)
    fence.rules = [
      .init(network: try IPNetwork("10.0.0.0/8"), ports: 1...65535, transport: .udp, name: "all", origin: origin),
      .init(network: try IPNetwork("fd00::1"), ports: 443...443, transport: .tcp, name: "one", origin: origin),
    ]
    fence.gate = [
      .init(target: "*.example.com", ports: [1...2, 443...443], transport: .tcp, name: "g", origin: origin)
    ]
    fence.ports = [
      .init(address: try #require(IPAddress("::")), host: 8080, container: 80, transport: .udp)
    ]
    fence.pool.ipv4 = try IPNetwork("10.66.0.0/24")
    fence.logGroup = 5
    return fence
  }

  @Test func whatIsWrittenIsRead() throws {
    let fence = try full()
    let read = try FenceConfiguration(json: Array(fence.canonicalJSON.utf8), subject: "network.json")
    #expect(read == fence)
    #expect(read.canonicalJSON == fence.canonicalJSON)
    for mode in FenceConfiguration.Mode.allCases {
      let plain = FenceConfiguration(mode: mode)
      #expect(try FenceConfiguration(json: Array(plain.canonicalJSON.utf8), subject: "") == plain)
    }
  }

  @Test func everyCutIsRefused() throws {
    let text = Array(try full().canonicalJSON.utf8)
    for end in 0..<(text.count - 2) {
      #expect(throws: Failure.self) { try FenceConfiguration(json: Array(text[..<end]), subject: "network.json") }
    }
  }
}
