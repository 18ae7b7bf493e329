import NemoPolicy

@testable import NemoFence

/// A packet that opens a connection, as the tests' own reading of a chain sees it.
struct Packet {
  var source: IPAddress
  var destination: IPAddress
  var transport: Transport
  var port: UInt16
}

extension Ruleset.Chain {
  /// What happens to the packet: the verdict of the first rule that all steps of hold, or the policy.
  func passes(_ packet: Packet) -> Bool { rules.lazy.compactMap { packet.verdict(of: $0) }.first ?? !drops }
}

extension Packet {
  private var networkHeader: [UInt8] {
    let lead = [UInt8](repeating: 0, count: source.isIPv4 ? 12 : 8)
    return lead + source.bytes + destination.bytes
  }

  /// Accepted, dropped, or nil for a rule that does not speak of the packet.
  func verdict(of rule: Ruleset.Rule) -> Bool? {
    var register: [UInt8] = []
    for expression in rule.expressions {
      let attributes = Dictionary(uniqueKeysWithValues: expression.attributes.map { ($0.kind, $0.bytes) })
      let number = { (kind: UInt16) in (attributes[kind] ?? []).reduce(0) { $0 << 8 | Int($1) } }
      let value = { (kind: UInt16) in Array((attributes[kind] ?? []).dropFirst(4)) }
      switch expression.name {
      case "meta": register = meta(UInt32(number(2)))
      case "payload":
        let header = number(2) == 1 ? networkHeader : [0x80, 0, UInt8(port >> 8), UInt8(port & 0xff)]
        register = Array(header[number(3)..<number(3) + number(4)])
      case "ct": register = hostOrder(ConnectionStates.new.rawValue)
      case "bitwise": register = zip(register, value(4)).map { $0 & $1 }
      case "cmp":
        let wanted = value(3).prefix(register.count)
        if (register.elementsEqual(wanted)) != (number(2) == 0) { return nil }
      case "range":
        let isInside =
          !register.lexicographicallyPrecedes(value(3).prefix(register.count))
          && !Array(value(4).prefix(register.count)).lexicographicallyPrecedes(register)
        if !isInside { return nil }
      case "immediate": return attributes[2]?.last == 1
      case "reject": return false
      case "counter", "log": continue
      default: return nil
      }
    }
    return nil
  }

  private func meta(_ key: UInt32) -> [UInt8] {
    switch Ruleset.Expression.Meta(rawValue: key) {
    case .protocolNumber: destination.isIPv4 ? [8, 0] : [0x86, 0xdd]
    case .incoming, .outgoing: hostOrder(UInt32(2))
    case .incomingName, .outgoingName: Array("eth0".utf8) + [UInt8](repeating: 0, count: 12)
    case .family: [destination.isIPv4 ? 2 : 10]
    case .transport: [transport == .tcp ? 6 : 17]
    case nil: []
    }
  }
}

/// Numbers that repeat with their seed (xorshift).
struct Numbers: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
