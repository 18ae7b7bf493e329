import Glibc
import NemoKernel
import NemoOCI

/// Moving network devices of the host into the container (config-linux.md#network-devices).
enum NetworkDevices {
  static func move(_ devices: [NetDevice], to pid: Int32) throws(Failure) {
    guard let first = devices.first else { return }
    throw Failure("", "/linux/netDevices/\(first.hostName)", reason: "moving network devices is not supported")
  }
}
