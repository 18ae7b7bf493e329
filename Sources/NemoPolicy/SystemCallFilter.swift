/// System call rules as a filter of the kernel can hold them: no call is covered by two entries that differ, and no entry
/// compares one argument twice.
///
/// Compilers of filters (libseccomp, and so every OCI runtime) let an entry without conditions swallow those with some,
/// and read two conditions on one argument as alternatives. So where rules of different outcomes meet, what an earlier
/// one covers is cut out of the later ones, in pieces that compare bits. A filter made of the entries, in any order, answers
/// every call as ``Policy/decide(_:)`` does.
public struct SystemCallFilter: Sendable, Hashable {
  /// Calls that are treated alike.
  public struct Entry: Sendable, Hashable {
    /// The calls, sorted.
    public var names: [String]
    /// All must hold; each compares another argument.
    public var conditions: [ArgumentCondition]
    /// What happens.
    public var outcome: SystemCallRule.Outcome
  }

  /// The rules of one call that would take too many entries.
  public struct TooManyEntries: Error, Sendable, Hashable {
    /// The call.
    public var name: String
  }

  /// Most entries of one call; the kernel takes 4096 instructions for the whole filter.
  public static let limit = 128
  /// Most entries of a call where some compare one argument first and others another: libseccomp (2.5.4) follows every way
  /// from the one to the other, and takes seconds with 25 and for ever with 40.
  public static let mixedLimit = 16

  /// What happens to named calls without a matching entry, and to numbers that are not named.
  public static let defaultErrno = AgentProfile.uncoveredErrno

  /// Calls with one outcome first, then those whose arguments decide, by name; for the latter nothing is said of arguments
  /// that ``defaultErrno`` answers anyway.
  public let entries: [Entry]

  /// Makes the entries of `rules`.
  public init(_ rules: [SystemCallRule]) throws(TooManyEntries) {
    var byName: [String: [SystemCallRule]] = [:]
    for rule in rules { for name in Set(rule.names) { byName[name, default: []].append(rule) } }
    var whole: [SystemCallRule.Outcome: [String]] = [:]
    var byArguments: [Entry] = []
    for name in byName.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      let pieces = Self.pieces(byName[name] ?? [])
      guard let pieces, Self.isManageable(pieces) else { throw TooManyEntries(name: name) }
      if pieces.count == 1, pieces[0].conditions.isEmpty {
        whole[pieces[0].outcome, default: []].append(name)
      } else {
        byArguments += pieces.map { Entry(names: [name], conditions: $0.conditions, outcome: $0.outcome) }
      }
    }
    let first = whole.map { Entry(names: $0.value, conditions: [], outcome: $0.key) }
      .sorted { ($0.outcome.text, $0.names[0]) < ($1.outcome.text, $1.names[0]) }
    // Runtimes take numbers above the newest named one for unknown, so calls that always fail are named too.
    entries = first + byArguments.filter { $0.outcome != .refuse(errno: Self.defaultErrno) }
  }

  private typealias Piece = (conditions: [ArgumentCondition], outcome: SystemCallRule.Outcome)

  /// The rules of one call in order of precedence, without those that never matter.
  private static func effective(_ rules: [SystemCallRule]) -> [SystemCallRule] {
    let refusals = rules.filter { $0.outcome != .allow }
    if let last = refusals.firstIndex(where: { $0.conditions.isEmpty }) { return Array(refusals[...last]) }
    let allowances = rules.filter { $0.outcome == .allow }
    let whole = allowances.first { $0.conditions.isEmpty }
    return refusals + (whole.map { [$0] } ?? allowances)
  }

  /// Disjoint pieces for the rules of one call; nil where there are too many.
  private static func pieces(_ all: [SystemCallRule]) -> [Piece]? {
    let rules = effective(all)
    if isPlain(rules) { return rules.map { ($0.conditions, $0.outcome) } }
    var taken: [ArgumentBox] = []
    var pieces: [Piece] = []
    for rule in rules {
      let boxes = ArgumentBox.boxes(rule.conditions, limit: limit)
      guard var open = boxes else { return nil }
      for earlier in taken {
        open = open.flatMap { $0.subtracting(earlier) }
        guard open.count <= limit else { return nil }
      }
      pieces += open.map { ($0.conditions, rule.outcome) }
      taken += boxes ?? []
      guard pieces.count <= limit, taken.count <= limit else { return nil }
    }
    return pieces
  }

  private static func isManageable(_ pieces: [Piece]) -> Bool {
    let written = pieces.filter { $0.outcome != .refuse(errno: defaultErrno) }
    return written.count <= limit && isManageable(written.map { $0.conditions.sorted { $0.index < $1.index }[...] })
  }

  private static func isManageable(_ lists: [ArraySlice<ArgumentCondition>]) -> Bool {
    let open = lists.filter { !$0.isEmpty }
    guard Set(open.compactMap { $0.first?.index }).count <= 1 else {
      return open.count <= mixedLimit || open.allSatisfy { $0.count == 1 }
    }
    let groups = Dictionary(grouping: open) { $0.first }
    return groups.values.allSatisfy { isManageable($0.map { $0.dropFirst() }) }
  }

  /// Whether the rules can stay as they were written: one rule, or alternatives that compare bits of the same arguments, with
  /// one outcome. (libseccomp 2.5.4 mixes up alternatives that compare greater, less and unequal.)
  private static func isPlain(_ rules: [SystemCallRule]) -> Bool {
    let arguments = { (rule: SystemCallRule) in rule.conditions.map(\.index).sorted() }
    guard let first = rules.first else { return false }
    return rules.count <= limit
      && rules.allSatisfy { rule in
        rule.outcome == first.outcome && Set(arguments(rule)).count == rule.conditions.count
          && arguments(rule) == arguments(first) && rule.conditions.allSatisfy { $0.canHold }
          && (rules.count == 1 || rule.conditions.allSatisfy { [.equal, .maskedEqual].contains($0.comparison) })
      }
  }
}

extension SystemCallRule.Outcome {
  fileprivate var text: String {
    switch self {
    case .allow: ""
    case .refuse(let errno): errno
    }
  }
}

extension ArgumentCondition {
  /// Whether there is an argument for which the condition holds, and one for which it does not.
  fileprivate var canHold: Bool { comparison != .maskedEqual || (value & ~mask == 0 && mask != 0) }
}
