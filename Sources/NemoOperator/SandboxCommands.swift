import ArgumentParser
import Glibc
import NemoBlueprint
import NemoSandbox

struct SandboxesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "sandboxes", abstract: "List the sandboxes.")
  @OptionGroup var place: RegistryOptions
  @Flag(help: "Print a JSON array.") var json = false

  func run() throws {
    var all: [SandboxStatus] = []
    var isWhole = true
    for files in try place.registry().all() {
      // A damaged one must not hide the others.
      do { all.append(try SandboxStatus(files)) } catch {
        Files.complain("nemoshell: \(error)")
        isWhole = false
      }
    }
    defer { if !isWhole { Files.complain("nemoshell: `nemoshell NAME rm --force` removes a damaged sandbox") } }
    if json { return try Files.print(JSONValue.array(all.map(\.json)).pretty) }
    let rows = all.map { status in
      [
        status.name, status.state.rawValue, status.end,
        status.record.map { "\($0.blueprint) \($0.blueprintVersion)" } ?? "", status.run?.started ?? "",
      ]
    }
    try Files.print(StatusReport.table([["NAME", "STATE", "END", "BLUEPRINT", "STARTED"]] + rows))
  }
}

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Say what is the matter with a sandbox.",
    discussion: "Exit status: 0 it runs, 1 it does not, 2 misuse.")
  @OptionGroup var sandbox: SandboxOptions
  @Flag(help: "Print JSON.") var json = false

  func run() throws {
    let status = try SandboxStatus(try sandbox.files())
    try Files.print(json ? status.json.pretty : text(status))
    if status.state != .running && status.state != .paused { throw ExitStatus(status: 1) }
  }

  private func text(_ status: SandboxStatus) -> String {
    var lines = [
      "name: \(status.name)", "state: \(status.state.rawValue)" + (status.end.isEmpty ? "" : " (\(status.end))"),
    ]
    if let record = status.record {
      lines += [
        "blueprint: \(record.blueprint) \(record.blueprintVersion) (\(record.digest))", "source: \(record.source)",
      ]
      if !record.workspace.isEmpty { lines.append("workspace: \(record.workspace)") }
    }
    if let run = status.run {
      lines.append("started: \(run.started)")
      if !run.finished.isEmpty { lines.append("finished: \(run.finished)") }
      lines.append("verified at the start: " + run.protections.joined(separator: ", "))
      if !run.degraded.isEmpty { lines.append("missing: \(run.degraded)") }
    }
    return lines.map { Diagnostic.printable($0) + "\n" }.joined()
  }
}

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Print all that is known of a sandbox, its configuration and policy, as JSON.")
  @OptionGroup var sandbox: SandboxOptions
  @Flag(help: "Accepted: the output is always JSON.") var json = false

  func run() throws {
    let files = try sandbox.files()
    guard case .object(var document) = try SandboxStatus(files).json else { return }
    for (key, name) in [("config", "config.json"), ("policy", "policy.json"), ("lock", "nemoshell.lock")] {
      let path = "\(files.bundle)/\(name)"
      guard access(path, F_OK) == 0 else { continue }
      do { document[key] = try JSONReader.parse(try Files.read(path)) } catch let failure as JSONReader.Failure {
        throw CommandFailure(description: "\(path): \(failure.description)")
      }
    }
    try Files.print(JSONValue.object(document).pretty)
  }
}

struct LogsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs", abstract: "Print what a sandbox's program has written since its last start.")
  @OptionGroup var sandbox: SandboxOptions
  @Flag(name: [.short, .long], help: "Go on until the sandbox ends.") var follow = false
  @Flag(help: "The output of the run before, or before the log was begun anew.") var previous = false
  @Flag(help: "Print JSON lines with time and stream.") var json = false

  func run() throws {
    let files = try sandbox.files()
    let reader = LogReader(previous ? files.log + ".1" : files.log)
    while true {
      let goesOn = try follow && !previous && files.isKept()
      for piece in try reader.next() { try write(piece) }
      if !goesOn { return }
      usleep(50_000)
    }
  }

  private func write(_ piece: LogReader.Piece) throws {
    guard json else { return try Files.pass(piece.bytes, to: piece.isError ? 2 : 1) }
    let line = JSONValue.object([
      "time": .string(piece.time), "stream": .string(piece.isError ? "stderr" : "stdout"),
      "text": .string(String(decoding: piece.bytes, as: UTF8.self)),
    ])
    try Files.print(line.canonical)
  }
}

struct StartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Start a sandbox again, with the workspace that it had.")
  @OptionGroup var sandbox: SandboxOptions
  @Flag(name: [.short, .long], help: "Stay until it ends, as `run` does.") var attach = false
  @Flag(help: "Print JSON.") var json = false

  func run() throws {
    let files = try sandbox.files()
    let sandboxes = try sandbox.sandboxes()
    let run = try sandboxes.start(files)
    let summary = SandboxStatus.summary(files.name, run) + "\n"
    guard attach else { return try StatusReport.write(files, json: json, summary) }
    Files.complain(String(summary.dropLast()))
    throw ExitStatus(status: try Session(files, sandboxes).follow() ?? 0)
  }
}

struct StopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop", abstract: "End a sandbox; it stays in the registry, with its workspace.")
  @OptionGroup var sandbox: SandboxOptions
  @Option(name: [.short, .long], help: "Seconds after SIGTERM until SIGKILL.") var time = SandboxLimits.stopSeconds
  @Flag(help: "Print JSON.") var json = false

  func validate() throws { if !(0...86400).contains(time) { throw ValidationError("--time is 0 to 86400") } }

  func run() throws {
    let files = try sandbox.files()
    try sandbox.sandboxes().stop(files, seconds: time)
    try StatusReport.write(files, json: json, "")
  }
}

struct RemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove a sandbox; its workspace stays for the next one of the name.")
  @OptionGroup var sandbox: SandboxOptions
  @Flag(name: [.short, .long], help: "Kill it first if it runs.") var force = false
  @Flag(help: "Remove its workspace too.") var workspace = false
  @Flag(help: "Print JSON.") var json = false

  func run() throws {
    let files = try sandbox.files()
    try sandbox.sandboxes().remove(files, force: force, withWorkspace: workspace)
    if json {
      try Files.print(JSONValue.object(["name": .string(files.name), "workspace": .bool(!workspace)]).pretty)
    }
  }
}
