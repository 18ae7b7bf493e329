"""What a container must not get by default: the caller's environment and keys, capabilities, devices, system calls."""

import os
import socket
import subprocess

import pytest
from lab import attempt, capabilities, read, wait_for


@pytest.fixture
def sleeping(runtime, armed):
    """A function that starts the armed bundle with a sleeping first process; returns the id."""
    def start(**kw):
        armed.config["process"]["args"] = ["/bin/sleep", "100"]
        return runtime.start_detached(armed, **kw)

    return start


def test_environment_of_the_caller(runtime, bundle):
    """No variable of the caller is in the environment of the first process or of one that joins. Catalogue B28."""
    env = {**os.environ, "CALLER_SECRET": "hunter2"}
    bundle.config["process"]["env"].append("WANTED=yes")
    bundle.sh("env; tr '\\0' '\\n' </proc/1/environ >/tmp/environ; exec /bin/sleep 100")
    r = runtime.create(bundle, env=env).ok()
    runtime.call("start", r.id, env=env).ok()
    out = f"{bundle.rootfs}/tmp/environ"
    first = wait_for(lambda: "WANTED=yes" in read(out) and read(out))
    assert "CALLER_SECRET" not in first
    joined = runtime.call("exec", "--env", "WANTED=too", r.id, "/bin/env", env=env).ok().out
    assert "WANTED=too" in joined, "the detector sees a variable"
    assert "CALLER_SECRET" not in joined and "CALLER_SECRET" not in runtime.exec(
        r.id, "/bin/cat", "/proc/self/environ", env=env).ok().out
    assert "CALLER_SECRET" not in runtime.exec(r.id, "/bin/cat", "/proc/1/environ").ok().out


