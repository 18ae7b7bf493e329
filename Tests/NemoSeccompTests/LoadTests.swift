import CKernel
import Glibc
import NemoKernel
import NemoOCI
import Testing

@testable import NemoSeccomp

/// Filters in the kernel, each in a process of its own that ends right after.
@Suite struct LoadTests {
  private static func inChild(_ body: () -> Int32) -> Int32 {
    var arguments = nemo_clone_args()
    arguments.exit_signal = UInt64(SIGCHLD)
    let pid = nemo_clone3(&arguments)
    if pid == 0 { _exit(body()) }
    var status: Int32 = 0
    guard pid > 0, waitpid(pid, &status, 0) == pid else { return -1 }
    return nemo_wifexited(status) != 0 ? nemo_wexitstatus(status) : 128 + nemo_wtermsig(status)
  }

  private static func loading(_ program: SeccompProgram, _ body: () -> Int32) -> Int32 {
    inChild {
      guard nemo_prctl(38, 1, 0, 0, 0) == 0 else { return 100 }
      do throws(Failure) {
        guard try Seccomp.load(program) == -1 else { return 101 }
      } catch { return 102 }
      return body()
    }
  }

  private func denying(_ name: String, _ action: String, errno: UInt32? = nil) throws -> SeccompProgram {
    var p = SeccompProfile(defaultAction: "SCMP_ACT_ALLOW")
    var rule = SeccompRule(action: action)
    rule.names = [name]
    rule.errnoRet = errno
    p.syscalls = [rule]
    return try Seccomp.compile(p).program
  }

  private static func makeDirectory() -> Int32 {
    mkdir("/proc/nemoshell-test", 0o700) == 0 ? 0 : nemo_get_errno()
  }

  @Test func errnoIsTheFilters() throws {
    let program = try denying("mkdir", "SCMP_ACT_ERRNO", errno: UInt32(EXDEV))
    #expect(LoadTests.inChild(LoadTests.makeDirectory) == ENOENT)
    #expect(LoadTests.loading(program, LoadTests.makeDirectory) == EXDEV)
  }

  @Test func killEndsTheProcess() throws {
    let program = try denying("mkdir", "SCMP_ACT_KILL_PROCESS")
    #expect(LoadTests.loading(program, LoadTests.makeDirectory) == 128 + SIGSYS)
  }

  @Test func dockersProfileLoadsAndDenies() throws {
    let program = try Seccomp.compile(dockerProfile).program
    let umask = { () -> Int32 in nemo_unshare(0x0400_0000) == 0 ? 0 : nemo_get_errno() }
    #expect(LoadTests.inChild(umask) == 0)
    #expect(LoadTests.loading(program, umask) == EPERM)
  }

  @Test func aListenerComesBack() throws {
    var p = SeccompProfile(defaultAction: "SCMP_ACT_ALLOW")
    var rule = SeccompRule(action: "SCMP_ACT_NOTIFY")
    rule.names = ["mkdir"]
    p.syscalls = [rule]
    p.listenerPath = "/run/agent"
    let program = try Seccomp.compile(p).program
    let code = LoadTests.inChild {
      guard nemo_prctl(38, 1, 0, 0, 0) == 0 else { return 100 }
      do throws(Failure) {
        let listener = try Seccomp.load(program)
        guard listener >= 3, fcntl(listener, F_GETFD) == FD_CLOEXEC else { return 101 }
        // With nobody left to answer, the call fails instead of hanging.
        close(listener)
        return LoadTests.makeDirectory()
      } catch { return 102 }
    }
    #expect(code == ENOSYS)
  }

  @Test func withoutPrivilegeTheKernelRefuses() throws {
    let program = try denying("mkdir", "SCMP_ACT_ERRNO")
    let code = LoadTests.inChild {
      guard geteuid() != 0 || nemo_setresuid(1000, 1000, 1000) == 0 else { return 100 }
      do throws(Failure) { _ = try Seccomp.load(program) } catch { return error.errno?.rawValue ?? 101 }
      return 0
    }
    #expect(code == EACCES)
  }
}
