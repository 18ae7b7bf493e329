import CWide
import Glibc
import NemoBlueprint

/// A stream of bytes.
protocol ByteSource: AnyObject {
  /// Reads at most `buffer.count` bytes; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

extension ByteSource {
  /// Fills `buffer`; false at the end, an error in the middle.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, _ subject: String) throws -> Bool {
    var done = 0
    while done < buffer.count {
      let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
      if count == 0 {
        if done == 0 { return false }
        throw BundleFailure("\(subject): ends in the middle of an entry")
      }
      done += count
    }
    return true
  }

  /// Reads to the end, at most `limit` bytes.
  func drain(limit: Int, _ subject: String) throws {
    var left = limit
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = try chunk.withUnsafeMutableBytes { try read(into: $0) }
      if count == 0 { return }
      left -= count
      guard left >= 0 else { throw BundleFailure("\(subject): more than \(limit) bytes follow its end") }
    }
  }

  /// All that is left, at most `limit` bytes.
  func all(limit: Int, _ subject: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = try chunk.withUnsafeMutableBytes { try read(into: $0) }
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
      guard bytes.count <= limit else { throw BundleFailure("\(subject): larger than \(limit) bytes") }
    }
  }
}

/// A part of an open file.
final class FileRange: ByteSource {
  private let file: Handle
  private let subject: String
  private var offset: Int
  private var left: Int

  /// Bytes from `offset` on.
  init(_ file: consuming Handle, from offset: Int, count: Int, subject: String) {
    self.file = file
    self.subject = subject
    self.offset = offset
    left = count
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let wanted = min(buffer.count, left)
    guard wanted > 0 else { return 0 }
    while true {
      let count = pread(file.raw, buffer.baseAddress, wanted, off_t(offset))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw BundleFailure.last("read", subject) }
      guard count > 0 else { throw BundleFailure("\(subject): \(left) bytes are missing at its end") }
      offset += count
      left -= count
      return count
    }
  }
}

/// Passes bytes on, counts them and computes their digest.
final class DigestingSource: ByteSource {
  private let inner: any ByteSource
  private var hash = SHA256()
  private(set) var count = 0

  init(_ inner: any ByteSource) { self.inner = inner }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let got = try inner.read(into: buffer)
    hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
    count += got
    return got
  }

  /// `sha256:` and the digest of what was read so far.
  var digest: String { hash.digest }
}

/// The content of a gzip stream (RFC 1952), of all its members.
final class GzipSource: ByteSource {
  private let inner: any ByteSource
  private let subject: String
  private let stream: UnsafeMutablePointer<z_stream>
  private var input = [UInt8](repeating: 0, count: 1 << 16)
  private var range = 0..<0
  private var isBetweenMembers = false

  init(_ inner: any ByteSource, _ subject: String) throws {
    self.inner = inner
    self.subject = subject
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    guard wide_inflate_gzip(stream) == Z_OK else { throw BundleFailure("\(subject): no memory to unpack gzip") }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard !buffer.isEmpty else { return 0 }
    while true {
      if range.isEmpty {
        range = 0..<(try input.withUnsafeMutableBytes { try inner.read(into: $0) })
        if range.isEmpty {
          if isBetweenMembers { return 0 }
          throw BundleFailure("\(subject): the gzip stream is truncated")
        }
      }
      if isBetweenMembers {
        guard inflateReset(stream) == Z_OK else { throw BundleFailure("\(subject): gzip cannot be continued") }
        isBetweenMembers = false
      }
      let room = min(buffer.count, 1 << 30)
      let result = input.withUnsafeMutableBytes { bytes -> Int32 in
        stream.pointee.next_in = bytes.baseAddress.map { ($0 + range.lowerBound).assumingMemoryBound(to: UInt8.self) }
        stream.pointee.avail_in = UInt32(range.count)
        stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(room)
        return inflate(stream, Z_NO_FLUSH)
      }
      range = (range.upperBound - Int(stream.pointee.avail_in))..<range.upperBound
      guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else {
        throw BundleFailure("\(subject): is no valid gzip stream")
      }
      isBetweenMembers = result == Z_STREAM_END
      let made = room - Int(stream.pointee.avail_out)
      if made > 0 { return made }
    }
  }
}
