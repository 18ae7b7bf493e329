import CKernel
import Glibc
import NemoKernel
import NemoOCI

extension CgroupV1 {
  /// Sets what `resources` names. A limit for a controller that is not mounted is an error.
  public func apply(_ resources: Resources) throws(Failure) {
    if !resources.unified.isEmpty {
      throw Failure("", "/linux/resources/unified", reason: "needs cgroup v2, this host has cgroup v1")
    }
    try applyDevices(resources.devices)
    if let memory = resources.memory { try apply(memory) }
    if let cpu = resources.cpu { try apply(cpu) }
    if let limit = resources.pidsLimit {
      try set("pids", "pids.max", limit > 0 ? String(limit) : "max", "/linux/resources/pids/limit")
    }
    if let io = resources.blockIO { try apply(io) }
    for page in resources.hugepageLimits {
      try set(
        "hugetlb", "hugetlb.\(page.pageSize).limit_in_bytes", String(page.limit), "/linux/resources/hugepageLimits")
    }
    if let network = resources.network {
      if let id = network.classID, id != 0 {
        try set("net_cls", "net_cls.classid", String(id), "/linux/resources/network/classID")
      }
      for priority in network.priorities {
        try set(
          "net_prio", "net_prio.ifpriomap", "\(priority.name) \(priority.priority)",
          "/linux/resources/network/priorities")
      }
    }
    for (device, limit) in resources.rdma.sorted(by: { $0.key < $1.key }) {
      var line = device
      if let handles = limit.hcaHandles { line += " hca_handle=\(handles)" }
      if let objects = limit.hcaObjects { line += " hca_object=\(objects)" }
      try set("rdma", "rdma.max", line, "/linux/resources/rdma/\(device)")
    }
  }

  private func set(_ controller: String, _ file: String, _ value: String, _ pointer: String) throws(Failure) {
    let directory = try directory(of: controller, for: pointer)
    do throws(Failure) { try Files.write(value, to: "\(directory)/\(file)") } catch { throw error.within(pointer) }
  }

  private func current(_ controller: String, _ file: String) throws(Failure) -> UInt64? {
    guard let directory = saved[controller] else { return nil }
    return UInt64(try Files.readText("\(directory)/\(file)"))
  }

  /// The rules and what every container has, as few writes as that takes.
  private func applyDevices(_ rules: [DeviceRule]) throws(Failure) {
    if rules.isEmpty { return }
    let pointer = "/linux/resources/devices"
    let directory = try directory(of: "devices", for: pointer)
    let list = DeviceList(rules + DeviceList.always)
    let allow = try Files.open(directory + "/devices.allow", O_WRONLY)
    let deny = try Files.open(directory + "/devices.deny", O_WRONLY)
    if list.allowsByDefault,
      try Files.readText(directory + "/devices.list", limit: 1 << 20).hasPrefix("a *:* rwm") == false
    {
      try Files.writeText(allow.raw, "a", subject: "\(directory)/devices.allow")
    }
    for (file, line) in list.writes {
      try Files.writeText(file == "devices.allow" ? allow.raw : deny.raw, line, subject: "\(directory)/\(file)")
    }
  }

  private func apply(_ memory: MemoryResources) throws(Failure) {
    let base = "/linux/resources/memory"
    try applyLimits(memory, base)
    if let reservation = memory.reservation, reservation != 0 {
      try set("memory", "memory.soft_limit_in_bytes", String(reservation), "\(base)/reservation")
    }
    if let swappiness = memory.swappiness {
      guard swappiness <= 100 else {
        throw Failure("", "\(base)/swappiness", reason: "\(swappiness) is not from 0 to 100")
      }
      try set("memory", "memory.swappiness", String(swappiness), "\(base)/swappiness")
    }
    if memory.disableOOMKiller == true { try set("memory", "memory.oom_control", "1", "\(base)/disableOOMKiller") }
  }

  /// Memory plus swap is never below memory, also for a moment: which one goes first depends on the direction.
  private func applyLimits(_ memory: MemoryResources, _ base: String) throws(Failure) {
    let limit = memory.limit.flatMap { $0 == 0 ? nil : $0 }
    var swap = memory.swap.flatMap { $0 == 0 ? nil : $0 }
    if limit == -1, swap == nil, let directory = saved["memory"],
      access(directory + "/memory.memsw.limit_in_bytes", W_OK) == 0
    {
      swap = -1
    }
    if let limit, limit > 0, memory.checkBeforeUpdate == true,
      let usage = try current("memory", "memory.usage_in_bytes"), usage > UInt64(limit)
    {
      throw Failure(
        "unable to set memory limit to \(limit) (current usage: \(usage), peak usage: \(try current("memory", "memory.max_usage_in_bytes") ?? 0))"
      )
    }
    guard let swap else {
      if let limit { try setMemory(limit, base) }
      return
    }
    let present = try current("memory", "memory.limit_in_bytes") ?? 0
    let swapFirst = limit != nil && (swap == -1 || UInt64(max(swap, 0)) > present)
    if swapFirst || limit == nil { try set("memory", "memory.memsw.limit_in_bytes", String(swap), "\(base)/swap") }
    if let limit { try setMemory(limit, base) }
    if !swapFirst && limit != nil { try set("memory", "memory.memsw.limit_in_bytes", String(swap), "\(base)/swap") }
  }

