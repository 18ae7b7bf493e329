import Glibc
import NemoBlueprint

/// One layer of an image.
struct ImageLayer {
  /// Name of its file.
  var file: String
  /// Digest of the file; empty where the format names none.
  var digest: String
  /// Size of the file; nil where the format names none.
  var size: Int?
  /// Digest of the uncompressed archive.
  var diffID: String
}

/// An image that was chosen and whose documents are checked.
struct Image {
  /// Digest of the manifest; empty for a `docker save` archive.
  var manifest: String
  /// Digest of the configuration: Docker's image id.
  var configuration: String
  /// The layers, the lowest first.
  var layers: [ImageLayer]
  let files: any ImageFiles

  /// What `sandbox.rootfs.digest` is compared with.
  var digest: String { manifest.isEmpty ? configuration : manifest }
}

/// Architecture of this machine in the words of images.
enum Platform {
  #if arch(arm64)
    static let architecture = "arm64"
  #else
    static let architecture = "amd64"
  #endif
}

/// `sha256:` and 64 digits, the only kind of digest that is taken.
enum Digest {
  static func hex(_ text: String) -> String? {
    guard text.hasPrefix("sha256:") else { return nil }
    let hex = String(text.dropFirst(7))
    let legal = hex.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    return hex.utf8.count == 64 && legal ? hex : nil
  }
}

/// An OCI image layout (image-spec, image-layout.md), in a directory or a tar archive.
struct OCILayout {
  let files: any ImageFiles

  private struct Descriptor {
    var mediaType: String
    var digest: String
    var size: Int
    var file: String
  }

  /// The image `reference`, or the only one.
  func image(_ reference: String?) throws -> Image {
    let layout = try files.json("oci-layout")
    guard layout["imageLayoutVersion"]?.text == "1.0.0" else {
      throw BundleFailure("\(files.subject): oci-layout: imageLayoutVersion is not 1.0.0")
    }
    let index = try files.json("index.json")
    var candidates = try manifests(index, "index.json")
    if let reference {
      candidates = candidates.filter { $0["annotations"]?["org.opencontainers.image.ref.name"]?.text == reference }
    }
    let chosen = try descriptor(try only(candidates, reference), "index.json")
    return try image(chosen, depth: 0)
  }

  private func manifests(_ index: JSONValue, _ name: String) throws -> [JSONValue] {
    guard let list = index["manifests"]?.elements else {
      throw BundleFailure("\(files.subject): \(name): manifests is missing")
    }
    return list
  }

  private func only(_ candidates: [JSONValue], _ reference: String?) throws -> JSONValue {
    if let first = candidates.first, candidates.count == 1 { return first }
    if candidates.isEmpty {
      throw BundleFailure("\(files.subject): index.json: holds no image" + (reference.map { " called \($0)" } ?? ""))
    }
    let names = candidates.compactMap { $0["annotations"]?["org.opencontainers.image.ref.name"]?.text }
    let list = Diagnostic.printable(names.prefix(8).joined(separator: ", "))
    throw BundleFailure(
      "\(files.subject): holds \(candidates.count) images; choose with sandbox.rootfs.reference (\(list))")
  }

  private func descriptor(_ value: JSONValue?, _ place: String) throws -> Descriptor {
    guard let value, let digest = value["digest"]?.text, let size = value["size"]?.number, size >= 0 else {
      throw BundleFailure("\(files.subject): \(place): a descriptor without digest or size")
    }
    guard let hex = Digest.hex(digest) else {
      throw BundleFailure("\(files.subject): \(place): \(Diagnostic.quoted(digest)) is no sha256 digest")
    }
    return Descriptor(
      mediaType: value["mediaType"]?.text ?? "", digest: digest, size: size, file: "blobs/sha256/\(hex)")
  }

  /// A document whose digest and size are as its descriptor says.
  private func blob(_ descriptor: Descriptor) throws -> JSONValue {
    let bytes = try files.document(descriptor.file)
    guard bytes.count == descriptor.size, SHA256.digest(bytes) == descriptor.digest else {
      throw BundleFailure("\(files.subject): \(descriptor.file): its content has another digest or size")
    }
    return try files.json(descriptor.file, bytes)
  }

