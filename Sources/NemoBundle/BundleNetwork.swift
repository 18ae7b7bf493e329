import Glibc
import NemoBlueprint
import NemoFence

/// How a sandbox is connected: the one place where a blueprint's network becomes part of a bundle.
///
/// With mode `none` the sandbox has a network namespace of its own that holds nothing but the loopback device. With `veth` and
/// `join` a hook connects it and loads the packet filter before its program runs (spec/network.md).
public struct BundleNetwork: Sendable {
  /// The hook program, `nemoshell-network`, by its absolute path.
  private let program: String
  /// Where addresses in use are kept; nil for the program's own default.
  private let leases: String?
  /// Permits mode `host`, in which nothing holds the network.
  private let allowsHost: Bool

  /// The network of bundles made here.
  ///
  /// - Parameters:
  ///   - leases: directory where addresses in use are kept; nil for the hook's default.
  ///   - allowsHost: the operator permits mode `host`.
  public init(leases: String? = nil, allowsHost: Bool = false) throws {
    program = try OwnExecutable.directory() + "/nemoshell-network"
    self.leases = leases
    self.allowsHost = allowsHost
  }

  /// Fails where the mode is not permitted or cannot be held.
  public func check(_ blueprint: Blueprint) throws {
    let sandbox = blueprint.sandbox
    let line = blueprint.source["sandbox"]?["network"]?.position.line ?? 1
    let place = "\(blueprint.file):\(line): sandbox.network"
    switch sandbox.network {
    case .none: return
    case .host:
      guard allowsHost else { throw BundleFailure("\(place): mode host needs the operator's flag --allow-host") }
    case .join where sandbox.networkPath == nil:
      throw BundleFailure(
        "\(place): mode join without path is the network of an engine that runs the sandbox; name a path")
    case .join, .veth:
      guard access(program, X_OK) == 0 else { throw BundleFailure.last("\(place): find the hook program", program) }
    }
  }

  /// The network namespace of `linux.namespaces`; nil for the host's.
  func namespace(_ blueprint: Blueprint) -> JSONValue? {
    switch blueprint.sandbox.network {
    case .host: nil
    case .join: .object(["type": .string("network"), "path": .string(blueprint.sandbox.networkPath ?? "")])
    case .none, .veth: .object(["type": .string("network")])
    }
  }

  /// `hooks`; nil for none.
  public func hooks(_ blueprint: Blueprint) -> JSONValue? {
    guard [.veth, .join].contains(blueprint.sandbox.network) else { return nil }
    let hook = { (verb: String) -> JSONValue in
      let words = ["nemoshell-network", verb] + (leases.map { ["--root", $0] } ?? [])
      return .array([
        .object([
          "path": .string(program), "args": .array(words.map { .string($0) }), "timeout": .integer(60),
        ])
      ])
    }
    return .object(["createRuntime": hook("setup"), "poststop": hook("teardown")])
  }

  /// `network.json`, which the hook carries out; nil where there is no hook.
  func document(_ blueprint: Blueprint) -> String? {
    hooks(blueprint) == nil ? nil : FenceConfiguration(blueprint).canonicalJSON
  }
}

/// The executable that runs, beside which the others of nemoshell are.
public enum OwnExecutable {
  /// Its path.
  public static func path() throws -> String {
    var bytes = [CChar](repeating: 0, count: 4097)
    let count = readlink("/proc/self/exe", &bytes, bytes.count - 1)
    guard count > 0 else { throw BundleFailure.last("readlink", "/proc/self/exe") }
    return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Its directory.
  public static func directory() throws -> String {
    let path = try path()
    return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
  }
}
