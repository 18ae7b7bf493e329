import CWide
import Glibc
import NemoBlueprint

/// Root file systems of images, unpacked once and shared by all sandboxes that cannot change them.
///
/// `DIR/KEY/rootfs` is one, `DIR/KEY/digest` its digest; KEY is made of the image's layers and of the places that are mounted
/// over. An entry appears whole.
public struct RootfsStore: Sendable {
  /// Directory of the store.
  public let directory: String

  /// The store in `directory`, which need not be there yet.
  public init(_ directory: String) { self.directory = directory }

  /// Holds the store for a builder (shared), or to remove what nobody uses (exclusive, without waiting).
  ///
  /// - Returns: the lock, until it is released; nil where an exclusive one cannot be had now.
  public func lock(exclusive: Bool) throws -> StoreLock? {
    guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw BundleFailure.last("mkdir", directory) }
    let handle = try Handle(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    if Handle.retrying({ flock(handle.raw, exclusive ? LOCK_EX | LOCK_NB : LOCK_SH) }) == 0 { return StoreLock(handle) }
    guard exclusive, errno == EWOULDBLOCK else { throw BundleFailure.last("lock", directory) }
    return nil
  }

  /// Removes entries whose root file system is not in `used`.
  public func collect(used: Set<String>) throws {
    guard let lock = try lock(exclusive: true) else { return }
    for name in try DirectoryNames.sorted(lock.handle.raw, directory) {
      let path = "\(directory)/\(PathBytes.text(name))/\(BundleBuilder.Name.rootfs)"
      if !used.contains(path) { try Tree.remove(name, lock.handle.raw) }
    }
  }

  /// The entry of `image` with these places, unpacked now where it is not there.
  func entry(
    _ image: Image, places: [(path: String, isFile: Bool)], make: (String) throws -> (digest: String, dropped: Int)
  )
    throws -> (rootfs: String, digest: String, dropped: Int)
  {
    let key = Self.key(image, places)
    let path = "\(directory)/\(key)"
    if let digest = try digest(path) { return ("\(path)/\(BundleBuilder.Name.rootfs)", digest, 0) }
    let staging = try StagingDirectory(beside: path)
    let made = try make("\(staging.path)/\(BundleBuilder.Name.rootfs)")
    let file = try Handle(
      [CChar]("\(staging.path)/digest".utf8CString), in: AT_FDCWD, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600,
      subject: path)
    try Array(made.digest.utf8).withUnsafeBytes { try file.write($0, path) }
    do { try staging.publish(as: path, replacing: false) } catch {
      // Somebody else was faster; the entries are the same.
      guard try digest(path) == made.digest else { throw error }
    }
    return ("\(path)/\(BundleBuilder.Name.rootfs)", made.digest, made.dropped)
  }

  private func digest(_ path: String) throws -> String? {
    guard access(path, F_OK) == 0 else { return nil }
    let text = PathBytes.text(try ImageDirectory(path).document("digest"))
    guard Digest.hex(text) != nil else { throw BundleFailure("\(path)/digest: is no digest; remove \(path)") }
    return text
  }

  private static func key(_ image: Image, _ places: [(path: String, isFile: Bool)]) -> String {
    let content = JSONValue.object([
      "layers": .array(image.layers.map { .string($0.diffID) }),
      "places": .array(places.map { .array([.string($0.path), .bool($0.isFile)]) }),
    ])
    return String(SHA256.digest(Array(content.canonical.utf8)).dropFirst(7))
  }
}

/// A lock on a store, until it is released.
public final class StoreLock {
  fileprivate let handle: Handle

  fileprivate init(_ handle: consuming Handle) { self.handle = handle }
}
