"""Mount, network and pid namespaces for one engine, so that all it makes can be seen, and vanishes with them."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

from harness import Result

#: How long a daemon may take to start or to stop, in seconds.
DAEMON_TIMEOUT = 30

# /run, /etc and /dev/shm are the engine's own: no daemon of the machine is found there, and none is disturbed.
_SETUP = """
set -e
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock /run/etc /run/netns
mount --bind /run/netns /run/netns
mount --make-shared /run/netns
cp -a /etc/. /run/etc
mount --bind /run/etc /etc
ip link set lo up
touch "$1"
exec tini -- sleep infinity
"""


def wait_for(condition, what, timeout=10, step=0.05):
    """Calls `condition` until it gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout} s (last: {value!r})")
        time.sleep(step)


def command(argv, stdin=None, timeout=60, env=None, cwd=None):
    """Runs a command to its end. Output goes through files, so that a process which keeps stdout open cannot make
    this wait. `stdin` is text or bytes."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        if stdin is not None:
            given.write(stdin.encode() if isinstance(stdin, str) else stdin)
            given.seek(0)
        p = subprocess.Popen(argv, stdin=given if stdin is not None else subprocess.DEVNULL, stdout=out, stderr=err,
                             env=env, cwd=cwd)
        try:
            p.wait(timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            out.seek(0)
            err.seek(0)
            raise AssertionError(f"{argv}: no end after {timeout} s\nstdout: {out.read()!r}\n"
                                 f"stderr: {err.read()!r}") from None
        out.seek(0)
        err.seek(0)
        code = p.returncode if p.returncode >= 0 else 128 - p.returncode
        return Result([str(a) for a in argv], code, out.read().decode(errors="replace"),
                      err.read().decode(errors="replace"))


def remove_cgroup(directory):
    """Removes an empty cgroup. Where no hierarchy is mounted Podman makes ordinary directories and files instead."""
    if os.path.exists(f"{directory}/cgroup.procs"):
        os.rmdir(directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _only_child(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        children = f.read().split()
    return int(children[0]) if children else None


class Daemon:
    """A long-running program inside an enclosure. `pid` is the host's number of the program itself."""

    def __init__(self, enclosure, argv, log, env=None):
        self.log = log
        with open(log, "a") as out:
            self._nsenter = subprocess.Popen(enclosure.argv(*argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                             env=env)
        wait_for(lambda: not self.running() or _only_child(self._nsenter.pid), f"{argv[0]}: start")
        assert self.running(), f"{argv}: ended at once\n{self.tail()}"
        self.pid = _only_child(self._nsenter.pid)

    def running(self):
        return self._nsenter.poll() is None

    def stop(self, number=signal.SIGTERM):
        """Ends the daemon by its pid and waits for it; its containers are its own business."""
        if self.running():
            os.kill(self.pid, number)
            self._nsenter.wait(DAEMON_TIMEOUT)

    def tail(self):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-30:])


class Enclosure:
    """Namespaces of an engine. `work` is a directory of its own, the same inside and outside; `cgroup` is the parent
    of all its containers' cgroups."""

    def __init__(self, name, work):
        self.name = name
        self.work = work
        os.makedirs(work)
        self.cgroup = f"/nemoshell-engines-{os.getpid()}-{name}"
        ready = f"{work}/ready"
        self._unshare = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
             "--mount-proc", "--propagation", "private", "sh", "-c", _SETUP, "sh", ready],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(ready) or self._unshare.poll() is not None, f"{name}: namespaces")
        self.init = _only_child(self._unshare.pid)
        assert self.init, f"{name}: the namespaces could not be made"
        self._idle = wait_for(self.processes, f"{name}: init")
        self._before = self._picture()

    def argv(self, *args):
        """The command line that runs `args` in the namespaces."""
        return ["nsenter", "--target", str(self.init), "--mount", "--net", "--pid", "--", *[str(a) for a in args]]

    def call(self, *args, **kw):
        return command(self.argv(*args), **kw)

    def processes(self):
        """Command lines by pid (the enclosure's numbers) of all processes but init."""
        found = {}
        listing = command(self.argv("ps", "-e", "-o", "pid=,ppid=,args=", "-ww")).ok().out
        for line in listing.splitlines():
            pid, _, args = line.split(None, 2)
            if pid != "1" and not args.startswith("ps -e -o "):
                found[pid] = args
        return found

    def cgroups(self):
        """The cgroups under this enclosure's parent, in all hierarchies, deepest first."""
        found = []
        for parent in glob.glob(f"/sys/fs/cgroup/*{self.cgroup}"):
            found += [directory for directory, _, _ in os.walk(parent, topdown=False)]
        return found

    def _picture(self):
        links = self.call("ls", "/sys/class/net").ok().out.split()
        with open(f"/proc/{self.init}/mountinfo") as f:
            mounts = {" ".join(line.split()[2:5]) for line in f}
        with open("/proc/self/mountinfo") as f:
            outside = {line.split()[4] for line in f if self.work in line}
        return {"mounts": mounts, "mounts outside": outside, "links": set(links)}

    def left_behind(self, bridges=()):
        """What is there now beyond what was there at the start, by kind. `bridges` are links that the engine keeps
        for later containers. Cgroups count when they lie below the enclosure's parent, which engines keep."""
        now = self._picture()
        left = {kind: sorted(now[kind] - self._before[kind]) for kind in now}
        left["links"] = [name for name in left["links"] if name not in bridges]
        left["processes"] = {pid: args for pid, args in self.processes().items() if pid not in self._idle}
        parents = {f"{h}{self.cgroup}" for h in glob.glob("/sys/fs/cgroup/*")}
        left["cgroups"] = [c for c in self.cgroups() if c not in parents]
        left["state"] = sorted(glob.glob(f"/proc/{self.init}/root/run/nemoshell/*"))
        names = glob.glob(f"/proc/{self.init}/root/run/netns/*")
        left["netns"] = [os.path.basename(name) for name in names]
        return {kind: found for kind, found in left.items() if found}

    def close(self):
        """Ends every process inside and removes the cgroups."""
        if self._unshare.poll() is None:
            os.kill(self.init, signal.SIGKILL)
            self._unshare.wait(DAEMON_TIMEOUT)

        def removed():
            for directory in self.cgroups():
                try:
                    remove_cgroup(directory)
                except OSError:
                    return False
            return True

        wait_for(removed, f"{self.name}: its cgroups are not empty")
