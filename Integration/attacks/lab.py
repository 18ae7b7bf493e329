"""What the attacks share: the canary that shows an escape, the hostile helper, and ways to drive the runtime."""

import array
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

MARKER = "nemoshell-canary-marker"


def race_seconds():
    """How long one race is run; a pass of a race is evidence, not proof."""
    return float(os.environ.get("RACE_SECS", "5"))


class Canary:
    """A directory of the host that no container was given. A change in it, or a mount on it, is an escape."""

    def __init__(self, path):
        self.path = str(path)
        os.makedirs(f"{self.path}/sub")
        for name in (MARKER, "null", "zero", "full", "random", "urandom", "console", "tty", "ptmx", "sub/file"):
            with open(f"{self.path}/{name}", "w") as f:
                f.write(f"host {name}\n")
        self.marker = f"{self.path}/{MARKER}"
        self.before = self.picture()
        self._prove()

    def picture(self):
        seen = {}
        for directory, names, files in os.walk(self.path):
            for name in [".", *names, *files]:
                path = os.path.join(directory, name)
                s = os.lstat(path)
                content = None
                if stat.S_ISREG(s.st_mode):
                    with open(path, "rb") as f:
                        content = hashlib.sha256(f.read()).hexdigest()
                elif stat.S_ISLNK(s.st_mode):
                    content = os.readlink(path)
                seen[os.path.relpath(path, self.path)] = (oct(s.st_mode), s.st_uid, s.st_gid, s.st_rdev, content)
        with open("/proc/self/mountinfo") as f:
            for line in f:
                if line.split()[4].startswith(self.path):
                    seen["mount " + line.split()[4]] = line
        return seen

    def changed(self):
        now = self.picture()
        return {k: (self.before.get(k), now.get(k)) for k in now.keys() | self.before.keys()
                if self.before.get(k) != now.get(k)}

    def check(self, what=""):
        changed = self.changed()
        assert not changed, f"{what}: the host was changed: {changed}"

    def _prove(self):
        """Shows that each kind of change is noticed."""
        new, old = f"{self.path}/new", f"{self.path}/null"

        def fires():
            assert self.changed(), "the canary does not notice a change"

        os.mkdir(new)
        fires()
        os.rmdir(new)
        os.symlink("x", new)
        fires()
        os.unlink(new)
        os.mknod(new, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        fires()
        os.unlink(new)
        with open(old, "a") as f:
            f.write("x")
        fires()
        os.truncate(old, len("host null\n"))
        for change, undo in ((lambda: os.chown(old, 1000, 1000), lambda: os.chown(old, 0, 0)),
                             (lambda: os.chmod(old, 0o666), lambda: os.chmod(old, 0o644)),
                             (lambda: os.rename(old, new), lambda: os.rename(new, old))):
            change()
            fires()
            undo()
        assert not self.changed()


def arm(bundle, helper):
    """Puts the hostile helper into the bundle as /attack; returns the bundle."""
    shutil.copy(helper, f"{bundle.rootfs}/attack")
    os.chmod(f"{bundle.rootfs}/attack", 0o755)
    return bundle


def capabilities(bundle, *names):
    """Adds capabilities to the three sets a process needs to use them."""
    for kind in ("bounding", "effective", "permitted"):
        granted = bundle.config["process"]["capabilities"][kind]
        granted.extend(n for n in names if n not in granted)


def without_mounts(bundle, *destinations):
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] not in destinations]


def record_mounts(bundle, out):
    """A createContainer hook that writes the mount table as it stands before the root is changed to `out`: a mount that
    landed outside the root file system still shows there."""
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"cat /proc/self/mountinfo > {out}"], "env": ["PATH=/usr/bin:/bin"]}
    bundle.config.setdefault("hooks", {})["createContainer"] = [hook]


def mount_points(out):
    """The mount points in a table written by `record_mounts`; empty if the hook did not come to run."""
    if not os.path.exists(out):
        return []
    with open(out) as f:
        return [line.split()[4] for line in f]


def attempt(runtime, bundle, *flags, **kw):
    """One `run` of a hostile bundle, which may be refused; the id is forgotten when nothing is left of it."""
    id = runtime.new_id()
    result = runtime.run(bundle, *flags, id=id, **kw)
    if not os.path.exists(f"{runtime.root}/{id}"):
        runtime.ids.remove(id)
    return result


def refused(runtime, bundle, *texts, **kw):
    """Asserts that the bundle is refused before its command runs; the command is made to say so if it does."""
    bundle.sh("echo RAN")
    result = attempt(runtime, bundle, **kw).failed(*texts)
    assert "RAN" not in result.out, f"refused, but only after it ran: {result}"
    return result


def call_with_fds(runtime, fds, *args, timeout=30):
    """Runs a command of the runtime with open descriptors at given numbers: `fds` maps number to descriptor. A value of
    None closes the number."""
    # Above every number used, so that no dup2 overwrites a source of a later one.
    high = {n: None if fd is None else _above(fd) for n, fd in fds.items()}
    sources = [fd for fd in high.values() if fd is not None]
    moves = [f"{n}<&-" if fd is None else f"{n}<&{fd}" for n, fd in high.items()] + [f"{fd}<&-" for fd in sources]
    command = ["bash", "-c", f'exec "$@" {" ".join(moves)}', "bash", *runtime.argv(*args)]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout,
                              pass_fds=sources)
    finally:
        for fd in high.values():
            if fd is not None:
                os.close(fd)


def _above(fd, floor=200):
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, floor)


@contextlib.contextmanager
def flipping(helper, a, b):
    """Exchanges two names as fast as the kernel can while the block runs, in a process of its own."""
    p = subprocess.Popen([helper, "flip", a, b])
    try:
        first = os.lstat(a).st_ino
        end = time.monotonic() + 5
        while os.lstat(a).st_ino == first:
            assert time.monotonic() < end and p.poll() is None, "the flipper does not flip"
        yield p
        assert p.poll() is None, "the flipper died"
    finally:
        p.send_signal(signal.SIGKILL)
        p.wait()


class Console:
    """The engine's end of `--console-socket`: takes the master descriptors that the runtime sends."""

    def __init__(self, path):
        self.path = path
        self.masters = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(path)
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                data, ancillary, _, _ = peer.recvmsg(4096, socket.CMSG_SPACE(4 * 4))
                for level, kind, payload in ancillary:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        fds = array.array("i")
                        fds.frombytes(payload[: len(payload) - len(payload) % 4])
                        self.masters.extend(fds)

    def drop(self):
        """Closes the masters that came so far."""
        while self.masters:
            os.close(self.masters.pop())

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        self.drop()


def wait_for(condition, seconds=10, what="condition"):
    """Waits until `condition()` is true and returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except FileNotFoundError:
        return ""

