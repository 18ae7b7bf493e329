import CKernel
import NemoKernel
import NemoOCI

/// What the running kernel can enforce, found by asking it: neither its version nor its configuration says.
public struct LandlockKernel: Sendable, Equatable {
  /// The highest ABI (landlock(7)); 0 where there is no Landlock.
  public let abi: Int
  /// Why there is none: ENOSYS (not built in, or a filter hides it), EOPNOTSUPP (not enabled at boot).
  public let errno: Errno?

  /// Asks the kernel.
  public static func probe() -> LandlockKernel {
    let abi = nemo_landlock_abi()
    return abi > 0 ? LandlockKernel(abi: Int(abi)) : LandlockKernel(abi: 0, errno: Errno.current)
  }

  init(abi: Int, errno: Errno? = nil) {
    self.abi = abi
    self.errno = errno
  }

  /// Everything that a configuration may name and this kernel enforces.
  public var supported: LandlockRights {
    var rights = LandlockRights()
    rights.files = bits(LandlockNames.files)
    rights.ports = bits(LandlockNames.ports)
    rights.scopes = bits(LandlockNames.scopes)
    rights.flags = bits(LandlockNames.flags)
    return rights
  }

  private func bits(_ table: [LandlockName]) -> UInt64 {
    table.reduce(0) { $1.abi <= abi ? $0 | $1.bit : $0 }
  }
}

extension LandlockRights {
  /// The bits of both.
  func intersection(_ other: LandlockRights) -> LandlockRights {
    var rights = self
    rights.files &= other.files
    rights.ports &= other.ports
    rights.scopes &= other.scopes
    rights.flags &= other.flags
    return rights
  }

  /// The bits that `other` has not.
  func subtracting(_ other: LandlockRights) -> LandlockRights {
    var rights = self
    rights.files &= ~other.files
    rights.ports &= ~other.ports
    rights.scopes &= ~other.scopes
    rights.flags &= ~other.flags
    return rights
  }

  /// The names in the order of the tables, with what the kernel needs to have for each.
  var entries: [LandlockName] {
    [
      (files, LandlockNames.files), (ports, LandlockNames.ports), (scopes, LandlockNames.scopes),
      (flags, LandlockNames.flags),
    ].flatMap { bits, table in table.filter { bits & $0.bit != 0 } }
  }

  /// The names, separated by commas.
  var text: String { entries.map(\.name).joined(separator: ", ") }
}
