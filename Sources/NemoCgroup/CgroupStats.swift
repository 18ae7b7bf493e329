import NemoJSON

/// What the kernel counts for a container, and its form in `events --stats`: runc's, which engines parse.
public struct CgroupStats: Sendable, Equatable {
  struct CPU: Sendable, Equatable {
    // Nanoseconds.
    var total: UInt64 = 0
    var perCPU: [UInt64] = []
    var perCPUKernel: [UInt64] = []
    var perCPUUser: [UInt64] = []
    var kernel: UInt64 = 0
    var user: UInt64 = 0
    var periods: UInt64 = 0
    var throttledPeriods: UInt64 = 0
    var throttledTime: UInt64 = 0
  }

  struct Cpuset: Sendable, Equatable {
    var cpus: [UInt16] = []
    var mems: [UInt16] = []
    /// Name in JSON and value, in order.
    var flags: [Flag] = []
  }

  struct Flag: Sendable, Equatable {
    var name: String
    var value: Int64
  }

  struct MemoryEntry: Sendable, Equatable {
    // Bytes.
    var limit: UInt64 = 0
    var usage: UInt64 = 0
    var max: UInt64 = 0
    var failures: UInt64 = 0
  }

  struct Memory: Sendable, Equatable {
    var usage = MemoryEntry()
    var swap = MemoryEntry()
    var kernel = MemoryEntry()
    var kernelTCP = MemoryEntry()
    /// memory.stat.
    var raw: [String: UInt64] = [:]
  }

  struct Pids: Sendable, Equatable {
    var current: UInt64 = 0
    /// 0 is none.
    var limit: UInt64 = 0
  }

  struct BlockIOEntry: Sendable, Equatable {
    var major: UInt64
    var minor: UInt64
    var operation: String
    var value: UInt64
  }

  struct BlockIOList: Sendable, Equatable {
    /// Name in JSON.
    var name: String
    var entries: [BlockIOEntry]
  }

  var cpu = CPU()
  var cpuset = Cpuset()
  var memory = Memory()
  var pids = Pids()
  var blockIO: [BlockIOList] = []
  /// By page size.
  var hugetlb: [String: MemoryEntry] = [:]

  /// Writes the `data` object of an event, with runc's names; what is 0 or empty is left out where runc does so.
  public func write(to json: inout JSONWriter) {
    json.beginObject()
    writeCPU(&json)
    writeCpuset(&json)
    writeMemory(&json)
    json.key("pids")
    json.beginObject()
    json.positive("current", pids.current)
    json.positive("limit", pids.limit)
    json.endObject()
    json.key("blkio")
    json.beginObject()
    for list in blockIO where !list.entries.isEmpty { write(list, &json) }
    json.endObject()
    json.key("hugetlb")
    json.beginObject()
    for (size, entry) in hugetlb.sorted(by: { $0.key < $1.key }) {
      json.key(size)
      json.beginObject()
      json.positive("usage", entry.usage)
      json.positive("max", entry.max)
      json.member("failcnt", entry.failures)
      json.endObject()
    }
    json.endObject()
    json.key("intel_rdt")
    json.beginObject()
    json.endObject()
    json.key("network_interfaces")
    json.raw("null")
    json.endObject()
  }

  private func writeCPU(_ json: inout JSONWriter) {
    json.key("cpu")
    json.beginObject()
    json.key("usage")
    json.beginObject()
    json.positive("total", cpu.total)
    json.list("percpu", cpu.perCPU)
    json.list("percpu_kernel", cpu.perCPUKernel)
    json.list("percpu_user", cpu.perCPUUser)
    json.member("kernel", cpu.kernel)
    json.member("user", cpu.user)
    json.endObject()
    json.key("throttling")
    json.beginObject()
    json.positive("periods", cpu.periods)
    json.positive("throttledPeriods", cpu.throttledPeriods)
    json.positive("throttledTime", cpu.throttledTime)
    json.endObject()
    json.endObject()
  }

  private func writeCpuset(_ json: inout JSONWriter) {
    json.key("cpuset")
    json.beginObject()
    json.list("cpus", cpuset.cpus)
    json.list("mems", cpuset.mems)
    for flag in cpuset.flags { json.member(flag.name, flag.value) }
    json.endObject()
  }

  private func writeMemory(_ json: inout JSONWriter) {
    json.key("memory")
    json.beginObject()
    json.positive("cache", memory.raw["cache"] ?? 0)
    let entries = [
      ("usage", memory.usage), ("swap", memory.swap), ("kernel", memory.kernel), ("kernelTCP", memory.kernelTCP),
    ]
    for (name, entry) in entries {
      json.key(name)
      json.beginObject()
      json.member("limit", entry.limit)
      json.positive("usage", entry.usage)
      json.positive("max", entry.max)
      json.member("failcnt", entry.failures)
      json.endObject()
    }
    if !memory.raw.isEmpty {
      json.key("raw")
      json.beginObject()
      for (name, value) in memory.raw.sorted(by: { $0.key < $1.key }) { json.member(name, value) }
      json.endObject()
    }
    json.endObject()
  }

  private func write(_ list: BlockIOList, _ json: inout JSONWriter) {
    json.key(list.name)
    json.beginArray()
    for entry in list.entries {
      json.beginObject()
      json.positive("major", entry.major)
      json.positive("minor", entry.minor)
      if !entry.operation.isEmpty { json.member("op", entry.operation) }
      json.positive("value", entry.value)
      json.endObject()
    }
    json.endArray()
  }
}

extension JSONWriter {
  fileprivate mutating func positive(_ name: String, _ value: UInt64) {
    if value > 0 { member(name, value) }
  }

  fileprivate mutating func list(_ name: String, _ values: [some FixedWidthInteger]) {
    if values.isEmpty { return }
    key(name)
    beginArray()
    for value in values { integer(value) }
    endArray()
  }
}
