/// Where a rule was written.
public struct Origin: Sendable, Hashable, CustomStringConvertible {
  /// The file as the user named it; empty for a rule that nemoshell itself brings.
  public var file: String
  /// Line, from 1; 0 for a built-in rule.
  public var line: Int

  /// An origin at a line of a file.
  public init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  /// A rule that every sandbox has.
  public static let builtIn = Origin(file: "", line: 0)

  /// `file:line`, or `built in`.
  public var description: String { line == 0 ? "built in" : "\(file):\(line)" }
}

/// Rights on a path and everything below it.
public struct FileRule: Sendable, Hashable {
  /// Absolute, clean path.
  public var path: String
  /// What is granted.
  public var rights: FileRights
  /// How the rule reads, for explanations: `read_only /usr`.
  public var name: String
  /// Where it was written.
  public var origin: Origin

  /// A grant of `rights` on `path` and below.
  public init(path: String, rights: FileRights, name: String, origin: Origin) {
    self.path = path
    self.rights = rights
    self.name = name
    self.origin = origin
  }
}

/// A mount of the sandbox, as far as the policy sees it.
public struct MountRule: Sendable, Hashable {
  /// Where it is mounted.
  public var path: String
  /// Whether nothing on it can be changed.
  public var isReadOnly: Bool
  /// Whether programs can be run from it.
  public var isExecutable: Bool
  /// What is mounted inside of it is read-only too.
  public var coversInner: Bool
  /// How it reads: `root file system`, `workspace`.
  public var name: String
  /// Where it was written.
  public var origin: Origin

  /// A mount at `path`.
  public init(
    path: String, isReadOnly: Bool, isExecutable: Bool = true, coversInner: Bool = false, name: String, origin: Origin
  ) {
    self.path = path
    self.isReadOnly = isReadOnly
    self.isExecutable = isExecutable
    self.coversInner = coversInner
    self.name = name
    self.origin = origin
  }
}

/// The file rules of a policy, indexed by path.
struct FileRules: Sendable {
  private var rules: [String: [FileRule]] = [:]
  private var mounts: [String: MountRule] = [:]

  init(_ rules: [FileRule], _ mounts: [MountRule]) {
    for rule in rules { self.rules[rule.path, default: []].append(rule) }
    for mount in mounts { self.mounts[mount.path] = mount }
  }

  /// Landlock adds the rights of a path's ancestors up; a mount takes the changing ones, or running programs, away again.
  func decide(_ path: String, _ wanted: FileRights) -> Decision {
    var missing = wanted
    var granting: FileRule?
    var nearest: FileRule?
    for ancestor in Ancestors(path) {
      for rule in rules[ancestor] ?? [] {
        nearest = nearest ?? rule
        var usable = rule.rights
        if ancestor == path, path != "/" { usable.subtract(.ofParent) }
        if !missing.isDisjoint(with: usable) {
          granting = granting ?? rule
          missing.subtract(usable)
        }
      }
    }
    guard missing.isEmpty else {
      let lacking = missing.names.joined(separator: ", ")
      let reason =
        nearest.map { "\($0.name) does not grant \(lacking) on \(path)" } ?? "no rule grants \(lacking) on \(path)"
      return Decision(.deny, by: .landlock, rule: nearest.map { ($0.name, $0.origin) }, reason: reason)
    }
    guard let rule = granting else {
      return Decision(.allow, by: .landlock, rule: nil, reason: "nothing was asked for on \(path)")
    }
    if !wanted.isDisjoint(with: .changing), let mount = readOnlyMount(of: path) {
      return Decision(
        .deny, by: .readOnlyMount, rule: (mount.name, mount.origin),
        reason: "\(path) is on the read-only \(mount.name) at \(mount.path), although \(rule.name) grants it")
    }
    if wanted.contains(.execute), let mount = mount(of: path), !mount.isExecutable {
      return Decision(
        .deny, by: .noexecMount, rule: (mount.name, mount.origin),
        reason:
          "\(path) is on the \(mount.name) at \(mount.path), which runs no programs, although \(rule.name) grants it")
    }
    return Decision(.allow, by: .landlock, rule: (rule.name, rule.origin), reason: "\(rule.name) grants it")
  }

  /// The mount that keeps the path from being changed: its own, or one around that covers what is mounted inside.
  private func readOnlyMount(of path: String) -> MountRule? {
    let around = Ancestors(path).compactMap { mounts[$0] }
    return around.first.flatMap { $0.isReadOnly ? $0 : nil } ?? around.first { $0.isReadOnly && $0.coversInner }
  }

  private func mount(of path: String) -> MountRule? {
    for ancestor in Ancestors(path) { if let mount = mounts[ancestor] { return mount } }
    return nil
  }
}

/// A path and the directories above it, the nearest first.
private struct Ancestors: Sequence, IteratorProtocol {
  private var upcoming: String?

  init(_ path: String) { upcoming = path }

  mutating func next() -> String? {
    defer { upcoming = upcoming == "/" ? nil : upcoming.map(PolicyPath.parent) }
    return upcoming
  }
}
