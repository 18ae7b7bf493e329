import ArgumentParser
import NemoBlueprint
import NemoSandbox

/// The process ends with this status, everything that had to be said is said.
struct ExitStatus: Error {
  var status: Int32
}

/// Commands about sandboxes.
enum SandboxCommands {
  static let all: [any ParsableCommand.Type] = [
    RunCommand.self, SandboxesCommand.self, StatusCommand.self, InspectCommand.self, LogsCommand.self,
    ConnectCommand.self,
    ExecCommand.self, StartCommand.self, StopCommand.self, RemoveCommand.self, KeepCommand.self,
  ]
}

/// Where the sandboxes are.
struct RegistryOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Directory of the sandboxes (default /var/lib/nemoshell).", valueName: "dir"))
  var stateDir: String?
  @Option(help: ArgumentHelp("Directory of the runtime's state (default /run/nemoshell).", valueName: "dir"))
  var runtimeRoot: String?

  func registry() throws -> Registry { try Registry(directory: stateDir, runtimeRoot: runtimeRoot) }
}

/// One sandbox by its name.
struct SandboxOptions: ParsableArguments {
  @OptionGroup var place: RegistryOptions
  @Argument(help: "Name of the sandbox.") var name: String

  func files() throws -> SandboxFiles { try place.registry().sandbox(name) }

  func sandboxes() throws -> Sandboxes { Sandboxes(try place.registry()) }
}

/// What `--json` prints after something was done with a sandbox.
enum StatusReport {
  static func write(_ files: SandboxFiles, json: Bool, _ text: String) throws {
    try Files.print(json ? try SandboxStatus(files).json.pretty : text)
  }

  static func table(_ rows: [[String]]) -> String {
    let widths = rows.reduce(into: [Int](repeating: 0, count: rows.first?.count ?? 0)) { widths, row in
      for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
    }
    return rows.map { row in
      let cells = row.enumerated().map { index, cell in
        index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] + 2 - cell.count)
      }
      return cells.joined() + "\n"
    }.joined()
  }
}
