"""Docker's flags for rights: capabilities, --privileged, seccomp, no-new-privileges; and userns-remap."""

import json
import os

import pytest

from .images import BUSYBOX

CAP_CHOWN, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 0, 12, 21, 24


def capabilities(docker, *flags, field="CapEff"):
    return int(docker.run(*flags, BUSYBOX, "grep", field, "/proc/self/status").ok().out.split()[1], 16)


#: The newest capability that Docker 20.10 names, CAP_AUDIT_READ: "all" means up to it.
DOCKER_NEWEST = 37


def own_capabilities(newest=63):
    """What an engine that names the capabilities up to `newest` can give: no more than this process has itself."""
    with open("/proc/self/status") as f:
        own = int(next(line for line in f if line.startswith("CapEff")).split()[1], 16)
    return own & ((2 << newest) - 1)


def test_default_capabilities(docker):
    names = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31]
    expected = sum(1 << n for n in names)
    for field in ("CapEff", "CapPrm", "CapBnd"):
        assert capabilities(docker, field=field) == expected, field
    assert capabilities(docker, field="CapAmb") == 0


def test_cap_add(docker):
    action = ["ip", "link", "set", "lo", "mtu", "1400"]
    docker.run(BUSYBOX, *action).failed("operation not permitted")
    docker.run("--cap-add", "NET_ADMIN", BUSYBOX, *action).ok()
    assert capabilities(docker, "--cap-add", "NET_ADMIN") >> CAP_NET_ADMIN & 1


def test_cap_drop(docker):
    action = ["chown", "1", "/etc/passwd"]
    docker.run(BUSYBOX, *action).ok()
    docker.run("--cap-drop", "CHOWN", BUSYBOX, *action).failed("operation not permitted")
    assert capabilities(docker, "--cap-drop", "ALL") == 0
    assert capabilities(docker, "--cap-drop", "ALL", field="CapBnd") == 0
    assert capabilities(docker, "--cap-drop", "ALL", "--cap-add", "CHOWN") == 1 << CAP_CHOWN


def test_cap_add_all_gives_what_this_machine_can_give(docker):
    assert capabilities(docker, "--cap-add", "ALL") == own_capabilities(DOCKER_NEWEST)


def test_privileged(docker):
    assert capabilities(docker, "--privileged") == own_capabilities(DOCKER_NEWEST)
    mount = "mkdir /m && mount -t tmpfs tmpfs /m && touch /m/f && ls /m"
    docker.run(BUSYBOX, "sh", "-c", mount).failed("permission denied")
    assert docker.run("--privileged", BUSYBOX, "sh", "-c", mount).ok().out == "f\n"
    r = docker.run("--privileged", BUSYBOX, "sh", "-c", "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status;"
                   "ls /dev/loop-control; exec 3<>/dev/loop-control; grep -c ' /sys sysfs rw' /proc/mounts").ok()
    assert r.out.split() == ["NoNewPrivs:", "0", "Seccomp:", "0", "/dev/loop-control", "1"]


def test_privileged_exec(docker):
    mount = ["sh", "-c", "mkdir -p /m && mount -t tmpfs tmpfs /m"]
    c = docker.detached("--privileged", BUSYBOX, "sleep", "100")
    docker("exec", c, *mount).ok()
    plain = docker.detached("--security-opt", "seccomp=unconfined", BUSYBOX, "sleep", "100")
    docker("exec", plain, *mount).failed("permission denied")
    docker("exec", "--privileged", plain, *mount).ok()
    docker("exec", plain, "umount", "/m").failed()


def test_privileged_exec_keeps_the_filter(docker):
    """It adds capabilities; the container's filter is no part of what Docker hands to `exec`, and holds."""
    c = docker.detached(BUSYBOX, "sleep", "100")
    status = docker("exec", "--privileged", c, "grep", "-E", "^(CapEff|Seccomp):", "/proc/self/status").ok().out.split()
    assert int(status[1], 16) == own_capabilities(DOCKER_NEWEST)
    assert status[2:] == ["Seccomp:", "2"]
    docker("exec", "--privileged", c, "mount", "-t", "tmpfs", "tmpfs", "/mnt").failed("permission denied")


def test_seccomp_default_profile(docker):
    status = docker.run(BUSYBOX, "grep", "-E", "^Seccomp:", "/proc/self/status").ok().out
    assert status.split() == ["Seccomp:", "2"]
    action = ["unshare", "-U", "true"]
    docker.run("--security-opt", "seccomp=unconfined", BUSYBOX, *action).ok()
    docker.run(BUSYBOX, *action).failed("operation not permitted")


def test_seccomp_unconfined(docker):
    r = docker.run("--security-opt", "seccomp=unconfined", BUSYBOX, "grep", "-E", "^Seccomp:", "/proc/self/status").ok()
    assert r.out.split() == ["Seccomp:", "0"]


