import NemoJSON
import NemoKernel

// Landlock rights add up along a path: what a rule allows for a directory is allowed for everything in it, whatever another rule
// says of something in it. A configuration that reads as if it took rights away there is refused.

extension Landlock {
  /// Refuses a path given twice, and a rule below another that allows less.
  func refuseNarrowing(_ node: JSONNode) throws(Failure) {
    // With the separator below all other bytes, everything below a directory follows it immediately.
    let sorted = paths.sorted { a, b in
      a.path.utf8.lazy.map(Landlock.order).lexicographicallyPrecedes(b.path.utf8.lazy.map(Landlock.order))
    }
    var above: [(path: String, allowed: UInt64)] = []
    for rule in sorted {
      while let last = above.last, !Landlock.contains(last.path, rule.path) { above.removeLast() }
      if let parent = above.last {
        let pointer = node.pointer + "/" + rule.place
        guard parent.path != rule.path else { throw wrong(pointer, "\"\(rule.path)\" is given twice") }
        if let excess = Landlock.excess(of: parent.allowed, over: rule.allowed, isDirectory: nil) {
          throw Landlock.narrowing(pointer, rule.path, parent.path, excess)
        }
      }
      above.append((rule.path, rule.allowed | (above.last?.allowed ?? 0)))
    }
  }

  /// The names of the rights that `wide` has and `narrow` has not; nil when there are none. For a file, and for what may be one
  /// since it is given rights on files only, those of directories do not count.
  public static func excess(of wide: UInt64, over narrow: UInt64, isDirectory: Bool?) -> String? {
    let mayBeFile = isDirectory.map { !$0 } ?? (narrow & ~LandlockNames.onFiles == 0)
    let bits = wide & ~narrow & (mayBeFile ? LandlockNames.onFiles : UInt64.max)
    return bits == 0 ? nil : LandlockNames.list(bits, LandlockNames.files).joined(separator: ", ")
  }

  /// The error about a rule for `path` that allows less than the one for `parent`.
  public static func narrowing(_ pointer: String, _ path: String, _ parent: String, _ excess: String) -> Failure {
    Failure(
      "", pointer,
      reason:
        "\"\(path)\" is below \"\(parent)\", which also allows \(excess): Landlock adds rights up, it cannot take them away",
      advice: "allow the same here, or leave this rule out and mount the path read-only in /mounts")
  }

  private static func order(_ byte: UInt8) -> UInt8 { byte == 0x2f ? 0 : byte }

  /// Whether `path` is `directory` or below it, as written.
  public static func contains(_ directory: String, _ path: String) -> Bool {
    guard path.utf8.starts(with: directory.utf8) else { return false }
    let length = directory.utf8.count
    return directory == "/" || path.utf8.count == length || path.utf8.dropFirst(length).first == 0x2f
  }
}
