import NemoKernel

/// One flag of the program or of a verb.
struct Flag: Sendable {
  /// Every spelling, the long one first: `["--bundle", "-b"]`.
  var names: [String]
  /// Name of its value in the help; nil for a switch.
  var value: String?
  var help: String
  /// May be given more than once.
  var repeats = false

  static func option(_ names: String..., value: String, _ help: String, repeats: Bool = false) -> Flag {
    Flag(names: names, value: value, help: help, repeats: repeats)
  }
  static func toggle(_ names: String..., help: String) -> Flag { Flag(names: names, value: nil, help: help) }
}

/// What was given: values by the flag's first name, and the rest.
struct Arguments {
  private var values: [String: [String]] = [:]
  var positional: [String] = []

  func has(_ name: String) -> Bool { values[name]?.last.map { $0 != "false" } ?? false }
  func string(_ name: String) -> String? { values[name]?.last }
  func strings(_ name: String) -> [String] { values[name] ?? [] }

  /// A number in the range of `T`, or nil when the flag is absent.
  func integer<T: FixedWidthInteger>(_ name: String, _ type: T.Type = T.self) throws(UsageError) -> T? {
    guard let text = string(name) else { return nil }
    guard let number = T(text) else {
      throw UsageError("\(name): \"\(text)\" is not a number from \(T.min) to \(T.max)")
    }
    return number
  }

  /// Sorts `words`; flags end at `--`, and with `stopsAtPositional` at the first word that is none.
  init(_ words: some Sequence<String>, flags: [Flag], stopsAtPositional: Bool) throws(UsageError) {
    var iterator = words.makeIterator()
    var open = true
    while let word = iterator.next() {
      guard open, word.hasPrefix("-"), word != "-", word != "--" else {
        if open && word == "--" {
          open = false
        } else {
          positional.append(word)
          if stopsAtPositional { open = false }
        }
        continue
      }
      // A negative number is a value, never a flag's name.
      let equals = word.firstIndex(of: "=")
      let name = equals.map { String(word[..<$0]) } ?? word
      guard let flag = flags.first(where: { $0.names.contains(name) }) else {
        if let short = Arguments.attached(word, flags) {
          values[short.flag.names[0], default: []].append(short.value)
          continue
        }
        throw UsageError("unknown flag \(name)")
      }
      if flag.value == nil {
        let value = equals.map { String(word[word.index(after: $0)...]) } ?? "true"
        guard value == "true" || value == "false" else {
          throw UsageError("\(name) is a switch, \"\(value)\" is neither true nor false")
        }
        values[flag.names[0], default: []].append(value)
      } else if let equals {
        values[flag.names[0], default: []].append(String(word[word.index(after: equals)...]))
      } else if let value = iterator.next() {
        values[flag.names[0], default: []].append(value)
      } else {
        throw UsageError("\(name) needs a value")
      }
    }
  }

  /// `-b/dir` and `-c5`: a short flag with its value attached.
  private static func attached(_ word: String, _ flags: [Flag]) -> (flag: Flag, value: String)? {
    guard !word.hasPrefix("--"), word.utf8.count > 2 else { return nil }
    let name = String(word.prefix(2))
    guard let flag = flags.first(where: { $0.names.contains(name) }), flag.value != nil else { return nil }
    return (flag, String(word.dropFirst(2)))
  }
}

/// A command line that cannot be understood; the verb's usage line follows it.
struct UsageError: Error {
  var reason: String
  init(_ reason: String) { self.reason = reason }
}
