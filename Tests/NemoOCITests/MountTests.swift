import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct MountTests {
  private func mount(_ text: String, linux: String = "") throws -> Mount {
    let config = try configuration(whole("\"mounts\": [\(text)]\(linux.isEmpty ? "" : ", \"linux\": {\(linux)}")"))
    return try #require(config.mounts.first)
  }

  @Test func everyFieldIsRead() throws {
    let text = """
      {"destination": "/data", "type": "none", "source": "data", "options": ["rbind", "ro", "idmap"],
       "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
       "gidMappings": [{"containerID": 5, "hostID": 0, "size": 4294967290}]}
      """
    var expected = Mount(destination: "/data")
    expected.type = "none"
    expected.source = "data"
    expected.options = ["rbind", "ro", "idmap"]
    expected.uidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 10)]
    expected.gidMappings = [IDMapping(containerID: 5, hostID: 0, size: 4_294_967_290)]
    #expect(try mount(text) == expected)
  }

  @Test(arguments: [("data", "/data"), ("./a/b", "/./a/b"), ("../../a", "/../../a"), ("/x/../y", "/x/../y")])
  func relativeDestinationsStartAtTheRoot(_ written: String, _ read: String) throws {
    #expect(try mount("{\"destination\": \"\(written)\", \"type\": \"tmpfs\"}").destination == read)
  }

  @Test(arguments: [
    "{\"destination\": \"/a\", \"type\": \"tmpfs\"}",
    "{\"destination\": \"/a\", \"type\": \"bind\", \"source\": \"/b\"}",
    "{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\"]}",
    "{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"ro\", \"rbind\"]}",
    "{\"destination\": \"/a\", \"options\": [\"remount\", \"ro\"]}",
    "{\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\"}",
    "{\"destination\": \"/\", \"type\": \"tmpfs\"}",
  ])
  func usualMountsAreAccepted(_ text: String) {
    accept(whole("\"mounts\": [\(text)]"))
  }

  @Test(arguments: [
    Refusal("{}", "/destination", "is required"),
    Refusal("{\"destination\": \"\"}", "/destination", "must not be empty"),
    Refusal("{\"destination\": 1}", "/destination", "must be a string, not an integer"),
    Refusal("{\"destination\": \"/a\"}", "/type", "is required without the option bind, rbind or remount"),
    Refusal("{\"destination\": \"/a\", \"options\": [\"bind\"]}", "/source", "is required for a bind mount"),
    Refusal("{\"destination\": \"/a\", \"type\": \"bind\"}", "/source", "is required for a bind mount"),
    Refusal(
      "{\"destination\": \"/a\", \"type\": \"tmpfs\", \"options\": \"ro\"}", "/options",
      "must be an array, not a string"),
    Refusal(
      "{\"destination\": \"/a\", \"type\": \"tmpfs\", \"options\": [null]}", "/options/0", "must be a string, not null"),
  ])
  func mountsAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/mounts/1" + refusal.pointer, refusal.words)
      .expect(
        whole("\"mounts\": [{\"destination\": \"/x\", \"type\": \"tmpfs\"}, \(refusal.part)]"),
        Configuration.init(parsing:subject:))
  }
}

@Suite struct ProcMountTests {
  @Test(arguments: [
    "{\"destination\": \"/proc\", \"type\": \"proc\"}",
    "{\"destination\": \"//proc/.\", \"type\": \"proc\", \"source\": \"proc\"}",
    "{\"destination\": \"/proc\", \"source\": \"/proc\", \"options\": [\"rbind\"]}",
    "{\"destination\": \"/proc\", \"source\": \"/proc/\", \"type\": \"bind\", \"options\": [\"rbind\"]}",
    "{\"destination\": \"/proc\", \"options\": [\"remount\", \"ro\"]}",
    "{\"destination\": \"/process\", \"type\": \"tmpfs\"}",
    "{\"destination\": \"/a/proc\", \"type\": \"tmpfs\"}",
    "{\"destination\": \"/proc/../procedures\", \"type\": \"tmpfs\"}",
    "{\"destination\": \"/x\", \"source\": \"/proc/1/root\", \"options\": [\"bind\"]}",
  ])
  func whatLeavesProcAloneIsAccepted(_ text: String) {
    accept(whole("\"mounts\": [\(text)]"))
  }

  @Test(arguments: [
    "cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled", "./net/../cpuinfo",
  ])
  func emulatedFilesMayBeReplaced(_ name: String) {
    accept(whole("\"mounts\": [{\"destination\": \"/proc/\(name)\", \"source\": \"/f\", \"options\": [\"bind\"]}]"))
  }

  @Test(arguments: [
    "self/attr", "sys", "sys/kernel", "1", "self/exe", "sysrq-trigger", "cpuinfo/x", "net", "sys/kernel/ns_last_pid/..",
    "../proc/self", "foo", "..//proc/kcore", "./fs",
  ])
  func nothingElseGoesInsideProc(_ name: String) {
    for rest in ["\"type\": \"tmpfs\"", "\"type\": \"proc\"", "\"source\": \"/f\", \"options\": [\"bind\"]"] {
      Refusal(name, "/mounts/0/destination", "cannot be mounted because it is inside /proc")
        .expect(
          whole("\"mounts\": [{\"destination\": \"/proc/\(name)\", \(rest)}]"), Configuration.init(parsing:subject:))
      Refusal(name, "/mounts/0/destination", "cannot be mounted because it is inside /proc")
        .expect(
          whole("\"mounts\": [{\"destination\": \"proc/\(name)\", \(rest)}]"), Configuration.init(parsing:subject:))
    }
  }

