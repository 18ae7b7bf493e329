/// Names of sandboxes: 1 to 63 lower-case letters, digits and `-`, not at the ends; and no word of the command line.
public enum SandboxName {
  /// Words that `nemoshell WORD` means something else by.
  static let reserved: Set<String> = [
    "blueprint", "checkpoint", "connect", "create", "delete", "doctor", "events", "exec", "features", "help", "inspect",
    "kill",
    "list", "logs", "pause", "policy", "ps", "restore", "resume", "rm", "run", "sandboxes", "spec", "start", "state",
    "status",
    "stop", "update", "verify",
  ]

  /// Why `name` is none; nil if it is one.
  public static func problem(_ name: String) -> String? {
    let bytes = Array(name.utf8)
    let legal = bytes.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
    guard legal, (1...63).contains(bytes.count), bytes.first != 0x2d, bytes.last != 0x2d else {
      return "is no name of a sandbox: 1 to 63 lower-case letters, digits and -"
    }
    return reserved.contains(name) ? "is a word of the command line and cannot be a sandbox's name" : nil
  }
}
