import CKernel
import Glibc
import NemoCapabilities
import NemoKernel
import NemoLandlock
import NemoOCI
import NemoSeccomp

/// The last steps before execve(2), the same for the container's first process and for `exec`.
///
/// Order (SECURITY: each step still has the rights it needs, and none is left afterwards): session and keyring, scheduling,
/// rlimits, labels, the Landlock ruleset is made; no_new_privs; the filter first where loading it needs privilege, last otherwise;
/// bounding set, groups, user, capabilities; working directory, program; Landlock is enforced; then execve.
struct ProcessSetup {
  let process: Process
  let capabilities: Capabilities
  let filter: SeccompProgram?
  /// Landlock restrictions; they need no_new_privs.
  let landlock: LandlockPlan?
  /// Name of the new session keyring; nil keeps the caller's.
  let keyring: String?
  /// Descriptors from 3 that the program gets.
  let preserved: UInt32
  /// Whether the user namespace denies setgroups(2).
  let setgroupsDenied: Bool
  /// Whether the caller's supplementary groups stay, instead of those of the configuration.
  let keepsGroups: Bool

  /// Everything else that needs the runtime's privileges; before the identity changes.
  func prepare() throws(Failure) {
    if let keyring { try joinKeyring(keyring) }
    try ProcessAttributes.apply(process)
  }

