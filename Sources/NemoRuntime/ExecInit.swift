import CKernel
import Glibc
import NemoKernel
import NemoOCI

/// The joining process, from clone3(2) to execve(2).
struct ExecInit {
  let options: ExecOptions
  let setup: ProcessSetup
  let linux: LinuxConfiguration
  let namespaces: Int32
  let pidfd: Int32
  /// The container's root where its mount namespace has another one, or -1.
  let root: Int32
  /// Member files of the container's cgroups.
  let cgroups: [Int32]
  let channel: Channel
  let console: Int32

  func run() -> Never {
    do throws(Failure) {
      let program = try prepare()
      var byte: UInt8 = 0
      guard read(channel.socket, &byte, 1) == 1 else { throw Failure("wait for start", reason: "the runtime is gone") }
      throw setup.execute(program)
    } catch {
      _ = try? channel.sendFailure(error)
    }
    _exit(1)
  }

  /// The pid namespace comes last: before this clone the container cannot see the process, after it there is nothing of the host
  /// left to be seen in its root, directories and descriptors (CVE-2016-9962).
  private func cloneIntoPidNamespace() throws(Failure) {
    guard nemo_setns(pidfd, NamespaceKind.pid.flag) == 0 else {
      throw .last("join pid namespace of container", options.id)
    }
    try ChildProcess.cloneAgain(flags: 0, channel)
  }

  private func prepare() throws(Failure) -> Program {
    ChildProcess.dieWithRuntime()
    // Descriptors of the host end before the container can see the process; only a label needs the host's procfs until then.
    let labels = setup.isLabelled ? try Procfs().release() : -1
    let affinity = setup.process.execCPUAffinity
    if affinity?.initial.isEmpty ?? true { ProcessAttributes.resetAffinity() }
    if let affinity { try ProcessAttributes.setAffinity(affinity.initial, subject: "/process/execCPUAffinity/initial") }
    try ChildProcess.joinCgroups(cgroups)
    if let affinity { try ProcessAttributes.setAffinity(affinity.final, subject: "/process/execCPUAffinity/final") }
    if namespaces != 0, nemo_setns(pidfd, namespaces) != 0 {
      throw .last("join namespaces of container", options.id)
    }
    if root >= 0, fchdir(root) != 0 || chroot(".") != 0 || chdir("/") != 0 {
      throw .last("enter the root of container", options.id)
    }
    try setup.closeForeign(keeping: [channel.socket, pidfd, console, labels])
    try cloneIntoPidNamespace()
    if namespaces & NamespaceKind.user.flag != 0 { try ChildProcess.becomeRoot() }
    if setup.process.terminal {
      let root = try Files.open("/", O_PATH | O_DIRECTORY)
      try Terminal.open(in: root.raw, size: setup.process.consoleSize, console: console, mountConsole: false)
      try Terminal.control()
    }
    try ProcessAttributes.apply(linux)
    try setup.prepare()
    if labels >= 0 { try setup.applyLabels(Procfs(adopting: labels)) }
    return try ChildProcess.arm(setup, channel)
  }
}
