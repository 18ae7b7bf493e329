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

/// What a blueprint names as its root file system.
struct RootfsSource {
  private let blueprint: Blueprint

  init(_ blueprint: Blueprint) { self.blueprint = blueprint }

  /// The image, its documents checked; nil for a directory.
  func image() throws -> Image? {
    let sandbox = blueprint.sandbox
    let image: Image
    switch sandbox.rootfs {
    case .directory: return nil
    case .ociLayout(let path): image = try OCILayout(files: try open(path)).image(sandbox.reference)
    case .dockerArchive(let path): image = try DockerArchive(files: try open(path)).image(sandbox.reference)
    }
    if let digest = sandbox.digest, image.digest != digest {
      throw BundleFailure("\(image.files.subject): the image is \(image.digest), sandbox.rootfs.digest is \(digest)")
    }
    return image
  }

  /// For the lock.
  func origin(_ image: Image?) -> RootfsOrigin {
    let kind: String
    switch blueprint.sandbox.rootfs {
    case .directory: kind = "directory"
    case .ociLayout: kind = "oci_layout"
    case .dockerArchive: kind = "docker_archive"
    }
    return RootfsOrigin(
      kind: kind, manifest: image?.manifest ?? "", configuration: image?.configuration ?? "",
      layers: image?.layers.map(\.diffID) ?? [])
  }

  private func open(_ written: String) throws -> any ImageFiles {
    let path = try HostPath.absolute(written, from: blueprint.file)
    var status = stat()
    guard stat(path, &status) == 0 else { throw BundleFailure.last("open", path) }
    return status.st_mode & S_IFMT == S_IFDIR ? try ImageDirectory(path) : try ImageArchive(path)
  }

  /// Copies the directory.
  func copy(into tree: TreeWriter) throws {
    guard case .directory(let path) = blueprint.sandbox.rootfs else { return }
    try DirectoryCopy(tree).copy(try HostPath.absolute(path, from: blueprint.file))
  }

  /// Unpacks the layers.
  func unpack(_ image: Image, into tree: TreeWriter) throws {
    for (number, layer) in image.layers.enumerated() {
      let place = "\(image.files.subject): layer \(number + 1) of \(image.layers.count)"
      do { try unpack(layer, of: image.files, into: tree, place) } catch let failure as BundleFailure {
        throw failure.description.hasPrefix(place) ? failure : failure.within(place)
      }
    }
  }

  /// Unpacks a layer in one pass and compares digests and size at its end; until then the tree is nobody's.
  private func unpack(_ layer: ImageLayer, of files: any ImageFiles, into tree: TreeWriter, _ place: String) throws {
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
