import NemoPolicy

extension Format {
  static let freeText = Format("text", "a text", pattern: "^[\\s\\S]*$", limit: 1 << 16)
  static let word = Format("word", "a text that is not empty", pattern: "^[\\s\\S]+$") { $0.isEmpty ? "is empty" : nil }
  static let shortWord = Format(
    "word", "letters, digits, _, - and .", pattern: "^[A-Za-z0-9_.-]{1,128}$", limit: 128
  ) { matches($0, "_-.", 1...128) }
  static let label = Format(
    "name", "a name of lower-case letters, digits and -, at most 63", pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    limit: 63
  ) { text in
    let legal = text.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
    return legal && !text.isEmpty && !text.hasPrefix("-") && !text.hasSuffix("-") ? nil : "is no name"
  }
  static let ruleName = Format(
    "rule name", "letters, digits, _, - and .", pattern: "^[A-Za-z0-9_.-]{1,63}$", limit: 63
  ) { matches($0, "_-.", 1...63) }
  static let labelKey = Format(
    "label", "letters, digits, _, -, . and /", pattern: "^[A-Za-z0-9_./-]{1,128}$", limit: 128
  ) {
    matches($0, "_-./", 1...128)
  }
  static let version = Format(
    "version", "a semantic version such as 1.0.0",
    pattern: "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$", limit: 64
  ) { SemanticVersion($0) == nil ? "is no semantic version" : nil }
  static let path = Format("path", "an absolute path without . and ..", pattern: "^/[^\\u0000]*$") {
    PolicyPath.problem($0)
  }
  static let hostPath = Format(
    "host path", "a path on the host, from the blueprint's directory if it is relative", pattern: "^[^\\u0000]+$"
  ) { $0.isEmpty ? "is empty" : nil }
  static let devicePath = Format("device", "a path below /dev", pattern: "^/dev/[^\\u0000]+$") { text in
    PolicyPath.problem(text) ?? (text.hasPrefix("/dev/") ? nil : "is not below /dev")
  }
  static let pathPattern = Format(
    "program", "an absolute path or pattern (*, **)", pattern: "^/[^\\u0000]*$"
  ) { PolicyPath.problem($0) }
  static let requestPath = Format(
    "request path", "a path or pattern that begins with /", pattern: "^(/[^\\u0000-\\u0020]*|\\*\\*)$"
  ) { text in
    guard text.hasPrefix("/") || text == "**" else { return "does not begin with /" }
    if text.utf8.contains(where: { $0 <= 0x20 }) { return "holds a space" }
    if text.contains("%") { return "holds an escape; rules are matched on decoded paths, so write the character" }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    if parts.contains(".") || parts.contains("..") || text.contains("//") {
      return "is not canonical and could never match"
    }
    return text.contains("?") ? "holds a query; use the field query" : nil
  }
  static let pattern = Format("pattern", "a text or pattern (*)", pattern: "^[\\s\\S]+$", limit: 1024) {
    $0.isEmpty ? "is empty" : nil
  }
  static let host = Format(
    "host", "a host name or a pattern such as *.example.com", pattern: "^[A-Za-z0-9_*.-]{1,254}$", limit: 254,
    Host.patternProblem)
  static let hostname = Format("host name", "a host name", pattern: "^[A-Za-z0-9_.-]{1,63}$", limit: 63, Host.problem)
  static let network = Format(
    "address", "an address or a CIDR range", pattern: "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$", limit: 64, takesNumbers: false
  ) { text in
    do throws(IPNetwork.ParseError) { _ = try IPNetwork(text) } catch {
      switch error {
      case .malformed: return "is neither an address nor a CIDR range"
      case .hostBits(let meant): return "has bits set after its prefix; did you mean \(meant)?"
      }
    }
    return nil
  }
  static let address = Format("address", "an address", pattern: "^[0-9A-Fa-f:.]+$", limit: 64) {
    IPAddress($0) == nil ? "is no address" : nil
  }
  static let size = Format(
    "size", "a size such as 512MiB (B, KiB, MiB, GiB, TiB)", pattern: "^[1-9][0-9]*(B|KiB|MiB|GiB|TiB)$", limit: 24
  ) {
    Quantity.bytes($0) == nil ? "is no size" : nil
  }
  static let duration = Format(
    "duration", "a duration such as 30s (ms, s, m, h, d)", pattern: "^[1-9][0-9]*(ms|s|m|h|d)$", limit: 24
  ) {
    Quantity.milliseconds($0) == nil ? "is no duration" : nil
  }
  static let environmentName = Format(
    "variable", "a name of letters, digits and _", pattern: "^[A-Za-z_][A-Za-z0-9_]*$", limit: 256
  ) { text in
    let digit = text.utf8.first.map { (0x30...0x39).contains($0) } ?? true
    return digit ? "is no variable name" : matches(text, "_", 1...256)
  }
  static let systemCall = Format("system call", "the name of a system call", pattern: "^[a-z_][a-z0-9_]*$", limit: 64) {
    text in
    guard !SystemCallNames.all.contains(text) else { return nil }
    let near = Suggestion.nearest(text, SystemCallNames.sorted).map { "; did you mean \($0)?" } ?? ""
    return "is no system call of Linux that nemoshell knows\(near)"
  }
  static let errno = Format("errno", "EPERM, EACCES, ENOSYS, …", pattern: "^E[A-Z0-9]+$", limit: 32) {
    SeccompDocument.errnos[$0] != nil
      ? nil : "is none of EPERM, EACCES, ENOSYS, ENOENT, EINVAL, ENOTSUP, EAFNOSUPPORT, EPROTONOSUPPORT"
  }
  static let capability = Format(
    "capability", "a name such as CAP_NET_BIND_SERVICE", pattern: "^CAP_[A-Z_]+$", limit: 32
  ) { text in
    guard !Capabilities.all.contains(text) else { return nil }
    let near = Suggestion.nearest(text.hasPrefix("CAP_") ? text : "CAP_" + text, Capabilities.all)
    return "is no capability" + (near.map { "; did you mean \($0)?" } ?? "")
  }
  static let userName = Format(
    "user", "a number from 0 to 4294967294, or a user name of the image",
    pattern: "^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})$",
    limit: 32, takesNumbers: true
  ) { text in
    if let first = text.utf8.first, (0x30...0x39).contains(first) {
      guard Scalar.isInteger(text), let id = UInt32(text), id != .max else {
        return "is not a number from 0 to 4294967294"
      }
      return nil
    }
    let legal = text.utf8.allSatisfy {
      (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f || $0 == 0x2d
    }
    return legal && !text.isEmpty && !text.hasPrefix("-") ? nil : "is no user name"
  }
  static let digest = Format("digest", "sha256: and 64 hexadecimal digits", pattern: "^sha256:[0-9a-f]{64}$", limit: 71)
  { text in
    let hex = text.dropFirst(7)
    let legal = text.hasPrefix("sha256:") && hex.utf8.count == 64 && hex.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    return legal ? nil : "is no digest"
  }
  static let cdiName = Format(
    "CDI name", "VENDOR/CLASS=NAME", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9_-]+=[A-Za-z0-9._:-]+$", limit: 255
  ) { text in
    let sides = text.split(separator: "=", omittingEmptySubsequences: false)
    let kind = sides[0].split(separator: "/", omittingEmptySubsequences: false)
    guard sides.count == 2, kind.count == 2, !sides[1].isEmpty, !kind[0].isEmpty, !kind[1].isEmpty else {
      return "is no CDI name"
    }
    return matches(text, "./_-=:", 1...255)
  }
  static let url = Format("URL", "an http or https URL", pattern: "^https?://[^\\s]+$", limit: 2048) { text in
    guard let url = SimpleURL(text) else { return "is no http or https URL" }
    return url.hasUserInfo ? "holds a user or password; name a credential instead" : nil
  }
  static let listen = Format("listener", "ADDRESS:PORT", pattern: "^[0-9A-Fa-f.:\\[\\]]+:[0-9]{1,5}$", limit: 64) {
    SocketTarget($0).map { if case .address = $0.destination { nil } else { "does not begin with an address" } }
      ?? "is not ADDRESS:PORT"
  }
  static let target = Format("target", "HOST:PORT", pattern: "^\\S+:[0-9]{1,5}$", limit: 320) {
    SocketTarget($0) == nil ? "is not HOST:PORT" : nil
  }
  static let request = Format(
    "request", "METHOD URL, as GET https://host/path", pattern: "^[A-Z_]+ https?://\\S+$", limit: 4096
  ) { text in
    let parts = text.split(separator: " ")
    guard parts.count == 2, parts[0].allSatisfy({ $0.isASCII && ($0.isUppercase || $0 == "_") }),
      SimpleURL(String(parts[1])) != nil
    else { return "is not METHOD URL" }
    return nil
  }

  private static func matches(_ text: String, _ extra: String, _ length: ClosedRange<Int>) -> String? {
    let legal = text.utf8.allSatisfy { byte in
      (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || (0x30...0x39).contains(byte)
        || extra.utf8.contains(byte)
    }
    return legal && length.contains(text.utf8.count) ? nil : "holds something else than letters, digits and \(extra)"
  }
}
