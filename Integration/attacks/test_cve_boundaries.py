"""Escapes through what is parsed, inherited or shared: mappings, capabilities, cgroups, ids, terminals, hooks."""

import fcntl
import json
import os
import pty
import shutil
import socket
import struct
import subprocess
import termios

import pytest
from lab import Console, attempt, read, refused, wait_for


def status(text, name):
    return next(line.split(None, 1)[1].strip() for line in text.splitlines() if line.startswith(f"{name}:"))


def test_cve_2021_43784_id_mappings_beyond_a_message(runtime, bundle):
    """More id mappings than 64 KiB hold are an error, and nothing is started. A few are not."""
    bundle.namespace("user")
    os.chmod(os.path.dirname(bundle.path), 0o755)
    mappings = [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(9000)]
    bundle.config["linux"]["uidMappings"] = bundle.config["linux"]["gidMappings"] = mappings[:10]
    attempt(runtime, bundle).ok()
    bundle.config["linux"]["uidMappings"] = bundle.config["linux"]["gidMappings"] = mappings
    refused(runtime, bundle)


INHERITED = "0000000000000000"


def test_cve_2022_24769_inheritable_of_the_first_process(runtime, armed):
    """The inheritable set is empty unless the configuration asks for it."""
    armed.config["process"]["args"] = ["/attack", "ids"]
    text = attempt(runtime, armed).ok().out
    assert status(text, "CapEff") != INHERITED, "the detector sees capabilities"
    assert status(text, "CapInh") == status(text, "CapAmb") == INHERITED
    armed.config["process"]["capabilities"]["inheritable"] = ["CAP_CHOWN"]
    assert status(attempt(runtime, armed).ok().out, "CapInh") == "0000000000000001"


@pytest.fixture
def running(runtime, armed):
    armed.config["process"]["args"] = ["/bin/sleep", "100"]
    return runtime.start_detached(armed)


def test_cve_2022_29162_inheritable_of_exec_with_cap(runtime, running):
    """`exec --cap` adds to the sets a process uses, not to the inheritable set."""
    text = runtime.call("exec", "--cap", "CAP_SYS_TIME", running, "/attack", "ids").ok().out
    assert int(status(text, "CapEff"), 16) & 1 << 25, "the detector sees the capability"
    assert status(text, "CapInh") == INHERITED
    assert status(text, "CapAmb") == INHERITED


def test_cve_2022_27650_inheritable_of_exec(runtime, running):
    """`exec` gives no inheritable capability either; nor does the configuration that `spec` writes ask for one."""
    text = runtime.exec(running, "/attack", "ids").ok().out
    assert status(text, "CapInh") == status(text, "CapAmb") == INHERITED


def test_cve_2022_29162_spec_asks_for_no_inheritable(runtime, work):
    """The configuration that `spec` writes names no inheritable capability."""
    runtime.call("spec", "--bundle", work).ok()
    with open(f"{work}/config.json") as f:
        capabilities = json.load(f)["process"]["capabilities"]
    assert capabilities["bounding"] and not capabilities.get("inheritable")


