import CWide
import Glibc
import NemoBlueprint

/// Where a root file system came from, for the lock.
public struct RootfsOrigin: Sendable {
  /// `directory`, `oci_layout` or `docker_archive`.
  public var kind: String
  /// Digest of the image's manifest; empty where there is none.
  public var manifest = ""
  /// Digest of the image's configuration; empty where there is none.
  public var configuration = ""
  /// Digests of the uncompressed layers.
  public var layers: [String] = []
}

/// Fills a tree from what a blueprint names.
struct RootfsSource {
  let tree: TreeWriter

  func fill(_ source: Sandbox.RootfsSource, reference: String?, digest: String?, relativeTo base: String) throws
    -> RootfsOrigin
  {
    switch source {
    case .directory(let path):
      try DirectoryCopy(tree).copy(HostPath.absolute(path, from: base))
      return RootfsOrigin(kind: "directory")
    case .ociLayout(let path):
      let files = try open(HostPath.absolute(path, from: base))
      return try unpack(try OCILayout(files: files).image(reference), "oci_layout", digest)
    case .dockerArchive(let path):
      let files = try open(HostPath.absolute(path, from: base))
      return try unpack(try DockerArchive(files: files).image(reference), "docker_archive", digest)
    }
  }

  private func open(_ path: String) throws -> any ImageFiles {
    var status = stat()
    guard stat(path, &status) == 0 else { throw BundleFailure.last("open", path) }
    return status.st_mode & S_IFMT == S_IFDIR ? try ImageDirectory(path) : try ImageArchive(path)
  }

  private func unpack(_ image: Image, _ kind: String, _ digest: String?) throws -> RootfsOrigin {
    if let digest, image.digest != digest {
      throw BundleFailure("\(image.files.subject): the image is \(image.digest), sandbox.rootfs.digest is \(digest)")
    }
    for (number, layer) in image.layers.enumerated() {
      let place = "\(image.files.subject): layer \(number + 1) of \(image.layers.count)"
      do { try unpack(layer, of: image.files, place) } catch let failure as BundleFailure {
        throw failure.description.hasPrefix(place) ? failure : failure.within(place)
      }
    }
    return RootfsOrigin(
      kind: kind, manifest: image.manifest, configuration: image.configuration, layers: image.layers.map(\.diffID))
  }

  /// Unpacks a layer in one pass and compares digests and size at its end; until then the tree is nobody's.
  private func unpack(_ layer: ImageLayer, of files: any ImageFiles, _ place: String) throws {
    guard let file = try files.open(layer.file), let probe = try files.open(layer.file) else {
      throw BundleFailure("\(place): \(Diagnostic.printable(layer.file)) is missing")
    }
    if let size = layer.size, size != file.size {
      throw BundleFailure("\(place): has \(file.size) bytes, the manifest says \(size)")
    }
    var magic = [UInt8](repeating: 0, count: 4)
    _ = try magic.withUnsafeMutableBytes { try probe.source.read(into: $0) }
    let stored = DigestingSource(file.source)
    let plain: DigestingSource
    switch Compression.name(magic) {
    case nil: plain = DigestingSource(stored)
    case "gzip"?: plain = DigestingSource(try GzipSource(stored, place))
    case let name?: throw BundleFailure("\(place): is compressed with \(name), which is not supported; use gzip")
    }
    tree.beginLayer()
    let reader = TarReader(plain, place)
    while let entry = try reader.next() {
      do { try tree.apply(entry, content: reader) } catch let failure as BundleFailure {
        throw failure.within("\(place): \(Diagnostic.printable(PathBytes.text(entry.name.prefix(256))))")
      }
    }
    try plain.drain(limit: BundleLimits.padding, place)
    try stored.drain(limit: BundleLimits.padding, place)
    guard plain.digest == layer.diffID, layer.digest.isEmpty || stored.digest == layer.digest else {
      throw BundleFailure("\(place): its content has another digest than the image says")
    }
  }
}

/// Paths of the host.
public enum HostPath {
  /// `path` as seen from the directory of the file `file`, absolute.
  public static func absolute(_ path: String, from file: String) throws -> String {
    if path.hasPrefix("/") { return path }
    let slash = file.lastIndex(of: "/")
    let directory = slash.map { String(file[...$0]) } ?? "./"
    guard let resolved = realpath(directory, nil) else { throw BundleFailure.last("find the directory of", file) }
    defer { free(resolved) }
    let base = String(cString: resolved)
    let rest = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
    return base == "/" ? "/" + rest : "\(base)/\(rest)"
  }
}
