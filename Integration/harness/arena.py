"""A place to break a runtime in: containers whose every trace carries one token, so that what one test leaves behind
is found exactly, whatever else runs on the machine."""

import copy
import ctypes
import glob
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time

from .bundle import Bundle, minimal_config
from .runtime import NEMOSHELL, Result, Runtime

PR_SET_CHILD_SUBREAPER = 36

#: Exit codes that say the runtime itself crashed (128 + SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS).
CRASHES = {128 + s for s in (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE,
                             signal.SIGSEGV, signal.SIGSYS)}

#: What a runtime prints when it dies by a bug instead of by a decision.
CRASH_TEXTS = ("Fatal error", "panic:", "runtime error:", "AddressSanitizer", "stack smashing", "Program crashed")

_libc = ctypes.CDLL(None, use_errno=True)


class Hang(AssertionError):
    """A command did not end in its time."""


def crashed(result):
    """The reason to believe that a command crashed, or None."""
    if result.code in CRASHES:
        return f"died by signal {result.code - 128}"
    for text in CRASH_TEXTS:
        if text in result.err:
            return f"stderr has {text!r}"
    return None


def brief(result):
    """The first line of what a command said on stderr, cut to a readable length."""
    return (result.err.strip().splitlines() or ["(nothing on stderr)"])[0][:240]


