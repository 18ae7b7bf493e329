import CWide
import Glibc

/// What a client of a terminal sends: one byte of kind, two of length (little-endian), the content. The terminal's output
/// comes back as it is.
enum ConsoleFrame {
  case input([UInt8])
  case size(rows: UInt16, columns: UInt16)

  /// Longest content of a frame.
  static let limit = 4096

  var bytes: [UInt8] {
    switch self {
    case .input(let bytes): Self.header(UInt8(ascii: "d"), bytes.count) + bytes
    case .size(let rows, let columns):
      Self.header(UInt8(ascii: "r"), 4) + [rows, columns].flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
    }
  }

  private static func header(_ kind: UInt8, _ count: Int) -> [UInt8] { [kind, UInt8(count & 0xff), UInt8(count >> 8)] }

  /// Takes whole frames off the front of `bytes`; nil for what no client sends.
  static func take(_ bytes: inout [UInt8]) -> [ConsoleFrame]? {
    var frames: [ConsoleFrame] = []
    while bytes.count >= 3 {
      let count = Int(bytes[1]) | Int(bytes[2]) << 8
      guard count <= limit else { return nil }
      guard bytes.count >= 3 + count else { break }
      let content = Array(bytes[3..<3 + count])
      switch bytes[0] {
      case UInt8(ascii: "d"): frames.append(.input(content))
      case UInt8(ascii: "r"):
        guard count == 4 else { return nil }
        frames.append(
          .size(
            rows: UInt16(content[0]) | UInt16(content[1]) << 8, columns: UInt16(content[2]) | UInt16(content[3]) << 8))
      default: return nil
      }
      bytes.removeFirst(3 + count)
    }
    return frames
  }
}
