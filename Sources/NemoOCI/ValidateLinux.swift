import Glibc
import NemoJSON
import NemoKernel

extension LinuxConfiguration {
  /// Whether the container has a namespace of this kind that is not simply inherited.
  func has(_ kind: NamespaceKind) -> Bool { namespaces.contains { $0.kind == kind } }

  /// The file of the namespace to join; empty for a new one, nil for none.
  func path(of kind: NamespaceKind) -> String? { namespaces.first { $0.kind == kind }?.path }

  func validate() throws(Failure) {
    try validateNamespaces()
    try validateUserNamespace()
    try validateTimeOffsets()
    if !has(.mount) {
      if !maskedPaths.isEmpty { throw wrong("/linux/maskedPaths", "needs a mount namespace in /linux/namespaces") }
      if !readonlyPaths.isEmpty { throw wrong("/linux/readonlyPaths", "needs a mount namespace in /linux/namespaces") }
    }
    if LexicalPath.climbs(cgroupsPath) {
      throw wrong("/linux/cgroupsPath", "\"\(cgroupsPath)\" must not contain \"..\"")
    }
    try validateNetDevices()
    try memoryPolicy?.validate()
    if !sysctl.isEmpty { try validateSysctl() }
    try resources.validate(at: "/linux/resources")
  }

  private func validateNamespaces() throws(Failure) {
    for index in namespaces.indices {
      for earlier in 0..<index where namespaces[earlier].kind == namespaces[index].kind {
        throw wrong("/linux/namespaces/\(index)/type", "\(namespaces[index].kind.rawValue) is given twice")
      }
    }
  }

  /// A new user namespace needs mappings. A joined one has its own: those given beside it can only be compared to them when it is
  /// joined, as engines do who name the namespace of a pod and repeat its mappings.
  private func validateUserNamespace() throws(Failure) {
    guard let path = path(of: .user) else {
      if !uidMappings.isEmpty { throw wrong("/linux/uidMappings", "needs a user namespace in /linux/namespaces") }
      if !gidMappings.isEmpty { throw wrong("/linux/gidMappings", "needs a user namespace in /linux/namespaces") }
      return
    }
    if path.isEmpty {
      guard !uidMappings.isEmpty else { throw wrong("/linux/uidMappings", "is required for a new user namespace") }
      guard !gidMappings.isEmpty else { throw wrong("/linux/gidMappings", "is required for a new user namespace") }
    }
    try IDMapping.validate(uidMappings, at: "/linux/uidMappings")
    try IDMapping.validate(gidMappings, at: "/linux/gidMappings")
  }

  /// The process's ids must exist in a new user namespace (user_namespaces(7)).
  func validateUser(_ user: User) throws(Failure) {
    guard path(of: .user)?.isEmpty == true else { return }
    guard IDMapping.maps(uidMappings, user.uid) else {
      throw wrong("/process/user/uid", "\(user.uid) is not mapped by /linux/uidMappings")
    }
    guard IDMapping.maps(gidMappings, user.gid) else {
      throw wrong("/process/user/gid", "\(user.gid) is not mapped by /linux/gidMappings")
    }
    for (index, gid) in user.additionalGids.enumerated() where !IDMapping.maps(gidMappings, gid) {
      throw wrong("/process/user/additionalGids/\(index)", "\(gid) is not mapped by /linux/gidMappings")
    }
  }

  private func validateTimeOffsets() throws(Failure) {
    if timeOffsets.isEmpty { return }
    guard let path = path(of: .time) else {
      throw wrong("/linux/timeOffsets", "needs a time namespace in /linux/namespaces")
    }
    guard path.isEmpty else { throw wrong("/linux/timeOffsets", "is only for a new time namespace, not a joined one") }
  }

  private func validateNetDevices() throws(Failure) {
    if netDevices.isEmpty { return }
    // The words before the colon are runc's, which tests look for.
    guard has(.network) else {
      throw wrong(
        "/linux/netDevices",
        "unable to move network devices without a private NET namespace: add network to /linux/namespaces")
    }
    guard !KernelParameter.isOwnNetwork(path(of: .network) ?? "") else {
      throw wrong(
        "/linux/netDevices", "unable to move network devices: the network namespace to join is the one they are in")
    }
    var names: Set<String> = []
    for device in netDevices {
      let name = device.name.isEmpty ? device.hostName : device.name
      guard NetDevice.isTemplate(name) || names.insert(name).inserted else {
        throw wrong(
          "/linux/netDevices/\(JSONNode.escape(device.hostName))",
          "\"\(name)\" is already the name of another device inside")
      }
    }
  }
}

extension IDMapping {
  /// Ranges must not overlap, on either side, and must fit into one write.
  static func validate(_ mappings: [IDMapping], at pointer: String) throws(Failure) {
    guard mappings.count <= Limits.mappings else {
      throw wrong(pointer, "\(mappings.count) mappings are given, the kernel takes \(Limits.mappings)")
    }
    var length = 0
    for (index, mapping) in mappings.enumerated() {
      length += digits(mapping.containerID) + digits(mapping.hostID) + digits(mapping.size) + 3
      for other in mappings[..<index] {
        guard !overlap(mapping.containerID, mapping.size, other.containerID, other.size) else {
          throw wrong("\(pointer)/\(index)/containerID", "the range overlaps another")
        }
        guard !overlap(mapping.hostID, mapping.size, other.hostID, other.size) else {
          throw wrong("\(pointer)/\(index)/hostID", "the range overlaps another")
        }
      }
    }
    guard length <= Limits.mappingText else {
      throw wrong(pointer, "needs \(length) bytes as text, the kernel takes \(Limits.mappingText)")
    }
  }