  private func image(_ descriptor: Descriptor, depth: Int) throws -> Image {
    let document = try blob(descriptor)
    let type = document["mediaType"]?.text ?? descriptor.mediaType
    if type.hasSuffix(".index.v1+json") || type.hasSuffix(".manifest.list.v2+json") {
      guard depth < 2 else { throw BundleFailure("\(files.subject): indexes within indexes") }
      let own = try manifests(document, descriptor.file).filter { entry in
        entry["platform"]?["os"]?.text == "linux" && entry["platform"]?["architecture"]?.text == Platform.architecture
      }
      guard let first = own.first else {
        throw BundleFailure("\(files.subject): has no image for linux/\(Platform.architecture)")
      }
      return try image(try self.descriptor(first, descriptor.file), depth: depth + 1)
    }
    guard let list = document["layers"]?.elements else {
      throw BundleFailure("\(files.subject): \(descriptor.file): is no image manifest")
    }
    let configuration = try self.descriptor(document["config"], descriptor.file)
    let diffIDs = try ImageConfiguration.diffIDs(try blob(configuration), layers: list.count, files)
    let layers = try zip(list, diffIDs).map { value, diffID in
      let layer = try self.descriptor(value, descriptor.file)
      guard layer.mediaType.contains(".tar") || layer.mediaType.contains(".rootfs.diff") else {
        throw BundleFailure("\(files.subject): a layer of type \(Diagnostic.quoted(layer.mediaType)), not tar")
      }
      return ImageLayer(file: layer.file, digest: layer.digest, size: layer.size, diffID: diffID)
    }
    return Image(
      manifest: descriptor.digest, configuration: configuration.digest, layers: layers, files: files)
  }
}

/// What `docker save` writes (Docker image specification 1.2).
struct DockerArchive {
  let files: any ImageFiles

  /// The image with the tag `reference`, or the only one.
  func image(_ reference: String?) throws -> Image {
    guard let list = try files.json("manifest.json").elements else {
      throw BundleFailure("\(files.subject): manifest.json: is no list")
    }
    let tags = { (image: JSONValue) in image["RepoTags"]?.elements?.compactMap(\.text) ?? [] }
    let candidates = reference.map { wanted in list.filter { tags($0).contains(wanted) } } ?? list
    guard let chosen = candidates.first, candidates.count == 1 else {
      let names = Diagnostic.printable(list.flatMap(tags).prefix(8).joined(separator: ", "))
      let reason =
        candidates.isEmpty
        ? "holds no image" + (reference.map { " called \($0)" } ?? "")
        : "holds \(candidates.count) images; choose with sandbox.rootfs.reference"
      throw BundleFailure("\(files.subject): \(reason) (\(names))")
    }
    guard let name = chosen["Config"]?.text, let layers = chosen["Layers"]?.elements?.map(\.text) else {
      throw BundleFailure("\(files.subject): manifest.json: an image without Config or Layers")
    }
    // The file is named for its digest: HEX.json, or blobs/sha256/HEX.
    let base = name.split(separator: "/").last.map(String.init) ?? ""
    let named = "sha256:" + (base.hasSuffix(".json") ? String(base.dropLast(5)) : base)
    let bytes = try files.document(name)
    guard Digest.hex(named) != nil, SHA256.digest(bytes) == named else {
      throw BundleFailure("\(files.subject): \(Diagnostic.printable(name)): its content has another digest")
    }
    let diffIDs = try ImageConfiguration.diffIDs(try files.json(name, bytes), layers: layers.count, files)
    return Image(
      manifest: "", configuration: named,
      layers: try zip(layers, diffIDs).map { file, diffID in
        guard let file else { throw BundleFailure("\(files.subject): manifest.json: a layer without name") }
        return ImageLayer(file: file, digest: "", size: nil, diffID: diffID)
      }, files: files)
  }
}

/// What an image's configuration says about its layers (image-spec, config.md).
enum ImageConfiguration {
  static func diffIDs(_ configuration: JSONValue, layers: Int, _ files: any ImageFiles) throws -> [String] {
    let os = configuration["os"]?.text ?? "linux"
    let architecture = configuration["architecture"]?.text ?? Platform.architecture
    guard os == "linux", architecture == Platform.architecture else {
      throw BundleFailure(
        "\(files.subject): the image is for \(Diagnostic.printable("\(os)/\(architecture)")), this machine is linux/\(Platform.architecture)"
      )
    }
    let list = configuration["rootfs"]?["diff_ids"]?.elements?.compactMap(\.text) ?? []
    guard layers > 0, layers <= BundleLimits.layers else {
      throw BundleFailure("\(files.subject): the image has \(layers) layers; 1 to \(BundleLimits.layers) can be")
    }
    guard list.count == layers, list.allSatisfy({ Digest.hex($0) != nil }) else {
      throw BundleFailure("\(files.subject): the image's configuration does not name a digest for each layer")
    }
    return list
  }
}
