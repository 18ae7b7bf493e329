import CMnl
import Glibc
import NemoFence
import NemoKernel
import NemoPolicy

/// A network device of one namespace.
public struct NetworkLink: Sendable, Hashable {
  /// Its number.
  public let index: Int32
  /// Its name.
  public let name: String
  /// Its hardware address.
  public let hardwareAddress: [UInt8]
  /// Bytes of the largest packet.
  public let mtu: UInt32

  init?(_ reply: Reply) {
    guard reply.kind == UInt16(RTM_NEWLINK), let index: Int32 = reply.body.number(4) else { return nil }
    let attributes = reply.attributes(after: 16)
    self.index = index
    name = attributes[UInt16(IFLA_IFNAME)]?.text ?? ""
    hardwareAddress = attributes[UInt16(IFLA_ADDRESS)] ?? []
    mtu = attributes[UInt16(IFLA_MTU)]?.number(0) ?? 0
  }
}

/// One end of a pair of devices that is to be made.
public struct NetworkEnd: Sendable {
  /// Its name.
  public var name: String
  /// Its hardware address, 6 bytes.
  public var hardwareAddress: [UInt8]

  /// An end.
  public init(name: String, hardwareAddress: [UInt8]) {
    self.name = name
    self.hardwareAddress = hardwareAddress
  }

  func attributes(mtu: UInt32) -> [Attribute] {
    [
      Attribute(UInt16(IFLA_IFNAME), text: name), Attribute(UInt16(IFLA_ADDRESS), hardwareAddress),
      Attribute(UInt16(IFLA_MTU), native: mtu),
    ]
  }
}

extension Netlink {
  private static func link(_ index: Int32 = 0, flags: UInt32 = 0) -> [UInt8] {
    [0, 0, 0, 0] + native(index) + native(flags) + native(flags)
  }

  /// The device called `name`, or nil.
  public mutating func link(named name: String) throws(Failure) -> NetworkLink? {
    let message = Message(
      UInt16(RTM_GETLINK), fixed: Netlink.link(), [Attribute(UInt16(IFLA_IFNAME), text: name)])
    return try find(message, missing: [ENODEV], "find network device", name).flatMap(NetworkLink.init)
  }

  /// The device with that number, or nil.
  public mutating func link(numbered index: Int32) throws(Failure) -> NetworkLink? {
    let message = Message(UInt16(RTM_GETLINK), fixed: Netlink.link(index))
    return try find(message, missing: [ENODEV], "find network device", "number \(index)").flatMap(NetworkLink.init)
  }

  /// All devices.
  public mutating func links() throws(Failure) -> [NetworkLink] {
    try list(Message(UInt16(RTM_GETLINK), fixed: Netlink.link()), "list network devices", "").compactMap(
      NetworkLink.init)
  }

  /// Makes a pair of devices that are each other's cable: one here, and `peer` in the namespace that `namespace` is open on.
  public mutating func makePair(_ end: NetworkEnd, peer: NetworkEnd, in namespace: Int32, mtu: UInt32) throws(Failure) {
    var other = Attribute(
      UInt16(VETH_INFO_PEER),
      nesting: peer.attributes(mtu: mtu) + [
        Attribute(UInt16(IFLA_NET_NS_FD), native: namespace)
      ])
    other.bytes = Netlink.link() + other.bytes
    let info = Attribute(
      UInt16(IFLA_LINKINFO),
      nesting: Attribute(UInt16(IFLA_INFO_KIND), Array("veth".utf8)), Attribute(UInt16(IFLA_INFO_DATA), nesting: other))
    let message = Message(
      UInt16(RTM_NEWLINK), NLM_F_CREATE | NLM_F_EXCL, fixed: Netlink.link(), end.attributes(mtu: mtu) + [info])
    try change(message, "make network device", end.name)
  }

  /// Takes a device away; one that is gone is fine.
  public mutating func delete(_ link: NetworkLink) throws(Failure) {
    do throws(Failure) {
      try change(
        Message(UInt16(RTM_DELLINK), fixed: Netlink.link(link.index)), "delete network device", link.name)
    } catch  where error.errno?.rawValue == ENODEV { return }
  }

