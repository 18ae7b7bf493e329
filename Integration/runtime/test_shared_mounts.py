"""Containers in a mount namespace that is not new: the runtime's, or one that config.json names (spec/config.md)."""

import os
import subprocess
import time

import pytest

from inside import look, namespace_of, sleeper, wait_for, write

DEFAULTS = ("maskedPaths", "readonlyPaths")


def mount_table(pid="self"):
    with open(f"/proc/{pid}/mountinfo") as f:
        return f.read()


@pytest.fixture
def box(bundle):
    """The bundle without a mount namespace and without what would need one."""
    bundle.without_namespace("mount")
    for name in DEFAULTS:
        bundle.config["linux"].pop(name)
    return bundle


@pytest.fixture
def neighbour(work):
    """A process with a mount namespace of its own, which is shared throughout; its pid."""
    p = subprocess.Popen(["unshare", "--mount", "--propagation", "shared", "sleep", "100"])
    wait_for(lambda: namespace_of("mnt", p.pid) != namespace_of("mnt") and open(f"/proc/{p.pid}/comm").read() == "sleep\n")
    yield p.pid
    p.kill()
    p.wait()


def test_the_runtimes_is_inherited(runtime, box, work):
    write(f"{work}/volume/file", "volume\n")
    box.mount("/data", f"{work}/volume")
    before = mount_table()
    out = look(runtime, box, "readlink /proc/self/ns/mnt; cat /data/file; ls /; mount -t tmpfs x /mnt 2>/dev/null || echo no mounts;"
                             " echo x > /dev/null && stat -f -c %T /dev")
    assert out.splitlines()[:2] == [namespace_of("mnt"), "volume"]
    assert "no mounts" in out and out.endswith("tmpfs") and "boot" not in out.split()
    assert mount_table() == before, "the host's mounts are as before"


def test_nothing_is_mounted_on_the_host_while_it_runs_and_afterwards(runtime, box):
    before = mount_table()
    id = sleeper(runtime, box)
    pid = runtime.state(id)["pid"]
    assert namespace_of("mnt", pid) == namespace_of("mnt")
    assert mount_table() == before
    assert os.path.exists(f"/proc/{pid}/root/bin/probe") and os.path.exists(f"/proc/{pid}/root/proc/1")
    assert not os.path.exists(f"{box.rootfs}/proc/1")
    runtime.call("delete", "--force", id).ok()
    assert mount_table() == before


def test_exec_is_in_the_containers_root(runtime, box):
    id = sleeper(runtime, box)
    assert runtime.exec(id, "readlink", "/proc/self/ns/mnt").ok().out.strip() == namespace_of("mnt")
    assert runtime.exec(id, "ls", "/bin/probe").ok().out == "/bin/probe\n"
    inode = lambda *args: runtime.exec(id, "stat", "-c", "%d %i", "/").ok().out  # noqa: E731
    root = os.stat(f"/proc/{runtime.state(id)['pid']}/root/")
    assert inode() == f"{root.st_dev} {root.st_ino}\n"


def test_terminal_and_working_directory(runtime, box, work):
    from harness import DescriptorSocket
    from harness.terminal import read_until
    box.config["process"].update(terminal=True, cwd="/made/for/it")
    box.sh("pwd; test -c /dev/console && echo console; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        id = runtime.new_id()
        runtime.run(box, "-d", "--console-socket", console.path, id=id).ok()
        assert read_until(console.terminal(), b"console").split() == [b"/made/for/it", b"console"]


def test_read_only_root(runtime, box):
    box.config["root"]["readonly"] = True
    assert look(runtime, box, "echo x 2>/dev/null > /new || echo refused") == "refused"
    assert not os.path.exists(f"{box.rootfs}/new")


def test_a_second_chroot_leads_nowhere(runtime, box):
    """There is nothing above the container's root, unlike above a mere chroot's."""
    script = "mkdir -p /tmp/x; chroot /tmp/x /bin/true 2>/dev/null; cd /; cd ../../..; ls; test -e bin/probe && echo still inside"
    assert look(runtime, box, script).endswith("still inside")


def test_named_one_is_joined_and_left_as_it_is(runtime, bundle, neighbour):
    before = mount_table(neighbour)
    root = os.stat(f"/proc/{neighbour}/root/")
    bundle.namespace("mount", f"/proc/{neighbour}/ns/mnt")
    id = sleeper(runtime, bundle)
    assert namespace_of("mnt", runtime.state(id)["pid"]) == namespace_of("mnt", neighbour)
    assert runtime.exec(id, "ls", "/bin/probe").ok().out == "/bin/probe\n"
    assert runtime.exec(id, "readlink", "/proc/self/ns/mnt").ok().out.strip() == namespace_of("mnt", neighbour)
    now = os.stat(f"/proc/{neighbour}/root/")
    assert (root.st_dev, root.st_ino) == (now.st_dev, now.st_ino)
    assert mount_table(neighbour) == before
    runtime.call("delete", "--force", id).ok()
    assert mount_table(neighbour) == before


def test_the_runtimes_by_name(runtime, bundle):
    """Whoever names the host's namespace must not lose the host's root."""
    before = mount_table()
    bundle.namespace("mount", "/proc/self/ns/mnt")
    assert look(runtime, bundle, "readlink /proc/self/ns/mnt; ls /bin/probe").split() == [namespace_of("mnt"), "/bin/probe"]
    assert mount_table() == before and os.path.exists(bundle.path)


def test_hooks(runtime, box, work):
    """createContainer hooks still find the mounts, those of the runtime do not; what they mount in the container's is there."""
    box.mount("/extra", "tmpfs", "tmpfs", [])
    box.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"grep -c {box.rootfs} /proc/self/mountinfo > {work}/runtime; exit 0"]}],
        "createContainer": [{"path": "/bin/sh", "args": [
            "sh", "-c", f"grep -c ' {box.rootfs}/extra ' /proc/self/mountinfo > {work}/container; mount -t tmpfs x ./mnt; touch ./mnt/made"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]}
    assert look(runtime, box, "ls /mnt") == "made"
    assert open(f"{work}/runtime").read() == "0\n" and open(f"{work}/container").read() == "1\n"


def test_kill_and_end(runtime, box):
    before = mount_table()
    id = sleeper(runtime, box)
    runtime.call("kill", id, "KILL").ok()
    runtime.wait_status(id, "stopped")
    runtime.call("delete", id).ok()
    time.sleep(0.1)
    assert mount_table() == before


@pytest.mark.parametrize("name", DEFAULTS)
def test_protected_paths_need_one(runtime, box, name):
    box.config["linux"][name] = ["/proc/kcore"]
    runtime.create(box).failed(f"/linux/{name}", "mount namespace", code=1)


@pytest.mark.parametrize("option", ["unbindable", "runbindable"])
def test_unbindable_is_refused(runtime, box, work, option):
    """The kernel would leave it out of the copy."""
    box.mount("/data", work, options=["rbind", option])
    index = len(box.config["mounts"]) - 1
    runtime.create(box).failed(f"/mounts/{index}/options", "unbindable", code=1)
    box.config["mounts"].pop()
    box.config["linux"]["rootfsPropagation"] = option
    runtime.create(box).failed("/linux/rootfsPropagation", "unbindable", code=1)


def test_new_user_namespace_is_refused(runtime, box):
    box.namespace("user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.config["linux"].update(uidMappings=mapping, gidMappings=mapping)
    runtime.create(box).failed("/linux/namespaces", "user namespace", code=1)