  private func joinKeyring(_ name: String) throws(Failure) {
    let key = nemo_join_session_keyring(name)
    if key < 0 {
      if nemo_get_errno() == ENOSYS { return }
      throw .last("create session keyring", name)
    }
    // Its possessor may do all, so that the process can use its own keyring (keyctl_setperm(3)).
    var buffer = [CChar](repeating: 0, count: 512)
    guard nemo_keyctl_describe(key, &buffer, buffer.count) > 0 else { return }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: ";", omittingEmptySubsequences: false)
    guard fields.count > 3, let permissions = UInt32(fields[3], radix: 16) else { return }
    guard nemo_keyctl_setperm(key, permissions | 0x0008_0000) == 0 else {
      throw .last("set permissions of session keyring", name)
    }
  }

  /// Whether ``applyLabels(_:)`` has anything to do.
  var isLabelled: Bool { !process.apparmorProfile.isEmpty || !process.selinuxLabel.isEmpty }

  /// Labels take effect at execve(2); the kernel lets only the process itself set them.
  func applyLabels(_ procfs: borrowing Procfs) throws(Failure) {
    if !process.apparmorProfile.isEmpty {
      guard let enabled = try? Files.readText("/sys/module/apparmor/parameters/enabled"), enabled.hasPrefix("Y") else {
        throw Failure("", "/process/apparmorProfile", reason: "AppArmor is not enabled in this kernel")
      }
      let place = "self/attr/apparmor/exec"
      do throws(Failure) {
        try procfs.write("exec \(process.apparmorProfile)", to: place)
      } catch  where error.errno == .noEntry {
        try procfs.write("exec \(process.apparmorProfile)", to: "self/attr/exec")
      }
    }
    if !process.selinuxLabel.isEmpty, LinuxSecurity.selinuxEnabled {
      try procfs.write(process.selinuxLabel, to: "self/attr/exec")
    }
  }

  /// Changes into the container's identity. Loads the filter now where that needs CAP_SYS_ADMIN.
  ///
  /// - Returns: the seccomp listener, or -1.
  func becomeUser() throws(Failure) -> Int32 {
    var listener: Int32 = -1
    if process.noNewPrivileges, nemo_prctl(ProcessControl.noNewPrivileges, 1, 0, 0, 0) != 0 {
      throw .last("set no_new_privs")
    }
    if let filter, loadsEarly { listener = try Seccomp.load(filter) }
    try giveStdio(to: process.user.uid)
    try capabilities.dropBounding()
    guard nemo_prctl(ProcessControl.keepCapabilities, 1, 0, 0, 0) == 0 else { throw .last("keep capabilities") }
    let user = process.user
    if !keepsGroups { try setGroups(user.additionalGids) }
    guard nemo_setresgid(user.gid, user.gid, user.gid) == 0 else {
      throw .last("set gid \(user.gid)", "/process/user/gid")
    }
    guard nemo_setresuid(user.uid, user.uid, user.uid) == 0 else {
      throw .last("set uid \(user.uid)", "/process/user/uid")
    }
    guard nemo_prctl(ProcessControl.keepCapabilities, 0, 0, 0, 0) == 0 else { throw .last("keep capabilities") }
    try capabilities.apply()
    ChildProcess.dieWithRuntime()
    return listener
  }

  private func setGroups(_ groups: [UInt32]) throws(Failure) {
    if !setgroupsDenied {
      let result = groups.withUnsafeBufferPointer { nemo_setgroups($0.count, $0.baseAddress) }
      guard result == 0 else { throw .last("", "/process/user/additionalGids") }
    } else if !groups.isEmpty {
      throw Failure("", "/process/user/additionalGids", reason: "the user namespace denies setgroups")
    }
  }

  /// A filter needs no_new_privs or CAP_SYS_ADMIN; one that notifies is handed over while the runtime still listens.
  private var loadsEarly: Bool { !process.noNewPrivileges || filter?.notifies == true }

  /// Pipes, sockets and terminals on stdio belong to the process's user, or it could not reopen them.
  private func giveStdio(to uid: UInt32) throws(Failure) {
    for number in 0...2 as ClosedRange<Int32> {
      var status = stat()
      guard fstat(number, &status) == 0, status.st_uid != uid else { continue }
      let kind = status.st_mode & S_IFMT
      let isTerminal = kind == S_IFCHR && nemo_filesystem_magic(number) == Terminal.devptsMagic
      guard kind == S_IFIFO || kind == S_IFSOCK || isTerminal else { continue }
      if fchown(number, uid, gid_t.max) != 0 {
        // The owner may be outside the user namespace; what cannot be given stays usable through the open descriptor.
        let error = nemo_get_errno()
        guard error == EINVAL || error == EPERM || error == EROFS || error == EACCES else {
          throw .last("give stdio to uid \(uid)")
        }
      }
    }
  }

  /// Closes every descriptor but stdio, the preserved ones and `kept`: from here on paths of the container are walked, and none of
  /// them may lead through a descriptor of the runtime (CVE-2024-21626).
  func closeForeign(keeping kept: [Int32]) throws(Failure) {
    var first = 3 + preserved
    for fd in kept.filter({ $0 >= 0 }).map({ UInt32($0) }).sorted() where fd >= first {
      if fd > first, nemo_close_range(first, fd - 1, 0) != 0 { throw .last("close_range") }
      first = fd + 1
    }
    guard nemo_close_range(first, UInt32.max, 0) == 0 else { throw .last("close_range") }
  }

  /// Enters the working directory and checks that it is inside the root (CVE-2024-21626).
  ///
  /// - Parameter entered: the process is there already, from before it became its user.
  func enterWorkingDirectory(entered: Bool) throws(Failure) {
    guard entered || chdir(process.cwd) == 0 else {
      throw .last("chdir to cwd (\"\(process.cwd)\") set in config.json failed")
    }
    var buffer = [CChar](repeating: 0, count: 4097)
    let isKnown = getcwd(&buffer, buffer.count) != nil
    // ENOENT: it is nowhere below the root. Anything else, such as the answer of a filter, says nothing about it.
    guard isKnown || Errno.current == .noEntry else { throw .last("find out the working directory", process.cwd) }
    guard isKnown, buffer[0] == 0x2f else {
      throw Failure(
        "chdir", process.cwd,
        reason:
          "current working directory is outside of container mount namespace root -- possible container breakout detected"
      )
    }
  }

  /// `additions` replace entries of the same name.
  static func merge(_ additions: [String], into environment: [String]) -> [String] {
    func name(_ entry: String) -> Substring { entry.prefix { $0 != "=" } }
    let replaced = Set(additions.map(name))
    return environment.filter { !replaced.contains(name($0)) } + additions
  }

  /// Each name once, with its last value.
  private static func withoutRepetition(_ environment: [String]) -> [String] {
    var names = Set<Substring>()
    let kept = environment.reversed().filter { names.insert($0.prefix { $0 != "=" }).inserted }
    return kept.reversed()
  }

  /// The environment with HOME filled in and the path of the program found in its PATH.
  func resolve() throws(Failure) -> Program {
    var environment = ProcessSetup.withoutRepetition(process.env)
    if !environment.contains(where: { $0.hasPrefix("HOME=") && $0.utf8.count > 5 }) {
      environment.removeAll { $0.hasPrefix("HOME=") }
      environment.append("HOME=" + (try PasswordFile.home(of: process.user.uid)))
    }
    if let count = getenv("LISTEN_FDS") {
      // Socket activation (sd_listen_fds(3)): the receiver checks that the descriptors are meant for it.
      var activation = ["LISTEN_FDS=" + String(cString: count), "LISTEN_PID=\(getpid())"]
      if let names = getenv("LISTEN_FDNAMES") { activation.append("LISTEN_FDNAMES=" + String(cString: names)) }
      environment = ProcessSetup.merge(activation, into: environment)
    }
    guard let name = process.args.first else { throw Failure("", "/process/args", reason: "is empty") }
    let path = environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? ""
    return Program(path: try Executable.find(name, path: path), arguments: process.args, environment: environment)
  }

  /// Loads the filter unless ``becomeUser()`` has.
  func loadLateFilter() throws(Failure) {
    if let filter, !loadsEarly { _ = try Seccomp.load(filter) }
  }

  /// The point of no return: the late filter and execve; every foreign descriptor is close-on-exec.
  func execute(_ program: Program) -> Failure {
    do throws(Failure) {
      Signals.reset()
      // After the hooks, which are the operator's, and before the filter, which may forbid the calls.
      if let landlock, let ruleset = program.ruleset { try landlock.enforce(ruleset) }
      try loadLateFilter()
    } catch {
      return error
    }
    let errno = program.execute()
    let restricted = errno == .accessDenied && program.ruleset != nil
    return Failure(
      "exec \(program.path)", errno: errno,
      advice: restricted ? "process.landlock must allow execute and read_file for it and for its interpreter" : "")
  }
}

