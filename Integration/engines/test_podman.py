"""Rootful Podman: run, exec, terminals, pods, health checks, the container's life, and its flags."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from harness import busybox_rootfs
from harness.runtime import NEMOSHELL

from .enclosure import wait_for
from .images import BUSYBOX
from .test_docker_security import own_capabilities
from .web import SERVE, fetch

SIZE = "until [ -n \"$(stty size 2>/dev/null)\" ]; do sleep 0.1; done; stty size; "

#: A command that ends when it is asked to.
STAYS = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]


def test_nemoshell_is_the_runtime(podman):
    assert json.loads(podman("info", "--format", "json").ok().out)["host"]["ociRuntime"]["path"] == NEMOSHELL
    c = podman.detached(BUSYBOX, "sleep", "100")
    assert podman.inspect(c, "OCIRuntime") == "nemoshell"


@pytest.mark.parametrize("runtime", ["nemoshell", NEMOSHELL, "runc"])
def test_runtime_flag(podman, runtime):
    argv = ["--runtime", runtime, "run", "--rm", "--cgroup-parent", podman.enclosure.cgroup, BUSYBOX, "echo", "ran"]
    assert podman(*argv).ok().out == "ran\n"


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_code(podman, code):
    r = podman.run(BUSYBOX, "sh", "-c", f"echo out; echo err >&2; exit {code}")
    assert (r.code, r.out, r.err) == (code, "out\n", "err\n")


def test_exit_codes_of_failures(podman):
    podman.run(BUSYBOX, "nonexistent").failed("executable file", code=127)
    podman.run(BUSYBOX, "/nonexistent").failed("no such file or directory", code=127)
    podman.run(BUSYBOX, "/etc/passwd").failed("permission denied", code=126)
    podman.run("--no-such-flag", BUSYBOX, "true").failed(code=125)
    assert podman.run(BUSYBOX, "sh", "-c", "sh -c 'kill -9 $$'; exit $?").code == 137


def test_standard_input(podman):
    text = "".join(f"line {n}\n" for n in range(5000))
    assert podman.run("-i", BUSYBOX, "cat", stdin=text).ok().out == text


def test_debian_with_python(podman, debian_in_podman):
    r = podman.run("--hostname", "snake", debian_in_podman, "python3", "-c", "import os; print(os.uname().nodename)")
    assert r.ok().out == "snake\n"


def test_run_on_a_terminal(podman, terminal):
    t = terminal(podman.argv("run", "--rm", "-it", BUSYBOX, "sh", "-c", SIZE + "tty; read code; exit $code"),
                 podman.environment, rows=33, columns=101)
    t.expect("33 101")
    t.expect("/dev/pts/0")
    t.type("7\n")
    assert t.exit_code() == 7


def test_detach_keys_and_attach(podman, terminal):
    script = "while read line; do [ $line = end ] && exit 3; echo got-$line; done"
    t = terminal(podman.argv("run", "-it", "--name", "kept", BUSYBOX, "sh", "-c", script), podman.environment)
    t.type("one\n")
    t.expect("got-one")
    t.type("\x10")
    time.sleep(0.2)  # Podman wants them in two reads
    t.type("\x11")
    t.exit_code()
    assert podman.inspect("kept", "State.Running") is True
    again = terminal(podman.argv("attach", "kept"), podman.environment)
    again.type("two\n")
    again.expect("got-two")
    again.type("end\n")
    again.exit_code()
    assert podman.inspect("kept", "State.ExitCode") == 3


def test_exec(podman):
    c = podman.detached("-e", "OF=container", BUSYBOX, "sleep", "100")
    r = podman("exec", c, "sh", "-c", "echo $OF; cat /proc/1/cmdline | tr '\\0' ' '; echo err >&2; exit 6")
    assert (r.code, r.out) == (6, "container\nsleep 100 ") and "err" in r.err
    r = podman("exec", "--user", "1000:77", "--workdir", "/tmp", "--env", "A=1", c, "sh", "-c",
               "id -u; id -g; pwd; echo $A").ok()
    assert r.out == "1000\n77\n/tmp\n1\n"
    text = "x" * 100000
    assert podman("exec", "-i", c, "cat", stdin=text).ok().out == text
    podman("exec", c, "nonexistent").failed("executable file", code=127)
    podman("exec", c, "/etc/passwd").failed("permission denied", code=126)


def test_exec_on_a_terminal(podman, terminal):
    c = podman.detached(BUSYBOX, "sleep", "100")
    argv = podman.argv("exec", "-it", c, "sh", "-c", "tty; " + SIZE + "read code; exit $code")
    t = terminal(argv, podman.environment, rows=30, columns=90)
    t.expect("/dev/pts/")
    t.expect("30 90")
    t.type("9\n")
    assert t.exit_code() == 9


def test_exec_detached_and_privileged(podman):
    c = podman.detached(BUSYBOX, "sleep", "100")
    podman("exec", "-d", c, "sleep", "234").ok()
    wait_for(lambda: "sleep 234" in podman("top", c, "args").ok().out, "the process")
    podman("exec", c, "mount", "-t", "tmpfs", "tmpfs", "/tmp").failed()
    podman("exec", "--privileged", c, "grep", "CapEff", "/proc/self/status").ok()


def test_top_and_stats(podman):
    c = podman.detached("--memory", "64m", BUSYBOX, "sh", "-c", "sleep 501 & while :; do :; done")
    wait_for(lambda: "sleep 501" in podman("top", c, "args").ok().out, "the second process")
    stats = json.loads(podman("stats", "--no-stream", "--format", "json", c).ok().out)[0]
    assert stats["pids"] == "2" and "67.11MB" in stats["mem_usage"]


def test_create_init_start(podman):
    c = podman("create", BUSYBOX, "echo", "started").ok().out.strip()
    podman("init", c).ok()
    assert podman.inspect(c, "State.Status") in ("initialized", "created")
    podman("start", c).ok()
    assert podman("wait", c).ok().out == "0\n"
    assert podman("logs", c).ok().out == "started\n"


def test_pause_and_unpause(podman):
    c = podman.detached(BUSYBOX, "sleep", "100")
    podman("pause", c).ok()
    assert podman.inspect(c, "State.Status") == "paused"
    podman("exec", c, "true").failed()
    podman("unpause", c).ok()
    podman("exec", c, "true").ok()


def test_update(podman):
    c = podman.detached("--memory", "64m", "--memory-swap", "64m", BUSYBOX, "sleep", "100")
    podman("update", "--cpus", "0.5", "--memory", "96m", "--memory-swap", "96m", c).ok()
    assert podman("exec", c, "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes").ok().out == f"{96 << 20}\n"


def test_kill_stop_restart_remove(podman):
    script = "trap 'exit 9' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.1; done"
    c = podman.detached(BUSYBOX, "sh", "-c", script)
    podman.wait_for_log(c, "ready")
    podman("kill", "--signal", "USR1", c).ok()
    podman.wait_for_log(c, "usr1")
    podman("restart", c).ok()
    assert podman.inspect(c, "State.Running") is True
    wait_for(lambda: podman("logs", c).ok().out.count("ready") == 2, "the second start")
    podman("stop", c).ok()
    assert podman.inspect(c, "State.ExitCode") == 9
    podman("start", c).ok()
    podman("kill", c).ok()
    assert podman("wait", c).ok().out == "137\n"
    podman("start", c).ok()
    podman("rm", "--force", "--time", "0", c).ok()
    assert not [path for path in podman.enclosure.cgroups() if c in path]


def test_signals_are_passed_on(podman):
    script = "trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done"
    p = subprocess.Popen(podman.argv("run", "--rm", "--name", "proxied", BUSYBOX, "sh", "-c", script),
                         env=podman.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert p.stdout.readline() == b"ready\n"
    # Podman forwards signals from a moment after it has attached.
    time.sleep(1)
    with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
        os.kill(int(f.read().split()[0]), signal.SIGTERM)
    assert p.wait(15) == 8
    p.stdout.close()


def test_cp(podman, work):
    with open(f"{work}/file", "w") as f:
        f.write("carried")
    c = podman.detached(BUSYBOX, "sleep", "100")
    podman("cp", f"{work}/file", f"{c}:/tmp/file").ok()
    assert podman("exec", c, "cat", "/tmp/file").ok().out == "carried"
    podman("cp", f"{c}:/tmp/file", f"{work}/back").ok()
    with open(f"{work}/back") as f:
        assert f.read() == "carried"


def test_health_check(podman):
    c = podman.detached("--health-cmd", "test -e /well", "--health-interval", "disable", "--health-retries", "1",
                        BUSYBOX, "sleep", "100")
    podman("healthcheck", "run", c).failed(code=1)
    assert podman.inspect(c, "State.Health.Status") == "unhealthy"
    podman("exec", c, "touch", "/well").ok()
    podman("healthcheck", "run", c).ok()
    assert podman.inspect(c, "State.Health.Status") == "healthy"


def test_pod(podman):
    podman("pod", "create", "--name", "p", "--hostname", "podhost").ok()
    first = podman.detached("--pod", "p", "--name", "first", BUSYBOX, *STAYS)
    second = podman.detached("--pod", "p", "--name", "second", BUSYBOX, *STAYS)
    for kind, same in (("net", True), ("ipc", True), ("uts", True), ("pid", False), ("mnt", False)):
        one, two = (podman("exec", c, "readlink", f"/proc/self/ns/{kind}").ok().out for c in (first, second))
        assert (one == two) is same, kind
    assert podman("exec", second, "hostname").ok().out == "podhost\n"
    assert podman("pod", "top", "p", "args").ok().out.count("\nsleep 1000 ") == 2
    podman("pod", "pause", "p").ok()
    assert podman.inspect(first, "State.Status") == "paused"
    podman("pod", "unpause", "p").ok()
    podman("pod", "restart", "p", timeout=60).ok()
    assert podman.inspect(second, "State.Running") is True
    podman("pod", "stop", "--time", "0", "p").ok()
    podman("pod", "rm", "p").ok()


def test_pod_with_shared_pid_namespace_and_network(podman, debian_in_podman):
    podman("pod", "create", "--name", "p", "--share", "net,ipc,uts,pid").ok()
    podman.detached("--pod", "p", debian_in_podman, *SERVE)
    client = podman.detached("--pod", "p", debian_in_podman, "sleep", "100")
    assert podman("exec", client, *fetch("127.0.0.1")).ok().out == "page\n"
    assert "sleep" in podman("exec", client, "ps", "-e").ok().out


def test_play_kube(podman, work):
    with open(f"{work}/pod.yaml", "w") as f:
        f.write(f"""
