import Glibc
import NemoBlueprint

/// What is the matter with a sandbox, found out when it is asked for.
public struct SandboxStatus: Sendable {
  /// In one word.
  public enum State: String, Sendable {
    /// It was made and not started.
    case created
    /// It runs.
    case running
    /// All its processes are frozen.
    case paused
    /// It runs, and its keeper is gone; it can be stopped.
    case unattended
    /// Its program has ended.
    case stopped
    /// Its creation was broken off.
    case incomplete
  }

  /// Its name.
  public let name: String
  /// In one word.
  public let state: State
  /// What was written at its creation; nil for an incomplete one.
  public let record: SandboxRecord?
  /// Its last start; nil where there was none.
  public let run: SandboxRun?
  /// Its last run was ended by a restart of the machine.
  public let wasInterrupted: Bool

  /// Finds it out.
  public init(_ files: SandboxFiles) throws {
    name = files.name
    guard access(files.recordPath, F_OK) == 0 else {
      (state, record, run, wasInterrupted) = (.incomplete, nil, nil, false)
      return
    }
    let record = try files.record()
    self.record = record
    let run = try files.run()
    self.run = run
    let container = try RuntimeCommand(root: record.runtimeRoot).ownState(files)?["status"]?.text
    if try files.isKept() {
      state = container == "paused" ? .paused : .running
    } else if container == "running" || container == "paused" {
      state = .unattended
    } else {
      state = run == nil ? .created : .stopped
    }
    wasInterrupted = state == .stopped && run?.finished.isEmpty == true
  }

  /// `Sandbox NAME (Landlock ABI 7 + seccomp + …)`: what was verified at the last start, and nothing else.
  public static func summary(_ name: String, _ run: SandboxRun) -> String {
    let list = run.protections.isEmpty ? "nothing could be verified" : run.protections.joined(separator: " + ")
    return "Sandbox \(name) (\(list))" + (run.degraded.isEmpty ? "" : "; missing: \(run.degraded)")
  }

  /// The same as an object.
  public var json: JSONValue {
    .object([
      "name": .string(name), "state": .string(state.rawValue), "sandbox": record?.json ?? .null,
      "run": run?.json ?? .null, "interrupted": .bool(wasInterrupted),
    ])
  }

  /// How its last run ended, in words; empty while it runs.
  public var end: String {
    guard state == .stopped, let run else { return "" }
    if wasInterrupted { return "interrupted" }
    return run.exitStatus.map { "exit \($0)" } ?? "not started"
  }
}
