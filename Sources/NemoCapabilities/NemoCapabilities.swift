import NemoKernel
import NemoOCI
public struct Capabilities: Sendable, Equatable {
  public init(_ sets: CapabilitySets?, available: UInt64, warnings: inout [String]) {}
  public static func available() throws(Failure) -> UInt64 { 0 }
  public func dropBounding() throws(Failure) {}
  public func apply() throws(Failure) {}
  public static var names: [String] { [] }
}
