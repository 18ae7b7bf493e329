import NemoJSON
import NemoKernel

extension Resources {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    devices = try node.list("devices", DeviceRule.init)
    if let memory = try node.field("memory") { self.memory = try MemoryResources(memory) }
    if let cpu = try node.field("cpu") { self.cpu = try CPUResources(cpu) }
    if let pids = try node.field("pids") { pidsLimit = try pids.number("limit") }
    if let blockIO = try node.field("blockIO") { self.blockIO = try BlockIOResources(blockIO) }
    hugepageLimits = try node.list("hugepageLimits", HugepageLimit.init)
    if let network = try node.field("network") { self.network = try NetworkResources(network) }
    if let rdma = try node.field("rdma") {
      try rdma.forEachMember { (name, limit) throws(Failure) in
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 }) else { throw limit.failure("is no device name") }
        self.rdma[name] = try RdmaLimit(limit)
      }
    }
    if let unified = try node.field("unified") {
      try unified.forEachMember { (file, value) throws(Failure) in
        // A file of the cgroup itself, nothing further up or down.
        guard !file.utf8.contains(0x2f), let dot = file.utf8.firstIndex(of: 0x2e), dot != file.utf8.startIndex else {
          throw value.failure("is not of the form CONTROLLER.FILE")
        }
        self.unified[file] = try value.string()
      }
    }
  }
}

extension DeviceRule {
  private static let types: [(name: String, value: Void)] = [("a", ()), ("b", ()), ("c", ())]

  init(_ node: JSONNode) throws(Failure) {
    self.init(allow: try node.required("allow").boolean())
    if let type = try node.field("type"), !(try type.string()).isEmpty {
      try type.choice(DeviceRule.types)
      self.type = try type.string()
    }
    major = try DeviceRule.number(node, "major")
    minor = try DeviceRule.number(node, "minor")
    if let access = try node.field("access"), !(try access.string()).isEmpty {
      let text = try access.string()
      // Peers pass over an "a", which some write for all: an allowing rule gives what else it says, a denying one takes all.
      let letters = text.filter { $0 != "a" }
      self.access = letters != text && !allow ? "rwm" : letters
      guard !self.access.isEmpty, letters.utf8.allSatisfy({ $0 == 0x72 || $0 == 0x77 || $0 == 0x6d }) else {
        throw access.failure("\"\(text)\" has letters other than r, w, m")
      }
    }
  }

  /// A device number; −1 means all, as engines write it.
  private static func number(_ node: JSONNode, _ name: StaticString) throws(Failure) -> Int64? {
    guard let field = try node.field(name) else { return nil }
    let number: Int64 = try field.integer(in: -1...Int64(UInt32.max))
    return number < 0 ? nil : number
  }
}

extension MemoryResources {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    limit = try MemoryResources.bytes(node, "limit")
    reservation = try MemoryResources.bytes(node, "reservation")
    swap = try MemoryResources.bytes(node, "swap")
    kernel = try MemoryResources.bytes(node, "kernel")
    kernelTCP = try MemoryResources.bytes(node, "kernelTCP")
    if let field = try node.field("swappiness") {
      let value: UInt64 = try field.integer()
      // Engines write their "not set", −1, as an unsigned number.
      if value != .max { swappiness = try field.integer(in: 0...100) }
    }
    disableOOMKiller = try node.flag("disableOOMKiller")
    useHierarchy = try node.flag("useHierarchy")
    checkBeforeUpdate = try node.flag("checkBeforeUpdate")
  }

  private static func bytes(_ node: JSONNode, _ name: StaticString) throws(Failure) -> Int64? {
    guard let field = try node.field(name) else { return nil }
    return try field.integer(in: -1...Int64.max)
  }
}

extension CPUResources {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    shares = try node.number("shares")
    quota = try node.number("quota")
    burst = try node.number("burst")
    period = try node.number("period")
    realtimeRuntime = try node.number("realtimeRuntime")
    realtimePeriod = try node.number("realtimePeriod")
    cpus = try node.text("cpus")
    mems = try node.text("mems")
    if let idle = try node.field("idle") { self.idle = try idle.integer(in: 0...1) }
  }
}

extension BlockIOResources {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    weight = try node.number("weight")
    leafWeight = try node.number("leafWeight")
    weightDevice = try node.list("weightDevice", WeightDevice.init)
    throttleReadBpsDevice = try node.list("throttleReadBpsDevice", ThrottleDevice.init)
    throttleWriteBpsDevice = try node.list("throttleWriteBpsDevice", ThrottleDevice.init)
    throttleReadIOPSDevice = try node.list("throttleReadIOPSDevice", ThrottleDevice.init)
    throttleWriteIOPSDevice = try node.list("throttleWriteIOPSDevice", ThrottleDevice.init)
  }

  /// What a device number can be.
  static let numbers: ClosedRange<Int64> = 0...Int64(UInt32.max)
}

extension WeightDevice {
  init(_ node: JSONNode) throws(Failure) {
    self.init(
      major: try node.required("major").integer(in: BlockIOResources.numbers),
      minor: try node.required("minor").integer(in: BlockIOResources.numbers))
    weight = try node.number("weight")
    leafWeight = try node.number("leafWeight")
    guard weight != nil || leafWeight != nil else { throw node.failure("needs weight or leafWeight") }
  }
}

extension ThrottleDevice {
  init(_ node: JSONNode) throws(Failure) {
    self.init(
      major: try node.required("major").integer(in: BlockIOResources.numbers),
      minor: try node.required("minor").integer(in: BlockIOResources.numbers), rate: try node.number("rate") ?? 0)
  }
}

extension HugepageLimit {
  init(_ node: JSONNode) throws(Failure) {
    let size = try node.required("pageSize")
    self.init(pageSize: try size.string(), limit: try node.required("limit").integer())
    guard HugepageLimit.isPageSize(pageSize) else {
      throw size.failure("\"\(pageSize)\" is not a page size such as 64KB, 2MB, 1GB")
    }
  }

  /// `^[1-9][0-9]*[KMG]B$`.
  private static func isPageSize(_ text: String) -> Bool {
    let digits = text.utf8.dropLast(2)
    guard let first = digits.first, first != 0x30, digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return false }
    return text.hasSuffix("KB") || text.hasSuffix("MB") || text.hasSuffix("GB")
  }
}

extension NetworkResources {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    classID = try node.number("classID")
    priorities = try node.list("priorities", InterfacePriority.init)
  }
}

extension InterfacePriority {
  init(_ node: JSONNode) throws(Failure) {
    let name = try node.required("name")
    self.init(name: try name.string(), priority: try node.required("priority").integer())
    guard NetDevice.isName(self.name) else { throw name.failure("\"\(self.name)\" \(NetDevice.legalName)") }
  }
}

extension RdmaLimit {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    hcaHandles = try node.number("hcaHandles")
    hcaObjects = try node.number("hcaObjects")
    guard hcaHandles != nil || hcaObjects != nil else { throw node.failure("needs hcaHandles or hcaObjects") }
  }
}
