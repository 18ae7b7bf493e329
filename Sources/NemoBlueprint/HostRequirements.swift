import NemoPolicy

/// Something that a sandbox needs and a host has not.
public struct MissingCapability: Sendable, Hashable {
  /// What is missing.
  public var what: String
  /// Where the need comes from: a field of the blueprint, or `every sandbox`.
  public var neededBy: String
  /// What to do about it.
  public var advice: String

  /// One line.
  public var text: String { "missing: \(what), needed by \(neededBy): \(advice)" }
}

/// What sandboxes need of their host.
public enum HostRequirements {
  /// What is missing for `blueprint`; for a blueprint of defaults without a network where it is nil.
  public static func missing(for blueprint: Blueprint?, on host: HostCapabilities) -> [MissingCapability] {
    landlock(blueprint, host) + kernel(host) + limits(blueprint, host) + network(blueprint, host)
  }

  private static let every = "every sandbox"

  private static func landlock(_ blueprint: Blueprint?, _ host: HostCapabilities) -> [MissingCapability] {
    if blueprint?.isLandlockBestEffort == true { return [] }
    let optional = Set(blueprint?.bestEffortRights ?? [])
    let needed = "policy.landlock.compatibility: hard_requirement"
    guard host.landlockABI > 0 else {
      let why = if case .missing(let why) = host.landlock { why } else { "no answer" }
      return [
        MissingCapability(
          what: "Landlock (\(why))", neededBy: needed,
          advice: "boot a kernel with CONFIG_SECURITY_LANDLOCK and with landlock among its lsm= names")
      ]
    }
    let scopes = HostCapabilities.otherRights.filter { $0.0 == "abstract_unix_socket" || $0.0 == "signal" }
    let lacking =
      FileRights.all.filter { $0.abi > host.landlockABI && !optional.contains($0.name) }.map(\.name)
      + scopes.filter { $0.1 > host.landlockABI && !optional.contains($0.0) && !optional.contains("scope") }.map(\.0)
    guard !lacking.isEmpty else { return [] }
    return [
      MissingCapability(
        what: "Landlock's \(lacking.joined(separator: ", ")) (the kernel has ABI \(host.landlockABI))",
        neededBy: needed,
        advice: "boot a newer kernel, or list them in policy.landlock.best_effort")
    ]
  }

  private static func kernel(_ host: HostCapabilities) -> [MissingCapability] {
    var missing: [MissingCapability] = []
    let actions = host.seccompActions.filter { ["errno", "kill_process"].contains($0.name) && $0.answer != .works }
    if !actions.isEmpty {
      missing.append(
        MissingCapability(
          what: "seccomp's \(actions.map(\.name).joined(separator: ", "))", neededBy: every,
          advice: "boot a kernel with CONFIG_SECCOMP_FILTER, or start outside of the filter that hides it"))
    }
    for (name, answer) in host.namespaces where name != "user" {
      guard case .missing(let why) = answer else { continue }
      let advice =
        why == "EPERM"
        ? "run as root, outside of a container that forbids it" : "boot a kernel with this namespace built in"
      missing.append(MissingCapability(what: "\(name) namespaces (\(why))", neededBy: every, advice: advice))
    }
    if !host.missingCalls.isEmpty {
      missing.append(
        MissingCapability(
          what: "the system calls \(host.missingCalls.joined(separator: ", "))", neededBy: every,
          advice: "boot a newer kernel, or start outside of the filter that hides them"))
    }
    return missing
  }

  private static func limits(_ blueprint: Blueprint?, _ host: HostCapabilities) -> [MissingCapability] {
    var needed = [("memory", "memory"), ("cpu", "cpus"), ("pids", "pids")]
    let resources = blueprint?.sandbox.resources
    if resources?.ioWeight != nil || resources?.throttles.isEmpty == false { needed.append(("io", "io")) }
    return needed.filter { !host.cgroupControllers.contains($0.0) }.map { controller, field in
      MissingCapability(
        what: "the cgroup controller \(controller)", neededBy: "sandbox.resources.\(field)",
        advice: "mount it below /sys/fs/cgroup, or boot with cgroup_enable=\(controller)")
    }
  }

  private static func network(_ blueprint: Blueprint?, _ host: HostCapabilities) -> [MissingCapability] {
    guard let mode = blueprint?.sandbox.network, mode != .none, mode != .host, host.nftables != .works else {
      return []
    }
    let why =
      switch host.nftables {
      case .works: ""
      case .missing(let why), .unknown(let why): why
      }
    let advice = why == "EPERM" ? "run as root" : "load the module nf_tables (modprobe nf_tables)"
    return [
      MissingCapability(what: "nftables (\(why))", neededBy: "sandbox.network.mode: \(mode.rawValue)", advice: advice)
    ]
  }
}
