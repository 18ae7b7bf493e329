/// Facts of the build.
enum Build {
  /// The commit it was built from, where the build says so.
  static let commit = "unknown"
}