@pytest.mark.parametrize("namespaces", ["plain", "cgroup", "user", "user and cgroup"])
def test_cve_2023_25809_cgroup_mount_is_read_only(runtime, armed, namespaces):
    """Nothing below `/sys/fs/cgroup` can be made, moved or written, whatever namespaces there are. Catalogue B37."""
    if "user" in namespaces:
        os.chmod(os.path.dirname(armed.path), 0o755)
        armed.namespace("user")
        for kind in ("uidMappings", "gidMappings"):
            armed.config["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        armed.config["mounts"] = [m for m in armed.config["mounts"] if m["destination"] != "/dev/mqueue"]
    if "cgroup" in namespaces:
        armed.namespace("cgroup")
    armed.sh("""cd /sys/fs/cgroup || exit 9
[ -e pids/cgroup.procs ] && echo MOUNTED
for d in . pids memory systemd; do
  mkdir $d/attack 2>/dev/null && echo "MADE $d"
  /attack open w $d/cgroup.procs $d/release_agent $d/tasks $d/notify_on_release
done; true""")
    out = attempt(runtime, armed).ok().out
    assert "MOUNTED" in out, out
    assert "MADE" not in out, out
    for line in out.splitlines()[1:]:
        path, error = line.split()
        assert error in ("EROFS", "ENOENT", "EACCES"), line


HOSTILE_IDS = ["..", ".", "../victim", "/victim", "a/b", "a/../../victim", "", " ", "a b", "a\nb", "a\tb",
               "é", "x" * 1100, "a%2fb", "*", "../../etc"]


@pytest.mark.parametrize("verb", ["run", "create", "delete", "start", "kill", "state", "exec", "pause", "ps", "update"])
def test_container_id_leaves_the_state_root(runtime, bundle, canary, work, verb):
    """An id is a name and never a path, in every verb (crun's hardening of 1.14.1 and 1.20). Catalogue C52."""
    victim = f"{work}/victim"
    shutil.copytree(canary.path, victim)
    bundle.sh("echo RAN").save()
    flags = {"run": ["--bundle", bundle.path], "create": ["--bundle", bundle.path], "delete": ["--force"]}.get(verb, [])
    rest = {"exec": ["/bin/true"], "kill": ["KILL"]}.get(verb, [])
    for id in HOSTILE_IDS:
        os.makedirs(runtime.root, exist_ok=True)
        r = runtime.call(verb, *flags, "--", id, *rest)
        if r.code == 0 and verb in ("run", "create"):
            runtime.ids.append(id)
        assert "RAN" not in r.out, f"{id!r}: {r}"
        if verb not in ("delete",):
            r.failed()
        assert os.path.isdir(victim) and sorted(os.listdir(victim)) == sorted(os.listdir(canary.path)), (
            f"{id!r}: the victim beside the state root was changed")
        assert os.path.isdir(runtime.root), f"{id!r}: the state root itself was removed"
        assert os.listdir(runtime.root) == [], f"{id!r}: left in the state root: {os.listdir(runtime.root)}"


@pytest.mark.parametrize("path", ["/../attack", "../attack", "/a/../../attack", "a/../..", "/attack/../../../.."])
def test_cgroups_path_leaves_the_hierarchy(runtime, bundle, path):
    """A cgroup path with dots is refused, or stays below the root of each hierarchy."""
    bundle.config["linux"]["cgroupsPath"] = path
    attempt(runtime, bundle.sh("true"))
    assert not os.path.exists("/sys/fs/attack") and not os.path.exists("/sys/attack")


class Caller:
    """A terminal session of a person: the runtime is started in it, with the terminal as its controlling one."""

    def __init__(self):
        self.master, self.slave = pty.openpty()

    def run(self, *argv):
        # setsid by start_new_session; the open makes the terminal the controlling one.
        name = os.ttyname(self.slave)
        return subprocess.run(["/bin/sh", "-c", f'exec 3<>{name}; exec "$@"', "sh", *argv], stdin=self.slave,
                              stdout=self.slave, stderr=self.slave, start_new_session=True, timeout=30)

    def typed(self):
        """The bytes that wait in the terminal's input."""
        attributes = termios.tcgetattr(self.slave)
        attributes[3] &= ~termios.ICANON
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        return struct.unpack("i", fcntl.ioctl(self.slave, termios.FIONREAD, b"\0" * 4))[0]

    def close(self):
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def caller():
    c = Caller()
    yield c
    c.close()


def test_cve_2017_5226_tiocsti_into_the_callers_terminal(runtime, armed, caller, helper, work):
    """A container that was given the caller's terminal as stdin types nothing into it, by `run` or `exec`, and has no
    controlling terminal. Catalogue B40."""
    with open(f"{work}/direct", "w") as out:
        r = subprocess.run(["/bin/sh", "-c", f'exec 3<>{os.ttyname(caller.slave)}; exec "$@" >"$0"', out.name, helper,
                            "tiocsti", "0", "plain"], stdin=caller.slave, start_new_session=True, timeout=10)
    if "PUSHED" in read(f"{work}/direct"):
        assert caller.typed() == 1, "the detector sees a pushed byte"
        os.read(caller.slave, 1)
    assert r.returncode == 0 and caller.typed() == 0
    armed.sh("for fd in 0 1 2; do for how in plain high; do /attack tiocsti $fd $how >>/tmp/out; done; done; "
             "/attack open r /dev/tty >>/tmp/out; echo END >>/tmp/out")
    armed.save()
    caller.run(*runtime.argv("run", "--bundle", armed.path, runtime.new_id()))
    text = wait_for(lambda: "END" in read(f"{armed.rootfs}/tmp/out") and read(f"{armed.rootfs}/tmp/out"))
    assert set(text.split("\n")[:6]) <= {"EPERM", "ENOTTY", "EIO"}, text
    assert "/dev/tty ENXIO" in text or "/dev/tty ENOENT" in text, text
    assert caller.typed() == 0

    script = armed.config["process"]["args"]
    os.unlink(f"{armed.rootfs}/tmp/out")
    armed.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.start_detached(armed)
    caller.run(*runtime.argv("exec", id, *script))
    text = wait_for(lambda: "END" in read(f"{armed.rootfs}/tmp/out") and read(f"{armed.rootfs}/tmp/out"))
    assert set(text.split("\n")[:6]) <= {"EPERM", "ENOTTY", "EIO"}, text
    assert caller.typed() == 0


TIOCSTI = 0x5412


@pytest.mark.parametrize("how", ["plain", "high", "linux"])
def test_cve_2019_10063_filter_on_32_bits(runtime, armed, work, how):
    """A filter of `ioctl` on the low 32 bits of the request holds for one with high bits set, in a terminal of the
    container's own (also CVE-2019-7303). Catalogue B41."""
    armed.config["process"]["terminal"] = True
    armed.sh(f"/attack tiocsti 0 {how} >/tmp/out; echo END >>/tmp/out")

    def answer():
        console = Console(f"{work}/console.sock")
        try:
            id = runtime.start_detached(armed, "--console-socket", console.path)
            runtime.wait_status(id, "stopped")
            return read(f"{armed.rootfs}/tmp/out").split()[0]
        finally:
            console.close()
            os.unlink(console.path)

    free = answer()
    assert free in ("PUSHED", "EIO", "ENOTTY", "EPERM") and (how == "linux" or free != "ENOTTY"), free
    armed.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
            {"index": 1, "value": 0xFFFFFFFF, "valueTwo": request, "op": "SCMP_CMP_MASKED_EQ"}]}
            for request in (TIOCSTI, 0x541C)]}
    assert answer() == "EPERM"


HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def test_cve_2025_23266_hook_environment(runtime, armed, helper, work):
    """A hook runs with the environment that the configuration gives it and nothing of the image's or the caller's, in a
    fixed directory, with descriptors 0 to 2 and the state on stdin. Catalogue A26.

    The directory of a createContainer hook is the image, as runc's is: all the more must no name in its environment be
    the image's (`LD_PRELOAD=./evil.so`)."""
    hook = f"{work}/hook"
    shutil.copy(helper, hook)
    shutil.copy(helper, f"{armed.rootfs}/hook")
    outs = {}
    armed.config["hooks"] = {}
    for kind in HOOKS:
        outs[kind] = f"{armed.rootfs}/tmp/{kind}" if kind == "startContainer" else f"{work}/{kind}"
        inside = f"/tmp/{kind}" if kind == "startContainer" else outs[kind]
        path = "/hook" if kind == "startContainer" else hook
        armed.config["hooks"][kind] = [{"path": path, "args": ["hook", "hook", inside], "env": [f"KIND={kind}"]}]
    directory = {"prestart": armed.path, "createRuntime": armed.path, "createContainer": armed.rootfs}
    armed.config["process"]["env"] += ["LD_PRELOAD=./evil.so", "IMAGE=hostile"]
    armed.sh("true").save()
    id = runtime.new_id()
    runtime.call("run", "--bundle", armed.path, id, env={**os.environ, "CALLER": "secret"}).ok()
    for kind, out in outs.items():
        text = read(out)
        assert f"env KIND={kind}" in text, f"{kind}: the detector sees the environment: {text!r}"
        environment = [line for line in text.splitlines() if line.startswith("env ")]
        assert environment == [f"env KIND={kind}"], f"{kind}: {environment}"
        assert f"cwd {os.path.realpath(directory.get(kind, '/'))}\n" in text, f"{kind}: {text}"
        fds = {line.split()[1] for line in text.splitlines() if line.startswith("fd ")}
        assert fds == {"0", "1", "2"}, f"{kind}: {fds}"
        assert id in text.partition("stdin ")[2], f"{kind}: no state on stdin: {text}"


def test_cve_2024_0132_hook_path_is_of_the_host(runtime, armed, work):
    """A hook's path names a file of the host, although the image has one of the same name (also CVE-2025-23359).
    Catalogue A26."""
    hook = f"{work}/hookdir/hook"
    for place, text in (("", "host"), (armed.rootfs, "image")):
        os.makedirs(os.path.dirname(f"{place}{hook}"))
        with open(f"{place}{hook}", "w") as f:
            f.write(f"#!/bin/sh\necho {text} >>{work}/which\n")
        os.chmod(f"{place}{hook}", 0o755)
    armed.config["hooks"] = {k: [{"path": hook}] for k in HOOKS if k != "startContainer"}
    attempt(runtime, armed.sh("true")).ok()
    assert read(f"{work}/which").split() == ["host"] * 5
    # Without the host's file there is no hook to run.
    os.unlink(hook)
    armed.config["hooks"] = {"createRuntime": [{"path": hook}]}
    refused(runtime, armed)
    assert read(f"{work}/which").split() == ["host"] * 5


def abstract_sockets():
    with open("/proc/net/unix") as f:
        return {line.split()[-1] for line in f if line.split()[-1].startswith("@")}


def test_cve_2020_15257_abstract_sockets(runtime, armed, work):
    """The runtime listens on no abstract socket, which any container with the host's network could reach.
    Catalogue A25."""
    before = abstract_sockets()
    name = f"nemoshell-attack-{os.getpid()}"
    armed.without_namespace("network")
    armed.config["mounts"] = [m for m in armed.config["mounts"] if m["destination"] != "/sys"]
    armed.config["linux"]["readonlyPaths"] = []
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"\0{name}")
        s.listen()
        assert abstract_sockets() - before == {f"@{name}"}, "the detector sees an abstract socket"
        armed.config["process"]["args"] = ["/attack", "abstract", name]
        assert attempt(runtime, armed).ok().out == "CONNECTED\n", "the detector reaches an abstract socket"
    armed.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.start_detached(armed)
    runtime.exec(id, "/bin/true").ok()
    new = {s for s in abstract_sockets() - before if "nemoshell" in s or id in s}
    assert not new, new
