import NemoPolicy

/// A version by semver.org 2.0.0.
public struct SemanticVersion: Sendable, Hashable, Comparable {
  /// Major, minor, patch.
  public let numbers: [Int]
  /// What follows `-`.
  public let prerelease: String

  /// Parses; nil for what is no semantic version.
  public init?(_ text: String) {
    let main = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
    let parts = main[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    let words = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let numbers = words.compactMap { Scalar.isInteger($0) ? Int($0) : nil }
    guard words.count == 3, numbers.count == 3 else { return nil }
    for suffix in parts.dropFirst() + main.dropFirst() {
      let identifiers = suffix.split(separator: ".", omittingEmptySubsequences: false)
      let legal = identifiers.allSatisfy { word in
        !word.isEmpty
          && word.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x2d
          }
      }
      guard legal else { return nil }
    }
    self.numbers = numbers
    prerelease = parts.count == 2 ? String(parts[1]) : ""
  }

  /// A prerelease comes before its release.
  public static func < (a: SemanticVersion, b: SemanticVersion) -> Bool {
    if a.numbers != b.numbers { return a.numbers.lexicographicallyPrecedes(b.numbers) }
    return a.prerelease.isEmpty != b.prerelease.isEmpty ? b.prerelease.isEmpty : a.prerelease < b.prerelease
  }
}

/// Sizes and durations.
public enum Quantity {
  /// Bytes of `512MiB`; nil for what is no size.
  public static func bytes(_ text: String) -> Int? {
    parse(text, [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1)])
  }

  /// Milliseconds of `30s`; nil for what is no duration.
  public static func milliseconds(_ text: String) -> Int? {
    parse(text, [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)])
  }

  private static func parse(_ text: String, _ units: [(String, Int)]) -> Int? {
    for (unit, factor) in units where text.hasSuffix(unit) {
      let digits = String(text.dropLast(unit.count))
      guard Scalar.isInteger(digits), let count = Int(digits), count > 0 else { continue }
      let (product, overflow) = count.multipliedReportingOverflow(by: factor)
      return overflow ? nil : product
    }
    return nil
  }
}

/// `8000-8080`.
enum PortRange {
  static func parse(_ text: String) -> ClosedRange<UInt16>? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    let ports = ends.compactMap { Scalar.isInteger($0) ? UInt16($0) : nil }
    guard ends.count == 2, ports.count == 2, ports[0] > 0, ports[0] <= ports[1] else { return nil }
    return ports[0]...ports[1]
  }
}

/// `HOST:PORT` or `ADDRESS:PORT`, brackets around IPv6.
public struct SocketTarget: Sendable, Hashable {
  /// The host.
  public let destination: Connection.Destination
  /// The port.
  public let port: UInt16

  /// Parses; nil for what is no target.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = String(text[text.index(after: colon)...])
    guard Scalar.isInteger(digits), let port = UInt16(digits), port > 0 else { return nil }
    let host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      guard let address = IPAddress(String(host.dropFirst().dropLast())), !address.isIPv4 || host.contains(":") else {
        return nil
      }
      destination = .address(address)
    } else if let address = IPAddress(host), !host.contains(":") {
      destination = .address(address)
    } else {
      guard Host.problem(host) == nil else { return nil }
      destination = .name(Host.canonical(host))
    }
    self.port = port
  }
}

/// The parts of an http or https URL that a policy needs.
public struct SimpleURL: Sendable, Hashable {
  /// Host and port.
  public let target: SocketTarget
  /// Path and query; `/` where the URL has none.
  public let requestTarget: String
  /// `https`.
  public let isSecure: Bool
  /// A user or a password is in it.
  public let hasUserInfo: Bool

  /// Parses; nil for what is no such URL.
  public init?(_ text: String) {
    let schemes = [("https://", true, 443), ("http://", false, 80)]
    guard let scheme = schemes.first(where: { text.hasPrefix($0.0) }) else { return nil }
    guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else { return nil }
    let rest = text.dropFirst(scheme.0.count)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    var authority = rest[..<end]
    hasUserInfo = authority.contains("@")
    if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
    let hasPort = authority.hasSuffix("]") ? false : authority.contains(":")
    guard let target = SocketTarget(hasPort ? String(authority) : "\(authority):\(scheme.2)") else { return nil }
    self.target = target
    isSecure = scheme.1
    let path = rest[end...].prefix { $0 != "#" }
    requestTarget = path.hasPrefix("/") ? String(path) : "/" + path
  }
}
