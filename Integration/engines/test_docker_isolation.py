"""Docker's flags for the file system, namespaces, devices and the network."""

import json
import os
import socket

import pytest

from .enclosure import wait_for
from .images import BUSYBOX
from .web import SERVE, fetch


def test_init(docker):
    r = docker.run("--init", BUSYBOX, "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$").ok()
    first, own = r.out.splitlines()
    assert "docker-init" in first and int(own) > 1


def test_init_reaps_and_forwards(docker):
    c = docker.detached("--init", BUSYBOX, "sh", "-c", "trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done")
    docker.wait_for_log(c, "ready")
    docker("exec", c, "sh", "-c", "(sleep 0.1 &) ; exit 0").ok()
    wait_for(lambda: "defunct" not in docker("top", c).ok().out, "the zombie's end")
    docker("stop", c).ok()
    assert docker.inspect(c, "State.ExitCode") == 8


def test_read_only(docker):
    assert docker.run(BUSYBOX, "sh", "-c", "echo x > /file && cat /file").ok().out == "x\n"
    docker.run("--read-only", BUSYBOX, "sh", "-c", "echo x > /file").failed("read-only file system", code=1)
    docker.run("--read-only", BUSYBOX, "sh", "-c", "echo x > /dev/shm/file && echo x > /dev/null").ok()


def test_tmpfs(docker):
    r = docker.run("--read-only", "--tmpfs", "/t:rw,size=1m,mode=1770,noexec", BUSYBOX, "sh", "-c",
                   "grep ' /t ' /proc/mounts; stat -c %a /t; cp /bin/busybox /t/b 2>&1; df -k /t | tail -1").ok()
    options = r.out.split()[3].split(",")
    assert {"rw", "nosuid", "nodev", "noexec", "size=1024k", "mode=1770"} <= set(options)
    assert "1770" in r.out
    assert " 1024 " in r.out.splitlines()[-1]


def test_tmpfs_is_limited(docker):
    script = "dd if=/dev/zero of=/t/f bs=1M count=2"
    docker.run("--tmpfs", "/t:size=4m", BUSYBOX, "sh", "-c", script).ok()
    docker.run("--tmpfs", "/t:size=1m", BUSYBOX, "sh", "-c", script).failed("no space left on device")


def test_tmpfs_exec_options(docker):
    script = "cp /bin/busybox /t/true; /t/true"
    docker.run("--tmpfs", "/t:exec", BUSYBOX, "sh", "-c", script).ok()
    docker.run("--tmpfs", "/t", BUSYBOX, "sh", "-c", script).failed("permission denied", code=126)


def test_volume_bind(docker, work):
    with open(f"{work}/file", "w") as f:
        f.write("outside\n")
    script = "cat /v/file && echo inside > /v/new"
    assert docker.run("-v", f"{work}:/v", BUSYBOX, "sh", "-c", script).ok().out == "outside\n"
    with open(f"{work}/new") as f:
        assert f.read() == "inside\n"
    os.unlink(f"{work}/new")
    docker.run("-v", f"{work}:/v:ro", BUSYBOX, "sh", "-c", script).failed("read-only file system")
    assert not os.path.exists(f"{work}/new")


def test_volume_bind_of_one_file_and_of_a_socket(docker, work):
    with open(f"{work}/file", "w") as f:
        f.write("one\n")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{work}/s")
    r = docker.run("-v", f"{work}/file:/etc/one:ro", "-v", f"{work}/s:/run/deep/s", BUSYBOX, "sh", "-c",
                   "cat /etc/one; stat -c %F /run/deep/s").ok()
    listener.close()
    assert r.out == "one\nsocket\n"


def test_volume_named_is_filled_and_kept(docker):
    docker.run("-v", "kept:/etc", BUSYBOX, "sh", "-c", "grep -q root /etc/passwd && echo 1 > /etc/mark").ok()
    assert docker.run("-v", "kept:/v", BUSYBOX, "cat", "/v/mark").ok().out == "1\n"
    docker("volume", "rm", "kept").ok()


def test_volumes_from(docker):
    c = docker.detached("-v", "/data", BUSYBOX, "sh", "-c", "echo shared > /data/f; sleep 100")
    assert docker.run("--volumes-from", c, BUSYBOX, "cat", "/data/f").ok().out == "shared\n"


