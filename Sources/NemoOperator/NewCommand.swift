import ArgumentParser
import NemoBlueprint

/// What `new` and `presets` are told about presets.
struct PresetOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Program that may use the presets, instead of their own; may be repeated.", valueName: "path"))
  var binary: [String] = []
  @Option(help: "Directory of the root file system; presets name the programs that it has.") var rootfs: String?
  @Option(help: ArgumentHelp("Package registry instead of the configured one; may be repeated.", valueName: "url"))
  var registry: [String] = []

  func rule(_ name: String) throws -> String {
    guard let preset = Preset.named(name) else {
      throw CommandFailure(
        description: "\(name): no such preset (legal: \(Preset.all.map(\.name).joined(separator: ", ")))", status: 2)
    }
    let tree = try rootfs.map { directory in
      guard let tree = Rootfs(directory: directory) else {
        throw CommandFailure(description: "\(directory): is no directory", status: 2)
      }
      return tree
    }
    do { return try preset.rule(programs: binary, rootfs: tree, registries: registry) } catch {
      throw CommandFailure(description: error.description)
    }
  }
}

extension BlueprintCommand {
  struct New: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a blueprint to start from.", discussion: "`blueprint presets` lists the presets.")
    @Flag(help: "Replace an existing file.") var force = false
    @Option(help: "Name of the blueprint; default the file's.") var name: String?
    @Option(help: ArgumentHelp("Network rules to put in; may be repeated.", valueName: "name")) var preset: [String] =
      []
    @OptionGroup var presets: PresetOptions
    @Argument(help: "File to write; `-` is standard output.") var file: String

    func run() throws {
      let stem = file.split(separator: "/").last.map(String.init) ?? "agent"
      let base = stem.hasSuffix(".yaml") ? String(stem.dropLast(5)) : stem
      let rules = try preset.map { try presets.rule($0) }.joined()
      let text = Template.blueprint(name: name ?? (file == "-" ? "agent" : base), rules: rules)
      let (blueprint, diagnostics) = BlueprintReader.read(Array(text.utf8), file: file)
      guard blueprint != nil else {
        let problem = diagnostics.sorted.first { $0.severity == .error }
        throw CommandFailure(description: problem.map(\.text) ?? "\(file): is no name; give one with --name", status: 2)
      }
      if file == "-" { try Files.print(text) } else { try Files.create(file, text, replacing: force) }
    }
  }

  struct Presets: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the presets, or print one as network_policies.")
    @OptionGroup var presets: PresetOptions
    @Argument(help: "Preset to print.") var name: String?

    func run() throws {
      if let name { return try Files.print("network_policies:\n" + presets.rule(name)) }
      let width = Preset.all.map(\.name.count).max() ?? 0
      let lines = Preset.all.map { preset in
        preset.name + String(repeating: " ", count: width + 2 - preset.name.count) + preset.description + "\n"
      }
      try Files.print(lines.joined())
    }
  }
}
