import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct NamespaceTests {
  @Test func everyKindIsReadNewAndJoined() throws {
    for kind in NamespaceKind.allCases where kind != .user {
      var expected = Namespace(kind: kind)
      #expect(try configuration(withLinux("", new: kind.rawValue)).linux.namespaces == [expected])
      expected.path = "/run/ns"
      let joined = withLinux("\"namespaces\": [{\"type\": \"\(kind.rawValue)\", \"path\": \"/run/ns\"}]")
      #expect(try configuration(joined).linux.namespaces == [expected])
    }
  }

  @Test func anEmptyPathMakesANewOne() throws {
    let config = try configuration(withLinux("\"namespaces\": [{\"type\": \"pid\", \"path\": \"\"}]"))
    #expect(config.linux.namespaces == [Namespace(kind: .pid)])
  }

  @Test(arguments: [
    Refusal("{}", "/linux/namespaces/0/type", "is required"),
    Refusal(
      "{\"type\": \"net\"}", "/linux/namespaces/0/type",
      "\"net\" is none of user, mount, uts, ipc, pid, network, cgroup"),
    Refusal("{\"type\": \"PID\"}", "/linux/namespaces/0/type", "\"PID\" is none of"),
    Refusal("{\"type\": \"pid\", \"path\": \"ns\"}", "/linux/namespaces/0/path", "\"ns\" must be an absolute path"),
    Refusal(
      "{\"type\": \"pid\"}, {\"type\": \"uts\"}, {\"type\": \"pid\"}", "/linux/namespaces/2/type", "pid is given twice"),
    Refusal(
      "{\"type\": \"pid\"}, {\"type\": \"pid\", \"path\": \"/proc/1/ns/pid\"}", "/linux/namespaces/1/type",
      "pid is given twice"),
  ])
  func namespacesAreChecked(_ refusal: Refusal) {
    refusal.expect(withLinux("\"namespaces\": [\(refusal.part)]"), Configuration.init(parsing:subject:))
  }

  @Test(arguments: ["maskedPaths", "readonlyPaths"])
  func protectedPathsNeedAMountNamespace(_ field: String) throws {
    let linux = try configuration(withLinux("\"\(field)\": [\"/proc/kcore\"]", new: "mount")).linux
    #expect(linux.maskedPaths + linux.readonlyPaths == ["/proc/kcore"])
    Refusal(field, "/linux/\(field)", "needs a mount namespace")
      .expect(withLinux("\"\(field)\": [\"/proc/kcore\"]"), Configuration.init(parsing:subject:))
    Refusal(field, "/linux/\(field)/1", "\"proc\" must be an absolute path")
      .expect(withLinux("\"\(field)\": [\"/a\", \"proc\"]", new: "mount"), Configuration.init(parsing:subject:))
  }

  @Test func timeOffsetsNeedANewTimeNamespace() throws {
    let offsets = "\"timeOffsets\": {\"monotonic\": {\"secs\": -5, \"nanosecs\": 999999999}, \"boottime\": {}}"
    let linux = try configuration(withLinux(offsets, new: "time")).linux
    var monotonic = TimeOffset()
    monotonic.secs = -5
    monotonic.nanosecs = 999_999_999
    #expect(linux.timeOffsets == ["monotonic": monotonic, "boottime": TimeOffset()])
    Refusal(offsets, "/linux/timeOffsets", "needs a time namespace")
      .expect(withLinux(offsets), Configuration.init(parsing:subject:))
    Refusal(offsets, "/linux/timeOffsets", "is only for a new time namespace, not a joined one")
      .expect(
        withLinux("\"namespaces\": [{\"type\": \"time\", \"path\": \"/t\"}], \(offsets)"),
        Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    Refusal("{\"realtime\": {}}", "/realtime", "is not a clock with an offset: monotonic, boottime"),
    Refusal(
      "{\"monotonic\": {\"nanosecs\": 1000000000}}", "/monotonic/nanosecs", "1000000000 is out of range 0 ... 999999999"
    ),
    Refusal("{\"monotonic\": {\"nanosecs\": -1}}", "/monotonic/nanosecs", "-1 is out of range"),
    Refusal("{\"boottime\": {\"secs\": 9223372036854775808}}", "/boottime/secs", "out of range"),
    Refusal("{\"boottime\": 1}", "/boottime", "must be an object"),
  ])
  func timeOffsetsAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/linux/timeOffsets" + refusal.pointer, refusal.words)
      .expect(withLinux("\"timeOffsets\": \(refusal.part)", new: "time"), Configuration.init(parsing:subject:))
  }
}

