"""seccomp (config-linux.md "Seccomp"): actions, arguments, architectures, flags, notification, calls nobody knows."""

import json
import os
import platform

import pytest

from harness import DescriptorSocket
from inside import field, look, sleeper, write

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="uses x86-64 call numbers")

GETPPID, CHMOD, UNKNOWN = 110, 90, 9999

#: What starting a small static program takes.
ESSENTIAL = """access arch_prctl brk capget chdir clock_gettime clone close dup dup3 epoll_ctl epoll_pwait eventfd2 execve execveat
exit exit_group faccessat faccessat2 fchdir fcntl fstat fstatfs futex getcwd getdents64 getpid getrandom gettid getuid ioctl lseek lstat
madvise mmap mprotect munmap nanosleep newfstatat open openat pipe2 poll prctl pread64 prlimit64 read readlink readlinkat rseq
rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list set_tid_address sigaltstack stat statx
tgkill uname write""".split()


def profile(bundle, *rules, default="SCMP_ACT_ALLOW", **fields):
    bundle.config["linux"]["seccomp"] = {"defaultAction": default, "syscalls": list(rules), **fields}


def rule(*names, action="SCMP_ACT_ERRNO", **fields):
    return {"names": list(names), "action": action, **fields}


def test_mode_and_no_new_privileges(runtime, bundle):
    profile(bundle, rule("times"))
    out = look(runtime, bundle, "cat /proc/self/status")
    assert field(out, "Seccomp") == "2" and field(out, "NoNewPrivs") == "1"
    bundle.config["process"]["noNewPrivileges"] = False
    out = look(runtime, bundle, "cat /proc/self/status")
    assert field(out, "Seccomp") == "2" and field(out, "NoNewPrivs") == "0"


def test_errno(runtime, bundle):
    assert look(runtime, bundle, f"probe syscall {GETPPID}").startswith("ok")
    profile(bundle, rule("getppid"))
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EPERM"


@pytest.mark.parametrize("number, name", [(13, "EACCES"), (38, "ENOSYS"), (0, "ok 0"), (4094, "errno 4094")])
def test_errno_return(runtime, bundle, number, name):
    profile(bundle, rule("getppid", errnoRet=number))
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true").startswith(name)


def test_default_errno_return(runtime, bundle):
    profile(bundle, rule(*ESSENTIAL, action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO", defaultErrnoRet=99)
    bundle.config["process"]["args"] = ["/bin/probe", "syscall", str(GETPPID)]
    assert runtime.run(bundle).out == "EADDRNOTAVAIL\n"


@pytest.mark.parametrize("action, number", [("SCMP_ACT_KILL", 31), ("SCMP_ACT_KILL_THREAD", 31), ("SCMP_ACT_KILL_PROCESS", 31),
                                            ("SCMP_ACT_TRAP", 31)])
def test_deadly_actions(runtime, bundle, action, number):
    bundle.without_namespace("pid")
    profile(bundle, rule("getppid", action=action))
    bundle.config["process"]["args"] = ["/bin/probe", "syscall", str(GETPPID)]
    assert runtime.run(bundle).code == 128 + number


@pytest.mark.parametrize("action, out", [("SCMP_ACT_LOG", "ok"), ("SCMP_ACT_ALLOW", "ok"), ("SCMP_ACT_TRACE", "ENOSYS")])
def test_mild_actions(runtime, bundle, action, out):
    profile(bundle, rule("getppid", action=action, **({"errnoRet": 5} if action == "SCMP_ACT_TRACE" else {})))
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true").startswith(out)


@pytest.mark.parametrize("op, value, two, blocked, free", [
    ("SCMP_CMP_EQ", 5, None, [5], [4, 6]), ("SCMP_CMP_NE", 5, None, [4, 6], [5]), ("SCMP_CMP_LT", 5, None, [4], [5, 6]),
    ("SCMP_CMP_LE", 5, None, [4, 5], [6]), ("SCMP_CMP_GE", 5, None, [5, 6], [4]), ("SCMP_CMP_GT", 5, None, [6], [5, 4]),
    ("SCMP_CMP_MASKED_EQ", 0xF0, 0x50, [0x50, 0x5F], [0x60, 0x40]),
    ("SCMP_CMP_EQ", 2 ** 63 + 5, None, [2 ** 63 + 5], [5]), ("SCMP_CMP_GT", 2 ** 32, None, [2 ** 32 + 1], [2 ** 32, 7]),
])
def test_argument_operators(runtime, bundle, op, value, two, blocked, free):
    """getppid takes no arguments, so it carries any."""
    argument = {"index": 1, "value": value, "op": op}
    if two is not None:
        argument["valueTwo"] = two
    profile(bundle, rule("getppid", args=[argument], errnoRet=42))
    script = "; ".join(f"probe syscall {GETPPID} 0 {n}" for n in blocked + free)
    out = look(runtime, bundle, script + "; true").splitlines()
    assert out[:len(blocked)] == ["ENOMSG"] * len(blocked)
    assert all(line.startswith("ok") for line in out[len(blocked):]) and len(out) == len(blocked + free)


def test_two_arguments_are_a_conjunction(runtime, bundle):
    profile(bundle, rule("getppid", args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]))
    out = look(runtime, bundle, "; ".join(f"probe syscall {GETPPID} {a} {b}" for a, b in ((1, 2), (1, 3), (0, 2))) + "; true").splitlines()
    assert out[0] == "EPERM" and out[1].startswith("ok") and out[2].startswith("ok")


def test_two_conditions_on_one_argument(runtime, bundle):
    """runc's rule, which Docker's profiles were written for: several conditions on one argument are alternatives."""
    profile(bundle, rule("getppid", args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]))
    out = look(runtime, bundle, "; ".join(f"probe syscall {GETPPID} {a}" for a in (1, 2, 3)) + "; true").splitlines()
    assert out[:2] == ["EPERM", "EPERM"] and out[2].startswith("ok")


