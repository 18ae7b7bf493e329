import CKernel
import Glibc
import NemoKernel
import NemoLandlock
import NemoOCI

/// Runs hooks (runtime-spec, config.md#posix-platform-hooks): the state on stdin, only the hook's own environment, a fixed working
/// directory, no descriptor beyond 0-2, a session of its own so that a time-out ends its children too.
enum HookRunner {
  static let outputLimit = 64 << 10

  /// Runs all of `hooks` in order; the first failure ends it.
  ///
  /// - Parameters:
  ///   - inherited: the environment of a hook that names none.
  ///   - directory: where it starts; -1 is `/`.
  ///   - restrict: what the hook's process does last before execve(2).
  static func run(
    _ hooks: [Hook], kind: String, state: [UInt8], inherited: [String] = [], in directory: Int32 = -1,
    restrict: () throws(Failure) -> Void = { () throws(Failure) in }
  ) throws(Failure) {
    for (index, hook) in hooks.enumerated() {
      do throws(Failure) {
        try run(hook, state: state, inherited: inherited, in: directory, restrict: restrict)
      } catch {
        throw error.within("error running \(kind) hook #\(index)")
      }
    }
  }

  private static func run(
    _ hook: Hook, state: [UInt8], inherited: [String], in directory: Int32, restrict: () throws(Failure) -> Void
  ) throws(Failure) {
    let input = try memoryFile(state)
    let output = try memoryFile([])
    let arguments = hook.args.isEmpty ? [hook.path] : hook.args
    let program = Program(path: hook.path, arguments: arguments, environment: hook.env ?? inherited)
    let child = try Children.spawn(
      program, input: input.raw, output: output.raw, in: directory, restrict: restrict)
    let pidfd = OwnedDescriptor(adopting: child.pidfd)
    let ended = Children.wait(pidfd.raw, milliseconds: hook.timeout.map { $0 &* 1000 } ?? -1)
    if !ended { kill(-child.pid, SIGKILL) }
    let status = Children.reap(child.pid)
    guard ended else {
      throw Failure("", hook.path, reason: "still running after its timeout of \(hook.timeout ?? 0) s, killed")
    }
    guard status == 0 else {
      let how =
        nemo_wifsignaled(status) != 0 ? signalText(nemo_wtermsig(status)) : "exit status \(nemo_wexitstatus(status))"
      let said = try written(output.raw)
      throw Failure("", hook.path, reason: said.isEmpty ? how : "\(how): \(said)")
    }
  }

  private static func signalText(_ number: Int32) -> String {
    guard let text = strsignal(number) else { return "signal \(number)" }
    return "signal \(number) (\(String(cString: text).lowercased()))"
  }

  private static func memoryFile(_ bytes: [UInt8]) throws(Failure) -> OwnedDescriptor {
    let fd = nemo_memfd("hook")
    guard fd >= 0 else { throw .last("memfd_create") }
    let owned = OwnedDescriptor(adopting: fd)
    try Files.writeAll(fd, bytes, subject: "hook input")
    lseek(fd, 0, SEEK_SET)
    return owned
  }

  private static func written(_ fd: Int32) throws(Failure) -> String {
    lseek(fd, 0, SEEK_SET)
    var buffer = [UInt8](repeating: 0, count: 2048)
    let n = max(read(fd, &buffer, buffer.count), 0)
    let text = String(decoding: buffer[..<n], as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).joined(separator: " | ")
  }
}

/// A program to execute, in the form execve(2) wants.
struct Program {
  var path: String
  var arguments: [String]
  var environment: [String]
  /// What restricts it, when something does.
  var ruleset: LandlockRuleset? = nil

  /// Replaces the process; returns only on failure.
  func execute() -> Errno {
    var argv = arguments.map { strdup($0) } + [nil]
    var envp = environment.map { strdup($0) } + [nil]
    execve(path, &argv, &envp)
    return Errno.current
  }
}

/// Child processes of the runtime that are not containers.
enum Children {
  struct Child {
    var pid: Int32
    var pidfd: Int32
  }

  /// Forks and executes; an execve that fails is reported by the child's exit status 127 with the text on its output.
  ///
  /// - Parameters:
  ///   - directory: where it starts; -1 is `/`.
  ///   - restrict: what the child does last before execve(2).
  static func spawn(
    _ program: Program, input: Int32, output: Int32, in directory: Int32 = -1,
    restrict: () throws(Failure) -> Void = { () throws(Failure) in }
  ) throws(Failure) -> Child {
    var pidfd: Int32 = -1
    let parent = getpid()
    let pid = withUnsafeMutablePointer(to: &pidfd) { pointer in
      var arguments = nemo_clone_args()
      arguments.flags = 0x1000  // CLONE_PIDFD
      arguments.pidfd = UInt64(UInt(bitPattern: pointer))
      arguments.exit_signal = UInt64(SIGCHLD)
      return nemo_clone3(&arguments)
    }
    guard pid >= 0 else { throw .last("start", program.path) }
    if pid == 0 {
      // A hook ends with the runtime that ran it: nothing may be attached to a container that nobody makes any more.
      ChildProcess.dieWithRuntime()
      if getppid() != parent { _exit(127) }
      setsid()
      Signals.reset()
      dup2(input, 0)
      dup2(output, 1)
      dup2(output, 2)
      let entered = directory < 0 ? chdir("/") : fchdir(directory)
      nemo_close_range(3, UInt32.max, 4)
      if entered == 0 {
        var text = ""
        do throws(Failure) {
          try restrict()
          text = "\(program.path): \(program.execute().text)"
        } catch { text = error.message }
        _ = write(2, text, text.utf8.count)
      }
      _exit(127)
    }
    return Child(pid: pid, pidfd: pidfd)
  }

  /// Waits for the end of the process; false when the time (−1: none) ran out.
  static func wait(_ pidfd: Int32, milliseconds: Int) -> Bool {
    var left = milliseconds
    while true {
      var entry = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
      let step = left < 0 ? -1 : min(left, Int(Int32.max))
      let n = poll(&entry, 1, Int32(step))
      if n > 0 { return true }
      if n < 0 && nemo_get_errno() != EINTR { return true }
      if left >= 0 {
        if n == 0 { left -= step }
        if left <= 0 { return false }
      }
    }
  }

  /// Collects the process's wait status.
  static func reap(_ pid: Int32) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && nemo_get_errno() == EINTR {}
    return status
  }
}
