/// Reading the texts of cgroup files.
enum CgroupText {
  /// The numbers of a list of processes. 0 stands for one of another pid namespace, which cannot be named from here, and would be
  /// this process's own group to kill(2).
  static func processes(_ bytes: [UInt8]) -> [Int32] {
    var result: [Int32] = []
    var number: Int32 = 0
    for byte in bytes {
      if byte == 10 {
        if number > 0 { result.append(number) }
        number = 0
      } else if byte &- 0x30 < 10 {
        number = number &* 10 &+ Int32(byte &- 0x30)
      }
    }
    return result
  }

  /// `name value` lines; others are left out.
  static func pairs(_ text: String) -> [(name: String, value: UInt64)] {
    text.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ")
      guard parts.count == 2, let value = UInt64(parts[1]) else { return nil }
      return (String(parts[0]), value)
    }
  }

  /// The value of one name.
  static func value(_ name: String, in text: String) -> UInt64 { pairs(text).first { $0.name == name }?.value ?? 0 }

  /// Numbers between blanks.
  static func numbers(_ text: String) -> [UInt64] {
    text.split { $0 == " " || $0 == "\n" }.compactMap { UInt64($0) }
  }

  /// The members of a cpuset list such as `0-2,7`.
  static func list(_ text: String) -> [UInt16] {
    var result: [UInt16] = []
    for range in text.split(separator: ",") {
      let ends = range.split(separator: "-").map { UInt16($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last else { continue }
      result += first...last
    }
    return result
  }

  /// cpuacct.usage_all: a heading, then CPU, user and system time in ns.
  static func usageByMode(_ text: String) -> (kernel: [UInt64], user: [UInt64]) {
    var result: (kernel: [UInt64], user: [UInt64]) = ([], [])
    for line in text.split(separator: "\n").dropFirst() {
      let columns = numbers(String(line))
      guard columns.count == 3 else { continue }
      result.user.append(columns[1])
      result.kernel.append(columns[2])
    }
    return result
  }

  /// blkio statistics: `MAJOR:MINOR OPERATION VALUE` or `MAJOR:MINOR VALUE`; the sum over all devices is left out.
  static func blockIO(_ text: String) -> [CgroupStats.BlockIOEntry] {
    text.split(separator: "\n").compactMap { line in
      let parts = line.split { $0 == " " || $0 == ":" }
      guard parts.count == 3 || parts.count == 4, let major = UInt64(parts[0]), let minor = UInt64(parts[1]),
        let value = UInt64(parts[parts.count - 1])
      else { return nil }
      let operation = parts.count == 4 ? String(parts[2]) : ""
      return CgroupStats.BlockIOEntry(major: major, minor: minor, operation: operation, value: value)
    }
  }
}
