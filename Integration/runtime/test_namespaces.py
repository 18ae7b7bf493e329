"""Namespaces: new ones, joined ones, the host's; time offsets; host name and domain name (config-linux.md)."""

import os
import subprocess

import pytest

from inside import look, namespace_of, sleeper

pytestmark = pytest.mark.usefixtures("host_settings")

#: kind in config.json -> name below /proc/PID/ns
KINDS = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup", "time": "time"}


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "mount"])
def test_new_or_the_hosts(runtime, bundle, kind):
    bundle.without_namespace(kind)
    if kind == "uts":
        del bundle.config["hostname"]
    script = f"readlink /proc/self/ns/{KINDS[kind]}"
    if kind == "network":  # sysfs of a network namespace cannot be mounted from another one
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["type"] != "sysfs"
                                   and not m["destination"].startswith("/sys")]
    assert look(runtime, bundle, script) == namespace_of(KINDS[kind])
    bundle.namespace(kind)
    assert look(runtime, bundle, script) != namespace_of(KINDS[kind])


def test_mount_namespace_is_always_new(runtime, bundle):
    assert look(runtime, bundle, "readlink /proc/self/ns/mnt") != namespace_of("mnt")


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts"])
def test_joined(runtime, bundle, kind):
    """As pods share them: the second container names the first one's."""
    first = sleeper(runtime, bundle)
    pid = runtime.state(first)["pid"]
    bundle.namespace(kind, f"/proc/{pid}/ns/{KINDS[kind]}")
    if kind == "uts":
        bundle.config["hostname"] = ""
    assert look(runtime, bundle, f"readlink /proc/self/ns/{KINDS[kind]}") == namespace_of(KINDS[kind], pid)


def test_joined_by_a_bound_file(runtime, bundle, work):
    """Engines keep network namespaces as bind mounts."""
    path = f"{work}/netns"
    open(path, "w").close()
    subprocess.run(["unshare", f"--net={path}", "true"], check=True)
    try:
        bundle.namespace("network", path)
        subprocess.run(["nsenter", f"--net={path}", "ip", "link", "set", "lo", "up"], check=True)
        assert "127.0.0.1" in look(runtime, bundle, "ip addr show lo")
    finally:
        subprocess.run(["umount", path], check=True)


def test_joined_pid_namespace(runtime, bundle):
    """The process is not PID 1 there, sees the others, and its end is noticed."""
    first = sleeper(runtime, bundle, seconds=111)
    bundle.namespace("pid", f"/proc/{runtime.state(first)['pid']}/ns/pid")
    r = runtime.run(bundle.sh("ps; echo $$; exit 6"))
    assert r.code == 6 and "sleep 111" in r.out and int(r.out.split()[-1]) > 1


def test_loopback(runtime, bundle):
    """A new network namespace has a loopback device that works."""
    out = look(runtime, bundle, "ip link show lo; ip addr show lo; ls /sys/class/net")
    assert "127.0.0.1/8" in out and "UP" in out and out.split()[-1] == "lo"


def test_exec_joins_what_the_first_process_joined(runtime, bundle):
    first = sleeper(runtime, bundle)
    pid = runtime.state(first)["pid"]
    bundle.namespace("network", f"/proc/{pid}/ns/net")
    second = sleeper(runtime, bundle)
    assert runtime.exec(second, "readlink", "/proc/self/ns/net").ok().out.strip() == namespace_of("net", pid)


def test_exec_in_a_container_without_a_pid_namespace(runtime, bundle):
    bundle.without_namespace("pid")
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "readlink", "/proc/self/ns/pid").ok().out.strip() == namespace_of("pid")


def test_cgroup_namespace_shows_the_containers_root(runtime, bundle):
    bundle.namespace("cgroup")
    out = look(runtime, bundle, "cat /proc/self/cgroup")
    assert {line.split(":", 2)[2] for line in out.splitlines() if ":pids:" in line or ":memory:" in line} == {"/"}


# -- refused

