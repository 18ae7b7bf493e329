import NemoJSON
import NemoKernel

extension Landlock {
  /// Decodes the text of the annotation ``annotation``.
  ///
  /// - Throws: one line naming the annotation and the JSON pointer in its text.
  init(annotation text: String) throws(Failure) {
    let subject = "/annotations/" + Landlock.annotation
    let document = try JSONDocument(parsing: Array(text.utf8), subject: subject)
    do throws(Failure) {
      try self.init(document.root)
    } catch {
      throw Failure(subject, error.subject, errno: error.errno, reason: error.reason, advice: error.advice)
    }
  }

  /// Everything that is not known is refused: a restriction that was meant and is not there would be a hole.
  init(_ node: JSONNode) throws(Failure) {
    try node.allowOnly(["ruleset", "rules", "disableBestEffort", "bestEffort"])
    let ruleset = try node.required("ruleset")
    self.init(handled: try LandlockRights(ruleset: ruleset))
    guard !handled.enforceNothing else {
      throw ruleset.failure("restricts nothing", advice: "name rights in handledAccessFS, handledAccessNet or scoped")
    }
    if let rules = try node.field("rules") { try decodeRules(rules) }
    bestEffort = try decodeBestEffort(node)
    try refuseNarrowing(node)
    // The kernel opens a program to read and to execute it.
    let needed = handled.files & LandlockNames.toExecute
    if needed != 0, !paths.contains(where: { $0.allowed & needed == needed }) {
      let names = LandlockNames.list(needed, LandlockNames.files).joined(separator: " and ")
      throw ruleset.failure("handles \(names), and no rule allows that: no program could be executed")
    }
  }

  private mutating func decodeRules(_ node: JSONNode) throws(Failure) {
    try node.allowOnly(["pathBeneath", "netPort"])
    let pathRules = try node.field("pathBeneath")
    let portRules = try node.field("netPort")
    guard pathRules != nil || portRules != nil else { throw node.failure("has no rule") }
    if let pathRules {
      for index in 0..<(try pathRules.filled()) { try decodePaths(try pathRules.element(index), index) }
    }
    if let portRules {
      for index in 0..<(try portRules.filled()) { try decodePorts(try portRules.element(index)) }
    }
  }

  private mutating func decodePaths(_ rule: JSONNode, _ number: Int) throws(Failure) {
    try rule.allowOnly(["allowedAccess", "paths", "optional"])
    let allowed = try rule.required("allowedAccess").rights(LandlockNames.files, handled: handled.files)
    let optional = try rule.flag("optional") ?? false
    let list = try rule.required("paths")
    for index in 0..<(try list.filled()) {
      let node = try list.element(index)
      let path = try node.cleanPath()
      guard paths.count < Limits.landlockRules else {
        throw node.failure("is more than \(Limits.landlockRules) paths")
      }
      let place = "rules/pathBeneath/\(number)/paths/\(index)"
      paths.append(LandlockPath(path: path, allowed: allowed, optional: optional, place: place))
    }
  }

  private mutating func decodePorts(_ rule: JSONNode) throws(Failure) {
    try rule.allowOnly(["allowedAccess", "ports"])
    let allowed = try rule.required("allowedAccess").rights(LandlockNames.ports, handled: handled.ports)
    let list = try rule.required("ports")
    for index in 0..<(try list.filled()) {
      let node = try list.element(index)
      let port: UInt16 = try node.integer()
      guard port != 0 || allowed == LandlockNames.bindTCP else {
        throw node.failure("0 is only for bind_tcp: any port that the kernel chooses")
      }
      guard !ports.contains(where: { $0.port == port }) else { throw node.failure("port \(port) is given twice") }
      guard ports.count < Limits.landlockRules else {
        throw node.failure("is more than \(Limits.landlockRules) ports")
      }
      ports.append(LandlockPort(port: port, allowed: allowed))
    }
  }

