import NemoKernel
import NemoOCI
public struct SeccompProgram: Sendable {
  public var instructions: [UInt64]; public var flags: UInt32; public var notifies: Bool
}
public enum Seccomp {
  public static func program(for p: SeccompProfile, cache directory: Int32) throws(Failure) -> (
    program: SeccompProgram, warnings: [String]
  ) { (SeccompProgram(instructions: [], flags: 0, notifies: false), []) }
  public static func load(_ program: SeccompProgram) throws(Failure) -> Int32 { -1 }
  public static var libraryVersion: String { "" }
  public static var supportedActions: [String] { [] }
  public static var supportedOperators: [String] { [] }
  public static var supportedArchitectures: [String] { [] }
  public static var knownFlags: [String] { [] }
  public static var supportedFlags: [String] { [] }
}