@Suite struct IDMappingTests {
  private func map(_ ranges: (UInt64, UInt64, UInt64)...) -> String {
    "["
      + ranges.map { "{\"containerID\": \($0.0), \"hostID\": \($0.1), \"size\": \($0.2)}" }.joined(separator: ", ")
      + "]"
  }

  private func user(_ uids: String, _ gids: String) -> String {
    withLinux("\"uidMappings\": \(uids), \"gidMappings\": \(gids)", new: "user")
  }

  @Test func mappingsAreRead() throws {
    let linux = try configuration(user(map((0, 1000, 10), (10, 0, 1)), map((0, 4_294_967_294, 1)))).linux
    #expect(
      linux.uidMappings == [
        IDMapping(containerID: 0, hostID: 1000, size: 10), IDMapping(containerID: 10, hostID: 0, size: 1),
      ])
    #expect(linux.gidMappings == [IDMapping(containerID: 0, hostID: 4_294_967_294, size: 1)])
    accept(user(map((0, 0, 4_294_967_295)), map((0, 0, 4_294_967_295))))
  }

  @Test func aNewUserNamespaceNeedsBoth() {
    Refusal("", "/linux/uidMappings", "is required for a new user namespace")
      .expect(withLinux("", new: "user"), Configuration.init(parsing:subject:))
    Refusal("", "/linux/uidMappings", "is required for a new user namespace")
      .expect(withLinux("\"gidMappings\": \(map((0, 0, 1)))", new: "user"), Configuration.init(parsing:subject:))
    Refusal("", "/linux/gidMappings", "is required for a new user namespace")
      .expect(withLinux("\"uidMappings\": \(map((0, 0, 1)))", new: "user"), Configuration.init(parsing:subject:))
  }

  @Test(arguments: ["uidMappings", "gidMappings"])
  func mappingsNeedAUserNamespace(_ field: String) {
    Refusal("", "/linux/\(field)", "needs a user namespace in /linux/namespaces")
      .expect(withLinux("\"\(field)\": \(map((0, 0, 1)))", new: "mount"), Configuration.init(parsing:subject:))
    accept(withLinux("\"\(field)\": []", new: "mount"))
  }

  @Test func aJoinedOneMayRepeatThem() {
    let joined = "\"namespaces\": [{\"type\": \"user\", \"path\": \"/proc/1/ns/user\"}]"
    accept(withLinux(joined))
    accept(withLinux("\(joined), \"uidMappings\": \(map((0, 5, 1))), \"gidMappings\": \(map((0, 5, 1)))"))
  }

  @Test func rangesAreChecked() {
    let good = map((0, 0, 1))
    let refusals = [
      Refusal(map((0, 0, 0)), "/0/size", "must be at least 1"),
      Refusal(map((4_294_967_296, 0, 1)), "/0/containerID", "4294967296 is out of range 0 ... 4294967295"),
      Refusal(map((0, 4_294_967_295, 1)), "/0", "reaches beyond id 4294967294"),
      Refusal(map((4_294_967_290, 0, 6)), "/0", "reaches beyond id 4294967294"),
      Refusal(map((0, 0, 10), (9, 100, 1)), "/1/containerID", "the range overlaps another"),
      Refusal(map((0, 0, 10), (20, 5, 10)), "/1/hostID", "the range overlaps another"),
      Refusal(map((5, 100, 1), (0, 0, 10)), "/1/containerID", "the range overlaps another"),
      Refusal("[{\"containerID\": 0, \"hostID\": 0}]", "/0/size", "is required"),
      Refusal("[{\"containerID\": 0, \"size\": 1}]", "/0/hostID", "is required"),
      Refusal("[{\"hostID\": 0, \"size\": 1}]", "/0/containerID", "is required"),
    ]
    for refusal in refusals {
      Refusal(refusal.part, "/linux/uidMappings" + refusal.pointer, refusal.words)
        .expect(user(refusal.part, good), Configuration.init(parsing:subject:))
      Refusal(refusal.part, "/linux/gidMappings" + refusal.pointer, refusal.words)
        .expect(user(good, refusal.part), Configuration.init(parsing:subject:))
    }
  }

  @Test func mapsHaveTheKernelsSize() {
    func many(_ count: UInt64, from: UInt64 = 0) -> String {
      let ranges = (0..<count).map { "{\"containerID\": \($0 + from), \"hostID\": \($0 + from), \"size\": 1}" }
      return "[\(ranges.joined(separator: ", "))]"
    }
    let good = map((0, 0, 1))
    accept(user(many(340), good))
    Refusal("341", "/linux/uidMappings", "341 mappings are given, the kernel takes 340")
      .expect(user(many(341), good), Configuration.init(parsing:subject:))
    Refusal("9000", "/linux/gidMappings", "9000 mappings are given, the kernel takes 340")
      .expect(user(good, many(9000)), Configuration.init(parsing:subject:))
    Refusal("long", "/linux/uidMappings", "needs 8160 bytes as text, the kernel takes 4095")
      .expect(user(many(340, from: 4_000_000_000), good), Configuration.init(parsing:subject:))
  }

  @Test func theProcessMustBeMapped() {
    func run(_ user: String) -> String {
      let linux =
        "\"namespaces\": [{\"type\": \"user\"}], \"uidMappings\": \(map((0, 0, 5))), \"gidMappings\": \(map((0, 0, 9)))"
      return whole("\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"user\": \(user)}, \"linux\": {\(linux)}")
    }
    accept(run("{\"uid\": 4, \"gid\": 8, \"additionalGids\": [0, 8]}"))
    Refusal("", "/process/user/uid", "5 is not mapped by /linux/uidMappings")
      .expect(run("{\"uid\": 5}"), Configuration.init(parsing:subject:))
    Refusal("", "/process/user/gid", "9 is not mapped by /linux/gidMappings")
      .expect(run("{\"gid\": 9}"), Configuration.init(parsing:subject:))
    Refusal("", "/process/user/additionalGids/1", "9 is not mapped by /linux/gidMappings")
      .expect(run("{\"additionalGids\": [1, 9]}"), Configuration.init(parsing:subject:))
  }
}

