import CKernel
import Glibc
import NemoKernel
import NemoMounts

/// Masked and read-only paths (config-linux.md#masked-paths): mounts over what the process shall not see or change.
struct PathProtection: ~Copyable {
  /// The container's root.
  let root: Int32
  /// The host's /dev/null, verified; nothing in the container's /dev is trusted (CVE-2025-31133).
  private let null: OwnedDescriptor
  /// The first masked directory's tmpfs, copied for the others.
  private var empty: Int32 = -1

  init(root: Int32) throws(Failure) {
    self.root = root
    null = try PathProtection.verifiedNull()
  }

  /// The host's /dev/null: a character device 1:3, reached without following a link.
  static func verifiedNull() throws(Failure) -> OwnedDescriptor {
    let fd = try Files.open("/dev/null", O_PATH | O_NOFOLLOW)
    let status = try Files.status(of: fd.raw, subject: "/dev/null")
    guard status.st_mode & S_IFMT == S_IFCHR, nemo_major(status.st_rdev) == 1, nemo_minor(status.st_rdev) == 3 else {
      throw Failure("use /dev/null", reason: "it is not the null device")
    }
    return fd
  }

  deinit { if empty >= 0 { close(empty) } }

  /// Hides `path`: a file behind the null device, a directory behind an empty read-only tmpfs. What does not exist stays so.
  mutating func mask(_ path: String) throws(Failure) {
    guard let target = try existing(path) else { return }
    let status = try Files.status(of: target.raw, subject: path)
    if status.st_mode & S_IFMT != S_IFDIR {
      let cover = try MountTree.copy("", at: null.raw, recursive: false)
      try MountTree.attach(cover.raw, to: target.raw, subject: path)
      return
    }
    if empty >= 0 {
      let cover = try MountTree.copy("", at: empty, recursive: false)
      try MountTree.attach(cover.raw, to: target.raw, subject: path)
    } else {
      let cover = try MountTree.new(
        "tmpfs", source: "tmpfs", data: ["size=0", "nr_inodes=1", "mode=755"], attributes: MountAttribute.readOnly)
      try MountTree.attach(cover.raw, to: target.raw, subject: path)
      empty = cover.take()
    }
  }

  /// Makes `path` and what is mounted below it read-only.
  func makeReadOnly(_ path: String) throws(Failure) {
    guard let target = try existing(path) else { return }
    let tree = try MountTree.copy("", at: target.raw, recursive: true)
    var change = AttributeChange()
    change.set = MountAttribute.readOnly
    try MountTree.change(tree.raw, change, recursive: true, subject: path)
    try MountTree.attach(tree.raw, to: target.raw, subject: path)
  }

  private func existing(_ path: String) throws(Failure) -> OwnedDescriptor? {
    do throws(Failure) {
      return try RootDirectory.open(path, O_PATH, in: root)
    } catch  where error.errno == .noEntry || error.errno == .notDirectory {
      return nil
    }
  }
}
