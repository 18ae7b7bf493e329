import CKernel
import Glibc
import NemoKernel

/// Waits for one process: forwards signals to it, carries its terminal, reaps whatever else ends, and hands back its exit status.
struct ForegroundSession {
  /// Signals as a descriptor.
  struct Signals {
    let descriptor: Int32

    /// Blocks every signal that can be and reads them from a descriptor instead.
    static func block() throws(Failure) -> Signals {
      let fd = nemo_signal_descriptor()
      guard fd >= 0 else { throw .last("block signals") }
      return Signals(descriptor: fd)
    }
  }

  let pid: Int32
  let signals: Signals
  /// The terminal's master, or -1.
  let console: Int32
  /// Where the process says that it is ready, if somebody wants to know.
  let notify: NotifySocket?
  /// Takes one line; the process goes on.
  let warn: (String) -> Void

  /// The exit status: the program's, or 128 + N for signal N.
  func wait() throws(Failure) -> Int32 {
    let pidfd = try OwnedDescriptor(pidfdOf: pid)
    var relay: TerminalRelay?
    if console >= 0 {
      relay = try TerminalRelay(master: console)
    }
    defer { relay?.restore() }
    var notify = notify
    while true {
      var entries = [
        pollfd(fd: pidfd.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      if let notify { entries.append(pollfd(fd: notify.socket, events: Int16(POLLIN), revents: 0)) }
      relay?.add(to: &entries)
      if poll(&entries, UInt(entries.count), -1) < 0 && nemo_get_errno() != EINTR { throw .last("poll") }
      if entries[1].revents != 0 { forward(pidfd.raw, &relay) }
      if notify != nil, entries[2].revents != 0 { pass(&notify) }
      relay?.carry(entries)
      if entries[0].revents != 0 { break }
    }
    let status = Children.reap(pid)
    relay?.drain()
    while waitpid(-1, nil, WNOHANG) > 0 {}
    return nemo_wifsignaled(status) != 0 ? 128 + nemo_wtermsig(status) : nemo_wexitstatus(status)
  }

  /// Tells the service manager what the process says. It watches this process, which stays as long as the container.
  private func pass(_ notify: inout NotifySocket?) {
    do throws(Failure) { _ = try notify?.relay(pid: getpid(), isLast: false) } catch { warn(error.message) }
  }

  private func forward(_ pidfd: Int32, _ relay: inout TerminalRelay?) {
    while true {
      let number = nemo_next_signal(signals.descriptor)
      if number < 0 { return }
      switch number {
      case SIGCHLD:
        reapOrphans()
      case SIGWINCH where relay != nil: relay?.resize()
      case SIGURG, SIGPIPE: continue
      default: nemo_pidfd_send_signal(pidfd, number)
      }
    }
  }

  /// Collects adopted processes; the one waited for stays for `wait`.
  private func reapOrphans() {
    while true {
      var info = siginfo_t()
      guard waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0, info._sifields._sigchld.si_pid > 0 else {
        return
      }
      let ended = info._sifields._sigchld.si_pid
      if ended == pid { return }
      waitpid(ended, nil, 0)
    }
  }
}

/// Carries bytes between the caller's stdio and a terminal's master, unchanged.
struct TerminalRelay {
  private let master: Int32
  private var saved: termios?
  private var input: [UInt8] = []
  private var readsInput = true
  private var masterIndex = -1
  private var inputIndex = -1

  init(master: Int32) throws(Failure) {
    self.master = master
    _ = fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK)
    var settings = termios()
    if tcgetattr(0, &settings) == 0 {
      saved = settings
      cfmakeraw(&settings)
      // Output is finished by one of the two terminals only, the outer one.
      settings.c_oflag |= tcflag_t(OPOST)
      guard tcsetattr(0, TCSANOW, &settings) == 0 else { throw .last("set the terminal to raw mode") }
    }
    resize()
  }

  /// Gives the inner terminal the outer one's size.
  func resize() { TerminalRelay.copySize(to: master) }

  /// Gives the terminal of `master` the size of the caller's, where that is a terminal.
  static func copySize(to master: Int32) {
    var window = winsize()
    if nemo_ioctl_pointer(0, UInt(TIOCGWINSZ), &window) == 0 { nemo_ioctl_pointer(master, UInt(TIOCSWINSZ), &window) }
  }

  mutating func add(to entries: inout [pollfd]) {
    masterIndex = entries.count
    entries.append(pollfd(fd: master, events: Int16(POLLIN | (input.isEmpty ? 0 : POLLOUT)), revents: 0))
    inputIndex = readsInput && input.isEmpty ? entries.count : -1
    if inputIndex >= 0 { entries.append(pollfd(fd: 0, events: Int16(POLLIN), revents: 0)) }
  }

  mutating func carry(_ entries: [pollfd]) {
    if entries[masterIndex].revents & Int16(POLLIN | POLLHUP) != 0 { copyOut() }
    if entries[masterIndex].revents & Int16(POLLOUT) != 0 { push() }
    if inputIndex >= 0, entries[inputIndex].revents != 0 {
      var buffer = [UInt8](repeating: 0, count: 4096)
      let n = read(0, &buffer, buffer.count)
      if n > 0 {
        input = Array(buffer[..<n])
        push()
      } else if n == 0 {
        readsInput = false
        // End of a pipe: the inner terminal's user presses its end-of-file key.
        input = [4]
        push()
      } else if nemo_get_errno() != EINTR && nemo_get_errno() != EAGAIN {
        readsInput = false
      }
    }
  }

  private mutating func push() {
    let n = write(master, input, input.count)
    if n > 0 { input.removeFirst(n) } else if nemo_get_errno() != EAGAIN { input = [] }
  }

  @discardableResult
  private func copyOut() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 32768)
    let n = read(master, &buffer, buffer.count)
    guard n > 0 else { return false }
    var done = 0
    while done < n {
      let written = buffer.withUnsafeBytes { write(1, $0.baseAddress.map { $0 + done }, n - done) }
      if written > 0 { done += written } else if nemo_get_errno() != EINTR && nemo_get_errno() != EAGAIN { return true }
    }
    return true
  }

  /// What the program wrote before it ended.
  func drain() { while copyOut() {} }

  /// Puts the caller's terminal back.
  func restore() {
    guard var saved else { return }
    tcsetattr(0, TCSANOW, &saved)
  }
}
