import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct ProcessTests {
  @Test func everyFieldIsRead() throws {
    let process = try Process(
      parsing: Array(
        """
        {"terminal": true, "consoleSize": {"height": 25, "width": 65535}, "cwd": "/work", "env": ["A=1", "B=", "C==x"],
         "args": ["sh", "-c", ""], "user": {"uid": 1, "gid": 4294967294, "umask": 511, "additionalGids": [5, 0]},
         "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 18446744073709551615},
                     {"type": "RLIMIT_CPU", "soft": 0, "hard": 0}],
         "capabilities": {"effective": ["CAP_KILL"], "bounding": ["CAP_CHOWN", "CAP_NEW"], "inheritable": [],
                          "permitted": ["CAP_SETUID"], "ambient": ["CAP_SETGID"]},
         "noNewPrivileges": true, "oomScoreAdj": -1000,
         "scheduler": {"policy": "SCHED_RR", "nice": -20, "priority": 99, "flags": ["SCHED_FLAG_RESET_ON_FORK",
                       "SCHED_FLAG_UTIL_CLAMP_MAX"]},
         "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 7},
         "execCPUAffinity": {"initial": "0-1, 3", "final": ""},
         "apparmorProfile": "profile", "selinuxLabel": "label"}
        """.utf8), subject: "process.json")
    var expected = Process()
    expected.terminal = true
    expected.consoleSize = ConsoleSize(height: 25, width: 65535)
    expected.cwd = "/work"
    expected.env = ["A=1", "B=", "C==x"]
    expected.args = ["sh", "-c", ""]
    expected.user.uid = 1
    expected.user.gid = 4_294_967_294
    expected.user.umask = 0o777
    expected.user.additionalGids = [5, 0]
    expected.rlimits = [
      ResourceLimit(resource: 7, name: "RLIMIT_NOFILE", soft: 1024, hard: .max),
      ResourceLimit(resource: 0, name: "RLIMIT_CPU", soft: 0, hard: 0),
    ]
    var sets = CapabilitySets()
    sets.effective = ["CAP_KILL"]
    sets.bounding = ["CAP_CHOWN", "CAP_NEW"]
    sets.permitted = ["CAP_SETUID"]
    sets.ambient = ["CAP_SETGID"]
    expected.capabilities = sets
    expected.noNewPrivileges = true
    expected.oomScoreAdj = -1000
    var scheduler = Scheduler(policy: 2)
    scheduler.nice = -20
    scheduler.priority = 99
    scheduler.flags = 0x41
    expected.scheduler = scheduler
    expected.ioPriority = IOPriority(ioClass: 3)
    expected.ioPriority?.priority = 7
    expected.execCPUAffinity = ExecCPUAffinity()
    expected.execCPUAffinity?.initial = "0-1,3"
    expected.apparmorProfile = "profile"
    expected.selinuxLabel = "label"
    #expect(process == expected)
  }

  @Test func whatIsAbsentHasItsDefault() throws {
    let process = try #require(try configuration(withProcess("")).process)
    var expected = Process()
    expected.args = ["sh"]
    #expect(process == expected)
  }

  @Test(arguments: [
    Refusal("{\"args\": [\"sh\"]}", "/cwd", "is required"),
    Refusal("{\"args\": [\"sh\"], \"cwd\": \"\"}", "/cwd", "\"\" must be an absolute path"),
    Refusal("{\"args\": [\"sh\"], \"cwd\": \"work\"}", "/cwd", "\"work\" must be an absolute path"),
    Refusal("{\"cwd\": \"/\"}", "/args", "is required"),
    Refusal("{\"cwd\": \"/\", \"args\": []}", "/args", "must have at least one element"),
    Refusal("{\"cwd\": \"/\", \"args\": [\"\"]}", "/args/0", "exec: \"\": executable file not found in $PATH"),
    Refusal("{\"cwd\": \"/\", \"args\": [\"a\", 1]}", "/args/1", "must be a string, not an integer"),
  ])
  func whatExecNeedsIsChecked(_ refusal: Refusal) {
    refusal.expect(refusal.part, Process.init(parsing:subject:))
  }

  @Test(arguments: [
    Refusal("\"terminal\": 1", "/process/terminal", "must be a boolean"),
    Refusal("\"terminal\": true, \"consoleSize\": {\"height\": 1}", "/process/consoleSize/width", "is required"),
    Refusal("\"terminal\": true, \"consoleSize\": {\"width\": 1}", "/process/consoleSize/height", "is required"),
    Refusal(
      "\"terminal\": true, \"consoleSize\": {\"height\": 65536, \"width\": 1}", "/process/consoleSize/height",
      "65536 is out of range 0 ... 65535"),
    Refusal("\"consoleSize\": []", "/process/consoleSize", "must be an object, not an array"),
    Refusal("\"consoleSize\": {\"width\": \"1\"}", "/process/consoleSize/width", "must be an integer, not a string"),
    Refusal("\"consoleSize\": {\"height\": -1}", "/process/consoleSize/height", "-1 is out of range"),
    Refusal("\"env\": [\"A=1\", \"B\"]", "/process/env/1", "\"B\" is not of the form NAME=value"),
    Refusal("\"env\": [\"=x\"]", "/process/env/0", "\"=x\" is not of the form NAME=value"),
    Refusal("\"env\": [\"\"]", "/process/env/0", "\"\" is not of the form NAME=value"),
    Refusal("\"env\": [\"A=1\\nB\", \"x\\ny\"]", "/process/env/1", "\"x\\ny\" is not"),
    Refusal("\"user\": {\"uid\": -1}", "/process/user/uid", "-1 is out of range 0 ... 4294967295"),
    Refusal("\"user\": {\"uid\": 4294967295}", "/process/user/uid", "out of range 0 ... 4294967294"),
    Refusal("\"user\": {\"uid\": 4294967296}", "/process/user/uid", "4294967296 is out of range"),
    Refusal("\"user\": {\"gid\": 4294967295}", "/process/user/gid", "out of range"),
    Refusal("\"user\": {\"uid\": \"0\"}", "/process/user/uid", "must be an integer, not a string"),
    Refusal("\"user\": {\"umask\": 512}", "/process/user/umask", "512 is out of range 0 ... 511"),
    Refusal("\"user\": {\"additionalGids\": [1, 4294967295]}", "/process/user/additionalGids/1", "out of range"),
    Refusal("\"capabilities\": []", "/process/capabilities", "must be an object, not an array"),
    Refusal("\"capabilities\": {\"bounding\": [1]}", "/process/capabilities/bounding/0", "must be a string"),
    Refusal("\"noNewPrivileges\": \"true\"", "/process/noNewPrivileges", "must be a boolean, not a string"),
    Refusal("\"oomScoreAdj\": 1001", "/process/oomScoreAdj", "1001 is out of range -1000 ... 1000"),
    Refusal("\"oomScoreAdj\": -1001", "/process/oomScoreAdj", "-1001 is out of range -1000 ... 1000"),
    Refusal("\"ioPriority\": {}", "/process/ioPriority/class", "is required"),
    Refusal("\"ioPriority\": {\"class\": \"RT\"}", "/process/ioPriority/class", "\"RT\" is none of IOPRIO_CLASS_RT"),
    Refusal(
      "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 8}", "/process/ioPriority/priority", "0 ... 7"),
    Refusal(
      "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": -1}", "/process/ioPriority/priority", "0 ... 7"),
    Refusal(
      "\"execCPUAffinity\": {\"initial\": \"a\"}", "/process/execCPUAffinity/initial", "\"a\" is not a list of numbers"),
    Refusal("\"execCPUAffinity\": {\"final\": \"3-1\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal("\"execCPUAffinity\": {\"final\": \"1,,2\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal("\"execCPUAffinity\": {\"final\": \"1-\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal("\"execCPUAffinity\": {\"final\": \"-1\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal("\"execCPUAffinity\": {\"final\": \"1 2\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal(
      "\"execCPUAffinity\": {\"final\": \"65536\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal("\"execCPUAffinity\": {\"final\": \"+1\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal(
      "\"execCPUAffinity\": {\"final\": \"1-2-3\"}", "/process/execCPUAffinity/final", "is not a list of numbers"),
    Refusal("\"apparmorProfile\": []", "/process/apparmorProfile", "must be a string"),
    Refusal("\"selinuxLabel\": 1", "/process/selinuxLabel", "must be a string"),
  ])
  func fieldsAreChecked(_ refusal: Refusal) {
    refusal.expect(withProcess(refusal.part), Configuration.init(parsing:subject:))
  }

  @Test func theConsoleSizeIsIgnoredWithoutATerminal() throws {
    let process = try #require(try configuration(withProcess("\"consoleSize\": {\"height\": 70000}")).process)
    #expect(process.consoleSize == nil)
  }

  @Test func unknownCapabilitiesAreNoErrors() {
    accept(withProcess("\"capabilities\": {\"bounding\": [\"CAP_MADE_UP\", \"cap_kill\", \"\"]}"))
  }
}

