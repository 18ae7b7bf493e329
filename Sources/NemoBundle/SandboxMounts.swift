import NemoBlueprint
import NemoPolicy

/// The mounts of a sandbox, as config.json has them.
struct SandboxMounts {
  let blueprint: Blueprint
  /// What is mounted as the workspace; relative to the bundle or absolute.
  let workspace: String

  /// Largest size of /tmp and /dev/shm, which count as memory of the sandbox too.
  private static let temporarySize = "536870912"
  private static let sharedMemorySize = "67108864"

  /// Where something is mounted, besides `/`.
  static func destinations(_ blueprint: Blueprint) -> [String] {
    Blueprint.builtInMounts.map(\.path) + ["/dev/pts"] + (blueprint.sandbox.workspace.map { [$0] } ?? [])
      + blueprint.sandbox.mounts.map(\.destination)
  }

  /// The mounts, those of outer directories first.
  func compile() throws -> JSONValue {
    var mounts = builtIn()
    if let path = blueprint.sandbox.workspace {
      mounts[path] = bind(path, workspace, ["rw"] + (canExecute(in: path) ? [] : ["noexec"]))
    }
    for item in blueprint.sandbox.mounts {
      let access = (item.isWritable ? ["rw"] : ["ro"]) + (item.isExecutable ? [] : ["noexec"])
      if let source = item.source {
        let host = try HostPath.absolute(source, from: blueprint.file)
        mounts[item.destination] = bind(item.destination, host, access)
      } else {
        mounts[item.destination] = mount(
          item.destination, "tmpfs", ["nosuid", "nodev", "mode=1777", "size=\(item.size)"] + access)
      }
    }
    let sorted = mounts.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    return .array(sorted.map(\.value))
  }

  private func builtIn() -> [String: JSONValue] {
    let strict = ["nosuid", "noexec", "nodev"]
    let temporary =
      ["nosuid", "nodev", "mode=1777", "size=\(Self.temporarySize)"] + (canExecute(in: "/tmp") ? [] : ["noexec"])
    return [
      "/proc": mount("/proc", "proc", strict),
      "/dev": mount("/dev", "tmpfs", ["nosuid", "noexec", "strictatime", "mode=755", "size=65536"]),
      "/dev/pts": mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
      "/dev/shm": mount("/dev/shm", "tmpfs", strict + ["mode=1777", "size=\(Self.sharedMemorySize)"]),
      "/sys": mount("/sys", "sysfs", strict + ["ro"]), "/tmp": mount("/tmp", "tmpfs", temporary),
    ]
  }

  /// A rule lets programs be executed at `path`, above or below it.
  private func canExecute(in path: String) -> Bool {
    blueprint.filesystem.rules.contains {
      $0.rights.contains(.execute) && (PolicyPath.isInside($0.path, path) || PolicyPath.isInside(path, $0.path))
    }
  }

  private func mount(_ destination: String, _ type: String, _ options: [String]) -> JSONValue {
    .object([
      "destination": .string(destination), "type": .string(type), "source": .string(type),
      "options": .array(options.map { .string($0) }),
    ])
  }

  private func bind(_ destination: String, _ source: String, _ options: [String]) -> JSONValue {
    .object([
      "destination": .string(destination), "type": .string("bind"), "source": .string(source),
      "options": .array((["bind", "private", "nosuid", "nodev"] + options).map { .string($0) }),
    ])
  }
}
