"""Fixtures for every integration test."""

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import Arena, Bundle, Leaks, Runtime  # noqa: E402
from harness.inject import SEED  # noqa: E402


def pytest_report_header():
    return f"SEED={SEED} (sampled faults, timings and mutations repeat with it)"


@pytest.fixture
def work():
    """A directory of the test's own, outside any mount that a container could see."""
    path = tempfile.mkdtemp(prefix="nemoshell-test-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def runtime(work):
    """The runtime under test with a root of its own; every container it made is removed, then nothing may be left."""
    leaks = Leaks(work)
    r = Runtime(f"{work}/root")
    yield r
    r.cleanup()
    leaks.check()


@pytest.fixture
def bundle(work):
    """A busybox bundle that runs /bin/true; tests change `bundle.config`."""
    return Bundle(f"{work}/bundle")


@pytest.fixture
def arena():
    """A place to break the runtime in: everything in it carries one token, and nothing of it may be left."""
    a = Arena()
    yield a
    left = a.close()
    assert not left, f"left behind: {left}"


def _open_tests():
    """What the runtime does not fulfil yet, from open.txt: a test id (or its beginning) and the reason, a line each."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "open.txt")
    with open(path) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                node, reason = line.rstrip("\n").split("  ", 1)
                yield node, reason.strip()


def pytest_collection_modifyitems(items):
    """Runs the tests of open.txt all the same, and reports them as expected failures."""
    known = list(_open_tests())
    for item in items:
        for node, reason in known:
            if item.nodeid.endswith(node) or f"{node}[" in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
