import Testing

@testable import NemoBlueprint
@testable import NemoPolicy

@Suite struct HostTests {
  /// A host that has everything.
  private var whole: HostCapabilities {
    var host = HostCapabilities()
    host.kernel = "Linux"
    host.landlockABI = 7
    host.landlock = .works
    host.seccompActions = [("errno", .works), ("kill_process", .works), ("log", .works)]
    host.namespaces = [("mount", .works), ("pid", .works), ("user", .works)]
    host.userNamespaceLimit = 1000
    host.cgroupVersion = "2"
    host.cgroupControllers = ["memory", "cpu", "pids", "io"]
    host.nftables = .works
    host.audit = .works
    host.idmappedMounts = .works
    return host
  }

  private func missing(_ change: (inout HostCapabilities) -> Void, _ blueprint: Blueprint? = nil) -> [MissingCapability]
  {
    var host = whole
    change(&host)
    return HostRequirements.missing(for: blueprint, on: host)
  }

  private func blueprint(_ policy: String, sandbox: String = "") throws -> Blueprint {
    let text = """
      apiVersion: nemoshell/v1
      kind: Blueprint
      metadata: {name: a, version: 1.0.0}
      sandbox:
        rootfs: {directory: ./r}
        process: {args: [/bin/true]}
      \(sandbox)
      policy:
        filesystem: {read_only: [/bin]}
      \(policy)
      """
    let (blueprint, diagnostics) = BlueprintReader.read(Array(text.utf8), file: "b.yaml")
    return try #require(blueprint, "\(diagnostics.sorted.map(\.text))")
  }

  @Test func nothingIsMissingWhereAllIsThere() {
    #expect(missing { _ in }.isEmpty)
    #expect(whole.rows.filter { !$0.state.isEmpty }.allSatisfy { $0.state == "yes" })
  }

  @Test func columnsAreAligned() {
    let lines = whole.text.split(separator: "\n")
    let places = lines.dropFirst().map { line in line.split(separator: "yes", maxSplits: 1)[0].count }
    #expect(Set(places).count == 1)
  }

  @Test func whatEverySandboxNeeds() {
    let found = missing {
      $0.landlockABI = 0
      $0.landlock = .missing("EOPNOTSUPP")
      $0.seccompActions[0].answer = .missing("ENOSYS")
      $0.namespaces[1].answer = .missing("EPERM")
      $0.namespaces[2].answer = .missing("ENOSPC")
      $0.cgroupControllers.remove("memory")
      $0.missingCalls = ["openat2"]
      $0.audit = .missing("off")
      $0.idmappedMounts = .missing("EINVAL")
      $0.nftables = .missing("EPROTONOSUPPORT")
    }
    #expect(found.map { $0.what.split(separator: " ").first ?? "" } == ["Landlock", "seccomp's", "pid", "the", "the"])
    #expect(found.allSatisfy { !$0.advice.isEmpty && !$0.text.contains("\n") })
  }

  @Test func rightsThatMayBeMissing() throws {
    let old = { (host: inout HostCapabilities) in host.landlockABI = 4 }
    let found = missing(old)
    #expect(found.count == 1 && found[0].what.contains("ioctl_dev, abstract_unix_socket, signal"))
    #expect(missing(old, try blueprint("  landlock: {best_effort: [ioctl_dev, scope]}")).isEmpty)
    #expect(missing(old, try blueprint("  landlock: {best_effort: [ioctl_dev]}")).count == 1)
    #expect(missing({ $0.landlockABI = 0 }, try blueprint("  landlock: {compatibility: best_effort}")).isEmpty)
  }

  @Test func theNetworkNeedsThePacketFilter() throws {
    let without = { (host: inout HostCapabilities) in host.nftables = .missing("EPROTONOSUPPORT") }
    #expect(missing(without, try blueprint("")).isEmpty)
    let found = missing(without, try blueprint("", sandbox: "  network: {mode: veth}"))
    #expect(found.count == 1 && found[0].neededBy == "sandbox.network.mode: veth")
  }

  @Test func limitsOfDevicesNeedTheirController() throws {
    let without = { (host: inout HostCapabilities) in host.cgroupControllers.subtract(["io"]) }
    #expect(missing(without, try blueprint("")).isEmpty)
    #expect(missing(without, try blueprint("", sandbox: "  resources: {io: {weight: 100}}")).count == 1)
  }
}
