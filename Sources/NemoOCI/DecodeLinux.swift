import NemoJSON
import NemoKernel

extension LinuxConfiguration {
  private static let propagations: [(name: String, value: Void)] = [
    ("shared", ()), ("slave", ()), ("private", ()), ("unbindable", ()), ("rshared", ()), ("rslave", ()),
    ("rprivate", ()),
    ("runbindable", ()), ("", ()),
  ]

  init(_ node: JSONNode) throws(Failure) {
    self.init()
    namespaces = try node.list("namespaces", Namespace.init)
    uidMappings = try node.list("uidMappings", IDMapping.init)
    gidMappings = try node.list("gidMappings", IDMapping.init)
    if let offsets = try node.field("timeOffsets") {
      try offsets.forEachMember { (clock, offset) throws(Failure) in
        guard clock == "monotonic" || clock == "boottime" else {
          throw offset.failure("is not a clock with an offset: monotonic, boottime")
        }
        timeOffsets[clock] = try TimeOffset(offset)
      }
    }
    devices = try node.list("devices", Device.init)
    if let interfaces = try node.field("netDevices") {
      try interfaces.forEachMember { (name, interface) throws(Failure) in
        netDevices.append(try NetDevice(name, interface))
      }
    }
    cgroupsPath = try node.text("cgroupsPath")
    if let resources = try node.field("resources") { self.resources = try Resources(resources) }
    sysctl = try node.textMap("sysctl")
    maskedPaths = try node.list("maskedPaths") { (path) throws(Failure) in try path.absolutePath() }
    readonlyPaths = try node.list("readonlyPaths") { (path) throws(Failure) in try path.absolutePath() }
    if let propagation = try node.field("rootfsPropagation") {
      try propagation.choice(LinuxConfiguration.propagations)
      rootfsPropagation = try propagation.string()
    }
    mountLabel = try node.text("mountLabel")
    if let personality = try node.field("personality") { self.personality = try Personality(personality) }
    if let intelRdt = try node.field("intelRdt") { self.intelRdt = try IntelRdt(intelRdt) }
    if let policy = try node.field("memoryPolicy") { memoryPolicy = try MemoryPolicy(policy) }
    if let seccomp = try node.field("seccomp") { self.seccomp = try SeccompProfile(seccomp) }
  }
}

extension Namespace {
  init(_ node: JSONNode) throws(Failure) {
    let type = try node.required("type")
    let name = try type.string()
    guard let kind = NamespaceKind(rawValue: name) else {
      let kinds = NamespaceKind.allCases.map(\.rawValue).joined(separator: ", ")
      throw type.failure("\"\(name)\" is none of \(kinds)")
    }
    self.init(kind: kind)
    // Podman writes an empty path for a new one.
    if let path = try node.field("path"), !(try path.string()).isEmpty { self.path = try path.absolutePath() }
  }
}

extension TimeOffset {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    secs = try node.number("secs") ?? 0
    if let nanosecs = try node.field("nanosecs") { self.nanosecs = try nanosecs.integer(in: 0...999_999_999) }
  }
}

extension Device {
  private static let types: [(name: String, value: UInt32)] = [
    ("c", 0o020000), ("u", 0o020000), ("b", 0o060000), ("p", 0o010000),
  ]

  init(_ node: JSONNode) throws(Failure) {
    let type = try node.required("type")
    let format = try type.choice(Device.types)
    self.init(type: try type.string(), path: try node.required("path").absolutePath())
    if self.type != "p" {
      major = try node.required("major").integer(in: Limits.majors)
      minor = try node.required("minor").integer(in: Limits.minors)
    }
    if let mode = try node.field("fileMode") {
      // Engines copy st_mode, with the file type in it.
      let bits: UInt32 = try mode.integer(in: 0...0o177777)
      guard bits & 0o170000 == 0 || bits & 0o170000 == format else {
        throw mode.failure("\(bits) has a file type other than \(self.type)")
      }
      fileMode = bits & 0o7777
    }
    if let uid = try node.field("uid") { self.uid = try uid.id() }
    if let gid = try node.field("gid") { self.gid = try gid.id() }
  }
}

extension NetDevice {
  init(_ name: String, _ node: JSONNode) throws(Failure) {
    self.init(hostName: name)
    guard NetDevice.isName(name) else { throw node.failure(NetDevice.legalName) }
    if let inside = try node.field("name") {
      self.name = try inside.string()
      guard self.name.isEmpty || NetDevice.isName(self.name) else {
        throw inside.failure("\"\(self.name)\" \(NetDevice.legalName)")
      }
      guard !self.name.utf8.contains(0x25) || NetDevice.isTemplate(self.name) else {
        throw inside.failure("\"\(self.name)\" has a '%' that is not its one %d")
      }
    }
  }