@Suite struct ResourceLimitTests {
  @Test(arguments: [
    ("AS", 9), ("CORE", 4), ("CPU", 0), ("DATA", 2), ("FSIZE", 1), ("LOCKS", 10), ("MEMLOCK", 8), ("MSGQUEUE", 12),
    ("NICE", 13),
    ("NOFILE", 7), ("NPROC", 6), ("RSS", 5), ("RTPRIO", 14), ("RTTIME", 15), ("SIGPENDING", 11), ("STACK", 3),
  ])
  func namesAreKnown(_ name: String, _ number: Int32) throws {
    let text = withProcess("\"rlimits\": [{\"type\": \"RLIMIT_\(name)\", \"soft\": 1, \"hard\": 18446744073709551615}]")
    let limits = try #require(try configuration(text).process).rlimits
    #expect(limits == [ResourceLimit(resource: number, name: "RLIMIT_\(name)", soft: 1, hard: .max)])
  }

  @Test(arguments: [
    Refusal("{\"soft\": 1, \"hard\": 1}", "/process/rlimits/0/type", "is required"),
    Refusal("{\"type\": \"RLIMIT_CPU\", \"hard\": 1}", "/process/rlimits/0/soft", "is required"),
    Refusal("{\"type\": \"RLIMIT_CPU\", \"soft\": 1}", "/process/rlimits/0/hard", "is required"),
    Refusal(
      "{\"type\": \"NOFILE\", \"soft\": 1, \"hard\": 1}", "/process/rlimits/0/type", "\"NOFILE\" is none of RLIMIT_CPU"),
    Refusal("{\"type\": \"RLIMIT_CPU\", \"soft\": 2, \"hard\": 1}", "/process/rlimits/0", "soft 2 is above hard 1"),
    Refusal("{\"type\": \"RLIMIT_CPU\", \"soft\": -1, \"hard\": 1}", "/process/rlimits/0/soft", "-1 is out of range"),
    Refusal(
      "{\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}, {\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}",
      "/process/rlimits/1/type", "RLIMIT_CPU is given twice"),
  ])
  func limitsAreChecked(_ refusal: Refusal) {
    refusal.expect(withProcess("\"rlimits\": [\(refusal.part)]"), Configuration.init(parsing:subject:))
  }
}

