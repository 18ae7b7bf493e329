"""User namespaces: mappings, ownership, joined ones, mounts and devices in them (config-linux.md "User namespace mappings")."""

import os
import subprocess

import pytest

from inside import field, look, namespace_of, process_status, sleeper

BASE, SIZE = 100000, 65536


@pytest.fixture
def mapped(bundle):
    """The bundle in a user namespace whose root is the host's 100000, the root file system owned accordingly."""
    bundle.namespace("user")
    mapping = [{"containerID": 0, "hostID": BASE, "size": SIZE}]
    bundle.config["linux"].update(uidMappings=mapping, gidMappings=[dict(m) for m in mapping])
    own(bundle.path, bundle.rootfs)
    return bundle


def own(path, rootfs):
    parent = path
    while parent != "/":
        os.chmod(parent, os.stat(parent).st_mode | 0o011) if parent.startswith("/tmp/nemoshell") else None
        parent = os.path.dirname(parent)
    for directory, names, files in os.walk(rootfs):
        os.lchown(directory, BASE, BASE)
        for name in names + files:
            os.lchown(f"{directory}/{name}", BASE, BASE)


def test_root_in_it_is_nobody_special_outside(runtime, mapped):
    id = sleeper(runtime, mapped)
    pid = runtime.state(id)["pid"]
    assert process_status(pid, "Uid").split() == [str(BASE)] * 4
    assert process_status(pid, "Gid").split() == [str(BASE)] * 4
    assert runtime.exec(id, "id", "-u").ok().out.strip() == "0"
    with open(f"/proc/{pid}/uid_map") as f:
        assert f.read().split() == ["0", str(BASE), str(SIZE)]


def test_files_it_makes_are_the_mapped_users(runtime, mapped):
    runtime.run(mapped.sh("touch /made; chown 5:6 /made")).ok()
    s = os.stat(f"{mapped.rootfs}/made")
    assert (s.st_uid, s.st_gid) == (BASE + 5, BASE + 6)


def test_several_mappings(runtime, mapped):
    mapped.config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": BASE, "size": 10},
                                             {"containerID": 1000, "hostID": BASE + 10, "size": 1}]
    out = look(runtime, mapped, "cat /proc/self/uid_map")
    assert [line.split() for line in out.splitlines()] == [["0", str(BASE), "10"], ["1000", str(BASE + 10), "1"]]


