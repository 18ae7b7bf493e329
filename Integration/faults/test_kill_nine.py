"""SIGKILL of the runtime at every step of every verb: whatever is left, `delete --force` removes it, and the id is free."""

import os
import time

import pytest
from harness.arena import brief, crashed
from harness.inject import ALL, injected, sample, steps
from scenes import Scenes

#: verb -> how many steps a sampled run takes (FAULTS=all: every one).
VERBS = {"create": 30, "run": 6, "start": 8, "exec": 12, "exec-detached": 6, "delete": 8, "delete-force": 8, "kill": 3,
         "pause": 3, "resume": 3, "update": 3}

#: Verbs after whose death the container must run on as if nothing had been.
HARMLESS = {"exec", "exec-detached", "update", "resume"}


def after_death(arena, scene, verb, n):
    """What is wrong after the runtime died in `verb`; the container is gone afterwards."""
    wrong = []
    runtime = arena.runtime
    asked = runtime.call("state", scene.id) if n % 2 else runtime.call("list", "--format", "json")
    if crashed(asked):
        wrong.append(f"{asked.argv[-2:]}: {crashed(asked)}")
    if not n % 2 and asked.code != 0:
        wrong.append(f"list: exit {asked.code}: {brief(asked)}")
    if verb in HARMLESS and not os.path.exists(f"/proc/{scene.pid}"):
        wrong.append("the container's first process died with it")
    wrong += arena.remove(scene.id)
    return wrong or arena.usable(scene.id, scene.plain)


@pytest.mark.parametrize("whom", ["parent", "any"])
@pytest.mark.parametrize("verb", VERBS)
def test_kill_nine(arena, verb, whom):
    """`parent`: the process that the caller started; `any`: whichever of its processes comes to the step first."""
    scene = Scenes(arena)
    follow = whom == "any"
    found = steps(arena, *scene.command(verb), follow=follow)
    assert not arena.remove(scene.id)
    wrong, killed = [], 0
    for n, (call, when) in enumerate(sample(found, VERBS[verb], f"{verb}/{whom}")):
        command = scene.command(verb)
        result = injected(arena, call, when, "signal=KILL", *command, follow=follow)
        label = f"killed at {call} #{when}"
        if result is None:
            wrong.append(f"{label}: hangs")
        elif crashed(result):
            wrong.append(f"{label}: {crashed(result)}")
        elif result.code == 137:
            killed += 1
        wrong += [f"{label}: {w}" for w in after_death(arena, scene, verb, n)]
        if len(wrong) > (200 if ALL else 8):
            break
    assert not wrong, "\n".join(wrong)
    assert killed, "no step was hit: the injection does not work"


def test_kill_nine_in_a_hook(arena):
    """The runtime dies while a hook runs: the hook's process and the container's go with `delete --force`."""
    wrong = []
    for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart"):
        scene = Scenes(arena)
        flag = f"{arena.work}/{kind}"
        inside = kind in ("startContainer",)
        script = "sleep 1000" if inside else f"touch {flag}; exec sleep 1000"
        scene.bundle.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
        scene.bundle.save()
        p = arena.popen(arena.runtime.argv("run", "--detach", "--bundle", scene.bundle.path, scene.id))
        end = time.monotonic() + 5
        while time.monotonic() < end and not os.path.exists(flag):
            if inside and time.monotonic() > end - 4:
                break
            time.sleep(0.01)
        p.kill()
        p.wait()
        wrong += [f"{kind}: {w}" for w in arena.remove(scene.id) or arena.usable(scene.id, scene.plain)]
    assert not wrong, "\n".join(wrong)


def test_kill_nine_twice(arena):
    """Killed in create, then killed in the `delete --force` that cleans up: a second `delete --force` does it."""
    scene = Scenes(arena)
    found = steps(arena, *scene.command("create"), follow=False)
    removal = steps(arena, "delete", "--force", scene.id, follow=False)
    assert not arena.remove(scene.id)
    wrong = []
    points = sample(found, 8, "twice")
    for n, (call, when) in enumerate(points):
        injected(arena, call, when, "signal=KILL", *scene.command("create"), follow=False)
        again = removal[(n * 2 + 1) * len(removal) // (2 * len(points)) % len(removal)]
        injected(arena, *again, "signal=KILL", "delete", "--force", scene.id, follow=False)
        label = f"create killed at {call} #{when}, delete at {again[0]} #{again[1]}"
        wrong += [f"{label}: {w}" for w in arena.remove(scene.id) or arena.usable(scene.id, scene.plain)]
    assert not wrong, "\n".join(wrong)
