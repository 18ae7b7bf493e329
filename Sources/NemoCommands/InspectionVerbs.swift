import CKernel
import Glibc
import NemoJSON
import NemoKernel
import NemoRuntime

extension NemoshellProgram {
  static let stateVerb = Verb(
    name: "state", operands: "ID", summary: "print the state of a container as JSON", count: 1...1
  ) { (invocation) throws(Failure) in
    var json = JSONWriter(indented: true)
    try Containers.summary(invocation.id, invocation.context).write(to: &json)
    try Output.write(json.bytes + [10])
    return 0
  }

  static let listVerb = Verb(
    name: "list", operands: "", summary: "list containers",
    flags: [
      .option("--format", "-f", value: "FORMAT", "table (default) or json"),
      .toggle("--quiet", "-q", help: "ids only"),
    ], count: 0...0
  ) { (invocation) throws(Failure) in
    let format = try tableOrJSON(invocation.arguments)
    var unreadable = 0
    let all = try Containers.all(invocation.context) { failure in
      invocation.log.warning(failure.message)
      unreadable += 1
    }
    if invocation.arguments.has("--quiet") {
      try Output.write(all.map { $0.record.id + "\n" }.joined())
    } else if format == "json" {
      if all.isEmpty {
        try Output.write("null\n")
        return 0
      }
      var json = JSONWriter()
      json.beginArray()
      for summary in all { summary.write(to: &json) }
      json.endArray()
      try Output.write(json.bytes + [10])
    } else {
      let rows = all.map {
        [$0.record.id, String(decimal: $0.pid), $0.status.rawValue, $0.record.bundle, $0.record.created, $0.owner]
      }
      try Output.write(Output.table([["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]] + rows))
    }
    return 0
  }

  static func tableOrJSON(_ arguments: Arguments) throws(Failure) -> String {
    let format = arguments.string("--format") ?? "table"
    guard format == "table" || format == "json" else {
      throw Failure("", "--format", reason: "\"\(format)\" is neither table nor json")
    }
    return format
  }

  static let psVerb = Verb(
    name: "ps", operands: "ID [ps options]", summary: "show the processes of a container",
    details: "The table is that of the host's ps (default options: -ef), with the container's processes only.",
    flags: [.option("--format", "-f", value: "FORMAT", "table (default) or json")], count: 1...Int.max,
    stopsAtPositional: true
  ) { (invocation) throws(Failure) in
    let format = try tableOrJSON(invocation.arguments)
    let processes = try Containers.processes(invocation.id, invocation.context).sorted()
    if format == "json" {
      var json = JSONWriter()
      json.beginArray()
      for pid in processes { json.integer(pid) }
      json.endArray()
      try Output.write(json.bytes + [10])
      return 0
    }
    var options = Array(invocation.arguments.positional.dropFirst())
    if options.isEmpty { options = ["-ef"] }
    let text = try HostPs.run(options)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
    guard let header = lines.first else { throw Failure("ps", reason: "printed nothing") }
    guard let column = header.split(separator: " ").firstIndex(of: "PID") else {
      throw Failure("ps", reason: "its table has no PID column", advice: "choose options that print one")
    }
    let wanted = Set(processes.map { String($0) })
    let rows = lines.dropFirst().filter { line in
      let fields = line.split(separator: " ")
      return fields.count > column && wanted.contains(String(fields[column]))
    }
    try Output.write(([header] + rows).joined(separator: "\n") + "\n")
    return 0
  }
}

/// The host's ps(1).
enum HostPs {
  static func run(_ options: [String]) throws(Failure) -> String {
    var pipeEnds: [Int32] = [-1, -1]
    guard pipe(&pipeEnds) == 0 else { throw .last("pipe") }
    let pid = fork_ps(options, pipeEnds)
    close(pipeEnds[1])
    let reader = OwnedDescriptor(adopting: pipeEnds[0])
    guard pid > 0 else { throw .last("start ps") }
    let bytes = try Files.readAll(reader.raw, limit: 64 << 20, subject: "output of ps")
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && nemo_get_errno() == EINTR {}
    guard status == 0 else {
      throw Failure("ps \(options.joined(separator: " "))", reason: "exit status \(nemo_wexitstatus(status))")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func fork_ps(_ options: [String], _ pipeEnds: [Int32]) -> Int32 {
    var arguments = nemo_clone_args()
    arguments.exit_signal = UInt64(SIGCHLD)
    let pid = nemo_clone3(&arguments)
    if pid == 0 {
      dup2(pipeEnds[1], 1)
      nemo_close_range(3, UInt32.max, 4)
      var argv = (["ps"] + options).map { strdup($0) } + [nil]
      execvp("ps", &argv)
      _exit(127)
    }
    return pid
  }
}
