/// Something that a process in the sandbox tries.
public enum Action: Sendable, Hashable {
  /// File access: the path after symbolic links, and the rights it takes.
  case file(path: String, rights: FileRights)
  /// A connection or a datagram.
  case connect(Connection)
  /// A request on an inspected connection.
  case request(Connection, Message)
  /// A system call; nil for arguments that are not known.
  case systemCall(name: String, arguments: [UInt64?])
  /// The use of a capability, as `CAP_NET_RAW`.
  case capability(String)
  /// Becoming another user.
  case become(uid: UInt32)
}

/// Where a connection goes and who makes it.
public struct Connection: Sendable, Hashable {
  /// A name or an address.
  public enum Destination: Sendable, Hashable {
    /// A host name.
    case name(String)
    /// An address.
    case address(IPAddress)
  }

  /// The other end.
  public var destination: Destination
  /// Port, 1 to 65535.
  public var port: UInt16
  /// TCP or UDP.
  public var transport: Transport
  /// The program's path in the sandbox; nil where it is not known.
  public var binary: String?

  /// A connection to `destination`.
  public init(to destination: Destination, port: UInt16, transport: Transport = .tcp, binary: String? = nil) {
    self.destination = destination
    self.port = port
    self.transport = transport
    self.binary = binary
  }

  /// `host:port`, brackets around IPv6.
  public var target: String {
    switch destination {
    case .name(let name): "\(name):\(port)"
    case .address(let address): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
  }
}

/// The protocol of the transport layer.
public enum Transport: String, Sendable, Hashable, CaseIterable {
  /// TCP.
  case tcp
  /// UDP.
  case udp
}

/// A request as an inspecting gate sees it, before it is made canonical.
public enum Message: Sendable, Hashable {
  /// HTTP: the target is the path with its query, as received.
  case http(method: String, target: String)
  /// A text message of the client on a WebSocket.
  case webSocketText(target: String)
  /// A GraphQL operation: `query`, `mutation` or `subscription`, its name and root fields.
  case graphQL(operation: String, name: String, fields: [String])
  /// A JSON-RPC call.
  case jsonRPC(method: String)
  /// A call of the Model Context Protocol; `tool` is set for `tools/call`.
  case mcp(method: String, tool: String?)
  /// An SQL statement by its command.
  case sql(command: String)
}
