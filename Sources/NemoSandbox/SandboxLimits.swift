/// Sizes and times of sandboxes; spec/limits.md lists them.
public enum SandboxLimits {
  /// Bytes of a log of one run; what was before is kept once more under the name of the previous log.
  static let log = 16 << 20
  /// Bytes of a terminal's output that somebody who attaches is shown again.
  static let replay = 64 << 10
  /// Bytes of one piece of output in the log.
  static let piece = 16 << 10
  /// Clients of one terminal at a time.
  static let clients = 8
  /// Bytes of a file of the registry.
  static let record = 8 << 20
  /// Seconds in which a sandbox ends by itself when it is stopped.
  public static let stopSeconds = 10
  /// Seconds that its end may take after that.
  static let killSeconds = 30
}