@Suite struct DeviceTests {
  @Test func everyFieldIsRead() throws {
    let text =
      "{\"type\": \"b\", \"path\": \"/dev/sda\", \"major\": 4095, \"minor\": 1048575, \"fileMode\": 432, \"uid\": 1, \"gid\": 2}"
    var device = Device(type: "b", path: "/dev/sda")
    device.major = 4095
    device.minor = 1_048_575
    device.fileMode = 0o660
    device.uid = 1
    device.gid = 2
    var pipe = Device(type: "p", path: "/run/pipe")
    pipe.fileMode = 0o644
    let list = "\(text), {\"type\": \"p\", \"path\": \"/run/pipe\", \"fileMode\": 4516}"
    #expect(try configuration(withLinux("\"devices\": [\(list)]")).linux.devices == [device, pipe])
  }

  @Test(arguments: [("c", 8630), ("u", 8630), ("b", 25014), ("c", 438)])
  func theFileTypeMayBeInTheMode(_ type: String, _ mode: Int) throws {
    let text = "{\"type\": \"\(type)\", \"path\": \"/dev/x\", \"major\": 1, \"minor\": 3, \"fileMode\": \(mode)}"
    #expect(try configuration(withLinux("\"devices\": [\(text)]")).linux.devices[0].fileMode == 0o666)
  }

