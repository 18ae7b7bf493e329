"""`nemoshell doctor`: what the kernel answers, and what of it a blueprint lacks."""

import json
import os
import pathlib
import subprocess

import pytest

from harness.runtime import NEMOSHELL

HERE = pathlib.Path(__file__).resolve().parent
LANDLOCK_CREATE_RULESET = 444
UNSHARE = 272
ENOSYS, EPERM = 38, 1


def doctor(*args, through=()):
    done = subprocess.run([*through, NEMOSHELL, "doctor", *args], capture_output=True, text=True, timeout=60, check=False)
    return done


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    """A command line that runs another one in a kernel whose call answers an errno."""
    helper = tmp_path_factory.mktemp("helper") / "lock"
    subprocess.run(["gcc", "-static", "-O1", "-o", helper, HERE.parent / "landlock/helpers/lock.c"], check=True)
    return lambda call, errno: [str(helper), "answering", str(call), str(errno)]


@pytest.fixture
def blueprint(work):
    path = os.path.join(work, "agent.yaml")
    subprocess.run([NEMOSHELL, "blueprint", "new", path], check=True)
    return path


def test_everything_is_here(blueprint):
    """This machine holds the default blueprint; the table has a line for each kind, columns aligned."""
    done = doctor(blueprint)
    assert done.returncode == 0 and not done.stderr, done
    lines = done.stdout.splitlines()
    assert [line[:16].strip() for line in lines] == ["kernel", "Landlock", "seccomp", "namespaces", "user namespaces", "cgroups", "nftables", "audit",
                                                     "idmapped mounts", "system calls"]
    assert all(line[17:23].strip() in ("", "yes", "partly", "no", "?") for line in lines)


def test_json_says_the_same_as_features():
    answer = json.loads(doctor("--json").stdout)
    features = json.loads(subprocess.check_output([NEMOSHELL, "features"], text=True))
    assert answer["landlock_abi"] == features["linux"]["landlock"]["abi"] and answer["missing"] == []
    assert {"memory", "cpu", "pids"} <= set(answer["cgroup_controllers"])


def test_a_kernel_without_landlock(answering, blueprint):
    """One line says what is missing, who needs it and what to do; a blueprint that does without is satisfied."""
    done = doctor(blueprint, through=answering(LANDLOCK_CREATE_RULESET, ENOSYS))
    missing = [line for line in done.stdout.splitlines() if line.startswith("missing: ")]
    assert done.returncode == 1 and len(missing) == 1 and not done.stderr
    assert "Landlock (ENOSYS)" in missing[0] and "hard_requirement" in missing[0] and "lsm=" in missing[0]
    text = pathlib.Path(blueprint).read_text().replace("compatibility: hard_requirement", "compatibility: best_effort")
    pathlib.Path(blueprint).write_text(text)
    assert doctor(blueprint, through=answering(LANDLOCK_CREATE_RULESET, ENOSYS)).returncode == 0


def test_a_place_where_no_namespace_can_be_made(answering):
    done = doctor("--json", through=answering(UNSHARE, EPERM))
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and len(answer["missing"]) == 6, "all but user namespaces, which are no requirement"
    rows = {row["name"]: row for row in answer["host"]}
    assert rows["namespaces"]["state"] == "no" and rows["user namespaces"]["detail"] == "EPERM"


def test_misuse(work):
    for words in [("/nonexistent",), ("--nope",), (work,)]:
        done = doctor(*words)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("nemoshell: "), words
