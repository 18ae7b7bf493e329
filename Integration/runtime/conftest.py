"""Fixtures of the runtime's own tests: the probe inside the container, and a leak check that knows its own traces."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.dirname(HERE))

from harness import Bundle, Leaks, Runtime  # noqa: E402

#: On a machine that others use at the same time, only what bears the test's own name counts as left behind.
SHARED_MACHINE = bool(os.environ.get("NEMOSHELL_SHARED_MACHINE"))


@pytest.fixture(scope="session")
def probe_binary():
    """The program that containers ask the kernel with (helpers/probe.c)."""
    directory = tempfile.mkdtemp(prefix="nemoshell-probe-")
    binary = f"{directory}/probe"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", binary,
                    *sorted(glob.glob(f"{HERE}/helpers/*.c"))], check=True)
    yield binary
    shutil.rmtree(directory)


@pytest.fixture
def runtime(work):
    """The runtime under test with a root of its own; every container it made is removed, then nothing may be left."""
    leaks = Leaks(work)
    r = Runtime(f"{work}/root")
    # Ids, and all that is named after them, carry the test's own mark.
    r.mark = os.path.basename(work)
    r.new_id = lambda prefix="": _new_id(r, prefix)
    yield r
    r.cleanup()
    left = leaks.found()
    if SHARED_MACHINE:
        left = {kind: [x for x in found if r.mark in str(x)] if kind != "processes" else found
                for kind, found in left.items()}
        left = {kind: found for kind, found in left.items() if found}
    # The cache of compiled filters stays by design; it may be deleted at any time.
    state = [name for name in os.listdir(r.root) if name != ".cache"] if os.path.isdir(r.root) else []
    if state:
        left["state"] = state
    assert not left, f"left behind: {left}"


def _new_id(runtime, prefix):
    runtime._counter += 1
    name = f"{prefix}{runtime.mark}-{runtime._counter}"
    runtime.ids.append(name)
    return name


@pytest.fixture
def host_settings():
    """What a wrong runtime could change on the host: put back after the test, and the change is a failure."""
    paths = [f"/proc/sys/{name}" for name in ("kernel/hostname", "kernel/domainname", "kernel/panic", "vm/swappiness",
                                              "kernel/core_pattern", "kernel/msgmax", "net/ipv4/ip_forward")]

    def read():
        values = {}
        for path in paths:
            with open(path) as f:
                values[path] = f.read()
        return values
    before = read()
    yield
    changed = {path: (before[path], now) for path, now in read().items() if now != before[path]}
    for path in changed:
        with open(path, "w") as f:
            f.write(before[path])
    assert not changed, f"the host's settings were changed: {changed}"


@pytest.fixture
def bundle(work, probe_binary):
    """A busybox bundle with the probe at /bin/probe; it runs /bin/true until a test changes `bundle.config`."""
    b = Bundle(f"{work}/bundle")
    shutil.copy(probe_binary, f"{b.rootfs}/bin/probe")
    return b
