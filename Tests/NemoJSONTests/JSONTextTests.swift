import NemoKernel
import Testing

@testable import NemoJSON

@Suite struct JSONTextTests {
  private let path: [StaticString] = ["linux", "seccomp", "syscalls"]

  private func found(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    return JSONText.value(at: path, in: bytes).map { String(decoding: bytes[$0], as: UTF8.self) }
  }

  @Test(arguments: ["[]", "[ {\"a\": \"]}\\\"\", \"b\": [1, {}]} ]", "17", "-1.5e3", "null", "\"a,b\"", "{}"])
  func findsAValueOfAnyKind(_ value: String) {
    #expect(found("{\"linux\":{\"seccomp\":{\"syscalls\":\(value)}}}") == value)
    let spaced =
      " {\n \"process\" : {\"linux\": {}, \"x\": [\"{\", \"\\\\\"]} ,\t\"linux\" : { \"a\":1, \"seccomp\":{\"b\" : true, \"syscalls\" : \(value) , \"c\":2 } } }"
    #expect(found(spaced) == value)
  }

  @Test(arguments: [
    "", "[]", "{}", "{\"linux\":[]}", "{\"linux\":null}", "{\"linux\":{\"seccomp\":{}}}",
    "{\"linu\":{\"seccomp\":{\"syscalls\":1}}}",
    "{\"x\":{\"linux\":{\"seccomp\":{\"syscalls\":1}}}}", "{\"lin\\u0075x\":{\"seccomp\":{\"syscalls\":1}}}",
    "{\"linux\":{\"seccomp\":{\"syscalls\":[1", "{\"linux\":{\"seccomp\":{\"syscalls\":",
    "{\"linux\":{\"seccomp\":{\"syscalls\":\"a",
    "{\"linux", "{\"linux\"", "{\"linux\":", "{\"a\":1 \"linux\":{}}",
  ])
  func findsNothingElsewhere(_ text: String) {
    #expect(found(text) == nil)
  }

  @Test func everyPrefixIsSafe() {
    let text = Array("{\"a\":[1,\"\\\"\"],\"linux\":{\"seccomp\":{\"syscalls\":[{\"names\":[\"a\\\\\"]}]}}}".utf8)
    for n in 0..<text.count { _ = JSONText.value(at: path, in: Array(text[..<n])) }
    #expect(JSONText.value(at: path, in: text) != nil)
  }
}
