"""Escapes through a process that joins a running container, and through the runtime's own binary."""

import hashlib
import os
import shutil
import subprocess

import pytest
from harness import Bundle, Leaks, Runtime
from harness.runtime import NEMOSHELL
from lab import attempt, call_with_fds, capabilities, read, wait_for

EXECS = 60


@pytest.fixture
def copied(work):
    """A runtime whose binary is a copy that may be destroyed."""
    leaks = Leaks(work)
    binary = f"{work}/runtime-copy"
    shutil.copy(NEMOSHELL, binary)
    os.chmod(binary, 0o755)
    r = Runtime(f"{work}/root", binary=binary)
    yield r
    r.cleanup()
    leaks.check()


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Snoop:
    """A container whose first process watches /proc for processes that join it."""

    def __init__(self, runtime, armed, target, marker, *more):
        self.armed = armed
        self.runtime = runtime
        capabilities(armed, "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", *more)
        s = os.stat(target)
        self.out = f"{armed.rootfs}/tmp/snoop"
        armed.sh(f"exec /attack snoop {s.st_dev}:{s.st_ino} {marker} /tmp/stop >/tmp/snoop 2>&1")
        self.id = runtime.start_detached(armed)
        wait_for(lambda: "READY" in self.text(), what="the snoop is ready")
        self.pid = runtime.state(self.id)["pid"]

    def text(self):
        return read(self.out)

    def stop(self):
        with open(f"{self.armed.rootfs}/tmp/stop", "w"):
            pass
        wait_for(lambda: "DONE" in self.text(), what="the snoop has ended")
        return self.text()


def test_the_snoop_catches_an_unprotected_process(copied, armed, helper, work, canary):
    """The detector of the tests below: a process that joins with its binary writable and a host directory open is
    overwritten, and the host is reached through its descriptor."""
    binary = f"{work}/naive"
    shutil.copy(helper, binary)
    snoop = Snoop(copied, armed, binary, canary.marker)
    before = digest(binary)
    subprocess.run([binary, "naive", str(snoop.pid), canary.path, "0.5"], check=True)
    text = snoop.stop()
    assert "REACHED fd" in text, text
    assert "WROTE" in text, text
    assert digest(binary) != before


def test_cve_2016_9962_exec_process_reachable(runtime, armed, canary):
    """A process that joins by `exec` shows the container no directory of the host, neither by a descriptor nor by its
    root or working directory. Catalogue A2."""
    snoop = Snoop(runtime, armed, NEMOSHELL, canary.marker)
    for _ in range(EXECS):
        runtime.exec(snoop.id, "/bin/true").ok()
    text = snoop.stop()
    assert "REACHED" not in text, text


def test_cve_2016_9962_exec_with_host_descriptors_of_the_caller(runtime, armed, canary):
    """The same when the caller of `exec` leaks host directories to the runtime."""
    snoop = Snoop(runtime, armed, NEMOSHELL, canary.marker)
    directory = os.open(canary.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for _ in range(EXECS // 3):
            r = call_with_fds(runtime, {n: directory for n in range(3, 9)}, "exec", "--cwd", "/", snoop.id, "/bin/true")
            assert r.returncode == 0, r.stdout
    finally:
        os.close(directory)
    text = snoop.stop()
    assert "REACHED" not in text, text


def test_cve_2016_9962_process_that_waits_for_start(runtime, armed, work, canary):
    """A created container in the pid namespace of another shows it no directory of the host while it waits."""
    capabilities(armed, "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")
    armed.config["process"]["args"] = ["/bin/sleep", "100"]
    neighbour = runtime.start_detached(armed)
    waiting = Bundle(f"{work}/waiting", "/bin/true")
    waiting.namespace("pid", f"/proc/{runtime.state(neighbour)['pid']}/ns/pid")
    runtime.create(waiting).ok()
    r = runtime.exec(neighbour, "/bin/sh", "-c",
                     f"/attack snoop 0:0 {canary.marker} /tmp/stop & sleep 0.5; touch /tmp/stop; wait").ok()
    assert "SEEN" in r.out, "the snoop sees the process that waits"
    assert "REACHED" not in r.out, r.out


@pytest.mark.parametrize("more", [[], ["CAP_SYS_ADMIN"]], ids=["usual", "with CAP_SYS_ADMIN"])
def test_cve_2019_5736_binary_overwrite(copied, armed, canary, more):
    """The runtime's binary cannot be opened for writing from inside, whatever `exec` or an entry point runs, not even by
    one who may change mounts.
    Catalogue A1."""
    before = digest(copied.binary)
    snoop = Snoop(copied, armed, copied.binary, canary.marker, *more)
    os.symlink("/proc/self/exe", f"{armed.rootfs}/bin/self")
    with open(f"{armed.rootfs}/bin/script", "w") as f:
        f.write("#!/proc/self/exe\n")
    os.chmod(f"{armed.rootfs}/bin/script", 0o755)
    for i in range(EXECS):
        copied.exec(snoop.id, ["/bin/true", "/proc/self/exe", "/bin/self", "/bin/script"][i % 4])
    for entry in ("/proc/self/exe", "/bin/self", "/bin/script"):
        # An init that runs the runtime's binary, in the pid namespace where the snoop watches.
        armed.namespace("pid", f"/proc/{snoop.pid}/ns/pid")
        armed.config["process"]["args"] = [entry, "--version"]
        attempt(copied, armed)
    text = snoop.stop()
    assert "WROTE" not in text and "REMOUNTED" not in text, text
    assert digest(copied.binary) == before
