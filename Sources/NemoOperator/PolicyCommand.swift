import ArgumentParser
import NemoBlueprint
import NemoPolicy

struct PolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "Ask a policy what it allows.",
    subcommands: [Explain.self, Decide.self, Test.self, SeccompCommand.self])
}

extension PolicyCommand {
  struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say whether an action is allowed, by which rule, and what enforces it.",
      discussion:
        "Exit status: 0 allowed, 1 denied, 2 misuse or no valid blueprint. Paths are those after symbolic links.")
    @Option(help: ArgumentHelp("Reading a file.", valueName: "path")) var read: String?
    @Option(help: ArgumentHelp("Listing a directory.", valueName: "path")) var list: String?
    @Option(help: ArgumentHelp("Writing a file that exists.", valueName: "path")) var write: String?
    @Option(help: ArgumentHelp("Creating a file.", valueName: "path")) var create: String?
    @Option(help: ArgumentHelp("Removing a file.", valueName: "path")) var remove: String?
    @Option(help: ArgumentHelp("Running a program.", valueName: "path")) var exec: String?
    @Option(help: ArgumentHelp("Connecting.", valueName: "host:port")) var connect: String?
    @Option(help: ArgumentHelp("An HTTP request.", valueName: "'METHOD URL'")) var request: String?
    @Option(name: [.customLong("syscall")], help: ArgumentHelp("A system call.", valueName: "name")) var systemCall:
      String?
    @Option(help: ArgumentHelp("Arguments of the system call, with commas; _ for unknown.", valueName: "a,b,…"))
    var args: String?
    @Option(help: ArgumentHelp("Using a capability.", valueName: "CAP_…")) var capability: String?
    @Option(help: ArgumentHelp("Program that connects.", valueName: "path")) var binary: String?
    @Flag(help: "Connect over UDP.") var udp = false
    @Flag(help: "Answer as with the egress gate, which enforces names, programs and requests.") var gate = false
    @Flag(help: "Print JSON.") var json = false
    @Argument(help: "Blueprint file.") var file: String

    private var given: [String] {
      [read, list, write, create, remove, exec, connect, request, systemCall, capability].compactMap { $0 }
    }

    func validate() throws {
      if given.count != 1 {
        throw ValidationError(
          "give exactly one of --read, --list, --write, --create, --remove, --exec, --connect, --request, --syscall, --capability"
        )
      }
    }

    func run() throws {
      let blueprint = try Loaded.valid(file, status: 2)
      let decision = blueprint.policy(hasGate: gate).decide(try action())
      try Files.print(json ? DecisionText.json(decision).pretty : DecisionText.text(decision))
      if decision.verdict == .deny { throw CommandFailure(description: "") }
    }

    private func action() throws -> Action {
      let files: [(String?, FileRights)] = [
        (read, .readFile), (list, .readDir), (write, .writeFile), (create, .create), (remove, .removeFile),
        (exec, .run),
      ]
      for case (let path?, let rights) in files {
        if let problem = PolicyPath.problem(path) { throw misuse("\"\(path)\" \(problem)") }
        return .file(path: path, rights: rights)
      }
      if let connect {
        guard let target = SocketTarget(connect) else { throw misuse("\"\(connect)\" is not HOST:PORT") }
        return .connect(
          Connection(to: target.destination, port: target.port, transport: udp ? .udp : .tcp, binary: binary))
      }
      if let request {
        guard let action = Requests.action(request, binary: binary) else {
          throw misuse("\"\(request)\" is not METHOD URL")
        }
        return action
      }
      if let capability { return .capability(capability) }
      return .systemCall(name: systemCall ?? "", arguments: try arguments())
    }

    private func arguments() throws -> [UInt64?] {
      try (args ?? "").split(separator: ",").map { word in
        if word == "_" { return nil }
        let value = word.hasPrefix("0x") ? UInt64(word.dropFirst(2), radix: 16) : UInt64(word)
        guard let value else { throw misuse("--args: \"\(word)\" is no number") }
        return value
      }
    }

    private func misuse(_ text: String) -> CommandFailure { CommandFailure(description: text, status: 2) }
  }

  struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check the `expect` list of blueprints against the policy engine.",
      discussion: "Exit status: 0 all as expected, 1 not, 2 misuse or no valid blueprint.")
    @Option(help: ArgumentHelp("Write a JUnit report.", valueName: "file")) var junit: String?
    @Flag(help: "Answer as with the egress gate.") var gate = false
    @Argument(help: "Blueprint files.") var files: [String]

    func validate() throws { if files.isEmpty { throw ValidationError("name a file") } }

    func run() throws {
      var suites: [PolicyTest.Suite] = []
      for file in files {
        let blueprint = try Loaded.valid(file, status: 2)
        guard !blueprint.expectations.isEmpty else {
          throw CommandFailure(description: "\(file): has no expect list, so there is nothing to test", status: 2)
        }
        suites.append(PolicyTest.run(blueprint, hasGate: gate))
      }
      try Files.print(suites.map(\.text).joined())
      if let junit { try Files.create(junit, PolicyTest.junit(suites), replacing: true) }
      if suites.contains(where: { $0.failures > 0 }) { throw CommandFailure(description: "") }
    }
  }

  struct SeccompCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "seccomp", abstract: "Print the system call filter as `linux.seccomp` of an OCI configuration.",
      discussion: "Without a blueprint, the profile `agent`. Exit status: 0 done, 2 misuse or no valid blueprint.")
    @Argument(help: "Blueprint file.") var file: String?

    func run() throws {
      let rules = try file.map { try Loaded.valid($0, status: 2).systemCalls } ?? AgentProfile.rules
      try Files.print(SeccompDocument.json(try SystemCallFilter(rules)).pretty)
    }
  }
}
