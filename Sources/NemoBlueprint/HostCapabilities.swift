import NemoPolicy

/// What a host can enforce, as its kernel answered: pure, the questions are asked elsewhere.
public struct HostCapabilities: Sendable, Hashable {
  /// Whether something is there.
  public enum Answer: Sendable, Hashable {
    /// It works.
    case works
    /// It does not, and why: an errno's name or a few words.
    case missing(String)
    /// It could not be found out, and why.
    case unknown(String)
  }

  /// For people: name and release of the kernel, and the machine. Nothing is concluded from it.
  public var kernel = ""
  /// The highest Landlock ABI; 0 for none.
  public var landlockABI = 0
  /// Landlock as a whole.
  public var landlock = Answer.unknown("not asked")
  /// Actions of filters by their name in the kernel, `errno`.
  public var seccompActions: [(name: String, answer: Answer)] = []
  /// Namespaces by name, `user`.
  public var namespaces: [(name: String, answer: Answer)] = []
  /// Most user namespaces (user.max_user_namespaces); nil where the kernel has no such limit.
  public var userNamespaceLimit: Int?
  /// `1`, `2`, `1 and 2`, or `none`.
  public var cgroupVersion = "none"
  /// Controllers that limits can be set with, by their name in version 2 (`io` for `blkio`).
  public var cgroupControllers: Set<String> = []
  /// The packet filter.
  public var nftables = Answer.unknown("not asked")
  /// The kernel's audit log.
  public var audit = Answer.unknown("not asked")
  /// Mounts that show other owners.
  public var idmappedMounts = Answer.unknown("not asked")
  /// System calls that nemoshell itself is made of, and that the kernel lacks.
  public var missingCalls: [String] = []

  /// Nothing known.
  public init() {}

  /// Whether both say the same.
  public static func == (a: Self, b: Self) -> Bool { a.rows == b.rows && a.cgroupControllers == b.cgroupControllers }

  /// Hashes what it says.
  public func hash(into hasher: inout Hasher) { hasher.combine(rows) }

  /// One line of the table.
  public struct Row: Sendable, Hashable {
    /// What it is about.
    public var name: String
    /// `yes`, `partly`, `no`, `?`, or empty for mere information.
    public var state: String
    /// More of it.
    public var detail: String
  }

  /// The table.
  public var rows: [Row] {
    let rights = FileRights.all.filter { $0.abi > landlockABI }.map(\.name) + Self.later(than: landlockABI)
    let lacking = rights.isEmpty ? "every right" : "lacks \(rights.joined(separator: ", "))"
    let limit = userNamespaceLimit.map { "at most \($0)" } ?? ""
    return [
      Row(name: "kernel", state: "", detail: kernel),
      landlockABI > 0
        ? Row(name: "Landlock", state: rights.isEmpty ? "yes" : "partly", detail: "ABI \(landlockABI), \(lacking)")
        : Self.row("Landlock", landlock, ""),
      Self.row("seccomp", seccompActions, ""),
      Self.row("namespaces", namespaces.filter { $0.name != "user" }, ""),
      Self.row("user namespaces", namespaces.first { $0.name == "user" }?.answer ?? .unknown("not asked"), limit),
      Row(
        name: "cgroups", state: cgroupControllers.isEmpty ? "no" : "yes",
        detail: "version \(cgroupVersion)"
          + (cgroupControllers.isEmpty ? "" : ": \(cgroupControllers.sorted().joined(separator: ", "))")),
      Self.row("nftables", nftables, "answers"),
      Self.row("audit", audit, "on"),
      Self.row("idmapped mounts", idmappedMounts, "on the root file system"),
      Row(
        name: "system calls", state: missingCalls.isEmpty ? "yes" : "no",
        detail: missingCalls.isEmpty ? "all that nemoshell uses" : "lacks \(missingCalls.joined(separator: ", "))"),
    ]
  }

  /// The table as text, its columns aligned.
  public var text: String {
    let rows = rows
    let width = rows.map(\.name.count).max() ?? 0
    return rows.map { row in
      let name = row.name + String(repeating: " ", count: width - row.name.count)
      let state = row.state + String(repeating: " ", count: max(0, 6 - row.state.count))
      return Diagnostic.printable("\(name)  \(state)  \(row.detail)") + "\n"
    }.joined()
  }

  /// What Landlock has besides file rights, with the ABI that brought it.
  static let otherRights = [
    ("bind_tcp", 4), ("connect_tcp", 4), ("abstract_unix_socket", 6), ("signal", 6), ("logged denials", 7),
  ]

  private static func later(than abi: Int) -> [String] { otherRights.filter { $0.1 > abi }.map(\.0) }

  private static func row(_ name: String, _ answer: Answer, _ works: String) -> Row {
    switch answer {
    case .works: Row(name: name, state: "yes", detail: works)
    case .missing(let why): Row(name: name, state: "no", detail: why)
    case .unknown(let why): Row(name: name, state: "?", detail: why)
    }
  }

  private static func row(_ name: String, _ parts: [(name: String, answer: Answer)], _ works: String) -> Row {
    let there = parts.filter { $0.answer == .works }.map(\.name)
    let others = parts.compactMap { part -> String? in
      switch part.answer {
      case .works: nil
      case .missing(let why): "no \(part.name) (\(why))"
      case .unknown(let why): "\(part.name)? (\(why))"
      }
    }
    let detail = (there.isEmpty ? [] : [there.joined(separator: ", ")]) + others
    let isMissing = parts.contains { if case .missing = $0.answer { true } else { false } }
    let state = others.isEmpty && !there.isEmpty ? "yes" : !there.isEmpty ? "partly" : isMissing ? "no" : "?"
    return Row(name: name, state: state, detail: detail.joined(separator: "; "))
  }
}
