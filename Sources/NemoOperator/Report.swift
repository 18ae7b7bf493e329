import NemoBlueprint

/// Prints findings.
enum Report {
  static func write(_ diagnostics: [Diagnostic], dropped: Int, json: Bool) throws {
    if json { return try Files.print(JSONValue.array(diagnostics.map(\.json)).pretty) }
    try Files.print(diagnostics.map { $0.text + "\n" }.joined())
    if dropped > 0 { Files.complain("nemoshell: and \(dropped) more") }
  }
}
