import Glibc
import NemoBlueprint

/// What holds a sandbox, as the kernel says of its process: nothing is taken from what was asked for.
struct Verification {
  let pid: pid_t
  /// `nemoshell state` of the container.
  let state: JSONValue

  /// What the process is held by itself; found in a process that has ended too, as long as nobody has reaped it.
  func restrictions() throws -> [String] {
    let status = try fields("/proc/\(pid)/status")
    var found: [String] = []
    // The runtime has tried the canaries before it says this (spec/landlock.md).
    if let enforced = state["annotations"]?["nemoshell.landlock.enforced"]?.text, enforced.hasPrefix("abi ") {
      found.append("Landlock ABI " + enforced.dropFirst(4).prefix { $0.isNumber })
    }
    if status["Seccomp"] == "2" { found.append("seccomp") }
    if status["NoNewPrivs"] == "1" { found.append("no new privileges") }
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
    if sets.allSatisfy({ status[$0].map { $0.allSatisfy { $0 == "0" } } ?? false }) { found.append("no capabilities") }
    if let ids = status["Uid"].map({ Set($0.split(separator: "\t")) }), ids.count == 1, let uid = ids.first, uid != "0"
    {
      found.append("user \(uid)")
    }
    return found
  }

  /// What surrounds it, from before its program runs.
  func surroundings() throws -> [String] {
    var found: [String] = []
    if try isApart("net") { found.append(try hasLoopbackAlone() ? "no network" : "own network") }
    if try ["pid", "ipc", "uts", "mnt"].allSatisfy(isApart) { found.append("own namespaces") }
    if try isRootReadOnly() { found.append("read-only root") }
    return found
  }

  private func fields(_ path: String) throws -> [String: String] {
    guard let bytes = try RegistryFiles.read(path) else { throw SandboxFailure("\(path): is gone") }
    var result: [String: String] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { result[String(parts[0])] = String(parts[1].drop { $0 == "\t" || $0 == " " }) }
    }
    return result
  }

  /// The process has another namespace than this one.
  private func isApart(_ kind: String) throws -> Bool {
    let own = Self.link("/proc/self/ns/\(kind)")
    let other = Self.link("/proc/\(pid)/ns/\(kind)")
    guard let own, let other else { return false }
    return own != other
  }

  private static func link(_ path: String) -> String? {
    var bytes = [CChar](repeating: 0, count: 256)
    let count = readlink(path, &bytes, bytes.count)
    return count <= 0 ? nil : String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Devices of the process's network namespace.
  private func hasLoopbackAlone() throws -> Bool {
    guard let bytes = try RegistryFiles.read("/proc/\(pid)/net/dev") else { return false }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst(2)
    let names = lines.compactMap { $0.split(separator: ":").first }.map { String($0.drop { $0 == " " }) }
    // The kernel makes these in every namespace where the modules are loaded; they are down and lead nowhere.
    let inert = ["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"]
    return Set(names).subtracting(inert) == ["lo"]
  }

  private func isRootReadOnly() throws -> Bool {
    guard let bytes = try RegistryFiles.read("/proc/\(pid)/mountinfo") else { return false }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count > 5, words[4] == "/" { return words[5].split(separator: ",").contains("ro") }
    }
    return false
  }
}
