import CWide
import Glibc
import NemoBlueprint

/// A bundle that `blueprint build` made, found to be what its lock says.
///
/// The root file system is not read again: whoever can change it is the operator.
public struct BundleDirectory {
  /// Its directory, absolute.
  public let path: String
  /// Its lock.
  public let lock: JSONValue
  /// Its configuration.
  public let configuration: JSONValue
  /// Its blueprint.
  public let blueprint: Blueprint

  /// Opens and checks the bundle.
  public init(_ path: String) throws {
    guard let resolved = realpath(path, nil) else { throw BundleFailure.last("open", path) }
    defer { free(resolved) }
    self.path = String(cString: resolved)
    let directory = try ImageDirectory(self.path)
    guard try directory.open(BundleBuilder.Name.lock) != nil else {
      throw BundleFailure(
        "\(path): is no bundle of nemoshell (it has no nemoshell.lock); run one of another make with `nemoshell run --bundle DIR ID`"
      )
    }
    lock = try directory.json(BundleBuilder.Name.lock)
    guard lock["version"]?.number == 1 else { throw BundleFailure("\(path): nemoshell.lock: has another version") }
    let digests = lock
    let checked = { (name: String) throws -> [UInt8] in
      let bytes = try directory.document(name)
      guard SHA256.digest(bytes) == digests[name]?.text else {
        throw BundleFailure("\(path): \(name): differs from what nemoshell.lock says; build the bundle anew")
      }
      return bytes
    }
    configuration = try directory.json(BundleBuilder.Name.configuration, try checked(BundleBuilder.Name.configuration))
    _ = try checked(BundleBuilder.Name.policy)
    if lock[BundleBuilder.Name.network] != nil { _ = try checked(BundleBuilder.Name.network) }
    let text = try checked(BundleBuilder.Name.blueprint)
    let (read, diagnostics) = BlueprintReader.read(text, file: "\(self.path)/\(BundleBuilder.Name.blueprint)")
    guard let read else {
      let problem = diagnostics.sorted.first { $0.severity == .error }
      throw BundleFailure(problem?.text ?? "\(path): \(BundleBuilder.Name.blueprint): is no valid blueprint")
    }
    blueprint = read
  }
}