  static let legalName = "is no interface name: 1 to 15 bytes without white space, '/' and ':'; not '.' or '..'"

  /// Whether the name has one `%` and that is of `%d`, for which the lowest free number is put (config-linux.md#network-devices).
  static func isTemplate(_ name: String) -> Bool {
    let parts = name.utf8.split(separator: 0x25, omittingEmptySubsequences: false)
    return parts.count == 2 && parts[1].first == 0x64
  }

  /// The kernel's rule (dev_valid_name) for the name of an interface.
  public static func isName(_ name: String) -> Bool {
    (1...Limits.interfaceNameLength).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 != 0x2f && $0 != 0x3a && $0 != 0x20 && !(0x09...0x0d).contains($0) }
  }
}

extension Personality {
  private static let domains: [(name: String, value: UInt)] = [("LINUX", 0), ("LINUX32", 8)]

  init(_ node: JSONNode) throws(Failure) {
    self.init(domain: try node.required("domain").choice(Personality.domains))
    if let flags = try node.field("flags"), try flags.count() > 0 {
      throw flags.failure("is not supported: no flag is specified")
    }
  }
}

extension IntelRdt {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    if let closID = try node.field("closID") {
      self.closID = try closID.string()
      guard self.closID != ".", self.closID != "..", !self.closID.utf8.contains(0x2f), !self.closID.utf8.contains(0x0a)
      else {
        throw closID.failure("\"\(self.closID)\" is not the name of a directory")
      }
    }
    l3CacheSchema = try node.text("l3CacheSchema")
    if let schema = try node.field("memBwSchema") {
      memBwSchema = try schema.string()
      guard memBwSchema.isEmpty || memBwSchema.hasPrefix("MB:"), !memBwSchema.utf8.contains(0x0a) else {
        throw schema.failure("must be one line that begins with MB:")
      }
    }
    schemata = try node.texts("schemata")
    enableMonitoring = try node.flag("enableMonitoring") ?? false
  }
}

extension MemoryPolicy {
  /// Numbers of linux/mempolicy.h.
  static let modes: [(name: String, value: Int32)] = [
    ("MPOL_DEFAULT", 0), ("MPOL_PREFERRED", 1), ("MPOL_BIND", 2), ("MPOL_INTERLEAVE", 3), ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5), ("MPOL_WEIGHTED_INTERLEAVE", 6),
  ]
  static let flagBits: [(name: String, value: Int32)] = [
    ("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15),
  ]

  init(_ node: JSONNode) throws(Failure) {
    self.init(mode: try node.required("mode").choice(MemoryPolicy.modes))
    if let nodes = try node.field("nodes") { self.nodes = try nodes.numberList() }
    for flag in try node.list("flags", { (flag) throws(Failure) in try flag.choice(MemoryPolicy.flagBits) }) {
      flags |= flag
    }
  }
}

extension SeccompProfile {
  init(_ node: JSONNode) throws(Failure) {
    self.init(defaultAction: try node.required("defaultAction").nonEmpty())
    defaultErrnoRet = try node.number("defaultErrnoRet")
    architectures = try node.texts("architectures")
    if let flags = try node.field("flags") {
      self.flags = try flags.strings()
      flagsGiven = true
    }
    listenerPath = try node.text("listenerPath")
    if let metadata = try node.field("listenerMetadata") {
      listenerMetadata = try metadata.string()
      guard listenerMetadata.isEmpty || !listenerPath.isEmpty else { throw metadata.failure("needs listenerPath") }
    }
    syscalls = try node.list("syscalls", SeccompRule.init)
  }
}

extension SeccompRule {
  init(_ node: JSONNode) throws(Failure) {
    let names = try node.required("names")
    self.init(action: try node.required("action").nonEmpty())
    self.names = try names.strings()
    guard !self.names.isEmpty else { throw names.failure("must have at least one element") }
    errnoRet = try node.number("errnoRet")
    args = try node.list("args", SeccompArgument.init)
  }
}

extension SeccompArgument {
  init(_ node: JSONNode) throws(Failure) {
    self.init(
      index: try node.required("index").integer(in: 0...5), value: try node.required("value").integer(),
      op: try node.required("op").nonEmpty())
    valueTwo = try node.number("valueTwo") ?? 0
  }
}
