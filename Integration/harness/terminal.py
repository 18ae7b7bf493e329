"""Terminals as engines and people have them: a console socket that receives the master, and a command on a pty."""

import array
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time


def set_size(fd, rows, columns):
    """Sets a terminal's window size."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def size(fd):
    """A terminal's window size as (rows, columns)."""
    return struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]


def read_until(fd, text, timeout=10):
    """Reads from `fd` until `text` (bytes) has come; returns all that was read. Empty `text` reads to the end."""
    got, end = b"", time.monotonic() + timeout
    while not text or text not in got:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            raise AssertionError(f"no {text!r} within {timeout} s, only {got!r}")
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # EIO: the other side of a pty is closed
            chunk = b""
        if not chunk:
            if not text:
                return got
            raise AssertionError(f"end of output without {text!r}: {got!r}")
        got += chunk
    return got


class DescriptorSocket:
    """A listening Unix socket that receives file descriptors, as engines give it with --console-socket."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(self.path)
        self.socket.listen(4)
        self.descriptors = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for fd in self.descriptors:
            os.close(fd)
        os.unlink(self.path)

    def receive(self, timeout=10):
        """Waits for one message; returns (bytes, [descriptors]). The descriptors are closed with this object."""
        self.socket.settimeout(timeout)
        connection, _ = self.socket.accept()
        with connection:
            connection.settimeout(timeout)
            fds = array.array("i")
            data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(16 * fds.itemsize))
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(payload[:len(payload) - len(payload) % fds.itemsize])
            self.descriptors += list(fds)
            return data, list(fds)

    def terminal(self, timeout=10):
        """The pty master that the runtime sends."""
        data, fds = self.receive(timeout)
        assert len(fds) == 1, f"{len(fds)} descriptors with {data!r}"
        assert os.isatty(fds[0])
        return fds[0]


class OnTerminal:
    """A command whose stdin, stdout and stderr are a pty with a session of its own, as from a person's shell."""

    def __init__(self, argv, rows=24, columns=80, **kw):
        self.argv = argv
        self.master, slave = pty.openpty()
        set_size(self.master, rows, columns)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(["setsid", "--ctty", *argv], stdin=slave, stdout=slave, stderr=slave, **kw)
        self.slave = slave  # kept open, so that output is not lost at the end and the settings can be read

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def until(self, text, timeout=10):
        return read_until(self.master, text.encode(), timeout).decode(errors="replace")

    def write(self, text):
        os.write(self.master, text.encode())

    def resize(self, rows, columns):
        """Changes the window size; the kernel tells the foreground process group."""
        set_size(self.master, rows, columns)

    def settings(self):
        return termios.tcgetattr(self.slave)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=15):
        """The exit code as a shell would give it."""
        code = self.process.wait(timeout)
        return code if code >= 0 else 128 - code