  /// `disableBestEffort` is the proposal's switch for all of it, `bestEffort` names single rights. Absent, nothing may be missing.
  private func decodeBestEffort(_ node: JSONNode) throws(Failure) -> LandlockRights {
    let forAll = try node.flag("disableBestEffort")
    guard let list = try node.field("bestEffort") else { return forAll == false ? handled : LandlockRights() }
    if let forAll {
      throw list.failure(forAll ? "contradicts disableBestEffort" : "is all of it already: disableBestEffort is false")
    }
    let tables = [LandlockNames.files, LandlockNames.ports, LandlockNames.scopes, LandlockNames.flags]
    var named: [UInt64] = [0, 0, 0, 0]
    let asked = [handled.files, handled.ports, handled.scopes, handled.flags]
    for index in 0..<(try list.filled()) {
      let element = try list.element(index)
      let name = try element.string()
      guard let table = tables.firstIndex(where: { $0.contains { $0.name == name } }),
        let right = tables[table].first(where: { $0.name == name })
      else {
        throw element.failure("\"\(name)\" is none of \(tables.joined().map(\.name).joined(separator: ", "))")
      }
      guard asked[table] & right.bit != 0 else { throw element.failure("\(name) is not in the ruleset") }
      guard named[table] & right.bit == 0 else { throw element.failure("\(name) is given twice") }
      named[table] |= right.bit
    }
    var rights = LandlockRights()
    (rights.files, rights.ports, rights.scopes, rights.flags) = (named[0], named[1], named[2], named[3])
    return rights
  }
}

extension LandlockRights {
  init(ruleset node: JSONNode) throws(Failure) {
    self.init()
    try node.allowOnly(["handledAccessFS", "handledAccessFs", "handledAccessNet", "scoped", "flags"])
    let proposed = try node.field("handledAccessFS")
    let other = try node.field("handledAccessFs")
    if proposed != nil, let other { throw other.failure("and handledAccessFS are the same") }
    files = try (proposed ?? other)?.rights(LandlockNames.files) ?? 0
    ports = try node.field("handledAccessNet")?.rights(LandlockNames.ports) ?? 0
    scopes = try node.field("scoped")?.rights(LandlockNames.scopes) ?? 0
    flags = try node.field("flags")?.rights(LandlockNames.flags) ?? 0
  }
}

extension JSONNode {
  /// Refuses a member that is not one of `names`.
  fileprivate func allowOnly(_ names: [String]) throws(Failure) {
    try forEachMember { (name, member) throws(Failure) in
      guard names.contains(name) else { throw member.failure("is not known here: \(names.joined(separator: ", "))") }
    }
  }

  /// The number of elements of an array that must have one.
  fileprivate func filled() throws(Failure) -> Int {
    let number = try count()
    guard number > 0 else { throw failure("must have at least one element") }
    return number
  }

  /// The bits of an array of names, each at most once and, in a rule, handled by the ruleset.
  fileprivate func rights(_ table: [LandlockName], handled: UInt64? = nil) throws(Failure) -> UInt64 {
    let choices = table.map { (name: $0.name, value: $0.bit) }
    var bits: UInt64 = 0
    for index in 0..<(try filled()) {
      let element = try element(index)
      let bit = try element.choice(choices)
      guard bits & bit == 0 else { throw element.failure("\(try element.string()) is given twice") }
      if let handled, handled & bit == 0 {
        throw element.failure("\(try element.string()) is not handled by the ruleset, which allows it everywhere")
      }
      bits |= bit
    }
    return bits
  }

  /// An absolute path that is written in one way only.
  fileprivate func cleanPath() throws(Failure) -> String {
    let path = try absolutePath()
    guard path.utf8.count <= Limits.pathLength else { throw failure("is longer than \(Limits.pathLength) bytes") }
    if path == "/" { return path }
    for part in path.utf8.dropFirst().split(separator: 0x2f, omittingEmptySubsequences: false) {
      guard !part.isEmpty, !part.elementsEqual(".".utf8), !part.elementsEqual("..".utf8) else {
        throw failure("\"\(path)\" must be a clean path: no empty part, \".\", \"..\" or slash at its end")
      }
    }
    return path
  }
}

extension Configuration {
  /// Annotations that the runtime writes into the state; a configuration cannot.
  private static let reserved = ["nemoshell.landlock.enforced", "nemoshell.degraded"]

  /// Takes the restrictions of the annotation ``Landlock/annotation``, which must not differ from those of the process.
  mutating func takeLandlockAnnotation() throws(Failure) {
    if annotations.isEmpty { return }
    for name in Configuration.reserved where annotations[name] != nil {
      throw wrong("/annotations/\(name)", "is written by the runtime and cannot be given")
    }
    guard let text = annotations[Landlock.annotation] else { return }
    let landlock = try Landlock(annotation: text)
    if let given = process?.landlock, given != landlock {
      throw wrong("/annotations/\(Landlock.annotation)", "differs from /process/landlock")
    }
    process?.landlock = landlock
  }
}
