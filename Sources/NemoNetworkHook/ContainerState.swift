import Glibc
import NemoFence
import NemoJSON
import NemoKernel

/// What the runtime says on standard input (runtime.md#state), and what the hook needs of the bundle's config.json.
struct ContainerState {
  let id: String
  /// 0 when there is no process any more.
  let pid: Int32
  let bundle: String

  static let stateLimit = 8 << 20
  static let configurationLimit = 32 << 20

  /// Reads the state from `descriptor`.
  init(from descriptor: Int32) throws(Failure) {
    let bytes = try Files.readAll(descriptor, limit: ContainerState.stateLimit, subject: "the container's state")
    let document = try JSONDocument(parsing: bytes, subject: "the container's state")
    id = try document.root.required("id").string()
    pid = try document.root.field("pid")?.integer() ?? 0
    bundle = try document.root.required("bundle").string()
    let isFileName = !id.isEmpty && id != "." && id != ".." && !id.utf8.contains { $0 == 0x2f || $0 < 0x21 }
    guard isFileName, id.utf8.count <= FenceLimits.idLength else {
      throw Failure(
        "", "/id", reason: "\"\(id)\" cannot be used",
        advice: "use at most \(FenceLimits.idLength) letters, digits, _, +, - and .")
    }
    guard bundle.hasPrefix("/") else { throw Failure("", "/bundle", reason: "\"\(bundle)\" is not absolute") }
  }
}

/// The parts of config.json that decide whether a fence would hold.
struct ContainerSettings {
  /// Names of capabilities in any of the sets.
  private(set) var capabilities: Set<String> = []
  /// The network namespace that is joined; nil for a new one, or none.
  private(set) var networkPath: String?
  /// Devices of the host are moved in.
  private(set) var hasDevices = false

  init(bundle: String) throws(Failure) {
    let path = bundle + "/config.json"
    let bytes = try Files.read(path, limit: ContainerState.configurationLimit)
    let document = try JSONDocument(parsing: bytes, subject: path)
    if let sets = try document.root.field("process")?.field("capabilities") {
      for set in try sets.members() { capabilities.formUnion(try set.node.strings()) }
    }
    let linux = try document.root.field("linux")
    hasDevices = try linux?.field("netDevices")?.members().isEmpty == false
    for entry in try linux?.field("namespaces")?.array({ $0 }) ?? [] {
      if try entry.required("type").string() == "network" { networkPath = try entry.field("path")?.string() }
    }
  }

  /// Refuses capabilities with which a program could undo the fence, or get around it.
  func check(for mode: FenceConfiguration.Mode) throws(Failure) {
    if capabilities.contains("CAP_NET_ADMIN") {
      throw Failure(
        "", "/process/capabilities", reason: "with CAP_NET_ADMIN the container could take its own fence down",
        advice: "drop it, or use mode host")
    }
    // A raw packet passes no filter on its way out of the namespace; on nemoshell's own pair of devices it meets one on the host.
    if networkPath != nil || hasDevices || mode == .join, capabilities.contains("CAP_NET_RAW") {
      throw Failure(
        "", "/process/capabilities",
        reason: "with CAP_NET_RAW the container could send past the fence on a network that is not nemoshell's",
        advice: "drop it, or use mode veth in a new network namespace without netDevices")
    }
  }
}
