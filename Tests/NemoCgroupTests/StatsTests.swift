import NemoJSON
import Testing

@testable import NemoCgroup

@Suite struct StatsTests {
  @Test func processes() {
    #expect(CgroupText.processes(Array("12\n0\n4194304\n".utf8)) == [12, 4_194_304])
    #expect(CgroupText.processes([]) == [])
  }

  @Test func pairs() {
    let text = "nr_periods 5\nbad\nnr_throttled x\nthrottled_time 18446744073709551615\n"
    #expect(CgroupText.value("nr_periods", in: text) == 5)
    #expect(CgroupText.value("nr_throttled", in: text) == 0)
    #expect(CgroupText.value("throttled_time", in: text) == .max)
  }

  @Test(arguments: [("0-2,7", [0, 1, 2, 7] as [UInt16]), ("", []), ("3", [3]), ("5-3,x,1", [1])])
  func lists(_ text: String, _ expected: [UInt16]) { #expect(CgroupText.list(text) == expected) }

  @Test func usageByMode() {
    let usage = CgroupText.usageByMode("cpu user system\n0 100 20\n1 7 9\ntorn 1\n")
    #expect(usage.user == [100, 7])
    #expect(usage.kernel == [20, 9])
  }

  @Test func blockIO() {
    #expect(
      CgroupText.blockIO("8:0 Read 4096\n8:16 7\n8:0 Total 4096\nTotal 4096\n") == [
        CgroupStats.BlockIOEntry(major: 8, minor: 0, operation: "Read", value: 4096),
        CgroupStats.BlockIOEntry(major: 8, minor: 16, operation: "", value: 7),
        CgroupStats.BlockIOEntry(major: 8, minor: 0, operation: "Total", value: 4096),
      ])
  }

  @Test func emptyStatsInTheFormEnginesParse() {
    var json = JSONWriter()
    CgroupStats().write(to: &json)
    #expect(
      String(decoding: json.bytes, as: UTF8.self) == """
        {"cpu":{"usage":{"kernel":0,"user":0},"throttling":{}},"cpuset":{},"memory":{"usage":{"limit":0,"failcnt":0},\
        "swap":{"limit":0,"failcnt":0},"kernel":{"limit":0,"failcnt":0},"kernelTCP":{"limit":0,"failcnt":0}},"pids":{},\
        "blkio":{},"hugetlb":{},"intel_rdt":{},"network_interfaces":null}
        """)
  }

  @Test func fullStats() {
    var stats = CgroupStats()
    stats.cpu.total = 30
    stats.cpu.perCPU = [10, 20]
    stats.cpu.throttledPeriods = 2
    stats.cpuset.cpus = [0, 1]
    stats.cpuset.flags = [CgroupStats.Flag(name: "sched_relax_domain_level", value: -1)]
    stats.memory.usage = CgroupStats.MemoryEntry(limit: 100, usage: 5, max: 6, failures: 7)
    stats.memory.raw = ["rss": 1, "cache": 3]
    stats.pids = CgroupStats.Pids(current: 1, limit: 9)
    stats.blockIO = [
      CgroupStats.BlockIOList(
        name: "ioServicedRecursive",
        entries: [CgroupStats.BlockIOEntry(major: 8, minor: 0, operation: "Read", value: 4)])
    ]
    stats.hugetlb["2MB"] = CgroupStats.MemoryEntry(usage: 2)
    var json = JSONWriter()
    stats.write(to: &json)
    let text = String(decoding: json.bytes, as: UTF8.self)
    for part in [
      #""usage":{"total":30,"percpu":[10,20],"kernel":0,"user":0},"throttling":{"throttledPeriods":2}"#,
      #""cpuset":{"cpus":[0,1],"sched_relax_domain_level":-1}"#,
      #""memory":{"cache":3,"usage":{"limit":100,"usage":5,"max":6,"failcnt":7}"#, #""raw":{"cache":3,"rss":1}"#,
      #""pids":{"current":1,"limit":9}"#,
      #""blkio":{"ioServicedRecursive":[{"major":8,"op":"Read","value":4}]}"#,
      #""hugetlb":{"2MB":{"usage":2,"failcnt":0}}"#,
    ] { #expect(text.contains(part)) }
  }
}
