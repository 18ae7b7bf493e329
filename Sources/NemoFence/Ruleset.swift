/// Tables of the kernel's packet filter as they are to be, and as they are read back: equal exactly when the kernel does what was meant.
///
/// The words are nftables' own; numbers are those of linux/netfilter/nf_tables.h.
public struct Ruleset: Sendable, Hashable {
  /// The address family of a table (NFPROTO_*).
  public enum Family: UInt8, Sendable, Hashable, CaseIterable {
    /// IPv4 and IPv6.
    case inet = 1
    /// ARP.
    case arp = 3
    /// Everything on one device.
    case netdev = 5

    /// As `nft` writes it.
    public var name: String {
      switch self {
      case .inet: "inet"
      case .arp: "arp"
      case .netdev: "netdev"
      }
    }
  }

  /// A table.
  public struct Table: Sendable, Hashable {
    /// Its family.
    public var family: Family
    /// Its name.
    public var name: String
    /// A text that belongs to it: whose it is.
    public var comment: String
    /// Its chains, by name.
    public var chains: [Chain]
    /// It holds more than these chains: others, or sets.
    public var hasMore = false

    /// A table.
    public init(_ family: Family, _ name: String, comment: String, chains: [Chain]) {
      self.family = family
      self.name = name
      self.comment = comment
      self.chains = chains
    }
  }

  /// Where in a packet's way a chain is.
  public enum Hook: UInt32, Sendable, Hashable {
    /// Before routing; the entrance of a device in family netdev; what comes in, in family arp.
    case prerouting = 0
    /// To this machine; what goes out, in family arp.
    case input = 1
    /// Through this machine.
    case forward = 2
    /// From this machine.
    case output = 3
    /// After routing.
    case postrouting = 4
  }

  /// A chain that packets come to by themselves.
  public struct Chain: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// `filter` or `nat`.
    public var kind: String
    /// Where it is; in the numbers of its family.
    public var hook: Hook
    /// Its place among the chains there.
    public var priority: Int32
    /// Whether a packet that no rule decides is dropped.
    public var drops: Bool
    /// The device, in family netdev.
    public var device: String?
    /// Rules, in order.
    public var rules: [Rule]

    /// A chain.
    public init(
      _ name: String, _ kind: String, _ hook: Hook, priority: Int32, drops: Bool, device: String? = nil, rules: [Rule]
    ) {
      self.name = name
      self.kind = kind
      self.hook = hook
      self.priority = priority
      self.drops = drops
      self.device = device
      self.rules = rules
    }
  }

  /// A rule: expressions that end with a verdict.
  public struct Rule: Sendable, Hashable {
    /// What it looks at and does.
    public var expressions: [Expression]
    /// Where it was written, as `file:line`, or what it is for.
    public var comment: String

    /// A rule.
    public init(_ comment: String, _ expressions: [Expression]) {
      self.comment = Rule.shortened(comment)
      self.expressions = expressions
    }

    /// The longest comment that `nft` reads, in bytes.
    static let commentLimit = 127

    /// The end of a text that is too long: of `file:line`, the line is there.
    static func shortened(_ text: String) -> String {
      guard text.utf8.count > commentLimit else { return text }
      var tail = Substring(text)
      while tail.utf8.count > commentLimit - 3 { tail.removeFirst() }
      return "…" + tail
    }
  }

  /// One step of a rule, as the kernel keeps it.
  public struct Expression: Sendable, Hashable {
    /// Its name: `meta`, `cmp`, `payload`, …
    public var name: String
    /// Its attributes by number, without what changes by itself (counters' values).
    public var attributes: [Attribute]

    /// An expression; the attributes' order does not matter.
    public init(_ name: String, _ attributes: [Attribute]) {
      self.name = name
      self.attributes = attributes.sorted { $0.kind < $1.kind }
    }
  }

  /// A number with bytes, as in netlink(7).
  public struct Attribute: Sendable, Hashable {
    /// The number.
    public var kind: UInt16
    /// The bytes; what is nested is in them as it is sent.
    public var bytes: [UInt8]

    /// Bytes.
    public init(_ kind: UInt16, _ bytes: [UInt8]) {
      self.kind = kind
      self.bytes = bytes
    }

    /// A number of 32 bits, in network order.
    public init(_ kind: UInt16, _ number: UInt32) { self.init(kind, bigEndian(number)) }

    /// Attributes in another.
    public init(_ kind: UInt16, nesting inner: Attribute...) { self.init(kind, nesting: inner) }

    /// Attributes in another.
    public init(_ kind: UInt16, nesting inner: [Attribute]) {
      self.init(kind, [])
      for attribute in inner {
        bytes += hostOrder(UInt16(4 + attribute.bytes.count)) + hostOrder(attribute.kind)
        bytes += attribute.bytes + [UInt8](repeating: 0, count: -attribute.bytes.count & 3)
      }
    }
  }

  /// The tables.
  public var tables: [Table]

  /// A ruleset of `tables`.
  public init(_ tables: [Table]) { self.tables = tables }

  /// The first difference from what was read back, in words; nil when there is none.
  public func difference(from found: Ruleset) -> String? {
    for table in tables {
      let title = "table \(table.family.name) \(table.name)"
      guard let other = found.tables.first(where: { $0.family == table.family && $0.name == table.name }) else {
        return "\(title) is not there"
      }
      if let text = table.difference(from: other) { return "\(title): \(text)" }
    }
    if let extra = found.tables.first(where: { other in
      !tables.contains { $0.family == other.family && $0.name == other.name }
    }) {
      return "table \(extra.family.name) \(extra.name) should not be there"
    }
    return nil
  }
}

extension Ruleset.Table {
  func difference(from found: Ruleset.Table) -> String? {
    if found.comment != comment { return "its comment is \"\(found.comment)\", not \"\(comment)\"" }
    for chain in chains {
      guard let other = found.chains.first(where: { $0.name == chain.name }) else {
        return "chain \(chain.name) is not there"
      }
      if let text = chain.difference(from: other) { return "chain \(chain.name): \(text)" }
    }
    if found.hasMore { return "it holds more than its chains" }
    return nil
  }
}

extension Ruleset.Chain {
  /// The first thing of this chain that is missing in one that others have rules in too; nil when there is none.
  public func missing(in found: Ruleset.Chain?) -> String? {
    guard var found else { return "chain \(name) is not there" }
    let there = Set(found.rules)
    if let rule = rules.first(where: { !there.contains($0) }) {
      return "chain \(name): rule \(rule.comment) is not there"
    }
    found.rules = rules
    return difference(from: found).map { "chain \(name): \($0)" }
  }

  /// The first difference from what was read back, in words; nil when there is none.
  public func difference(from found: Ruleset.Chain) -> String? {
    if found.kind != kind || found.hook != hook || found.priority != priority || found.device != device {
      return "it is not where it should be"
    }
    if found.drops != drops { return "its policy is \(found.drops ? "drop" : "accept")" }
    for (index, pair) in zip(rules, found.rules).enumerated() where pair.0 != pair.1 {
      return "rule \(index + 1) (\(pair.0.comment)) differs"
    }
    return rules.count == found.rules.count ? nil : "it has \(found.rules.count) rules, not \(rules.count)"
  }
}

/// The four bytes of a number in network order.
func bigEndian(_ number: UInt32) -> [UInt8] {
  [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
}

/// The two bytes of a number in network order.
func bigEndian(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }

/// The bytes of a number in the machine's order.
func hostOrder<T: FixedWidthInteger>(_ number: T) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }
