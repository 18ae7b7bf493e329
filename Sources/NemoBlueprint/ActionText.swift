import NemoPolicy

/// Actions as blueprints and command lines write them.
enum ActionText {
  /// File accesses by the word for them.
  static let accesses: [(word: String, rights: FileRights)] = [
    ("read", .readFile), ("list", .readDir), ("write", .writeFile), ("create", .create), ("remove", .removeFile),
    ("execute", .run),
  ]

  /// The action of an entry of `expect`.
  static func action(_ item: Value) -> (Action, String)? {
    let transport = item["transport"]?.text.flatMap(Transport.init(rawValue:)) ?? .tcp
    let binary = item["binary"]?.text
    let suffix = binary.map { " by \($0)" } ?? ""
    for (word, rights) in accesses {
      if let path = item[word]?.text { return (.file(path: path, rights: rights), "\(word) \(path)") }
    }
    if let text = item["connect"]?.text, let target = SocketTarget(text) {
      let connection = Connection(to: target.destination, port: target.port, transport: transport, binary: binary)
      return (.connect(connection), "connect \(text)\(transport == .udp ? " (udp)" : "")\(suffix)")
    }
    if let text = item["request"]?.text, let action = request(text, binary: binary) {
      return (action, "request \(text)\(suffix)")
    }
    if let name = item["system_call"]?.text {
      let arguments = item["arguments"]?.elements.map { $0.integer.map { UInt64($0) } } ?? []
      return (.systemCall(name: name, arguments: arguments), "system_call \(name)")
    }
    return item["capability"]?.text.map { (.capability($0), "capability \($0)") }
  }

  /// The action of `METHOD URL`.
  static func request(_ text: String, binary: String?) -> Action? {
    let parts = text.split(separator: " ")
    guard parts.count == 2, let url = SimpleURL(String(parts[1])) else { return nil }
    let connection = Connection(to: url.target.destination, port: url.target.port, binary: binary)
    let isSocketText = parts[0] == "WEBSOCKET_TEXT"
    let message: Message =
      isSocketText
      ? .webSocketText(target: url.requestTarget) : .http(method: String(parts[0]), target: url.requestTarget)
    return .request(connection, message)
  }
}
