import Glibc
import NemoJSON
import NemoKernel
import NemoOCI

/// Moves network devices of the host into a container's network namespace, and back when the container could not be made
/// (config-linux.md#network-devices).
///
/// Once the container has started they are its namespace's: when that ends, the kernel brings physical devices back to the initial
/// namespace and destroys virtual ones.
public struct DeviceTransfer: ~Copyable {
  /// One device that left.
  private struct Moved {
    let link: Link
    /// Its name inside.
    let name: String
    /// What it had on the host.
    let addresses: [LinkAddress]
  }

  private var host: NetlinkSocket
  private var container: NetlinkSocket
  private let hostNamespace: OwnedDescriptor
  private let containerNamespace: OwnedDescriptor
  private var moved: [Moved] = []

  /// - Parameters:
  ///   - namespace: the container's network namespace, opened.
  ///   - socket: a netlink socket that was opened in it.
  public init(namespace: consuming OwnedDescriptor, socket: consuming NetlinkSocket) throws(Failure) {
    let hostNamespace = try Files.open("/proc/self/ns/net", O_RDONLY)
    host = try NetlinkSocket()
    self.hostNamespace = hostNamespace
    containerNamespace = namespace
    container = socket
  }

  /// Moves all of `devices`, in their order: renamed, with their lasting addresses, and up. All are looked up first, so that a name
  /// that is missing or taken changes nothing.
  ///
  /// - Throws: one line naming the device as `/linux/netDevices/NAME`. What has moved stays moved until ``moveBack()``.
  public mutating func move(_ devices: [NetDevice]) throws(Failure) {
    var plan: [(link: Link, name: String)] = []
    for device in devices {
      do throws(Failure) {
        let link = try host.link(device.hostName)
        plan.append((link, try freeName(for: device, besides: plan.map(\.name))))
      } catch { throw DeviceTransfer.explained(error, device.hostName) }
    }
    for (link, name) in plan {
      do throws(Failure) { try move(link, as: name) } catch { throw DeviceTransfer.explained(error, link.name) }
    }
  }

  private mutating func move(_ link: Link, as name: String) throws(Failure) {
    let addresses = try host.addresses(of: link)
    do throws(Failure) { try host.move(link, to: containerNamespace.raw, as: name) } catch {
      if try host.linkIfAny(link.name)?.index != link.index {
        moved.append(Moved(link: link, name: name, addresses: addresses))
      }
      throw error
    }
    moved.append(Moved(link: link, name: name, addresses: addresses))
    let inside = try container.link(name)
    try container.add(addresses.filter(\.isLasting), to: inside)
    try container.bringUp(inside)
  }

  /// The name that the device will have inside. A template such as `eth%d` gets the lowest number that is free.
  private mutating func freeName(for device: NetDevice, besides planned: [String]) throws(Failure) -> String {
    let wanted = device.name.isEmpty ? device.hostName : device.name
    guard let place = wanted.firstIndex(of: "%") else {
      guard try container.linkIfAny(wanted) == nil else {
        throw Failure(
          "", "", errno: .exists, reason: "the container's network namespace has a device called \"\(wanted)\"",
          advice: "choose another name")
      }
      return wanted
    }
    let after = wanted.index(place, offsetBy: 2, limitedBy: wanted.endIndex) ?? wanted.endIndex
    var number = 0
    while true {
      let name = "\(wanted[..<place])\(number)\(wanted[after...])"
      guard NetDevice.isName(name) else { throw Failure("", "", reason: "no name like \"\(wanted)\" is free inside") }
      if !planned.contains(name), try container.linkIfAny(name) == nil { return name }
      number += 1
    }
  }

  /// Brings every moved device back under its name, with its addresses, and up if it was. Routes are not restored.
  ///
  /// - Returns: a line for each device that could not be brought back as it was.
  public mutating func moveBack() -> [String] {
    var problems: [String] = []
    for device in moved.reversed() {
      do throws(Failure) { try moveBack(device) } catch {
        problems.append(error.within("bring network device \(device.link.name) back to the host").message)
      }
    }
    moved = []
    return problems
  }

  private mutating func moveBack(_ device: Moved) throws(Failure) {
    let inside: Link
    if let renamed = try container.linkIfAny(device.name) {
      inside = renamed
    } else {
      inside = try container.link(device.link.name)
    }
    try container.move(inside, to: hostNamespace.raw, as: device.link.name)
    let link = try host.link(device.link.name)
    try host.add(device.addresses.filter(\.isPermanent), to: link, labelled: true)
    if device.link.isUp { try host.bringUp(link) }
  }

  private static func explained(_ failure: Failure, _ device: String) -> Failure {
    var failure = failure
    failure.reason = [failure.operation, failure.reason].filter { !$0.isEmpty }.joined(separator: ": ")
    failure.operation = ""
    failure.subject = "/linux/netDevices/" + JSONNode.escape(device)
    if failure.errno == .notPermitted || failure.errno == .accessDenied {
      failure.advice = "it takes CAP_NET_ADMIN in the network namespace that the device leaves and in the container's"
    }
    return failure
  }
}
