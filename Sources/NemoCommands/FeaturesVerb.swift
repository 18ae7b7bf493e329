import NemoCapabilities
import NemoJSON
import NemoKernel
import NemoMounts
import NemoOCI
import NemoRuntime
import NemoSeccomp

extension NemoshellProgram {
  /// The features structure of the specification (features.md, features-linux.md): what this build can do, not this host.
  static let featuresVerb = Verb(
    name: "features", operands: "", summary: "print what the runtime supports as JSON", count: 0...0
  ) { (_) throws(Failure) in
    var json = JSONWriter(indented: true)
    json.beginObject()
    json.member("ociVersionMin", "1.0.0")
    json.member("ociVersionMax", Specification.version)
    json.member("hooks", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
    json.member("mountOptions", MountOptions.known.sorted())
    json.key("linux")
    json.beginObject()
    json.member("namespaces", NamespaceKind.allCases.map(\.rawValue).sorted())
    json.member("capabilities", Capabilities.names)
    json.key("cgroup")
    json.beginObject()
    json.member("v1", true)
    json.member("v2", false)
    json.member("systemd", false)
    json.member("systemdUser", false)
    json.member("rdma", true)
    json.endObject()
    json.key("seccomp")
    json.beginObject()
    json.member("enabled", true)
    json.member("actions", Seccomp.supportedActions)
    json.member("operators", Seccomp.supportedOperators)
    json.member("archs", Seccomp.supportedArchitectures)
    json.member("knownFlags", Seccomp.knownFlags)
    json.member("supportedFlags", Seccomp.supportedFlags)
    json.endObject()
    enabled("apparmor", true, &json)
    enabled("selinux", true, &json)
    enabled("intelRdt", false, &json)
    json.key("memoryPolicy")
    json.beginObject()
    let modes = ["BIND", "DEFAULT", "INTERLEAVE", "LOCAL", "PREFERRED", "PREFERRED_MANY", "WEIGHTED_INTERLEAVE"]
    json.member("modes", modes.map { "MPOL_" + $0 })
    json.member("flags", ["NUMA_BALANCING", "RELATIVE_NODES", "STATIC_NODES"].map { "MPOL_F_" + $0 })
    json.endObject()
    json.key("mountExtensions")
    json.beginObject()
    enabled("idmap", true, &json)
    json.endObject()
    enabled("netDevices", true, &json)
    json.endObject()
    json.key("annotations")
    json.beginObject()
    json.member("io.github.seccomp.libseccomp.version", Seccomp.libraryVersion)
    // The name by which callers ask any runtime; crun answers to it too.
    json.member("org.opencontainers.runc.checkpoint.enabled", "false")
    json.endObject()
    json.member("potentiallyUnsafeConfigAnnotations", [String]())
    json.endObject()
    try Output.write(json.bytes + [10])
    return 0
  }

  private static func enabled(_ name: String, _ value: Bool, _ json: inout JSONWriter) {
    json.key(name)
    json.beginObject()
    json.member("enabled", value)
    json.endObject()
  }
}
