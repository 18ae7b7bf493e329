import CKernel
import Glibc
import NemoFence
import NemoJSON
import NemoKernel

/// What one sandbox has of the pool, or of an engine's namespace; on disk before it is made, until it is gone.
struct Lease {
  /// The number of the addresses and the device; nil in mode `join`.
  var index: Int?
  var id: String
  /// The boot in which it was made: nothing of it outlives that.
  var boot: String
  /// The namespace that the host's end is in.
  var host: String
  /// The sandbox's namespace.
  var sandbox: String
  /// Where the sandbox's namespace can be found, in mode `join`.
  var path: String?

  /// The file's name: what is asked for most often needs no file to be read.
  var fileName: String { Lease.fileName(index, id) }

  static func fileName(_ index: Int?, _ id: String) -> String { (index.map(String.init) ?? "join") + "." + id }
}

/// The leases, a file each, and the lock under which they change.
struct LeaseStore: ~Copyable {
  /// Where they are unless the operator says otherwise.
  static let standardRoot = "/var/lib/nemoshell/network"
  /// How long another hook may hold the lock, in milliseconds.
  static let patience = 30_000
  static let sizeLimit = 64 << 10

  private let directory: OwnedDescriptor
  private let lock: OwnedDescriptor
  private let root: String

  /// Opens the store and takes its lock, which ends with it.
  init(root: String) throws(Failure) {
    try Files.makeDirectories(root, mode: 0o700)
    let directory = try Files.open(root, O_RDONLY | O_DIRECTORY)
    let lock = try Files.open("lock", O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600, at: directory.raw)
    try LeaseStore.take(lock.raw, root + "/lock")
    try LeaseStore.sweep(directory.raw, root)
    self.directory = directory
    self.lock = lock
    self.root = root
  }

  private static func take(_ lock: Int32, _ subject: String) throws(Failure) {
    for _ in 0...patience {
      if flock(lock, LOCK_EX | LOCK_NB) == 0 { return }
      guard [EINTR, EWOULDBLOCK].contains(nemo_get_errno()) else { throw .last("lock", subject) }
      usleep(1000)
    }
    throw Failure("lock", subject, reason: "another hook has held it for \(patience / 1000) s")
  }

  /// The numbers and ids of all leases; nil for mode `join`.
  func all() throws(Failure) -> [(index: Int?, id: String)] {
    try Files.names(in: directory.raw, subject: root).compactMap { name in
      guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return nil }
      let id = String(name[name.index(after: dot)...])
      if name[..<dot] == "join" { return (nil, id) }
      return Int(name[..<dot]).map { ($0, id) }
    }
  }

  /// Removes what a hook that was killed while it wrote has left.
  private static func sweep(_ directory: Int32, _ root: String) throws(Failure) {
    for name in try Files.names(in: directory, subject: root) where name.hasPrefix(".") {
      guard unlinkat(directory, name, 0) == 0 else { throw .last("remove", root + "/" + name) }
    }
  }

  /// The lease; one that cannot be read any more is of no boot: all that it still says is its name.
  func read(_ index: Int?, _ id: String) throws(Failure) -> Lease {
    let name = Lease.fileName(index, id)
    let bytes = try Files.read(name, limit: LeaseStore.sizeLimit, at: directory.raw)
    do throws(Failure) { return try lease(index, id, bytes) } catch {
      return Lease(index: index, id: id, boot: "", host: "", sandbox: "", path: nil)
    }
  }

  private func lease(_ index: Int?, _ id: String, _ bytes: [UInt8]) throws(Failure) -> Lease {
    let document = try JSONDocument(parsing: bytes, subject: root + "/" + Lease.fileName(index, id))
    return Lease(
      index: index, id: id, boot: try document.root.required("boot").string(),
      host: try document.root.required("host").string(), sandbox: try document.root.required("sandbox").string(),
      path: try document.root.field("path")?.string())
  }

  /// Writes a lease down for good.
  func add(_ lease: Lease) throws(Failure) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("boot", lease.boot)
    writer.member("host", lease.host)
    if let path = lease.path { writer.member("path", path) }
    writer.member("sandbox", lease.sandbox)
    writer.endObject()
    try Files.replace(lease.fileName, in: directory.raw, with: writer.bytes + [10])
  }

  /// Forgets a lease; one that is gone is fine.
  func remove(_ lease: Lease) throws(Failure) {
    guard unlinkat(directory.raw, lease.fileName, 0) == 0 || nemo_get_errno() == ENOENT else {
      throw .last("remove", root + "/" + lease.fileName)
    }
    guard fsync(directory.raw) == 0 else { throw .last("fsync", root) }
  }

  /// The boot that the machine is in.
  static func boot() throws(Failure) -> String { try Files.readText("/proc/sys/kernel/random/boot_id") }
}