def test_unknown_names_are_skipped(runtime, bundle):
    """A profile for newer kernels works; the rule's other calls stay."""
    profile(bundle, rule("no_such_call_ever", "getppid"))
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EPERM"


def test_numbers_nobody_knows_answer_enosys(runtime, bundle):
    """So that libc falls back to an older call (runc's behaviour since 1.0.0-rc93)."""
    profile(bundle, rule(*ESSENTIAL, action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO", defaultErrnoRet=1)
    for number, name in ((UNKNOWN, "ENOSYS"), (GETPPID, "EPERM")):
        bundle.config["process"]["args"] = ["/bin/probe", "syscall", str(number)]
        assert runtime.run(bundle).out.strip() == name


@pytest.mark.parametrize("early", [True, False])
def test_a_profile_older_than_the_calls(runtime, bundle, early):
    """Without no_new_privs the filter is in force before the program is found: that must not take calls which profiles of some years
    ago answer with EPERM."""
    profile(bundle, rule("faccessat2", "openat2", "close_range", "statx", "clone3", "execveat", "fchmodat2", "pidfd_open"))
    bundle.config["process"]["noNewPrivileges"] = not early
    assert look(runtime, bundle, "/bin/echo by path; echo by name") == "by path\nby name"
    bundle.config["process"]["args"] = ["id", "-u"]
    bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    assert runtime.run(bundle).ok().out == "1000\n"
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "id", "-u").ok().out == "1000\n"
    write(f"{bundle.rootfs}/bin/plain", "no program", 0o644)
    runtime.exec(id, "/bin/plain").failed("permission denied", code=255)
    runtime.exec(id, "/bin/nosuch").failed("no such file or directory", code=255)


def test_a_profile_that_forbids_what_the_start_needs(runtime, bundle):
    """The error names what was refused; it is no sign of an escape."""
    profile(bundle, rule("getcwd"))
    bundle.config["process"]["noNewPrivileges"] = False
    r = runtime.create(bundle).failed("working directory", "operation not permitted", code=1)
    assert "breakout" not in r.err


def test_architectures(runtime, bundle):
    profile(bundle, rule("getppid"), architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EPERM"


def test_x32_calls_do_not_get_around(runtime, bundle):
    """The x32 numbers of a blocked call are not a way past the filter."""
    profile(bundle, rule("getppid"), architectures=["SCMP_ARCH_X86_64"])
    r = runtime.run(bundle.sh(f"probe syscall {0x40000000 + GETPPID}"))
    assert not r.out.startswith("ok")


@pytest.mark.parametrize("flags", [[], ["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                                   ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], ["SECCOMP_FILTER_FLAG_TSYNC"]])
def test_flags(runtime, bundle, flags):
    profile(bundle, rule("getppid"), flags=flags)
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EPERM"


def test_exec_has_the_filter(runtime, bundle):
    profile(bundle, rule("getppid"))
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "probe", "syscall", str(GETPPID)).out == "EPERM\n"


def test_filter_is_in_force_before_the_process_and_not_earlier(runtime, bundle):
    """Calls that the set-up itself needs may be forbidden to the process."""
    names = ["mount", "umount2", "pivot_root", "setns", "unshare", "sethostname", "mknod", "mknodat", "chroot", "capset", "setgroups",
             "setresuid", "setresgid", "setuid", "setgid", "open_tree", "move_mount", "openat2", "mount_setattr", "keyctl", "prlimit64"]
    profile(bundle, rule(*names))
    bundle.config["process"].update(user={"uid": 1000, "gid": 1000}, rlimits=[{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}])
    bundle.config["process"]["noNewPrivileges"] = True
    assert look(runtime, bundle, "probe syscall 165 0 0 0 0 0; id -u") == "EPERM\n1000"


def test_same_profile_again_and_a_changed_one(runtime, bundle):
    """A cached program is that of its profile."""
    profile(bundle, rule("getppid"))
    for _ in range(2):
        assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EPERM"
    profile(bundle, rule("getppid", errnoRet=13))
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EACCES"


def test_cached_rules_belong_to_the_rest_of_their_profile(runtime, bundle):
    """Rules whose filter is cached are not read again; what stands around them is."""
    profile(bundle, rule("getppid"))
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EPERM"
    bundle.config["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_KILL"
    runtime.run(bundle).failed(code=128 + 31)
    bundle.config["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_NOSUCH"
    runtime.run(bundle).failed("/linux/seccomp/defaultAction", code=1)


def test_cached_rules_hide_no_error(runtime, bundle):
    """The text around and in the rules is what it was before, but for one place, which the error names."""
    profile(bundle, rule("getppid"))
    assert look(runtime, bundle, f"probe syscall {GETPPID}; true") == "EPERM"
    bundle.save()
    path = f"{bundle.path}/config.json"
    with open(path) as f:
        good = json.dumps(json.load(f), indent=1)
    with open(path, "w") as f:
        f.write(good)
    runtime.call("run", "--bundle", bundle.path, runtime.new_id()).ok()  # now in the cache as it is written here
    lines = good.splitlines()
    names = next(i for i, line in enumerate(lines) if '"getppid"' in line)
    last = len(lines)
    for text, expected in (
        (good.replace('"getppid"', '"getppid",'), f"line {names + 2}, column"),
        (good.replace('"syscalls"', '"syscalls": [], "syscalls"'), "duplicate"),
        (good[:-1], f"line {last}, column 0"),
        (good + "}", f"line {last}, column 2"),
        (good.replace('"SCMP_ACT_ERRNO"', '"SCMP_ACT_NOSUCH"'), "/linux/seccomp/syscalls/0/action"),
    ):
        assert text != good
        with open(path, "w") as f:
            f.write(text)
        runtime.call("run", "--bundle", bundle.path, runtime.new_id()).failed(expected, code=1)


@pytest.mark.parametrize("seccomp, pointer", [
    ({"defaultAction": "SCMP_ACT_NOSUCH"}, "defaultAction"), ({"syscalls": []}, "defaultAction"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NOSUCH"]}, "architectures/0"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NOSUCH"]}, "flags/0"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}, "syscalls/0"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getppid"]}]}, "syscalls/0"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_NOSUCH"}]}, "syscalls/0/action"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("getppid", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])]},
     "syscalls/0/args/0"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("getppid", args=[{"index": 0, "value": 1, "op": "SCMP_CMP_NOSUCH"}])]},
     "syscalls/0/args/0"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("getppid", args=[{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}])]},
     "syscalls/0/args/0"),
])
def test_bad_profiles(runtime, bundle, seccomp, pointer):
    bundle.config["linux"]["seccomp"] = seccomp
    runtime.run(bundle).failed(f"/linux/seccomp/{pointer}", code=1)


