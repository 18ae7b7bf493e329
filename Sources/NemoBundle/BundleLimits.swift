/// What an image may ask for; spec/limits.md lists them.
enum BundleLimits {
  /// Bytes of an image's index, manifest or configuration.
  static let document = 4 << 20
  /// Layers of an image.
  static let layers = 256
  /// Bytes of all files of a root file system, counted as they are written.
  static let unpacked = 64 << 30
  /// Entries of all layers, and of a directory that is copied.
  static let entries = 2_000_000
  /// Bytes of a name in a layer.
  static let name = 4095
  /// Bytes of the extended header of one entry.
  static let extendedHeader = 1 << 20
  /// Directories below one another.
  static let depth = 512
  /// Bytes that may follow the end of an archive in a layer.
  static let padding = 64 << 20
}
