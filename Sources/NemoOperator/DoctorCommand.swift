import ArgumentParser
import NemoBlueprint

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Say what this host can enforce, and what of it a blueprint lacks.",
    discussion: """
      Everything is tried on the running kernel; nothing is concluded from its version. Exit status: 0 all is there, 1 \
      something is missing that the blueprint (without one: every sandbox) needs, 2 misuse or no valid blueprint.
      """)
  @Flag(help: "Print JSON.") var json = false
  @Argument(help: "Blueprint file.") var file: String?

  func run() throws {
    let blueprint = try file.map { try Loaded.valid($0, status: 2) }
    let host = HostProbe.run()
    let missing = HostRequirements.missing(for: blueprint, on: host)
    if json {
      try Files.print(
        JSONValue.object([
          "host": .array(host.rows.map(Self.json)), "missing": .array(missing.map(Self.json)),
          "landlock_abi": .integer(host.landlockABI),
          "cgroup_controllers": .array(host.cgroupControllers.sorted().map { .string($0) }),
        ]).pretty)
    } else {
      try Files.print(host.text + missing.map { $0.text + "\n" }.joined())
    }
    if !missing.isEmpty { throw CommandFailure(description: "") }
  }

  private static func json(_ row: HostCapabilities.Row) -> JSONValue {
    .object(["name": .string(row.name), "state": .string(row.state), "detail": .string(row.detail)])
  }

  private static func json(_ missing: MissingCapability) -> JSONValue {
    .object([
      "what": .string(missing.what), "needed_by": .string(missing.neededBy), "advice": .string(missing.advice),
    ])
  }
}
