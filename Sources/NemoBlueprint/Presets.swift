/// Network rules for services that agents use, with the methods and the programs that they take.
public struct Preset: Sendable {
  /// Name on the command line.
  public var name: String
  /// For people.
  public var description: String
  /// Programs that speak to the service, as the kernel names them; used where the rootfs has them.
  var binaries: [String]
  /// Where the hosts come from.
  var source: Source

  enum Source: Sendable {
    /// Endpoints, as YAML.
    case fixed(String)
    /// The operator's configuration of a package manager.
    case registry(Registry.Kind)
  }

  private static let scripting = [
    "/usr/bin/python3*", "/usr/local/bin/python3*", "/usr/bin/node", "/usr/local/bin/node", "/usr/bin/curl",
  ]
  /// What connects is git's helper, not git.
  private static let git = [
    "/usr/lib/git-core/git-remote-http", "/usr/libexec/git-core/git-remote-http", "/usr/bin/gh",
  ]

  /// All of them.
  public static let all: [Preset] = [
    Preset(
      name: "slack", description: "Slack: web API, files, incoming webhooks, Socket Mode.", binaries: scripting,
      source: .fixed(
        rest("slack.com", [("GET", "/api/**"), ("POST", "/api/**")])
          + rest("files.slack.com", [("GET", "/**"), ("POST", "/upload/**")])
          + rest("hooks.slack.com", [("POST", "/services/**")])
          + socket("wss-*.slack.com"))),
    Preset(
      name: "discord", description: "Discord: API, gateway and attachments.", binaries: scripting,
      source: .fixed(
        rest("discord.com", ["GET", "POST", "PATCH", "PUT", "DELETE"].map { ($0, "/api/**") })
          + socket("gateway.discord.gg")
          + socket("gateway-*.discord.gg") + rest("cdn.discordapp.com", [("GET", "/**")]))),
    Preset(
      name: "telegram", description: "Telegram: bot API and files of bots.", binaries: scripting,
      source: .fixed(
        rest("api.telegram.org", [("GET", "/bot*/**"), ("POST", "/bot*/**"), ("GET", "/file/bot*/**")]))),
    Preset(
      name: "jira", description: "Jira: issues, with edits and transitions.", binaries: scripting,
      source: .fixed(
        rest("*.atlassian.net", ["GET", "POST", "PUT", "DELETE"].map { ($0, "/rest/**") })
          + rest("api.atlassian.com", ["GET", "POST", "PUT", "DELETE"].map { ($0, "/ex/jira/**") })
          + rest("auth.atlassian.com", [("POST", "/oauth/token")]))),
    Preset(
      name: "outlook", description: "Outlook: mail and calendar by Microsoft Graph.", binaries: scripting,
      source: .fixed(
        rest(
          "graph.microsoft.com",
          ["GET", "POST", "PATCH", "DELETE"].flatMap { [($0, "/v1.0/me/**"), ($0, "/v1.0/users/**")] })
          + rest("login.microsoftonline.com", [("GET", "/**"), ("POST", "/*/oauth2/**")]))),
    Preset(
      name: "huggingface", description: "Hugging Face: download of models and data sets.", binaries: scripting,
      source: .fixed(
        rest("huggingface.co", [("GET", "/**"), ("POST", "/api/**")]) + rest("**.hf.co", [("GET", "/**")])
          + rest("**.huggingface.co", [("GET", "/**")]))),
    Preset(
      name: "github", description: "GitHub: clone, fetch, downloads, and reading the API.", binaries: git + scripting,
      source: .fixed(
        rest(
          "github.com",
          [
            ("GET", "/*/*/info/refs"), ("POST", "/*/*/git-upload-pack"), ("GET", "/*/*/releases/**"),
            ("GET", "/*/*/archive/**"),
          ],
          deny: "          - {method: GET, path: \"/*/*/info/refs\", query: {service: git-receive-pack}}\n")
          + rest("api.github.com", [("GET", "/**")]) + rest("codeload.github.com", [("GET", "/**")])
          + rest("*.githubusercontent.com", [("GET", "/**")]))),
    Preset(
      name: "github-write", description: "GitHub: push, and changes by the API (no deletion of repositories).",
      binaries: git + scripting,
      source: .fixed(
        rest(
          "github.com",
          [("GET", "/*/*/info/refs"), ("POST", "/*/*/git-upload-pack"), ("POST", "/*/*/git-receive-pack")])
          + rest(
            "api.github.com", ["GET", "POST", "PATCH", "PUT", "DELETE"].map { ($0, "/**") },
            deny: "          - {method: DELETE, path: \"/repos/*/*\"}\n"))),
    Preset(
      name: "pip", description: "Python packages, from the index that pip is configured for.",
      binaries: ["/usr/bin/python3*", "/usr/local/bin/python3*"], source: .registry(.pip)),
    Preset(
      name: "npm", description: "Node packages, from the registry that npm is configured for.",
      binaries: ["/usr/bin/node", "/usr/local/bin/node"], source: .registry(.npm)),
    Preset(
      name: "apt", description: "Debian packages, from the mirrors that apt is configured for.",
      binaries: ["/usr/lib/apt/methods/http"], source: .registry(.apt)),
  ]