def test_keys_of_the_caller(runtime, armed, helper, sleeping):
    """A key in the caller's session keyring is not found in the container, by `run` or by `exec`, unless the caller
    says `--no-new-keyring`. Catalogue B29, B30."""
    name = f"nemoshell-attack-{os.getpid()}"

    def with_key(*argv):
        return subprocess.run([helper, "key-run", name, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, timeout=30).stdout.strip()

    assert with_key(helper, "key-find", name) == "FOUND", "the detector finds a key"
    armed.config["process"]["args"] = ["/attack", "key-find", name]
    armed.save()
    assert with_key(*runtime.argv("run", "--no-new-keyring", "--bundle", armed.path, runtime.new_id())) == "FOUND"
    assert with_key(*runtime.argv("run", "--bundle", armed.path, runtime.new_id())) == "ENOKEY"
    id = sleeping()
    assert with_key(*runtime.argv("exec", id, "/attack", "key-find", name)) == "ENOKEY"


def ids(text):
    return dict(line.replace(":", "").split(None, 1) for line in text.splitlines() if len(line.split()) > 1)


def mask(*bits):
    return f"{sum(1 << b for b in bits):016x}"


CHOWN, KILL, SETUID, NET_RAW, SYS_TIME = 0, 5, 7, 13, 25


def test_capability_sets(runtime, armed, sleeping):
    """Every set is exactly what was asked for, in `run`, `exec` and `exec --cap`. Catalogue B31."""
    armed.config["process"]["capabilities"] = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN"]}
    armed.config["process"]["args"] = ["/attack", "ids"]
    got = ids(attempt(runtime, armed).ok().out)
    # execve of root raises permitted and effective to what inheritable and bounding allow (capabilities(7)).
    bounding = mask(CHOWN, KILL, NET_RAW)
    assert got["CapBnd"] == bounding
    assert got["CapInh"] == got["CapAmb"] == mask()
    assert int(got["CapPrm"], 16) & ~int(bounding, 16) == 0
    id = sleeping()
    joined = ids(runtime.exec(id, "/attack", "ids").ok().out)
    assert {k: v for k, v in joined.items() if k.startswith("Cap")} == {
        k: v for k, v in got.items() if k.startswith("Cap")}
    wider = ids(runtime.call("exec", "--cap", "CAP_SYS_TIME", id, "/attack", "ids").ok().out)
    assert wider["CapBnd"] == mask(CHOWN, KILL, NET_RAW, SYS_TIME) and wider["CapInh"] == wider["CapAmb"] == mask()


def test_no_capabilities_for_a_user(runtime, armed, sleeping):
    """A user other than root has no capability; a set-user-ID program gives none under no_new_privs, which
    `exec` keeps. Catalogue B32."""
    suid = f"{armed.rootfs}/suid"
    subprocess.run(["install", "-m", "4755", f"{armed.rootfs}/attack", suid], check=True)
    armed.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    armed.config["process"]["noNewPrivileges"] = False
    armed.config["process"]["args"] = ["/suid", "ids"]
    got = ids(attempt(runtime, armed).ok().out)
    assert got["uid"].split()[1] == "0", "the detector: without no_new_privs the program runs as root"
    armed.config["process"]["noNewPrivileges"] = True
    got = ids(attempt(runtime, armed).ok().out)
    assert got["uid"] == "1000 1000 1000" and got["CapEff"] == got["CapPrm"] == mask() and got["NoNewPrivs"] == "1"
    id = sleeping()
    got = ids(runtime.exec(id, "/suid", "ids").ok().out)
    assert got["uid"] == "1000 1000 1000" and got["CapEff"] == mask() and got["NoNewPrivs"] == "1"
    got = ids(runtime.call("exec", "--user", "0", id, "/attack", "ids").ok().out)
    assert got["NoNewPrivs"] == "1"


@pytest.mark.parametrize("name", ["CAP_NOT_A_CAPABILITY", "ALL", "cap_all", "CAP_", "", "CAP_63",
                                  "CAP_CHOWN CAP_SYS_ADMIN"])
def test_unknown_capability_never_widens(runtime, armed, name):
    """A name that is no capability is refused or ignored, and gives nothing. Catalogue B33."""
    armed.config["process"]["args"] = ["/attack", "ids"]
    known = ids(attempt(runtime, armed).ok().out)
    assert known["CapEff"] != mask(), "the detector sees capabilities"
    capabilities(armed, name)
    r = attempt(runtime, armed)
    if r.code == 0:
        assert {k: v for k, v in ids(r.out).items() if k.startswith("Cap")} == {
            k: v for k, v in known.items() if k.startswith("Cap")}


BLOCKED = ["mount", "umount2", "pivot_root", "setns", "unshare", "bpf", "perf_event_open", "add_key", "keyctl",
           "request_key", "userfaultfd", "io_uring_setup", "open_by_handle_at", "init_module", "process_vm_readv"]
#: An errno that none of the calls gives of itself.
UNMISTAKABLE, UNMISTAKABLE_NAME = 99, "EADDRNOTAVAIL"


def answers(result):
    return dict(line.split() for line in result.ok().out.splitlines())


def profile(names, action="SCMP_ACT_ERRNO", default="SCMP_ACT_ALLOW", **kw):
    rule = {"names": names, "action": action}
    if action == "SCMP_ACT_ERRNO":
        rule["errnoRet"] = UNMISTAKABLE
    return {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [rule], **kw}


def test_filtered_calls(runtime, armed, sleeping):
    """Fifteen system calls that a profile forbids fail in the first process and in one that joins. Catalogue B34."""
    armed.config["process"]["args"] = ["/attack", "calls", *BLOCKED]
    free = answers(attempt(runtime, armed))
    assert len(free) == 15 and UNMISTAKABLE_NAME not in free.values(), "the detector: unfiltered they answer otherwise"
    armed.config["linux"]["seccomp"] = profile(BLOCKED)
    assert answers(attempt(runtime, armed)) == {name: UNMISTAKABLE_NAME for name in BLOCKED}
    id = sleeping()
    assert answers(runtime.exec(id, "/attack", "calls", *BLOCKED)) == {name: UNMISTAKABLE_NAME for name in BLOCKED}


@pytest.mark.parametrize("abi", ["int80", "x32"])
def test_other_system_call_tables(runtime, armed, abi, sleeping):
    """A profile for x86-64 leaves no other table open. Catalogue B35."""
    armed.config["process"]["args"] = ["/attack", "foreign-abi", abi]
    free = attempt(runtime, armed).ok().out
    assert free in ("ANSWERED pid\n", "REFUSED ENOSYS\n")
    if abi == "int80":
        assert free == "ANSWERED pid\n", "the detector: unfiltered the other table answers"
    armed.config["linux"]["seccomp"] = profile(["mkdir"])
    r = attempt(runtime, armed)
    assert "ANSWERED" not in r.out, r
    id = sleeping()
    assert "ANSWERED" not in runtime.exec(id, "/attack", "foreign-abi", abi).out


def test_unknown_call_keeps_its_rule(runtime, armed):
    """A name that the library does not know takes nothing away from the names beside it. Catalogue B36."""
    armed.config["process"]["args"] = ["/attack", "calls", "mkdir", "bpf"]
    armed.config["linux"]["seccomp"] = profile(["not_a_system_call", "mkdir", "nor_this", "bpf"])
    assert answers(attempt(runtime, armed)) == {"mkdir": UNMISTAKABLE_NAME, "bpf": UNMISTAKABLE_NAME}


@pytest.mark.parametrize("bad", [
    profile(["mkdir"], action="SCMP_ACT_NOT_AN_ACTION"), profile(["mkdir"], default="SCMP_ACT_NOT_AN_ACTION"),
    profile(["mkdir"], action=""), profile(["mkdir"], action="SCMP_ACT_NOTIFY"),
    profile(["mkdir"], action="SCMP_ACT_NOTIFY", listenerPath="/nonexistent/socket"),
    {**profile(["mkdir"]), "architectures": ["SCMP_ARCH_NOT_ONE"]},
    {**profile(["mkdir"]), "flags": ["SECCOMP_FILTER_FLAG_NOT_ONE"]},
    {**profile([]), "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [
        {"index": 0, "value": 1, "op": "SCMP_CMP_NOT_ONE"}]}]},
    {**profile([]), "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [
        {"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]},
], ids=["action", "default action", "empty action", "no listener", "dead listener", "architecture", "flag", "operator",
        "argument index"])
