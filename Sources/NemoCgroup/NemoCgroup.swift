import NemoJSON
import NemoKernel
import NemoOCI
public protocol CgroupManager: AnyObject {
  var saved: [String: String] { get }
  func create() throws(Failure)
  func isEmpty() throws(Failure) -> Bool
  func apply(_ r: Resources) throws(Failure)
  func joinDescriptors() throws(Failure) -> [Int32]
  func joinDescriptors(exec: [String: String]) throws(Failure) -> [Int32]
  func processes() throws(Failure) -> [Int32]
  func freeze() throws(Failure)
  func thaw() throws(Failure)
  func isFrozen() throws(Failure) -> Bool
  func signalAll(_ signal: Int32) throws(Failure)
  func remove() throws(Failure)
  func containerMounts() throws(Failure) -> [CgroupMount]
}
public struct CgroupMount {
  public var name: String; public var hostMountpoint: String; public var hostDirectory: String;
  public var symlinks: [String]
}
public final class CgroupV1: CgroupManager {
  public init(cgroupsPath: String, id: String) throws(Failure) {}
  public init(saved: [String: String]) throws(Failure) {}
  public var saved: [String: String] { [:] }
  public func create() throws(Failure) {}
  public func isEmpty() throws(Failure) -> Bool { true }
  public func apply(_ r: Resources) throws(Failure) {}
  public func joinDescriptors() throws(Failure) -> [Int32] { [] }
  public func joinDescriptors(exec: [String: String]) throws(Failure) -> [Int32] { [] }
  public func processes() throws(Failure) -> [Int32] { [] }
  public func freeze() throws(Failure) {}
  public func thaw() throws(Failure) {}
  public func isFrozen() throws(Failure) -> Bool { false }
  public func signalAll(_ signal: Int32) throws(Failure) {}
  public func remove() throws(Failure) {}
  public func containerMounts() throws(Failure) -> [CgroupMount] { [] }
}
