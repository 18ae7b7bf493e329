import CKernel
import Glibc
import NemoKernel
import NemoMounts
import NemoOCI

/// The device nodes of the container (config-linux.md#default-devices): made below the root descriptor, or bound from the host
/// where mknod(2) is not allowed.
enum Devices {
  static let defaults: [Device] = {
    let nodes: [(String, Int64, Int64)] = [
      ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
    ]
    return nodes.map { (name, major, minor) in
      var device = Device(type: "c", path: "/dev/\(name)")
      device.major = major
      device.minor = minor
      device.fileMode = 0o666
      return device
    }
  }()

  private static let links = [
    ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"),
  ]

  /// Makes the default and the configured devices and the usual links.
  ///
  /// - Parameter nodes: what ``nodes(_:_:in:)`` gave, in a user namespace; empty elsewhere.
  static func make(_ configured: [Device], _ nodes: [Int32], in root: Int32, byBind: Bool) throws(Failure) {
    for device in defaults where !configured.contains(where: { $0.path == device.path }) {
      try make(device, in: root, byBind: byBind)
    }
    for (index, device) in configured.enumerated() {
      if index < nodes.count, nodes[index] >= 0 {
        let target = try RootDirectory.openOrCreate(device.path, asFile: true, in: root)
        try MountTree.attach(nodes[index], to: target.raw, subject: device.path)
      } else {
        try make(device, in: root, byBind: byBind && device.type != "p")
      }
    }
    for (path, target) in links {
      let place = try RootDirectory.openParent(path, in: root)
      if place.name == "ptmx" { _ = unlinkat(place.directory.raw, place.name, 0) }
      guard symlinkat(target, place.directory.raw, place.name) == 0 || nemo_get_errno() == EEXIST else {
        throw .last("symlink", path)
      }
    }
  }

  /// The configured devices of a container with a new user namespace, which cannot make nodes itself: made in `directory`, where
  /// they stay (what is unlinked cannot be mounted), and taken from there as detached mounts. -1 for a FIFO, and where the runtime
  /// may make none either: then the host's node is bound.
  static func nodes(_ configured: [Device], _ linux: LinuxConfiguration, in directory: Int32) throws(Failure) -> [Int32]
  {
    var result: [Int32] = []
    for (index, device) in configured.enumerated() {
      let place = "/linux/devices/\(index)"
      let uid = try UserNamespace.hostID(of: device.uid ?? 0, linux.uidMappings, "\(place)/uid")
      let gid = try UserNamespace.hostID(of: device.gid ?? 0, linux.gidMappings, "\(place)/gid")
      let name = "device-\(index)"
      result.append(device.type == "p" ? -1 : try node(device, name, uid: uid, gid: gid, in: directory))
    }
    return result
  }

  private static func node(_ device: Device, _ name: String, uid: UInt32, gid: UInt32, in directory: Int32)
    throws(Failure) -> Int32
  {
    let kind = device.type == "b" ? S_IFBLK : S_IFCHR
    let major = UInt32(truncatingIfNeeded: device.major)
    let minor = UInt32(truncatingIfNeeded: device.minor)
    guard nemo_mknodat(directory, name, kind, major, minor) == 0 else {
      if nemo_get_errno() == EPERM { return -1 }
      throw .last("create device", device.path)
    }
    guard fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 else { throw .last("chown", device.path) }
    guard fchmodat(directory, name, mode_t(device.fileMode ?? 0o666) & 0o7777, 0) == 0 else {
      throw .last("chmod", device.path)
    }
    let tree = try MountTree.copy(name, at: directory, recursive: false, noFollow: true)
    // The state is mostly on a file system without devices.
    var change = AttributeChange()
    change.clear = MountAttribute.noDev
    try MountTree.change(tree.raw, change, subject: device.path)
    return tree.take()
  }

  private static func make(_ device: Device, in root: Int32, byBind: Bool) throws(Failure) {
    if byBind { return try bind(device, in: root) }
    let kind: mode_t =
      switch device.type {
      case "b": S_IFBLK
      case "p": S_IFIFO
      default: S_IFCHR
      }
    let place = try RootDirectory.openParent(device.path, in: root)
    let major = UInt32(truncatingIfNeeded: device.major)
    let minor = UInt32(truncatingIfNeeded: device.minor)
    let mode = mode_t(device.fileMode ?? 0o666) & 0o7777
    if nemo_mknodat(place.directory.raw, place.name, kind | mode, major, minor) == 0 {
      if device.uid != nil || device.gid != nil {
        guard fchownat(place.directory.raw, place.name, device.uid ?? 0, device.gid ?? 0, AT_SYMLINK_NOFOLLOW) == 0
        else {
          throw .last("chown", device.path)
        }
      }
      return
    }
    switch nemo_get_errno() {
    case EEXIST:
      var status = stat()
      guard fstatat(place.directory.raw, place.name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
        throw .last("stat", device.path)
      }
      guard status.st_mode & S_IFMT == kind,
        kind == S_IFIFO || (nemo_major(status.st_rdev) == major && nemo_minor(status.st_rdev) == minor)
      else {
        throw Failure("create device", device.path, errno: .exists, reason: "something else is there")
      }
    case EPERM: try bind(device, in: root)
    default: throw .last("create device", device.path)
    }
  }

  /// Binds the host's node of the same path after checking that it is the same device.
  private static func bind(_ device: Device, in root: Int32) throws(Failure) {
    let tree = try MountTree.copy(device.path, recursive: false, noFollow: true)
    let status = try Files.status(of: tree.raw, subject: device.path)
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFCHR || kind == S_IFBLK, Int64(nemo_major(status.st_rdev)) == device.major,
      Int64(nemo_minor(status.st_rdev)) == device.minor
    else {
      throw Failure("bind device", device.path, reason: "the host's node is another device")
    }
    let target = try RootDirectory.openOrCreate(device.path, asFile: true, in: root)
    try MountTree.attach(tree.raw, to: target.raw, subject: device.path)
  }
}
