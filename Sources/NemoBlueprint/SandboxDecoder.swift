import NemoPolicy

extension Decoder {
  func sandbox(_ value: Value?, name: String) -> Sandbox {
    let process = value?["process"]
    let workspace = value?["workspace"].map { $0["path"]?.text ?? "/workspace" }
    let network = value?["network"]
    return Sandbox(
      rootfs: rootfs(value?["rootfs"]), reference: value?["rootfs"]?["reference"]?.text,
      digest: value?["rootfs"]?["digest"]?.text, isRootfsWritable: value?["rootfs"]?["writable"]?.isTrue ?? false,
      args: texts(process?["args"]), cwd: process?["cwd"]?.text ?? workspace ?? "/", env: map(process?["env"]),
      hasTerminal: process?["terminal"]?.isTrue ?? false, hostname: value?["hostname"]?.text ?? name,
      workspace: workspace,
      mounts: (value?["mounts"]?.elements ?? []).map(mount), resources: resources(value?["resources"]),
      devices: (value?["devices"]?.elements ?? []).map {
        Sandbox.Device(path: $0["path"]?.text ?? "", access: $0["access"]?.text ?? "rw", origin: origin($0))
      }, cdi: texts(value?["cdi"]),
      network: network?["mode"]?.text.flatMap(Sandbox.NetworkMode.init(rawValue:)) ?? .none,
      networkPath: network?["path"]?.text, ports: (value?["ports"]?.elements ?? []).map(port))
  }

  private func rootfs(_ value: Value?) -> Sandbox.RootfsSource {
    if let path = value?["oci_layout"]?.text { return .ociLayout(path) }
    if let path = value?["docker_archive"]?.text { return .dockerArchive(path) }
    return .directory(value?["directory"]?.text ?? "")
  }

  private func mount(_ value: Value) -> Sandbox.Mount {
    Sandbox.Mount(
      destination: value["destination"]?.text ?? "", source: value["source"]?.text,
      size: value["tmpfs"]?["size"]?.text.flatMap(Quantity.bytes) ?? 0,
      isWritable: value["tmpfs"] != nil || value["writable"]?.isTrue ?? false,
      isExecutable: value["executable"]?.isTrue ?? false, origin: origin(value))
  }

  private func resources(_ value: Value?) -> Sandbox.Resources {
    var resources = Sandbox.Resources()
    let size = { (field: String) in value?[field]?.text.flatMap(Quantity.bytes) }
    resources.memory = size("memory") ?? resources.memory
    resources.swap = size("swap") ?? resources.swap
    resources.milliCPUs = value?["cpus"]?.text.flatMap(Self.thousandths) ?? resources.milliCPUs
    resources.pids = value?["pids"]?.integer ?? resources.pids
    resources.nofile = value?["nofile"]?.integer ?? resources.nofile
    resources.ioWeight = value?["io"]?["weight"]?.integer
    resources.throttles = (value?["io"]?["throttle"]?.elements ?? []).map { item in
      Sandbox.Throttle(
        device: item["device"]?.text ?? "", readBytes: item["read_bytes"]?.text.flatMap(Quantity.bytes),
        writeBytes: item["write_bytes"]?.text.flatMap(Quantity.bytes), readOperations: item["read_operations"]?.integer,
        writeOperations: item["write_operations"]?.integer)
    }
    return resources
  }

  /// Thousandths of a decimal number, digits beyond them cut off but never to zero.
  private static func thousandths(_ text: String) -> Int? {
    let parts = text.split(separator: ".")
    let fraction = (parts.count > 1 ? String(parts[1]) : "") + "000"
    guard let whole = parts.first.flatMap({ Int($0) }), let rest = Int(fraction.prefix(3)) else { return nil }
    return max(1, whole * 1000 + rest)
  }

  private func port(_ value: Value) -> Sandbox.Port {
    Sandbox.Port(
      container: value["container"]?.integer.flatMap { UInt16(exactly: $0) } ?? 0,
      host: value["host"]?.integer.flatMap { UInt16(exactly: $0) } ?? 0, address: value["address"]?.text ?? "127.0.0.1",
      transport: value["protocol"]?.text.flatMap(Transport.init(rawValue:)) ?? .tcp)
  }
}
