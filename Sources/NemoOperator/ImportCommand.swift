import ArgumentParser
import NemoBlueprint

extension BlueprintCommand {
  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a blueprint of an OpenShell policy, a NemoClaw blueprint or a NemoClaw preset.",
      discussion:
        "The blueprint goes to standard output or --output; a report of every line that has no meaning, is dead or is weaker than it reads goes to standard error. Exit status: 0 done, 1 nothing could be made of it or the result needs work, 2 misuse."
    )
    @Option(name: [.short, .long], help: "File to write.") var output: String?
    @Flag(help: "Replace an existing file.") var force = false
    @Option(help: "Name of the blueprint; default the file's own.") var name: String?
    @Option(help: ArgumentHelp("Program for rules that name none; may be repeated.", valueName: "path")) var binary:
      [String] = []
    @Option(help: "Directory of the root file system, to look programs and paths up in.") var rootfs: String?
    @Flag(help: "Print the report as a JSON array instead, on standard output with --output.") var json = false
    @Argument(help: "File to import.") var file: String

    func validate() throws { if json && output == nil { throw ValidationError("--json needs --output") } }

    func run() throws {
      var options = BlueprintImport.Options()
      options.name = name ?? ""
      options.binaries = binary
      options.rootfs = rootfs
      if let rootfs, Rootfs(directory: rootfs) == nil {
        throw CommandFailure(description: "\(rootfs): is no directory", status: 2)
      }
      let outcome = BlueprintImport.run(try Files.read(file), file: file, options: options)
      let findings = outcome.report.sorted
      if json {
        try Files.print(JSONValue.array(findings.map(\.json)).pretty)
      } else {
        findings.forEach { Files.complain($0.text) }
      }
      guard let text = outcome.text else { throw CommandFailure(description: "\(file): nothing was imported") }
      if let output { try Files.create(output, text, replacing: force) } else { try Files.print(text) }
      let (blueprint, diagnostics) = BlueprintReader.read(Array(text.utf8), file: output ?? "imported")
      guard blueprint == nil else { return }
      for problem in diagnostics.sorted where problem.severity == .error { Files.complain(problem.text) }
      throw CommandFailure(description: "\(file): the blueprint needs work before it can be used")
    }
  }
}
