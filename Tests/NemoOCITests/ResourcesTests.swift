import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct ResourcesTests {
  private func resources(_ text: String) throws -> Resources {
    try Resources(parsing: Array("{\(text)}".utf8), subject: "resources.json")
  }

  @Test func nothingIsNothing() throws {
    #expect(try resources("") == Resources())
    #expect(try resources("\"memory\": null, \"pids\": null") == Resources())
  }

  @Test func deviceRulesAreRead() throws {
    let text = """
      "devices": [{"allow": false}, {"allow": false, "type": "", "access": "", "major": -1, "minor": -1},
                  {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}, {"allow": true, "type": "a"},
                  {"allow": true, "type": "b", "major": 8, "access": "m"}]
      """
    var fuse = DeviceRule(allow: true)
    fuse.type = "c"
    fuse.major = 10
    fuse.minor = 229
    fuse.access = "rw"
    var disk = DeviceRule(allow: true)
    disk.type = "b"
    disk.major = 8
    disk.access = "m"
    #expect(
      try resources(text).devices == [
        DeviceRule(allow: false), DeviceRule(allow: false), fuse, DeviceRule(allow: true), disk,
      ])
  }

  @Test func memoryIsRead() throws {
    let text = """
      "memory": {"limit": 9223372036854775807, "reservation": 0, "swap": -1, "kernel": -1, "kernelTCP": 5, "swappiness": 100,
                 "disableOOMKiller": true, "useHierarchy": false, "checkBeforeUpdate": true}
      """
    var expected = MemoryResources()
    expected.limit = .max
    expected.reservation = 0
    expected.swap = -1
    expected.kernel = -1
    expected.kernelTCP = 5
    expected.swappiness = 100
    expected.disableOOMKiller = true
    expected.useHierarchy = false
    expected.checkBeforeUpdate = true
    #expect(try resources(text).memory == expected)
    #expect(try resources("\"memory\": {\"swappiness\": 18446744073709551615}").memory == MemoryResources())
  }

  @Test func cpuIsRead() throws {
    let text = """
      "cpu": {"shares": 18446744073709551615, "quota": -1, "burst": 7, "period": 100000, "realtimeRuntime": 950000,
              "realtimePeriod": 1000000, "cpus": "2-3", "mems": "0-7", "idle": 1}
      """
    var expected = CPUResources()
    expected.shares = .max
    expected.quota = -1
    expected.burst = 7
    expected.period = 100_000
    expected.realtimeRuntime = 950_000
    expected.realtimePeriod = 1_000_000
    expected.cpus = "2-3"
    expected.mems = "0-7"
    expected.idle = 1
    #expect(try resources(text).cpu == expected)
  }

  @Test func theSmallOnesAreRead() throws {
    let text = """
      "pids": {"limit": -1}, "hugepageLimits": [{"pageSize": "2MB", "limit": 18446744073709551615},
      {"pageSize": "64KB", "limit": 0}, {"pageSize": "1GB", "limit": 1}],
      "network": {"classID": 4294967295, "priorities": [{"name": "eth0", "priority": 4294967295}]},
      "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 4294967295}, "rxe3": {"hcaObjects": 0}},
      "unified": {"memory.high": "max", "hugetlb.1GB.max": "1", "io.max": "8:0 rbps=1\\n8:1 rbps=2"}
      """
    let read = try resources(text)
    #expect(read.pidsLimit == -1)
    #expect(
      read.hugepageLimits == [
        HugepageLimit(pageSize: "2MB", limit: .max), HugepageLimit(pageSize: "64KB", limit: 0),
        HugepageLimit(pageSize: "1GB", limit: 1),
      ])
    #expect(read.network?.classID == .max)
    #expect(read.network?.priorities == [InterfacePriority(name: "eth0", priority: .max)])
    #expect(read.rdma["mlx5_1"]?.hcaHandles == 3 && read.rdma["mlx5_1"]?.hcaObjects == .max)
    #expect(read.rdma["rxe3"]?.hcaHandles == nil && read.rdma["rxe3"]?.hcaObjects == 0)
    #expect(read.unified == ["memory.high": "max", "hugetlb.1GB.max": "1", "io.max": "8:0 rbps=1\n8:1 rbps=2"])
  }

  @Test func blockIOIsRead() throws {
    let text = """
      "blockIO": {"weight": 65535, "leafWeight": 10,
       "weightDevice": [{"major": 8, "minor": 0, "weight": 500, "leafWeight": 300}, {"major": 8, "minor": 16, "leafWeight": 1}],
       "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 18446744073709551615}],
       "throttleWriteBpsDevice": [{"major": 8, "minor": 2, "rate": 2}],
       "throttleReadIOPSDevice": [{"major": 8, "minor": 3, "rate": 3}],
       "throttleWriteIOPSDevice": [{"major": 8, "minor": 4}]}
      """
    var expected = BlockIOResources()
    expected.weight = .max
    expected.leafWeight = 10
    var both = WeightDevice(major: 8, minor: 0)
    both.weight = 500
    both.leafWeight = 300
    var leaf = WeightDevice(major: 8, minor: 16)
    leaf.leafWeight = 1
    expected.weightDevice = [both, leaf]
    expected.throttleReadBpsDevice = [ThrottleDevice(major: 8, minor: 1, rate: .max)]
    expected.throttleWriteBpsDevice = [ThrottleDevice(major: 8, minor: 2, rate: 2)]
    expected.throttleReadIOPSDevice = [ThrottleDevice(major: 8, minor: 3, rate: 3)]
    expected.throttleWriteIOPSDevice = [ThrottleDevice(major: 8, minor: 4, rate: 0)]
    #expect(try resources(text).blockIO == expected)
  }

  /// An "a" among the letters makes a denying rule no laxer and an allowing one no wider.
  @Test func accessToAll() throws {
    let text = """
      "devices": [{"allow": true, "access": "ra"}, {"allow": false, "access": "ra"}, {"allow": false, "access": "a"}]
      """
    #expect(try resources(text).devices.map(\.access) == ["r", "rwm", "rwm"])
  }

  @Test(arguments: [
    Refusal("\"devices\": [{}]", "/devices/0/allow", "is required"),
    Refusal("\"devices\": [{\"allow\": 1}]", "/devices/0/allow", "must be a boolean"),
    Refusal("\"devices\": [{\"allow\": true, \"type\": \"p\"}]", "/devices/0/type", "\"p\" is none of a, b, c"),
    Refusal(
      "\"devices\": [{\"allow\": true, \"access\": \"rx\"}]", "/devices/0/access",
      "\"rx\" has letters other than r, w, m"),
    Refusal(
      "\"devices\": [{\"allow\": true, \"access\": \"a\"}]", "/devices/0/access",
      "\"a\" has letters other than r, w, m"),
    Refusal(
      "\"devices\": [{\"allow\": false, \"access\": \"ax\"}]", "/devices/0/access",
      "\"ax\" has letters other than r, w, m"),
    Refusal(
      "\"devices\": [{\"allow\": true, \"major\": -2}]", "/devices/0/major", "-2 is out of range -1 ... 4294967295"),
    Refusal(
      "\"devices\": [{\"allow\": true, \"minor\": 4294967296}]", "/devices/0/minor", "out of range -1 ... 4294967295"),
    Refusal("\"memory\": []", "/memory", "must be an object, not an array"),
    Refusal("\"memory\": {\"limit\": -2}", "/memory/limit", "-2 is out of range -1 ... 9223372036854775807"),
    Refusal("\"memory\": {\"limit\": 9223372036854775808}", "/memory/limit", "9223372036854775808 is out of range"),
    Refusal("\"memory\": {\"limit\": \"1G\"}", "/memory/limit", "must be an integer, not a string"),
    Refusal("\"memory\": {\"limit\": 1.5}", "/memory/limit", "must be an integer, not a number with a fraction"),
    Refusal("\"memory\": {\"reservation\": -2}", "/memory/reservation", "out of range"),
    Refusal("\"memory\": {\"swap\": -2}", "/memory/swap", "out of range"),
    Refusal("\"memory\": {\"swappiness\": 101}", "/memory/swappiness", "101 is out of range 0 ... 100"),
    Refusal("\"memory\": {\"swappiness\": -1}", "/memory/swappiness", "-1 is out of range"),
    Refusal("\"memory\": {\"limit\": 100, \"swap\": 99}", "/memory/swap", "99 is below limit 100"),
    Refusal("\"memory\": {\"disableOOMKiller\": \"no\"}", "/memory/disableOOMKiller", "must be a boolean"),
    Refusal("\"cpu\": {\"shares\": -1}", "/cpu/shares", "-1 is out of range 0 ... 18446744073709551615"),
    Refusal("\"cpu\": {\"quota\": 9223372036854775808}", "/cpu/quota", "out of range"),
    Refusal("\"cpu\": {\"quota\": 5, \"burst\": 6}", "/cpu/burst", "6 is above quota 5"),
    Refusal("\"cpu\": {\"idle\": 2}", "/cpu/idle", "2 is out of range 0 ... 1"),
    Refusal("\"cpu\": {\"cpus\": 0}", "/cpu/cpus", "must be a string"),
    Refusal("\"pids\": {\"limit\": \"max\"}", "/pids/limit", "must be an integer"),
    Refusal("\"blockIO\": {\"weight\": 65536}", "/blockIO/weight", "65536 is out of range 0 ... 65535"),
    Refusal(
      "\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 0}]}", "/blockIO/weightDevice/0",
      "needs weight or leafWeight"),
    Refusal(
      "\"blockIO\": {\"weightDevice\": [{\"minor\": 0, \"weight\": 1}]}", "/blockIO/weightDevice/0/major", "is required"
    ),
    Refusal(
      "\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8}]}", "/blockIO/throttleReadBpsDevice/0/minor",
      "is required"),
    Refusal(
      "\"blockIO\": {\"throttleReadIOPSDevice\": [{\"major\": -1, \"minor\": 0}]}",
      "/blockIO/throttleReadIOPSDevice/0/major",
      "-1 is out of range"),
    Refusal("\"hugepageLimits\": [{\"limit\": 1}]", "/hugepageLimits/0/pageSize", "is required"),
    Refusal("\"hugepageLimits\": [{\"pageSize\": \"2MB\"}]", "/hugepageLimits/0/limit", "is required"),
    Refusal("\"network\": {\"classID\": 4294967296}", "/network/classID", "out of range 0 ... 4294967295"),
    Refusal(
      "\"network\": {\"priorities\": [{\"name\": \"a b\", \"priority\": 1}]}", "/network/priorities/0/name",
      "no interface name"),
    Refusal("\"network\": {\"priorities\": [{\"name\": \"a\"}]}", "/network/priorities/0/priority", "is required"),
    Refusal("\"rdma\": {\"a\": {}}", "/rdma/a", "needs hcaHandles or hcaObjects"),
    Refusal("\"rdma\": {\"a b\": {\"hcaObjects\": 1}}", "/rdma/a b", "is no device name"),
    Refusal("\"rdma\": {\"a\": {\"hcaHandles\": 4294967296}}", "/rdma/a/hcaHandles", "out of range"),
    Refusal("\"unified\": {\"memory\": \"1\"}", "/unified/memory", "is not of the form CONTROLLER.FILE"),
    Refusal("\"unified\": {\".max\": \"1\"}", "/unified/.max", "is not of the form CONTROLLER.FILE"),
    Refusal("\"unified\": {\"../memory.max\": \"1\"}", "/unified/..~1memory.max", "is not of the form CONTROLLER.FILE"),
    Refusal("\"unified\": {\"memory.max\": 1}", "/unified/memory.max", "must be a string, not an integer"),
  ])
  func resourcesAreChecked(_ refusal: Refusal) {
    refusal.expect("{\(refusal.part)}", Resources.init(parsing:subject:))
    Refusal(refusal.part, "/linux/resources" + refusal.pointer, refusal.words)
      .expect(withLinux("\"resources\": {\(refusal.part)}"), Configuration.init(parsing:subject:))
  }

  @Test(arguments: ["", "2mb", "64kB", "MB", "0MB", "02MB", "2M", "2 MB", "2TB", "-2MB", "2MBB", "2GB\\n"])
  func pageSizesAreTheSpecifications(_ size: String) {
    Refusal(size, "/hugepageLimits/0/pageSize", "is not a page size such as 64KB, 2MB, 1GB")
      .expect("{\"hugepageLimits\": [{\"pageSize\": \"\(size)\", \"limit\": 1}]}", Resources.init(parsing:subject:))
  }

  @Test(arguments: [
    "\"memory\": {\"limit\": 100, \"swap\": 100}", "\"memory\": {\"limit\": 100, \"swap\": -1}",
    "\"memory\": {\"limit\": 100, \"swap\": 0}", "\"memory\": {\"limit\": -1, \"swap\": 5}",
    "\"cpu\": {\"quota\": 5, \"burst\": 5}",
    "\"cpu\": {\"quota\": -1, \"burst\": 5}", "\"cpu\": {\"quota\": 0, \"burst\": 5}",
  ])
  func whatDoesNotContradictIsAccepted(_ text: String) throws {
    _ = try resources(text)
  }
}