  /// Settles what a device is to be before it is up: a note on it for people (`ip link` shows it as alias), no IPv6 address of its own
  /// making, and whether packets for 127.0.0.0/8 may pass through it.
  public mutating func prepare(_ link: NetworkLink, note: String, routesLoopback: Bool) throws(Failure) {
    let none: UInt8 = 1  // IN6_ADDR_GEN_MODE_NONE
    let ipv6 = Attribute(UInt16(AF_INET6), nesting: Attribute(UInt16(IFLA_INET6_ADDR_GEN_MODE), [none]))
    let localnet = Attribute(UInt16(IPV4_DEVCONF_ROUTE_LOCALNET), native: UInt32(routesLoopback ? 1 : 0))
    let ipv4 = Attribute(UInt16(AF_INET), nesting: Attribute(UInt16(IFLA_INET_CONF), nesting: localnet))
    let alias = Attribute(UInt16(IFLA_IFALIAS), Array(note.utf8))
    let message = { (families: [Attribute]) in
      Message(
        UInt16(RTM_NEWLINK), fixed: Netlink.link(link.index),
        [alias, Attribute(UInt16(IFLA_AF_SPEC), nesting: families)])
    }
    do throws(Failure) { try change(message([ipv4, ipv6]), "prepare network device", link.name) } catch
      where
      error.errno?.rawValue == EAFNOSUPPORT
    {
      // A kernel without IPv6.
      try change(message([ipv4]), "prepare network device", link.name)
    }
  }

  /// Brings a device up.
  public mutating func bringUp(_ link: NetworkLink) throws(Failure) {
    let up: UInt32 = 1
    try change(
      Message(UInt16(RTM_NEWLINK), fixed: Netlink.link(link.index, flags: up)), "bring up network device", link.name)
  }
}

extension Netlink {
  private static func family(_ address: IPAddress) -> UInt8 {
    UInt8(truncatingIfNeeded: address.isIPv4 ? AF_INET : AF_INET6)
  }

  /// Gives `address` to a device, with the one other address of its pair on the same cable.
  public mutating func add(_ address: IPAddress, to link: NetworkLink) throws(Failure) {
    let width = UInt8(address.bytes.count * 8)
    // Nobody else can have the address of an IPv6 pair, so that looking for a double would only take time.
    let fixed = [Netlink.family(address), width - 1, UInt8(IFA_F_NODAD), 0] + native(link.index)
    let message = Message(
      UInt16(RTM_NEWADDR), NLM_F_CREATE | NLM_F_EXCL, fixed: fixed,
      [Attribute(UInt16(IFA_LOCAL), address.bytes), Attribute(UInt16(IFA_ADDRESS), address.bytes)])
    try change(message, "add address \(address) to network device", link.name)
  }

  /// Writes down the hardware address of the other end for good, so that nobody has to ask for it, or can lie about it.
  public mutating func addNeighbour(_ address: IPAddress, _ hardwareAddress: [UInt8], on link: NetworkLink)
    throws(Failure)
  {
    let permanent: UInt16 = 0x80
    let fixed = [Netlink.family(address), 0, 0, 0] + native(link.index) + native(permanent) + [0, 0]
    let message = Message(
      UInt16(RTM_NEWNEIGH), NLM_F_CREATE | NLM_F_REPLACE, fixed: fixed,
      [Attribute(UInt16(NDA_DST), address.bytes), Attribute(UInt16(NDA_LLADDR), hardwareAddress)])
    try change(message, "add neighbour \(address) to network device", link.name)
  }

  /// Sends everything that has no other route to `gateway`.
  public mutating func addDefaultRoute(through gateway: IPAddress, on link: NetworkLink) throws(Failure) {
    // Main table, made by an administrator at boot, whole world, unicast (rtnetlink(7)).
    let fixed = [Netlink.family(gateway), 0, 0, 0, 254, 3, 0, 1] + native(UInt32(0))
    let message = Message(
      UInt16(RTM_NEWROUTE), NLM_F_CREATE | NLM_F_EXCL, fixed: fixed,
      [Attribute(RTA_GATEWAY, gateway.bytes), Attribute(RTA_OIF, native: link.index)])
    try change(message, "add a default route through \(gateway) on network device", link.name)
  }

  /// Where packets to `address` would go.
  public struct RouteMatch: Sendable, Hashable {
    /// Bits of the address that the route speaks of; 0 for the default route.
    public let prefix: Int
    /// The device's number, where it has one.
    public let device: Int32?
  }

  /// The route that is used for `address`; nil where there is none.
  public mutating func route(to address: IPAddress) throws(Failure) -> RouteMatch? {
    let wholeMatch: UInt32 = 0x2000
    let fixed = [Netlink.family(address), UInt8(address.bytes.count * 8), 0, 0, 0, 0, 0, 0] + native(wholeMatch)
    let message = Message(UInt16(RTM_GETROUTE), fixed: fixed, [Attribute(RTA_DST, address.bytes)])
    let missing = [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL]
    guard let reply = try find(message, missing: missing, "find the route to", "\(address)"), reply.body.count > 1
    else { return nil }
    return RouteMatch(
      prefix: Int(reply.body[1]), device: reply.attributes(after: 12)[RTA_OIF].flatMap { $0.number(0) })
  }
}
