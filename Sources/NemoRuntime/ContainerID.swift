import NemoKernel

/// Container ids: what every verb accepts, checked before it becomes part of any path.
public enum ContainerID {
  /// Longest id.
  public static let maximumLength = 1024

  /// Letters, digits and `_+-.`; never a path (crun's and runc's rule).
  public static func validate(_ id: String) throws(Failure) {
    func legal(_ byte: UInt8) -> Bool {
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x2b, 0x2d, 0x2e: true
      default: false
      }
    }
    guard !id.isEmpty, id != ".", id != "..", !id.hasPrefix(".cache"), !id.hasPrefix(StateStore.deletingPrefix),
      id.utf8.count <= maximumLength, id.utf8.allSatisfy(legal)
    else {
      throw Failure(
        "invalid container id", "\"\(String(id.prefix(80)))\"",
        reason:
          "must be 1 to \(maximumLength) letters, digits, '_', '+', '-' or '.', and no name of the runtime's own (., .., .cache, .deleting-)"
      )
    }
  }
}
