import Glibc

/// The directory that a sandbox may write to and that survives it.
public enum WorkspaceDirectory {
  /// Makes `path`, or takes the one that is there, for that user alone. What is in it stays as it is.
  public static func make(_ path: String, uid: UInt32, gid: UInt32) throws {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw BundleFailure.last("mkdir", path) }
    let directory = try Handle(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    guard fchown(directory.raw, uid, gid) == 0, fchmod(directory.raw, 0o700) == 0 else {
      throw BundleFailure.last("give the workspace to user \(uid):", path)
    }
  }

  /// Copies the directory `source` into the workspace at `path`, which must be empty; everything becomes that user's.
  public static func seed(_ path: String, from source: String, uid: UInt32, gid: UInt32) throws {
    let directory = try Handle(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    guard try DirectoryNames.sorted(directory.raw, path).isEmpty else {
      throw BundleFailure("\(path): is not empty, so nothing is copied into it; `rm --workspace` removes a workspace")
    }
    do {
      let tree = try TreeWriter(path)
      try DirectoryCopy(tree, owner: (uid, gid)).copy(source)
      _ = try Tree.seal(tree.descriptor, directoryTimes: tree.directoryTimes)
    } catch {
      // As empty as it was.
      try Tree.remove(path)
      try make(path, uid: uid, gid: gid)
      throw error
    }
    try make(path, uid: uid, gid: gid)
  }
}
