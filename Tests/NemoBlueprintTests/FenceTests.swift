import NemoBlueprint
import NemoFence
import Testing

@Suite struct BlueprintFenceTests {
  private func fence(_ text: String) throws -> FenceConfiguration {
    let read = BlueprintReader.read(Array(text.utf8), file: "b.yaml")
    return FenceConfiguration(try #require(read.blueprint, "\(read.diagnostics.sorted.map(\.text))"))
  }

  @Test func everythingThatTheNetworkIs() throws {
    let fence = try fence(
      blueprint(
        sandbox: """
            ports:
              - {container: 80, host: 8080}
              - {container: 53, host: 5353, address: "192.0.2.1", protocol: udp}

          """,
        policy: """
            network_policies:
              db:
                endpoints:
                  - {address: 10.20.0.15, port: 5432}
                  - {address: 10.20.0.0/24, ports: [53, 8000-8080], transport: udp}
              web:
                endpoints:
                  - {host: api.example.com, port: 443}

          """, network: "veth"))
    #expect(fence.mode == .veth)
    #expect(
      fence.rules.map { "\($0.network) \($0.ports) \($0.transport) \($0.name) \($0.origin)" } == [
        "10.20.0.15 5432...5432 tcp db b.yaml:22", "10.20.0.0/24 53...53 udp db b.yaml:23",
        "10.20.0.0/24 8000...8080 udp db b.yaml:23",
      ])
    #expect(fence.gate.map { "\($0.target) \($0.origin)" } == ["api.example.com b.yaml:26"])
    #expect(
      fence.ports.map { "\($0.address) \($0.host) \($0.container) \($0.transport)" } == [
        "127.0.0.1 8080 80 tcp", "192.0.2.1 5353 53 udp",
      ])
    #expect(fence.problem == nil)
  }

  @Test func nothingWithoutANetwork() throws {
    let fence = try fence(blueprint())
    #expect(fence == FenceConfiguration(mode: .none))
  }
}