  @Test(arguments: [
    Refusal("{\"path\": \"/dev/x\"}", "/type", "is required"),
    Refusal("{\"type\": \"c\"}", "/path", "is required"),
    Refusal("{\"type\": \"f\", \"path\": \"/dev/x\"}", "/type", "\"f\" is none of c, u, b, p"),
    Refusal("{\"type\": \"c\", \"path\": \"dev/x\"}", "/path", "\"dev/x\" must be an absolute path"),
    Refusal("{\"type\": \"c\", \"path\": \"/dev/x\", \"minor\": 1}", "/major", "is required"),
    Refusal("{\"type\": \"b\", \"path\": \"/dev/x\", \"major\": 1}", "/minor", "is required"),
    Refusal(
      "{\"type\": \"c\", \"path\": \"/d\", \"major\": -1, \"minor\": 1}", "/major", "-1 is out of range 0 ... 4095"),
    Refusal(
      "{\"type\": \"c\", \"path\": \"/d\", \"major\": 4096, \"minor\": 1}", "/major", "4096 is out of range 0 ... 4095"),
    Refusal(
      "{\"type\": \"c\", \"path\": \"/d\", \"major\": 1, \"minor\": 1048576}", "/minor", "out of range 0 ... 1048575"),
    Refusal(
      "{\"type\": \"p\", \"path\": \"/d\", \"fileMode\": 65536}", "/fileMode", "65536 is out of range 0 ... 65535"),
    Refusal("{\"type\": \"p\", \"path\": \"/d\", \"fileMode\": 8630}", "/fileMode", "has a file type other than p"),
    Refusal("{\"type\": \"p\", \"path\": \"/d\", \"uid\": 4294967295}", "/uid", "out of range 0 ... 4294967294"),
    Refusal("{\"type\": \"p\", \"path\": \"/d\", \"gid\": -1}", "/gid", "out of range"),
  ])
  func devicesAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/linux/devices/0" + refusal.pointer, refusal.words)
      .expect(withLinux("\"devices\": [\(refusal.part)]"), Configuration.init(parsing:subject:))
  }
}

@Suite struct NetDeviceTests {
  @Test func devicesAreRead() throws {
    let text = withLinux("\"netDevices\": {\"eth0\": {\"name\": \"inside\"}, \"ens4\": {}}", new: "network")
    var renamed = NetDevice(hostName: "eth0")
    renamed.name = "inside"
    #expect(try configuration(text).linux.netDevices == [renamed, NetDevice(hostName: "ens4")])
  }

  @Test func theyNeedANetworkNamespace() {
    Refusal("", "/linux/netDevices", "unable to move network devices without a private NET namespace")
      .expect(withLinux("\"netDevices\": {\"eth0\": {}}", new: "mount"), Configuration.init(parsing:subject:))
    accept(withLinux("\"netDevices\": {}"))
    accept(withLinux("\"netDevices\": {\"a\": {\"name\": \"eth%d\"}, \"b\": {\"name\": \"eth%d\"}}", new: "network"))
  }

