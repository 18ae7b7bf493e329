import CKernel
import Glibc
import NemoKernel
import NemoOCI
import Testing

@testable import NemoSeccomp

/// A directory of its own for one test, removed with it.
private final class Scratch {
  let path: String
  let descriptor: Int32

  init() throws {
    var template = Array("/tmp/nemoshell-seccomp-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure.last("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    descriptor = try Files.open(path, O_RDONLY | O_DIRECTORY).take()
  }

  var names: [String] { (try? Files.list(".", at: descriptor)) ?? [] }

  deinit {
    for name in names { unlinkat(descriptor, name, 0) }
    close(descriptor)
    rmdir(path)
  }
}

private func small(_ name: String = "mkdir") -> SeccompProfile {
  var p = SeccompProfile(defaultAction: "SCMP_ACT_ALLOW")
  var rule = SeccompRule(action: "SCMP_ACT_ERRNO")
  rule.names = [name, "no_such_call"]
  p.syscalls = [rule]
  return p
}

@Suite struct CacheTests {
  @Test func whatIsStoredComesBackWithItsWarnings() throws {
    let scratch = try Scratch()
    let entry = SeccompCache(directory: scratch.descriptor, profile: small())
    #expect(entry.read() == nil)
    let first = try Seccomp.program(for: small(), cache: scratch.descriptor)
    #expect(scratch.names.count == 1)
    let found = try #require(entry.read())
    #expect(found.program == first.program && found.warnings == first.warnings)
    #expect(first.warnings.count == 1)
    // Another profile does not get it.
    #expect(SeccompCache(directory: scratch.descriptor, profile: small("rmdir")).read() == nil)
  }

