import NemoJSON
import NemoKernel

extension Process {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    terminal = try node.flag("terminal") ?? false
    if let size = try node.field("consoleSize") {
      // Without a terminal its size is to be ignored (config.md#process), but not what is no size.
      if terminal { consoleSize = try ConsoleSize(size) } else { try ConsoleSize.checkTypes(size) }
    }
    cwd = try node.required("cwd").absolutePath()
    if let env = try node.field("env") { self.env = try env.array(Process.environmentEntry) }
    let args = try node.required("args")
    self.args = try args.strings()
    guard let first = self.args.first else { throw args.failure("must have at least one element") }
    // Engines turn this text into exit code 127.
    guard !first.isEmpty else {
      throw try args.element(0).failure("exec: \"\": executable file not found in $PATH")
    }
    if let user = try node.field("user") { self.user = try User(user) }
    rlimits = try node.list("rlimits", ResourceLimit.init)
    if let sets = try node.field("capabilities") { capabilities = try CapabilitySets(sets) }
    noNewPrivileges = try node.flag("noNewPrivileges") ?? false
    if let score = try node.field("oomScoreAdj") { oomScoreAdj = try score.integer(in: -1000...1000) }
    if let scheduler = try node.field("scheduler") { self.scheduler = try Scheduler(scheduler) }
    if let priority = try node.field("ioPriority") { ioPriority = try IOPriority(priority) }
    if let affinity = try node.field("execCPUAffinity") { execCPUAffinity = try ExecCPUAffinity(affinity) }
    apparmorProfile = try node.text("apparmorProfile")
    selinuxLabel = try node.text("selinuxLabel")
  }

  /// `NAME=value` with a name (environ(7)).
  private static func environmentEntry(_ node: JSONNode) throws(Failure) -> String {
    let entry = try node.string()
    guard entry.utf8.first != 0x3d, entry.utf8.contains(0x3d) else {
      throw node.failure("\"\(entry)\" is not of the form NAME=value")
    }
    return entry
  }
}

extension ConsoleSize {
  init(_ node: JSONNode) throws(Failure) {
    self.init(height: try node.required("height").integer(), width: try node.required("width").integer())
  }

  /// The members as the schema has them, whatever their values.
  static func checkTypes(_ node: JSONNode) throws(Failure) {
    _ = try node.number("height") as UInt64?
    _ = try node.number("width") as UInt64?
  }
}

extension User {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    if let uid = try node.field("uid") { self.uid = try uid.id() }
    if let gid = try node.field("gid") { self.gid = try gid.id() }
    if let umask = try node.field("umask") { self.umask = try umask.integer(in: 0...0o777) }
    additionalGids = try node.list("additionalGids") { (gid) throws(Failure) in try gid.id() }
  }
}

extension ResourceLimit {
  /// getrlimit(2); the numbers are those of every architecture but MIPS, SPARC and Alpha.
  private static let resources: [(name: String, value: Int32)] = [
    ("RLIMIT_CPU", 0), ("RLIMIT_FSIZE", 1), ("RLIMIT_DATA", 2), ("RLIMIT_STACK", 3), ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6), ("RLIMIT_NOFILE", 7), ("RLIMIT_MEMLOCK", 8), ("RLIMIT_AS", 9), ("RLIMIT_LOCKS", 10),
    ("RLIMIT_SIGPENDING", 11), ("RLIMIT_MSGQUEUE", 12), ("RLIMIT_NICE", 13), ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
  ]

  init(_ node: JSONNode) throws(Failure) {
    let type = try node.required("type")
    self.init(
      resource: try type.choice(ResourceLimit.resources), name: try type.string(),
      soft: try node.required("soft").integer(), hard: try node.required("hard").integer())
    guard soft <= hard else { throw node.failure("soft \(soft) is above hard \(hard)") }
  }
}

extension CapabilitySets {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    effective = try node.texts("effective")
    bounding = try node.texts("bounding")
    inheritable = try node.texts("inheritable")
    permitted = try node.texts("permitted")
    ambient = try node.texts("ambient")
  }
}

extension Scheduler {
  static let policies: [(name: String, value: UInt32)] = [
    ("SCHED_OTHER", 0), ("SCHED_FIFO", 1), ("SCHED_RR", 2), ("SCHED_BATCH", 3), ("SCHED_ISO", 4), ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
  ]
  static let flagBits: [(name: String, value: UInt64)] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01), ("SCHED_FLAG_RECLAIM", 0x02), ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08), ("SCHED_FLAG_KEEP_PARAMS", 0x10), ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
  ]

  init(_ node: JSONNode) throws(Failure) {
    self.init(policy: try node.required("policy").choice(Scheduler.policies))
    if let nice = try node.field("nice") { self.nice = try nice.integer(in: -20...19) }
    priority = try node.number("priority") ?? 0
    for flag in try node.list("flags", { (flag) throws(Failure) in try flag.choice(Scheduler.flagBits) }) {
      flags |= flag
    }
    runtime = try node.number("runtime") ?? 0
    deadline = try node.number("deadline") ?? 0
    period = try node.number("period") ?? 0
  }
}

extension IOPriority {
  private static let classes: [(name: String, value: Int32)] = [
    ("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3),
  ]

  init(_ node: JSONNode) throws(Failure) {
    self.init(ioClass: try node.required("class").choice(IOPriority.classes))
    if let priority = try node.field("priority") { self.priority = try priority.integer(in: 0...7) }
  }
}

extension ExecCPUAffinity {
  init(_ node: JSONNode) throws(Failure) {
    self.init()
    if let list = try node.field("initial") { initial = try list.numberList() }
    if let list = try node.field("final") { final = try list.numberList() }
  }
}

extension JSONNode {
  /// A list such as `0-2,4` (cpuset(7)), without the spaces that the specification allows in it.
  func numberList() throws(Failure) -> String {
    let written = try string()
    var text = ""
    if written.utf8.allSatisfy({ $0 == 0x20 }) { return text }
    for part in written.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(JSONNode.listNumber)
      guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last else {
        throw failure("\"\(written)\" is not a list of numbers such as 0-2,4")
      }
      if !text.isEmpty { text += "," }
      text += ends.count == 1 ? "\(first)" : "\(first)-\(last)"
    }
    return text
  }

  /// Decimal digits with spaces around them.
  private static func listNumber(_ text: Substring) -> UInt16? {
    var digits = text.utf8
    while digits.first == 0x20 { digits.removeFirst() }
    while digits.last == 0x20 { digits.removeLast() }
    guard digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
    return UInt16(Substring(digits))
  }
}
