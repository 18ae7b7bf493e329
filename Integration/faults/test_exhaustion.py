"""State directories that are full or read-only, too few descriptors, outputs that cannot be written."""

import json
import os
import subprocess

import pytest
from harness.arena import brief, cgroups_named, crashed
from harness.inject import ALL
from scenes import Scenes


@pytest.fixture
def small_root(arena):
    """Mounts a tmpfs with the given options as the runtime's state root; taken away at the end."""
    mounted = []

    def mount(options):
        os.makedirs(arena.root, exist_ok=True)
        subprocess.check_call(["mount", "-t", "tmpfs", "-o", options, "nst", arena.root])
        mounted.append(arena.root)

    yield mount
    for path in mounted:
        arena.scrub()
        subprocess.run(["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)


def residue(arena, id):
    """What is left besides the mount that the test itself made."""
    left = arena.settled([id], within=0.2)
    left.pop("mounts", None)
    if left:
        left = arena.settled([id], within=2)
        left.pop("mounts", None)
    return left


@pytest.mark.parametrize("pages", range(0, 5))
def test_full_state_directory(arena, small_root, pages):
    """ENOSPC: a refusal that leaves nothing; with room again the same id works."""
    small_root("size=64k")
    filler = f"{arena.root}/.filler"
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            f.truncate(max(0, f.tell() - pages * 4096))
    b = arena.bundle("/bin/sleep", "1000")
    b.config["annotations"] = {"org.example.padding": "x" * 6000}
    r = arena.runtime.create(b)
    assert not crashed(r), r
    if r.code != 0:
        r.failed("no space left on device")
        assert not residue(arena, r.id), r.err
    else:
        assert arena.runtime.state(r.id)["status"] == "created"
        arena.runtime.call("delete", "--force", r.id).ok()
        assert not residue(arena, r.id)
    os.unlink(filler)
    arena.runtime.run(arena.bundle("/bin/true"), id=r.id).ok()
    assert not residue(arena, r.id)


def test_full_while_the_container_lives(arena, small_root):
    """A state directory that fills up after create: state, kill and delete still do their work."""
    small_root("size=128k")
    id = arena.runtime.create(arena.bundle("/bin/sleep", "1000")).ok().id
    with open(f"{arena.root}/.filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == 28
    r = arena.runtime.call("start", id)
    assert not crashed(r)
    assert arena.runtime.state(id)["status"] == ("running" if r.code == 0 else "created")
    arena.runtime.call("delete", "--force", id).ok()
    assert not residue(arena, id)


@pytest.mark.parametrize("inodes", range(2, 6))
def test_no_inodes(arena, small_root, inodes):
    small_root(f"nr_inodes={inodes}")
    r = arena.runtime.create(arena.bundle("/bin/sleep", "1000"))
    assert not crashed(r), r
    if r.code != 0:
        assert r.err.strip()
        assert not residue(arena, r.id), r.err
    arena.runtime.call("delete", "--force", r.id).ok()
    assert not residue(arena, r.id)


def test_read_only_state_directory(arena, small_root):
    """Nothing can be made; what is there can still be asked for."""
    small_root("size=1m")
    id = arena.runtime.create(arena.bundle("/bin/sleep", "1000")).ok().id
    subprocess.check_call(["mount", "-o", "remount,ro", arena.root])
    r = arena.runtime.create(arena.bundle("/bin/true"))
    r.failed("read-only file system")
    assert not cgroups_named(r.id)
    assert len(arena.strays()) == 1, "more than the first container's process lives"
    assert arena.runtime.state(id)["status"] == "created"
    assert id in arena.runtime.call("list", "-q").ok().out
    r = arena.runtime.call("delete", "--force", id)
    assert not crashed(r)
    subprocess.check_call(["mount", "-o", "remount,rw", arena.root])
    arena.runtime.call("delete", "--force", id).ok()
    assert not residue(arena, id)


def limited(arena, limit, value, *command):
    """Calls the runtime under a resource limit of its own."""
    # Not set in a fork of this process: the threads of the engines' clients do not survive that.
    arena.runtime.prefix = ["prlimit", f"--{limit.removeprefix('RLIMIT_').lower()}={value}"]
    try:
        return arena.runtime.call(*command, timeout=10)
    finally:
        arena.runtime.prefix = []


@pytest.mark.parametrize("verb", ["run", "create", "exec", "state", "delete-force", "list"])
def test_few_descriptors(arena, verb):
    """RLIMIT_NOFILE from 3 up: a refusal or success, never a hang, a crash or something left."""
    scene = Scenes(arena)
    wrong = []
    limits = range(3, 41) if ALL else [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 16, 20, 24, 30, 36, 40]
    reached = False
    for limit in limits:
        command = {"state": ["state", scene.id], "list": ["list"]}.get(verb) or scene.command(verb)
        r = limited(arena, "RLIMIT_NOFILE", limit, *command)
        label = f"RLIMIT_NOFILE {limit}"
        if crashed(r):
            wrong.append(f"{label}: {crashed(r)}")
        if r.code != 0 and not r.err.strip():
            wrong.append(f"{label}: exit {r.code} without a word")
        if r.code != 0 and verb in ("run", "create"):
            left = arena.settled([scene.id], within=1)
            if left:
                wrong.append(f"{label}: refused ({brief(r)}), but left {left}")
        reached = reached or r.code == 0
        wrong += [f"{label}: {w}" for w in arena.remove(scene.id)]
        if len(wrong) > 6:
            break
    assert not wrong, "\n".join(wrong)
    assert reached or verb == "state", "not even 40 descriptors are enough"


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_STACK", "RLIMIT_DATA"])
def test_little_of_other_things(arena, limit):
    """Other limits of the caller, small: the container runs, or a refusal leaves nothing that cannot be removed."""
    scene = Scenes(arena)
    wrong = []
    for value in (0, 4096, 1 << 20, 16 << 20):
        if limit == "RLIMIT_AS" and value < 1 << 20:
            continue  # the program could not even be loaded
        if limit == "RLIMIT_STACK" and value < 64 << 10:
            continue
        # Root's processes are not counted against RLIMIT_NPROC, so this one only must not disturb.
        r = limited(arena, limit, value, *scene.command("create"))
        if crashed(r) and limit not in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_STACK") and r.code != 153:
            wrong.append(f"{limit} {value}: {crashed(r)}: {r.err[-2000:]}")
        wrong += [f"{limit} {value}: {w}" for w in arena.remove(scene.id)]
    wrong += arena.usable(scene.id, scene.plain)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("verb", ["list", "state", "features", "spec-help", "ps", "version"])
@pytest.mark.parametrize("where", ["full", "closed", "broken pipe"])
def test_output_that_cannot_be_written(arena, verb, where):
    """stdout on a full device, closed, or a pipe nobody reads: an end with a status, no crash, no hang."""
    id = arena.runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    command = {"list": ["list"], "state": ["state", id], "features": ["features"], "spec-help": ["spec", "--help"],
               "ps": ["ps", id], "version": ["--version"]}[verb]
    extra = {}
    if where == "full":
        target = open("/dev/full", "w")
        extra = {"stdout": target}
    elif where == "closed":
        target = None
        extra = {"closed": [1]}
    else:
        reading, writing = os.pipe()
        os.close(reading)
        target = os.fdopen(writing, "w")
        extra = {"stdout": target}
    r = arena.runtime.call(*command, timeout=5, **extra)
    if target:
        target.close()
    assert not crashed(r), r
    if where == "full" and verb in ("list", "state", "ps"):
        assert r.code != 0, "says success although the answer was lost"
    assert arena.runtime.state(id)["status"] == "running"


def test_streams_closed(arena):
    """create, start, exec and delete with all three streams closed: no descriptor of the runtime's takes their place."""
    b = arena.bundle("/bin/sleep", "1000")
    b.save()
    id = arena.runtime.new_id()
    for command in (["create", "--bundle", b.path, id], ["start", id], ["exec", id, "/bin/true"]):
        assert arena.runtime.call(*command, closed=[0, 1, 2]).code == 0, command
    pid = json.loads(arena.runtime.call("state", id).ok().out)["pid"]
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert target == "/dev/null" or target.startswith("pipe:"), f"descriptor {fd} of the container is {target}"
    assert arena.runtime.call("delete", "--force", id, closed=[0, 1, 2]).code == 0
    assert not arena.settled([id])
