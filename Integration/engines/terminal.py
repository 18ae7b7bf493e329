"""A person at a terminal: a client that runs on a pty."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """Runs `argv` on a pty of `rows` × `columns`. `seen` is all that it wrote so far."""

    def __init__(self, argv, env, rows=24, columns=80):
        self._master, slave = pty.openpty()
        self.resize(rows, columns)
        self._process = subprocess.Popen(["setsid", "--ctty", "--", *argv], stdin=slave, stdout=slave, stderr=slave,
                                         env=env)
        os.close(slave)
        self.pid = self._process.pid
        self.seen = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self._master, text.encode())

    def _read(self, timeout):
        if not select.select([self._master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, text, timeout=15):
        """Reads until `text` was written; what came before it is dropped from `seen`."""
        end = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < end, f"no {text!r} on the terminal within {timeout} s, but {self.seen!r}"
            if not self._read(0.2) and self._process.poll() is not None and not self._read(0.2):
                assert text in self.seen, f"the client ended without {text!r}: {self.seen!r}"
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def exit_code(self, timeout=15):
        """Reads to the end and returns the client's exit code."""
        end = time.monotonic() + timeout
        while self._process.poll() is None:
            assert time.monotonic() < end, f"the client goes on after {timeout} s; it wrote {self.seen!r}"
            self._read(0.1)
        while self._read(0.1):
            pass
        return self._process.returncode

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)
