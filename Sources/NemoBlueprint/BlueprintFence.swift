import NemoFence
import NemoPolicy

extension FenceConfiguration {
  /// What holds the network of a sandbox made from `blueprint`.
  public init(_ blueprint: Blueprint) {
    let sandbox = blueprint.sandbox
    let ports = sandbox.ports.compactMap { port in
      IPAddress(port.address).map {
        PublishedPort(address: $0, host: port.host, container: port.container, transport: port.transport)
      }
    }
    self.init(mode: Mode(sandbox.network), policy: blueprint.networkRules, ports: ports)
  }
}

extension FenceConfiguration.Mode {
  fileprivate init(_ mode: Sandbox.NetworkMode) {
    self =
      switch mode {
      case .none: .none
      case .veth: .veth
      case .join: .join
      case .host: .host
      }
  }
}
