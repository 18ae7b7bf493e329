import ArgumentParser
import NemoBlueprint
import NemoPolicy

extension PolicyCommand {
  struct Decide: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Decide many actions, one a line of standard input, and print a verdict for each.",
      discussion: """
        A line is `file RIGHT,… PATH` with the names of spec/policy.md, or `call NAME ARGUMENT…`; a verdict is \
        `allow MECHANISM` or `deny MECHANISM`. Exit status: 0 all decided, 2 misuse or no valid blueprint.
        """)
    @Flag(help: "Print a JSON array with rules and reasons.") var json = false
    @Argument(help: "Blueprint file.") var file: String

    func run() throws {
      let policy = try Loaded.valid(file, status: 2).policy()
      let lines = String(decoding: try Files.read("-"), as: UTF8.self).split(separator: "\n")
      var decisions: [Decision] = []
      for (number, line) in lines.enumerated() {
        guard let action = Self.action(line) else {
          throw CommandFailure(
            description: "line \(number + 1): is neither file RIGHT,… PATH nor call NAME ARGUMENT…: \(line)", status: 2)
        }
        decisions.append(policy.decide(action))
      }
      if json { return try Files.print(JSONValue.array(decisions.map(DecisionText.json)).pretty) }
      try Files.print(decisions.map { "\($0.verdict.rawValue) \($0.mechanism.rawValue)\n" }.joined())
    }

    private static func action(_ line: Substring) -> Action? {
      let words = line.split(separator: " ", maxSplits: 2).map(String.init)
      guard words.count >= 2 else { return nil }
      if words[0] == "file", words.count == 3, PolicyPath.problem(words[2]) == nil {
        let rights = words[1].split(separator: ",").map { FileRights(name: String($0)) }
        return rights.contains(nil) ? nil : .file(path: words[2], rights: FileRights(rights.compactMap { $0 }))
      }
      guard words[0] == "call" else { return nil }
      let numbers = line.split(separator: " ").dropFirst(2).map { UInt64($0) }
      return numbers.contains(nil) || numbers.count > 6 ? nil : .systemCall(name: words[1], arguments: numbers)
    }
  }
}
