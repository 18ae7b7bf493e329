/// Limits of this area (spec/limits.md).
enum SeccompLimits {
  /// Instructions of a program, the kernel's BPF_MAXINSNS.
  static let instructions = 4096
  /// Bytes of a file in the cache; what is longer is not kept.
  static let cacheFileSize = 256 * 1024
  /// Files in the cache; it is emptied rather than grown beyond.
  static let cacheFiles = 64
  /// Nested tests of arguments that are followed to shorten a program; deeper ones stay as libseccomp wrote them.
  static let argumentTests = 200
}