  private func setMemory(_ limit: Int64, _ base: String) throws(Failure) {
    do throws(Failure) {
      try set("memory", "memory.limit_in_bytes", String(limit), "\(base)/limit")
    } catch  where error.errno == .busy {
      let usage = try current("memory", "memory.usage_in_bytes") ?? 0
      let peak = try current("memory", "memory.max_usage_in_bytes") ?? 0
      throw Failure(
        "unable to set memory limit to \(limit) (current usage: \(usage), peak usage: \(peak))", errno: .busy)
    }
  }

  private func apply(_ cpu: CPUResources) throws(Failure) {
    let base = "/linux/resources/cpu"
    if let shares = cpu.shares, shares != 0 {
      try set("cpu", "cpu.shares", String(shares), "\(base)/shares")
      if let kept = try current("cpu", "cpu.shares"), kept != shares {
        let border = shares > kept ? "maximum" : "minimum"
        throw Failure("", "\(base)/shares", reason: "the \(border) allowed cpu-shares is \(kept)")
      }
    }
    // A period that the present quota forbids is written again after the quota.
    var retry: Failure?
    if let period = cpu.period, period != 0 {
      do throws(Failure) { try set("cpu", "cpu.cfs_period_us", String(period), "\(base)/period") } catch {
        guard error.errno == .invalid, cpu.quota != nil else { throw error }
        retry = error
      }
    }
    if let quota = cpu.quota, quota != 0 { try set("cpu", "cpu.cfs_quota_us", String(quota), "\(base)/quota") }
    if retry != nil, let period = cpu.period { try set("cpu", "cpu.cfs_period_us", String(period), "\(base)/period") }
    if let burst = cpu.burst { try set("cpu", "cpu.cfs_burst_us", String(burst), "\(base)/burst") }
    if let period = cpu.realtimePeriod, period != 0 {
      try set("cpu", "cpu.rt_period_us", String(period), "\(base)/realtimePeriod")
    }
    if let runtime = cpu.realtimeRuntime, runtime != 0 {
      try set("cpu", "cpu.rt_runtime_us", String(runtime), "\(base)/realtimeRuntime")
    }
    if let idle = cpu.idle { try set("cpu", "cpu.idle", String(idle), "\(base)/idle") }
    if !cpu.cpus.isEmpty { try set("cpuset", "cpuset.cpus", cpu.cpus, "\(base)/cpus") }
    if !cpu.mems.isEmpty { try set("cpuset", "cpuset.mems", cpu.mems, "\(base)/mems") }
  }

  private func apply(_ io: BlockIOResources) throws(Failure) {
    let base = "/linux/resources/blockIO"
    if let weight = io.weight, weight != 0 { try setWeight("weight", String(weight), "\(base)/weight") }
    if let weight = io.leafWeight, weight != 0 {
      try set("blkio", "blkio.leaf_weight", String(weight), "\(base)/leafWeight")
    }
    for device in io.weightDevice {
      let name = "\(device.major):\(device.minor)"
      if let weight = device.weight, weight != 0 {
        try setWeight("weight_device", "\(name) \(weight)", "\(base)/weightDevice")
      }
      if let weight = device.leafWeight, weight != 0 {
        try set("blkio", "blkio.leaf_weight_device", "\(name) \(weight)", "\(base)/weightDevice")
      }
    }
    let throttles = [
      ("read_bps", io.throttleReadBpsDevice, "throttleReadBpsDevice"),
      ("write_bps", io.throttleWriteBpsDevice, "throttleWriteBpsDevice"),
      ("read_iops", io.throttleReadIOPSDevice, "throttleReadIOPSDevice"),
      ("write_iops", io.throttleWriteIOPSDevice, "throttleWriteIOPSDevice"),
    ]
    for (file, devices, name) in throttles {
      for device in devices {
        try set(
          "blkio", "blkio.throttle.\(file)_device", "\(device.major):\(device.minor) \(device.rate)", "\(base)/\(name)")
      }
    }
  }

  /// The weight files are called blkio.bfq.… where the BFQ scheduler provides them.
  private func setWeight(_ name: String, _ value: String, _ pointer: String) throws(Failure) {
    let directory = try directory(of: "blkio", for: pointer)
    let plain = "blkio.\(name)"
    let file = access("\(directory)/\(plain)", W_OK) == 0 ? plain : "blkio.bfq.\(name)"
    try set("blkio", file, value, pointer)
  }
}
