import NemoJSON
import NemoKernel
import NemoOCI
import NemoSeccomp

/// config.json as `create` reads it.
///
/// Most of an engine's config.json are the rules of the system call filter, the same for every container. Where the filter compiled
/// from this very text is in the cache, the rules need not be read again.
struct ConfigurationDocument {
  typealias Filter = (program: SeccompProgram, warnings: [String])

  let configuration: Configuration
  /// The part that `exec` needs.
  let forExec: [UInt8]
  /// The compiled filter, when it was at hand; `configuration` then has none of its rules.
  let filter: Filter?

  private static let rulesPath: [StaticString] = ["linux", "seccomp", "syscalls"]

  /// Reads and validates; makes nothing.
  ///
  /// - Parameters:
  ///   - bytes: the JSON text.
  ///   - subject: its path, for errors.
  ///   - root: the runtime's root directory, where the cache is.
  init(_ bytes: [UInt8], subject: String, root: String) throws(Failure) {
    let range = JSONText.value(at: ConfigurationDocument.rulesPath, in: bytes)
    if let range, let short = ConfigurationDocument(bytes, without: range, subject: subject, root: root) {
      self = short
      return
    }
    var (configuration, forExec) = try Configuration.parse(bytes, subject: subject)
    if let range { configuration.linux.seccomp?.rulesText = Array(bytes[range]) }
    self.configuration = configuration
    self.forExec = forExec
    filter = nil
  }

  /// Reads the text without the rules; nil when anything is wrong with it, so that the whole of it is read and the error has its
  /// right place, or when the filter is not at hand.
  private init?(_ bytes: [UInt8], without rules: Range<Int>, subject: String, root: String) {
    let rest = bytes[..<rules.lowerBound] + Array("[]".utf8) + bytes[rules.upperBound...]
    guard let (parsed, forExec) = try? Configuration.parse(Array(rest), subject: subject),
      var profile = parsed.linux.seccomp, let store = try? StateStore(path: root, create: false)
    else { return nil }
    profile.rulesText = Array(bytes[rules])
    guard let filter = store.knownFilter(for: profile) else { return nil }
    var configuration = parsed
    configuration.linux.seccomp = profile
    self.configuration = configuration
    self.forExec = forExec
    self.filter = filter
  }
}
