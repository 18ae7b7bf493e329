import NemoKernel
import Testing

@testable import NemoCgroup

@Suite struct HierarchiesTests {
  static let own = """
    9:name=systemd:/
    4:memory:/user/one
    3:cpu,cpuacct:/
    0::/

    """
  static let mountinfo = """
    30 23 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
    31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct
    32 30 0:29 /user /mnt/with\\040blank/memory rw,relatime - cgroup cgroup rw,memory
    33 30 0:29 / /mnt/second/memory rw,relatime - cgroup cgroup rw,memory
    34 30 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
    35 30 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
    36 30 0:32 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer

    """

  private func memberships(_ text: String = own) -> [Hierarchy] { Hierarchies.memberships(Array(text.utf8)) }

  @Test func placesOfVersionOneOnly() {
    let all = memberships()
    #expect(all.map(\.controllers) == [["name=systemd"], ["memory"], ["cpu", "cpuacct"]])
    #expect(all.map(\.own) == ["/", "/user/one", "/"])
  }

  @Test func placeOfVersionTwo() {
    #expect(Hierarchies.unifiedMembership(Array("4:memory:/a\n0::/b:c\n".utf8)) == "/b:c")
    #expect(Hierarchies.unifiedMembership(Array("10::/a\n4:memory:/a\n".utf8)) == nil)
  }

  @Test func aPathWithColonsStaysWhole() {
    #expect(memberships("5:pids:/a:b\n").map(\.own) == ["/a:b"])
  }

  @Test func mountsByMembership() {
    let found = Hierarchies.parse(mountinfo: Array(Self.mountinfo.utf8), memberships())
    #expect(
      found.map(\.mountpoint) == ["/sys/fs/cgroup/cpu,cpuacct", "/mnt/with blank/memory", "/sys/fs/cgroup/systemd"])
    #expect(found.map(\.controllers) == [["cpu", "cpuacct"], ["memory"], ["name=systemd"]])
    #expect(found[1].mountRoot == "/user")
  }

  @Test func usualPlaces() {
    let found = Hierarchies.atUsualPlaces(memberships()) { _ in true }
    #expect(
      found?.map(\.mountpoint) == ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct"])
    #expect(Hierarchies.atUsualPlaces(memberships()) { !$0.hasSuffix("/memory") } == nil)
    #expect(Hierarchies.atUsualPlaces([]) { _ in true } == nil)
  }

  @Test(arguments: [
    ("/", "/", "/docker/id", "/m/docker/id"), ("/", "/a", "id", "/m/a/id"), ("/", "/a", "/", "/m"),
    ("/", "/a", "./x//y/.", "/m/a/x/y"), ("/user", "/user/one", "id", "/m/one/id"), ("/user", "/user", "id", "/m/id"),
    ("/user", "/username", "id", "/m/id"), ("/", "/../..", "id", "/m/id"),
  ])
  func directories(_ root: String, _ own: String, _ path: String, _ expected: String) {
    let hierarchy = Hierarchy(controllers: ["pids"], mountpoint: "/m", mountRoot: root, own: own)
    #expect(hierarchy.directory(of: path) == expected)
  }

  @Test func pathsThatAreRefused() {
    #expect(throws: (any Error).self) { try CgroupV1(cgroupsPath: "/a/../b", id: "x") }
    #expect(throws: (any Error).self) { try CgroupV1(cgroupsPath: "a.slice:b:c", id: "x") }
    #expect(throws: (any Error).self) { try CgroupV1(saved: ["pids": "relative"]) }
    #expect(throws: (any Error).self) { try CgroupV1(saved: ["pids": "/sys/fs/cgroup/pids/../x"]) }
  }

  @Test func mountsInTheContainer() throws {
    let cgroup = try CgroupV1(saved: [
      "cpu": "/c/x", "cpuacct": "/c/x", "pids": "/p/x", "name=systemd": "/s/x", "unified": "/u/x",
    ])
    #expect(
      try cgroup.containerMounts() == [
        CgroupMount(
          name: "cpu,cpuacct", data: ["cpu", "cpuacct"], hostDirectory: "/c/x", symlinks: ["cpu", "cpuacct"]),
        CgroupMount(name: "pids", data: ["pids"], hostDirectory: "/p/x", symlinks: []),
        CgroupMount(name: "systemd", data: ["none", "name=systemd"], hostDirectory: "/s/x", symlinks: []),
      ])
    #expect(cgroup.directories == ["/c/x", "/p/x", "/s/x", "/u/x"])
  }

  @Test func subCgroupsThatAreRefused() throws {
    let cgroup = try CgroupV1(saved: ["pids": "/p/x", "unified": "/u/x"])
    for (paths, text) in [
      (["": "../y"], "bad sub cgroup path"), (["pids": "a/../../y"], "bad sub cgroup path"),
      (["whaaat": "/"], "unknown controller"), (["unified": "/"], "unknown controller"),
      (["": "nothere"], "/p/x/nothere/cgroup.procs: no such file"),
    ] {
      do throws(Failure) {
        _ = try cgroup.joinDescriptors(below: paths)
        Issue.record("accepted \(paths)")
      } catch { #expect(error.message.contains(text)) }
    }
  }
}
