import CKernel
import Glibc
import NemoKernel
import NemoMounts
import NemoOCI

/// Where the tree of a bind mount comes from.
enum BindSource {
  /// It is no bind mount.
  case none
  /// Detached by the runtime, with its own rights.
  case detached(Int32)
  /// Below the root file system, as the container sees it: resolved when the mounts before it are there, and never outside
  /// (a link of the image says nothing about the host).
  case inRoot(String)

  func closeDetached() {
    if case .detached(let fd) = self { close(fd) }
  }
}

extension Mount {
  /// Its ids are mapped. That takes the rights of the user namespace that the file system belongs to: the runtime's.
  var isIDMapped: Bool { !uidMappings.isEmpty || !gidMappings.isEmpty || !idMapNamespace.isEmpty }

  /// Maps the ids of its detached `tree`.
  func mapIDs(of tree: Int32, _ procfs: borrowing Procfs) throws(Failure) {
    let namespace =
      idMapNamespace.isEmpty
      ? try UserNamespace.make(uids: uidMappings, gids: gidMappings, procfs)
      : try Files.open(idMapNamespace, O_RDONLY)
    try MountTree.mapIDs(
      tree, userNamespace: namespace.raw, recursive: MountOptions(options).idMap == .recursive, subject: source)
  }
}