  @Test(arguments: ["", ".", "..", "a/b", "a b", "a:b", "a\\tb", "abcdefghijklmnop"])
  func namesAreTheKernels(_ name: String) {
    let pointer = name.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "~1")
    let shown = pointer == "a\\tb" ? "a\tb" : pointer
    Refusal(name, "/linux/netDevices/\(shown)", "is no interface name").checkOuter(name)
    if !name.isEmpty {
      Refusal(name, "/linux/netDevices/eth0/name", "is no interface name")
        .expect(
          withLinux("\"netDevices\": {\"eth0\": {\"name\": \"\(name)\"}}", new: "network"),
          Configuration.init(parsing:subject:))
    }
  }

  @Test func fifteenBytesAreTheLongestName() {
    accept(withLinux("\"netDevices\": {\"abcdefghijklmno\": {\"name\": \"abcdefghijklmn2\"}}", new: "network"))
  }

  @Test(arguments: [
    Refusal(
      "{\"a\": {\"name\": \"x\"}, \"b\": {\"name\": \"x\"}}", "/b", "\"x\" is already the name of another device inside"
    ),
    Refusal("{\"a\": {}, \"b\": {\"name\": \"a\"}}", "/b", "\"a\" is already the name of another device inside"),
    Refusal("{\"a\": {\"name\": \"eth%\"}}", "/a/name", "\"eth%\" has a '%' that is not its one %d"),
    Refusal("{\"a\": {\"name\": \"%dx%d\"}}", "/a/name", "has a '%' that is not its one %d"),
    Refusal("{\"a\": {\"name\": 23}}", "/a/name", "must be a string, not an integer"),
    Refusal("{\"a\": 1}", "/a", "must be an object, not an integer"),
  ])
  func devicesAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/linux/netDevices" + refusal.pointer, refusal.words)
      .expect(withLinux("\"netDevices\": \(refusal.part)", new: "network"), Configuration.init(parsing:subject:))
  }
}

extension Refusal {
  /// Expects the outer name of a network device to be refused.
  fileprivate func checkOuter(_ name: String) {
    do throws(Failure) {
      _ = try Configuration(
        parsing: Array(withLinux("\"netDevices\": {\"\(name)\": {}}", new: "network").utf8), subject: "config.json")
      Issue.record("accepted \(name)")
    } catch {
      #expect(error.subject == pointer)
      #expect(error.message.contains(words))
    }
  }
}

@Suite struct SmallLinuxTests {
  @Test(arguments: ["", "box", "/docker/box", "system.slice:docker:box", "/a..b/..."])
  func cgroupPathsAreRead(_ path: String) throws {
    #expect(try configuration(withLinux("\"cgroupsPath\": \"\(path)\"")).linux.cgroupsPath == path)
  }

  @Test(arguments: ["..", "/..", "../a", "/a/../../b", "a/..", "/docker/.."])
  func cgroupPathsDoNotClimb(_ path: String) {
    Refusal(path, "/linux/cgroupsPath", "\"\(path)\" must not contain \"..\"")
      .expect(withLinux("\"cgroupsPath\": \"\(path)\""), Configuration.init(parsing:subject:))
  }

  @Test(arguments: ["shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable", ""])
  func propagationsAreRead(_ name: String) throws {
    #expect(try configuration(withLinux("\"rootfsPropagation\": \"\(name)\"")).linux.rootfsPropagation == name)
  }

  @Test func personalitiesAreRead() throws {
    let text = "\"personality\": {\"domain\": \"LINUX32\", \"flags\": []}"
    #expect(try configuration(withLinux(text)).linux.personality == Personality(domain: 8))
    let plain = try configuration(withLinux("\"personality\": {\"domain\": \"LINUX\"}")).linux.personality
    #expect(plain == Personality(domain: 0))
  }

  @Test func intelRdtIsRead() throws {
    let text = """
      "intelRdt": {"closID": "group", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20",
                   "schemata": ["L2:0=f", "MB:0=1"], "enableMonitoring": true}
      """
    var expected = IntelRdt()
    expected.closID = "group"
    expected.l3CacheSchema = "L3:0=f"
    expected.memBwSchema = "MB:0=20"
    expected.schemata = ["L2:0=f", "MB:0=1"]
    expected.enableMonitoring = true
    #expect(try configuration(withLinux(text)).linux.intelRdt == expected)
    #expect(try configuration(withLinux("\"intelRdt\": {}")).linux.intelRdt == IntelRdt())
  }

  @Test(
    arguments: [
      ("MPOL_DEFAULT", 0, ""), ("MPOL_PREFERRED", 1, ""), ("MPOL_PREFERRED", 1, "0"), ("MPOL_BIND", 2, "0-1,3"),
      ("MPOL_INTERLEAVE", 3, "0"), ("MPOL_LOCAL", 4, ""), ("MPOL_PREFERRED_MANY", 5, "0"),
      ("MPOL_WEIGHTED_INTERLEAVE", 6, "0"),
    ] as [(String, Int32, String)])
  func memoryPoliciesAreRead(_ mode: String, _ number: Int32, _ nodes: String) throws {
    let text = "\"memoryPolicy\": {\"mode\": \"\(mode)\", \"nodes\": \"\(nodes)\"}"
    var expected = MemoryPolicy(mode: number)
    expected.nodes = nodes
    #expect(try configuration(withLinux(text)).linux.memoryPolicy == expected)
  }

