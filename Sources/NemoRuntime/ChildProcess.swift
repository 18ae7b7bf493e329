import CKernel
import Glibc
import NemoKernel
import NemoLandlock
import NemoOCI
import NemoSeccomp

/// Operations of prctl(2) that change what the calling process is.
enum ProcessControl {
  static let parentDeathSignal: Int32 = 1
  static let keepCapabilities: Int32 = 8
  static let childSubreaper: Int32 = 36
  static let noNewPrivileges: Int32 = 38
}

/// What a new process does on its way into a container, the same for the container's first one and for `exec`.
enum ChildProcess {
  /// The runtime's death ends the process. To be said again after a change of identity, which clears it (prctl(2)).
  static func dieWithRuntime() { nemo_prctl(ProcessControl.parentDeathSignal, UInt(SIGKILL), 0, 0, 0) }

  /// The runtime may end; the process goes on.
  static func outliveRuntime() { nemo_prctl(ProcessControl.parentDeathSignal, 0, 0, 0, 0) }

  /// clone3(2) with `flags`, into the cgroup of version 2 that `cgroup` names unless it is -1.
  static func clone(flags: Int32, into cgroup: Int32) -> Int32 {
    var arguments = nemo_clone_args()
    arguments.flags = UInt64(UInt32(bitPattern: flags))
    arguments.exit_signal = UInt64(SIGCHLD)
    return into(cgroup) { cgroup in
      guard cgroup >= 0 else { return nemo_clone3(&arguments) }
      let intoCgroup: UInt64 = 0x2_0000_0000
      var inside = arguments
      inside.flags |= intoCgroup
      inside.cgroup = UInt64(cgroup)
      return nemo_clone3(&inside)
    }
  }

  /// Runs `body` in a child that shares this process's memory while this process waits (vfork(2)), unless it `joinsTime`: for that
  /// the kernel wants a process with memory of its own.
  static func runFirst(joinsTime: Bool, into cgroup: Int32, _ body: @escaping () -> Never) -> Int32 {
    if joinsTime {
      let pid = clone(flags: 0, into: cgroup)
      if pid == 0 { body() }
      return pid
    }
    var body = body
    return withUnsafeMutablePointer(to: &body) { context in
      into(cgroup) { cgroup in
        nemo_clone_sharing(
          { context in
            guard let context else { return 1 }
            context.assumingMemoryBound(to: (() -> Never).self).pointee()
          }, context, cgroup)
      }
    }
  }

  /// Clones into a cgroup of version 2, or without it.
  private static func into(_ cgroup: Int32, _ clone: (Int32) -> Int32) -> Int32 {
    let pid = clone(cgroup)
    if cgroup < 0 { return pid }
    // It takes no processes when its controllers were given to cgroups below (EBUSY) or its parent is threaded: the hierarchy limits
    // nothing, and no container has to fail for it.
    guard pid < 0, nemo_get_errno() == EBUSY || nemo_get_errno() == EOPNOTSUPP else { return pid }
    return clone(-1)
  }

  /// A session of its own: no terminal of the caller's.
  static func leaveSession() throws(Failure) {
    guard setsid() >= 0 else { throw .last("setsid") }
  }

  /// Goes on as a child of the runtime (CLONE_PARENT) with namespaces `flags`; the runtime learns the pid, and this process ends.
  static func cloneAgain(flags: Int32, _ channel: Channel) throws(Failure) {
    let cloneParent: UInt64 = 0x8000
    var arguments = nemo_clone_args()
    arguments.flags = UInt64(UInt32(bitPattern: flags)) | cloneParent
    let pid = nemo_clone3(&arguments)
    guard pid >= 0 else { throw .last("clone into pid namespace") }
    if pid > 0 {
      try channel.send(.process, Array(String(decimal: pid).utf8))
      _exit(0)
    }
    dieWithRuntime()
    try leaveSession()
  }

  /// Root of the user namespace: what the process makes then has a mapped owner.
  static func becomeRoot() throws(Failure) {
    guard nemo_setresgid(0, 0, 0) == 0, nemo_setresuid(0, 0, 0) == 0 else {
      throw .last("become root of the user namespace", "/linux/uidMappings", advice: "map container id 0")
    }
    dieWithRuntime()
  }

  /// Joins the cgroups whose member files the runtime sends.
  static func joinCgroups(_ channel: Channel) throws(Failure) {
    try joinCgroups(channel.expect(.cgroup).descriptors)
  }

  /// Joins the cgroups of these member files, and closes them.
  static func joinCgroups(_ members: [Int32]) throws(Failure) {
    for fd in members {
      // "0" is the writer: no global lock is taken, which for a pid costs a grace period of 12 ms.
      try Files.writeText(fd, "0", subject: "the container's cgroup")
      close(fd)
    }
  }

  /// Makes the ruleset in the container's root, while the process may still open what its rules name. The runtime hears which files
  /// they are, so that `exec` can make an equal one.
  private static func openLandlock(_ plan: LandlockPlan?, _ channel: Channel) throws(Failure) -> LandlockRuleset? {
    guard let plan else { return nil }
    let root = try Files.open("/", O_PATH | O_DIRECTORY)
    let ruleset = try plan.open(root: root.raw) { (text) throws(Failure) in
      try channel.send(.warning, Array(text.utf8.prefix(Channel.longestText)))
    }
    guard let ruleset, plan.recorded == nil else { return ruleset }
    let lines = PathIdentity.encode(ruleset.identities)
    for start in stride(from: 0, to: lines.count, by: Channel.linesPerMessage) {
      let part = lines[start..<min(start + Channel.linesPerMessage, lines.count)]
      try channel.send(.landlock, Array(part.joined().utf8))
    }
    return ruleset
  }

  /// The last steps that can be told to the runtime: identity, descriptors, working directory, program. After it only the start
  /// is missing.
  ///
  /// - Parameter kept: descriptors that stay open besides stdio, the preserved ones and the channel; -1 is none.
  static func arm(_ setup: ProcessSetup, _ channel: Channel, keeping kept: Int32 = -1) throws(Failure) -> Program {
    // The filter may forbid what closes descriptors.
    try setup.closeForeign(keeping: [channel.socket, kept])
    let ruleset = try openLandlock(setup.landlock, channel)
    try Descriptors.closeOnExec(from: 3 + setup.preserved)
    // The directory may be open to the runtime only, or to the user only.
    let entered = chdir(setup.process.cwd) == 0
    let listener = try setup.becomeUser()
    if listener >= 0 {
      try channel.offer(listener)
      _ = try channel.expect(.proceed)
      close(listener)
    }
    try setup.enterWorkingDirectory(entered: entered)
    var program = try setup.resolve()
    program.ruleset = ruleset
    // Before the runtime can know: it exits as soon as it does. Until then its end shows as a closed channel.
    outliveRuntime()
    try channel.send(.ready)
    _ = try channel.expect(.proceed)
    return program
  }
}
