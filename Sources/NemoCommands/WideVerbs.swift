import CKernel
import Glibc
import NemoKernel

/// Verbs that another executable carries out, `nemoctl` beside this one, so that there is one command to know.
enum WideVerbs {
  static let program = "nemoctl"

  /// Names with what they do.
  static let table: [(name: String, summary: String)] = [
    ("blueprint", "write, check, compare and build blueprints"), ("policy", "say what a policy allows, by which rule"),
    ("doctor", "say what this host can enforce"),
    ("run PATH [NAME]", "make a sandbox of a blueprint or a bundle and start it"), ("sandboxes", "list the sandboxes"),
    ("NAME VERB", "with a sandbox: " + ofSandbox.joined(separator: ", ")),
  ]

  /// What can be done with a sandbox, after its name.
  static let ofSandbox = ["status", "inspect", "logs", "connect", "exec", "start", "stop", "rm"]

  /// The command line of the other executable for `words`, from the verb on; nil where it is this one's.
  ///
  /// - Parameter root: the global flag `--root`, which holds for sandboxes too.
  static func command(_ words: [String], root: String?) -> [String]? {
    guard let first = words.first else { return nil }
    let place = root.map { ["--runtime-root", $0] } ?? []
    if NemoshellProgram.verbs.contains(where: { $0.name == first }) {
      return first == "run" && runsSandbox(words.dropFirst()) ? ["run"] + place + words.dropFirst() : nil
    }
    if ofSandbox.contains(first) || first == "sandboxes" { return [first] + place + words.dropFirst() }
    if table.contains(where: { $0.name == first }) { return words }
    guard words.count > 1, ofSandbox.contains(words[1]) else { return nil }
    // What follows the flags of exec belongs to another program, so the name cannot stand among them.
    let name = words[1] == "exec" ? ["--sandbox", first] : [first]
    return [words[1]] + place + name + words.dropFirst(2)
  }

  /// `run PATH`: the operand has a slash in it or ends in .yaml, which no container's id may. With a flag of the OCI verb
  /// alone it is that one, whatever the operand.
  private static func runsSandbox(_ words: ArraySlice<String>) -> Bool {
    let shared = ["--detach", "-d"]
    for word in words where word.hasPrefix("-") {
      let name = word.prefix { $0 != "=" }
      let isOCI = NemoshellProgram.runVerb.flags.contains { $0.names.contains(String(name)) }
      if isOCI && !shared.contains(String(name)) { return false }
    }
    return words.contains { !$0.hasPrefix("-") && ($0.utf8.contains(UInt8(ascii: "/")) || $0.hasSuffix(".yaml")) }
  }

  /// Becomes the other executable; returns only by an error.
  static func execute(_ words: [String]) throws(Failure) {
    var own = try Files.readLink("/proc/self/exe")
    // A process that protects its executable runs from a mount which hides its place: then the path that was executed tells.
    if own == "/", let given = nemo_executed_path(), let resolved = realpath(given, nil) {
      own = String(cString: resolved)
      free(resolved)
    }
    guard own != "/" else { throw Failure("find \(program)", reason: "the executable's own place is not known") }
    let path = own.prefix(upTo: own.lastIndex(of: "/") ?? own.startIndex) + "/" + program
    var argv: [UnsafeMutablePointer<CChar>?] = ([program] + words).map { strdup($0) } + [nil]
    execve(String(path), &argv, environ)
    throw .last("execute", String(path), advice: "install \(program) beside nemoshell; make build makes both")
  }
}
