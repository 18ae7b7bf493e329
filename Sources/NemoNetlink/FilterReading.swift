import CMnl
import Glibc
import NemoFence
import NemoKernel

/// A rule as it is in the kernel.
public struct LoadedRule: Sendable, Hashable {
  /// The rule.
  public var rule: Ruleset.Rule
  /// The chain that it is in.
  public var chain: String
  /// Its number in the table.
  public var handle: UInt64
  /// Packets that its counter saw.
  public var packets: UInt64
  /// Bytes that its counter saw.
  public var bytes: UInt64
}

extension Netlink {
  /// The table of that name with those of its chains that `wanted` has, and whether it holds more; nil where there is none.
  ///
  /// What is asked for by name is found at once, however many tables others have.
  public mutating func table(like wanted: Ruleset.Table) throws(Failure) -> Ruleset.Table? {
    guard let (comment, parts) = try header(wanted.family, wanted.name) else { return nil }
    var found = Ruleset.Table(wanted.family, wanted.name, comment: comment, chains: [])
    let loaded = try rules(wanted.family, table: wanted.name)
    for name in wanted.chains.map(\.name) {
      guard var chain = try chain(wanted.family, table: wanted.name, name) else { continue }
      chain.rules = loaded.filter { $0.chain == name }.map(\.rule)
      found.chains.append(chain)
    }
    found.hasMore = parts != found.chains.count
    return found
  }

  /// The table's comment; nil where there is no such table.
  public mutating func tableComment(_ family: Ruleset.Family, _ name: String) throws(Failure) -> String? {
    try header(family, name)?.comment
  }

  /// The table's comment, and how many chains, sets and other things it holds.
  private mutating func header(_ family: Ruleset.Family, _ name: String) throws(Failure) -> (
    comment: String, parts: Int
  )? {
    let message = Netlink.request(NFT_MSG_GETTABLE, family, [Attribute(NFTA_TABLE_NAME, text: name)])
    guard let reply = try find(message, missing: [ENOENT], "read table", "\(family.name) \(name)") else { return nil }
    let attributes = reply.attributes(after: 4)
    return (Comment.text(attributes[NFTA_TABLE_USERDATA]), Int(attributes[NFTA_TABLE_USE]?.bigEndianNumber ?? 0))
  }

  private mutating func chain(_ family: Ruleset.Family, table: String, _ name: String) throws(Failure) -> Ruleset.Chain?
  {
    let key = [Attribute(NFTA_CHAIN_TABLE, text: table), Attribute(NFTA_CHAIN_NAME, text: name)]
    let message = Netlink.request(NFT_MSG_GETCHAIN, family, key)
    return try find(message, missing: [ENOENT], "read chain", "\(family.name) \(table) \(name)").flatMap(
      Ruleset.Chain.init)
  }

  /// The rules of a table with their counters; none where there is no such table.
  public mutating func rules(_ family: Ruleset.Family, table: String) throws(Failure) -> [LoadedRule] {
    let message = Netlink.request(NFT_MSG_GETRULE, family, [Attribute(NFTA_RULE_TABLE, text: table)])
    return try list(message, missing: [ENOENT], "list the rules of table", "\(family.name) \(table)").compactMap(
      LoadedRule.init)
  }

  private static func request(_ message: nf_tables_msg_types, _ family: Ruleset.Family, _ attributes: [Attribute])
    -> Message
  {
    Message(
      UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(message.rawValue), fixed: [family.rawValue, 0, 0, 0], attributes)
  }
}

extension Ruleset.Chain {
  /// A chain without its rules; nil for one that packets do not come to by themselves, or that is nowhere known here.
  init?(_ reply: Reply) {
    let attributes = reply.attributes(after: 4)
    guard let hook = attributes[NFTA_CHAIN_HOOK].map({ Reply.attributes($0[...]) }),
      let number = hook[NFTA_HOOK_HOOKNUM]?.bigEndianNumber,
      let place = Ruleset.Hook(rawValue: number),
      let priority = hook[NFTA_HOOK_PRIORITY]?.bigEndianNumber
    else { return nil }
    // The device by itself, or in a list of several.
    var devices = hook.filter { $0.kind == UInt16(NFTA_HOOK_DEV.rawValue) }.map(\.bytes.text)
    if devices.isEmpty, let list = hook[NFTA_HOOK_DEVS] {
      devices = Reply.attributes(list[...]).map(\.bytes.text)
    }
    self.init(
      attributes[NFTA_CHAIN_NAME]?.text ?? "", attributes[NFTA_CHAIN_TYPE]?.text ?? "",
      place, priority: Int32(bitPattern: priority),
      drops: attributes[NFTA_CHAIN_POLICY]?.bigEndianNumber == 0,
      device: devices.isEmpty ? nil : devices.joined(separator: " "), rules: [])
  }
}

extension LoadedRule {
  init?(_ reply: Reply) {
    let attributes = reply.attributes(after: 4)
    guard let handle: UInt64 = attributes[NFTA_RULE_HANDLE]?.number(0) else { return nil }
    var expressions: [Ruleset.Expression] = []
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    for item in Reply.attributes(attributes[NFTA_RULE_EXPRESSIONS]?[...] ?? []) {
      let parts = Reply.attributes(item.bytes[...])
      let name = parts[NFTA_EXPR_NAME]?.text ?? ""
      let data = Reply.attributes(parts[NFTA_EXPR_DATA]?[...] ?? [])
      if name == "counter" {
        packets = data[NFTA_COUNTER_PACKETS]?.number(0).map(UInt64.init(bigEndian:)) ?? 0
        bytes = data[NFTA_COUNTER_BYTES]?.number(0).map(UInt64.init(bigEndian:)) ?? 0
      }
      expressions.append(Ruleset.Expression(name, name == "counter" ? [] : data))
    }
    self.init(
      rule: Ruleset.Rule(Comment.text(attributes[NFTA_RULE_USERDATA]), expressions),
      chain: attributes[NFTA_RULE_CHAIN]?.text ?? "", handle: UInt64(bigEndian: handle),
      packets: packets, bytes: bytes)
  }
}

extension [UInt8] {
  /// Four bytes in network order.
  var bigEndianNumber: UInt32? { (number(0) as UInt32?).map(UInt32.init(bigEndian:)) }
}
