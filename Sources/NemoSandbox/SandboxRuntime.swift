import NemoBlueprint

/// What the operator's commands need of the runtime beneath a sandbox.
public enum SandboxRuntime {
  /// Becomes an OCI verb with the runtime's state of that sandbox; returns only by an error.
  public static func become(_ files: SandboxFiles, _ words: [String]) throws {
    try RuntimeCommand(root: try files.record().runtimeRoot).become(words)
  }

  /// Directory of the sandbox's root file system; empty for a sandbox that has none yet.
  public static func rootfs(_ files: SandboxFiles) throws -> String {
    let path = "\(files.bundle)/config.json"
    guard let root = try RegistryFiles.json(path)?["root"]?["path"]?.text else { return "" }
    return root.hasPrefix("/") ? root : "\(files.bundle)/\(root)"
  }
}