  @Test func memoryPolicyFlagsAreRead() throws {
    let text =
      "{\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_NUMA_BALANCING\", \"MPOL_F_STATIC_NODES\"]}"
    #expect(try configuration(withLinux("\"memoryPolicy\": \(text)")).linux.memoryPolicy?.flags == 0xa000)
  }

  @Test(arguments: [
    Refusal(
      "\"rootfsPropagation\": \"public\"", "/rootfsPropagation",
      "\"public\" is none of shared, slave, private, unbindable"),
    Refusal("\"mountLabel\": 1", "/mountLabel", "must be a string"),
    Refusal("\"cgroupsPath\": 1", "/cgroupsPath", "must be a string"),
    Refusal("\"personality\": {}", "/personality/domain", "is required"),
    Refusal("\"personality\": {\"domain\": \"BSD\"}", "/personality/domain", "\"BSD\" is none of LINUX, LINUX32"),
    Refusal("\"personality\": {\"domain\": \"LINUX\", \"flags\": [\"X\"]}", "/personality/flags", "is not supported"),
    Refusal("\"intelRdt\": {\"closID\": \"..\"}", "/intelRdt/closID", "\"..\" is not the name of a directory"),
    Refusal("\"intelRdt\": {\"closID\": \".\"}", "/intelRdt/closID", "is not the name of a directory"),
    Refusal("\"intelRdt\": {\"closID\": \"a/b\"}", "/intelRdt/closID", "is not the name of a directory"),
    Refusal(
      "\"intelRdt\": {\"memBwSchema\": \"0=20\"}", "/intelRdt/memBwSchema", "must be one line that begins with MB:"),
    Refusal("\"intelRdt\": {\"memBwSchema\": \"MB:0=2\\nL3:\"}", "/intelRdt/memBwSchema", "must be one line"),
    Refusal("\"intelRdt\": {\"schemata\": \"L3\"}", "/intelRdt/schemata", "must be an array"),
    Refusal("\"intelRdt\": {\"enableMonitoring\": 1}", "/intelRdt/enableMonitoring", "must be a boolean"),
    Refusal("\"memoryPolicy\": {}", "/memoryPolicy/mode", "is required"),
    Refusal("\"memoryPolicy\": {\"mode\": \"BIND\"}", "/memoryPolicy/mode", "\"BIND\" is none of MPOL_DEFAULT"),
    Refusal("\"memoryPolicy\": {\"mode\": \"MPOL_BIND\"}", "/memoryPolicy/nodes", "is required with MPOL_BIND"),
    Refusal(
      "\"memoryPolicy\": {\"mode\": \"MPOL_LOCAL\", \"nodes\": \"0\"}", "/memoryPolicy/nodes",
      "must be empty with MPOL_LOCAL"),
    Refusal(
      "\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"x\"}", "/memoryPolicy/nodes", "is not a list of numbers"
    ),
    Refusal(
      "\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"X\"]}", "/memoryPolicy/flags/0",
      "is none of"),
    Refusal(
      "\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_STATIC_NODES\", \"MPOL_F_RELATIVE_NODES\"]}",
      "/memoryPolicy/flags", "exclude each other"),
    Refusal(
      "\"memoryPolicy\": {\"mode\": \"MPOL_INTERLEAVE\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_NUMA_BALANCING\"]}",
      "/memoryPolicy/flags", "is only for MPOL_BIND"),
  ])
  func fieldsAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/linux" + refusal.pointer, refusal.words)
      .expect(withLinux(refusal.part), Configuration.init(parsing:subject:))
  }
}
