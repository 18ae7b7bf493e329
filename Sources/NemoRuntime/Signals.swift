import Glibc
import NemoKernel

/// Signal names and the mask that a new program starts with.
public enum Signals {
  /// Names by number, without SIG; index 0 is unused.
  public static let names: [String] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR",
    "SYS",
  ]

  /// A signal by number (0 to 64) or name, with or without SIG, in any case; nil when there is none.
  public static func number(_ text: String) -> Int32? {
    if let first = text.utf8.first, first &- 0x30 < 10 {
      guard text.utf8.allSatisfy({ $0 &- 0x30 < 10 }), text.utf8.count <= 3, let n = Int32(text), n <= 64 else {
        return nil
      }
      return n
    }
    var name = text.asciiUppercased
    if name.hasPrefix("SIG") { name.removeFirst(3) }
    if name.isEmpty { return nil }
    if let index = names.firstIndex(of: name) { return Int32(index) }
    switch name {
    case "IOT": return 6
    case "CLD": return 17
    case "POLL": return 29
    case "RTMIN": return 34
    case "RTMAX": return 64
    default: break
    }
    if name.hasPrefix("RTMIN+"), let n = Int32(name.dropFirst(6)), (0...30).contains(n) { return 34 + n }
    if name.hasPrefix("RTMAX-"), let n = Int32(name.dropFirst(6)), (0...30).contains(n) { return 64 - n }
    return nil
  }

  /// The signals that ask a process to end do so although it is the first of its pid namespace, which otherwise ignores them
  /// (pid_namespaces(7)).
  static func endOnRequest() {
    for number in [SIGHUP, SIGINT, SIGTERM] { signal(number) { _exit(128 + $0) } }
  }

  /// Default dispositions and an empty mask, as a program expects them (the runtime may have been started otherwise).
  static func reset() {
    for number in 1...64 where number != SIGKILL && number != SIGSTOP && number != 32 && number != 33 {
      signal(Int32(number), SIG_DFL)
    }
    var none = sigset_t()
    sigemptyset(&none)
    sigprocmask(SIG_SETMASK, &none, nil)
  }
}