apiVersion: v1
kind: Pod
metadata: {{name: played}}
spec:
  containers:
  - name: main
    image: {BUSYBOX}
    imagePullPolicy: Never
    command: [sh, -c, "id -u; trap 'exit 0' TERM; sleep 1000 & wait"]
    securityContext: {{runAsUser: 1000, readOnlyRootFilesystem: true}}
    resources: {{limits: {{memory: 48Mi}}}}
""")
    podman.play(f"{work}/pod.yaml")
    podman.wait_for_log("played-main", "1000")
    podman("exec", "played-main", "touch", "/f").failed("read-only file system")
    podman("play", "kube", "--down", f"{work}/pod.yaml").ok()


def test_networks(podman, debian_in_podman):
    server = podman.detached(debian_in_podman, *SERVE)
    address = podman.inspect(server, "NetworkSettings.IPAddress")
    assert podman.run(debian_in_podman, *fetch(address)).ok().out == "page\n"
    assert podman.run("--network", f"container:{server}", debian_in_podman, *fetch("127.0.0.1")).ok().out == "page\n"
    assert podman.run("--network", "none", BUSYBOX, "ls", "/sys/class/net").ok().out.split() == ["lo"]
    own = podman.enclosure.call("readlink", "/proc/self/ns/net").ok().out
    assert podman.run("--network", "host", BUSYBOX, "readlink", "/proc/self/ns/net").ok().out == own


def test_publish(podman, debian_in_podman):
    podman.detached("-p", "8082:80", debian_in_podman, *SERVE)
    address = podman.enclosure.call("sh", "-c", "ip -4 -o addr show podman0").ok().out.split()[3].split("/")[0]
    assert podman.enclosure.call(*fetch(f"{address}:8082")).ok().out == "page\n"


@pytest.mark.parametrize("flags, script, expected", [
    (["--user", "1000:77"], "id -u; id -g", "1000\n77"),
    (["--workdir", "/tmp"], "pwd", "/tmp"),
    (["--hostname", "h"], "hostname", "h"),
    (["--ulimit", "nofile=99:199", "--ulimit", "nproc=4096:4096"], "ulimit -n; ulimit -Hn", "99\n199"),
    (["--sysctl", "net.ipv4.ip_unprivileged_port_start=777"], "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
     "777"),
    (["--tmpfs", "/t:size=1m"], "df -k /t | tail -1 | awk '{print $2}'", "1024"),
    (["--shm-size", "2m"], "df -k /dev/shm | tail -1 | awk '{print $2}'", "2048"),
    (["--memory", "48m"], "cat /sys/fs/cgroup/memory/memory.limit_in_bytes", str(48 << 20)),
    (["--cpus", "0.5"], "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000"),
    (["--pids-limit", "33"], "cat /sys/fs/cgroup/pids/pids.max", "33"),
    (["--cap-drop", "all"], "grep CapBnd /proc/self/status", "CapBnd:\t0000000000000000"),
    (["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"),
    (["--security-opt", "seccomp=unconfined"], "grep ^Seccomp: /proc/self/status", "Seccomp:\t0"),
    ([], "grep ^Seccomp: /proc/self/status", "Seccomp:\t2"),
    (["--uidmap", "0:100000:5000"], "cat /proc/self/uid_map | tr -s ' '", "0 100000 5000"),
    (["--device", "/dev/zero:/dev/z"], "stat -c %t:%T /dev/z", "1:5"),
    (["--umask", "0077"], "umask", "0077"),
    (["--init"], "tr '\\0' ' ' < /proc/1/cmdline | cut -d' ' -f1", "/run/podman-init"),
    (["--pid", "host"], "[ $$ -gt 1 ] && echo other", "other"),
    (["--oom-score-adj", "321"], "cat /proc/self/oom_score_adj", "321"),
    (["--group-add", "88"], "id -G", "0 88"),
    (["--cgroupns", "host"], "grep -c :/nemoshell-engines- /proc/self/cgroup", None),
    (["--systemd", "always"], "grep -c ' /run tmpfs' /proc/mounts", "1"),
])
def test_flags(podman, flags, script, expected):
    out = podman.run(*flags, BUSYBOX, "sh", "-c", script).ok().out.strip()
    assert out == expected if expected is not None else int(out) > 0


def test_read_only(podman):
    podman.run(BUSYBOX, "touch", "/f").ok()
    podman.run("--read-only", BUSYBOX, "touch", "/f").failed("read-only file system")
    podman.run("--read-only", BUSYBOX, "touch", "/tmp/f").ok()


def test_volumes(podman, work):
    with open(f"{work}/file", "w") as f:
        f.write("outside\n")
    script = "cat /v/file && echo x > /v/new"
    assert podman.run("-v", f"{work}:/v:ro", BUSYBOX, "sh", "-c", script).failed("read-only").out == "outside\n"
    podman.run("-v", f"{work}:/v:O", BUSYBOX, "sh", "-c", script).ok()
    assert not os.path.exists(f"{work}/new")
    podman.run("-v", f"{work}:/v", BUSYBOX, "sh", "-c", script).ok()
    assert os.path.exists(f"{work}/new")
    podman.run("-v", "named:/etc", BUSYBOX, "sh", "-c", "grep -q root /etc/passwd && echo 1 > /etc/mark").ok()
    assert podman.run("-v", "named:/n", BUSYBOX, "cat", "/n/mark").ok().out == "1\n"


def test_privileged(podman):
    r = podman.run("--privileged", BUSYBOX, "sh", "-c",
                   "mount -t tmpfs tmpfs /mnt && grep CapEff /proc/self/status; ls /dev/loop-control").ok()
    assert int(r.out.split()[1], 16) == own_capabilities()
    podman.run(BUSYBOX, "mount", "-t", "tmpfs", "tmpfs", "/mnt").failed()


def test_out_of_memory(podman):
    c = podman.detached("--memory", "24m", "--memory-swap", "24m", BUSYBOX, "tail", "/dev/zero")
    assert podman("wait", c).ok().out == "137\n"


def test_without_cgroups(podman):
    before = podman.enclosure.cgroups()
    assert podman.run("--cgroups", "disabled", BUSYBOX, "echo", "ran").ok().out == "ran\n"
    assert podman.enclosure.cgroups() == before


def test_preserve_fds(podman):
    argv = podman.argv("run", "--rm", "--preserve-fds", "1", BUSYBOX, "sh", "-c", "cat <&3")
    read, write = os.pipe()
    os.write(write, b"handed over\n")
    os.close(write)
    # The descriptor must be number 3, which this process may use itself.
    shell = 'exec "$0" "$@" 3<&0 </dev/null'
    r = subprocess.run(["sh", "-c", shell, *argv], env=podman.environment, stdin=read, capture_output=True, timeout=30)
    os.close(read)
    assert r.stdout == b"handed over\n", r


def test_keep_groups(podman):
    argv = podman.argv("run", "--rm", "--group-add", "keep-groups", BUSYBOX, "grep", "Groups", "/proc/self/status")
    r = subprocess.run(["setpriv", "--groups", "4242", *argv], env=podman.environment, capture_output=True, timeout=30)
    assert r.stdout.split() == [b"Groups:", b"4242"], r


def test_a_root_file_system_without_an_image(podman, work):
    rootfs = busybox_rootfs(f"{work}/rootfs")
    assert podman.run("--rootfs", rootfs, "ls", "-d", "/bin").ok().out == "/bin\n"


def test_images_are_built(podman):
    recipe = f"FROM {BUSYBOX}\nRUN echo built > /built\n"
    flags = ["--network", "none", "--runtime", NEMOSHELL, "--cgroup-parent", f"{podman.enclosure.cgroup}/build",
             "--isolation", "oci", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
    podman("build", *flags, "-t", "nemoshell.test/built", "-", stdin=recipe).ok()
    assert podman.run("nemoshell.test/built", "cat", "/built").ok().out == "built\n"
    podman("image", "rm", "nemoshell.test/built").ok()


def test_readiness_for_a_service_manager(podman, debian_in_podman):
    """`--sdnotify container`: what the container says to its NOTIFY_SOCKET reaches Podman's."""
    say = ("import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
           "s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'READY=1'); time.sleep(100)")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{podman.enclosure.work}/notify")
        manager.settimeout(20)
        podman.environment["NOTIFY_SOCKET"] = f"{podman.enclosure.work}/notify"
        try:
            c = podman.detached("--sdnotify", "container", debian_in_podman, "python3", "-c", say)
        finally:
            del podman.environment["NOTIFY_SOCKET"]
        said = ""
        while "READY=1" not in said:
            said += manager.recv(4096).decode() + "\n"
    assert podman.inspect(c, "State.Running") is True
