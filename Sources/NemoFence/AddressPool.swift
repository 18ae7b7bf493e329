import NemoPolicy

/// The ranges that sandboxes get their addresses from. Each takes two neighbouring addresses: the even one is the host's end of the
/// pair of devices, the odd one the sandbox's (RFC 3021 and RFC 6164).
public struct AddressPool: Sendable, Hashable {
  /// An IPv4 range, /8 to /30.
  public var ipv4: IPNetwork
  /// An IPv6 range, /48 to /112.
  public var ipv6: IPNetwork

  /// A pool.
  public init(ipv4: IPNetwork, ipv6: IPNetwork) {
    self.ipv4 = ipv4
    self.ipv6 = ipv6
  }

  /// `10.201.0.0/16` and `fd6e:656d:6f::/64`, which spells nemo: 32,768 sandboxes.
  public static let standard = AddressPool(
    ipv4: network([10, 201, 0, 0], 16),
    ipv6: network([0xfd, 0x6e, 0x65, 0x6d, 0x00, 0x6f] + [UInt8](repeating: 0, count: 10), 64))

  private static func network(_ bytes: [UInt8], _ prefix: Int) -> IPNetwork {
    guard let base = IPAddress(bytes: bytes), let network = try? IPNetwork("\(base)/\(prefix)") else {
      preconditionFailure("a constant")
    }
    return network
  }

  /// Why it is no pool; nil when it is one.
  var problem: String? {
    guard ipv4.base.isIPv4, (8...30).contains(ipv4.prefix) else { return "pool/ipv4: must be an IPv4 range, /8 to /30" }
    guard !ipv6.base.isIPv4, (48...112).contains(ipv6.prefix) else {
      return "pool/ipv6: must be an IPv6 range, /48 to /112"
    }
    return nil
  }

  /// How many sandboxes it has addresses for.
  public var count: Int { min(1 << (31 - ipv4.prefix), 1 << 15) }

  /// The pair of addresses number `index`, from 0 and below ``count``.
  public func pair(_ index: Int) -> AddressPair {
    AddressPair(
      host: [ipv4.address(index * 2), ipv6.address(index * 2)],
      sandbox: [ipv4.address(index * 2 + 1), ipv6.address(index * 2 + 1)])
  }
}

/// The addresses of the two ends of a pair of devices, IPv4 first.
public struct AddressPair: Sendable, Hashable {
  /// The host's end, which is the sandbox's gateway.
  public var host: [IPAddress]
  /// The sandbox's end.
  public var sandbox: [IPAddress]
}

extension IPNetwork {
  /// The address `offset` after the base.
  func address(_ offset: Int) -> IPAddress {
    var bytes = base.bytes
    var rest = offset
    for index in bytes.indices.reversed() where rest > 0 {
      rest += Int(bytes[index])
      bytes[index] = UInt8(truncatingIfNeeded: rest)
      rest >>= 8
    }
    return IPAddress(bytes: bytes) ?? base
  }
}