  @Test func everyFieldOfTheProfileIsPartOfTheKey() {
    var profiles = [small(), small("rmdir"), dockerProfile]
    func add(_ change: (inout SeccompProfile) -> Void) {
      var p = small()
      change(&p)
      profiles.append(p)
    }
    add { $0.defaultAction = "SCMP_ACT_LOG" }
    add { $0.defaultErrnoRet = 0 }
    add { $0.architectures = ["SCMP_ARCH_X86"] }
    add { $0.flags = ["SECCOMP_FILTER_FLAG_LOG"] }
    add { $0.listenerPath = "/a" }
    add { $0.listenerMetadata = "a" }
    add { $0.syscalls[0].errnoRet = 3 }
    add { $0.syscalls[0].action = "SCMP_ACT_KILL" }
    add { $0.syscalls[0].names = ["mkdirno_such_call"] }
    add { $0.syscalls[0].args = [SeccompArgument(index: 0, value: 0, op: "SCMP_CMP_EQ")] }
    add { $0.syscalls[0].args = [SeccompArgument(index: 1, value: 0, op: "SCMP_CMP_EQ")] }
    add { $0.syscalls[0].args = [SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ")] }
    add { $0.syscalls[0].args = [SeccompArgument(index: 0, value: 0, op: "SCMP_CMP_NE")] }
    add { $0.syscalls.append($0.syscalls[0]) }
    let texts = profiles.map { SeccompCache.canonicalText($0) }
    #expect(Set(texts).count == texts.count)
  }

  @Test func everyDamageIsSeenAndRepaired() throws {
    let scratch = try Scratch()
    let good = try Seccomp.program(for: small(), cache: scratch.descriptor)
    let name = try #require(scratch.names.first)
    let entry = SeccompCache(directory: scratch.descriptor, profile: small())
    let bytes = try Files.read(name, limit: 1 << 20, at: scratch.descriptor)
    func write(_ bytes: [UInt8]) throws {
      try Files.replace(name, in: scratch.descriptor, with: bytes, durable: false)
    }
    for i in bytes.indices {
      var damaged = bytes
      damaged[i] ^= 0x10
      try write(damaged)
      #expect(entry.read() == nil, "byte \(i)")
    }
    for length in [0, 1, 8, 63, 64, bytes.count / 2, bytes.count - 1] {
      try write(Array(bytes[..<length]))
      #expect(entry.read() == nil, "cut to \(length)")
    }
    try write(bytes + [0])
    #expect(entry.read() == nil)
    let repaired = try Seccomp.program(for: small(), cache: scratch.descriptor)
    #expect(repaired.program == good.program && repaired.warnings == good.warnings)
    #expect(entry.read()?.program == good.program)
  }

  /// Equal hashes, or a file moved to another name: the text decides.
  @Test func anotherProfilesFileUnderThisNameIsNotUsed() throws {
    let scratch = try Scratch()
    _ = try Seccomp.program(for: small(), cache: scratch.descriptor)
    let mine = try #require(scratch.names.first)
    _ = try Seccomp.program(for: small("rmdir"), cache: scratch.descriptor)
    let other = try #require(scratch.names.first { $0 != mine })
    #expect(renameat(scratch.descriptor, other, scratch.descriptor, mine) == 0)
    #expect(SeccompCache(directory: scratch.descriptor, profile: small()).read() == nil)
  }

  @Test func onlyAPrivateRegularFileOfTheCallerIsUsed() throws {
    let scratch = try Scratch()
    _ = try Seccomp.program(for: small(), cache: scratch.descriptor)
    let name = try #require(scratch.names.first)
    let entry = SeccompCache(directory: scratch.descriptor, profile: small())
    for mode in [0o644, 0o660, 0o602, 0o4600] as [mode_t] {
      #expect(fchmodat(scratch.descriptor, name, mode, 0) == 0)
      #expect(entry.read() == nil, "mode \(String(mode, radix: 8))")
    }
    #expect(fchmodat(scratch.descriptor, name, 0o600, 0) == 0)
    #expect(entry.read() != nil)
    if geteuid() == 0 {
      #expect(fchownat(scratch.descriptor, name, 1000, 0, 0) == 0)
      #expect(entry.read() == nil)
      #expect(fchownat(scratch.descriptor, name, 0, 0, 0) == 0)
    }
    #expect(renameat(scratch.descriptor, name, scratch.descriptor, "elsewhere") == 0)
    #expect(symlinkat("elsewhere", scratch.descriptor, name) == 0)
    #expect(entry.read() == nil)
    #expect(unlinkat(scratch.descriptor, name, 0) == 0)
    #expect(mkfifoat(scratch.descriptor, name, 0o600) == 0)
    #expect(entry.read() == nil)
  }

  @Test func aCacheThatCannotBeWrittenIsAWarning() throws {
    let gone = try Scratch()
    #expect(rmdir(gone.path) == 0)
    let (program, warnings) = try Seccomp.program(for: small(), cache: gone.descriptor)
    #expect(!program.instructions.isEmpty)
    #expect(warnings.contains { $0.hasPrefix("seccomp cache: ") })
  }

  @Test func theNumberOfFilesIsBounded() throws {
    let scratch = try Scratch()
    for i in 0..<SeccompLimits.cacheFiles * 2 {
      var p = small()
      p.syscalls[0].errnoRet = UInt32(i)
      _ = try Seccomp.program(for: p, cache: scratch.descriptor)
      #expect(scratch.names.count <= SeccompLimits.cacheFiles)
    }
  }

  /// Many at once on one directory, some deleting: each gets the right program.
  @Test func concurrentUseIsHarmless() async throws {
    let scratch = try Scratch()
    let expected = try Seccomp.compile(small())
    let directory = scratch.descriptor
    let name = SeccompCache(directory: directory, profile: small()).name
    await withTaskGroup(of: Bool.self) { group in
      for worker in 0..<4 {
        group.addTask {
          var right = true
          for _ in 0..<200 {
            if worker == 0 { unlinkat(directory, name, 0) }
            do throws(Failure) {
              let got = try Seccomp.program(for: small(), cache: directory)
              // Writers of one process share a temporary name; whoever loses it says so and has its program anyway.
              right = right && got.program == expected.program
            } catch { right = false }
          }
          return right
        }
      }
      for await right in group { #expect(right) }
    }
    withExtendedLifetime(scratch) {}
  }
}
