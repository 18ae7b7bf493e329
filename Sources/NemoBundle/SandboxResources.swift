import Glibc
import NemoBlueprint

/// The limits and devices of a sandbox, as `linux.resources` and `linux.devices`.
struct SandboxResources {
  let sandbox: Sandbox
  /// Owner of the device nodes.
  let identity: ResolvedIdentity

  private static let period = 100_000

  /// `linux.resources`.
  func resources() throws -> JSONValue {
    let limits = sandbox.resources
    var devices: [JSONValue] = [.object(["allow": .bool(false), "access": .string("rwm")])]
    for device in sandbox.devices {
      let node = try node(device.path)
      devices.append(
        .object([
          "allow": .bool(true), "type": .string(node.type), "major": .integer(node.major),
          "minor": .integer(node.minor), "access": .string(device.access),
        ]))
    }
    var resources: [String: JSONValue] = [
      "memory": .object([
        "limit": .integer(limits.memory), "swap": .integer(limits.memory + limits.swap),
      ]),
      "cpu": .object([
        "quota": .integer(max(1000, limits.milliCPUs * Self.period / 1000)), "period": .integer(Self.period),
      ]),
      "pids": .object(["limit": .integer(limits.pids)]), "devices": .array(devices),
    ]
    if let io = try blockIO() { resources["blockIO"] = io }
    return .object(resources)
  }

  /// `linux.devices`.
  func devices() throws -> JSONValue {
    .array(
      try sandbox.devices.map { device in
        let node = try node(device.path)
        let mode = (device.access.contains("r") ? 0o400 : 0) | (device.access.contains("w") ? 0o200 : 0)
        return .object([
          "path": .string(device.path), "type": .string(node.type), "major": .integer(node.major),
          "minor": .integer(node.minor), "fileMode": .integer(mode), "uid": .integer(Int(identity.uid)),
          "gid": .integer(Int(identity.gid)),
        ])
      })
  }

  private func blockIO() throws -> JSONValue? {
    var result: [String: JSONValue] = [:]
    if let weight = sandbox.resources.ioWeight { result["weight"] = .integer(max(10, weight)) }
    let kinds: [(String, (Sandbox.Throttle) -> Int?)] = [
      ("throttleReadBpsDevice", \.readBytes), ("throttleWriteBpsDevice", \.writeBytes),
      ("throttleReadIOPSDevice", \.readOperations), ("throttleWriteIOPSDevice", \.writeOperations),
    ]
    for (name, rate) in kinds {
      var list: [JSONValue] = []
      for throttle in sandbox.resources.throttles {
        guard let rate = rate(throttle) else { continue }
        let node = try node(throttle.device)
        list.append(
          .object(["major": .integer(node.major), "minor": .integer(node.minor), "rate": .integer(rate)]))
      }
      if !list.isEmpty { result[name] = .array(list) }
    }
    return result.isEmpty ? nil : .object(result)
  }

  private func node(_ path: String) throws -> (type: String, major: Int, minor: Int) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw BundleFailure.last("look at the device", path) }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFCHR || kind == S_IFBLK else { throw BundleFailure("\(path): is no device") }
    let number = status.st_rdev
    // gnu_dev_major(3): twelve bits of the major number, twenty of the minor one.
    let major = Int((number >> 8) & 0xfff | (number >> 32) & ~0xfff)
    let minor = Int(number & 0xff | (number >> 12) & ~0xff)
    return (kind == S_IFCHR ? "c" : "b", major, minor)
  }
}