# -- notification

def test_notify_sends_the_listener(runtime, bundle, work):
    """The agent gets the descriptor with the container's process state (containerProcessState, config-linux.md)."""
    with DescriptorSocket(f"{work}/agent") as agent:
        profile(bundle, rule("getppid", action="SCMP_ACT_NOTIFY"), listenerPath=agent.path, listenerMetadata="meta data")
        id = sleeper(runtime, bundle)
        data, fds = agent.receive()
        state = json.loads(data)
        assert state["fds"] == ["seccompFd"] and len(fds) == 1 and state["metadata"] == "meta data"
        assert state["ociVersion"] and state["pid"] == runtime.state(id)["pid"]
        assert state["state"]["id"] == id and state["state"]["bundle"] == os.path.realpath(bundle.path)
        assert "seccomp" in os.readlink(f"/proc/self/fd/{fds[0]}")


def test_notify_answers(runtime, bundle, work):
    """The agent decides; here it lets the call go on (SECCOMP_USER_NOTIF_FLAG_CONTINUE)."""
    import fcntl
    import select
    import struct
    with DescriptorSocket(f"{work}/agent") as agent:
        profile(bundle, rule("chmod", action="SCMP_ACT_NOTIFY"), listenerPath=agent.path)
        bundle.sh(f"probe syscall {CHMOD} @/etc/passwd 0600 > /result; sleep 50")
        id = runtime.create(bundle).ok().id
        starter = runtime.popen("start", id)
        _, fds = agent.receive()
        assert select.select([fds[0]], [], [], 10)[0]
        request = bytearray(80)  # struct seccomp_notif
        fcntl.ioctl(fds[0], 0xC0502100, request)
        number = struct.unpack_from("<QII", request)[0]
        fcntl.ioctl(fds[0], 0xC0182101, bytearray(struct.pack("<QqiI", number, 0, 0, 1)))
        assert starter.wait(10) == 0
        from inside import wait_file
        assert wait_file(f"{bundle.rootfs}/result") == "ok 0\n"


