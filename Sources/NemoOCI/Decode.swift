import NemoJSON
import NemoKernel

// config.json and its parts from JSON. What a single field can show to be wrong is refused here, by pointer; what several fields
// contradict is in Validate*.swift. Unknown members are ignored, as are `windows`, `solaris`, `vm`, `zos` and `freebsd`
// (config.md#extensibility, config.md#platform-specific-configuration).

extension Configuration {
  /// Decodes and validates config.json.
  ///
  /// - Parameters:
  ///   - bytes: the JSON text.
  ///   - subject: its path, for errors.
  /// - Throws: one line naming the JSON pointer of the first wrong field.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    try self.init(JSONDocument(parsing: bytes, subject: subject))
  }

  /// Decodes and validates config.json, and cuts it down to what a further process in the container needs.
  ///
  /// - Returns: the whole configuration, and the JSON text of a smaller one: without mounts, hooks, resources, devices and
  ///   the rules of the system call filter, which are most of it.
  public static func parse(_ bytes: [UInt8], subject: String) throws(Failure) -> (Configuration, forExec: [UInt8]) {
    let document = try JSONDocument(parsing: bytes, subject: subject)
    let configuration = try Configuration(document)
    for name in ["mounts", "hooks", "hostname", "domainname"] { document.remove([name]) }
    for name in [
      "resources", "devices", "netDevices", "sysctl", "maskedPaths", "readonlyPaths", "rootfsPropagation", "mountLabel",
    ] {
      document.remove(["linux", name])
    }
    for name in ["syscalls", "architectures"] { document.remove(["linux", "seccomp", name]) }
    return (configuration, try document.text())
  }

  private init(_ document: JSONDocument) throws(Failure) {
    try self.init(document.root)
    completeIDMappedMounts()
    try validate()
  }

  init(_ node: JSONNode) throws(Failure) {
    let version = try node.required("ociVersion")
    let root = try node.required("root")
    self.init(ociVersion: try version.string(), root: try Root(root))
    guard SpecificationVersion.isSupported(ociVersion) else {
      throw version.failure("\"\(ociVersion)\" is not supported: a version 1.x.y is needed")
    }
    if let process = try node.field("process") { self.process = try Process(process) }
    hostname = try node.text("hostname")
    domainname = try node.text("domainname")
    mounts = try node.list("mounts", Mount.init)
    if let hooks = try node.field("hooks") { self.hooks = try Hooks(hooks) }
    if let linux = try node.field("linux") { self.linux = try LinuxConfiguration(linux) }
    annotations = try node.textMap("annotations")
    try takeLandlockAnnotation()
    // Before version 1.3 of the specification a limit of 0 was none, and engines of that time write it.
    if linux.resources.pidsLimit == 0, SpecificationVersion.minor(ociVersion) < 3 { linux.resources.pidsLimit = -1 }
  }
}

extension Process {
  /// Decodes and validates the process document of `exec --process`.
  ///
  /// - Throws: one line naming the JSON pointer, from the top of the document, of the first wrong field.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    let document = try JSONDocument(parsing: bytes, subject: subject)
    try self.init(document.root)
    try validate(at: "")
  }
}

extension Resources {
  /// Decodes and validates the resources document of `update --resources`: the specification's `linux.resources`.
  ///
  /// - Throws: one line naming the JSON pointer, from the top of the document, of the first wrong field.
  public init(parsing bytes: [UInt8], subject: String) throws(Failure) {
    let document = try JSONDocument(parsing: bytes, subject: subject)
    try self.init(document.root)
    try validate(at: "")
  }
}

/// Versions of the specification (config.md#specification-version, semver.org 2.0.0).
enum SpecificationVersion {
  /// The second number of a version that is supported.
  static func minor(_ text: String) -> Int {
    let numbers = text.split(separator: ".")
    return numbers.count > 1 ? Int(numbers[1]) ?? 0 : 0
  }

