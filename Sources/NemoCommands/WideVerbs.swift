import Glibc
import NemoKernel

/// Verbs that another executable carries out, `nemoctl` beside this one, so that there is one command to know.
enum WideVerbs {
  static let program = "nemoctl"

  /// Names with what they do.
  static let table: [(name: String, summary: String)] = [
    ("blueprint", "write, check and compare blueprints"), ("policy", "say what a policy allows, by which rule"),
    ("doctor", "say what this host can enforce"),
  ]

  /// Becomes the other executable, with the same arguments from the verb on; returns only by an error.
  static func execute(_ words: [String]) throws(Failure) {
    let own = try Files.readLink("/proc/self/exe")
    // A word among the arguments looked like a verb that needs the executable's protection, which hides its place.
    guard own != "/" else { throw Failure("find \(program)", reason: "put the verb before all flags") }
    let path = own.prefix(upTo: own.lastIndex(of: "/") ?? own.startIndex) + "/" + program
    var argv: [UnsafeMutablePointer<CChar>?] = ([program] + words).map { strdup($0) } + [nil]
    execve(String(path), &argv, environ)
    throw .last("execute", String(path), advice: "install \(program) beside nemoshell; make build makes both")
  }
}
