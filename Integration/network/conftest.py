"""Fixtures of the network's tests: the lab, and sandboxes of every runtime."""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.dirname(HERE))

from harness.runtime import NEMOSHELL  # noqa: E402
from netlab import Lab, LabRuntime, Sandboxes  # noqa: E402


@pytest.fixture(scope="session")
def dial():
    """The program that tries things on the network (helpers/dial.c)."""
    directory = tempfile.mkdtemp(prefix="nemoshell-dial-")
    binary = f"{directory}/dial"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", binary, f"{HERE}/helpers/dial.c"],
                   check=True)
    yield binary
    shutil.rmtree(directory)


@pytest.fixture
def lab(work):
    """The lab; after the test nothing of any sandbox may be left on its host."""
    made = Lab(work)
    yield made
    left = made.traces()
    made.close()
    assert not left, f"left behind: {left}"


def _sandboxes(lab, dial, binary):
    runtime = LabRuntime(lab, binary)
    yield Sandboxes(lab, runtime, dial)
    runtime.cleanup()


@pytest.fixture
def sandboxes(lab, dial):
    """Sandboxes of nemoshell."""
    yield from _sandboxes(lab, dial, NEMOSHELL)


@pytest.fixture(params=["nemoshell", "runc", "crun"])
def any_sandboxes(request, lab, dial):
    """Sandboxes of each runtime: the hook is the same."""
    yield from _sandboxes(lab, dial, NEMOSHELL if request.param == "nemoshell" else shutil.which(request.param))
