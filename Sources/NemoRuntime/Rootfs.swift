import CKernel
import Glibc
import NemoCgroup
import NemoKernel
import NemoMounts
import NemoOCI

/// The container's file system, built below one descriptor, by the container's process, before it pivots into it.
struct Rootfs: ~Copyable {
  /// The mounted root; everything is resolved below it.
  let root: OwnedDescriptor
  let configuration: Configuration
  let inUserNamespace: Bool

  /// Takes the detached `tree` of the root file system and attaches it in the current mount namespace.
  ///
  /// - Parameter path: where the tree came from; hooks look for the container there. Where the process may not walk that path
  ///   (an engine's private directory and a user namespace), it goes on top of `/`.
  init(attaching tree: consuming OwnedDescriptor, path: String, configuration: Configuration, inUserNamespace: Bool)
    throws(Failure)
  {
    // Nothing that is mounted from here on reaches the host.
    guard nemo_mount_setattr(AT_FDCWD, "/", 0x8000, 0, 0, UInt64(MountOptions.propagationFlags["slave"] ?? 0), 0) == 0
    else {
      throw .last("make mounts slaves of the host's", "/")
    }
    let place = Int32(retrying { Int(openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC)) })
    let target = OwnedDescriptor(adopting: place >= 0 ? place : try Files.open("/", O_PATH | O_DIRECTORY).take())
    try MountTree.change(tree.raw, AttributeChange(), propagation: 1 << 18, subject: path)
    try MountTree.attach(tree.raw, to: target.raw, subject: path)
    root = tree
    self.configuration = configuration
    self.inUserNamespace = inUserNamespace
  }

  /// Mounts `mount` as config.json says.
  ///
  /// - Parameters:
  ///   - bound: the source of a bind mount.
  ///   - mapIDs: has the ids of a detached tree mapped as the mount says.
  func mount(
    _ mount: Mount, bound: BindSource, cgroup: any CgroupManager, mapIDs: (Int32) throws(Failure) -> Void
  ) throws(Failure) {
    do throws(Failure) {
      let options = MountOptions(mount.options)
      if case .detached(let tree) = bound {
        try bind(mount, options, tree)
      } else if case .inRoot(let path) = bound {
        let tree = try detach(path, mount.source, options)
        if mount.isIDMapped { try mapIDs(tree.raw) }
        try bind(mount, options, tree.raw)
      } else if options.remount {
        try remount(mount, options)
      } else if mount.type == "cgroup" || mount.type == "cgroup2" {
        try mountCgroup(mount, options, cgroup)
      } else {
        try mountFileSystem(mount, options)
      }
    } catch {
      throw error.within("mount \(mount.destination)")
    }
  }

  /// The resolved destination. What is reached in a procfs must have been named there, where validation sees it: a link of the
  /// image that leads into it would hide what the kernel's files say (CVE-2019-16884).
  func destination(_ path: String, asFile: Bool = false) throws(Failure) -> OwnedDescriptor {
    let target = try RootDirectory.openOrCreate(path, asFile: asFile, in: root.raw)
    if nemo_filesystem_magic(target.raw) == Procfs.magic, !path.hasPrefix("/proc") {
      throw Failure("resolve destination", path, errno: .loop, reason: "it leads into a proc file system")
    }
    return target
  }

  func finish(
    _ fd: Int32, _ mount: Mount, _ options: MountOptions, attributes: AttributeChange = AttributeChange()
  ) throws(Failure) {
    try MountTree.change(fd, attributes, subject: mount.destination)
    try MountTree.change(fd, options.recursive, recursive: true, subject: mount.destination)
    for flag in options.propagation {
      try MountTree.change(
        fd, AttributeChange(), recursive: flag & 16384 != 0, propagation: flag & ~16384, subject: mount.destination)
    }
  }

  private func remount(_ mount: Mount, _ options: MountOptions) throws(Failure) {
    guard options.data.isEmpty else {
      throw Failure(
        "remount", reason: "options of the file system (\(options.data.joined(separator: ","))) cannot be changed")
    }
    let target = try RootDirectory.open(mount.destination, O_PATH, in: root.raw)
    try finish(target.raw, mount, options, attributes: options.attributes)
  }

  /// Types whose instance is shared or has nothing below that `ro` could protect: the mount alone is read-only.
  private static let virtualTypes: Set<String> = ["proc", "sysfs", "tmpfs", "mqueue", "devpts", "ramfs"]

  private func mountFileSystem(_ mount: Mount, _ options: MountOptions) throws(Failure) {
    let protected = mount.type == "proc" || mount.type == "sysfs"
    let existed = mount.type != "tmpfs" || exists(mount.destination)
    let target = protected ? try verifiedDirectory(mount.destination) : try destination(mount.destination)
    var attributes = options.attributes.set
    if options.copyUp || isDev(mount) { attributes &= ~MountAttribute.readOnly }
    var data = options.data
    if mount.type == "tmpfs", existed, !data.contains(where: { $0.hasPrefix("mode=") }) {
      // A tmpfs without a mode looks like what it covers.
      let below = try Files.status(of: target.raw, subject: mount.destination)
      data.append("mode=" + String(below.st_mode & 0o7777, radix: 8))
    }
    let fd = try MountTree.new(
      mount.type, source: mount.source.isEmpty ? mount.type : mount.source, data: data, attributes: attributes,
      superblockReadOnly: options.superblockReadOnly && !Rootfs.virtualTypes.contains(mount.type))
    if options.copyUp {
      let from = try Files.open(".", O_RDONLY | O_DIRECTORY, at: target.raw)
      let to = try Files.open(".", O_RDONLY | O_DIRECTORY, at: fd.raw)
      try CopyUp.copy(from: from.raw, to: to.raw, subject: mount.destination)
    }
    try MountTree.attach(fd.raw, to: target.raw, subject: mount.destination)
    var rest = AttributeChange()
    if options.copyUp { rest.set = options.attributes.set & MountAttribute.readOnly }
    try finish(fd.raw, mount, options, attributes: rest)
  }

  private func exists(_ path: String) -> Bool {
    guard let found = try? RootDirectory.open(path, O_PATH, in: root.raw) else { return false }
    return found.raw >= 0
  }

  /// /dev gets its mount points and nodes before it becomes read-only, in ``seal()``.
  private func isDev(_ mount: Mount) -> Bool { mount.destination.trimmedSlashes == "/dev" }

  /// A directory whose path has no symbolic link: where proc and sysfs go, or their protection could be led astray
  /// (CVE-2019-19921, CVE-2023-27561).
  private func verifiedDirectory(_ path: String) throws(Failure) -> OwnedDescriptor {
    let made = try destination(path)
    let flags = UInt64(UInt32(bitPattern: O_PATH | O_DIRECTORY | O_CLOEXEC))
    let fd = Int32(retrying { Int(nemo_openat2(root.raw, path, flags, 0, 0x10 | 0x04)) })
    guard fd >= 0 else {
      throw Failure(
        path, errno: Errno.current, reason: "must be mounted on ordinary directory, without a symbolic link on the way")
    }
    let verified = OwnedDescriptor(adopting: fd)
    let a = try Files.status(of: made.raw, subject: path)
    let b = try Files.status(of: verified.raw, subject: path)
    guard a.st_ino == b.st_ino, a.st_dev == b.st_dev else {
      throw Failure("open", path, errno: .loop, reason: "it changed while it was being resolved")
    }
    return verified
  }

  private func mountCgroup(_ mount: Mount, _ options: MountOptions, _ cgroup: any CgroupManager) throws(Failure) {
    let attributes = options.attributes.set
    let ownView = configuration.linux.namespaces.contains { $0.kind == .cgroup }
    let shell = try MountTree.new(
      "tmpfs", source: "tmpfs", data: ["mode=755"], attributes: attributes & ~MountAttribute.readOnly)
    let target = try verifiedDirectory(mount.destination)
    let parts = try cgroup.containerMounts()
    for part in parts {
      try Files.makeDirectory(part.name, at: shell.raw)
      for link in part.symlinks {
        guard symlinkat(part.name, shell.raw, link) == 0 else { throw .last("symlink", "\(mount.destination)/\(link)") }
      }
    }
    try MountTree.attach(shell.raw, to: target.raw, subject: mount.destination)
    for part in parts {
      let place = try Files.open(part.name, O_PATH | O_DIRECTORY | O_NOFOLLOW, at: shell.raw)
      let subject = "\(mount.destination)/\(part.name)"
      let tree: OwnedDescriptor
      if ownView {
        tree = try MountTree.new("cgroup", source: "cgroup", data: part.data, attributes: attributes)
      } else {
        tree = try MountTree.copy(part.hostDirectory, recursive: false)
        try MountTree.change(tree.raw, AttributeChange(), propagation: 1 << 18, subject: subject)
      }
      try MountTree.attach(tree.raw, to: place.raw, subject: subject)
      var change = options.attributes
      change.set = attributes
      try MountTree.change(tree.raw, change, subject: subject)
    }
    var seal = AttributeChange()
    seal.set = attributes & MountAttribute.readOnly
    try finish(shell.raw, mount, options, attributes: seal)
  }

  /// Makes the working directory, as engines expect it to appear.
  func makeWorkingDirectory(_ path: String) throws(Failure) {
    if path == "/" { return }
    if let found = try? RootDirectory.open(path, O_PATH, in: root.raw) {
      _ = found.raw
      return
    }
    // A path that cannot be made (a link into /proc, say) shows itself when the process changes to it.
    _ = try? destination(path)
  }

  /// Makes the root the process's root; the old one is gone afterwards.
  func pivot(noPivot: Bool) throws(Failure) {
    guard fchdir(root.raw) == 0 else { throw .last("enter", "the root file system") }
    if noPivot {
      guard nemo_move_mount(root.raw, "", AT_FDCWD, "/", 0x4) == 0 || nemo_get_errno() == ELOOP, chroot(".") == 0 else {
        throw .last("move the root file system to", "/")
      }
    } else {
      guard nemo_pivot_root(".", ".") == 0 else { throw .last("pivot_root") }
      guard umount2(".", 2) == 0 else { throw .last("detach the old root") }
    }
    guard chdir("/") == 0 else { throw .last("chdir", "/") }
  }

  /// Makes a copy of the finished tree the root of the process, which goes into mount namespace `shared`: nothing is mounted there, and
  /// the copy, which is nobody's, ends with the last process in it.
  func enter(from shared: Int32) throws(Failure) {
    let tree = try MountTree.copy("", at: root.raw, recursive: true, subject: "/")
    guard nemo_setns(shared, NamespaceKind.mount.flag) == 0 else { throw .last("join mount namespace") }
    guard fchdir(tree.raw) == 0, chroot(".") == 0, chdir("/") == 0 else { throw .last("enter", "the root file system") }
  }

  /// The last changes of the root mount: read-only, and the propagation that was asked for.
  func seal() throws(Failure) {
    for mount in configuration.mounts where isDev(mount) && mount.type != "bind" {
      var change = AttributeChange()
      change.set = MountOptions(mount.options).attributes.set & MountAttribute.readOnly
      guard change.set != 0 else { continue }
      let target = try RootDirectory.open("/dev", O_PATH, in: root.raw)
      try MountTree.change(target.raw, change, subject: "/dev")
    }
    if configuration.root.readonly {
      var change = AttributeChange()
      change.set = MountAttribute.readOnly
      try MountTree.change(root.raw, change, subject: "/")
    }
    if let flag = MountOptions.propagationFlags[configuration.linux.rootfsPropagation] {
      try MountTree.change(
        root.raw, AttributeChange(), recursive: flag & 16384 != 0, propagation: flag & ~16384, subject: "/")
    }
  }
}
