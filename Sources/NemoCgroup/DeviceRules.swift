import NemoKernel
import NemoOCI

/// What the device rules of config.json, in order, amount to for the device controller of cgroup v1 (kernel documentation,
/// admin-guide/cgroup-v1/devices.rst).
///
/// The kernel keeps a default and a list of exceptions from it, and silently ignores a rule that would cut a piece out of a wider
/// exception. Here it is an error: the container would have more, or less, than its configuration says.
struct DeviceList: Equatable, Sendable {
  struct Entry: Equatable, Sendable {
    var type: String
    var major: Int64?
    var minor: Int64?
    var access: Access

    var line: String { "\(type) \(major.map(String.init) ?? "*"):\(minor.map(String.init) ?? "*") \(access.letters)" }

    /// Whether every device that `other` means is meant by this too.
    func covers(_ other: Entry) -> Bool {
      type == other.type && (major == nil || major == other.major) && (minor == nil || minor == other.minor)
    }

    /// Whether some device is meant by both.
    func meets(_ other: Entry) -> Bool {
      type == other.type && (major == nil || other.major == nil || major == other.major)
        && (minor == nil || other.minor == nil || minor == other.minor)
    }
  }

  /// Read, write, mknod.
  struct Access: OptionSet, Sendable {
    let rawValue: UInt8
    static let all = Access(rawValue: 7)
    static let makeNode = Access(rawValue: 4)

    init(rawValue: UInt8) { self.rawValue = rawValue }
    init(letters: String) {
      rawValue = letters.utf8.reduce(0) { $0 | ($1 == 0x72 ? 1 : $1 == 0x77 ? 2 : $1 == 0x6d ? 4 : 0) }
    }

    var letters: String {
      (rawValue & 1 != 0 ? "r" : "") + (rawValue & 2 != 0 ? "w" : "") + (rawValue & 4 != 0 ? "m" : "")
    }
  }

  /// What is not in `exceptions` is allowed.
  private(set) var allowsByDefault = false
  /// Denied where the default allows, allowed where it denies.
  private(set) var exceptions: [Entry] = DeviceList.basic

  /// The devices that every container has (config-linux.md#default-devices): null, zero, full, random, urandom, tty, ptmx and the
  /// pseudo-terminals, and tun, which is useless without CAP_NET_ADMIN. A rule that denies every number means all but these; a
  /// rule that names one of them is obeyed. /dev/console is a pseudo-terminal here, so the host's own (5:1) is not among them.
  static let basic: [Entry] =
    [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (10, 200), (136, nil)].map {
      (place: (major: Int64, minor: Int64?)) in
      Entry(type: "c", major: place.major, minor: place.minor, access: .all)
    }

  /// Any node may be made: without the right to read or write, it is of no use.
  static let anyNode = ["c", "b"].map { Entry(type: $0, access: .makeNode) }

  /// The list that the rules give.
  ///
  /// - Parameter pointer: JSON pointer of the rules, for errors.
  init(_ rules: [DeviceRule], pointer: String) throws(Failure) {
    for (index, rule) in rules.enumerated() { try add(rule, "\(pointer)/\(index)") }
    if !allowsByDefault { exceptions = DeviceList.anyNode + exceptions }
  }

  private mutating func add(_ rule: DeviceRule, _ pointer: String) throws(Failure) {
    let major = rule.major.flatMap { $0 < 0 ? nil : $0 }
    let minor = rule.minor.flatMap { $0 < 0 ? nil : $0 }
    let access = rule.access.isEmpty ? Access.all : Access(letters: rule.access)
    let isAnyType = rule.type == "a" || rule.type.isEmpty
    if isAnyType, major == nil, minor == nil, access == .all {
      allowsByDefault = rule.allow
      exceptions = rule.allow ? [] : DeviceList.basic
      return
    }
    for type in isAnyType ? ["c", "b"] : [rule.type] {
      let entry = Entry(type: type, major: major, minor: minor, access: access)
      if rule.allow != allowsByDefault { insert(entry) } else { try subtract(entry, pointer) }
      if !rule.allow, !allowsByDefault, major == nil, minor == nil {
        for device in DeviceList.basic where device.type == type { insert(device) }
      }
    }
  }

  private mutating func insert(_ entry: Entry) {
    if let i = exceptions.firstIndex(where: { $0.covers(entry) && entry.covers($0) }) {
      exceptions[i].access.formUnion(entry.access)
    } else {
      exceptions.append(entry)
    }
  }

  private mutating func subtract(_ entry: Entry, _ pointer: String) throws(Failure) {
    for i in exceptions.indices where exceptions[i].meets(entry) {
      guard entry.covers(exceptions[i]) || exceptions[i].access.isDisjoint(with: entry.access) else {
        throw Failure(
          "", pointer,
          reason:
            "cgroup v1 cannot \(allowsByDefault ? "allow" : "deny") \"\(entry.line)\" within \"\(exceptions[i].line)\"")
      }
      if entry.covers(exceptions[i]) { exceptions[i].access.subtract(entry.access) }
    }
    exceptions.removeAll { $0.access.isEmpty }
  }

  /// What is written to `devices.deny` where the default allows, to `devices.allow` where it denies, after the default is set.
  var lines: [String] { exceptions.map(\.line) }
}
