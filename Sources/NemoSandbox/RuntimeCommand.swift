import CWide
import Glibc
import NemoBlueprint
import NemoBundle

/// The OCI verbs of `nemoshell`, the executable beside this one: nothing of them is done here a second time.
struct RuntimeCommand {
  /// Directory of the runtime's state.
  let root: String

  /// The executable.
  static func executable() throws -> String { try OwnExecutable.directory() + "/nemoshell" }

  /// How a verb ended.
  struct Outcome {
    var status: Int32
    var output: String
    var message: String
  }

  /// Runs a verb to its end.
  func run(_ words: [String]) throws -> Outcome {
    let output = try Pipe()
    let messages = try Pipe()
    let pid = try start(words, input: -1, output: output.write, messages: messages.write)
    output.closeWrite()
    messages.closeWrite()
    let texts = try Pipe.drain([output, messages])
    return Outcome(
      status: try Child.wait(pid), output: String(decoding: texts[0], as: UTF8.self),
      message: String(decoding: texts[1], as: UTF8.self))
  }

  /// Runs a verb that must succeed; its message is the failure.
  @discardableResult
  func check(_ words: [String]) throws -> String {
    let outcome = try run(words)
    guard outcome.status == 0 else { throw SandboxFailure(Self.line(outcome.message, words)) }
    return outcome.output
  }

  /// The last error line of a verb, or what can be said without one.
  static func line(_ message: String, _ words: [String]) -> String {
    let lines = message.split(separator: "\n").map(String.init)
    let last = lines.last { !$0.contains("warning") } ?? lines.last
    guard var text = last else { return "nemoshell \(words.first ?? "") failed and said nothing" }
    for prefix in ["nemoshell: ", "error: "] where text.hasPrefix(prefix) { text.removeFirst(prefix.count) }
    return Diagnostic.printable(text)
  }

  /// Starts a verb; -1 for a descriptor is /dev/null.
  func start(_ words: [String], input: Int32, output: Int32, messages: Int32) throws -> pid_t {
    try Child.spawn(
      try Self.executable(), ["nemoshell", "--root", root] + words, input: input, output: output, messages: messages)
  }

  /// Becomes a verb; returns only by an error.
  func become(_ words: [String]) throws {
    let path = try Self.executable()
    var arguments: [UnsafeMutablePointer<CChar>?] = (["nemoshell", "--root", root] + words).map { strdup($0) } + [nil]
    signal(SIGPIPE, SIG_DFL)
    execv(path, &arguments)
    throw SandboxFailure.last("execute", path)
  }

  /// What the runtime says of a sandbox's container; nil where there is none.
  ///
  /// - Throws: where another container has that id, which is then nobody's to touch.
  func ownState(_ files: SandboxFiles) throws -> JSONValue? {
    guard access("\(root)/\(files.name)", F_OK) == 0 else { return nil }
    let outcome = try run(["state", files.name])
    if outcome.status != 0 {
      // It may have been deleted in between.
      guard access("\(root)/\(files.name)", F_OK) == 0 else { return nil }
      throw SandboxFailure(Self.line(outcome.message, ["state"]))
    }
    let state: JSONValue
    do { state = try JSONReader.parse(Array(outcome.output.utf8)) } catch {
      throw SandboxFailure("nemoshell state \(files.name): \(error)")
    }
    guard state["bundle"]?.text == files.bundle else {
      throw SandboxFailure(
        "the container \(files.name) in \(root) is not this sandbox's; delete it, or give the sandbox another name")
    }
    return state
  }
}

/// A pipe whose ends are closed with it.
final class Pipe {
  let read: Int32
  private(set) var write: Int32

  init() throws {
    var ends: [Int32] = [-1, -1]
    guard wide_pipe(&ends) == 0 else { throw SandboxFailure.last("make", "a pipe") }
    read = ends[0]
    write = ends[1]
  }

  deinit {
    close(read)
    closeWrite()
  }

  func closeWrite() {
    if write >= 0 { close(write) }
    write = -1
  }

  /// Reads all pipes to their ends, at most a megabyte each.
  static func drain(_ pipes: [Pipe]) throws -> [[UInt8]] {
    var texts = [[UInt8]](repeating: [], count: pipes.count)
    var entries = pipes.map { pollfd(fd: $0.read, events: Int16(POLLIN), revents: 0) }
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while entries.contains(where: { $0.fd >= 0 }) {
      if poll(&entries, nfds_t(entries.count), -1) < 0 {
        if errno == EINTR { continue }
        throw SandboxFailure.last("wait for", "a pipe")
      }
      for index in entries.indices where entries[index].fd >= 0 && entries[index].revents != 0 {
        let count = Glibc.read(entries[index].fd, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        if count <= 0 {
          entries[index].fd = -1
        } else if texts[index].count < 1 << 20 {
          texts[index] += chunk.prefix(count)
        }
      }
    }
    return texts
  }
}

/// Processes that are started and waited for.
enum Child {
  /// POSIX_SPAWN_SETSID of the C library, which shows it to GNU sources alone.
  private static let newSession: Int32 = 0x80

  /// Starts a program with these standard descriptors (-1 is /dev/null) and no other one.
  static func spawn(
    _ path: String, _ words: [String], input: Int32, output: Int32, messages: Int32, newSession: Bool = false
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, fd) in [(Int32(0), input), (1, output), (2, messages)] {
      if fd < 0 {
        posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR, 0)
      } else {
        posix_spawn_file_actions_adddup2(&actions, fd, target)
      }
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (newSession ? Self.newSession : 0)
    posix_spawnattr_setflags(&attributes, Int16(flags))
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { arguments.forEach { free($0) } }
    var pid: pid_t = 0
    let result = posix_spawn(&pid, path, &actions, &attributes, &arguments, environ)
    guard result == 0 else {
      errno = result
      throw SandboxFailure.last("start", path)
    }
    return pid
  }

  /// Waits for a child; its exit status, 128 + N when signal N ended it.
  static func wait(_ pid: pid_t) throws -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { guard errno == EINTR else { throw SandboxFailure.last("wait for", "\(pid)") } }
    return exitStatus(status)
  }

  static func exitStatus(_ status: Int32) -> Int32 {
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : 128 + signal
  }
}