  /// Whether `text` is a semantic version with major number 1.
  static func isSupported(_ text: String) -> Bool {
    var rest = Substring(text).utf8
    guard rest.starts(with: "1.".utf8) else { return false }
    rest.removeFirst(2)
    guard skipNumber(&rest), rest.popFirst() == 0x2e, skipNumber(&rest) else { return false }
    if rest.first == 0x2d, !skipIdentifiers(&rest) { return false }
    if rest.first == 0x2b, !skipIdentifiers(&rest) { return false }
    return rest.isEmpty
  }

  /// Digits without a leading zero.
  private static func skipNumber(_ rest: inout Substring.UTF8View) -> Bool {
    guard let first = rest.popFirst(), first &- 0x30 < 10 else { return false }
    while let digit = rest.first, digit &- 0x30 < 10 {
      if first == 0x30 { return false }
      rest.removeFirst()
    }
    return true
  }

  /// The sign before, then identifiers with dots between.
  private static func skipIdentifiers(_ rest: inout Substring.UTF8View) -> Bool {
    repeat {
      rest.removeFirst()
      var length = 0
      while let byte = rest.first, byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x2d {
        rest.removeFirst()
        length += 1
      }
      if length == 0 { return false }
    } while rest.first == 0x2e
    return true
  }
}

// What an absent member stands for is said once, here.
extension JSONNode {
  /// The member's string; empty when it is absent.
  func text(_ name: StaticString) throws(Failure) -> String {
    guard let node = try field(name) else { return "" }
    return try node.string()
  }

  /// The member's boolean, or nil when it is absent.
  func flag(_ name: StaticString) throws(Failure) -> Bool? {
    guard let node = try field(name) else { return nil }
    return try node.boolean()
  }

  /// The member's integer in the range of `T`, or nil when it is absent.
  func number<T: FixedWidthInteger>(_ name: StaticString) throws(Failure) -> T? {
    guard let node = try field(name) else { return nil }
    return try node.integer()
  }

  /// The member's array of strings; empty when it is absent.
  func texts(_ name: StaticString) throws(Failure) -> [String] {
    guard let node = try field(name) else { return [] }
    return try node.strings()
  }

  /// The member's array with every element converted; empty when it is absent.
  func list<T>(_ name: StaticString, _ convert: (JSONNode) throws(Failure) -> T) throws(Failure) -> [T] {
    guard let node = try field(name) else { return [] }
    return try node.array(convert)
  }

  /// The member's object of strings; empty when it is absent. Empty names are refused (config.md#annotations).
  func textMap(_ name: StaticString) throws(Failure) -> [String: String] {
    guard let node = try field(name) else { return [:] }
    var map: [String: String] = [:]
    try node.forEachMember { (key, value) throws(Failure) in
      guard !key.isEmpty else { throw node.failure("has a member with an empty name") }
      map[key] = try value.string()
    }
    return map
  }

  /// A non-empty string.
  func nonEmpty() throws(Failure) -> String {
    let text = try string()
    guard !text.isEmpty else { throw failure("must not be empty") }
    return text
  }

  /// An absolute path.
  func absolutePath() throws(Failure) -> String {
    let path = try string()
    guard path.utf8.first == 0x2f else { throw failure("\"\(path)\" must be an absolute path") }
    return path
  }

  /// A user or group id; 2^32−1 means "leave it" to the kernel and is nobody's.
  func id() throws(Failure) -> UInt32 {
    let id: UInt32 = try integer()
    guard id != .max else { throw failure("\(id) is out of range 0 ... \(UInt32.max - 1)") }
    return id
  }

  /// An integer in `range`.
  func integer<T: FixedWidthInteger>(in range: ClosedRange<T>) throws(Failure) -> T {
    let number: T = try integer()
    guard range.contains(number) else {
      throw failure("\(number) is out of range \(range.lowerBound) ... \(range.upperBound)")
    }
    return number
  }

  /// The value that `table` has for this name.
  func choice<T>(_ table: [(name: String, value: T)]) throws(Failure) -> T {
    let text = try string()
    for (name, value) in table where name == text { return value }
    throw failure("\"\(text)\" is none of \(table.map(\.name).joined(separator: ", "))")
  }
}
