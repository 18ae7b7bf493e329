import NemoPolicy

/// A set of argument values: of some arguments, some bits are fixed. Every condition of a rule is a union of such sets, and
/// so is what remains when one set is taken out of another; a filter can test each with one masked comparison an argument.
struct ArgumentCube: Hashable {
  /// The bits that are fixed, and their values.
  struct Bits: Hashable {
    var mask: UInt64
    var value: UInt64
  }

  /// By argument; one that is not named may have any value.
  var arguments: [Int: Bits] = [:]

  /// What both sets have in common; nil for nothing.
  func intersection(_ other: ArgumentCube) -> ArgumentCube? {
    var result = self
    for (index, bits) in other.arguments {
      guard let own = result.arguments[index] else {
        result.arguments[index] = bits
        continue
      }
      let common = own.mask & bits.mask
      guard own.value & common == bits.value & common else { return nil }
      result.arguments[index] = Bits(mask: own.mask | bits.mask, value: own.value | bits.value)
    }
    return result
  }

  /// This set without `other`, in pieces that have nothing in common.
  func subtracting(_ other: ArgumentCube) -> [ArgumentCube] {
    guard intersection(other) != nil else { return [self] }
    var pieces: [ArgumentCube] = []
    var rest = self
    for index in other.arguments.keys.sorted() {
      guard let bits = other.arguments[index] else { continue }
      let own = rest.arguments[index] ?? Bits(mask: 0, value: 0)
      var known = own
      // From the high bit down, as one takes a route out of a network.
      for shift in stride(from: 63, through: 0, by: -1) {
        let bit = UInt64(1) << UInt64(shift)
        guard bits.mask & bit != 0, own.mask & bit == 0 else { continue }
        var piece = rest
        piece.arguments[index] = Bits(mask: known.mask | bit, value: known.value | (~bits.value & bit))
        pieces.append(piece)
        known = Bits(mask: known.mask | bit, value: known.value | (bits.value & bit))
      }
      rest.arguments[index] = known
    }
    return pieces
  }

  /// The sets that make up all `conditions` together.
  static func all(_ conditions: [ArgumentCondition]) -> [ArgumentCube] {
    conditions.reduce([ArgumentCube()]) { sets, condition in
      sets.flatMap { set in cubes(condition).compactMap { set.intersection($0) } }
    }
  }

  private static func cubes(_ condition: ArgumentCondition) -> [ArgumentCube] {
    let value = condition.value
    let single = { (mask: UInt64, value: UInt64) in
      ArgumentCube(arguments: [condition.index: Bits(mask: mask, value: value)])
    }
    let equal = single(.max, value)
    let below = { () -> [ArgumentCube] in
      // For each bit that is set: the same above it, zero there, anything below.
      (0..<64).reversed().filter { value >> UInt64($0) & 1 == 1 }.map { shift in
        let above = shift == 63 ? 0 : UInt64.max << UInt64(shift + 1)
        return single(above | 1 << UInt64(shift), value & above)
      }
    }
    switch condition.comparison {
    case .equal: return [equal]
    case .maskedEqual: return value & ~condition.mask == 0 ? [single(condition.mask, value)] : []
    case .notEqual: return ArgumentCube().subtracting(equal)
    case .less: return below()
    case .lessOrEqual: return below() + [equal]
    case .greater: return without(below() + [equal])
    case .greaterOrEqual: return without(below())
    }
  }

  /// Everything but `sets`.
  private static func without(_ sets: [ArgumentCube]) -> [ArgumentCube] {
    sets.reduce([ArgumentCube()]) { rest, set in rest.flatMap { $0.subtracting(set) } }
  }

  /// Whether the arguments are in the set.
  func contains(_ values: [UInt64]) -> Bool {
    arguments.allSatisfy { values[$0.key] & $0.value.mask == $0.value.value }
  }
}
