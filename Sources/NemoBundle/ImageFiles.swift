import CWide
import Glibc
import NemoBlueprint

/// The files of an image: in a directory, or in an uncompressed tar archive.
protocol ImageFiles: AnyObject {
  /// How messages call it.
  var subject: String { get }

  /// The file `name`, and its size; nil where there is none.
  func open(_ name: String) throws -> (source: FileRange, size: Int)?
}

extension ImageFiles {
  /// A small file that must be there.
  func document(_ name: String) throws -> [UInt8] {
    guard let file = try open(name) else { throw BundleFailure("\(subject): has no \(name)") }
    return try file.source.all(limit: BundleLimits.document, "\(subject): \(name)")
  }

  /// JSON of a small file, or of bytes that were read already.
  func json(_ name: String, _ bytes: [UInt8]? = nil) throws -> JSONValue {
    let content = try bytes ?? document(name)
    do { return try JSONReader.parse(content) } catch { throw BundleFailure("\(subject): \(name): \(error)") }
  }
}

/// The image's files in a directory; links lead nowhere else.
final class ImageDirectory: ImageFiles {
  let subject: String
  private let root: Handle

  init(_ path: String) throws {
    subject = path
    root = try Handle(path, O_RDONLY | O_DIRECTORY)
  }

  func open(_ name: String) throws -> (source: FileRange, size: Int)? {
    let fd = wide_openat2(root.raw, name, O_RDONLY | O_NONBLOCK, 0x10 | 0x02)
    if fd < 0 && errno == ENOENT { return nil }
    guard fd >= 0 else { throw BundleFailure.last("open", "\(subject)/\(name)") }
    let file = Handle(adopting: fd)
    let status = try file.status("\(subject)/\(name)")
    guard status.st_mode & S_IFMT == S_IFREG else { throw BundleFailure("\(subject)/\(name): is no file") }
    let size = Int(status.st_size)
    return (FileRange(file, from: 0, count: size, subject: "\(subject)/\(name)"), size)
  }
}

/// The image's files in a tar archive, which is looked through once.
final class ImageArchive: ImageFiles {
  private enum Place {
    case content(offset: Int, size: Int)
    case link(String)
  }

  let subject: String
  private let path: String
  private let identity: (device: UInt, inode: UInt)
  private var places: [String: Place] = [:]

  init(_ path: String) throws {
    subject = path
    self.path = path
    let file = try Handle(path, O_RDONLY | O_NONBLOCK)
    let status = try file.status(path)
    guard status.st_mode & S_IFMT == S_IFREG else { throw BundleFailure("\(path): is neither a file nor a directory") }
    identity = (status.st_dev, status.st_ino)
    var magic = [UInt8](repeating: 0, count: 4)
    _ = pread(file.raw, &magic, 4, 0)
    if let name = Compression.name(magic) {
      throw BundleFailure("\(path): is compressed with \(name); unpack it first")
    }
    try index(FileRange(file, from: 0, count: Int(status.st_size), subject: path))
  }

  private func index(_ source: FileRange) throws {
    let reader = TarReader(source, path)
    while let entry = try reader.next() {
      guard places.count < BundleLimits.entries else {
        throw BundleFailure("\(path): more than \(BundleLimits.entries) entries")
      }
      let parts = entry.name.split(separator: PathBytes.slash).filter { !$0.elementsEqual([0x2e]) }
      let name = PathBytes.text(Array(parts.joined(separator: [PathBytes.slash])))
      switch entry.kind {
      case .file: places[name] = .content(offset: reader.offset, size: entry.size)
      case .symbolicLink, .hardLink:
        // `docker save` writes a layer that is there twice as a link to the first.
        let base = entry.kind == .symbolicLink ? parts.dropLast().map(PathBytes.text) : []
        places[name] = .link(Self.clean(base + [PathBytes.text(entry.target)]))
      default: break
      }
    }
  }

  private static func clean(_ parts: [String]) -> String {
    var done: [Substring] = []
    for part in parts.joined(separator: "/").split(separator: "/") where part != "." {
      if part == ".." { _ = done.popLast() } else { done.append(part) }
    }
    return done.joined(separator: "/")
  }

  func open(_ name: String) throws -> (source: FileRange, size: Int)? {
    var wanted = name
    for _ in 0..<8 {
      switch places[wanted] {
      case nil: return nil
      case .link(let target): wanted = target
      case .content(let offset, let size):
        let file = try Handle(path, O_RDONLY | O_NONBLOCK)
        let status = try file.status(path)
        guard status.st_dev == identity.device, status.st_ino == identity.inode else {
          throw BundleFailure("\(path): was replaced while it was read")
        }
        return (FileRange(file, from: offset, count: size, subject: "\(path): \(name)"), size)
      }
    }
    throw BundleFailure("\(path): \(name) is a link that does not end")
  }
}

/// What the first bytes of a file say.
enum Compression {
  static func name(_ magic: [UInt8]) -> String? {
    if magic.starts(with: [0x1f, 0x8b]) { return "gzip" }
    if magic.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return "zstd" }
    if magic.starts(with: [0xfd, 0x37, 0x7a, 0x58]) { return "xz" }
    return magic.starts(with: Array("BZh".utf8)) ? "bzip2" : nil
  }
}
