import CKernel
import Glibc
import NemoKernel
import NemoOCI

extension CgroupV1 {
  /// See ``CgroupManager/apply(_:)``.
  public func apply(_ resources: Resources) throws(Failure) {
    let writer = ResourceWriter(cgroup: self, base: "/linux/resources", creating: true)
    // Before the devices: an error that names a field comes before one that only this machine has.
    try writer.apply(resources)
    try writer.apply(devices: resources.devices)
  }

  /// See ``CgroupManager/update(_:)``. Device rules stay: others (a GPU's runtime, say) may have added to them since.
  public func update(_ resources: Resources) throws(Failure) {
    try ResourceWriter(cgroup: self, base: "", creating: false).apply(resources)
  }
}

/// Writes limits into the files of version 1 (kernel documentation, admin-guide/cgroup-v1).
struct ResourceWriter {
  let cgroup: CgroupV1
  /// JSON pointer of the resources.
  let base: String
  /// The cgroup is a new container's.
  let creating: Bool

  func apply(_ resources: Resources) throws(Failure) {
    if let file = resources.unified.keys.sorted().first {
      throw Failure(
        "", "\(base)/unified/\(file)", reason: "invalid configuration: cannot use unified on cgroup v1")
    }
    if let memory = resources.memory { try apply(memory) }
    if let cpu = resources.cpu { try apply(cpu) }
    try applyCpuset(resources.cpu?.cpus ?? "", resources.cpu?.mems ?? "")
    if let limit = resources.pidsLimit {
      // -1 is no limit, and since version 1.3 of the specification 0 is a limit of none (config-linux.md#pids): nothing can fork.
      try set("pids", "pids.max", limit < 0 ? "max" : String(limit), "pids/limit", isDefault: limit < 0)
    }
    if let io = resources.blockIO { try apply(io) }
    for (index, page) in resources.hugepageLimits.enumerated() { try apply(page, "hugepageLimits/\(index)") }
    if let network = resources.network {
      if let id = network.classID, id != 0 { try set("net_cls", "net_cls.classid", String(id), "network/classID") }
      for (index, priority) in network.priorities.enumerated() {
        try set(
          "net_prio", "net_prio.ifpriomap", "\(priority.name) \(priority.priority)", "network/priorities/\(index)")
      }
    }
    for (device, limit) in resources.rdma.sorted(by: { $0.key < $1.key }) {
      var line = device
      if let handles = limit.hcaHandles { line += " hca_handle=\(handles)" }
      if let objects = limit.hcaObjects { line += " hca_object=\(objects)" }
      try set("rdma", "rdma.max", line, "rdma/\(device)")
    }
  }

  /// The directory of a controller that a limit needs.
  func directory(_ controller: String, _ pointer: String) throws(Failure) -> String {
    guard let path = cgroup.saved[controller] else {
      throw Failure(
        "", "\(base)/\(pointer)", reason: "cannot set \(controller) limit: container could not join or create cgroup",
        advice: "the cgroup controller \(controller) is not mounted on this host")
    }
    return path
  }

  /// Writes one value.
  ///
  /// - Parameter isDefault: it is what a new cgroup has, and what is so without the controller: not written then.
  func set(_ controller: String, _ file: String, _ value: String, _ pointer: String, isDefault: Bool = false)
    throws(Failure)
  {
    if isDefault {
      guard let directory = cgroup.saved[controller], !(creating && cgroup.fresh.contains(directory)) else { return }
    }
    let directory = try directory(controller, pointer)
    do throws(Failure) { try Files.write(value, to: "\(directory)/\(file)") } catch {
      throw error.within("\(base)/\(pointer)")
    }
  }

  func current(_ controller: String, _ file: String) throws(Failure) -> UInt64? {
    guard let directory = cgroup.saved[controller] else { return nil }
    return UInt64(try Files.readText("\(directory)/\(file)"))
  }

  func exists(_ controller: String, _ file: String) -> Bool {
    guard let directory = cgroup.saved[controller] else { return false }
    return access("\(directory)/\(file)", F_OK) == 0
  }

  struct Setting {
    var file: String
    var value: String
    var pointer: String
    var isDefault = false
  }

  /// Writes settings that the kernel only takes in some order, which depends on the present ones: what it refuses as invalid is
  /// tried again as long as others get through.
  private func settle(_ controller: String, _ settings: [Setting]) throws(Failure) {
    var pending = settings
    while !pending.isEmpty {
      var refused: [Setting] = []
      var failure: Failure?
      for setting in pending {
        do throws(Failure) {
          try set(controller, setting.file, setting.value, setting.pointer, isDefault: setting.isDefault)
        } catch  where error.errno == .invalid {
          refused.append(setting)
          failure = error
        }
      }
      if let failure, refused.count == pending.count { throw failure }
      pending = refused
    }
  }

