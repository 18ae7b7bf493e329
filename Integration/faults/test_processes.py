"""Processes behind the runtime's back: pids used again, zombies, orphans, signals at random times, frozen and stuck ones."""

import ctypes
import json
import os
import random
import signal
import struct
import subprocess
import threading
import time

import pytest
from harness.arena import crashed, descendants
from harness.inject import ALL, SEED
from scenes import Scenes

SYS_CLONE3 = 435
libc = ctypes.CDLL(None, use_errno=True)


def process_with_pid(pid):
    """Starts a process that has exactly this pid (clone3 with set_tid) and sleeps; returns whether that worked."""
    wanted = ctypes.c_int(pid)
    # struct clone_args up to set_tid_size: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
    # set_tid, set_tid_size.
    args = struct.pack("10Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(wanted), 1)
    buffer = ctypes.create_string_buffer(args, len(args))
    made = libc.syscall(SYS_CLONE3, buffer, len(args))
    if made == 0:
        os.execv("/bin/sleep", ["sleep", "1000"])
    return made == pid


def test_pid_reuse(arena):
    """The container's pid belongs to a stranger now: the container is stopped, and the stranger is left alone."""
    runtime = arena.runtime
    id = runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    pid = runtime.state(id)["pid"]
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < end
        runtime.reap()
        time.sleep(0.005)
    assert process_with_pid(pid), "the detector does not work: the pid could not be taken"
    runtime.own.add(pid)
    arena.before.add(pid)
    try:
        assert runtime.state(id)["status"] == "stopped"
        runtime.call("kill", id, "KILL").failed()
        runtime.call("exec", id, "/bin/true").failed()
        runtime.call("pause", id).failed()
        runtime.call("ps", id)
        assert "stopped" in runtime.call("list").ok().out
        runtime.call("delete", "--force", id).ok()
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the stranger was killed"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        runtime.own.discard(pid)
    assert not arena.settled([id])


def test_zombie_init(arena):
    """A first process that nobody has reaped yet is stopped, and can be deleted."""
    runtime = arena.runtime
    id = runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    pid = runtime.state(id)["pid"]
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.005)
    r = runtime.call("state", id, reap=False).ok()
    assert '"stopped"' in r.out
    runtime.call("kill", id, "TERM", reap=False).failed()
    runtime.call("exec", id, "/bin/true", reap=False).failed()
    runtime.call("delete", id, reap=False).ok()
    assert open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z", "the zombie was somebody else's to reap"
    assert not arena.settled([id])


def test_one_child_stays(arena):
    """`create` leaves one process, the container's, as a child of the caller's subreaper; `exec --detach` one more."""
    runtime = arena.runtime
    b = arena.bundle("/bin/sleep", "1000")
    id = runtime.create(b).ok().id
    pid = runtime.state(id)["pid"]
    assert set(arena.strays()) == {pid}
    assert descendants(os.getpid())[pid][0] == os.getpid()
    runtime.call("start", id).ok()
    assert set(arena.strays()) == {pid}
    runtime.call("exec", "--detach", "--pid-file", f"{arena.work}/exec", id, "/bin/sleep", "1000").ok()
    joined = int(open(f"{arena.work}/exec").read())
    assert set(arena.strays()) == {pid, joined}
    assert descendants(os.getpid())[joined][0] == os.getpid()


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 1", 1), ("exit 42", 42), ("exit 255", 255),
                                          ("kill -9 $$", 137), ("kill -15 $$", 143), ("kill -11 $$", 139)])
def test_exit_codes(arena, script, code):
    """run and exec hand on the code; a signal is 128 + its number (not from pid 1, which is immune to its own)."""
    if code < 128 or code == 255:
        assert arena.runtime.run(arena.bundle("/bin/sh", "-c", script)).code == code
    id = arena.runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    assert arena.runtime.exec(id, "/bin/sh", "-c", script).code == code


def test_killed_from_outside(arena):
    """The code of a foreground `run` whose container is killed is 137."""
    b = arena.bundle("/bin/sleep", "1000")
    b.save()
    id = arena.runtime.new_id()
    p = arena.popen(arena.runtime.argv("run", "--bundle", b.path, id))
    arena.runtime.wait_status(id, "running")
    arena.runtime.call("kill", id, "KILL").ok()
    assert p.wait(5) == 137


