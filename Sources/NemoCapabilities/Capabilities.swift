import CCap
import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// The five capability sets of a process as bits, ready to be applied (capabilities(7), config.md#linux-process).
public struct Capabilities: Sendable, Equatable {
  /// What the process may use now.
  public var effective: UInt64
  /// What any program it starts may gain.
  public var bounding: UInt64
  /// What programs with inheritable file capabilities keep.
  public var inheritable: UInt64
  /// What it may make effective.
  public var permitted: UInt64
  /// What programs without file capabilities keep.
  public var ambient: UInt64

  /// Turns names into sets; absent sets are empty. Nothing here ever adds a capability.
  ///
  /// - Parameters:
  ///   - available: what may be granted: ``available()``, or all bits in a new user namespace.
  ///   - warnings: gets one line for names that are unknown or not available, and one for what the kernel could not
  ///     grant in that set; both are left out, as the specification says.
  public init(_ sets: CapabilitySets?, available: UInt64, warnings: inout [String]) {
    let sets = sets ?? CapabilitySets()
    let grantable = available & Capabilities.known
    var left: [String] = []
    func bits(_ names: [String]) -> UInt64 {
      var bits: UInt64 = 0
      for name in names {
        let bit = Capabilities.bit(name) & grantable
        if bit == 0 && !left.contains(name) { left.append(name) }
        bits |= bit
      }
      return bits
    }
    bounding = bits(sets.bounding)
    permitted = bits(sets.permitted)
    effective = bits(sets.effective)
    inheritable = bits(sets.inheritable)
    ambient = bits(sets.ambient)
    if !left.isEmpty {
      warnings.append("ignoring unknown or unavailable capabilities: [\(left.joined(separator: " "))]")
    }
    func restrict(_ set: inout UInt64, to other: UInt64, _ name: String, _ rule: String) {
      let extra = set & ~other
      guard extra != 0 else { return }
      set &= other
      let names = Capabilities.names(of: extra).joined(separator: " ")
      warnings.append("/process/capabilities/\(name): ignoring capabilities that are not \(rule): [\(names)]")
    }
    // capset(2) and PR_CAP_AMBIENT_RAISE refuse these.
    restrict(&effective, to: permitted, "effective", "permitted")
    restrict(&inheritable, to: bounding, "inheritable", "in the bounding set")
    for name in Capabilities.names(of: ambient & ~(permitted & inheritable)) {
      warnings.append("can't raise ambient capability \(name): it must be both permitted and inheritable")
    }
    ambient &= permitted & inheritable
  }

  /// The caller's permitted set: what it can hand on.
  public static func available() throws(Failure) -> UInt64 {
    var effective: UInt64 = 0
    var permitted: UInt64 = 0
    var inheritable: UInt64 = 0
    guard nemo_capget(&effective, &permitted, &inheritable) == 0 else { throw .last("capget") }
    return permitted
  }

  /// Every name that the library and the kernel know, for `features`.
  public static var names: [String] { names(of: known) }

  /// Leaves only ``bounding`` in the bounding set. Needs CAP_SETPCAP where something has to be dropped.
  public func dropBounding() throws(Failure) {
    for number in 0..<64 as Range<UInt> where bounding & (1 << UInt64(number)) == 0 {
      guard nemo_prctl(Capabilities.boundingDrop, number, 0, 0, 0) != 0 else { continue }
      // The kernel has no further ones.
      if nemo_get_errno() == EINVAL, number > Capabilities.oldestLast { return }
      let failure = Failure.last("drop from the bounding set", "capability \(number)")
      // Without CAP_SETPCAP it cannot be dropped; what is not there need not be.
      guard nemo_prctl(Capabilities.boundingRead, number, 0, 0, 0) == 0 else { throw failure }
    }
  }

  /// Sets the other four, after the user changed with PR_SET_KEEPCAPS, and checks what the kernel made of it.
  ///
  /// Allocates nothing unless it fails.
  public func apply() throws(Failure) {
    guard nemo_prctl(Capabilities.ambientSet, Capabilities.ambientClear, 0, 0, 0) == 0 else {
      throw .last("clear the ambient capabilities")
    }
    guard nemo_capset(effective, permitted, inheritable) == 0 else { throw .last("apply caps") }
    var rest = ambient
    while rest != 0 {
      let number = UInt(rest.trailingZeroBitCount)
      rest &= rest - 1
      guard nemo_prctl(Capabilities.ambientSet, Capabilities.ambientRaise, number, 0, 0) == 0 else {
        throw .last("raise ambient", "capability \(number)")
      }
    }
    var have: (effective: UInt64, permitted: UInt64, inheritable: UInt64) = (0, 0, 0)
    guard nemo_capget(&have.effective, &have.permitted, &have.inheritable) == 0 else { throw .last("capget") }
    guard have == (effective, permitted, inheritable) else {
      throw Failure("apply caps", reason: "the kernel holds other sets than were asked for")
    }
  }

  /// CAP_CHECKPOINT_RESTORE, the last capability of the oldest supported kernel.
  private static let oldestLast: UInt = 40
  // prctl(2).
  private static let boundingRead: Int32 = 23
  private static let boundingDrop: Int32 = 24
  private static let ambientSet: Int32 = 47
  private static let ambientRaise: UInt = 2
  private static let ambientClear: UInt = 4

  /// The bits below the kernel's last capability.
  private static var known: UInt64 {
    let count = cap_max_bits()
    return count >= 64 ? UInt64.max : (1 << UInt64(max(count, 0))) - 1
  }

  /// The bit of a name spelled as in capabilities(7), or 0. The library alone would take lower case and numbers too.
  private static func bit(_ name: String) -> UInt64 {
    var value: cap_value_t = -1
    guard name.hasPrefix("CAP_"), name.utf8.allSatisfy({ $0 == 0x5f || 0x41...0x5a ~= $0 || 0x30...0x39 ~= $0 }),
      cap_from_name(name, &value) == 0, 0..<64 ~= value
    else { return 0 }
    return 1 << UInt64(value)
  }

  /// Names of the bits, in their order; a bit newer than the library has none and is left out.
  private static func names(of bits: UInt64) -> [String] {
    var names: [String] = []
    var rest = bits
    while rest != 0 {
      let number = rest.trailingZeroBitCount
      rest &= rest - 1
      guard let text = cap_to_name(cap_value_t(number)) else { continue }
      let name = String(cString: text).asciiUppercased
      cap_free(text)
      if name.hasPrefix("CAP_") { names.append(name) }
    }
    return names
  }
}
