import NemoKernel
import NemoRuntime

extension NemoshellProgram {
  static let eventsVerb = Verb(
    name: "events", operands: "ID", summary: "print statistics and out-of-memory events as JSON lines",
    flags: [
      .toggle("--stats", help: "print the statistics once and end"),
      .option("--interval", value: "DURATION", "time between statistics: 500ms, 5s (default), 1m"),
    ], count: 1...1
  ) { (invocation) throws(Failure) in
    let text = invocation.arguments.string("--interval") ?? "5s"
    guard let interval = Duration.milliseconds(text), interval > 0 else {
      throw Failure("", "--interval", reason: "\"\(text)\" is not a duration such as 500ms, 5s or 1m")
    }
    try Events.print(invocation.id, once: invocation.arguments.has("--stats"), interval: interval, invocation.context) {
      (line) throws(Failure) in try Output.write(line)
    }
    return 0
  }
}

/// Durations as Go writes them, without fractions.
enum Duration {
  static func milliseconds(_ text: String) -> Int? {
    var rest = Substring(text)
    var total = 0
    if rest.isEmpty { return nil }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest[digits.endIndex...]
      let unit = rest.prefix { $0.isLetter }
      rest = rest[unit.endIndex...]
      let factor: Int? =
        switch unit {
        case "ms": 1
        case "s": 1000
        case "m": 60_000
        case "h": 3_600_000
        default: nil
        }
      guard let count = Int(digits), count < 1 << 30, let factor else { return nil }
      total += count * factor
    }
    return total
  }
}
