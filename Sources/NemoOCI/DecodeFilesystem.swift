import NemoJSON
import NemoKernel

extension Root {
  init(_ node: JSONNode) throws(Failure) {
    self.init(path: try node.required("path").nonEmpty())
    readonly = try node.flag("readonly") ?? false
  }
}

extension Mount {
  init(_ node: JSONNode) throws(Failure) {
    let path = try node.required("destination").nonEmpty()
    // Relative ones are deprecated and meant from the root (config.md#mounts).
    self.init(destination: path.utf8.first == 0x2f ? path : "/" + path)
    type = try node.text("type")
    source = try node.text("source")
    options = try node.texts("options")
    uidMappings = try node.list("uidMappings", IDMapping.init)
    gidMappings = try node.list("gidMappings", IDMapping.init)
  }

  /// Whether it is a bind mount, by its options or, as crun has it, by its type alone.
  var isBind: Bool { type == "bind" || options.contains { $0 == "bind" || $0 == "rbind" } }

  /// Whether it only changes a mount that is there.
  var isRemount: Bool { options.contains("remount") }
}

extension IDMapping {
  init(_ node: JSONNode) throws(Failure) {
    self.init(
      containerID: try node.required("containerID").integer(), hostID: try node.required("hostID").integer(),
      size: try node.required("size").integer())
    guard size > 0 else { throw try node.required("size").failure("must be at least 1") }
    // 2^32−1 is no id; the kernel refuses ranges that reach it.
    guard UInt64(containerID) + UInt64(size) <= UInt64(UInt32.max), UInt64(hostID) + UInt64(size) <= UInt64(UInt32.max)
    else {
      throw node.failure("reaches beyond id \(UInt32.max - 1)")
    }
  }
}

extension Hooks {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    prestart = try node.list("prestart", Hook.init)
    createRuntime = try node.list("createRuntime", Hook.init)
    createContainer = try node.list("createContainer", Hook.init)
    startContainer = try node.list("startContainer", Hook.init)
    poststart = try node.list("poststart", Hook.init)
    poststop = try node.list("poststop", Hook.init)
  }
}

extension Hook {
  init(_ node: JSONNode) throws(Failure) {
    self.init(path: try node.required("path").absolutePath())
    args = try node.texts("args")
    env = try node.field("env") == nil ? nil : node.texts("env")
    if let timeout = try node.field("timeout") { self.timeout = try timeout.integer(in: Limits.hookTimeout) }
  }
}