def test_bad_profile_is_refused(runtime, bundle, bad):
    """A profile that cannot be carried out in full starts nothing. Catalogue B36."""
    bundle.sh("echo RAN")
    bundle.config["linux"]["seccomp"] = profile(["mkdir"])
    assert "RAN" in attempt(runtime, bundle).ok().out
    bundle.config["linux"]["seccomp"] = bad
    assert "RAN" not in attempt(runtime, bundle).failed().out


FORBIDDEN = {"mem": ("c", 1, 1), "port": ("c", 1, 4), "kmsg": ("c", 1, 11), "fuse": ("c", 10, 229),
             "loop-control": ("c", 10, 237), "rtc": ("c", 10, 135)}


def disk():
    """The block device of the host's root, or None."""
    s = os.stat("/")
    return ("b", os.major(s.st_dev), os.minor(s.st_dev)) if os.major(s.st_dev) else None


def test_devices(runtime, armed):
    """With CAP_MKNOD the nodes can be made, and none of them opened; the usual ones work; `/dev` holds nothing else.
    Catalogue B38."""
    nodes = dict(FORBIDDEN)
    if disk():
        nodes["disk"] = disk()
    make = "; ".join(f"mknod -m 666 /dev/{n} {t} {a} {b}" for n, (t, a, b) in nodes.items())
    names = " ".join(f"/dev/{n}" for n in nodes)
    usual = "/dev/null /dev/zero /dev/full /dev/random /dev/urandom"
    capabilities(armed, "CAP_SYS_RAWIO")
    armed.sh(f"ls /dev; echo --; {make}; /attack open r {names}; /attack open w {names}; /attack open r {usual}; "
             f"/attack open w {usual}")
    listing, _, opened = attempt(runtime, armed).ok().out.partition("--\n")
    assert set(listing.split()) <= {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm",
                                    "mqueue", "fd", "stdin", "stdout", "stderr", "core"}, listing
    results = [line.split() for line in opened.splitlines()]
    assert len(results) == 2 * len(nodes) + 10
    for path, error in results:
        assert error == ("0" if path in usual.split() else "EPERM"), f"{path}: {error}"
    # The detector: with a rule for it, the kernel's log can be opened.
    armed.config["linux"]["resources"]["devices"].append(
        {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rwm"})
    opened = attempt(runtime, armed).ok().out.partition("--\n")[2]
    assert "/dev/kmsg 0" in opened or "/dev/kmsg EAGAIN" in opened, opened


def test_masked_and_read_only_paths(runtime, armed):
    """Masked paths hide, read-only ones refuse to be written, by every name, and cannot be remounted. Catalogue B39."""
    for name in ("masked", "readonly"):
        os.makedirs(f"{armed.rootfs}/{name}/deep")
        with open(f"{armed.rootfs}/{name}/deep/file", "w") as f:
            f.write("SECRET")
    with open(f"{armed.rootfs}/maskedfile", "w") as f:
        f.write("SECRET")
    tries = """for p in '' /proc/self/root /proc/1/root /proc/thread-self/root /proc/self/cwd; do
cat $p/masked/deep/file $p/maskedfile 2>/dev/null
(echo x >$p/readonly/deep/new) 2>/dev/null && echo WROTE
(echo x >$p/proc/sys/kernel/hostname) 2>/dev/null && echo WROTE
done
/attack open w /readonly/deep/file /proc/sys/kernel/hostname /proc/self/root/readonly/deep/file
"""
    mounts = """mount -o remount,rw /readonly 2>/dev/null; mount -o remount,rw,bind /proc/sys 2>/dev/null
umount /masked 2>/dev/null; umount -l /maskedfile 2>/dev/null; mount --bind /masked /mnt 2>/dev/null
mount -t proc proc /mnt 2>/dev/null && echo MOUNTED
"""
    linux = armed.config["linux"]
    masked, readonly = linux["maskedPaths"], linux["readonlyPaths"]
    armed.sh(tries)
    linux["maskedPaths"], linux["readonlyPaths"] = [], []
    out = attempt(runtime, armed).ok().out
    assert "SECRET" in out and "WROTE" in out, "the detector: without masks all is open"
    linux["maskedPaths"] = masked + ["/masked", "/maskedfile", "/proc/not-there"]
    linux["readonlyPaths"] = readonly + ["/readonly", "/not-there"]
    for script in (tries, mounts + tries):
        out = attempt(runtime, armed.sh(script)).ok().out
        assert "SECRET" not in out and "WROTE" not in out and "MOUNTED" not in out, out
        assert [line.split()[1] for line in out.splitlines()] == ["EROFS"] * 3, out


def test_read_only_root(runtime, armed):
    """A read-only root refuses to be written by every name, and to be remounted. Catalogue B39."""
    armed.sh("/attack open w /etc/passwd /proc/self/root/etc/passwd /proc/1/root/etc/group; "
             "mount -o remount,rw / 2>/dev/null; (echo x >/new) 2>/dev/null && echo WROTE; "
             "(echo x >/dev/shm/new) && echo SCRATCH")
    open_root = attempt(runtime, armed).ok().out
    assert "WROTE" in open_root, "the detector writes to an open root"
    armed.config["root"]["readonly"] = True
    out = attempt(runtime, armed).ok().out.splitlines()
    assert [line.split()[1] for line in out[:3]] == ["EROFS"] * 3 and out[3:] == ["SCRATCH"], out


def test_network_of_the_host(runtime, armed):
    """A network namespace has a loopback device and nothing else; no listener of the host can be reached, not even an
    abstract socket. Catalogue B42."""
    name = f"nemoshell-attack-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        abstract.listen()
        port = server.getsockname()[1]
        armed.sh(f"/attack abstract {name}; /attack tcp {port}; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1 && echo ICMP; "
                 "echo $(tail -n +3 /proc/net/dev | cut -d: -f1); ip route | wc -l")
        armed.config["mounts"] = [m for m in armed.config["mounts"] if m["destination"] != "/sys"]
        isolated = list(armed.config["linux"]["namespaces"])
        armed.without_namespace("network")
        out = attempt(runtime, armed).ok().out
        assert out.splitlines()[:3] == ["CONNECTED", "CONNECTED", "ICMP"], f"the detector reaches the host: {out}"
        armed.config["linux"]["namespaces"] = isolated
        armed.mount("/sys", "sysfs", "sysfs", ["ro"])
        out = attempt(runtime, armed).ok().out
        # The loopback device of a new namespace is down.
        assert out.splitlines()[0] == "ECONNREFUSED" and out.splitlines()[1] in ("ENETUNREACH", "ECONNREFUSED"), out
        assert out.splitlines()[-2:] == ["lo", "0"], out


def host_value(name):
    return read("/proc/sys/" + name.replace(".", "/")).strip()


SYSCTLS = ["kernel.core_pattern", "kernel.modprobe", "kernel.panic", "vm.overcommit_memory", "fs.file-max",
           "kernel.sysrq", "fs.protected_symlinks", "net/../kernel/panic", "net.../../kernel.panic",
           "net/ipv4/../../kernel/panic", "../kernel/panic", "/kernel/panic", "net.", "",
           "fs.mqueue/../../kernel/panic"]


@pytest.mark.parametrize("name", SYSCTLS)
def test_host_wide_sysctl(runtime, bundle, name):
    """A sysctl of the whole host, or a name that leaves its tree, is refused. Catalogue B43."""
    bundle.sh("echo RAN")
    bundle.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    assert "RAN" in attempt(runtime, bundle).ok().out, "the detector: one of the container's own is carried out"
    plain = name if name and "/" not in name and not name.endswith(".") else "kernel.panic"
    # The value that is there already, so that even a success would change nothing.
    value = host_value(plain)
    bundle.config["linux"]["sysctl"] = {name: value}
    assert "RAN" not in attempt(runtime, bundle).failed().out
    assert host_value(plain) == value


@pytest.mark.parametrize("kind,name", [("network", "net.ipv4.ip_forward"), ("ipc", "kernel.msgmax"),
                                       ("ipc", "fs.mqueue.msg_max"), ("uts", "kernel.domainname")])
def test_sysctl_without_its_namespace(runtime, bundle, kind, name):
    """A sysctl of a namespace that the container shares with the host is one of the host. Catalogue B43."""
    bundle.without_namespace(kind)
    if kind == "uts":
        del bundle.config["hostname"]
    if kind == "ipc":
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/dev/mqueue"]
    if kind == "network":
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/sys"]
    attempt(runtime, bundle.sh("true")).ok()
    bundle.sh("echo RAN")
    bundle.config["linux"]["sysctl"] = {name: host_value(name)}
    assert "RAN" not in attempt(runtime, bundle).failed().out


def test_core_dumps(runtime, armed, sleeping, work):
    """A core limit of 0 holds in the first process and in one that joins, and a user of the container reads nothing of
    the runtime that waits for it. Catalogue B47."""
    armed.sh("ulimit -c")
    armed.config["process"]["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 4096, "hard": 4096}]
    assert attempt(runtime, armed).ok().out.strip() not in ("0", "unlimited"), "the detector sees the limit"
    armed.config["process"]["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    assert attempt(runtime, armed).ok().out.strip() == "0"
    id = sleeping()
    assert runtime.exec(id, "/bin/sh", "-c", "ulimit -c").ok().out.strip() == "0"

    # The waiting runtime, seen from a container that shares the host's processes.
    armed.without_namespace("pid")
    armed.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    armed.sh("/attack open r /proc/$PPID/environ /proc/$PPID/mem /proc/$PPID/maps /proc/self/environ")
    got = dict(line.rsplit(" ", 1) for line in attempt(runtime, armed).ok().out.splitlines())
    assert got.pop("/proc/self/environ") == "0", "the detector reads its own"
    assert len(got) == 3 and set(got.values()) <= {"EACCES", "EPERM"}, got
