import NemoPolicy

extension Validation {
  mutating func surroundings() {
    if !blueprint.minimumRuntime.isEmpty, let value = root["metadata"]?["minimum_runtime"],
      let needed = SemanticVersion(blueprint.minimumRuntime), let own = SemanticVersion(BlueprintReader.runtimeVersion),
      own < needed
    {
      diagnostics.error(
        value.position, "metadata.minimum_runtime",
        "needs nemoshell \(needed.numbers.map(String.init).joined(separator: ".")); this is \(BlueprintReader.runtimeVersion)"
      )
    }
    var hostPorts: Set<String> = []
    for (path, value) in items(root["sandbox"]?["ports"], "sandbox.ports") {
      let key =
        "\(value["host"]?.text ?? "")/\(value["protocol"]?.text ?? "tcp")/\(value["address"]?.text ?? "127.0.0.1")"
      if !hostPorts.insert(key).inserted {
        diagnostics.error(
          value.position, path, "port \(value["host"]?.text ?? "") of the host is taken by another entry")
      }
      if blueprint.sandbox.network != .veth {
        diagnostics.error(value.position, path, "ports are published for sandbox.network.mode veth alone")
      }
      if let address = value["address"], let ip = address.text.flatMap({ IPAddress($0) }),
        SpecialAddresses.kind(ip) == "unspecified"
      {
        diagnostics.warning(address.position, "\(path).address", "offers the port on every network of the host")
      }
    }
    duplicates(items(root["sandbox"]?["cdi"], "sandbox.cdi"))
    duplicates(
      items(root["sandbox"]?["devices"], "sandbox.devices").compactMap { item in
        item.value["path"].map { ("\(item.path).path", $0) }
      })
    for (path, value) in items(root["sandbox"]?["devices"], "sandbox.devices") {
      guard let device = value["path"], let text = device.text else { continue }
      if ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/vhost-vsock"].contains(text) {
        diagnostics.error(
          device.position, "\(path).path", "\(text) is the host's memory or kernel, which a sandbox never gets")
      }
    }
    if let digest = root["sandbox"]?["rootfs"]?["digest"], root["sandbox"]?["rootfs"]?["directory"] != nil {
      diagnostics.error(digest.position, "sandbox.rootfs.digest", "goes with oci_layout or docker_archive")
    }
    for entry in root["sandbox"]?["process"]?["env"]?.entries ?? [] {
      let secret = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"].contains {
        entry.key.uppercased().hasSuffix($0)
      }
      if secret, !(entry.value.text ?? "").isEmpty {
        diagnostics.warning(
          entry.position, "sandbox.process.env.\(entry.key)",
          "looks like a secret, which every program of the sandbox could read")
      }
      if ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"].contains(entry.key) {
        diagnostics.warning(
          entry.position, "sandbox.process.env.\(entry.key)",
          "loads code into every program, past the rules that name programs")
      }
    }
  }

  mutating func inference() {
    guard let inference = root["inference"] else { return }
    let profiles = inference["profiles"]?.entries ?? []
    let names = profiles.map(\.key)
    let residency = Dictionary(
      profiles.map { ($0.key, $0.value["residency"]?.text ?? "remote") }, uniquingKeysWith: { a, _ in a })
    if profiles.isEmpty, let value = inference["profiles"] {
      diagnostics.error(value.position, "inference.profiles", "names no profile")
    }
    if let value = inference["default"], let name = value.text, !names.contains(name) {
      diagnostics.error(value.position, "inference.default", "\(Diagnostic.quoted(name)) is no profile", legal: names)
    }
    for entry in profiles {
      let path = "inference.profiles.\(entry.key)"
      if inference["residency"]?.text == "local", residency[entry.key] != "local" {
        diagnostics.error(entry.position, path, "is remote, and inference.residency is local")
      }
      for (field, value) in items(entry.value["fallback"], "\(path).fallback") {
        guard let name = value.text else { continue }
        if !names.contains(name) {
          diagnostics.error(value.position, field, "\(Diagnostic.quoted(name)) is no profile", legal: names)
        } else if name == entry.key {
          diagnostics.error(value.position, field, "is the profile itself")
        } else if residency[name] != residency[entry.key] {
          diagnostics.error(
            value.position, field,
            "\(name) is \(residency[name] ?? "") and \(entry.key) is \(residency[entry.key] ?? ""); a fallback never crosses that line"
          )
        }
      }
    }
  }
}
