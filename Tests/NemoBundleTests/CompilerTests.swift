import Glibc
import NemoBlueprint
import Testing

@testable import NemoBundle

/// A root file system with the links that Debian has.
private func withRootfs(_ body: (Rootfs) throws -> Void) throws {
  let path = "/tmp/nemoshell-rootfs-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  for directory in ["", "/usr", "/usr/bin", "/usr/lib", "/etc", "/work"] {
    #expect(mkdir(path + directory, 0o755) == 0)
  }
  #expect(symlink("usr/bin", path + "/bin") == 0 && symlink("/usr/lib", path + "/lib") == 0)
  defer { #expect(throws: Never.self) { try Tree.remove(path) } }
  try body(try #require(Rootfs(directory: path)))
}

private func blueprint(_ filesystem: String, landlock: String = "{}", sandbox: String = "") throws -> Blueprint {
  let text = """
    apiVersion: nemoshell/v1
    kind: Blueprint
    metadata: {name: a, version: 1.0.0}
    sandbox:
      rootfs: {directory: ./rootfs}
      process: {args: [/usr/bin/true]}
      workspace: {path: /work}
    \(sandbox)
    policy:
      filesystem: \(filesystem)
      landlock: \(landlock)
    """
  let (blueprint, diagnostics) = BlueprintReader.read(Array(text.utf8), file: "b.yaml")
  return try #require(blueprint, "\(diagnostics.sorted.map(\.text))")
}

private func rights(_ landlock: JSONValue, _ path: String) -> Set<String>? {
  let rules = landlock["rules"]?["pathBeneath"]?.elements ?? []
  let found = rules.filter { $0["paths"]?.elements?.contains(.string(path)) ?? false }
  #expect(found.count <= 1, "\(path) is in \(found.count) rules")
  return found.first.map { Set($0["allowedAccess"]?.elements?.compactMap(\.text) ?? []) }
}

@Test func rulesAreAboutWhatLinksLeadTo() throws {
  try withRootfs { rootfs in
    let landlock = LandlockCompiler(
      blueprint: try blueprint("{read_only: [/usr, /lib, /bin, /etc]}"), rootfs: rootfs
    ).compile()
    #expect(rights(landlock, "/usr") == ["read_file", "read_dir", "execute"])
    // What repeats what holds above it is left out.
    for path in ["/bin", "/lib", "/usr/bin", "/usr/lib"] { #expect(rights(landlock, path) == nil) }
    #expect(rights(landlock, "/proc") == ["read_file", "read_dir"])
    #expect(landlock["ruleset"]?["handledAccessFS"]?.elements?.count == 16)
    #expect(landlock["bestEffort"] == .array([.string("log_new_exec_on")]))
  }
}

@Test func rightsAddUpAsTheKernelAddsThem() throws {
  try withRootfs { rootfs in
    let landlock = LandlockCompiler(
      blueprint: try blueprint(
        "{read_only: [/usr, /work/docs], execute: [/etc], rules: [{paths: [/etc], allow: [read_file]}]}"),
      rootfs: rootfs
    ).compile()
    let work = try #require(rights(landlock, "/work"))
    #expect(work.contains("write_file") && !work.contains("execute"))
    #expect(rights(landlock, "/work/docs") == work.union(["execute"]))
    #expect(rights(landlock, "/etc") == ["execute", "read_file"])
  }
}

@Test func whatMayBeMissingIsWrittenDown() throws {
  try withRootfs { rootfs in
    let some = try blueprint("{read_only: [/usr]}", landlock: "{best_effort: [truncate, scope, connect_tcp]}")
    #expect(
      LandlockCompiler(blueprint: some, rootfs: rootfs).compile()["bestEffort"]
        == .array(["truncate", "abstract_unix_socket", "signal", "log_new_exec_on"].map { .string($0) }))
    let all = LandlockCompiler(
      blueprint: try blueprint("{read_only: [/usr]}", landlock: "{compatibility: best_effort}"), rootfs: rootfs
    ).compile()
    #expect(all["disableBestEffort"] == .bool(false) && all["bestEffort"] == nil)
  }
}

@Test func mountsAreStrictUnlessTheBlueprintSaysOtherwise() throws {
  let mounts = "  mounts: [{source: /srv, destination: /srv}, {tmpfs: {size: 1MiB}, destination: /a, executable: true}]"
  let options = { (filesystem: String, place: String) throws -> [String] in
    let compiled = try SandboxMounts(
      blueprint: try blueprint(filesystem, sandbox: mounts), workspace: "workspace"
    ).compile()
    let mount = compiled.elements?.first { $0["destination"]?.text == place }
    return mount?["options"]?.elements?.compactMap(\.text) ?? []
  }
  for place in ["/proc", "/dev", "/dev/pts", "/dev/shm", "/sys", "/tmp", "/work", "/srv"] {
    let found = try options("{read_only: [/usr]}", place)
    #expect(found.contains("nosuid") && found.contains("noexec"), "\(place): \(found)")
  }
  #expect(try options("{read_only: [/usr]}", "/srv").contains("ro"))
  #expect(try !options("{read_only: [/usr]}", "/a").contains("noexec"))
  #expect(try !options("{read_only: [/usr], execute: [/work/bin]}", "/work").contains("noexec"))
}