def test_seccomp_profile_of_a_file(docker, work):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["no_such_call_anywhere"], "action": "SCMP_ACT_ERRNO"}]}
    with open(f"{work}/profile.json", "w") as f:
        json.dump(profile, f)
    docker.run(BUSYBOX, "mkdir", "/d").ok()
    c = docker.detached("--security-opt", f"seccomp={work}/profile.json", BUSYBOX, "sleep", "100")
    docker("exec", c, "mkdir", "/d").failed("function not implemented")
    docker("exec", c, "touch", "/f").ok()


def test_no_new_privileges(docker, debian_in_docker):
    field = ["grep", "NoNewPrivs", "/proc/self/status"]
    assert docker.run(BUSYBOX, *field).ok().out.split()[1] == "0"
    assert docker.run("--security-opt", "no-new-privileges", BUSYBOX, *field).ok().out.split()[1] == "1"
    setuid = ["sh", "-c", "cp /usr/bin/id /s; chmod 4755 /s; exec sleep 100"]
    for flags, raised in ([], True), (["--security-opt", "no-new-privileges"], False):
        c = docker.detached(*flags, debian_in_docker, *setuid)
        docker("exec", c, "sh", "-c", "until [ -u /s ]; do sleep 0.1; done").ok()
        out = docker("exec", "-u", "1000", c, "/s").ok().out
        assert ("euid=0" in out) is raised, out


def test_user_gets_no_capability_from_cap_add(docker):
    assert capabilities(docker, "--user", "1000", "--cap-add", "NET_ADMIN") == 0


def test_keyring_is_the_container_s_own(docker, debian_in_docker):
    script = ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
              "print(libc.syscall(250, 0, -3, 0))")
    flags = ["--security-opt", "seccomp=unconfined"]
    first = docker.run(*flags, debian_in_docker, "python3", "-c", script).ok().out
    second = docker.run(*flags, debian_in_docker, "python3", "-c", script).ok().out
    assert first != second and int(first) > 0


@pytest.fixture(scope="module")
def remapped(engines):
    """A second dockerd, with --userns-remap: root inside is 100000 outside."""
    from . import images
    from .docker import Docker

    enclosure = engines.enclosure("remap")
    for file, line in (("/etc/subuid", "nobody:100000:65536"), ("/etc/subgid", "nobody:100000:65536")):
        enclosure.call("sh", "-c", f"echo {line} > {file}").ok()
    engine = Docker(enclosure, "remap", **{"userns-remap": "nobody:nogroup"})
    engines.on_stop(engine.close)
    engine("load", "--input", engines.archive(images.busybox)).ok()
    return engine


def test_userns_remap(remapped):
    c = remapped.detached(BUSYBOX, "sh", "-c", "touch /f; cat /proc/self/uid_map; id -u; stat -c %u /f; exec sleep 234")
    remapped.wait_for_log(c, "\n0\n0\n")
    assert remapped("logs", c).ok().out.split()[:3] == ["0", "100000", "65536"]
    pid = remapped.pid(c)
    status = remapped.enclosure.call("grep", "Uid", f"/proc/{pid}/status").ok().out
    assert status.split()[1:] == ["100000"] * 4
    remapped("exec", c, "sh", "-c", "[ $(id -u) = 0 ] && touch /g").ok()
    host = remapped.enclosure.call("readlink", "/proc/self/ns/user").ok().out
    assert remapped("exec", c, "readlink", "/proc/self/ns/user").ok().out != host


def test_userns_remap_with_a_volume_and_a_device(remapped):
    os.makedirs(f"{remapped.directory}/shared")
    os.chown(f"{remapped.directory}/shared", 100000, 100000)
    r = remapped.run("-v", f"{remapped.directory}/shared:/v", "--device", "/dev/loop-control", BUSYBOX, "sh", "-c",
                     "echo x > /v/f && head -c1 /dev/zero > /dev/null && stat -c %t:%T /dev/loop-control").ok()
    assert r.out == "a:ed\n"
    assert os.stat(f"{remapped.directory}/shared/f").st_uid == 100000


def test_userns_remap_user_limits_and_terminal(remapped, terminal):
    r = remapped.run("--user", "1000:1000", "--memory", "48m", BUSYBOX, "id", "-u").ok()
    assert r.out == "1000\n"
    t = terminal(remapped.argv("run", "--rm", "-it", BUSYBOX, "tty"), remapped.environment)
    t.expect("/dev/pts/0")
    assert t.exit_code() == 0


def test_userns_host_switches_the_remap_off(remapped):
    r = remapped.run("--userns", "host", BUSYBOX, "cat", "/proc/self/uid_map").ok()
    assert r.out.split() == ["0", "0", "4294967295"]
