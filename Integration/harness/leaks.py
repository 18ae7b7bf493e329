"""What a test may not leave behind: mounts, cgroups, processes, network namespaces, links, state."""

import glob
import os


def _mounts():
    with open("/proc/self/mountinfo") as f:
        return {" ".join(line.split()[2:5]) for line in f}


def _cgroups():
    found = set()
    for hierarchy in glob.glob("/sys/fs/cgroup/*"):
        if os.path.isdir(hierarchy):
            for directory, _, _ in os.walk(hierarchy):
                found.add(directory)
    return found


def _processes(marker):
    found = {}
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in command:
            found[pid] = command
    return found


class Leaks:
    """A picture of the machine; `check()` compares with a later one. `marker` is a text in the command lines of the
    processes that would count (a test's own temporary directory, say)."""

    def __init__(self, marker):
        self.marker = marker
        self.before = self._picture()

    def _picture(self):
        return {
            "mounts": _mounts(),
            "cgroups": _cgroups(),
            "links": set(os.listdir("/sys/class/net")),
            "netns": set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set(),
        }

    def found(self):
        """What is there now and was not before, by kind; empty when nothing leaked."""
        now = self._picture()
        left = {kind: sorted(x for x in now[kind] - self.before[kind] if self._is_own(x)) for kind in now}
        left = {kind: found for kind, found in left.items() if found}
        processes = _processes(self.marker)
        if processes:
            left["processes"] = processes
        return left

    def _is_own(self, name):
        """On a machine that others use at the same time, only what bears the test's own names counts."""
        if not os.environ.get("NEMOSHELL_SHARED_MACHINE"):
            return True
        return os.path.basename(self.marker) in name or f"nst-{os.getpid()}-" in name

    def check(self):
        left = self.found()
        assert not left, f"left behind: {left}"
