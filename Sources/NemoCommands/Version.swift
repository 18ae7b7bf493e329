import NemoRuntime
import NemoSeccomp

/// What `--version` prints; engines read the first and the `spec:` line.
public enum Version {
  /// Semantic version of the program.
  public static let number = "0.1.0"

  static var text: String {
    "nemoshell version \(number)\ncommit: \(Build.commit)\nspec: \(Specification.version)\nlibseccomp: \(Seccomp.libraryVersion)\n"
  }
}
