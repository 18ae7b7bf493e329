import Glibc
import NemoPolicy

/// Compares a blueprint with the root file system it is for: rules about what is not there never match.
public struct RootfsLint {
  private let rootfs: Rootfs
  private let blueprint: Blueprint
  private var diagnostics: Diagnostics

  /// What is wrong with `blueprint` on `rootfs`.
  public static func run(_ blueprint: Blueprint, _ rootfs: Rootfs) -> Diagnostics {
    var lint = RootfsLint(rootfs: rootfs, blueprint: blueprint, diagnostics: Diagnostics(file: blueprint.file))
    lint.program()
    lint.paths()
    lint.binaries()
    lint.users()
    return lint.diagnostics
  }

  private mutating func program() {
    guard let args = blueprint.source["sandbox"]?["process"]?["args"]?.elements, let first = args.first,
      let path = first.text
    else { return }
    executable(path, first, "sandbox.process.args[0]")
  }

  private mutating func executable(_ path: String, _ value: Value, _ field: String) {
    if isCovered(path) { return }
    guard let item = rootfs.resolve(path) else {
      return diagnostics.error(value.position, field, "\(path) does not exist in the root file system")
    }
    if item.mode & S_IFMT != S_IFREG {
      diagnostics.error(value.position, field, "\(path) is no file")
    } else if item.mode & 0o111 == 0 {
      diagnostics.error(value.position, field, "\(path) is not executable")
    } else if blueprint.policy().decide(.file(path: item.path, rights: .run)).verdict == .deny {
      diagnostics.error(value.position, field, "\(item.path) is what runs, and no rule lets it be executed")
    }
  }

  /// The path is on a mount, so that the root file system does not tell.
  private func isCovered(_ path: String) -> Bool {
    blueprint.outerMounts.contains { $0.path != "/" && PolicyPath.isInside(path, $0.path) }
  }

  private mutating func paths() {
    let filesystem = blueprint.source["policy"]?["filesystem"]
    for field in ["read_only", "read_write", "execute"] {
      for (index, value) in (filesystem?[field]?.elements ?? []).enumerated() {
        guard let path = value.text, !isCovered(path), rootfs.resolve(path) == nil else { continue }
        diagnostics.error(
          value.position, "policy.filesystem.\(field)[\(index)]", "\(path) does not exist in the root file system")
      }
    }
  }

  private mutating func binaries() {
    for rule in blueprint.source["policy"]?["network_policies"]?.entries ?? [] {
      for (index, value) in (rule.value["binaries"]?.elements ?? []).enumerated() {
        let field = "policy.network_policies.\(rule.key).binaries[\(index)]"
        if let program = value["path"], let path = program.text { binary(path, program, "\(field).path") }
        if let script = value["script"], let path = script.text, !isCovered(path), rootfs.matches(path).isEmpty {
          diagnostics.error(script.position, "\(field).script", "\(path) does not exist in the root file system")
        }
      }
    }
  }

  private mutating func binary(_ path: String, _ value: Value, _ field: String) {
    if isCovered(path) { return }
    let found = rootfs.matches(path)
    guard !found.isEmpty else {
      return diagnostics.error(
        value.position, field, "\(path) does not exist in the root file system, so the rule never matches")
    }
    guard Glob(path, separator: .slash).isLiteral, let item = rootfs.resolve(path) else { return }
    if let interpreter = rootfs.interpreter(path) {
      diagnostics.error(
        value.position, field,
        "\(path) is a script: the program that runs is \(interpreter); write path: \(interpreter) and script: \(item.path)"
      )
    } else if item.path != path {
      diagnostics.error(value.position, field, "\(path) is a symbolic link; the program that runs is \(item.path)")
    }
  }

  private mutating func users() {
    let process = blueprint.source["policy"]?["process"]
    guard let value = process?["run_as_user"], let name = value.text, UInt32(name) == nil else { return }
    guard let uid = rootfs.uid(name) else {
      return diagnostics.error(
        value.position, "policy.process.run_as_user", "\(name) is not in /etc/passwd of the root file system")
    }
    if uid == 0, !blueprint.identity.allowsRoot {
      diagnostics.error(
        value.position, "policy.process.run_as_user",
        "\(name) is user 0 in the root file system; name another, or set allow_root: true")
    }
  }
}
