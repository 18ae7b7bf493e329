import NemoBlueprint

/// A valid blueprint with more lines in its parts, each indented as there.
func blueprint(
  sandbox: String = "", policy: String = "", filesystem: String = "    read_only: [/usr, /etc]\n",
  network: String = "none",
  rest: String = ""
) -> String {
  """
  apiVersion: nemoshell/v1
  kind: Blueprint
  metadata:
    name: agent
    version: 1.0.0
  sandbox:
    rootfs:
      directory: ./rootfs
    process:
      args: [/usr/bin/true]
    network:
      mode: \(network)
  \(sandbox)policy:
    filesystem:
  \(filesystem)\(policy)\(rest)
  """
}

/// What is said about a text.
func findings(_ text: String) -> [Diagnostic] {
  BlueprintReader.read(Array(text.utf8), file: "b.yaml").diagnostics.sorted
}

/// The errors of a text, a line each.
func errors(_ text: String) -> [String] { findings(text).filter { $0.severity == .error }.map(\.text) }
