/// The limits of config.json that the kernel sets or the runtime needs; spec/limits.md lists them.
enum Limits {
  /// Bytes of a host or domain name (__NEW_UTS_LEN, uname(2)).
  static let nameLength = 64
  /// Bytes of an interface's name (IFNAMSIZ without the end).
  static let interfaceNameLength = 15
  /// Ranges of one id mapping (user_namespaces(7)).
  static let mappings = 340
  /// Bytes of one id mapping as text: it is written at once and must be shorter than a page.
  static let mappingText = 4095
  /// Device numbers that mknod(2) can express; larger ones would make another device.
  static let majors: ClosedRange<Int64> = 0...0xfff
  /// See ``majors``.
  static let minors: ClosedRange<Int64> = 0...0xfffff
  /// Seconds; above it a hook's time-out in nanoseconds would not fit 64 bits.
  static let hookTimeout = 1...9_000_000_000
  /// Bytes of a path (PATH_MAX without the end).
  static let pathLength = 4095
  /// Paths, and ports, of a Landlock ruleset: each is opened at every start and every exec.
  static let landlockRules = 4096
}