@pytest.mark.parametrize("kind", list(KINDS))
def test_twice_is_refused(runtime, bundle, kind):
    bundle.config["linux"]["namespaces"] += [{"type": kind}, {"type": kind}]
    runtime.create(bundle).failed("/linux/namespaces", kind, code=1)


def test_unknown_kind(runtime, bundle):
    bundle.config["linux"]["namespaces"].append({"type": "nosuch"})
    runtime.create(bundle).failed("/linux/namespaces", "nosuch", code=1)


@pytest.mark.parametrize("path, says", [("/no/such/ns", "no such file or directory"), ("/proc/self/ns/net", "pid"),
                                        ("/etc/passwd", ""), ("relative", "")])
def test_bad_paths(runtime, bundle, path, says):
    """A path that is missing, of another kind, no namespace at all, or relative."""
    bundle.namespace("pid", path)
    runtime.create(bundle).failed(says, code=1)


# -- names

def test_hostname(runtime, bundle):
    assert look(runtime, bundle, "hostname") == "box"
    assert os.uname().nodename != "box"


def test_domainname(runtime, bundle):
    bundle.config["domainname"] = "example.org"
    assert look(runtime, bundle, "cat /proc/sys/kernel/domainname") == "example.org"
    with open("/proc/sys/kernel/domainname") as f:
        assert f.read().strip() != "example.org"


@pytest.mark.parametrize("field", ["hostname", "domainname"])
def test_names_need_a_uts_namespace_of_their_own(runtime, bundle, field):
    bundle.without_namespace("uts")
    bundle.config.pop("hostname", None)
    bundle.config[field] = "wouldrename"
    runtime.create(bundle).failed(f"/{field}", "uts", code=1)


def test_longest_hostname(runtime, bundle):
    bundle.config["hostname"] = "h" * 64
    assert look(runtime, bundle, "hostname") == "h" * 64
    bundle.config["hostname"] = "h" * 65
    runtime.create(bundle).failed("hostname", code=1)


# -- time

def test_time_offsets(runtime, bundle):
    bundle.namespace("time")
    clocks = lambda text: {k: int(v) for k, v in (p.split("=") for p in text.split())}  # noqa: E731
    plain = clocks(look(runtime, bundle, "probe clocks"))
    bundle.config["linux"]["timeOffsets"] = {"monotonic": {"secs": 86400, "nanosecs": 5}, "boottime": {"secs": 1000000}}
    moved = clocks(look(runtime, bundle, "probe clocks"))
    assert 86390 < moved["monotonic"] - plain["monotonic"] < 86450
    assert 999990 < moved["boottime"] - plain["boottime"] < 1000050


def test_time_offsets_hold_in_exec(runtime, bundle):
    bundle.namespace("time")
    bundle.config["linux"]["timeOffsets"] = {"boottime": {"secs": 10000000}}
    id = sleeper(runtime, bundle)
    assert float(runtime.exec(id, "cat", "/proc/uptime").ok().out.split()[0]) > 10000000


def test_time_offsets_back(runtime, bundle):
    bundle.namespace("time")
    bundle.config["linux"]["timeOffsets"] = {"boottime": {"secs": -100}}
    with open("/proc/uptime") as f:
        host = float(f.read().split()[0])
    assert float(look(runtime, bundle, "cat /proc/uptime").split()[0]) < host - 90


@pytest.mark.parametrize("offsets", [{"realtime": {"secs": 1}}, {"boottime": {"secs": "1"}},
                                     {"boottime": {"secs": -10 ** 12}}, {"boottime": {"nanosecs": 10 ** 9}}])
def test_bad_time_offsets(runtime, bundle, offsets):
    bundle.namespace("time")
    bundle.config["linux"]["timeOffsets"] = offsets
    runtime.create(bundle).failed("timeOffsets", code=1)


def test_time_offsets_need_a_time_namespace_of_their_own(runtime, bundle):
    bundle.config["linux"]["timeOffsets"] = {"boottime": {"secs": 1}}
    runtime.create(bundle).failed("/linux/timeOffsets", "time", code=1)
