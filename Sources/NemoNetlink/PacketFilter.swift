import CMnl
import Glibc
import NemoFence
import NemoKernel

/// The packet filter of one network namespace (nftables): transactions, and reading back.
extension Netlink {
  /// One change of a transaction.
  public enum FilterChange: Sendable {
    /// A table with all its chains and rules, in place of the one that is there if `replacing`.
    case table(Ruleset.Table, replacing: Bool)
    /// A table with its comment, without chains; one that is there stays.
    case emptyTable(Ruleset.Family, String, comment: String)
    /// A new chain with its rules.
    case chain(Ruleset.Family, table: String, Ruleset.Chain)
    /// A rule after those that a chain has.
    case rule(Ruleset.Family, table: String, chain: String, Ruleset.Rule)
    /// No longer that table.
    case noTable(Ruleset.Family, String)
    /// No longer that rule.
    case noRule(Ruleset.Family, table: String, chain: String, handle: UInt64)
  }

  private static func kind(_ message: nf_tables_msg_types) -> UInt16 {
    UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(message.rawValue)
  }

  private static func fixed(_ family: UInt8) -> [UInt8] { [family, 0, 0, 0] }

  private static func message(
    _ message: nf_tables_msg_types, _ family: Ruleset.Family, _ flags: Int32 = 0, _ attributes: [Attribute]
  ) -> Message {
    Message(kind(message), flags, fixed: fixed(family.rawValue), attributes)
  }

  /// Makes all of `changes` at once, or none of them.
  public mutating func transact(_ changes: [FilterChange], _ subject: String) throws(Failure) {
    // NFNL_MSG_BATCH_BEGIN and _END name the subsystem in their fixed part.
    let border: [UInt8] = [0, 0, 0, UInt8(NFNL_SUBSYS_NFTABLES)]
    var messages = changes.flatMap(Netlink.messages)
    guard !messages.isEmpty else { return }
    messages[messages.count - 1].flags |= UInt16(NLM_F_ACK)
    messages.insert(Message(0x10, fixed: border), at: 0)
    messages.append(Message(0x11, fixed: border))
    try change(messages, "load the packet filter", subject)
  }

  private static func messages(_ change: FilterChange) -> [Message] {
    switch change {
    case .table(let table, let replacing):
      let whole =
        [newTable(table.family, table.name, table.comment)]
        + table.chains.flatMap { messages(.chain(table.family, table: table.name, $0)) }
      return (replacing ? messages(.noTable(table.family, table.name)) : []) + whole
    case .emptyTable(let family, let name, let comment): return [newTable(family, name, comment)]
    case .chain(let family, let table, let chain):
      return [newChain(family, table, chain)] + chain.rules.map { newRule(family, table, chain.name, $0) }
    case .rule(let family, let table, let chain, let rule): return [newRule(family, table, chain, rule)]
    case .noTable(let family, let name):
      return [message(NFT_MSG_DELTABLE, family, 0, [Attribute(NFTA_TABLE_NAME, text: name)])]
    case .noRule(let family, let table, let chain, let handle):
      return [
        message(
          NFT_MSG_DELRULE, family, 0,
          ruleKey(table, chain) + [Attribute(NFTA_RULE_HANDLE, native(handle.bigEndian))])
      ]
    }
  }

  private static func newTable(_ family: Ruleset.Family, _ name: String, _ comment: String) -> Message {
    message(
      NFT_MSG_NEWTABLE, family, NLM_F_CREATE,
      [
        Attribute(NFTA_TABLE_NAME, text: name),
        Attribute(NFTA_TABLE_USERDATA, Comment.bytes(comment)),
      ])
  }

  private static func chainKey(_ table: String, _ name: String) -> [Attribute] {
    [Attribute(NFTA_CHAIN_TABLE, text: table), Attribute(NFTA_CHAIN_NAME, text: name)]
  }

  private static func ruleKey(_ table: String, _ chain: String) -> [Attribute] {
    [Attribute(NFTA_RULE_TABLE, text: table), Attribute(NFTA_RULE_CHAIN, text: chain)]
  }

  private static func newChain(_ family: Ruleset.Family, _ table: String, _ chain: Ruleset.Chain) -> Message {
    var hook = [
      Attribute(NFTA_HOOK_HOOKNUM, chain.hook.rawValue),
      Attribute(NFTA_HOOK_PRIORITY, UInt32(bitPattern: chain.priority)),
    ]
    if let device = chain.device { hook.append(Attribute(NFTA_HOOK_DEV, text: device)) }
    return message(
      NFT_MSG_NEWCHAIN, family, NLM_F_CREATE,
      chainKey(table, chain.name) + [
        Attribute(NFTA_CHAIN_HOOK, nesting: hook),
        Attribute(NFTA_CHAIN_POLICY, UInt32(chain.drops ? 0 : 1)),
        Attribute(NFTA_CHAIN_TYPE, text: chain.kind),
      ])
  }

  private static func newRule(_ family: Ruleset.Family, _ table: String, _ chain: String, _ rule: Ruleset.Rule)
    -> Message
  {
    let expressions = rule.expressions.map { expression in
      Attribute(
        NFTA_LIST_ELEM,
        nesting: Attribute(NFTA_EXPR_NAME, text: expression.name),
        Attribute(NFTA_EXPR_DATA, nesting: expression.attributes))
    }
    return message(
      NFT_MSG_NEWRULE, family, NLM_F_CREATE | NLM_F_APPEND,
      ruleKey(table, chain) + [
        Attribute(NFTA_RULE_EXPRESSIONS, nesting: expressions),
        Attribute(NFTA_RULE_USERDATA, Comment.bytes(rule.comment)),
      ])
  }
}

/// A comment as `nft` keeps it: a type, a length, a text with its NUL.
enum Comment {
  static func bytes(_ text: String) -> [UInt8] {
    let value = Array(text.utf8) + [0]
    return [0, UInt8(truncatingIfNeeded: value.count)] + value
  }

  static func text(_ bytes: [UInt8]?) -> String {
    guard let bytes, bytes.count > 2, bytes[0] == 0 else { return "" }
    return Array(bytes[2...].prefix(Int(bytes[1]))).text
  }
}
