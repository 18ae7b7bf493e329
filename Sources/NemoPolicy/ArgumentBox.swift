/// The arguments of a system call for which some bits have given values.
struct ArgumentBox: Hashable, Sendable {
  /// Bits of one argument.
  struct Bits: Hashable, Sendable {
    /// The bits that are given.
    var mask: UInt64 = 0
    /// Their values; no others are set.
    var value: UInt64 = 0

    /// The bits of both; nil where they contradict each other.
    func intersection(_ other: Bits) -> Bits? {
      (value ^ other.value) & mask & other.mask == 0 ? Bits(mask: mask | other.mask, value: value | other.value) : nil
    }
  }

  /// By argument, 0 to 5.
  private var arguments = [Bits](repeating: Bits(), count: 6)

  /// Disjoint boxes for which all of `conditions` hold; nil where there are more than `limit`.
  static func boxes(_ conditions: [ArgumentCondition], limit: Int) -> [ArgumentBox]? {
    var boxes = [ArgumentBox()]
    for condition in conditions {
      let alternatives = bits(condition)
      boxes = boxes.flatMap { box in
        alternatives.compactMap { bits in
          guard let both = box.arguments[condition.index].intersection(bits) else { return nil }
          var narrowed = box
          narrowed.arguments[condition.index] = both
          return narrowed
        }
      }
      guard boxes.count <= limit else { return nil }
    }
    return boxes
  }

  /// Disjoint bits that together are the condition.
  private static func bits(_ condition: ArgumentCondition) -> [Bits] {
    let value = condition.value
    let exact = Bits(mask: .max, value: value)
    switch condition.comparison {
    case .equal: return [exact]
    case .maskedEqual: return value & ~condition.mask == 0 ? [Bits(mask: condition.mask, value: value)] : []
    case .notEqual: return departures(from: value) { _ in true }
    case .less: return departures(from: value) { $0 }
    case .lessOrEqual: return departures(from: value) { $0 } + [exact]
    case .greater: return departures(from: value) { !$0 }
    case .greaterOrEqual: return departures(from: value) { !$0 } + [exact]
    }
  }

  /// The numbers that agree with `value` down to a bit and have the other value there, for the bits that `isWanted`.
  private static func departures(from value: UInt64, _ isWanted: (_ isSet: Bool) -> Bool) -> [Bits] {
    (0..<UInt64.bitWidth).reversed().compactMap { place in
      let bit = UInt64(1) << UInt64(place)
      guard isWanted(value & bit != 0) else { return nil }
      let mask = ~(bit - 1)
      return Bits(mask: mask, value: (value & mask) ^ bit)
    }
  }

  /// Disjoint boxes of what is in this one and not in `other`.
  func subtracting(_ other: ArgumentBox) -> [ArgumentBox] {
    guard zip(arguments, other.arguments).allSatisfy({ $0.intersection($1) != nil }) else { return [self] }
    var pieces: [ArgumentBox] = []
    var rest = self
    for index in arguments.indices {
      var open = other.arguments[index].mask & ~rest.arguments[index].mask
      while open != 0 {
        let bit = UInt64(1) << UInt64(UInt64.bitWidth - 1 - open.leadingZeroBitCount)
        open &= ~bit
        var piece = rest
        rest.arguments[index].mask |= bit
        rest.arguments[index].value |= other.arguments[index].value & bit
        piece.arguments[index].mask |= bit
        piece.arguments[index].value |= ~other.arguments[index].value & bit
        pieces.append(piece)
      }
    }
    return pieces
  }

  /// The box as conditions, each of another argument.
  var conditions: [ArgumentCondition] {
    arguments.enumerated().compactMap { index, bits in
      switch bits.mask {
      case 0: nil
      case .max: ArgumentCondition(index, .equal, bits.value)
      default: ArgumentCondition(index, .maskedEqual, bits.value, mask: bits.mask)
      }
    }
  }
}
