import CKernel

/// Facts of the build.
enum Build {
  /// The commit it was built from (a `+` after it: changed since), where the build knew it.
  static let commit: String = {
    let known = String(cString: nemo_build_commit())
    return known.isEmpty ? "unknown" : known
  }()
}
