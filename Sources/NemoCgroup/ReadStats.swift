import NemoKernel

extension CgroupV1 {
  /// See ``CgroupManager/stats()``. A controller that is not mounted, or lacks a file on this kernel, counts nothing.
  public func stats() throws(Failure) -> CgroupStats {
    var stats = CgroupStats()
    try readCPU(&stats.cpu)
    try readCpuset(&stats.cpuset)
    try readMemory(&stats.memory)
    if let current = try text("pids", "pids.current") {
      stats.pids.current = UInt64(current) ?? 0
      // "max" is 0.
      stats.pids.limit = UInt64(try text("pids", "pids.max") ?? "") ?? 0
    }
    stats.blockIO = try readBlockIO()
    try readHugetlb(&stats.hugetlb)
    return stats
  }

  /// The content of a file; nil when there is none.
  private func text(_ controller: String, _ file: String) throws(Failure) -> String? {
    guard let directory = saved[controller] else { return nil }
    do throws(Failure) { return try Files.readText("\(directory)/\(file)") } catch
      where error.isGone || error.errno == .notSupported
    { return nil }
  }

  private func number(_ controller: String, _ file: String) throws(Failure) -> UInt64? {
    try text(controller, file).flatMap { UInt64($0) }
  }

  private func readCPU(_ cpu: inout CgroupStats.CPU) throws(Failure) {
    if let throttling = try text("cpu", "cpu.stat") {
      cpu.periods = CgroupText.value("nr_periods", in: throttling)
      cpu.throttledPeriods = CgroupText.value("nr_throttled", in: throttling)
      cpu.throttledTime = CgroupText.value("throttled_time", in: throttling)
    }
    if let modes = try text("cpuacct", "cpuacct.stat") {
      // In ticks of USER_HZ, which is 100 on every architecture here.
      let nanosecondsPerTick: UInt64 = 10_000_000
      cpu.user = CgroupText.value("user", in: modes) &* nanosecondsPerTick
      cpu.kernel = CgroupText.value("system", in: modes) &* nanosecondsPerTick
    }
    cpu.total = try number("cpuacct", "cpuacct.usage") ?? 0
    cpu.perCPU = CgroupText.numbers(try text("cpuacct", "cpuacct.usage_percpu") ?? "")
    let byMode = CgroupText.usageByMode(try text("cpuacct", "cpuacct.usage_all") ?? "")
    cpu.perCPUKernel = byMode.kernel
    cpu.perCPUUser = byMode.user
  }

  private static let cpusetFlags = [
    "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
    "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
  ]

  private func readCpuset(_ cpuset: inout CgroupStats.Cpuset) throws(Failure) {
    cpuset.cpus = CgroupText.list(try text("cpuset", "cpuset.cpus") ?? "")
    cpuset.mems = CgroupText.list(try text("cpuset", "cpuset.mems") ?? "")
    for name in CgroupV1.cpusetFlags {
      cpuset.flags.append(
        CgroupStats.Flag(name: name, value: Int64(try text("cpuset", "cpuset.\(name)") ?? "") ?? 0))
    }
  }

  private func readMemory(_ memory: inout CgroupStats.Memory) throws(Failure) {
    for (name, value) in CgroupText.pairs(try text("memory", "memory.stat") ?? "") { memory.raw[name] = value }
    memory.usage = try entry("memory", "memory")
    memory.swap = try entry("memory", "memory.memsw")
    memory.kernel = try entry("memory", "memory.kmem")
    memory.kernelTCP = try entry("memory", "memory.kmem.tcp")
  }

  private func entry(_ controller: String, _ prefix: String) throws(Failure) -> CgroupStats.MemoryEntry {
    var entry = CgroupStats.MemoryEntry()
    entry.usage = try number(controller, "\(prefix).usage_in_bytes") ?? 0
    entry.max = try number(controller, "\(prefix).max_usage_in_bytes") ?? 0
    entry.limit = try number(controller, "\(prefix).limit_in_bytes") ?? 0
    entry.failures = try number(controller, "\(prefix).failcnt") ?? 0
    return entry
  }

  /// Names in JSON and of files: the more a kernel is built to tell, the earlier the family.
  private static let blockIOLists = [
    ("ioServiceBytesRecursive", "io_service_bytes_recursive"), ("ioServicedRecursive", "io_serviced_recursive"),
    ("ioQueueRecursive", "io_queued_recursive"), ("ioServiceTimeRecursive", "io_service_time_recursive"),
    ("ioWaitTimeRecursive", "io_wait_time_recursive"), ("ioMergedRecursive", "io_merged_recursive"),
    ("ioTimeRecursive", "time_recursive"), ("sectorsRecursive", "sectors_recursive"),
  ]

  /// BFQ counts what its scheduler moved; where that is nothing, the throttling layer counts every request.
  private func readBlockIO() throws(Failure) -> [CgroupStats.BlockIOList] {
    for family in ["blkio.bfq", "blkio", "blkio.throttle"] {
      var lists: [CgroupStats.BlockIOList] = []
      for (name, file) in CgroupV1.blockIOLists {
        let entries = CgroupText.blockIO(try text("blkio", "\(family).\(file)") ?? "")
        if !entries.isEmpty { lists.append(CgroupStats.BlockIOList(name: name, entries: entries)) }
      }
      if !lists.isEmpty { return lists }
    }
    return []
  }

  private func readHugetlb(_ sizes: inout [String: CgroupStats.MemoryEntry]) throws(Failure) {
    guard let directory = saved["hugetlb"] else { return }
    let names: [String]
    do throws(Failure) { names = try Files.list(directory) } catch  where error.isGone { return }
    for name in names where name.hasPrefix("hugetlb.") && name.hasSuffix("B.usage_in_bytes") {
      let prefix = String(name.dropLast(".usage_in_bytes".utf8.count))
      let reserved = "\(prefix).rsvd"
      let counted = names.contains("\(reserved).usage_in_bytes") ? reserved : prefix
      sizes[String(prefix.dropFirst("hugetlb.".utf8.count))] = try entry("hugetlb", counted)
    }
  }
}
