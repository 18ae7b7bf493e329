import NemoBlueprint

/// How a sandbox is connected: the one place where a blueprint's network becomes part of config.json.
enum BundleNetwork {
  /// The network namespace of `linux.namespaces`.
  ///
  /// With mode `none` the sandbox has a namespace of its own that holds nothing but the loopback device.
  static func namespace(_ blueprint: Blueprint) throws -> JSONValue {
    guard blueprint.sandbox.network == .none else { throw unsupported(blueprint) }
    return .object(["type": .string("network")])
  }

  /// `hooks`; nil for none.
  static func hooks(_ blueprint: Blueprint) throws -> JSONValue? {
    guard blueprint.sandbox.network == .none else { throw unsupported(blueprint) }
    return nil
  }

  private static func unsupported(_ blueprint: Blueprint) -> BundleFailure {
    let line = blueprint.source["sandbox"]?["network"]?.position.line ?? 1
    return BundleFailure(
      "\(blueprint.file):\(line): sandbox.network.mode: \(blueprint.sandbox.network.rawValue) cannot be enforced by this nemoshell; use none"
    )
  }
}