  @Test(arguments: ["/proc", "proc", "//proc//", "/proc/.", "/a/../proc", "/../proc", "/proc/self/.."])
  func onlyAProcfsGoesOverProc(_ path: String) {
    for rest in [
      "\"type\": \"tmpfs\"", "\"type\": \"sysfs\"", "\"source\": \"/f\", \"options\": [\"bind\"]",
      "\"type\": \"proc\", \"source\": \"/f\", \"options\": [\"bind\"]",
      "\"source\": \"/proc/../f\", \"options\": [\"rbind\"]", "\"source\": \"/proc/self\", \"options\": [\"rbind\"]",
      "\"type\": \"bind\", \"source\": \"/f\"",
    ] {
      Refusal(path, "/mounts/0/destination", "cannot be mounted because it is not of type proc")
        .expect(whole("\"mounts\": [{\"destination\": \"\(path)\", \(rest)}]"), Configuration.init(parsing:subject:))
    }
  }
}

@Suite struct IDMappedMountTests {
  private let maps =
    "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 7, \"size\": 1}], "
    + "\"gidMappings\": [{\"containerID\": 0, \"hostID\": 8, \"size\": 1}]"

  @Test func mappingsOfTheMountNeedNoUserNamespace() {
    accept(whole("\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\"], \(maps)}]"))
    accept(
      whole("\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\", \"ridmap\"], \(maps)}]")
    )
  }

  @Test(arguments: ["idmap", "ridmap"])
  func theOptionAloneTakesTheContainersMappings(_ option: String) throws {
    let mount = "\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\", \"\(option)\"]}]"
    let new = try configuration(whole("\(mount), \"linux\": {\"namespaces\": [{\"type\": \"user\"}], \(maps)}")).mounts[
      0]
    #expect(new.uidMappings == [IDMapping(containerID: 0, hostID: 7, size: 1)])
    #expect(new.gidMappings == [IDMapping(containerID: 0, hostID: 8, size: 1)])
    #expect(new.idMapNamespace.isEmpty)
    let joined = try configuration(
      whole("\(mount), \"linux\": {\"namespaces\": [{\"type\": \"user\", \"path\": \"/proc/7/ns/user\"}]}")
    ).mounts[0]
    #expect(joined.idMapNamespace == "/proc/7/ns/user" && joined.uidMappings.isEmpty)
  }

  @Test func mappingsOfTheMountStandBeforeTheContainers() throws {
    let text =
      "\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\", \"idmap\"], \(maps)}], "
      + "\"linux\": {\"namespaces\": [{\"type\": \"user\", \"path\": \"/proc/7/ns/user\"}]}"
    let mount = try configuration(whole(text)).mounts[0]
    #expect(mount.idMapNamespace.isEmpty && mount.uidMappings == [IDMapping(containerID: 0, hostID: 7, size: 1)])
  }

  @Test func theRestIsRefused() {
    let refusals = [
      Refusal("\"type\": \"tmpfs\", \(maps)", "/uidMappings", "id mappings are only for bind mounts"),
      Refusal("\"type\": \"tmpfs\", \"options\": [\"idmap\"]", "/options", "id mappings are only for bind mounts"),
      Refusal(
        "\"source\": \"/b\", \"options\": [\"bind\", \"idmap\"]", "/options", "idmap needs uidMappings and gidMappings"),
      Refusal(
        "\"source\": \"/b\", \"options\": [\"bind\"], \"uidMappings\": [{\"containerID\": 0, \"hostID\": 7, \"size\": 1}]",
        "/gidMappings", "is required beside uidMappings"),
      Refusal(
        "\"source\": \"/b\", \"options\": [\"bind\"], \"gidMappings\": [{\"containerID\": 0, \"hostID\": 7, \"size\": 1}]",
        "/uidMappings", "is required beside gidMappings"),
      Refusal(
        "\"source\": \"/b\", \"options\": [\"bind\"], \"uidMappings\": [{\"containerID\": 0, \"hostID\": 7}]",
        "/uidMappings/0/size", "is required"),
    ]
    for refusal in refusals {
      Refusal(refusal.part, "/mounts/0" + refusal.pointer, refusal.words)
        .expect(whole("\"mounts\": [{\"destination\": \"/a\", \(refusal.part)}]"), Configuration.init(parsing:subject:))
    }
  }
}

@Suite struct LexicalPathTests {
  @Test(arguments: [
    ("", "/"), ("/", "/"), ("/..", "/"), ("a", "/a"), ("/a//b/./c/", "/a/b/c"), ("/a/../b", "/b"), ("../../a", "/a"),
    ("/a/..../b", "/a/..../b"), ("/a/b/../..", "/"),
  ])
  func pathsAreCleaned(_ path: String, _ clean: String) {
    #expect(LexicalPath.clean(path) == clean)
  }

  @Test(arguments: [
    ("/b/rootfs", "/b/rootfs/a", "/a"), ("/b/rootfs", "/b/rootfs", "/"), ("/b/rootfs", "/b/rootfs//x/../a/", "/a"),
    ("/b/rootfs", "/b/./rootfs/a", "/a"), ("/b/rootfs", "/b/rootfs2/a", nil), ("/b/rootfs", "/b/rootfs/../a", nil),
    ("/b/rootfs", "/a", nil), ("/b/rootfs", "/proc/b/rootfs/a", nil), ("/", "/a", nil),
  ])
  func aPathBelowTheRootIsWhatTheRootSees(_ root: String, _ path: String, _ seen: String?) {
    #expect(LexicalPath.below(root, path) == seen)
  }
}
