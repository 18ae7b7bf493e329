"""Fixtures of the attacks."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab import Canary, arm  # noqa: E402


@pytest.fixture(scope="session")
def helper():
    """The hostile helper, one static program (see helpers/main.c)."""
    directory = tempfile.mkdtemp(prefix="nemoshell-attack-")
    binary = f"{directory}/attack"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", binary,
                    *sorted(glob.glob(f"{HERE}/helpers/*.c"))], check=True)
    yield binary
    shutil.rmtree(directory)


@pytest.fixture
def canary(work):
    """A host directory whose every change is noticed (it has shown so before a test gets it), checked at the end."""
    c = Canary(f"{work}/canary")
    yield c
    c.check("at the end")


@pytest.fixture
def armed(bundle, helper):
    """The bundle with the hostile helper at /attack."""
    return arm(bundle, helper)
