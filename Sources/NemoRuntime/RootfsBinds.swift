import CKernel
import Glibc
import NemoKernel
import NemoMounts
import NemoOCI

extension Rootfs {
  /// A detached copy of what `path` below the root is now. As with a destination, what is reached in a file system of the kernel's
  /// must have been named there: elsewhere than at its place it would be without its masks.
  func detach(_ path: String, _ source: String, _ options: MountOptions) throws(Failure) -> OwnedDescriptor {
    let place = try RootDirectory.open(path, options.keepsLink ? O_PATH | O_NOFOLLOW : O_PATH, in: root.raw)
    let magic = nemo_filesystem_magic(place.raw)
    guard magic != Procfs.magic || path.hasPrefix("/proc"), magic != Rootfs.sysfsMagic || path.hasPrefix("/sys") else {
      throw Failure("bind mount source", source, errno: .loop, reason: "a link leads it into the kernel's files")
    }
    return try MountTree.copy("", at: place.raw, recursive: options.copiesTree, subject: source)
  }

  /// SYSFS_MAGIC (statfs(2)).
  private static let sysfsMagic: Int64 = 0x6265_6572

  func bind(_ mount: Mount, _ options: MountOptions, _ tree: Int32) throws(Failure) {
    let source = try Files.status(of: tree, subject: mount.source)
    let isDirectory = source.st_mode & S_IFMT == S_IFDIR
    if options.copySymlink, source.st_mode & S_IFMT == S_IFLNK {
      let link = try Files.readLink("", at: tree)
      let place = try RootDirectory.openParent(mount.destination, in: root.raw)
      guard symlinkat(link, place.directory.raw, place.name) == 0 || nemo_get_errno() == EEXIST else {
        throw .last("symlink", mount.destination)
      }
      return
    }
    let inherited = MountOptions.propagationFlags[configuration.linux.rootfsPropagation] ?? 1 << 19 | 16384
    let target = try destination(mount.destination, asFile: !isDirectory)
    let covered = try Files.status(of: target.raw, subject: mount.destination)
    if isDirectory != (covered.st_mode & S_IFMT == S_IFDIR) {
      throw Failure(
        "bind mount source", mount.source, errno: .notDirectory,
        advice: "source and destination must both be files, or both directories")
    }
    try MountTree.change(
      tree, AttributeChange(), recursive: true, propagation: inherited & ~16384, subject: mount.source)
    try MountTree.attach(tree, to: target.raw, subject: mount.destination)
    try setAttributes(tree, mount, options)
    try finish(tree, mount, options)
  }

  private func setAttributes(_ tree: Int32, _ mount: Mount, _ options: MountOptions) throws(Failure) {
    if !inUserNamespace {
      do throws(Failure) {
        return try MountTree.change(tree, options.bindAttributes, subject: mount.destination)
      } catch  where error.errno == .notPermitted {
        // The runtime is in a user namespace itself.
      }
    }
    let present = try MountAttribute.present(at: tree, subject: mount.source)
    try MountTree.change(tree, options.bindAttributes(keeping: present), subject: mount.destination)
  }
}
