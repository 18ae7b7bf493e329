/// Host names and patterns of host names.
public enum Host {
  /// The canonical form: lower case, without the final dot.
  public static func canonical(_ name: String) -> String {
    let lower = String(decoding: name.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    return lower.hasSuffix(".") ? String(lower.dropLast()) : lower
  }

  /// Why `name` is not a host name; nil if it is one. Addresses are not names.
  public static func problem(_ name: String) -> String? { problem(name, wildcards: false) }

  /// Why `pattern` is neither a host name nor a pattern of names; nil if it is one.
  ///
  /// `*` stands for one label or a part of the first one, `**` for one or more labels at the front; the last two
  /// labels are always written out, so that no pattern covers a top-level domain.
  public static func patternProblem(_ pattern: String) -> String? {
    guard pattern.contains("*") else { return problem(pattern) }
    if pattern == "*" || pattern == "**" {
      return "matches every host; name the hosts, or a subdomain pattern like *.example.com"
    }
    if let problem = problem(pattern, wildcards: true) { return problem }
    let labels = pattern.split(separator: ".")
    for (index, label) in labels.enumerated() where label.contains("*") {
      if label == "**" && index > 0 { return "may hold ** only as the first label" }
      if label != "**" && label.hasPrefix("**") { return "may hold ** only as a whole label" }
      if label != "*" && label != "**" && index > 0 { return "may hold a partial wildcard only in the first label" }
      if label.filter({ $0 == "*" }).count > 1 && label != "**" { return "may hold one * in a label" }
      if index >= labels.count - 2 {
        return labels.count <= 2 && index == 0 && label.allSatisfy { $0 == "*" }
          ? "covers a whole top-level domain; use a subdomain pattern like *.example.com"
          : "must write out its last two labels, as in *.example.com"
      }
    }
    return nil
  }

  private static func problem(_ name: String, wildcards: Bool) -> String? {
    guard !name.isEmpty else { return "is empty" }
    guard name.utf8.allSatisfy({ $0 < 0x80 }) else { return "is not ASCII; write the xn-- form" }
    guard name.utf8.count <= 253 else { return "is longer than 253 bytes" }
    if IPAddress(name) != nil { return "is an address, not a name; use the field address" }
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    for label in labels {
      if label.isEmpty { return "holds an empty label" }
      if label.utf8.count > 63 { return "holds a label longer than 63 bytes" }
      let legal = label.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
          || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || (wildcards && byte == UInt8(ascii: "*"))
      }
      if !legal { return "holds a character that no host name has (letters, digits, - and . only)" }
      if label.hasPrefix("-") || label.hasSuffix("-") { return "holds a label that begins or ends with -" }
    }
    if let last = labels.last, last.utf8.allSatisfy({ (0x30...0x39).contains($0) }) || last.lowercased().hasPrefix("0x")
    {
      return "ends in a number, which resolvers take for an address"
    }
    return nil
  }
}
