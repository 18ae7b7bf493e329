import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct LandlockTests {
  private static let ruleset =
    "\"ruleset\": {\"handledAccessFS\": [\"read_file\", \"read_dir\", \"write_file\"], \"scoped\": [\"signal\"]}"
  /// Needs no rule.
  private static let plain = "\"ruleset\": {\"handledAccessFS\": [\"make_reg\"], \"scoped\": [\"signal\"]}"

  private static func process(_ landlock: String, privileges: String = "true") -> String {
    withProcess("\"noNewPrivileges\": \(privileges), \"landlock\": {\(landlock)}")
  }

  private static func rules(_ paths: String) -> String {
    process("\(ruleset), \"rules\": {\"pathBeneath\": [\(paths)]}")
  }

  @Test func everyField() throws {
    let text = LandlockTests.process(
      """
      "ruleset": {"handledAccessFS": ["execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char",
        "make_dir", "make_reg", "make_sock", "make_fifo", "make_block", "make_sym", "refer", "truncate", "ioctl_dev"],
        "handledAccessNet": ["bind_tcp", "connect_tcp"], "scoped": ["abstract_unix_socket", "signal"],
        "flags": ["log_same_exec_off", "log_new_exec_on", "log_subdomains_off"]},
      "rules": {"pathBeneath": [{"allowedAccess": ["execute", "read_file"], "paths": ["/usr", "/bin"]},
        {"allowedAccess": ["write_file"], "paths": ["/opt"], "optional": true}],
        "netPort": [{"allowedAccess": ["connect_tcp"], "ports": [443, 65535]}, {"allowedAccess": ["bind_tcp"], "ports": [0]}]},
      "bestEffort": ["ioctl_dev", "signal", "connect_tcp", "log_new_exec_on"]
      """)
    let landlock = try #require(try configuration(text).process?.landlock)
    #expect(landlock.handled.files == 0xffff && landlock.handled.ports == 3)
    #expect(landlock.handled.scopes == 3 && landlock.handled.flags == 7)
    #expect(landlock.paths.map(\.path) == ["/usr", "/bin", "/opt"])
    #expect(landlock.paths.map(\.allowed) == [5, 5, 2] && landlock.paths.map(\.optional) == [false, false, true])
    #expect(landlock.ports.map(\.port) == [443, 65535, 0] && landlock.ports.map(\.allowed) == [2, 2, 1])
    #expect(landlock.bestEffort.files == 1 << 15 && landlock.bestEffort.ports == 2)
    #expect(landlock.bestEffort.scopes == 2 && landlock.bestEffort.flags == 2)
  }

  @Test func bestEffortOnlyWhereItIsWritten() throws {
    let hard = try configuration(LandlockTests.process(LandlockTests.plain)).process?.landlock
    #expect(hard?.bestEffort == LandlockRights())
    let said = try configuration(LandlockTests.process(LandlockTests.plain + ", \"disableBestEffort\": true")).process?
      .landlock
    #expect(said == hard)
    let soft = try configuration(LandlockTests.process(LandlockTests.plain + ", \"disableBestEffort\": false")).process?
      .landlock
    #expect(soft?.bestEffort == soft?.handled)
  }

  @Test func bothSpellings() throws {
    let one = try configuration(LandlockTests.process(LandlockTests.plain)).process
    let other = LandlockTests.process(LandlockTests.plain).split(separator: "handledAccessFS").joined(
      separator: "handledAccessFs")
    #expect(try configuration(other).process == one)
  }

  @Test(arguments: [
    Refusal("", "/process/landlock/ruleset", "is required"),
    Refusal("\"ruleset\": {}", "/process/landlock/ruleset", "restricts nothing"),
    Refusal("\"ruleset\": {\"flags\": [\"log_new_exec_on\"]}", "/process/landlock/ruleset", "restricts nothing"),
    Refusal("\"ruleset\": {\"scoped\": []}", "/process/landlock/ruleset/scoped", "at least one"),
    Refusal("\"ruleset\": {\"scoped\": [\"signal\", \"signal\"]}", "/process/landlock/ruleset/scoped/1", "given twice"),
    Refusal(
      "\"ruleset\": {\"handledAccessFS\": [\"read\"]}", "/process/landlock/ruleset/handledAccessFS/0",
      "read_file, read_dir"),
    Refusal(
      "\"ruleset\": {\"handledAccessNet\": [\"bind_udp\"]}", "/process/landlock/ruleset/handledAccessNet/0",
      "bind_tcp, connect_tcp"),
    Refusal("\"ruleset\": {\"handledAccess\": []}", "/process/landlock/ruleset/handledAccess", "handledAccessFS"),
    Refusal(
      "\"ruleset\": {\"handledAccessFS\": [\"refer\"], \"handledAccessFs\": [\"refer\"]}",
      "/process/landlock/ruleset/handledAccessFs",
      "are the same"),
    Refusal(
      "\"ruleset\": {\"handledAccessFS\": [\"execute\"]}", "/process/landlock/ruleset", "no program could be executed"),
    Refusal("\(ruleset), \"rule\": {}", "/process/landlock/rule", "ruleset, rules"),
    Refusal("\(ruleset), \"rules\": {}", "/process/landlock/rules", "has no rule"),
    Refusal("\(ruleset), \"rules\": {\"pathBeneath\": []}", "/process/landlock/rules/pathBeneath", "at least one"),
    Refusal("\(ruleset), \"rules\": {\"paths\": []}", "/process/landlock/rules/paths", "pathBeneath, netPort"),
    Refusal("\(ruleset), \"bestEffort\": [\"truncate\"]", "/process/landlock/bestEffort/0", "not in the ruleset"),
    Refusal("\(ruleset), \"bestEffort\": [\"all\"]", "/process/landlock/bestEffort/0", "none of execute"),
    Refusal("\(ruleset), \"bestEffort\": [\"signal\", \"signal\"]", "/process/landlock/bestEffort/1", "given twice"),
    Refusal(
      "\(ruleset), \"bestEffort\": [\"signal\"], \"disableBestEffort\": true", "/process/landlock/bestEffort",
      "contradicts"),
    Refusal(
      "\(ruleset), \"bestEffort\": [\"signal\"], \"disableBestEffort\": false", "/process/landlock/bestEffort",
      "already"),
  ])
  func refusedRulesets(_ refusal: Refusal) {
    refusal.expect(LandlockTests.process(refusal.part), Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    Refusal("{\"paths\": [\"/a\"]}", "0/allowedAccess", "is required"),
    Refusal("{\"allowedAccess\": [\"read_file\"]}", "0/paths", "is required"),
    Refusal("{\"allowedAccess\": [], \"paths\": [\"/a\"]}", "0/allowedAccess", "at least one"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": []}", "0/paths", "at least one"),
    Refusal(
      "{\"allowedAccess\": [\"truncate\"], \"paths\": [\"/a\"]}", "0/allowedAccess/0", "not handled by the ruleset"),
    Refusal("{\"allowedAccess\": [\"connect_tcp\"], \"paths\": [\"/a\"]}", "0/allowedAccess/0", "none of execute"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": [\"a\"]}", "0/paths/0", "absolute"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": [\"\"]}", "0/paths/0", "absolute"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": [\"/a/../b\"]}", "0/paths/0", "clean"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": [\"/./a\"]}", "0/paths/0", "clean"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": [\"//a\"]}", "0/paths/0", "clean"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": [\"/a/\"]}", "0/paths/0", "clean"),
    Refusal(
      "{\"allowedAccess\": [\"read_file\"], \"paths\": [\"/\(String(repeating: "a", count: 4095))\"]}", "0/paths/0",
      "4095"),
    Refusal("{\"allowedAccess\": [\"read_file\"], \"paths\": [\"/a\", \"/b\", \"/a\"]}", "0/paths/2", "given twice"),
    Refusal(
      "{\"allowedAccess\": [\"read_file\"], \"paths\": [\"/a\"], \"port\": 1}", "0/port",
      "allowedAccess, paths, optional"),
    Refusal(
      "{\"allowedAccess\": [\"read_file\"], \"paths\": [\"/a\"]}, {\"allowedAccess\": [\"read_dir\"], \"paths\": [\"/a\"]}",
      "1/paths/0",
      "given twice"),
  ])
  func refusedRules(_ refusal: Refusal) {
    Refusal(refusal.part, "/process/landlock/rules/pathBeneath/" + refusal.pointer, refusal.words)
      .expect(LandlockTests.rules(refusal.part), Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    ("/a", "write_file", "/a/b", "read_file", true), ("/", "write_file", "/a", "read_file", true),
    ("/a", "read_dir", "/a/b/c", "read_file", false), ("/a", "read_file", "/ab", "write_file", false),
    ("/a", "read_file", "/a/b", "read_file\", \"write_file", false), ("/a", "read_file", "/a/b", "read_file", false),
    ("/a-b", "write_file", "/a", "read_file", false), ("/a", "read_file\", \"read_dir", "/a/b", "read_dir", true),
  ])
  func narrowing(wide: String, rights: String, narrow: String, fewer: String, refused: Bool) {
    for wideFirst in [true, false] {
      let parts = [(wide, rights), (narrow, fewer)].map { "{\"allowedAccess\": [\"\($1)\"], \"paths\": [\"\($0)\"]}" }
      let text = LandlockTests.rules((wideFirst ? parts : parts.reversed()).joined(separator: ", "))
      if refused {
        let pointer = "/process/landlock/rules/pathBeneath/\(wideFirst ? 1 : 0)/paths/0"
        Refusal("", pointer, "mount the path read-only").expect(text, Configuration.init(parsing:subject:))
      } else {
        accept(text)
      }
    }
  }

  @Test(arguments: [
    Refusal("{\"allowedAccess\": [\"connect_tcp\"], \"ports\": [65536]}", "0/ports/0", "out of range 0 ... 65535"),
    Refusal("{\"allowedAccess\": [\"connect_tcp\"], \"ports\": [-1]}", "0/ports/0", "out of range"),
    Refusal("{\"allowedAccess\": [\"connect_tcp\"], \"ports\": [\"443\"]}", "0/ports/0", "must be an integer"),
    Refusal("{\"allowedAccess\": [\"connect_tcp\"], \"ports\": [0]}", "0/ports/0", "only for bind_tcp"),
    Refusal("{\"allowedAccess\": [\"connect_tcp\"], \"ports\": [1, 1]}", "0/ports/1", "given twice"),
    Refusal("{\"allowedAccess\": [\"bind_tcp\"], \"ports\": [1]}", "0/allowedAccess/0", "not handled"),
    Refusal("{\"allowedAccess\": [\"connect_tcp\"]}", "0/ports", "is required"),
  ])
  func refusedPorts(_ refusal: Refusal) {
    let text = LandlockTests.process(
      "\"ruleset\": {\"handledAccessNet\": [\"connect_tcp\"]}, \"rules\": {\"netPort\": [\(refusal.part)]}")
    Refusal(refusal.part, "/process/landlock/rules/netPort/" + refusal.pointer, refusal.words)
      .expect(text, Configuration.init(parsing:subject:))
  }

  @Test func needsNoNewPrivileges() {
    Refusal("", "/process/noNewPrivileges", "must be true with landlock")
      .expect(LandlockTests.process(LandlockTests.plain, privileges: "false"), Configuration.init(parsing:subject:))
  }

  private static func annotated(_ annotation: String, landlock: String? = nil) -> String {
    let text = "{\(annotation)}".split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
    let process = landlock.map { ", \"landlock\": {\($0)}" } ?? ""
    return whole(
      "\"annotations\": {\"nemoshell.landlock\": \"\(text)\"}, "
        + "\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"noNewPrivileges\": true\(process)}")
  }

  @Test func annotationIsTheSame() throws {
    let direct = try configuration(LandlockTests.process(LandlockTests.plain)).process
    #expect(try configuration(LandlockTests.annotated(LandlockTests.plain)).process == direct)
    #expect(
      try configuration(LandlockTests.annotated(LandlockTests.plain, landlock: LandlockTests.plain)).process == direct)
  }

  @Test func annotationThatDiffers() {
    let other = "\"ruleset\": {\"scoped\": [\"signal\"]}"
    Refusal("", "/annotations/nemoshell.landlock", "differs from /process/landlock")
      .expect(LandlockTests.annotated(other, landlock: LandlockTests.plain), Configuration.init(parsing:subject:))
  }

  @Test func annotationThatIsWrong() {
    for (part, words) in [("\"ruleset\": {}", "/ruleset: restricts nothing"), ("\"", "line 1")] {
      do throws(Failure) {
        _ = try Configuration(parsing: Array(LandlockTests.annotated(part).utf8), subject: "config.json")
        Issue.record("accepted")
      } catch {
        #expect(error.message.contains("/annotations/nemoshell.landlock"))
        #expect(error.message.contains(words))
      }
    }
  }

  @Test(arguments: ["nemoshell.landlock.enforced", "nemoshell.degraded"])
  func whatTheRuntimeWritesCannotBeGiven(name: String) {
    Refusal("", "/annotations/\(name)", "is written by the runtime")
      .expect(whole("\"annotations\": {\"\(name)\": \"nothing\"}"), Configuration.init(parsing:subject:))
  }
}
