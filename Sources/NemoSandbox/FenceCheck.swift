import Glibc
import NemoBlueprint
import NemoBundle

/// Asks the network hook of a sandbox whether the kernel has the fence that it was told to load.
struct FenceCheck {
  let files: SandboxFiles

  init(_ files: SandboxFiles) { self.files = files }

  /// - Parameter state: what the runtime says of the container.
  /// - Returns: false where the sandbox has no fence, or none could be found any more.
  func holds(_ state: JSONValue) throws -> Bool {
    let document = try RegistryFiles.json("\(files.bundle)/\(BundleBuilder.Name.configuration)")
    guard let hook = document?["hooks"]?["createRuntime"]?.elements?.first, let program = hook["path"]?.text,
      var words = hook["args"]?.elements?.compactMap(\.text), words.count > 1, words[1] == "setup"
    else { return false }
    words[1] = "verify"
    let input = try Pipe()
    // A state is smaller than a pipe.
    try RegistryFiles.writeAll(input.write, Array(state.canonical.utf8), "a pipe")
    input.closeWrite()
    let pid = try Child.spawn(program, words, input: input.read, output: -1, messages: 2)
    return try Child.wait(pid) == 0
  }
}
