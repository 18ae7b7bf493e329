import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct SeccompTests {
  @Test func everyFieldIsRead() throws {
    let text = """
      "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/run/agent", "listenerMetadata": "m",
        "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
          {"names": ["clone"], "action": "SCMP_ACT_TRACE", "errnoRet": 4294967295,
           "args": [{"index": 5, "value": 18446744073709551615, "valueTwo": 9223372036854775808, "op": "SCMP_CMP_MASKED_EQ"},
                    {"index": 0, "value": 0, "op": "SCMP_CMP_NE"}]}]}
      """
    var expected = SeccompProfile(defaultAction: "SCMP_ACT_ERRNO")
    expected.defaultErrnoRet = 38
    expected.architectures = ["SCMP_ARCH_X86_64"]
    expected.flags = ["SECCOMP_FILTER_FLAG_LOG"]
    expected.flagsGiven = true
    expected.listenerPath = "/run/agent"
    expected.listenerMetadata = "m"
    var first = SeccompRule(action: "SCMP_ACT_ALLOW")
    first.names = ["read", "write"]
    var second = SeccompRule(action: "SCMP_ACT_TRACE")
    second.names = ["clone"]
    second.errnoRet = .max
    var masked = SeccompArgument(index: 5, value: .max, op: "SCMP_CMP_MASKED_EQ")
    masked.valueTwo = 1 << 63
    second.args = [masked, SeccompArgument(index: 0, value: 0, op: "SCMP_CMP_NE")]
    expected.syscalls = [first, second]
    #expect(try configuration(withLinux(text)).linux.seccomp == expected)
  }

  @Test func emptyFlagsAreGivenFlags() throws {
    let given = try configuration(withLinux("\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": []}"))
    #expect(given.linux.seccomp?.flagsGiven == true && given.linux.seccomp?.flags == [])
    let absent = try configuration(withLinux("\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\"}"))
    #expect(absent.linux.seccomp == SeccompProfile(defaultAction: "SCMP_ACT_ALLOW"))
  }

  @Test(arguments: [
    Refusal("\"x\": 1", "/defaultAction", "is required"),
    Refusal("\"defaultAction\": \"\"", "/defaultAction", "must not be empty"),
    Refusal(
      "\"defaultAction\": \"A\", \"defaultErrnoRet\": -1", "/defaultErrnoRet", "-1 is out of range 0 ... 4294967295"),
    Refusal("\"defaultAction\": \"A\", \"architectures\": [1]", "/architectures/0", "must be a string"),
    Refusal("\"defaultAction\": \"A\", \"flags\": \"x\"", "/flags", "must be an array"),
    Refusal("\"defaultAction\": \"A\", \"listenerMetadata\": \"m\"", "/listenerMetadata", "needs listenerPath"),
  ])
  func profilesAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/linux/seccomp" + refusal.pointer, refusal.words)
      .expect(withLinux("\"seccomp\": {\(refusal.part)}"), Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    Refusal("{\"action\": \"A\"}", "/names", "is required"),
    Refusal("{\"names\": [], \"action\": \"A\"}", "/names", "must have at least one element"),
    Refusal("{\"names\": [7], \"action\": \"A\"}", "/names/0", "must be a string"),
    Refusal("{\"names\": [\"read\"]}", "/action", "is required"),
    Refusal("{\"names\": [\"read\"], \"action\": \"A\", \"errnoRet\": 4294967296}", "/errnoRet", "out of range"),
    Refusal(
      "{\"names\": [\"read\"], \"action\": \"A\", \"args\": [{\"value\": 1, \"op\": \"O\"}]}", "/args/0/index",
      "is required"),
    Refusal(
      "{\"names\": [\"read\"], \"action\": \"A\", \"args\": [{\"index\": 1, \"op\": \"O\"}]}", "/args/0/value",
      "is required"),
    Refusal(
      "{\"names\": [\"read\"], \"action\": \"A\", \"args\": [{\"index\": 1, \"value\": 1}]}", "/args/0/op",
      "is required"),
    Refusal(
      "{\"names\": [\"read\"], \"action\": \"A\", \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"O\"}]}",
      "/args/0/index",
      "6 is out of range 0 ... 5"),
    Refusal(
      "{\"names\": [\"read\"], \"action\": \"A\", \"args\": [{\"index\": 1, \"value\": -1, \"op\": \"O\"}]}",
      "/args/0/value",
      "-1 is out of range 0 ... 18446744073709551615"),
  ])
  func rulesAreChecked(_ refusal: Refusal) {
    Refusal(refusal.part, "/linux/seccomp/syscalls/0" + refusal.pointer, refusal.words)
      .expect(
        withLinux("\"seccomp\": {\"defaultAction\": \"A\", \"syscalls\": [\(refusal.part)]}"),
        Configuration.init(parsing:subject:))
  }
}
