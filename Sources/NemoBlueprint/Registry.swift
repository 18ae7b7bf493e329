import Foundation

/// Where the operator's package managers fetch from: their environment variables and files, read as they read them.
enum Registry {
  enum Kind: String, Sendable {
    case pip
    case npm
    case apt
  }

  /// The configured URLs, without users and passwords; none where nothing is configured.
  static func configured(_ kind: Kind) -> [String] {
    let environment = ProcessInfo.processInfo.environment
    let home = environment["HOME"] ?? "/root"
    let found: [String]
    switch kind {
    case .pip:
      let files = [
        environment["PIP_CONFIG_FILE"], "\(home)/.config/pip/pip.conf", "\(home)/.pip/pip.conf", "/etc/pip.conf",
      ]
      let values = files.compactMap { $0 }.map { settings($0, ["index-url", "extra-index-url"]) }
      let variables = [environment["PIP_INDEX_URL"], environment["PIP_EXTRA_INDEX_URL"]].compactMap { $0 }
      found = variables.isEmpty ? values.first { !$0.isEmpty } ?? [] : variables
    case .npm:
      let files = ["\(home)/.npmrc", "/etc/npmrc", "/usr/etc/npmrc"]
      let variable = environment["npm_config_registry"] ?? environment["NPM_CONFIG_REGISTRY"]
      found = variable.map { [$0] } ?? files.map { settings($0, ["registry"]) }.first { !$0.isEmpty } ?? []
    case .apt: found = aptSources()
    }
    return found.flatMap { $0.split(whereSeparator: \.isWhitespace) }.map { withoutUser(String($0)) }.filter {
      SimpleURL($0) != nil
    }
  }

  private static func settings(_ path: String, _ names: [String]) -> [String] {
    lines(path).compactMap { line in
      let sides = line.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      return sides.count == 2 && names.contains(sides[0]) ? sides[1].trimmingCharacters(in: ["\"", "'"]) : nil
    }
  }

  private static func aptSources() -> [String] {
    let directory = "/etc/apt/sources.list.d"
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: directory).sorted() } catch { names = [] }
    let files = ["/etc/apt/sources.list"] + names.map { "\(directory)/\($0)" }
    return files.flatMap(lines).flatMap { line -> [String] in
      let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
      guard let first = words.first else { return [] }
      if first == "URIs:" { return Array(words.dropFirst()) }
      return first == "deb" ? words.first { $0.hasPrefix("http") }.map { [$0] } ?? [] : []
    }
  }

  /// Lines that are no comments; none where the file cannot be read.
  private static func lines(_ path: String) -> [String] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    return String(decoding: data.prefix(1 << 20), as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
      .filter { !$0.hasPrefix("#") && !$0.hasPrefix(";") }
  }

  private static func withoutUser(_ url: String) -> String {
    guard let scheme = url.range(of: "://"), let at = url[scheme.upperBound...].firstIndex(of: "@") else { return url }
    let slash = url[scheme.upperBound...].firstIndex(of: "/") ?? url.endIndex
    return at < slash ? String(url[..<scheme.upperBound] + url[url.index(after: at)...]) : url
  }
}
