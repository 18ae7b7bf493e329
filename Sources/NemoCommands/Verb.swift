import NemoKernel
import NemoRuntime

/// What a verb is given.
struct Invocation {
  var arguments: Arguments
  var global: GlobalOptions
  var log: Log
  var context: RuntimeContext

  /// The only positional argument.
  var id: String { arguments.positional.first ?? "" }
}

/// The flags before the verb.
struct GlobalOptions {
  var root = "/run/nemoshell"
  var withoutCgroups = false
}

/// One verb of the command line.
struct Verb: Sendable {
  var name: String
  /// What follows the flags in the usage line: `ID [SIGNAL]`.
  var operands: String
  var summary: String
  /// Paragraphs after the flags.
  var details = ""
  var flags: [Flag] = []
  /// Positional arguments: at least and at most.
  var count: ClosedRange<Int>
  /// Flags end at the first positional argument: what follows belongs to another program.
  var stopsAtPositional = false
  /// Exit status of a runtime error.
  var failureStatus: Int32 = 1
  var run: @Sendable (Invocation) throws(Failure) -> Int32

  var usage: String {
    "nemoshell \(name)" + (flags.isEmpty ? "" : " [flags]") + (operands.isEmpty ? "" : " \(operands)")
  }

  var help: String {
    var text = "NAME:\n    nemoshell \(name) - \(summary)\n\nUSAGE:\n    \(usage)\n"
    let all = flags + [.toggle("--help", "-h", help: "show this help")]
    text += "\nFLAGS:\n" + Verb.describe(all)
    if !details.isEmpty {
      text +=
        "\nDESCRIPTION:\n"
        + details.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }.joined()
    }
    return text
  }

  static func describe(_ flags: [Flag]) -> String {
    let rows = flags.map { flag in
      [
        "    " + flag.names.joined(separator: ", ") + (flag.value.map { " \($0)" } ?? ""),
        flag.help + (flag.repeats ? " (may be repeated)" : ""),
      ]
    }
    return Output.table(rows)
  }
}
