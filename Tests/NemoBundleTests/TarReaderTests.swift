import Testing

@testable import NemoBundle

private final class Bytes: ByteSource {
  var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    // In small pieces, as a stream may come.
    let count = min(buffer.count, rest.count, 100)
    buffer.copyBytes(from: rest.prefix(count))
    rest = rest.dropFirst(count)
    return count
  }
}

/// One header, its checksum right.
private func header(_ name: String, type: Character = "0", size: String = "00000000000", magic: String = "ustar\u{0}00")
  -> [UInt8]
{
  var block = [UInt8](repeating: 0, count: 512)
  let put = { (text: String, at: Int, block: inout [UInt8]) in
    for (index, byte) in text.utf8.enumerated() { block[at + index] = byte }
  }
  put(name, 0, &block)
  for (at, text) in [
    (100, "0000644"), (108, "0000001"), (116, "0000002"), (124, size), (136, "00000000012"), (257, magic),
  ] {
    put(text, at, &block)
  }
  block[156] = type.asciiValue ?? 0
  for index in 148..<156 { block[index] = 0x20 }
  let sum = block.reduce(0) { $0 + Int($1) }
  let digits = String(sum, radix: 8)
  put(String(repeating: "0", count: 6 - digits.count) + digits, 148, &block)
  block[154] = 0
  return block
}

private func padded(_ text: String) -> [UInt8] {
  Array(text.utf8) + [UInt8](repeating: 0, count: (512 - text.utf8.count % 512) % 512)
}

@Test func entriesAndTheirContent() throws {
  let archive =
    header("a", size: "00000000005") + padded("hello") + header("d/", type: "5") + [UInt8](repeating: 0, count: 1024)
  let reader = TarReader(Bytes(archive), "t")
  let first = try #require(try reader.next())
  #expect(first.name == Array("a".utf8) && first.size == 5 && first.uid == 1 && first.gid == 2 && first.modified == 10)
  var content = [UInt8](repeating: 0, count: 16)
  #expect(try content.withUnsafeMutableBytes { try reader.read(into: $0) } == 5)
  #expect(content.prefix(5).elementsEqual("hello".utf8))
  #expect(try reader.next()?.kind == .directory)
  #expect(try reader.next() == nil)
}

@Test func extendedHeadersComeFirst() throws {
  let record = "21 path=long/name/is\n"
  let archive = header("x", type: "x", size: "00000000025") + padded(record) + header("short")
  #expect(try TarReader(Bytes(archive), "t").next()?.name == Array("long/name/is".utf8))
  let gnu =
    header("././@LongLink", type: "L", size: "00000000005", magic: "ustar  \u{0}") + padded("long\u{0}")
    + header("short", magic: "ustar  \u{0}")
  #expect(try TarReader(Bytes(gnu), "t").next()?.name == Array("long".utf8))
}

private let damaged: [[UInt8]] = {
  let good = header("a")
  let negative = header("x", type: "x", size: "00000000016") + padded("14 size=-5\nxxx")
  let short = header("x", type: "x", size: "00000000005") + padded("9 a=b")
  return [
    Array(good.dropLast()), [UInt8(ascii: "b")] + good.dropFirst(), header("a", type: "V"), header("a", size: "zzz"),
    header(""),
    short, negative,
  ]
}()

@Test(arguments: damaged)
func whatIsNoArchiveIsRefused(_ bytes: [UInt8]) {
  #expect(throws: BundleFailure.self) {
    let reader = TarReader(Bytes(bytes), "t")
    while try reader.next() != nil {}
  }
}
