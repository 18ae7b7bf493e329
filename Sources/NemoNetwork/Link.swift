import Glibc
import NemoKernel

/// A network device of one namespace.
struct Link: Equatable {
  /// Its number in the namespace.
  let index: Int32
  let name: String
  let isUp: Bool

  static let up: UInt32 = 0x1
  static let nameAttribute: UInt16 = 3
  static let namespaceAttribute: UInt16 = 28
  private static let fixedLength = 16

  init?(_ reply: NetlinkReply) {
    guard reply.kind == NetlinkMessage.Kind.newLink, let index: Int32 = NetlinkReply.read(reply.body, 4),
      let flags: UInt32 = NetlinkReply.read(reply.body, 8),
      let name = reply.attributes(after: Link.fixedLength)[Link.nameAttribute]
    else { return nil }
    self.index = index
    self.name = NetlinkReply.text(name)
    isUp = flags & Link.up != 0
  }
}

/// An address of a network device, with what makes it what it is.
struct LinkAddress: Equatable {
  let family: UInt8
  let prefix: UInt8
  let scope: UInt8
  let flags: UInt32
  /// IFA_* attributes that a copy takes over.
  let attributes: [UInt16: [UInt8]]

  private static let fixedLength = 8
  private static let label: UInt16 = 3
  private static let flagsAttribute: UInt16 = 8
  /// IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_RT_PRIORITY.
  private static let kept: [UInt16] = [1, 2, label, 4, 9]
  /// The flags that whoever added the address chose: NODAD, OPTIMISTIC, HOMEADDRESS, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN.
  private static let chosen: UInt32 = 0x02 | 0x04 | 0x10 | 0x100 | 0x200 | 0x400
  private static let permanent: UInt32 = 0x80
  /// RT_SCOPE_UNIVERSE.
  private static let universe: UInt8 = 0

  /// The address in a message, when it is one of device `index`.
  init?(_ reply: NetlinkReply, of index: Int32) {
    guard reply.kind == NetlinkMessage.Kind.newAddress, reply.body.count >= LinkAddress.fixedLength,
      NetlinkReply.read(reply.body, 4) == index
    else { return nil }
    let found = reply.attributes(after: LinkAddress.fixedLength)
    family = reply.body[0]
    prefix = reply.body[1]
    scope = reply.body[3]
    flags =
      found[LinkAddress.flagsAttribute].flatMap { NetlinkReply.read($0, 0) } ?? UInt32(reply.body[2])
    attributes = found.filter { LinkAddress.kept.contains($0.key) }
  }

  /// Whether it has no end.
  var isPermanent: Bool { flags & LinkAddress.permanent != 0 }

  /// Whether it is permanent and of global scope: what a device takes along (config-linux.md#network-devices).
  var isLasting: Bool { isPermanent && scope == LinkAddress.universe }

  /// The request that gives it to device `index`.
  ///
  /// - Parameter labelled: with its label, which begins with the device's name.
  func request(for index: Int32, labelled: Bool) -> NetlinkMessage {
    var message = NetlinkMessage(
      NetlinkMessage.Kind.newAddress,
      NetlinkMessage.Flag.request | NetlinkMessage.Flag.acknowledge | NetlinkMessage.Flag.create
        | NetlinkMessage.Flag.exclusive,
      fixed: NetlinkMessage.address(family: family, prefix: prefix, scope: scope, index: index))
    for kind in LinkAddress.kept where labelled || kind != LinkAddress.label {
      if let value = attributes[kind] { message.add(kind, value) }
    }
    message.add(LinkAddress.flagsAttribute, NetlinkMessage.number(flags & LinkAddress.chosen))
    return message
  }
}

extension NetlinkSocket {
  /// The device called `name`; ENODEV when there is none.
  mutating func link(_ name: String) throws(Failure) -> Link {
    var message = NetlinkMessage(
      NetlinkMessage.Kind.getLink, NetlinkMessage.Flag.request, fixed: NetlinkMessage.link())
    message.add(Link.nameAttribute, name)
    guard let link = Link(try get(message, "find network device", name)) else {
      throw Failure("find network device", name, reason: "the kernel's answer is not about a device")
    }
    return link
  }

  /// The device called `name`, or nil.
  mutating func linkIfAny(_ name: String) throws(Failure) -> Link? {
    do throws(Failure) { return try link(name) } catch  where error.errno?.rawValue == ENODEV { return nil }
  }

  /// The addresses of a device, in their order.
  mutating func addresses(of link: Link) throws(Failure) -> [LinkAddress] {
    let message = NetlinkMessage(
      NetlinkMessage.Kind.getAddress, NetlinkMessage.Flag.request | NetlinkMessage.Flag.dump,
      fixed: NetlinkMessage.address(index: link.index))
    return try list(message, "list addresses of network device", link.name).compactMap {
      LinkAddress($0, of: link.index)
    }
  }

  /// Gives addresses to a device; one that it has already is fine.
  mutating func add(_ addresses: [LinkAddress], to link: Link, labelled: Bool = false) throws(Failure) {
    for address in addresses {
      do throws(Failure) {
        try change(address.request(for: link.index, labelled: labelled), "add an address to network device", link.name)
      } catch  where error.errno == .exists { continue }
    }
  }

  /// Brings a device up.
  mutating func bringUp(_ link: Link) throws(Failure) {
    let message = NetlinkMessage(
      NetlinkMessage.Kind.newLink, NetlinkMessage.Flag.request | NetlinkMessage.Flag.acknowledge,
      fixed: NetlinkMessage.link(index: link.index, flags: Link.up, change: Link.up))
    try change(message, "bring up network device", link.name)
  }

  /// Moves a device of this socket's namespace into `namespace` and calls it `name` there, in one request. The kernel takes it down
  /// and its addresses away. When the last part fails it may have moved under its old name.
  mutating func move(_ link: Link, to namespace: Int32, as name: String) throws(Failure) {
    var message = NetlinkMessage(
      NetlinkMessage.Kind.newLink, NetlinkMessage.Flag.request | NetlinkMessage.Flag.acknowledge,
      fixed: NetlinkMessage.link(index: link.index))
    message.add(Link.nameAttribute, name)
    message.add(Link.namespaceAttribute, NetlinkMessage.number(namespace))
    try change(message, "move network device", link.name)
  }
}
