import ArgumentParser
import NemoBlueprint

struct BlueprintCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "blueprint", abstract: "Write, check, compare and build blueprints.",
    subcommands: [
      New.self, Check.self, Lint.self, Build.self, Show.self, Diff.self, Import.self, Digest.self, Presets.self,
      SchemaCommand.self,
    ])
}

extension BlueprintCommand {
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say every error of blueprints.",
      discussion: "Exit status: 0 no error, 1 errors, 2 misuse. `-` is standard input.")
    @Flag(help: "Print a JSON array.") var json = false
    @Argument(help: "Blueprint files.") var files: [String]

    func validate() throws { if files.isEmpty { throw ValidationError("name a file") } }

    func run() throws {
      let loaded = try files.map { try Loaded($0) }
      let errors = loaded.flatMap(\.diagnostics).filter { $0.severity == .error }
      try Report.write(errors, dropped: loaded.map(\.dropped).reduce(0, +), json: json)
      if !errors.isEmpty { throw CommandFailure(description: "") }
    }
  }

  struct Lint: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say every error, and all that does not do what it seems to.",
      discussion: "Compares with the root file system too. Exit status: 0 nothing, 1 errors or warnings, 2 misuse.")
    @Flag(help: "Print a JSON array.") var json = false
    @Option(help: "Directory of the root file system; default the blueprint's own.") var rootfs: String?
    @Argument(help: "Blueprint files.") var files: [String]

    func validate() throws { if files.isEmpty { throw ValidationError("name a file") } }

    func run() throws {
      let loaded = try files.map { try Loaded($0, lintsRootfs: true, rootfs: rootfs) }
      let all = loaded.flatMap(\.diagnostics)
      try Report.write(all, dropped: loaded.map(\.dropped).reduce(0, +), json: json)
      if all.contains(where: { $0.severity != .note }) { throw CommandFailure(description: "") }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what a blueprint comes to, defaults included.")
    @Flag(help: "Print JSON.") var json = false
    @Argument(help: "Blueprint file.") var file: String

    func run() throws {
      let view = BlueprintView.json(try Loaded.valid(file))
      try Files.print(json ? view.pretty : BlueprintView.text(view))
    }
  }

  struct Digest: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the digest of what a blueprint says.",
      discussion: "Comments, layout and the order of keys do not change it; every value does.")
    @Argument(help: "Blueprint file.") var file: String

    func run() throws { try Files.print(try Loaded.valid(file).digest + "\n") }
  }

  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say what differs between two blueprints, defaults included.",
      discussion: "Exit status: 0 the same, 1 they differ, 2 misuse.")
    @Flag(help: "Print a JSON array.") var json = false
    @Argument(help: "Old blueprint.") var old: String
    @Argument(help: "New blueprint.") var new: String

    func run() throws {
      let before = BlueprintView.json(try Loaded.valid(old, status: 2))
      let after = BlueprintView.json(try Loaded.valid(new, status: 2))
      let changes = ValueDiff.changes(from: before, to: after)
      if json {
        try Files.print(JSONValue.array(changes.map(\.json)).pretty)
      } else {
        try Files.print(changes.map { $0.text + "\n" }.joined())
      }
      if !changes.isEmpty { throw CommandFailure(description: "") }
    }
  }

  struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "schema", abstract: "Print the JSON Schema of blueprints, or the reference of every field.")
    @Flag(help: "Print the reference in Markdown.") var reference = false

    func run() throws { try Files.print(reference ? SchemaDocument.reference : SchemaDocument.json.pretty) }
  }
}
