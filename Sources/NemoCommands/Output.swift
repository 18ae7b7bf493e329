import Glibc
import NemoKernel

/// Standard output and error, unbuffered: a few writes per command.
enum Output {
  /// Writes to stdout; a closed or full stdout is an error of the command.
  static func write(_ text: String) throws(Failure) { try write(Array(text.utf8)) }

  static func write(_ bytes: [UInt8]) throws(Failure) { try Files.writeAll(1, bytes, subject: "standard output") }

  /// Writes one line to stderr; there is nowhere to report a failure of that.
  static func error(_ line: String) {
    let bytes = Array("nemoshell: \(line)\n".utf8)
    _ = Glibc.write(2, bytes, bytes.count)
  }

  /// Rows with columns as wide as their widest cell, separated by three spaces as runc's tables are.
  static func table(_ rows: [[String]]) -> String {
    var widths: [Int] = []
    for row in rows {
      for (i, cell) in row.enumerated() {
        if i == widths.count { widths.append(0) }
        widths[i] = max(widths[i], cell.unicodeScalars.count)
      }
    }
    var text = ""
    for row in rows {
      for (i, cell) in row.enumerated() {
        text += cell
        if i < row.count - 1 { text += String(repeating: " ", count: widths[i] - cell.unicodeScalars.count + 3) }
      }
      text += "\n"
    }
    return text
  }
}