@pytest.mark.parametrize("propagation, seen", [("rprivate", False), ("rslave", True), ("rshared", True)])
def test_volume_propagation(docker, work, propagation, seen):
    inside = docker.enclosure
    inside.call("mount", "-t", "tmpfs", "tmpfs", work).ok()
    try:
        inside.call("mount", "--make-shared", work).ok()
        inside.call("mkdir", f"{work}/sub", f"{work}/own").ok()
        c = docker.detached("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "-v",
                            f"{work}:/v:{propagation}", BUSYBOX, "sleep", "100")
        inside.call("mount", "-t", "tmpfs", "tmpfs", f"{work}/sub").ok()
        inside.call("touch", f"{work}/sub/mark").ok()
        assert (docker("exec", c, "ls", "/v/sub").ok().out == "mark\n") is seen
        docker("exec", c, "sh", "-c", "mount -t tmpfs tmpfs /v/own && touch /v/own/mark").ok()
        assert (inside.call("ls", f"{work}/own").ok().out == "mark\n") is (propagation == "rshared")
        docker("rm", "--force", c).ok()
    finally:
        inside.call("umount", "--recursive", work).ok()


@pytest.mark.parametrize("flag", ["ro", "rw"])
def test_mount_bind(docker, work, flag):
    os.makedirs(f"{work}/d")
    tail = ",readonly" if flag == "ro" else ""
    r = docker.run("--mount", f"type=bind,source={work}/d,target=/m{tail}", BUSYBOX, "touch", "/m/f")
    assert (r.code == 0) is (flag == "rw"), r
    if flag == "ro":
        r.failed("read-only file system")


def test_mount_tmpfs_and_volume(docker):
    r = docker.run("--mount", "type=tmpfs,target=/t,tmpfs-size=2097152,tmpfs-mode=0700", "--mount",
                   "type=volume,source=vol,target=/v,readonly", "--mount", "type=volume,source=vol,target=/w", BUSYBOX,
                   "sh", "-c", "grep ' /t ' /proc/mounts; stat -c %a /t; echo x > /w/f; cat /v/f; echo y > /v/f")
    r.failed("read-only file system")
    assert "size=2048k" in r.out and "700\nx\n" in r.out


def test_mount_of_a_missing_source(docker, work):
    docker.run("--mount", f"type=bind,source={work}/absent,target=/m", BUSYBOX, "true").failed("absent", code=125)


def test_mount_below_another(docker, work):
    os.makedirs(f"{work}/a")
    r = docker.run("-v", f"{work}/a:/a", "--tmpfs", "/a/b", "-v", f"{work}/a:/a/b/c", BUSYBOX, "sh", "-c",
                   "echo x > /a/f; cat /a/b/c/f; grep -c ' /a' /proc/mounts").ok()
    assert r.out == "x\n3\n"