  /// The preset of that name.
  public static func named(_ name: String) -> Preset? { all.first { $0.name == name } }

  /// The rule as YAML, to be put below `network_policies:`.
  ///
  /// - Parameters:
  ///   - programs: programs to name instead of the preset's own.
  ///   - rootfs: keeps those of the preset's programs that it has.
  ///   - registries: URLs of package registries instead of the configured ones.
  /// - Throws: ``PresetError``.
  public func rule(programs: [String] = [], rootfs: Rootfs? = nil, registries: [String] = []) throws(PresetError)
    -> String
  {
    var named = programs.isEmpty ? binaries : programs
    if programs.isEmpty, let rootfs {
      named = named.flatMap { rootfs.matches($0) }.compactMap { rootfs.resolve($0)?.path }.filter {
        rootfs.interpreter($0) == nil
      }
      named = Array(Set(named)).sorted()
    }
    guard !named.isEmpty else {
      throw PresetError(
        description:
          "preset \(name): the root file system has none of \(binaries.joined(separator: ", ")); name a program with --binary"
      )
    }
    let endpoints: String
    switch source {
    case .fixed(let text): endpoints = text
    case .registry(let kind):
      let urls = registries.isEmpty ? Registry.configured(kind) : registries
      guard !urls.isEmpty else {
        throw PresetError(
          description:
            "preset \(name): \(kind.rawValue) is not configured with a registry here; give one with --registry URL")
      }
      endpoints = try Self.registry(urls, kind)
    }
    let list = named.map { "        - path: \(JSONValue.string($0).canonical)" }.joined()
    return "    \(name):\n      endpoints:\n\(endpoints)      binaries:\n\(list)"
  }

  private static func registry(_ urls: [String], _ kind: Registry.Kind) throws(PresetError) -> String {
    var endpoints = ""
    var seen: Set<SocketTarget> = []
    for text in urls {
      guard let url = SimpleURL(text) else {
        throw PresetError(description: "\(Diagnostic.quoted(text)) is no http or https URL")
      }
      guard seen.insert(url.target).inserted else { continue }
      guard case .name(let host) = url.target.destination else {
        throw PresetError(
          description:
            "\(text): the registry must have a name, so that the gate can hold it; give one with --registry URL")
      }
      let audit = kind == .npm ? [("POST", "/-/npm/v1/security/**")] : []
      endpoints += rest(host, [("GET", "/**")] + audit, port: url.target.port)
    }
    return endpoints
  }

  private static func rest(_ host: String, _ rules: [(String, String)], port: UInt16 = 443, deny: String = "") -> String
  {
    endpoint(host, port, "rest") + rules.map { "          - allow: {method: \($0.0), path: \"\($0.1)\"}\n" }.joined()
      + (deny.isEmpty ? "" : "          deny_rules:\n\(deny)")
  }

  private static func socket(_ host: String) -> String {
    endpoint(host, 443, "websocket")
      + ["GET", "WEBSOCKET_TEXT"].map { "          - allow: {method: \($0)}\n" }.joined()
  }

  private static func endpoint(_ host: String, _ port: UInt16, _ application: String) -> String {
    "        - host: \"\(host)\"\n          port: \(port)\n          protocol: \(application)\n          rules:\n"
  }
}

/// Why a preset cannot be used here.
public struct PresetError: Error, CustomStringConvertible {
  /// One line.
  public var description: String
}
