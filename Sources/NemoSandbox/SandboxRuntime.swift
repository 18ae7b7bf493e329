import NemoBlueprint

/// What the operator's commands need of the runtime beneath a sandbox.
public enum SandboxRuntime {
  /// Becomes an OCI verb with the runtime's state of that sandbox; returns only by an error.
  public static func become(_ files: SandboxFiles, _ words: [String]) throws {
    try RuntimeCommand(root: try files.record().runtimeRoot).become(words)
  }

  /// Directory of the sandbox's root file system.
  public static func rootfs(_ files: SandboxFiles) throws -> String {
    let path = "\(files.bundle)/config.json"
    do {
      let root = try JSONReader.parse(try RegistryFiles.read(path) ?? [])["root"]?["path"]?.text ?? ""
      return root.hasPrefix("/") ? root : "\(files.bundle)/\(root)"
    } catch let failure as JSONReader.Failure { throw SandboxFailure("\(path): \(failure.description)") }
  }
}