  private static func digits(_ number: UInt32) -> Int {
    var count = 1
    var rest = number / 10
    while rest > 0 {
      count += 1
      rest /= 10
    }
    return count
  }

  private static func overlap(_ a: UInt32, _ aSize: UInt32, _ b: UInt32, _ bSize: UInt32) -> Bool {
    UInt64(a) < UInt64(b) + UInt64(bSize) && UInt64(b) < UInt64(a) + UInt64(aSize)
  }

  /// Whether `id`, inside, has an id outside.
  static func maps(_ mappings: [IDMapping], _ id: UInt32) -> Bool {
    mappings.contains { id >= $0.containerID && id - $0.containerID < $0.size }
  }
}

extension MemoryPolicy {
  /// set_mempolicy(2).
  func validate() throws(Failure) {
    let name = MemoryPolicy.modes.first { $0.value == mode }?.name ?? ""
    switch name {
    case "MPOL_DEFAULT", "MPOL_LOCAL":
      guard nodes.isEmpty else { throw wrong("/linux/memoryPolicy/nodes", "must be empty with \(name)") }
    case "MPOL_PREFERRED": break
    default:
      guard !nodes.isEmpty else { throw wrong("/linux/memoryPolicy/nodes", "is required with \(name)") }
    }
    let has = { (flag: String) in MemoryPolicy.flagBits.contains { $0.name == flag && flags & $0.value != 0 } }
    if has("MPOL_F_STATIC_NODES") && has("MPOL_F_RELATIVE_NODES") {
      throw wrong("/linux/memoryPolicy/flags", "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other")
    }
    if has("MPOL_F_NUMA_BALANCING") && name != "MPOL_BIND" && name != "MPOL_PREFERRED_MANY" {
      throw wrong("/linux/memoryPolicy/flags", "MPOL_F_NUMA_BALANCING is only for MPOL_BIND and MPOL_PREFERRED_MANY")
    }
  }
}

extension LinuxConfiguration {
  /// System V parameters that each IPC namespace has for itself (ipc_namespaces(7)).
  private static let ipcParameters: [String] = [
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced",
  ]

  /// Only parameters that a namespace of the container has for itself may be set: all others are the host's.
  private func validateSysctl() throws(Failure) {
    for written in sysctl.keys where problem(ofParameter: written) != nil {
      // The same one is named at every run.
      for written in sysctl.keys.sorted() {
        if let problem = problem(ofParameter: written) {
          throw wrong("/linux/sysctl/" + JSONNode.escape(written), problem)
        }
      }
    }
  }

  private func problem(ofParameter written: String) -> String? {
    let name = KernelParameter.dotted(written)
    guard KernelParameter.isClean(name) else { return "is not the name of a kernel parameter" }
    if name != written, sysctl[name] != nil { return "is given twice, with dots and with slashes" }
    if name.utf8.starts(with: "net.".utf8) {
      guard let path = path(of: .network) else { return "needs a network namespace in /linux/namespaces" }
      return KernelParameter.isOwnNetwork(path) ? "is not allowed in the host's network namespace" : nil
    }
    if name.utf8.starts(with: "fs.mqueue.".utf8) || LinuxConfiguration.ipcParameters.contains(name) {
      return has(.ipc) ? nil : "needs an ipc namespace in /linux/namespaces"
    }
    switch name {
    case "kernel.domainname": return has(.uts) ? nil : "needs a uts namespace in /linux/namespaces"
    case "kernel.hostname": return "is not allowed: use /hostname"
    default: return "is not in a separate kernel namespace: it would change the host"
    }
  }
}

/// Names of kernel parameters (sysctl(8)).
enum KernelParameter {
  /// The dotted form of a name: `net/ipv4/conf/eth0.100/x` is `net.ipv4.conf.eth0/100.x`.
  static func dotted(_ name: String) -> String {
    guard let separator = name.utf8.first(where: { $0 == 0x2e || $0 == 0x2f }), separator == 0x2f else { return name }
    return swapped(name)
  }

  private static func swapped(_ name: String) -> String {
    var text = ""
    for scalar in name.unicodeScalars { text.unicodeScalars.append(scalar == "." ? "/" : scalar == "/" ? "." : scalar) }
    return text
  }

  /// Whether the path of a dotted name stays below /proc/sys and is written in one way only: no part is empty, `.` or `..`,
  /// where a slash in the name stands for a dot.
  static func isClean(_ dotted: String) -> Bool {
    var length = 0
    var dots = 0
    for byte in dotted.utf8 {
      if byte == 0x2e {
        if length == dots && dots <= 2 { return false }
        length = 0
        dots = 0
      } else {
        length += 1
        if byte == 0x2f { dots += 1 }
      }
    }
    return length != dots || dots > 2
  }

  /// Whether `path` is the network namespace that the runtime itself is in; a missing file shows itself when it is joined.
  static func isOwnNetwork(_ path: String) -> Bool {
    if path.isEmpty { return false }
    var own = stat()
    var other = stat()
    guard stat("/proc/self/ns/net", &own) == 0, stat(path, &other) == 0 else { return false }
    return own.st_dev == other.st_dev && own.st_ino == other.st_ino
  }
}
