import CKernel
import Glibc
import NemoJSON
import NemoKernel
import NemoRuntime

/// The log that engines read: `--log FILE|file:FILE|syslog:ID`, text or JSON lines; errors go to stderr too.
final class Log {
  enum Target {
    case stderr
    case file(Int32)
    case syslog(String)
  }
  enum Level: String {
    case debug, info, warning, error
    var priority: Int32 {
      switch self {
      case .debug: LOG_DEBUG
      case .info: LOG_INFO
      case .warning: LOG_WARNING
      case .error: LOG_ERR
      }
    }
  }

  private let target: Target
  private let json: Bool
  private let debugging: Bool

  init(target text: String, json: Bool, debugging: Bool) throws(Failure) {
    self.json = json
    self.debugging = debugging
    if text.isEmpty {
      target = .stderr
    } else if text.hasPrefix("syslog:") {
      target = .syslog(String(text.dropFirst(7)))
    } else {
      let path = text.hasPrefix("file:") ? String(text.dropFirst(5)) : text
      // Without O_NONBLOCK a FIFO without a reader would hold the runtime for ever.
      target = .file(try Files.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, mode: 0o644).take())
    }
  }

  func debug(_ text: @autoclosure () -> String) { if debugging { write(.debug, text()) } }

  /// Only into the log: with an engine, stderr is the container's own.
  func warning(_ text: String) { write(.warning, text) }

  func error(_ text: String) {
    write(.error, text)
    // A person sees the error too when the log goes elsewhere.
    if case .stderr = target { return }
    Output.error(text)
  }

  private func write(_ level: Level, _ text: String) {
    switch target {
    case .stderr:
      if json || level == .debug {
        emit(2, line(level, text))
      } else {
        Output.error(level == .error ? text : "\(level.rawValue): \(text)")
      }
    case .file(let fd): emit(fd, line(level, text))
    case .syslog(let identity): nemo_syslog(identity, level.priority, text)
    }
  }

  private func line(_ level: Level, _ text: String) -> [UInt8] {
    guard json else {
      return Array("time=\"\(Clock.now())\" level=\(level.rawValue) msg=\"\(text.replacingQuotes())\"\n".utf8)
    }
    var json = JSONWriter()
    json.beginObject()
    json.member("level", level.rawValue)
    json.member("msg", text)
    json.member("time", Clock.now())
    json.endObject()
    return json.bytes + [10]
  }

  private func emit(_ fd: Int32, _ bytes: [UInt8]) { _ = Glibc.write(fd, bytes, bytes.count) }
}

extension String {
  fileprivate func replacingQuotes() -> String {
    var text = ""
    for c in self {
      if c == "\"" || c == "\\" { text += "\\" + String(c) } else if c == "\n" { text += "\\n" } else { text.append(c) }
    }
    return text
  }
}
