import NemoPolicy

/// The steps that rules are made of. Every one loads into, and compares, the first register.
extension Ruleset.Expression {
  private typealias Attribute = Ruleset.Attribute

  /// A relation (NFT_CMP_*).
  enum Relation: UInt32 {
    case equal = 0
    case notEqual = 1
  }

  /// What is known about a packet besides its bytes (NFT_META_*).
  enum Meta: UInt32 {
    case protocolNumber = 1
    case incoming = 4
    case outgoing = 5
    case incomingName = 6
    case outgoingName = 7
    case family = 15
    case transport = 16
  }

  /// Which header (NFT_PAYLOAD_*).
  enum Header: UInt32 {
    case network = 1
    case transport = 2
  }

  private static let register: UInt32 = 1
  private static let secondRegister: UInt32 = 2

  private static func value(_ kind: UInt16, _ bytes: [UInt8]) -> Attribute {
    Attribute(kind, nesting: Attribute(1, bytes))
  }

  static func load(_ meta: Meta) -> Self { Self("meta", [Attribute(1, register), Attribute(2, meta.rawValue)]) }

  static func load(_ header: Header, offset: UInt32, length: UInt32) -> Self {
    Self(
      "payload",
      [Attribute(1, register), Attribute(2, header.rawValue), Attribute(3, offset), Attribute(4, length)])
  }

  static func compare(_ relation: Relation, _ bytes: [UInt8]) -> Self {
    Self("cmp", [Attribute(1, register), Attribute(2, relation.rawValue), value(3, bytes)])
  }

  static func range(_ from: [UInt8], _ to: [UInt8]) -> Self {
    Self("range", [Attribute(1, register), Attribute(2, UInt32(0)), value(3, from), value(4, to)])
  }

  static func mask(_ bytes: [UInt8]) -> Self {
    let zeros = [UInt8](repeating: 0, count: bytes.count)
    return Self(
      "bitwise",
      [
        Attribute(1, register), Attribute(2, register), Attribute(3, UInt32(bytes.count)), value(4, bytes),
        value(5, zeros), Attribute(6, UInt32(0)),
      ])
  }

  /// The connection's state (NFT_CT_STATE) into the register.
  static let loadState = Self("ct", [Attribute(1, register), Attribute(2, UInt32(0))])

  /// What kind of address the destination is (NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR) into the register.
  static let loadDestinationKind = Self(
    "fib", [Attribute(1, register), Attribute(2, UInt32(3)), Attribute(3, UInt32(2))])

  static let counter = Self("counter", [])

  static func log(group: UInt16, prefix: String) -> Self {
    Self("log", [Attribute(1, bigEndian(group)), Attribute(2, Array(prefix.utf8) + [0])])
  }

  /// An answer that says the packet was refused by an administrator.
  static let reject = Self("reject", [Attribute(1, UInt32(2)), Attribute(2, [3])])

  static let accept = verdict(1)
  static let drop = verdict(0)

  private static func verdict(_ code: UInt32) -> Self {
    Self("immediate", [Attribute(1, UInt32(0)), Attribute(2, nesting: Attribute(2, nesting: Attribute(1, code)))])
  }

  static let masquerade = Self("masq", [])

  /// Sends the connection to `address` and `port` instead.
  static func redirect(to address: IPAddress, port: UInt16) -> [Self] {
    let family: UInt32 = address.isIPv4 ? 2 : 10
    // NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED.
    let flags: UInt32 = 3
    return [
      Self("immediate", [Attribute(1, register), value(2, address.bytes)]),
      Self("immediate", [Attribute(1, secondRegister), value(2, bigEndian(port))]),
      Self(
        "nat",
        [
          Attribute(1, UInt32(1)), Attribute(2, family), Attribute(3, register), Attribute(4, register),
          Attribute(5, secondRegister), Attribute(6, secondRegister), Attribute(7, flags),
        ]),
    ]
  }
}

/// States of connection tracking (NF_CT_STATE_BIT).
struct ConnectionStates: OptionSet {
  let rawValue: UInt32
  static let invalid = ConnectionStates(rawValue: 1)
  static let established = ConnectionStates(rawValue: 2)
  static let related = ConnectionStates(rawValue: 4)
  static let new = ConnectionStates(rawValue: 8)
  static let untracked = ConnectionStates(rawValue: 64)
}

/// Conditions, each some steps.
extension [Ruleset.Expression] {
  /// Packets to or from device `lo`, which is number 1 in every namespace.
  static let toLoopback: Self = [.load(.outgoing), .compare(.equal, hostOrder(UInt32(1)))]
  static let fromLoopback: Self = [.load(.incoming), .compare(.equal, hostOrder(UInt32(1)))]

  /// A device by name; without the end of a name, all whose names begin so.
  static func device(
    _ meta: Ruleset.Expression.Meta, _ relation: Ruleset.Expression.Relation, _ name: String, isWhole: Bool
  ) -> Self {
    let bytes = Array<UInt8>(name.utf8)
    let padding = isWhole ? [UInt8](repeating: 0, count: 16 - bytes.count) : []
    return [.load(meta), .compare(relation, bytes + padding)]
  }

  static func state(_ states: ConnectionStates) -> Self {
    [.loadState, .mask(hostOrder(states.rawValue)), .compare(.notEqual, [0, 0, 0, 0])]
  }

  /// The family of an address, where a table has both.
  static func family(of address: IPAddress) -> Self {
    [.load(.family), .compare(.equal, [address.isIPv4 ? 2 : 10])]
  }

  /// The family of an address, by the number of the protocol on the device.
  static func etherType(of address: IPAddress) -> Self {
    [.load(.protocolNumber), .compare(.equal, address.isIPv4 ? [0x08, 0x00] : [0x86, 0xdd])]
  }

  static func destination(_ network: IPNetwork) -> Self { address(network, v4: 16, v6: 24) }
  static func source(_ network: IPNetwork) -> Self { address(network, v4: 12, v6: 8) }

  private static func address(_ network: IPNetwork, v4: UInt32, v6: UInt32) -> Self {
    let bytes = network.base.bytes
    let load = Ruleset.Expression.load(.network, offset: bytes.count == 4 ? v4 : v6, length: UInt32(bytes.count))
    if network.prefix == bytes.count * 8 { return [load, .compare(.equal, bytes)] }
    let mask = bytes.indices.map { index in
      UInt8(truncatingIfNeeded: 0xff00 >> Swift.max(0, Swift.min(8, network.prefix - index * 8)))
    }
    return [load, .mask(mask), .compare(.equal, bytes)]
  }

  static func transport(_ transport: Transport) -> Self { protocolNumber(transport == .tcp ? 6 : 17) }

  static func protocolNumber(_ number: UInt8) -> Self { [.load(.transport), .compare(.equal, [number])] }

  static func destinationPorts(_ ports: ClosedRange<UInt16>) -> Self { self.ports(ports, offset: 2) }
  static func sourcePort(_ port: UInt16) -> Self { ports(port...port, offset: 0) }

  private static func ports(_ ports: ClosedRange<UInt16>, offset: UInt32) -> Self {
    let load = Ruleset.Expression.load(.transport, offset: offset, length: 2)
    if ports.count == 1 { return [load, .compare(.equal, bigEndian(ports.lowerBound))] }
    return [load, .range(bigEndian(ports.lowerBound), bigEndian(ports.upperBound))]
  }
}

extension IPNetwork {
  /// One address.
  static func only(_ address: IPAddress) -> IPNetwork {
    guard let network = try? IPNetwork("\(address)") else { preconditionFailure("an address is a range of one") }
    return network
  }
}
