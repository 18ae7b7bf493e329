import NemoKernel

/// Annotations by which engines ask crun for what config.json has no field for (crun(1), "ANNOTATIONS").
enum CrunAnnotations {
  private static let prefix = "run.oci."
  private static let keepGroups = prefix + "keep_original_groups"

  /// What confines the container, or runs its program, in another way: without it something else would run than was asked for.
  private static let essential = [
    "handler", "seccomp.plugins", "seccomp.receiver", "seccomp_bpf_data", "seccomp_fail_unknown_syscall",
  ].map { prefix + $0 }

  /// Whether the process keeps the runtime's supplementary groups (`podman run --group-add keep-groups`).
  static func keepsGroups(_ annotations: [String: String]) -> Bool {
    annotations[keepGroups].map { $0 != "0" } ?? false
  }

  /// Refuses or warns of those that this runtime does not follow.
  ///
  /// - Throws: one line naming the annotation.
  static func check(_ annotations: [String: String], warn: (String) -> Void) throws(Failure) {
    for name in annotations.keys.sorted() where name.hasPrefix(prefix) && name != keepGroups {
      guard !essential.contains(name) else { throw Failure("", "/annotations/\(name)", reason: "is not supported") }
      warn("/annotations/\(name): not supported, ignored")
    }
  }
}
