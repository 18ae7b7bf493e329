/// Absolute, clean paths: the only form that policies name and the engine is asked about.
public enum PolicyPath {
  /// Longest path of the kernel, its terminating NUL not counted.
  public static let limit = 4095

  /// Why `path` is not an absolute, clean path; nil if it is one.
  public static func problem(_ path: String) -> String? {
    guard path.utf8.first == UInt8(ascii: "/") else { return "must be absolute (start with /)" }
    guard path.utf8.count <= limit else { return "is longer than \(limit) bytes" }
    guard !path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { return "holds a control character" }
    guard path != "/" else { return nil }
    for component in path.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      if component.isEmpty {
        return component.startIndex == path.utf8.endIndex ? "must not end with /" : "must not hold //"
      }
      if component.elementsEqual("..".utf8) { return "must not hold a .. component" }
      if component.elementsEqual(".".utf8) { return "must not hold a . component" }
    }
    return nil
  }

  /// The directory that holds `path`; `/` for `/`.
  public static func parent(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }

  /// Whether `path` is `directory` or below it.
  public static func isInside(_ path: String, _ directory: String) -> Bool {
    directory == "/" || path == directory
      || (path.utf8.count > directory.utf8.count && path.utf8.starts(with: directory.utf8)
        && path.utf8[path.utf8.index(path.startIndex, offsetBy: directory.utf8.count)] == UInt8(ascii: "/"))
  }
}
