"""Several commands on one id at the same time: one wins, the others are refused, and the winner is whole."""

import json
import os
import subprocess
import time

import pytest
from harness.arena import crashed
from harness.runtime import Result


def together(arena, *commands, timeout=20):
    """Runs all commands at once and returns their results."""
    running = []
    for n, command in enumerate(commands):
        out, err = open(f"{arena.work}/out{n}", "w+"), open(f"{arena.work}/err{n}", "w+")
        running.append((arena.runtime.spawn(*command, stdout=out, stderr=err), out, err))
    end, results = time.monotonic() + timeout, []
    while any(p.poll() is None for p, _, _ in running):
        assert time.monotonic() < end, f"hangs: {[p.args for p, _, _ in running if p.poll() is None]}"
        arena.runtime.reap()
        time.sleep(0.002)
    for p, out, err in running:
        out.seek(0)
        err.seek(0)
        code = p.returncode if p.returncode >= 0 else 128 - p.returncode
        results.append(Result(p.args, code, out.read(), err.read()))
        out.close()
        err.close()
        arena.runtime.own.discard(p.pid)
        assert not crashed(results[-1]), results[-1]
    return results


@pytest.mark.parametrize("round", range(3))
def test_twelve_creates(arena, round):
    """mkdir is the arbiter: exactly one create wins, and no loser's cleaning up touches what the winner made."""
    b = arena.bundle("/bin/sleep", "1000")
    b.save()
    id = arena.runtime.new_id()
    results = together(arena, *[["create", "--bundle", b.path, id]] * 12)
    winners = [r for r in results if r.code == 0]
    assert len(winners) == 1, [(r.code, r.err) for r in results]
    for r in results:
        assert r.code in (0, 1) and (r.code == 0 or r.err.strip()), r
    assert arena.runtime.state(id)["status"] == "created"
    arena.runtime.call("start", id).ok()
    assert arena.runtime.exec(id, "/bin/echo", "whole").ok().out == "whole\n"
    assert not arena.remove(id)


def test_eight_starts(arena):
    b = arena.bundle("/bin/sleep", "1000")
    id = arena.runtime.create(b).ok().id
    results = together(arena, *[["start", id]] * 8)
    assert len([r for r in results if r.code == 0]) == 1, [(r.code, r.err) for r in results]
    assert arena.runtime.state(id)["status"] == "running"
    assert not arena.remove(id)


@pytest.mark.parametrize("force", [True, False])
def test_eight_deletes(arena, force):
    """Every one of them ends, at least one says success, nothing stays."""
    b = arena.bundle("/bin/sleep", "1000")
    id = arena.runtime.start_detached(b)
    if not force:
        arena.runtime.call("kill", id, "KILL").ok()
        arena.runtime.wait_status(id, "stopped")
    results = together(arena, *[["delete", *(["--force"] if force else []), id]] * 8)
    assert any(r.code == 0 for r in results), [(r.code, r.err) for r in results]
    if force:
        assert all(r.code == 0 for r in results), [(r.code, r.err) for r in results]
    assert not arena.settled([id])
    assert not arena.usable(id, arena.bundle("/bin/true"))


@pytest.mark.parametrize("round", range(4))
def test_everything_at_once(arena, round):
    """Verbs of all kinds on one id in one moment: each ends, nothing stays, the id works afterwards."""
    b = arena.bundle("/bin/sleep", "1000")
    b.save()
    id = arena.runtime.new_id()
    if round % 2:
        arena.runtime.create(b, id=id).ok()
    commands = [["create", "--bundle", b.path, id], ["start", id], ["delete", "--force", id], ["state", id],
                ["kill", id, "KILL"], ["exec", id, "/bin/true"], ["pause", id], ["resume", id], ["delete", id],
                ["update", "--pids-limit", "20", id], ["list", "-q"], ["run", "--detach", "--bundle", b.path, id]]
    commands = commands[round:] + commands[:round]
    together(arena, *commands)
    assert not arena.remove(id)
    assert not arena.usable(id, arena.bundle("/bin/true"))


def test_state_answers_during_a_long_create(arena):
    """A hook that takes long must not make `state` and `list` wait for it."""
    b = arena.bundle("/bin/sleep", "1000")
    b.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"touch {arena.work}/in; exec sleep 4"]}]}
    b.save()
    id = arena.runtime.new_id()
    p = arena.popen(arena.runtime.argv("create", "--bundle", b.path, id), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 5
    while not os.path.exists(f"{arena.work}/in"):
        assert time.monotonic() < end
        time.sleep(0.01)
    began = time.monotonic()
    r = arena.runtime.call("state", id, timeout=3)
    assert not crashed(r)
    if r.code == 0:
        assert json.loads(r.out)["status"] in ("creating", "created")
    json.loads(arena.runtime.call("list", "--format", "json", timeout=3).ok().out or "null")
    assert time.monotonic() - began < 2
    p.kill()
    p.wait()
    assert not arena.remove(id)
