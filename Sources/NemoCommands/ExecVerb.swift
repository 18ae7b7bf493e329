import NemoKernel
import NemoRuntime

extension NemoshellProgram {
  static let execVerb = Verb(
    name: "exec", operands: "ID [COMMAND [ARGUMENT ...]]", summary: "run a further process in a container",
    details:
      "The process gets the container's namespaces, cgroup, filter, capabilities and limits.\nThe exit status is the program's; 255 when it could not be started.",
    flags: [
      .toggle("--detach", "-d", help: "return when the program runs"),
      .toggle("--tty", "-t", help: "give it a terminal"),
      .option("--process", "-p", value: "FILE", "process document instead of a command"),
      .option("--user", "-u", value: "UID[:GID]", "numeric user and group"),
      .option("--cwd", value: "DIR", "working directory"),
      .option("--env", "-e", value: "NAME=VALUE", "add to the environment", repeats: true),
      .option("--cap", "-c", value: "CAP", "add a capability", repeats: true),
      .option("--additional-gids", "-g", value: "GID", "add a supplementary group", repeats: true),
      .option("--pid-file", value: "FILE", "write the process id to FILE"),
      .option("--console-socket", value: "SOCKET", "unix socket that gets the terminal's master"),
      .option("--pidfd-socket", value: "SOCKET", "unix socket that gets a pidfd of the process"),
      .option("--preserve-fds", value: "N", "pass N descriptors after stdio to the process"),
      .toggle("--ignore-paused", help: "allow it in a paused container"),
      .option(
        "--cgroup", value: "[CTRL[,CTRL]:]PATH", "sub cgroup of the container's, for all or some controllers",
        repeats: true),
      .toggle("--no-new-privs", help: "set no_new_privs"),
      .option("--apparmor", value: "PROFILE", "AppArmor profile"),
      .option("--process-label", value: "LABEL", "SELinux label"),
      .toggle("--no-subreaper", help: "accepted for compatibility: exec adopts nothing"),
    ], count: 1...Int.max, stopsAtPositional: true, failureStatus: 255
  ) { (invocation) throws(Failure) in
    let arguments = invocation.arguments
    var options = ExecOptions(id: invocation.id)
    options.processFile = arguments.string("--process") ?? ""
    options.arguments = Array(arguments.positional.dropFirst())
    if options.arguments.first == "--" { options.arguments.removeFirst() }
    guard options.processFile.isEmpty == !options.arguments.isEmpty else {
      throw Failure(
        "exec",
        reason: options.processFile.isEmpty
          ? "a command or --process is missing" : "a command and --process exclude each other")
    }
    options.terminal = arguments.has("--tty")
    options.user = arguments.string("--user") ?? ""
    if let user = arguments.string("--user"), user.isEmpty { throw Failure("", "--user", reason: "is empty") }
    options.cwd = arguments.string("--cwd") ?? ""
    options.env = arguments.strings("--env")
    options.capabilities = arguments.strings("--cap")
    for text in arguments.strings("--additional-gids") {
      guard let gid = UInt32(text), gid <= UInt32(Int32.max), text.utf8.allSatisfy({ $0 &- 0x30 < 10 }) else {
        throw Failure("", "--additional-gids", reason: "\"\(text)\" is not a number from 0 to \(Int32.max)")
      }
      options.additionalGids.append(gid)
    }
    options.pidFile = arguments.string("--pid-file") ?? ""
    options.pidfdSocket = arguments.string("--pidfd-socket") ?? ""
    options.preserveFDs = try preservedDescriptors(arguments)
    options.ignorePaused = arguments.has("--ignore-paused")
    options.noNewPrivileges = arguments.has("--no-new-privs")
    options.apparmor = arguments.string("--apparmor") ?? ""
    options.processLabel = arguments.string("--process-label") ?? ""
    options.cgroup = try subCgroups(arguments.strings("--cgroup"))
    return try Foreground.exec(
      options, detach: arguments.has("--detach"), consoleSocket: arguments.string("--console-socket") ?? "",
      invocation.context)
  }

  private static func subCgroups(_ texts: [String]) throws(Failure) -> [String: String] {
    var result: [String: String] = [:]
    for text in texts {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let path = parts[parts.count - 1]
      let controllers = parts.count == 2 ? parts[0].split(separator: ",").map(String.init) : [""]
      for controller in controllers {
        guard result.updateValue(path, forKey: controller) == nil else {
          throw Failure(
            "", "--cgroup",
            reason: controller.isEmpty
              ? "a path for every controller is given twice" : "controller \(controller) is given twice")
        }
      }
    }
    return result
  }
}
