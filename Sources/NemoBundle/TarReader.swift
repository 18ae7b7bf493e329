/// One entry of an archive.
struct TarEntry {
  enum Kind {
    case file, hardLink, symbolicLink, directory, fifo, device
  }

  var kind: Kind
  /// As written, bytes.
  var name: [UInt8]
  /// Where a link leads.
  var target: [UInt8] = []
  /// Permissions with setuid, setgid and sticky.
  var mode: UInt32
  var uid: UInt32
  var gid: UInt32
  /// Bytes of content that follow.
  var size: Int
  /// Seconds since 1970.
  var modified: Int
  /// Extended attributes by name.
  var attributes: [(name: [UInt8], value: [UInt8])] = []
}

/// Reads tar archives: ustar (POSIX.1-1988), pax (POSIX.1-2001) and the GNU extensions for long names and large numbers.
final class TarReader {
  private let source: any ByteSource
  private let subject: String
  /// Bytes of the current entry that were not read yet, and the zeros after them.
  private var left = 0
  private var padding = 0
  private var header = [UInt8](repeating: 0, count: 512)
  private var globals: [String: [UInt8]] = [:]
  /// Bytes read so far, for an index.
  private(set) var offset = 0

  init(_ source: any ByteSource, _ subject: String) {
    self.source = source
    self.subject = subject
  }

  /// The next entry, whose content is then read with ``read(into:)``; nil at the end.
  func next() throws -> TarEntry? {
    try skip(left + padding)
    left = 0
    padding = 0
    var local: [String: [UInt8]] = [:]
    var longName: [UInt8]?
    var longTarget: [UInt8]?
    while true {
      guard try readHeader() else { return nil }
      let size = try number(124, 12, "size")
      switch header[156] {
      case UInt8(ascii: "x"): local = try records(size)
      case UInt8(ascii: "g"): globals.merge(try records(size)) { _, new in new }
      case UInt8(ascii: "L"): longName = try extended(size).filter { $0 != 0 }
      case UInt8(ascii: "K"): longTarget = try extended(size).filter { $0 != 0 }
      default:
        var entry = try entry(size, local.merging(globals) { own, _ in own })
        if let longName, local["path"] == nil { entry.name = longName }
        if let longTarget, local["linkpath"] == nil { entry.target = longTarget }
        guard !entry.name.isEmpty, entry.name.count <= BundleLimits.name, !entry.name.contains(0),
          entry.target.count <= BundleLimits.name, !entry.target.contains(0)
        else { throw BundleFailure("\(subject): an entry's name is empty, too long or holds a NUL") }
        left = entry.size
        padding = (512 - entry.size % 512) % 512
        return entry
      }
    }
  }

