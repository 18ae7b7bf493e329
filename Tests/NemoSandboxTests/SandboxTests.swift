import Glibc
import NemoBlueprint
import Testing

@testable import NemoSandbox

@Test(arguments: [
  ("agent", true), ("a-1", true), ("-a", false), ("a-", false), ("", false), ("A", false), ("a.b", false),
  ("run", false), ("logs", false),
])
func namesAreOneWordThatIsNoCommand(_ name: String, _ isLegal: Bool) {
  #expect((SandboxName.problem(name) == nil) == isLegal)
  #expect((SandboxName.problem(String(repeating: "a", count: 63)) == nil))
  #expect((SandboxName.problem(String(repeating: "a", count: 64)) != nil))
}

@Test func framesComeInAnyPieces() {
  let frames: [ConsoleFrame] = [.input(Array("hello".utf8)), .size(rows: 40, columns: 300), .input([])]
  let stream = frames.flatMap(\.bytes)
  for size in 1...stream.count {
    var pending: [UInt8] = []
    var found: [ConsoleFrame] = []
    for start in stride(from: 0, to: stream.count, by: size) {
      pending += stream[start..<min(start + size, stream.count)]
      found += ConsoleFrame.take(&pending) ?? []
    }
    #expect(found.flatMap(\.bytes) == stream && pending.isEmpty)
  }
  var wrong: [UInt8] = [UInt8(ascii: "d"), 0xff, 0xff]
  #expect(ConsoleFrame.take(&wrong) == nil)
  wrong = [0, 0, 0]
  #expect(ConsoleFrame.take(&wrong) == nil)
}

@Test func theKeysThatDetach() {
  #expect(Attachment.detach(in: Array("ab".utf8) + [0x10, 0x11]) == 2)
  #expect(Attachment.detach(in: [0x10, 0x61, 0x11]) == nil)
  #expect(Attachment.detach(in: [0x10]) == nil)
}

@Test func whatIsLoggedIsReadBack() throws {
  let directory = "/tmp/nemoshell-log-\(getpid())"
  #expect(mkdir(directory, 0o700) == 0)
  defer { for name in ["log", "log.1"] { unlink("\(directory)/\(name)") } }
  defer { rmdir(directory) }
  let log = try OutputLog("\(directory)/log")
  let reader = LogReader("\(directory)/log")
  let long = [UInt8](repeating: 0x61, count: 3 * SandboxLimits.piece + 5)
  try log.write(Array("one\ntwo".utf8), "stdout")
  try log.write(Array("\n\n".utf8), "stderr")
  try log.write(long, "stdout")
  var pieces = try reader.next()
  #expect(pieces.filter { !$0.isError }.flatMap(\.bytes) == Array("one\ntwo".utf8) + long)
  #expect(pieces.filter(\.isError).flatMap(\.bytes) == Array("\n\n".utf8))
  try log.write(Array("end\n".utf8), "stdout")
  pieces = try reader.next()
  #expect(pieces.map(\.bytes) == [Array("end\n".utf8)] && pieces[0].time.hasSuffix("Z"))
}

@Test func recordsAreReadBack() throws {
  let record = SandboxRecord(
    name: "a", source: "/b.yaml", blueprint: "b", blueprintVersion: "1.0.0", digest: "sha256:0", runtimeRoot: "/run/n",
    hasTerminal: true, uid: 65532, gid: 7, workspace: "/w", mustExist: [("/w", "docs")], created: "now")
  let read = SandboxRecord(try JSONReader.parse(Array(record.json.canonical.utf8)))
  #expect(read?.json == record.json)
  #expect(SandboxRecord(.object([:])) == nil)
  var run = SandboxRun(bootID: "b", started: "s")
  run.exitStatus = 3
  run.protections = ["seccomp"]
  #expect(SandboxRun(try JSONReader.parse(Array(run.json.canonical.utf8)))?.json == run.json)
  #expect(SandboxStatus.summary("a", run) == "Sandbox a (seccomp)")
}

@Test func directoriesAroundAReadOnlyPathAreMountsToo() throws {
  let mount = { (place: String, source: String) in
    JSONValue.object([
      "destination": .string(place), "type": .string("bind"), "source": .string(source),
      "options": .array([.string("bind")]),
    ])
  }
  let document = JSONValue.object([
    "root": .object(["path": .string("rootfs"), "readonly": .bool(false)]),
    "mounts": .array([mount("/work", "/host/work")]),
  ])
  let nested = try #require(
    NestedReadOnly(document, ["/work/a/b/c", "/work/top", "/var/lib/db"], bundle: "/bundle"))
  let mounts = nested.document["mounts"]?.elements ?? []
  #expect(
    mounts.compactMap { $0["destination"]?.text } == ["/var", "/var/lib", "/work", "/work/a", "/work/a/b"])
  #expect(mounts.last?["source"] == .string("/host/work/a/b"))
  #expect(
    nested.mustExist.map { "\($0.directory) \($0.path)" }
      == ["/host/work a/b/c", "/host/work top", "/bundle/rootfs var/lib/db"])
}
