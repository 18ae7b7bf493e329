import ArgumentParser
import NemoBlueprint
import NemoBundle

extension BlueprintCommand {
  struct Build: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make an OCI bundle of a blueprint.",
      discussion:
        "The same blueprint and root file system give the same bytes; nemoshell.lock has every digest. Exit status: 0 done, 1 not, 2 misuse."
    )
    @Option(name: [.short, .long], help: ArgumentHelp("Directory to make.", valueName: "dir")) var output: String
    @Flag(help: "Replace an older bundle.") var force = false
    @Flag(help: "Permit network mode host, in which nothing holds the network.") var allowHost = false
    @Flag(help: "Print the lock as JSON.") var json = false
    @Argument(help: "Blueprint file.") var file: String

    func run() throws {
      let text = try Files.read(file)
      let blueprint = try Loaded.valid(file, text: text)
      let built = try BundleBuilder(blueprint, text: text, network: try BundleNetwork(allowsHost: allowHost)).build(
        at: output, replacing: force)
      built.warnings.forEach { Files.complain($0.text) }
      if built.dropped > 0 { Files.complain("nemoshell: \(built.dropped) device nodes and sockets were left out") }
      if json { return try Files.print(built.lock.pretty) }
      try Files.print("\(output): \(blueprint.name) \(blueprint.version), rootfs \(built.lock["rootfs"]?.text ?? "")\n")
    }
  }
}