def test_what_is_masked_and_read_only(docker):
    script = "wc -c < /proc/kcore; ls /sys/firmware | wc -l; ls /proc/acpi 2>/dev/null | wc -l"
    r = docker.run(BUSYBOX, "sh", "-c", script)
    assert set(r.ok().out.split()) == {"0"}
    docker.run(BUSYBOX, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward").failed("read-only file system")


def test_systempaths_unconfined(docker):
    flags = ["--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined"]
    script = "cat /proc/sys/net/ipv4/ip_forward > /proc/sys/net/ipv4/ip_forward"
    docker.run(*flags, BUSYBOX, "sh", "-c", script).failed("read-only file system")
    docker.run(*flags, "--security-opt", "systempaths=unconfined", BUSYBOX, "sh", "-c", script).ok()


def test_pid_private_host_and_container(docker):
    assert docker.run(BUSYBOX, "sh", "-c", "echo $$").ok().out == "1\n"
    out = docker.run("--pid", "host", BUSYBOX, "ps", "-o", "args").ok().out
    assert "dockerd" in out
    c = docker.detached(BUSYBOX, "sleep", "543")
    out = docker.run("--pid", f"container:{c}", BUSYBOX, "ps", "-o", "pid,args").ok().out
    assert "1 sleep 543" in out and "dockerd" not in out


def test_pid_of_another_container_does_not_kill_it(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    guest = docker.detached("--pid", f"container:{c}", BUSYBOX, "sleep", "432")
    docker("rm", "--force", guest).ok()
    assert docker.inspect(c, "State.Running") is True
    assert "sleep 432" not in docker("exec", c, "ps").ok().out


def test_pid_host_kill_ends_all_of_the_container(docker):
    c = docker.detached("--pid", "host", BUSYBOX, "sh", "-c", "sleep 765 & sleep 766; :")
    wait_for(lambda: "sleep 766" in docker("top", c).ok().out, "the processes")
    docker("rm", "--force", c).ok()
    wait_for(lambda: not {"sleep 765", "sleep 766"} & set(docker.enclosure.processes().values()), "their end")


def namespace(docker, c, kind):
    return docker("exec", c, "readlink", f"/proc/self/ns/{kind}").ok().out.strip()


def test_ipc(docker):
    host = docker.enclosure.call("readlink", "/proc/self/ns/ipc").ok().out.strip()
    shareable = docker.detached("--ipc", "shareable", BUSYBOX, "sleep", "100")
    joined = docker.detached("--ipc", f"container:{shareable}", BUSYBOX, "sleep", "100")
    private = docker.detached("--ipc", "private", BUSYBOX, "sleep", "100")
    of_host = docker.detached("--ipc", "host", BUSYBOX, "sleep", "100")
    assert namespace(docker, shareable, "ipc") == namespace(docker, joined, "ipc")
    assert len({namespace(docker, c, "ipc") for c in (shareable, private, of_host)}) == 3
    assert namespace(docker, of_host, "ipc") == host
    docker("exec", shareable, "sh", "-c", "echo x > /dev/shm/f").ok()
    assert docker("exec", joined, "cat", "/dev/shm/f").ok().out == "x\n"
    docker("exec", private, "cat", "/dev/shm/f").failed("no such file or directory")
    none = docker.run("--ipc", "none", BUSYBOX, "sh", "-c", "echo x > /dev/shm/f")
    none.failed()


def test_uts_host(docker):
    host = docker.enclosure.call("hostname").ok().out
    assert docker.run("--uts", "host", BUSYBOX, "hostname").ok().out == host
    assert docker.run(BUSYBOX, "hostname").ok().out != host


@pytest.mark.parametrize("mode", ["host", "private"])
def test_cgroup_namespace(docker, mode):
    host = docker.enclosure.call("readlink", "/proc/self/ns/cgroup").ok().out
    script = "readlink /proc/self/ns/cgroup; grep pids /proc/self/cgroup"
    r = docker.run("--cgroupns", mode, BUSYBOX, "sh", "-c", script).ok()
    own, line = r.out.splitlines()
    assert (own + "\n" == host) is (mode == "host")
    assert line.endswith(":/") is (mode == "private")


def test_network_none(docker):
    r = docker.run("--network", "none", BUSYBOX, "sh", "-c", "ls /sys/class/net; ip route").ok()
    assert r.out.split() == ["lo"]
    docker.run("--network", "none", BUSYBOX, "ping", "-c1", "-W1", "172.17.0.1").failed("unreachable")


def test_network_host(docker):
    r = docker.run("--network", "host", BUSYBOX, "sh", "-c", "readlink /proc/self/ns/net; ls /sys/class/net").ok()
    own, *links = r.out.split()
    assert own == docker.enclosure.call("readlink", "/proc/self/ns/net").ok().out.strip()
    assert "docker0" in links


def test_network_bridge(docker, debian_in_docker):
    server = docker.detached(debian_in_docker, *SERVE)
    address = docker.inspect(server, "NetworkSettings.IPAddress")
    assert docker.run(debian_in_docker, *fetch(address)).ok().out == "page\n"
    r = docker.run(BUSYBOX, "sh", "-c", "ip -o link; ip route").ok()
    assert "eth0" in r.out and "default via 172.17.0.1" in r.out


def test_network_of_another_container(docker, debian_in_docker):
    server = docker.detached("--hostname", "server", debian_in_docker, *SERVE)
    guest = docker.detached("--network", f"container:{server}", debian_in_docker, "sleep", "100")
    assert docker("exec", guest, *fetch("127.0.0.1")).ok().out == "page\n"
    assert docker("exec", guest, "hostname").ok().out == "server\n"


def test_network_with_names(docker, debian_in_docker):
    docker("network", "create", "net").ok()
    docker.detached("--network", "net", "--name", "web", debian_in_docker, *SERVE)
    assert docker.run("--network", "net", debian_in_docker, *fetch("web")).ok().out == "page\n"
    c = docker.detached(debian_in_docker, "sleep", "100")
    docker("exec", c, *fetch("web", 0)).failed("name resolution")
    docker("network", "connect", "net", c).ok()
    assert docker("exec", c, *fetch("web")).ok().out == "page\n"


def test_publish(docker, debian_in_docker):
    docker.detached("-p", "127.0.0.1:8081:80", debian_in_docker, *SERVE)
    assert docker.enclosure.call(*fetch("127.0.0.1:8081")).ok().out == "page\n"


def test_hosts_and_dns(docker):
    r = docker.run("--add-host", "there:192.0.2.7", "--dns", "192.0.2.53", "--dns-search", "d.test", BUSYBOX, "cat",
                   "/etc/hosts", "/etc/resolv.conf").ok()
    assert "192.0.2.7\tthere" in r.out and "nameserver 192.0.2.53" in r.out and "search d.test" in r.out


def test_sysctl(docker):
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced"
    assert docker.run(BUSYBOX, "sh", "-c", script).ok().out.split() != ["777", "1"]
    r = docker.run("--sysctl", "net.ipv4.ip_unprivileged_port_start=777", "--sysctl", "kernel.shm_rmid_forced=1",
                   BUSYBOX, "sh", "-c", script).ok()
    assert r.out.split() == ["777", "1"]


def test_device(docker):
    script = "head -c 4 /dev/kmsg2 > /dev/null; ls -l /dev/kmsg2"
    r = docker.run("--device", "/dev/zero:/dev/kmsg2", BUSYBOX, "sh", "-c", script).ok()
    assert r.out.startswith("crw") and "1,   5" in r.out


def test_device_not_given_cannot_be_made_and_used(docker):
    use = "mknod /tmp/loop-control c 10 237 && exec 3</tmp/loop-control"
    docker.run("--device-cgroup-rule", "c 10:237 rwm", BUSYBOX, "sh", "-c", use).ok()
    docker.run(BUSYBOX, "sh", "-c", use).failed("operation not permitted")


def test_device_permissions(docker):
    docker.run("--device", "/dev/zero:/dev/z:rw", BUSYBOX, "sh", "-c", "echo > /dev/z").ok()
    c = docker.detached("--device", "/dev/loop-control:/dev/lc:r", BUSYBOX, "sleep", "100")
    docker("exec", c, "sh", "-c", "exec 3</dev/lc").ok()
    docker("exec", c, "sh", "-c", "exec 3<>/dev/lc").failed("operation not permitted")


def test_default_devices(docker):
    r = docker.run(BUSYBOX, "sh", "-c", "cd /dev; stat -c '%n %F %t:%T %a' null zero full random urandom tty; "
                   "for f in fd stdin stdout stderr ptmx; do readlink $f; done").ok()
    assert r.out.splitlines() == [
        "null character special file 1:3 666", "zero character special file 1:5 666",
        "full character special file 1:7 666", "random character special file 1:8 666",
        "urandom character special file 1:9 666", "tty character special file 5:0 666",
        "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]


def test_descriptors_of_the_engine_do_not_leak(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    assert docker("exec", c, "ls", "/proc/1/fd").ok().out.split() == ["0", "1", "2"]
    # ls itself opens the directory.
    assert docker("exec", c, "ls", "/proc/self/fd").ok().out.split() == ["0", "1", "2", "3"]


def test_shm_size(docker):
    assert "size=2048k" in docker.run("--shm-size", "2m", BUSYBOX, "grep", " /dev/shm ", "/proc/mounts").ok().out


def test_mounts_are_not_seen_on_the_host(docker):
    c = docker.detached("--tmpfs", "/only-inside", BUSYBOX, "sleep", "100")
    with open(f"/proc/{docker.enclosure.init}/mountinfo") as f:
        assert "/only-inside" not in f.read()
    assert "/only-inside" in docker("exec", c, "cat", "/proc/self/mountinfo").ok().out


def test_inspect_agrees_with_the_process(docker):
    c = docker.detached(BUSYBOX, "sleep", "321")
    pid = docker.pid(c)
    assert docker.enclosure.processes()[str(pid)] == "sleep 321"
    state = json.loads(docker("inspect", "--format", "{{json .State}}", c).ok().out)
    assert state["Status"] == "running" and state["ExitCode"] == 0
