import Glibc
import NemoKernel
import NemoOCI

/// One entry of the cache of compiled filters.
///
/// A file is named by a hash of everything the result depends on, holds that text too, and is used only when the text is
/// equal byte for byte, so that a collision costs time and nothing else. Rules that were read from config.json are in it as they are
/// written there: who finds them knows that they were read and compiled before, and need not read them. It may vanish, be cut or be damaged at any time:
/// what does not fit in every respect is compiled anew and replaced.
struct SeccompCache {
  /// Raised when the file's format, the reading of rules or the compilation changes.
  private static let formatVersion: UInt64 = 5
  private static let magic: UInt64 = 0x70_6d_6f_63_63_65_73_6e
  private static let headerSize = 64

  private let directory: Int32
  private let text: [UInt8]
  /// The file's name.
  let name: String

  init(directory: Int32, profile: SeccompProfile) {
    self.directory = directory
    text = SeccompCache.canonicalText(profile)
    let hash = text.withUnsafeBytes { SeccompCache.hash($0, seed: SeccompCache.formatVersion) }
    let digits = String(hash, radix: 16)
    name = String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// A single filter in a directory of its owner's, which says by its name what it is for.
  init(directory: Int32, name: String) {
    self.directory = directory
    self.name = name
    text = []
  }

  /// All that the program depends on, unambiguously: lengths stand before what they count.
  static func canonicalText(_ profile: SeccompProfile) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(16 * 1024)
    func number(_ value: UInt64) {
      withUnsafeBytes(of: value) { text.append(contentsOf: $0) }
    }
    func string(_ value: String) {
      var value = value
      value.withUTF8 { utf8 in
        text.append(UInt8(truncatingIfNeeded: utf8.count))
        text.append(UInt8(truncatingIfNeeded: utf8.count >> 8))
        text.append(UInt8(truncatingIfNeeded: utf8.count >> 16))
        text.append(contentsOf: utf8)
      }
    }
    func strings(_ values: [String]) {
      number(UInt64(values.count))
      for value in values { string(value) }
    }
    func errno(_ value: UInt32?) { number(value.map { UInt64($0) } ?? UInt64.max) }
    string(Seccomp.libraryVersion)
    string(profile.defaultAction)
    errno(profile.defaultErrnoRet)
    strings(profile.architectures)
    strings(profile.flags)
    // Whom the listener is sent to does not matter, whether there is one does.
    number((profile.listenerPath.isEmpty ? 0 : 1) | (profile.listenerMetadata.isEmpty ? 0 : 2))
    if !profile.rulesText.isEmpty {
      number(UInt64.max)
      number(UInt64(profile.rulesText.count))
      return text + profile.rulesText
    }
    number(UInt64(profile.syscalls.count))
    for rule in profile.syscalls {
      string(rule.action)
      errno(rule.errnoRet)
      strings(rule.names)
      number(UInt64(rule.args.count))
      for argument in rule.args {
        number(UInt64(argument.index))
        number(argument.value)
        number(argument.valueTwo)
        string(argument.op)
      }
    }
    return text
  }

  /// A quick 64-bit hash against accidents, eight bytes at a time (the mixing of wyhash's kind: a 128-bit product folded).
  static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
    var state = seed ^ 0x9e37_79b9_7f4a_7c15
    var i = 0
    func mix(_ word: UInt64) {
      let product = (state ^ word).multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
      state = product.high ^ product.low ^ (state << 7 | state >> 57)
    }
    while i + 8 <= bytes.count {
      mix(bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self))
      i += 8
    }
    var last = UInt64(bytes.count) << 56
    var shift: UInt64 = 0
    while i < bytes.count {
      last ^= UInt64(bytes[i]) << shift
      shift += 8
      i += 1
    }
    mix(last)
    mix(state)
    return state
  }

  /// The stored result, or nil when there is none that can be trusted wholly.
  func read() -> (program: SeccompProgram, warnings: [String])? {
    let number = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard number >= 0 else { return nil }
    let file = OwnedDescriptor(adopting: number)
    var status = stat()
    guard fstat(file.raw, &status) == 0, status.st_mode == S_IFREG | 0o600, status.st_uid == geteuid(),
      status.st_size >= SeccompCache.headerSize + text.count, status.st_size <= SeccompLimits.cacheFileSize
    else { return nil }
    let size = Int(status.st_size)
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = max(Glibc.read(file.raw, buffer.baseAddress, size), 0)
    }
    guard bytes.count == size else { return nil }
    return bytes.withUnsafeBytes { decode($0) }
  }

  private func decode(_ bytes: UnsafeRawBufferPointer) -> (program: SeccompProgram, warnings: [String])? {
    func word(_ i: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: i * 8, as: UInt64.self) }
    let headerSize = SeccompCache.headerSize
    guard word(0) == SeccompCache.magic, word(1) == SeccompCache.formatVersion,
      word(2) == SeccompCache.hash(UnsafeRawBufferPointer(rebasing: bytes[24...]), seed: 0),
      let flags = UInt32(exactly: word(3)), word(4) <= 1,
      let instructionCount = Int(exactly: word(5)), 1...SeccompLimits.instructions ~= instructionCount,
      let warningsSize = Int(exactly: word(6)), warningsSize <= bytes.count,
      word(7) == UInt64(text.count),
      bytes.count == headerSize + instructionCount * 8 + text.count + warningsSize
    else { return nil }
    let textStart = headerSize + instructionCount * 8
    let warningsStart = textStart + text.count
    let same = text.withUnsafeBytes { mine in
      guard let one = mine.baseAddress, let other = bytes.baseAddress else { return false }
      return memcmp(one, other + textStart, mine.count) == 0
    }
    guard same else { return nil }
    let instructions = [UInt64](unsafeUninitializedCapacity: instructionCount) { buffer, count in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: bytes[headerSize..<textStart]))
      count = instructionCount
    }
    let warnings = bytes[warningsStart...].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    return (SeccompProgram(instructions: instructions, flags: flags, notifies: word(4) == 1), warnings)
  }

  /// Stores a result by a temporary file and rename. It is not synced: what a crash of the machine cuts is seen as damage.
  func write(_ program: SeccompProgram, _ warnings: [String]) throws(Failure) {
    var rest: [UInt8] = []
    func number(_ value: UInt64) { withUnsafeBytes(of: value) { rest.append(contentsOf: $0) } }
    var warningBytes: [UInt8] = []
    for warning in warnings {
      warningBytes += Array(warning.utf8)
      warningBytes.append(0)
    }
    number(UInt64(program.flags))
    number(program.notifies ? 1 : 0)
    number(UInt64(program.instructions.count))
    number(UInt64(warningBytes.count))
    number(UInt64(text.count))
    program.instructions.withUnsafeBytes { rest.append(contentsOf: $0) }
    rest += text
    rest += warningBytes
    guard rest.count + 24 <= SeccompLimits.cacheFileSize else { return }
    let checksum = rest.withUnsafeBytes { SeccompCache.hash($0, seed: 0) }
    var bytes: [UInt8] = []
    for value in [SeccompCache.magic, SeccompCache.formatVersion, checksum] {
      withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }
    try Files.replace(name, in: directory, with: bytes + rest, mode: 0o600, durable: false)
  }

  /// Empties a full cache; left-overs of writers that died count too.
  func makeRoom() throws(Failure) {
    let names = try Files.list(".", at: directory)
    guard names.count >= SeccompLimits.cacheFiles else { return }
    for name in names where unlinkat(directory, name, 0) != 0 && Errno.current != .noEntry {
      throw .last("remove", name)
    }
  }
}