def process_table():
    """pid -> (parent, state letter, command name) of every process that can be read now."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as f:
                text = f.read().decode(errors="replace")
        except OSError:
            continue
        name = text[text.index("(") + 1:text.rindex(")")]
        rest = text[text.rindex(")") + 2:].split()
        table[int(entry)] = (int(rest[1]), rest[0], name)
    return table


def descendants(root, table=None):
    """Every process below `root`, as {pid: (parent, state, name)}."""
    table = table or process_table()
    below, grown = {root}, True
    while grown:
        grown = False
        for pid, (parent, _, _) in table.items():
            if parent in below and pid not in below:
                below.add(pid)
                grown = True
    below.discard(root)
    return {pid: table[pid] for pid in below if pid in table}


def cgroups_named(token):
    """Cgroup directories of every hierarchy whose path holds `token`."""
    found = []
    for hierarchy in glob.glob("/sys/fs/cgroup/*"):
        if os.path.isdir(hierarchy) and not os.path.islink(hierarchy):
            for directory, names, _ in os.walk(hierarchy):
                found += [f"{directory}/{n}" for n in names
                          if token in n and os.path.exists(f"{directory}/{n}/cgroup.procs")]
    return sorted(found)


def mounts_below(path):
    """Mount points of this mount namespace that lie at or below `path`, or come from there."""
    with open("/proc/self/mountinfo") as f:
        return sorted(line.split()[4] for line in f if path in line)


class ArenaRuntime(Runtime):
    """The runtime under test with a command line that can be led through another program (`prefix`), and whose ids all
    carry the arena's token."""

    def __init__(self, root, token, binary=NEMOSHELL):
        super().__init__(root, binary)
        self.prefix = []
        self.token = token
        self.own = set()  # children that are waited for by name: never reaped as orphans

    def argv(self, *args):
        return [*self.prefix, *super().argv(*args)]

    def new_id(self, prefix=""):
        self._counter += 1
        name = f"{self.token}-{prefix}{self._counter}"
        self.ids.append(name)
        return name

    def call(self, *args, stdin=None, timeout=20, cwd=None, env=None, pass_fds=(), reap=True, closed=(), **popen):
        """Runs one command to its end as an engine's shim does: orphans that fall to us are reaped meanwhile (unless
        `reap` is false), for a container's first process cannot end while a process joined to it is unreaped. The
        descriptors in `closed` are closed in it."""
        argv = self.argv(*args)
        if closed:
            argv = ["sh", "-c", 'exec "$@" ' + " ".join(f"{n}<&-" for n in closed), "sh", *argv]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write((stdin or "").encode())
            given.seek(0)
            popen = {"stdin": given, "stdout": out, "stderr": err, "cwd": cwd, "env": env, "pass_fds": pass_fds,
                     **popen}
            p = subprocess.Popen(argv, **popen)
            self.own.add(p.pid)
            try:
                self._wait(p, timeout, reap)
            except subprocess.TimeoutExpired:
                p.kill()
                try:
                    p.wait(5)
                except subprocess.TimeoutExpired:
                    raise Hang(f"{argv}: no end after {timeout} s, and SIGKILL does not end it") from None
                raise Hang(f"{argv}: no end after {timeout} s") from None
            finally:
                self.own.discard(p.pid)
            out.seek(0)
            err.seek(0)
            code = p.returncode if p.returncode >= 0 else 128 - p.returncode
            return Result(argv, code, out.read().decode(errors="replace"), err.read().decode(errors="replace"))

    def _wait(self, p, timeout, reap):
        end = time.monotonic() + timeout
        pause = 0.001
        while p.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(p.args, timeout)
            if reap:
                self.reap()
            time.sleep(pause)
            pause = min(pause * 1.2, 0.01)

    def reap(self):
        """Reaps the ended children that came to us as a subreaper."""
        with open("/proc/thread-self/children") as f:
            children = {int(pid) for pid in f.read().split()}
        for pid in children - self.own:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue

    def spawn(self, *args, **kw):
        """Starts a command without waiting; output goes nowhere unless `kw` says so."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.DEVNULL)
        p = subprocess.Popen(self.argv(*args), **kw)
        self.own.add(p.pid)
        return p


class Arena:
    """One test's directory, runtime, and detector. As subreaper it sees every process that the runtime lets go of."""

    def __init__(self):
        self.token = f"nst{secrets.token_hex(4)}"
        self.work = tempfile.mkdtemp(prefix=f"nemoshell-{self.token}-")
        self.root = f"{self.work}/root"
        self.runtime = ArenaRuntime(self.root, self.token)
        self.mine = []
        self._bundles = 0
        self._rootfs = None
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.before = set(descendants(os.getpid()))

    def bundle(self, *args, config=None):
        """A bundle of its own that shares the arena's busybox root file system by a path in its configuration."""
        if self._rootfs is None:
            self._rootfs = Bundle(f"{self.work}/base").rootfs
        self._bundles += 1
        path = f"{self.work}/bundle{self._bundles}"
        os.makedirs(path)
        os.symlink(self._rootfs, f"{path}/rootfs")
        b = Bundle(path, config=copy.deepcopy(config) if config else minimal_config(*args))
        b.rootfs = self._rootfs
        b.config["root"]["path"] = self._rootfs
        return b

    def popen(self, *args, **kw):
        """A process of the test's own that the detector does not count (end it before the test ends)."""
        p = subprocess.Popen(*args, **kw)
        self.runtime.own.add(p.pid)
        self.mine.append(p)
        return p

    def strays(self):
        """Living processes that descend from here and that the test did not start itself; zombies are reaped."""
        self.runtime.reap()
        mine = {p.pid for p in self.mine if p.poll() is None}
        found = {}
        for pid, (parent, state, name) in descendants(os.getpid()).items():
            if pid in self.before or pid in mine or parent in mine:
                continue
            if state not in "ZX":
                found[pid] = name
        return found

    def residue(self, ids=None):
        """What is left of the containers named `ids` (default: of all of the arena), by kind; empty when nothing."""
        tokens = ids or [self.token]
        left = {}
        cgroups = [c for t in tokens for c in cgroups_named(t)]
        if cgroups:
            left["cgroups"] = cgroups
        mounts = mounts_below(self.work)
        if mounts:
            left["mounts"] = mounts
        if os.path.isdir(self.root):
            state = [n for n in os.listdir(self.root) if any(t in n for t in tokens)]
            if state:
                left["state"] = state
        strays = self.strays()
        if strays:
            left["processes"] = strays
        return left

    def settled(self, ids=None, within=3.0):
        """`residue()` once it is empty, or what is still there after `within` seconds: the kernel frees a killed
        process and its cgroup a moment after the runtime has answered."""
        end = time.monotonic() + within
        while True:
            left = self.residue(ids)
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.01)

    def remove(self, id):
        """`delete --force` as an engine does after a failure; a list of what is wrong with it or still there."""
        wrong = []
        try:
            r = self.runtime.call("delete", "--force", id)
            if r.code != 0:
                wrong.append(f"delete --force: exit {r.code}: {brief(r)}")
            if crashed(r):
                wrong.append(f"delete --force: {crashed(r)}")
        except Hang as hang:
            wrong.append(str(hang))
        left = self.settled([id])
        if left:
            wrong.append(f"left behind after delete --force: {left}")
            self.scrub()
        return wrong

    def usable(self, id, bundle):
        """Whether `id` can be used for a new container: a list of what is wrong."""
        try:
            r = self.runtime.run(bundle, id=id)
        except Hang as hang:
            return [str(hang)]
        if r.code != 0:
            return [f"id cannot be used again: exit {r.code}: {brief(r)}"]
        left = self.settled([id])
        if left:
            self.scrub()
            return [f"left behind after a plain run: {left}"]
        return []

    def scrub(self):
        """Takes away by force what a runtime left, so that one failure is reported once and the machine stays clean."""
        for _ in range(20):
            strays = self.strays()
            for pid in strays:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for directory in sorted(cgroups_named(self.token), key=len, reverse=True):
                self._empty(directory)
            if not strays and not cgroups_named(self.token):
                break
            time.sleep(0.02)
        for mount in reversed(mounts_below(self.work)):
            subprocess.run(["umount", "-l", mount], stderr=subprocess.DEVNULL, check=False)
        if os.path.isdir(self.root):
            for name in os.listdir(self.root):
                path = f"{self.root}/{name}"
                if self.token in name and (os.path.islink(path) or not os.path.isdir(path)):
                    os.unlink(path)
                elif self.token in name:
                    shutil.rmtree(path, ignore_errors=True)

    def _empty(self, directory):
        thaw = f"{directory}/freezer.state"
        try:
            if os.path.exists(thaw):
                with open(thaw, "w") as f:
                    f.write("THAWED")
            with open(f"{directory}/cgroup.procs") as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            os.rmdir(directory)
        except OSError:
            return  # busy for a moment longer; scrub() comes back

    def close(self):
        """Ends everything; returns what the runtime had left behind."""
        self.runtime.prefix = []
        for p in self.mine:
            if p.poll() is None:
                p.kill()
                p.wait()
        for id in self.runtime.ids:
            if os.path.lexists(f"{self.root}/{id}"):
                try:
                    self.runtime.call("delete", "--force", id)
                except AssertionError:
                    continue  # the scrub below reports what stayed
        left = self.settled()
        self.scrub()
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        shutil.rmtree(self.work, ignore_errors=True)
        return left