  /// Content of the current entry; 0 at its end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let wanted = min(buffer.count, left)
    guard wanted > 0 else { return 0 }
    let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
    guard count > 0 else { throw BundleFailure("\(subject): ends in the middle of a file") }
    left -= count
    offset += count
    return count
  }

  private func skip(_ count: Int) throws {
    var remaining = count
    var chunk = [UInt8](repeating: 0, count: min(max(count, 1), 1 << 16))
    while remaining > 0 {
      let wanted = min(remaining, chunk.count)
      let got = try chunk.withUnsafeMutableBytes {
        try source.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<wanted]))
      }
      guard got > 0 else { throw BundleFailure("\(subject): ends in the middle of an entry") }
      remaining -= got
      offset += got
    }
  }

  /// The next block; false at the end, which two blocks of zeros mark or the end of the stream.
  private func readHeader() throws -> Bool {
    guard try header.withUnsafeMutableBytes({ try source.fill($0, subject) }) else { return false }
    offset += 512
    if header.allSatisfy({ $0 == 0 }) { return false }
    let stored = try number(148, 8, "checksum")
    let sum = header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
    guard sum == stored else { throw BundleFailure("\(subject): is no tar archive: a header's checksum is wrong") }
    return true
  }

  private func text(_ start: Int, _ length: Int) -> [UInt8] { Array(header[start..<start + length].prefix { $0 != 0 }) }

  /// An octal number, or one in base 256 (GNU).
  private func number(_ start: Int, _ length: Int, _ field: String) throws -> Int {
    let bytes = header[start..<start + length]
    if bytes[start] & 0x80 != 0 {
      var value = Int(bytes[start] & 0x7f)
      for byte in bytes.dropFirst() {
        guard value < 1 << 54 else { throw BundleFailure("\(subject): an entry's \(field) is out of range") }
        value = value << 8 | Int(byte)
      }
      return value
    }
    let digits = bytes.drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
    guard digits.allSatisfy({ (0x30...0x37).contains($0) }) else {
      throw BundleFailure("\(subject): an entry's \(field) is no number")
    }
    return digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
  }

  private func extended(_ size: Int) throws -> [UInt8] {
    guard size <= BundleLimits.extendedHeader else {
      throw BundleFailure("\(subject): an extended header is larger than \(BundleLimits.extendedHeader) bytes")
    }
    var bytes = [UInt8](repeating: 0, count: size)
    guard try size == 0 || bytes.withUnsafeMutableBytes({ try source.fill($0, subject) }) else {
      throw BundleFailure("\(subject): ends in an extended header")
    }
    offset += size
    try skip((512 - size % 512) % 512)
    return bytes
  }

  /// `LENGTH KEY=VALUE\n`, again and again.
  private func records(_ size: Int) throws -> [String: [UInt8]] {
    var rest = try extended(size)[...]
    var records: [String: [UInt8]] = [:]
    let wrong = BundleFailure("\(subject): an extended header is damaged")
    while !rest.isEmpty {
      guard let space = rest.firstIndex(of: 0x20),
        let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 2,
        length <= rest.count
      else { throw wrong }
      let end = rest.startIndex + length
      guard rest[end - 1] == 0x0a, let equals = rest[(space + 1)..<end].firstIndex(of: UInt8(ascii: "=")) else {
        throw wrong
      }
      records[String(decoding: rest[(space + 1)..<equals], as: UTF8.self)] = Array(rest[(equals + 1)..<(end - 1)])
      rest = rest[end...]
    }
    return records
  }

  private func entry(_ size: Int, _ pax: [String: [UInt8]]) throws -> TarEntry {
    if let sparse = pax.keys.first(where: { $0.hasPrefix("GNU.sparse") }) {
      throw BundleFailure("\(subject): sparse files (\(sparse)) are not supported; make the layer without them")
    }
    let isPOSIX = Array(header[257..<263]) == Array("ustar\0".utf8)
    var name = text(0, 100)
    let prefix = isPOSIX ? text(345, 155) : []
    if !prefix.isEmpty { name = prefix + [PathBytes.slash] + name }
    let decimal = { (key: String) throws -> Int? in
      guard let bytes = pax[key] else { return nil }
      let whole = bytes.prefix { $0 != UInt8(ascii: ".") }
      guard let value = Int(String(decoding: whole, as: UTF8.self)) else {
        throw BundleFailure("\(self.subject): an entry's \(key) is no number")
      }
      return value
    }
    let id = { (key: String, start: Int) throws -> UInt32 in
      let given = try decimal(key)
      let value = try given ?? self.number(start, 8, key)
      guard let id = UInt32(exactly: value), id < UInt32.max else {
        throw BundleFailure("\(self.subject): an entry's \(key) is out of range")
      }
      return id
    }
    let kind = try kind()
    let bytes = try decimal("size") ?? size
    guard bytes >= 0, bytes <= BundleLimits.unpacked else {
      throw BundleFailure("\(subject): a file of \(bytes) bytes; the limit is \(BundleLimits.unpacked)")
    }
    var entry = TarEntry(
      kind: kind, name: pax["path"] ?? name, target: pax["linkpath"] ?? text(157, 100),
      mode: UInt32(try number(100, 8, "mode") & 0o7777), uid: try id("uid", 108), gid: try id("gid", 116),
      size: kind == .file ? bytes : 0, modified: try decimal("mtime") ?? number(136, 12, "mtime"))
    let attribute = "SCHILY.xattr."
    for (key, value) in pax where key.hasPrefix(attribute) {
      entry.attributes.append((Array(key.utf8.dropFirst(attribute.utf8.count)), value))
    }
    return entry
  }

  private func kind() throws -> TarEntry.Kind {
    switch header[156] {
    case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
      // Before POSIX a directory was a file whose name ends with a slash.
      return header[156] == 0 && text(0, 100).last == PathBytes.slash ? .directory : .file
    case UInt8(ascii: "1"): return .hardLink
    case UInt8(ascii: "2"): return .symbolicLink
    case UInt8(ascii: "3"), UInt8(ascii: "4"): return .device
    case UInt8(ascii: "5"): return .directory
    case UInt8(ascii: "6"): return .fifo
    default:
      let type = String(UnicodeScalar(header[156])).debugDescription
      throw BundleFailure("\(subject): an entry of type \(type) is not supported")
    }
  }
}