@pytest.mark.parametrize("verb", ["run", "create", "exec", "start", "delete-force"])
def test_signals_at_random_times(arena, verb):
    """TERM, INT, HUP, QUIT, PIPE to the runtime at any time: it ends, and what it leaves can be removed."""
    scene = Scenes(arena)
    chance = random.Random(f"{SEED}/signals/{verb}")
    wrong = []
    for n in range(60 if ALL else 12):
        number = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE][n % 5]
        command = scene.command(verb)
        p = arena.popen(arena.runtime.argv(*command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        time.sleep(chance.random() * 0.04)
        after = time.monotonic()
        p.send_signal(number)
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            wrong.append(f"{number.name}: no end")
            p.kill()
            p.wait()
        if p.returncode < 0 and -p.returncode != number:
            wrong.append(f"{number.name} after {after}: died by signal {-p.returncode}")
        wrong += [f"{number.name}: {w}" for w in arena.remove(scene.id)]
        if len(wrong) > 5:
            break
    wrong += arena.usable(scene.id, scene.plain)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("how", ["pause", "by hand"])
def test_frozen(arena, how):
    """A frozen container: questions are answered at once, delete refuses, `delete --force` works."""
    runtime = arena.runtime
    id = runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    if how == "pause":
        runtime.call("pause", id).ok()
    else:
        pid = runtime.state(id)["pid"]
        path = next(line.split(":", 2)[2] for line in open(f"/proc/{pid}/cgroup").read().splitlines()
                    if ":freezer:" in line)
        with open(f"/sys/fs/cgroup/freezer{path}/freezer.state", "w") as f:
            f.write("FROZEN")
    for command in (["state", id], ["list"], ["kill", id, "TERM"]):
        began = time.monotonic()
        runtime.call(*command, timeout=4).ok()
        assert time.monotonic() - began < 2, command
    assert runtime.state(id)["status"] == "paused"
    runtime.call("delete", id, timeout=10).failed()
    runtime.call("exec", id, "/bin/true", timeout=5).failed("cannot exec in a paused container")
    assert runtime.state(id)["status"] == "paused"
    assert not arena.remove(id)


def test_kill_while_frozen(arena):
    """SIGKILL to a paused container ends it: it must not have to be resumed first."""
    runtime = arena.runtime
    id = runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    runtime.call("pause", id).ok()
    runtime.call("kill", id, "KILL").ok()
    runtime.wait_status(id, "stopped", timeout=3)
    runtime.call("delete", id).ok()
    assert not arena.settled([id])


class SilentFileSystem:
    """A FUSE file system that answers the mount, takes every further request, and never answers it."""

    def __init__(self, path):
        os.makedirs(path)
        self.path = path
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        subprocess.check_call(["mount", "-i", "-t", "fuse", "-o",
                               f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other", "nst", path],
                              pass_fds=[self.fd])
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 17)
            except OSError:
                return  # aborted or unmounted
            length, opcode, unique = struct.unpack_from("IIQ", request)
            if opcode == 26:  # FUSE_INIT: major, minor, readahead, flags, then zeroes
                body = struct.pack("IIIIHHIIHHI", 7, 31, 65536, 0, 0, 0, 65536, 1, 0, 0, 0) + b"\0" * 28
                os.write(self.fd, struct.pack("IiQ", 16 + len(body), 0, unique) + body)
            elif opcode == 3:  # FUSE_GETATTR of the root, so that it can be mounted into the container
                attributes = struct.pack("QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
                body = struct.pack("QII", 3600, 0, 0) + attributes
                os.write(self.fd, struct.pack("IiQ", 16 + len(body), 0, unique) + body)

    def abort(self):
        device = os.stat(self.path).st_dev if os.path.ismount(self.path) else None
        subprocess.run(["umount", "-f", self.path], check=False, stderr=subprocess.DEVNULL)
        if device is not None:
            connection = f"/sys/fs/fuse/connections/{os.minor(device)}/abort"
            if os.path.exists(connection):
                with open(connection, "w") as f:
                    f.write("1")
        subprocess.run(["umount", "-l", self.path], check=False, stderr=subprocess.DEVNULL)
        os.close(self.fd)


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no /dev/fuse here")
def test_stuck_in_the_kernel(arena):
    """A process that SIGKILL does not end (it waits for a dead file system): questions are answered, `delete --force`
    says so in bounded time, and once the process is free it works."""
    runtime = arena.runtime
    silent = SilentFileSystem(f"{arena.work}/silent")
    try:
        b = arena.bundle("/bin/sh", "-c", "cat /mnt/file")
        b.mount("/mnt", silent.path)
        id = runtime.start_detached(b)
        pid = runtime.state(id)["pid"]
        end = time.monotonic() + 5
        stuck = None
        while not stuck:
            assert time.monotonic() < end, "the detector does not work: nothing is stuck"
            below = {pid: None, **descendants(pid)}
            stuck = next((p for p in below if "fuse" in _wchan(p)), None)
            time.sleep(0.01)
        os.kill(stuck, signal.SIGKILL)
        time.sleep(0.05)
        assert os.path.exists(f"/proc/{stuck}"), "the detector does not work: the process ended"
        for command in (["state", id], ["list"], ["kill", id, "KILL"]):
            began = time.monotonic()
            r = runtime.call(*command, timeout=4)
            assert not crashed(r)
            assert time.monotonic() - began < 2, command
        r = runtime.call("delete", "--force", id, timeout=20)
        assert r.code != 0 and r.err.strip(), "says success although a process lives"
        assert runtime.state(id) is not None, "the state is gone although a process lives"
    finally:
        silent.abort()
    assert not arena.remove(id)


def _wchan(pid):
    try:
        with open(f"/proc/{pid}/stack") as f:
            return f.read()
    except OSError:
        return ""


@pytest.mark.parametrize("shared", [False, True])
def test_many_processes(arena, shared):
    """`delete --force` ends every process of the container, also where the pid namespace is the host's."""
    script = "for i in 1 2 3 4 5 6 7 8; do (setsid sleep 1000 &) ; done; trap '' TERM HUP; sleep 1000"
    b = arena.bundle("/bin/sh", "-c", script)
    if shared:
        b.without_namespace("pid")
    id = arena.runtime.start_detached(b)
    end = time.monotonic() + 5
    while len(arena.strays()) < 9:
        assert time.monotonic() < end, arena.strays()
        time.sleep(0.01)
    assert not arena.remove(id)
    id = arena.runtime.start_detached(b)
    arena.runtime.call("kill", "--all", id, "KILL").ok()
    arena.runtime.wait_status(id, "stopped")
    arena.runtime.call("delete", id).ok()
    assert not arena.settled([id])


def test_init_dies_others_stay(arena):
    """With the host's pid namespace the first process ends and leaves others: delete takes them, too."""
    b = arena.bundle("/bin/sh", "-c", "(setsid sleep 1000 &); (setsid sleep 1000 &); sleep 0.1")
    b.without_namespace("pid")
    id = arena.runtime.start_detached(b)
    arena.runtime.wait_status(id, "stopped")
    assert arena.strays()
    assert not arena.remove(id)


def test_fork_bomb_is_held(arena):
    """pids.limit holds, and `delete --force` wins against processes that fork as fast as they can."""
    b = arena.bundle("/bin/sh", "-c", "f() { f & f; }; trap '' TERM; f; sleep 1000; while :; do :; done")
    b.config["linux"]["resources"]["pids"] = {"limit": 40}
    id = arena.runtime.start_detached(b)
    time.sleep(0.3)
    assert len(arena.strays()) <= 40
    assert not arena.remove(id)


def test_state_of_another_boot(arena):
    """A state root on a disk outlives the machine: whatever has the pid, the start time and the inode now is a stranger."""
    id = arena.runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    path = f"{arena.root}/{id}/state.json"
    with open(path) as f:
        record = json.load(f)
    with open("/proc/sys/kernel/random/boot_id") as f:
        assert record["bootId"] == f.read().strip()
    with open(path, "w") as f:
        json.dump({**record, "bootId": "00000000-0000-4000-8000-000000000000"}, f)
    assert arena.runtime.state(id)["status"] == "stopped"
    arena.runtime.call("kill", id, "KILL").failed("not running")
    arena.runtime.exec(id, "/bin/true").failed("stopped")
    assert os.path.exists(f"/proc/{record['pid']}/exe")
    with open(path, "w") as f:
        json.dump(record, f)
    assert arena.runtime.state(id)["status"] == "running"
    assert not arena.remove(id)
