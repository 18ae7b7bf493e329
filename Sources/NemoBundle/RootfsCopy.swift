import Glibc

/// Copies of root file systems.
public enum RootfsCopy {
  /// Copies the tree `source` to the new directory `target`.
  public static func copy(_ source: String, to target: String) throws {
    guard mkdir(target, 0o755) == 0 else { throw BundleFailure.last("mkdir", target) }
    let tree = try TreeWriter(target)
    try DirectoryCopy(tree).copy(source)
    _ = try Tree.seal(tree.descriptor, directoryTimes: tree.directoryTimes)
  }
}
