"""The runtime under test, driven as an engine or a person drives it: by its command line."""

import json
import os
import subprocess
import time
from dataclasses import dataclass

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEMOSHELL = os.environ.get("NEMOSHELL", f"{REPOSITORY}/bin/nemoshell")


@dataclass
class Result:
    """How one command ended."""

    argv: list
    code: int
    out: str
    err: str

    def ok(self):
        """Asserts exit status 0 and returns the result."""
        assert self.code == 0, f"{self.argv}: exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"
        return self

    def failed(self, *texts, code=None):
        """Asserts a failure whose stderr holds every one of `texts` (case-insensitive)."""
        assert self.code != 0, f"{self.argv}: succeeded\nstdout: {self.out}\nstderr: {self.err}"
        if code is not None:
            assert self.code == code, f"{self.argv}: exit {self.code}, expected {code}\nstderr: {self.err}"
        for text in texts:
            assert text.lower() in self.err.lower(), f"{self.argv}: no {text!r} in stderr: {self.err}"
        return self


class Runtime:
    """One runtime binary with a state root of its own. Remembers its containers and removes them in `cleanup()`."""

    def __init__(self, root, binary=NEMOSHELL, flags=()):
        self.root = str(root)
        self.binary = binary
        self.flags = list(flags)
        self.ids = []
        self._counter = 0

    def new_id(self, prefix="nst"):
        self._counter += 1
        name = f"{prefix}-{os.getpid()}-{time.monotonic_ns() % 10**9}-{self._counter}"
        self.ids.append(name)
        return name

    def argv(self, *args):
        return [self.binary, "--root", self.root, *self.flags, *[str(a) for a in args]]

    def call(self, *args, stdin=None, timeout=30, cwd=None, env=None, pass_fds=()):
        """Runs one command to its end. `stdin` is text. Output goes through files, so that a container which keeps
        stdout open cannot make this wait."""
        import tempfile

        argv = self.argv(*args)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            p = subprocess.Popen(argv, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, stdout=out,
                                 stderr=err, cwd=cwd, env=env, pass_fds=pass_fds)
            try:
                if stdin is not None:
                    p.stdin.write(stdin.encode())
                    p.stdin.close()
                    p.stdin = None
                p.wait(timeout)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
                raise AssertionError(f"{argv}: no end after {timeout} s") from None
            out.seek(0)
            err.seek(0)
            code = p.returncode if p.returncode >= 0 else 128 - p.returncode
            return Result(argv, code, out.read().decode(errors="replace"), err.read().decode(errors="replace"))

    def popen(self, *args, **kw):
        """Starts one command and returns its Popen, for tests that watch it while it runs."""
        return subprocess.Popen(self.argv(*args), **kw)

    def run(self, bundle, *flags, id=None, **kw):
        """`run` in the foreground; the container's output is the result's."""
        bundle.save()
        return self.call("run", "--bundle", bundle.path, *flags, id or self.new_id(), **kw)

    def create(self, bundle, *flags, id=None, **kw):
        """`create`; returns the result with `.id`."""
        bundle.save()
        id = id or self.new_id()
        if id not in self.ids:
            self.ids.append(id)
        r = self.call("create", "--bundle", bundle.path, *flags, id, **kw)
        r.id = id
        return r

    def start_detached(self, bundle, *flags, **kw):
        """create + start; returns the id."""
        r = self.create(bundle, *flags, **kw).ok()
        self.call("start", r.id).ok()
        return r.id

    def state(self, id):
        """The parsed state, or None when there is no such container."""
        r = self.call("state", id)
        return json.loads(r.out) if r.code == 0 else None

    def exec(self, id, *args, **kw):
        return self.call("exec", id, *args, **kw)

    def wait_status(self, id, status, timeout=10):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            s = self.state(id)
            if (s or {}).get("status") == status:
                return s
            time.sleep(0.01)
        raise AssertionError(f"{id}: not {status} after {timeout} s but {self.state(id)}")

    def cleanup(self):
        for id in self.ids:
            self.call("delete", "--force", id)
