import CKernel
import Glibc
import NemoKernel
import NemoNetlink

/// A network namespace, opened once: its path is not used again.
struct NetworkNamespace: ~Copyable {
  let descriptor: OwnedDescriptor
  /// Device and inode: the same for the same namespace.
  let identity: String

  private static let type: Int32 = 0x4000_0000  // CLONE_NEWNET
  private static let magic: Int64 = 0x6e73_6673  // NSFS_MAGIC
  private static let askType: UInt = 0xb703  // NS_GET_NSTYPE, ioctl_ns(2)

  /// Opens the namespace at `path`.
  init(_ path: String) throws(Failure) {
    let descriptor = try Files.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    guard nemo_filesystem_magic(descriptor.raw) == NetworkNamespace.magic,
      nemo_ioctl_int(descriptor.raw, NetworkNamespace.askType, 0) == NetworkNamespace.type
    else { throw Failure("open", path, reason: "it is no network namespace") }
    let status = try Files.status(of: descriptor.raw, subject: path)
    identity = "\(status.st_dev):\(status.st_ino)"
    self.descriptor = descriptor
  }

  /// The caller's own.
  static func own() throws(Failure) -> NetworkNamespace { try NetworkNamespace("/proc/self/ns/net") }

  /// Does `body` in this namespace, then goes back to `home`. The caller has a single thread.
  func inside<T: ~Copyable>(from home: borrowing NetworkNamespace, _ body: () throws(Failure) -> T) throws(Failure) -> T
  {
    guard nemo_setns(descriptor.raw, NetworkNamespace.type) == 0 else { throw .last("enter the network namespace") }
    let result: Result<T, Failure>
    do throws(Failure) { result = .success(try body()) } catch { result = .failure(error) }
    guard nemo_setns(home.descriptor.raw, NetworkNamespace.type) == 0 else {
      throw .last("go back to the host's network namespace")
    }
    switch consume result {
    case .success(let value): return value
    case .failure(let error): throw error
    }
  }
}

/// Sockets to both parts of the kernel's networking, in one namespace.
struct NetworkSockets: ~Copyable {
  var routing: Netlink
  var filter: Netlink

  /// Opens them in the caller's namespace.
  init() throws(Failure) {
    let routing = try Netlink(.routing)
    filter = try Netlink(.filter)
    self.routing = routing
  }
}

/// Kernel parameters of the caller's network namespace.
enum NetworkParameters {
  static func isOn(_ name: String) throws(Failure) -> Bool { try Files.readText("/proc/sys/net/\(name)") != "0" }
}
