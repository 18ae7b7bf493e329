import CKernel
import Glibc
import NemoKernel
import Testing

@testable import NemoNetwork

@Suite struct NetlinkMessageTests {
  @Test func attributesArePadded() {
    var message = NetlinkMessage(
      NetlinkMessage.Kind.newLink, NetlinkMessage.Flag.request, fixed: NetlinkMessage.link(index: 7))
    message.add(Link.nameAttribute, "eth0")
    message.add(Link.namespaceAttribute, NetlinkMessage.number(Int32(5)))
    let bytes = message.sealed(sequence: 9)
    #expect(bytes.count == 16 + 16 + 12 + 8)
    #expect(bytes.count % 4 == 0)
    let read = NetlinkReply.all(in: bytes)
    #expect(read.count == 1)
    #expect(read[0].kind == NetlinkMessage.Kind.newLink && read[0].sequence == 9)
    let attributes = read[0].attributes(after: 16)
    #expect(NetlinkReply.text(attributes[Link.nameAttribute] ?? []) == "eth0")
    #expect(attributes[Link.namespaceAttribute] == NetlinkMessage.number(Int32(5)))
    #expect(Link(read[0]) == nil || Link(read[0])?.index == 7)
  }

  @Test func aDatagramHoldsSeveralMessages() {
    let one = NetlinkMessage(NetlinkMessage.Kind.done, 0, fixed: [1, 2, 3, 4]).sealed(sequence: 1)
    let two = NetlinkMessage(NetlinkMessage.Kind.error, 0, fixed: []).sealed(sequence: 2)
    #expect(NetlinkReply.all(in: one + two).map(\.sequence) == [1, 2])
  }

  @Test(arguments: 0...40)
  func whatIsCutOffIsLeftOut(_ length: Int) {
    var message = NetlinkMessage(NetlinkMessage.Kind.newLink, 0, fixed: NetlinkMessage.link(index: 1))
    message.add(Link.nameAttribute, "eth0")
    let bytes = message.sealed(sequence: 1)
    #expect(NetlinkReply.all(in: Array(bytes.prefix(length))).isEmpty)
  }

  @Test(
    arguments: [
      [0, 0, 0, 0], [3, 0, 3, 0], [255, 255, 3, 0, 1], [4, 0, 3, 0, 0, 0], [8, 0, 3, 0, 0x65], [4, 0], [],
    ] as [[UInt8]])
  func brokenAttributesEndTheList(_ tail: [UInt8]) {
    let reply = NetlinkReply(
      kind: NetlinkMessage.Kind.newLink, flags: 0, sequence: 1, body: NetlinkMessage.link(index: 1) + tail)
    #expect((reply.attributes(after: 16)[Link.nameAttribute] ?? []).isEmpty)
  }
}

@Suite struct LinkAddressTests {
  private func address(scope: UInt8, flags: UInt32) -> LinkAddress? {
    var message = NetlinkMessage(
      NetlinkMessage.Kind.newAddress, 0,
      fixed: NetlinkMessage.address(family: 2, prefix: 24, scope: scope, index: 3))
    message.add(1, [10, 0, 0, 1])
    message.add(2, [10, 0, 0, 2])
    message.add(3, "eth0:1")
    message.add(8, NetlinkMessage.number(flags))
    return NetlinkReply.all(in: message.sealed(sequence: 1)).first.flatMap { LinkAddress($0, of: 3) }
  }

  @Test func onlyPermanentGlobalAddressesLast() throws {
    #expect(try #require(address(scope: 0, flags: 0x80)).isLasting)
    #expect(try !#require(address(scope: 0, flags: 0)).isLasting)
    #expect(try !#require(address(scope: 253, flags: 0x80)).isLasting)
    #expect(try #require(address(scope: 253, flags: 0x80)).isPermanent)
  }

  @Test func aCopyKeepsWhatWasChosen() throws {
    // Permanent, secondary and no prefix route: the last alone is a choice.
    let original = try #require(address(scope: 0, flags: 0x80 | 0x01 | 0x200))
    let request = try #require(
      NetlinkReply.all(in: original.request(for: 9, labelled: false).sealed(sequence: 1)).first)
    #expect(Array(request.body.prefix(4)) == [2, 24, 0, 0])
    #expect(NetlinkReply.read(request.body, 4) == Int32(9))
    let attributes = request.attributes(after: 8)
    #expect(attributes[1] == [10, 0, 0, 1] && attributes[2] == [10, 0, 0, 2] && attributes[3] == nil)
    #expect(attributes[8] == NetlinkMessage.number(UInt32(0x200)))
    let labelled = NetlinkReply.all(in: original.request(for: 9, labelled: true).sealed(sequence: 1)).first
    #expect(NetlinkReply.text(labelled?.attributes(after: 8)[3] ?? []) == "eth0:1")
  }

  @Test func addressesOfOtherDevicesAreNone() {
    let message = NetlinkMessage(NetlinkMessage.Kind.newAddress, 0, fixed: NetlinkMessage.address(index: 4))
    #expect(NetlinkReply.all(in: message.sealed(sequence: 1)).compactMap { LinkAddress($0, of: 3) }.isEmpty)
  }
}

@Suite struct NetlinkSocketTests {
  @Test func theLoopbackDeviceIsFound() throws {
    var socket = try NetlinkSocket()
    let link = try socket.link("lo")
    #expect(link.name == "lo" && link.index > 0)
    #expect(try socket.linkIfAny("no-such-device") == nil)
    let addresses = try socket.addresses(of: link)
    #expect(addresses.allSatisfy { $0.family == 2 || $0.family == 10 })
  }

  @Test func aMissingDeviceIsAnErrorThatNamesIt() throws {
    var socket = try NetlinkSocket()
    do throws(Failure) {
      _ = try socket.link("no-such-device")
      Issue.record("it was found")
    } catch {
      #expect(error.errno?.name == "ENODEV" && error.subject == "no-such-device")
    }
  }
}
