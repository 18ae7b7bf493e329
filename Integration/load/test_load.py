"""Many containers, one after the other and at once: nothing accumulates, nothing slows down."""

import json
import os
import statistics
import subprocess
import time

import pytest
from harness.arena import cgroups_named, crashed

#: Lives one after the other; how many run at once; how many live at the same time.
SOAK = int(os.environ.get("SOAK", "60"))
PARALLEL = int(os.environ.get("PAR", "16"))
LIVE = int(os.environ.get("LIVE", "40"))


def counts():
    """What the kernel holds of everything that a container is made of."""
    with open("/proc/cgroups") as f:
        cgroups = {line.split()[0]: int(line.split()[2]) for line in f if not line.startswith("#")}
    with open("/proc/self/mountinfo") as f:
        mounts = len(f.readlines())
    with open("/proc/keys") as f:
        keys = sum("_ses" in line for line in f)
    return {"pids cgroups": cgroups["pids"], "mounts": mounts, "session keys": keys,
            "descriptors of ours": len(os.listdir("/proc/self/fd")), "links": len(os.listdir("/sys/class/net"))}


def test_soak(arena):
    """SOAK lives, ten at a time: counts return to where they were, and the last are as fast as the first."""
    runtime = arena.runtime
    bundle = arena.bundle("/bin/sleep", "1000")
    bundle.save()
    for _ in range(3):
        arena.runtime.run(arena.bundle("/bin/true")).ok()
    before = counts()
    live, created = [], []
    for n in range(SOAK):
        id = runtime.new_id()
        began = time.monotonic()
        runtime.call("create", "--bundle", bundle.path, id).ok()
        created.append(time.monotonic() - began)
        runtime.call("start", id).ok()
        assert runtime.call("exec", id, "/bin/true").code == 0
        live.append(id)
        if len(live) >= 10:
            old = live.pop(0)
            if n % 3:
                runtime.call("kill", old, "KILL").ok()
                runtime.wait_status(old, "stopped")
                runtime.call("delete", old).ok()
            else:
                runtime.call("delete", "--force", old).ok()
    for id in live:
        runtime.call("delete", "--force", id).ok()
    assert not arena.settled()
    time.sleep(0.2)
    after = counts()
    # Other work on the machine may come and go; what this test leaked would be in the order of SOAK.
    grown = {k: after[k] - before[k] for k in before if after[k] - before[k] > SOAK / 4}
    assert not grown, grown
    half = len(created) // 2
    first, second = statistics.median(created[:half]), statistics.median(created[half:])
    assert second <= 2 * first, f"create went from {first * 1000:.1f} ms to {second * 1000:.1f} ms"


def test_parallel_lives(arena):
    """PAR whole lives at the same time: all succeed."""
    bundle = arena.bundle("/bin/sleep", "1000")
    bundle.save()
    ids = [arena.runtime.new_id() for _ in range(PARALLEL)]
    for make in (lambda i: ["create", "--bundle", bundle.path, i], lambda i: ["start", i],
                 lambda i: ["exec", i, "/bin/true"], lambda i: ["state", i], lambda i: ["kill", i, "KILL"],
                 lambda i: ["delete", "--force", i]):
        running = []
        for id in ids:
            err = open(f"{arena.work}/err-{id}", "w+")
            running.append((arena.runtime.spawn(*make(id), stderr=err), err))
        end = time.monotonic() + 60
        while any(p.poll() is None for p, _ in running):
            assert time.monotonic() < end, "hangs"
            arena.runtime.reap()
            time.sleep(0.002)
        for p, err in running:
            err.seek(0)
            assert p.returncode == 0, f"{p.args}: {err.read()}"
            err.close()
            arena.runtime.own.discard(p.pid)
    assert not arena.settled()


def test_parallel_runs(arena):
    """PAR times `run` at the same time, each with output of its own."""
    running = []
    for n in range(PARALLEL):
        b = arena.bundle("/bin/echo", f"number {n}")
        b.save()
        running.append(arena.popen(arena.runtime.argv("run", "--bundle", b.path, arena.runtime.new_id()),
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for n, p in enumerate(running):
        out, _ = p.communicate(timeout=60)
        assert (p.returncode, out) == (0, f"number {n}\n")
    assert not arena.settled()


def test_many_live(arena):
    """LIVE containers at the same time: the last starts as fast as the first, the runtime keeps no process, `list`
    shows all of them, and the memory of each is its own program's."""
    bundle = arena.bundle("/bin/sleep", "1000")
    bundle.save()
    took = []
    for _ in range(LIVE):
        id = arena.runtime.new_id()
        began = time.monotonic()
        arena.runtime.call("create", "--bundle", bundle.path, id).ok()
        arena.runtime.call("start", id).ok()
        took.append(time.monotonic() - began)
    assert len(arena.strays()) == LIVE, "the runtime keeps processes beside the containers'"
    listed = json.loads(arena.runtime.call("list", "--format", "json").ok().out)
    assert sorted(c["id"] for c in listed) == sorted(arena.runtime.ids)
    assert {c["status"] for c in listed} == {"running"}
    for pid in arena.strays():
        with open(f"/proc/{pid}/status") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        assert rss < 12 << 10, f"{rss} KiB"
    assert sorted(took)[-2] < 1, f"start took {max(took):.2f} s"
    part = max(3, LIVE // 5)
    assert statistics.median(took[-part:]) <= 2 * statistics.median(took[:part]), took
    for id in arena.runtime.ids:
        r = arena.runtime.call("delete", "--force", id)
        assert r.code == 0 and not crashed(r), r
    assert not arena.settled()
    assert not cgroups_named(arena.token)


@pytest.mark.parametrize("count", [20])
def test_many_execs(arena, count):
    """Many programs in one container, one after the other and at once; none stays."""
    id = arena.runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    for _ in range(count):
        arena.runtime.call("exec", id, "/bin/true").ok()
    running = [arena.popen(arena.runtime.argv("exec", id, "/bin/sh", "-c", f"exit {n}"), stderr=subprocess.DEVNULL)
               for n in range(count)]
    assert [p.wait(30) for p in running] == list(range(count))
    assert len(arena.strays()) == 1
