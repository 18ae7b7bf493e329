import NemoKernel
import NemoOCI

/// The device controller's list (cgroup v1 devices.allow and devices.deny): what the rules of config.json, in order, amount to.
struct DeviceList: Equatable, Sendable {
  struct Entry: Equatable, Sendable {
    var type: String
    var major: Int64?
    var minor: Int64?
    var access: Set<Character>

    var line: String {
      let letters = ["r", "w", "m"].filter { access.contains($0) }.joined()
      return "\(type) \(major.map(String.init) ?? "*"):\(minor.map(String.init) ?? "*") \(letters)"
    }

    func samePlace(_ other: Entry) -> Bool { type == other.type && major == other.major && minor == other.minor }
  }

  /// What is not in `exceptions` is allowed.
  var allowsByDefault = true
  /// Denied where the default allows, allowed where it denies.
  var exceptions: [Entry] = []

  /// Every container may make any node, and use the devices that every container has (config-linux.md#default-devices).
  static let always: [DeviceRule] = {
    var rules: [DeviceRule] = []
    func allow(_ type: String, _ major: Int64?, _ minor: Int64?, _ access: String) {
      var rule = DeviceRule(allow: true)
      rule.type = type
      rule.major = major
      rule.minor = minor
      rule.access = access
      rules.append(rule)
    }
    allow("c", nil, nil, "m")
    allow("b", nil, nil, "m")
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)] as [(Int64, Int64)] {
      allow("c", major, minor, "rwm")
    }
    allow("c", 136, nil, "rwm")
    return rules
  }()

  mutating func add(_ rule: DeviceRule) {
    let wildcard = (rule.major ?? -1) < 0 && (rule.minor ?? -1) < 0
    let access = rule.access.isEmpty ? "rwm" : rule.access
    if rule.type == "a" || rule.type.isEmpty, wildcard {
      allowsByDefault = rule.allow
      exceptions = []
      return
    }
    let types = rule.type == "a" || rule.type.isEmpty ? ["c", "b"] : [rule.type]
    for type in types {
      let entry = Entry(
        type: type, major: rule.major.flatMap { $0 < 0 ? nil : $0 }, minor: rule.minor.flatMap { $0 < 0 ? nil : $0 },
        access: Set(access))
      if rule.allow != allowsByDefault { insert(entry) } else { subtract(entry) }
    }
  }

  private mutating func insert(_ entry: Entry) {
    if let i = exceptions.firstIndex(where: { $0.samePlace(entry) }) {
      exceptions[i].access.formUnion(entry.access)
    } else {
      exceptions.append(entry)
    }
  }

  private mutating func subtract(_ entry: Entry) {
    guard let i = exceptions.firstIndex(where: { $0.samePlace(entry) }) else { return }
    exceptions[i].access.subtract(entry.access)
    if exceptions[i].access.isEmpty { exceptions.remove(at: i) }
  }

  /// The list that the rules give.
  init(_ rules: [DeviceRule]) { for rule in rules { add(rule) } }

  /// The writes that bring a fresh cgroup to this list.
  var writes: [(file: String, line: String)] {
    var result: [(file: String, line: String)] = []
    if !allowsByDefault { result.append(("devices.deny", "a")) }
    let file = allowsByDefault ? "devices.deny" : "devices.allow"
    for entry in exceptions { result.append((file, entry.line)) }
    return result
  }
}