@Suite struct SchedulerTests {
  @Test(arguments: [
    ("SCHED_OTHER", 0), ("SCHED_BATCH", 3), ("SCHED_ISO", 4), ("SCHED_IDLE", 5), ("SCHED_DEADLINE", 6),
  ])
  func policiesAreKnown(_ name: String, _ number: UInt32) throws {
    let process = try #require(try configuration(withProcess("\"scheduler\": {\"policy\": \"\(name)\"}")).process)
    #expect(process.scheduler == Scheduler(policy: number))
  }

  @Test func theDeadlinePolicyIsRead() throws {
    let text =
      "{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 10000000, \"deadline\": 20000000, \"period\": 18446744073709551615, "
      + "\"flags\": [\"SCHED_FLAG_RECLAIM\", \"SCHED_FLAG_DL_OVERRUN\", \"SCHED_FLAG_KEEP_POLICY\", "
      + "\"SCHED_FLAG_KEEP_PARAMS\", \"SCHED_FLAG_UTIL_CLAMP_MIN\"]}"
    let scheduler = try #require(try configuration(withProcess("\"scheduler\": \(text)")).process?.scheduler)
    #expect(scheduler.runtime == 10_000_000 && scheduler.deadline == 20_000_000 && scheduler.period == .max)
    #expect(scheduler.flags == 0x3e)
  }

  @Test(arguments: [
    Refusal("{}", "/policy", "is required"),
    Refusal("{\"policy\": \"FIFO\"}", "/policy", "\"FIFO\" is none of SCHED_OTHER"),
    Refusal("{\"policy\": \"SCHED_OTHER\", \"nice\": 20}", "/nice", "20 is out of range -20 ... 19"),
    Refusal("{\"policy\": \"SCHED_OTHER\", \"nice\": -21}", "/nice", "-21 is out of range -20 ... 19"),
    Refusal("{\"policy\": \"SCHED_OTHER\", \"priority\": 1}", "/priority", "is only for SCHED_FIFO and SCHED_RR"),
    Refusal("{\"policy\": \"SCHED_DEADLINE\", \"priority\": 1}", "/priority", "is only for SCHED_FIFO and SCHED_RR"),
    Refusal("{\"policy\": \"SCHED_FIFO\"}", "/priority", "0 is out of range 1 ... 99"),
    Refusal("{\"policy\": \"SCHED_RR\", \"priority\": 100}", "/priority", "100 is out of range 1 ... 99"),
    Refusal("{\"policy\": \"SCHED_FIFO\", \"priority\": 1, \"runtime\": 1}", "/runtime", "is only for SCHED_DEADLINE"),
    Refusal("{\"policy\": \"SCHED_BATCH\", \"deadline\": 1}", "/deadline", "is only for SCHED_DEADLINE"),
    Refusal("{\"policy\": \"SCHED_IDLE\", \"period\": 1}", "/period", "is only for SCHED_DEADLINE"),
    Refusal("{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 2, \"deadline\": 1}", "/runtime", "is above the deadline"),
    Refusal("{\"policy\": \"SCHED_DEADLINE\", \"deadline\": 2, \"period\": 1}", "/deadline", "is above the period"),
    Refusal("{\"policy\": \"SCHED_OTHER\", \"flags\": [\"RECLAIM\"]}", "/flags/0", "\"RECLAIM\" is none of"),
  ])
  func schedulersAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/process/scheduler" + refusal.pointer, refusal.words)
      .expect(withProcess("\"scheduler\": \(refusal.part)"), Configuration.init(parsing:subject:))
    Refusal(refusal.part, "/scheduler" + refusal.pointer, refusal.words)
      .expect(
        "{\"cwd\": \"/\", \"args\": [\"sh\"], \"scheduler\": \(refusal.part)}", Process.init(parsing:subject:))
  }
}