  private func apply(_ cpu: CPUResources) throws(Failure) {
    // SCHED_IDLE and shares exclude each other: out of it first, into it last.
    if cpu.idle == 0 { try set("cpu", "cpu.idle", "0", "cpu/idle", isDefault: true) }
    if let shares = cpu.shares, shares != 0 { try apply(shares: shares) }
    var settings: [Setting] = []
    if let period = cpu.period, period != 0 {
      settings.append(
        Setting(file: "cpu.cfs_period_us", value: String(period), pointer: "cpu/period", isDefault: period == 100_000))
    }
    if let quota = cpu.quota, quota != 0 {
      settings.append(
        Setting(file: "cpu.cfs_quota_us", value: String(quota), pointer: "cpu/quota", isDefault: quota == -1))
    }
    if let burst = cpu.burst {
      settings.append(
        Setting(file: "cpu.cfs_burst_us", value: String(burst), pointer: "cpu/burst", isDefault: burst == 0))
    }
    try settle("cpu", settings)
    settings = []
    if let period = cpu.realtimePeriod, period != 0 {
      settings.append(Setting(file: "cpu.rt_period_us", value: String(period), pointer: "cpu/realtimePeriod"))
    }
    if let runtime = cpu.realtimeRuntime, runtime != 0 {
      settings.append(Setting(file: "cpu.rt_runtime_us", value: String(runtime), pointer: "cpu/realtimeRuntime"))
    }
    try settle("cpu", settings)
    if let idle = cpu.idle, idle != 0 { try set("cpu", "cpu.idle", String(idle), "cpu/idle") }
  }

  private func apply(shares: UInt64) throws(Failure) {
    try set("cpu", "cpu.shares", String(shares), "cpu/shares", isDefault: shares == 1024)
    // The kernel cuts to 2…262144 without a word.
    if (2...262_144).contains(shares) { return }
    if let kept = try current("cpu", "cpu.shares"), kept != shares {
      let border = shares > kept ? "maximum" : "minimum"
      throw Failure("", "\(base)/cpu/shares", reason: "the \(border) allowed cpu-shares is \(kept)")
    }
  }

  /// A new cpuset has no CPUs and no memory nodes, and nothing can join it: it gets the configuration's or else its parent's.
  private func applyCpuset(_ cpus: String, _ mems: String) throws(Failure) {
    for (file, value, pointer) in [("cpuset.cpus", cpus, "cpu/cpus"), ("cpuset.mems", mems, "cpu/mems")] {
      if creating, let directory = cgroup.saved["cpuset"] {
        let inherited = try CgroupV1.inheritedCpuset(file, below: directory)
        if value.isEmpty, let inherited {
          if !cgroup.fresh.contains(directory), try !Files.readText("\(directory)/\(file)").isEmpty { continue }
          try Files.write(inherited, to: "\(directory)/\(file)")
        }
      }
      if !value.isEmpty { try set("cpuset", file, value, pointer) }
    }
  }

  private func apply(_ page: HugepageLimit, _ pointer: String) throws(Failure) {
    try set("hugetlb", "hugetlb.\(page.pageSize).limit_in_bytes", String(page.limit), pointer)
    // Pages that are reserved but not yet used count as well, where the kernel tells them apart.
    let reserved = "hugetlb.\(page.pageSize).rsvd.limit_in_bytes"
    if exists("hugetlb", reserved) { try set("hugetlb", reserved, String(page.limit), pointer) }
  }

  /// The rules and what every container has, in as few writes as that takes.
  func apply(devices rules: [DeviceRule]) throws(Failure) {
    let list = try DeviceList(rules, pointer: "\(base)/devices")
    guard cgroup.saved["devices"] != nil || !rules.isEmpty else { return }
    let directory = try directory("devices", "devices")
    if list.allowsByDefault {
      // Only what a parent restricts has to be, and can fail to be, opened.
      let present = try Files.readText(directory + "/devices.list")
      if !present.hasPrefix("a *:* rwm") { try Files.write("a", to: directory + "/devices.allow") }
    } else {
      try Files.write("a", to: directory + "/devices.deny")
    }
    if list.lines.isEmpty { return }
    let file = directory + (list.allowsByDefault ? "/devices.deny" : "/devices.allow")
    let descriptor = try Files.open(file, O_WRONLY)
    for line in list.lines { try Files.writeText(descriptor.raw, line, subject: file) }
  }
}

extension CgroupV1 {
  /// The value of `file` that the parent of `directory` has, after every level above without one got its own parent's.
  ///
  /// - Returns: nil when `directory` has no parent in the file system.
  static func inheritedCpuset(_ file: String, below directory: String) throws(Failure) -> String? {
    guard let parent = parent(of: directory) else { return nil }
    let present: String
    do throws(Failure) { present = try Files.readText("\(parent)/\(file)") } catch  where error.errno == .noEntry {
      // `directory` is the root of the hierarchy.
      return nil
    }
    if !present.isEmpty { return present }
    guard let above = try inheritedCpuset(file, below: parent) else { return nil }
    try Files.write(above, to: "\(parent)/\(file)")
    return above
  }
}