def test_notify_in_exec(runtime, bundle, work):
    with DescriptorSocket(f"{work}/agent") as agent:
        profile(bundle, rule("getppid", action="SCMP_ACT_NOTIFY"), listenerPath=agent.path)
        id = sleeper(runtime, bundle)
        agent.receive()
        p = runtime.popen("exec", id, "sleep", "0.1")
        data, fds = agent.receive()
        state = json.loads(data)
        assert len(fds) == 1 and state["pid"] != runtime.state(id)["pid"] and state["state"]["pid"] == runtime.state(id)["pid"]
        assert p.wait(10) == 0


def test_notify_without_an_agent(runtime, bundle, work):
    profile(bundle, rule("getppid", action="SCMP_ACT_NOTIFY"), listenerPath=f"{work}/nosuch")
    runtime.run(bundle).failed("failed to connect with seccomp agent", "no such file or directory", code=1)


def test_notify_without_a_listener_path(runtime, bundle):
    profile(bundle, rule("getppid", action="SCMP_ACT_NOTIFY"))
    runtime.run(bundle).failed("listenerPath", code=1)


def test_listener_path_without_notification(runtime, bundle, work):
    """The socket is for when SCMP_ACT_NOTIFY is used; nobody connects to it otherwise."""
    profile(bundle, rule("chmod", action="SCMP_ACT_ERRNO"), listenerPath=f"{work}/nosuch", listenerMetadata="x")
    assert look(runtime, bundle, f"probe syscall {CHMOD} @/etc/passwd 0600; true") == "EPERM"


def test_notify_cannot_hold_write(runtime, bundle, work):
    """The runtime itself writes to hand the listener over."""
    with DescriptorSocket(f"{work}/agent") as agent:
        profile(bundle, rule("write", action="SCMP_ACT_NOTIFY"), listenerPath=agent.path)
        runtime.run(bundle).failed("SCMP_ACT_NOTIFY cannot be used for the write syscall", code=1)


def test_notify_as_the_default_is_refused(runtime, bundle, work):
    with DescriptorSocket(f"{work}/agent") as agent:
        profile(bundle, rule("getppid", action="SCMP_ACT_ALLOW"), default="SCMP_ACT_NOTIFY", listenerPath=agent.path)
        runtime.run(bundle).failed("SCMP_ACT_NOTIFY", code=1)
