"""containerd driven by ctr: run, exec, pause, metrics, update, kill, delete."""

import json

import pytest

from harness.runtime import NEMOSHELL

from .enclosure import wait_for
from .images import BUSYBOX, DEBIAN


@pytest.fixture
def ctr(containerd):
    """containerd, whose containers made by the test are removed after it."""
    yield containerd
    containerd.clean()


def run(ctr, *args, name="c", flags=(), **kw):
    """`ctr run` with the runtime under test, in the foreground."""
    return ctr("run", "--rm", *options(ctr, name), *flags, BUSYBOX, name, *args, **kw)


def options(ctr, name):
    return ["--runtime", "io.containerd.runc.v2", "--runc-binary", NEMOSHELL, "--cgroup",
            f"{ctr.enclosure.cgroup}/{name}"]


def detached(ctr, *args, name="c", flags=()):
    ctr("run", "--detach", *options(ctr, name), *flags, BUSYBOX, name, *args).ok()
    assert ctr.tasks()[name] == "RUNNING"
    return name


def test_run(ctr):
    r = run(ctr, "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (r.code, r.out, r.err) == (5, "out\n", "err\n")


def test_run_standard_input(ctr):
    # ctr 1.6 does not pass on the end of its input, so this reads one line.
    assert run(ctr, "head", "-n1", stdin="given\n").ok().out == "given\n"


def test_run_debian_with_python(ctr, debian_in_containerd):
    r = ctr("run", "--rm", *options(ctr, "d"), DEBIAN, "d", "python3", "-c", "import os; print(os.getpid())").ok()
    assert r.out == "1\n"


def test_run_of_what_is_not_there(ctr):
    run(ctr, "/nonexistent").failed("no such file or directory")
    run(ctr, "nonexistent", name="c2").failed("executable file not found in $path")


def test_run_on_a_terminal(ctr, terminal):
    script = "until [ -n \"$(stty size 2>/dev/null)\" ]; do sleep 0.1; done; tty; read code; exit $code"
    argv = ctr.argv("run", "--rm", "--tty", *options(ctr, "t"), BUSYBOX, "t", "sh", "-c", script)
    t = terminal(argv, None)
    t.expect("/dev/pts/0")
    t.type("4\n")
    assert t.exit_code() == 4


@pytest.mark.parametrize("flags, script, expected", [
    (["--cwd", "/tmp"], "pwd", "/tmp"),
    (["--env", "A=b"], "echo $A", "b"),
    (["--read-only"], "touch /f 2>&1", "touch: /f: Read-only file system"),
    (["--mount", "type=tmpfs,src=tmpfs,dst=/m,options=size=1m"], "grep -c ' /m tmpfs' /proc/mounts", "1"),
    (["--seccomp"], "grep ^Seccomp: /proc/self/status", "Seccomp:\t2"),
    (["--cap-drop", "CAP_CHOWN"], "chown 1 /etc/passwd 2>&1", "chown: /etc/passwd: Operation not permitted"),
    (["--cap-add", "CAP_NET_ADMIN"], "ip link set lo mtu 1400 && echo set", "set"),
    (["--allow-new-privs"], "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0"),
    (["--device", "/dev/loop-control"], "stat -c %t:%T /dev/loop-control", "a:ed"),
    (["--rootfs-propagation", "rslave"], "echo ok", "ok"),
    (["--no-pivot"], "cat /etc/hostname 2>/dev/null; ls -d /bin", "/bin"),
    (["--annotation", "a.b=c"], "echo ok", "ok"),
    (["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"], "tr -s ' ' < /proc/self/uid_map", "0 100000 65536"),
])
def test_run_flags(ctr, flags, script, expected):
    r = run(ctr, "sh", "-c", script, flags=flags)
    assert r.out.strip() == expected, r


@pytest.mark.parametrize("flags, file, expected", [
    (["--memory-limit", str(48 << 20)], "memory/memory.limit_in_bytes", str(48 << 20)),
    (["--cpu-quota", "20000", "--cpu-period", "40000"], "cpu/cpu.cfs_quota_us", "20000"),
    (["--cpu-shares", "222"], "cpu/cpu.shares", "222"),
])
def test_run_limits(ctr, flags, file, expected):
    c = detached(ctr, "sleep", "100", flags=flags)
    controller, name = file.split("/")
    with open(f"/sys/fs/cgroup/{controller}{ctr.enclosure.cgroup}/{c}/{name}") as f:
        assert f.read().strip() == expected


def test_host_network(ctr):
    r = run(ctr, "readlink", "/proc/self/ns/net", flags=["--net-host"]).ok()
    assert r.out == ctr.enclosure.call("readlink", "/proc/self/ns/net").ok().out


def test_privileged(ctr):
    r = run(ctr, "sh", "-c", "mkdir /m && mount -t tmpfs tmpfs /m && echo mounted", flags=["--privileged"]).ok()
    assert r.out == "mounted\n"


def test_joined_namespace(ctr):
    c = detached(ctr, "sleep", "100")
    pid = next(line.split()[1] for line in ctr("task", "ls").ok().out.splitlines() if line.startswith(c))
    r = run(ctr, "readlink", "/proc/self/ns/net", name="guest", flags=["--with-ns", f"network:/proc/{pid}/ns/net"]).ok()
    own = ctr("task", "exec", "--exec-id", "e", c, "readlink", "/proc/self/ns/net").ok().out
    assert r.out == own


def test_exec(ctr):
    c = detached(ctr, "sleep", "100")
    r = ctr("task", "exec", "--exec-id", "a", c, "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; exit 6")
    assert (r.code, r.out) == (6, "sleep 100 ")
    r = ctr("task", "exec", "--exec-id", "b", "--user", "1000", "--cwd", "/tmp", c, "sh", "-c", "id -u; pwd").ok()
    assert r.out == "1000\n/tmp\n"
    ctr("task", "exec", "--exec-id", "c", c, "nonexistent").failed("executable file not found in $path")


def test_exec_on_a_terminal(ctr, terminal):
    c = detached(ctr, "sleep", "100")
    t = terminal(ctr.argv("task", "exec", "--tty", "--exec-id", "a", c, "sh", "-c", "tty; read code; exit $code"), None)
    t.expect("/dev/pts/")
    t.type("3\n")
    assert t.exit_code() == 3


def test_pause_and_resume(ctr):
    c = detached(ctr, "sleep", "100")
    ctr("task", "pause", c).ok()
    assert ctr.tasks()[c] == "PAUSED"
    with open(f"/sys/fs/cgroup/freezer{ctr.enclosure.cgroup}/{c}/freezer.state") as f:
        assert f.read() == "FROZEN\n"
    ctr("task", "resume", c).ok()
    assert ctr.tasks()[c] == "RUNNING"


def test_metrics(ctr):
    c = detached(ctr, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 100",
                 flags=["--memory-limit", str(64 << 20)])
    metrics = json.loads(ctr("task", "metrics", "--format", "json", c).ok().out)
    assert int(metrics["memory"]["usage"]["limit"]) == 64 << 20
    assert int(metrics["cpu"]["usage"]["total"]) > 0
    assert int(metrics["pids"]["current"]) >= 1


def test_ps(ctr):
    c = detached(ctr, "sh", "-c", "sleep 100 & sleep 101; :")
    wait_for(lambda: len(ctr("task", "ps", c).ok().out.splitlines()) == 4, "three processes")


@pytest.mark.parametrize("number, code", [("SIGTERM", 7), ("9", 137)])
def test_kill_and_delete(ctr, number, code):
    c = detached(ctr, "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")
    wait_for(lambda: ctr("task", "ps", c).out.count("\n") >= 3, "the loop")
    ctr("task", "kill", "--signal", number, c).ok()
    wait_for(lambda: ctr.tasks()[c] == "STOPPED", "the end")
    assert f"non-zero exit code {code}\"" in ctr("task", "delete", c).ok().err
    ctr("container", "delete", c).ok()
    assert not [path for path in ctr.enclosure.cgroups() if path.endswith(f"/{c}")]


def test_kill_all_of_a_container_in_the_host_s_pid_namespace(ctr):
    c = detached(ctr, "sh", "-c", "sleep 555 & sleep 556; :", flags=["--with-ns", "pid:/proc/1/ns/pid"])
    wait_for(lambda: "sleep 556" in ctr.enclosure.processes().values(), "the processes")
    ctr("task", "kill", "--all", "--signal", "9", c).ok()
    wait_for(lambda: not {"sleep 555", "sleep 556"} & set(ctr.enclosure.processes().values()), "their end")


def test_delete_by_force(ctr):
    c = detached(ctr, "sleep", "444")
    ctr("task", "delete", c).failed()
    ctr("task", "delete", "--force", c)
    assert c not in ctr.tasks()
    assert "sleep 444" not in ctr.enclosure.processes().values()


def test_restart_of_containerd(ctr):
    c = detached(ctr, "sleep", "100")
    for number in (15, 9):
        ctr.stop(number)
        ctr.start()
        assert ctr.tasks()[c] == "RUNNING"
        assert ctr("task", "exec", "--exec-id", f"e{number}", c, "echo", "here").ok().out == "here\n"
    ctr("task", "kill", "--signal", "9", c).ok()
    wait_for(lambda: ctr.tasks()[c] == "STOPPED", "the end")


def test_the_runtime_s_error_is_what_ctr_tells(ctr):
    r = run(ctr, "true", flags=["--mount", "type=bind,src=/nonexistent-source,dst=/m,options=rbind"])
    r.failed("OCI runtime create failed", "no such file or directory")
