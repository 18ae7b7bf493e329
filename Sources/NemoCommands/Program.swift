import CKernel
import Glibc
import NemoJSON
import NemoKernel
import NemoRuntime

/// The command line as a whole: global flags, then a verb.
public enum NemoshellProgram {
  static let globalFlags: [Flag] = [
    .option("--root", value: "DIR", "directory of the containers' state (default /run/nemoshell)"),
    .option("--log", value: "FILE", "log to FILE, file:FILE or syslog:ID instead of stderr"),
    .option("--log-format", value: "FORMAT", "text (default) or json"),
    .toggle("--debug", help: "log debug messages too"),
    .toggle("--systemd-cgroup", help: "use the systemd cgroup driver"),
    .option("--cgroup-manager", value: "NAME", "cgroupfs (default), systemd or disabled"),
    .option("--rootless", value: "WHEN", "true, false or auto (default)"),
    .toggle("--version", "-v", help: "print the version"),
    .toggle("--help", "-h", help: "show this help"),
  ]

  static let verbs: [Verb] = [
    createVerb, startVerb, runVerb, execVerb, stateVerb, killVerb, deleteVerb, listVerb, psVerb, pauseVerb, resumeVerb,
    updateVerb,
    eventsVerb, featuresVerb, specVerb, checkpointVerb, restoreVerb,
  ]

  /// Runs one command line.
  ///
  /// - Returns: the exit status.
  public static func main() -> Int32 {
    let words = (0..<nemo_argument_count()).map { String(cString: nemo_argument($0)) }
    ensureStdio()
    JSONArena.use()
    let rest = Array(words.dropFirst())
    let global: Arguments
    do throws(UsageError) { global = try Arguments(rest, flags: globalFlags, stopsAtPositional: true) } catch {
      return misuse(error, "nemoshell [flags] VERB ...")
    }
    let log: Log
    do throws(Failure) { log = try makeLog(global) } catch {
      Output.error(error.message)
      return 1
    }
    do throws(Failure) { return try dispatch(global, log) } catch {
      log.error(error.message)
      return 1
    }
  }

  private static func makeLog(_ global: Arguments) throws(Failure) -> Log {
    let format = global.string("--log-format") ?? "text"
    guard format == "text" || format == "json" else {
      throw Failure("", "--log-format", reason: "\"\(format)\" is neither text nor json")
    }
    return try Log(target: global.string("--log") ?? "", json: format == "json", debugging: global.has("--debug"))
  }

  private static func dispatch(_ global: Arguments, _ log: Log) throws(Failure) -> Int32 {
    if global.has("--version") {
      try Output.write(Version.text)
      return 0
    }
    guard let name = global.positional.first, !(name == "help" && global.positional.count == 1) else {
      try Output.write(help)
      return global.has("--help") || !global.positional.isEmpty ? 0 : 1
    }
    let asksHelp = name == "help"
    let wanted = asksHelp ? global.positional[1] : name
    if WideVerbs.table.contains(where: { $0.name == wanted }) {
      let wantsHelp = asksHelp || global.has("--help")
      try WideVerbs.execute(wantsHelp ? [wanted, "--help"] : Array(global.positional))
    }
    guard let verb = verbs.first(where: { $0.name == wanted }) else {
      if asksHelp || global.has("--help") || global.positional.contains(where: { $0 == "-h" || $0 == "--help" }) {
        Output.error("No help topic for '\(wanted)'; nemoshell --help lists the verbs")
        return 1
      }
      return misuse(
        UsageError("unknown verb \"\(wanted)\""), "nemoshell [flags] VERB ...; nemoshell --help lists the verbs")
    }
    if asksHelp || global.has("--help") {
      try Output.write(verb.help)
      return 0
    }
    let arguments: Arguments
    do throws(UsageError) {
      arguments = try Arguments(
        global.positional.dropFirst(), flags: verb.flags + [.toggle("--help", "-h", help: "")],
        stopsAtPositional: verb.stopsAtPositional)
      if arguments.has("--help") {
        try? Output.write(verb.help)
        return 0
      }
      try check(arguments, verb)
    } catch {
      log.error("\(verb.name): \(error.reason); usage: \(verb.usage)")
      return verb.failureStatus
    }
    let options = try globalOptions(global)
    var context = RuntimeContext(root: options.root, warn: { log.warning($0) }, debug: { log.debug($0) })
    context.withoutCgroups = options.withoutCgroups
    log.debug("nemoshell \(verb.name) \(arguments.positional.joined(separator: " "))")
    do throws(Failure) {
      return try verb.run(Invocation(arguments: arguments, global: options, log: log, context: context))
    } catch {
      log.error(error.message)
      return verb.failureStatus
    }
  }

  private static func check(_ arguments: Arguments, _ verb: Verb) throws(UsageError) {
    let given = arguments.positional.count
    if given < verb.count.lowerBound {
      throw UsageError(
        given == 0 && verb.operands.hasPrefix("ID") ? "a container id is missing" : "an argument is missing")
    }
    if given > verb.count.upperBound {
      throw UsageError("unexpected argument \"\(arguments.positional[verb.count.upperBound])\"")
    }
  }

  private static func globalOptions(_ global: Arguments) throws(Failure) -> GlobalOptions {
    var options = GlobalOptions()
    if let root = global.string("--root") {
      guard !root.isEmpty else { throw Failure("", "--root", reason: "is empty") }
      options.root = root
    }
    let manager = global.string("--cgroup-manager") ?? "cgroupfs"
    if global.has("--systemd-cgroup") || manager == "systemd" {
      throw Failure(
        "", "--systemd-cgroup", reason: "the systemd cgroup driver is not supported on this host",
        advice: "use cgroupfs")
    }
    guard manager == "cgroupfs" || manager == "disabled" else {
      throw Failure("", "--cgroup-manager", reason: "\"\(manager)\" is none of cgroupfs, systemd, disabled")
    }
    options.withoutCgroups = manager == "disabled"
    if let rootless = global.string("--rootless"), !["true", "false", "auto"].contains(rootless) {
      throw Failure("", "--rootless", reason: "\"\(rootless)\" is none of true, false, auto")
    }
    return options
  }

  static var help: String {
    let rows = (verbs.map { ($0.name, $0.summary) } + WideVerbs.table).map { ["    " + $0.0, $0.1] }
    return
      "NAME:\n    nemoshell - Open Container Initiative runtime that runs agents under policy\n\nUSAGE:\n    nemoshell [flags] VERB ...\n\nVERBS:\n"
      + Output.table(rows) + "\nFLAGS:\n" + Verb.describe(globalFlags) + "\nnemoshell VERB --help describes a verb.\n"
  }

  private static func misuse(_ error: UsageError, _ usage: String) -> Int32 {
    Output.error("\(error.reason); usage: \(usage)")
    return 1
  }

  /// A caller that closed stdio must not make the next open file the container's output.
  private static func ensureStdio() {
    for fd in 0...2 as ClosedRange<Int32> where fcntl(fd, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
  }
}