def test_user_that_is_mapped(runtime, mapped):
    mapped.config["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [20, 30]}
    assert look(runtime, mapped, "id -u; id -g; id -G").split("\n") == ["1000", "1001", "1001 20 30"]


@pytest.mark.parametrize("user", [{"uid": SIZE, "gid": 0}, {"uid": 0, "gid": SIZE},
                                  {"uid": 0, "gid": 0, "additionalGids": [SIZE]}])
def test_user_that_is_not_mapped(runtime, mapped, user):
    mapped.config["process"]["user"] = user
    runtime.run(mapped).failed(code=1)


def test_all_mounts_work(runtime, mapped):
    out = look(runtime, mapped, "cat /proc/self/mountinfo | cut -d' ' -f5; ls -l /dev/null; echo x > /dev/null && echo wrote")
    points = out.split()
    for point in ("/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"):
        assert point in points
    assert "wrote" in points


def test_devices_are_there_without_mknod(runtime, mapped):
    out = look(runtime, mapped, "for d in null zero full random urandom tty; do test -c /dev/$d && echo $d; done;"
                                " head -c 4 /dev/zero | wc -c")
    assert out.split() == ["null", "zero", "full", "random", "urandom", "tty", "4"]


def test_configured_device(runtime, mapped):
    """It has the configured owner and mode, and the host needs no node of that path."""
    mapped.config["linux"]["devices"] = [
        {"path": "/dev/sub/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 10, "gid": 11},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o600}]
    mapped.config["linux"]["resources"]["devices"] += [
        {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"}]
    out = look(runtime, mapped, "stat -c %u:%g:%a:%t:%T /dev/sub/mine; head -c 4 /dev/sub/mine | wc -c; test -p /dev/pipe")
    assert out.split() == ["10:11:640:1:5", "4"]


def test_configured_device_of_an_unmapped_user(runtime, mapped):
    mapped.config["linux"]["devices"] = [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "uid": SIZE}]
    runtime.run(mapped).failed("/linux/devices/0/uid", code=1)


def test_binds_of_what_the_user_may_not_reach(runtime, mapped, work):
    """The source lies below a directory that only the host's root may enter."""
    os.makedirs(f"{work}/private/shared")
    with open(f"{work}/private/shared/file", "w") as f:
        f.write("reached\n")
    os.chmod(f"{work}/private/shared/file", 0o644)
    os.chmod(f"{work}/private", 0o700)
    mapped.mount("/data", f"{work}/private/shared", options=["bind", "ro"])
    assert look(runtime, mapped, "cat /data/file") == "reached"


def test_sysctl_of_its_namespaces(runtime, mapped):
    mapped.config["linux"]["sysctl"] = {"kernel.shm_rmid_forced": "1", "net.ipv4.ip_unprivileged_port_start": "80"}
    assert look(runtime, mapped, "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start") == "1\n80"


def test_masked_and_read_only_paths(runtime, mapped):
    assert look(runtime, mapped, "cat /proc/kcore 2>/dev/null | wc -c; echo 1 2>/dev/null > /proc/sys/kernel/shm_rmid_forced || echo refused") \
        == "0\nrefused"


def test_own_root_cannot_reach_the_host(runtime, mapped, work):
    """Capabilities count inside only."""
    out = look(runtime, mapped, "cat /proc/self/status; cat /host-only 2>&1; mount -t tmpfs x /mnt 2>&1 || echo refused")
    assert field(out, "CapEff") != "0" * 16 and "refused" in out


def test_setgroups_is_allowed(runtime, mapped):
    assert look(runtime, mapped, "cat /proc/self/setgroups") == "allow"


def test_exec(runtime, mapped):
    id = sleeper(runtime, mapped)
    out = runtime.call("exec", "--user", "7:8", id, "sh", "-c", "id -u; id -g; readlink /proc/self/ns/user").ok().out.split()
    assert out == ["7", "8", namespace_of("user", runtime.state(id)["pid"])]
    runtime.call("exec", "--user", str(SIZE), id, "id").failed(code=255)


def test_joined_user_namespace(runtime, mapped):
    first = sleeper(runtime, mapped)
    pid = runtime.state(first)["pid"]
    mapped.namespace("user", f"/proc/{pid}/ns/user")
    for k in ("uidMappings", "gidMappings"):
        del mapped.config["linux"][k]
    assert look(runtime, mapped, "readlink /proc/self/ns/user; id -u").split() == [namespace_of("user", pid), "0"]


def test_joined_network_of_the_same_user_namespace(runtime, mapped):
    """A pod: the second container joins user and network namespace of the first."""
    first = sleeper(runtime, mapped)
    pid = runtime.state(first)["pid"]
    mapped.namespace("user", f"/proc/{pid}/ns/user")
    mapped.namespace("network", f"/proc/{pid}/ns/net")
    assert look(runtime, mapped, "readlink /proc/self/ns/net") == namespace_of("net", pid)


def test_joined_user_namespace_and_the_same_mappings(runtime, mapped):
    """Engines repeat the mappings of the namespace that is joined: in any order, and in other pieces."""
    first = sleeper(runtime, mapped)
    pid = runtime.state(first)["pid"]
    mapped.namespace("user", f"/proc/{pid}/ns/user")
    mapped.config["linux"]["uidMappings"] = [{"containerID": 1000, "hostID": BASE + 1000, "size": SIZE - 1000},
                                             {"containerID": 0, "hostID": BASE, "size": 1000}]
    assert look(runtime, mapped, "readlink /proc/self/ns/user") == namespace_of("user", pid)


@pytest.mark.parametrize("field", ["uidMappings", "gidMappings"])
@pytest.mark.parametrize("change", [{"hostID": BASE + 1}, {"size": SIZE - 1}, {"containerID": 1}])
def test_joined_user_namespace_and_other_mappings(runtime, mapped, field, change):
    first = sleeper(runtime, mapped)
    pid = runtime.state(first)["pid"]
    mapped.namespace("user", f"/proc/{pid}/ns/user")
    mapped.config["linux"][field][0].update(change)
    r = runtime.create(mapped).failed(f"/linux/{field}", f"/proc/{pid}/ns/user", code=1)
    assert runtime.state(r.id) is None
    del mapped.config["linux"][field]
    r = runtime.create(mapped).ok()


def test_network_device(runtime, mapped, work):
    """A device moves into the network namespace that the user namespace owns."""
    name = "nst" + work[-7:].replace("_", "x")
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", name + "p"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.77.0.2/24", "dev", name], check=True)
        mapped.config["linux"]["netDevices"] = {name: {"name": "eth0"}}
        assert "10.77.0.2/24" in look(runtime, mapped, "ip addr show eth0")
    finally:
        subprocess.run(["ip", "link", "del", name + "p"], stderr=subprocess.DEVNULL)


def test_idmapped_mount_with_the_namespaces_mapping(runtime, mapped, work):
    """What belongs to the host's root belongs to the container's root."""
    os.makedirs(f"{work}/source")
    open(f"{work}/source/file", "w").close()
    mapped.mount("/data", f"{work}/source", options=["bind"])
    assert look(runtime, mapped, "stat -c '%u %g' /data/file") == "65534 65534"
    mapping = [{"containerID": 0, "hostID": BASE, "size": SIZE}]
    mapped.config["mounts"][-1].update(uidMappings=mapping, gidMappings=mapping)
    assert look(runtime, mapped, "stat -c '%u %g' /data/file; touch /data/new").split("\n")[0] == "0 0"
    assert os.stat(f"{work}/source/new").st_uid == 0


def test_terminal_belongs_to_the_mapped_user(runtime, mapped, work):
    from harness import DescriptorSocket
    from harness.terminal import read_until
    mapped.config["process"]["terminal"] = True
    mapped.sh("stat -c '%u' $(tty); sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        runtime.run(mapped, "-d", "--console-socket", console.path).ok()
        assert read_until(console.terminal(), b"\n").strip() == b"0"


def test_time_offsets(runtime, mapped):
    """The offsets are written by who the process is before it becomes root of its user namespace."""
    with open("/proc/uptime") as f:
        host = float(f.read().split()[0])
    mapped.namespace("time")
    mapped.config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000}, "monotonic": {"secs": 50, "nanosecs": 5}}
    id = sleeper(runtime, mapped)
    assert process_status(runtime.state(id)["pid"], "Uid").split() == [str(BASE)] * 4
    uptime = float(runtime.exec(id, "cat", "/proc/uptime").ok().out.split()[0])
    assert host + 999990 < uptime < host + 1000050
    assert runtime.exec(id, "cat", "/proc/1/timens_offsets").ok().out.split() \
        == ["monotonic", "50", "5", "boottime", "1000000", "0"]


# -- refused

def test_namespace_without_mappings(runtime, bundle):
    bundle.namespace("user")
    runtime.create(bundle).failed("Mappings", code=1)


@pytest.mark.parametrize("mapping", [[{"containerID": 0, "hostID": BASE}], [{"containerID": 0, "hostID": BASE, "size": 0}],
                                     [{"containerID": -1, "hostID": BASE, "size": 1}],
                                     [{"containerID": 0, "hostID": 4294967296, "size": 1}],
                                     [{"containerID": 0, "hostID": BASE, "size": 4294967296}],
                                     [{"containerID": 0, "hostID": BASE, "size": 5},
                                      {"containerID": 3, "hostID": BASE + 10, "size": 5}],
                                     [{"hostID": BASE, "size": 1, "containerID": "0"}]])
def test_bad_mappings(runtime, mapped, mapping):
    mapped.config["linux"]["uidMappings"] = mapping
    runtime.create(mapped).failed("uidMappings", code=1)