/// The process's inclination to be killed when memory runs out (proc_pid_oom_score_adj(5)); set from outside, so that a user
/// namespace does not matter.
enum OOMScore {
  static func set(_ score: Int, of pid: Int32, _ procfs: borrowing Procfs) throws(Failure) {
    let file = String(decimal: pid) + "/oom_score_adj"
    do throws(Failure) {
      try procfs.write(String(score), to: file)
    } catch {
      // Without CAP_SYS_RESOURCE it cannot be lowered; what is already so is fine.
      let now = try procfs.read(file)
      if String(decoding: now, as: UTF8.self).split(whereSeparator: \.isNewline).first == Substring(String(score)) {
        return
      }
      throw error.within("/process/oomScoreAdj")
    }
  }
}

/// Facts about the kernel's security modules.
enum LinuxSecurity {
  static var selinuxEnabled: Bool {
    var status = stat()
    return stat("/sys/fs/selinux/enforce", &status) == 0
  }
}

/// Finding the program as execvp(3) does, with the texts that engines match.
enum Executable {
  static func find(_ name: String, path: String) throws(Failure) -> String {
    if name.contains("/") {
      if let errno = refusal(name) { throw Failure("exec: \"\(name)\"", errno: errno) }
      return name
    }
    var denied = false
    for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = directory.isEmpty ? "./" + name : "\(directory)/\(name)"
      switch refusal(candidate) {
      case nil: return candidate
      case .some(let errno): if errno == .accessDenied { denied = true }
      }
    }
    if denied { throw Failure("exec: \"\(name)\"", errno: .accessDenied) }
    throw Failure("exec: \"\(name)\": executable file not found in $PATH")
  }

  private static func refusal(_ path: String) -> Errno? {
    var status = stat()
    guard stat(path, &status) == 0 else { return Errno.current }
    if status.st_mode & S_IFMT == S_IFDIR { return .accessDenied }
    if faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 { return nil }
    let errno = Errno.current
    // A filter that is older than faccessat2(2) is in force already: execve(2) decides, unless nobody may.
    guard errno == .notPermitted || errno == .notImplemented else { return errno }
    return status.st_mode & 0o111 == 0 ? .accessDenied : nil
  }
}

/// Reading the container's /etc/passwd without trusting it; called inside the container's root.
enum PasswordFile {
  static let limit = 1 << 20

  /// nil where the image has nothing that could be read; anything else is a failure of the host.
  private static func open(_ path: String) throws(Failure) -> OwnedDescriptor? {
    do throws(Failure) { return try Files.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY) } catch {
      switch error.errno {
      case .some(.noEntry), .some(.notDirectory), .some(.loop), .some(.accessDenied), .some(.noDevice): return nil
      default: throw error
      }
    }
  }

  /// The home directory of `uid`, or `/` where no regular file says one.
  static func home(of uid: UInt32) throws(Failure) -> String {
    let path = "/etc/passwd"
    guard let fd = try open(path) else { return "/" }
    let status = try Files.status(of: fd.raw, subject: path)
    guard status.st_mode & S_IFMT == S_IFREG else { return "/" }
    var bytes = [UInt8](repeating: 0, count: min(limit, Int(clamping: status.st_size)))
    let n = bytes.withUnsafeMutableBytes { buffer in
      retrying { read(fd.raw, buffer.baseAddress, buffer.count) }
    }
    guard n >= 0 else { throw .last("read", path) }
    for line in bytes[..<n].split(separator: 10) {
      let fields = line.split(separator: 0x3a, omittingEmptySubsequences: false)
      guard fields.count >= 6, UInt32(String(decoding: fields[2], as: UTF8.self)) == uid else { continue }
      let home = String(decoding: fields[5], as: UTF8.self)
      return home.isEmpty ? "/" : home
    }
    return "/"
  }
}
