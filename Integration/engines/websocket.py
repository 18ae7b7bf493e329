"""A client of the kubelet's streaming protocol (v4.channel.k8s.io), enough for exec and attach on a terminal."""

import base64
import ctypes
import json
import os
import socket
import struct
import urllib.parse

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE = range(5)


class Stream:
    """Opens the URL that CRI's Exec or Attach gave. `connect` makes the TCP connection."""

    def __init__(self, url, connect, timeout=15):
        parts = urllib.parse.urlsplit(url)
        self._socket = connect(parts.hostname, parts.port)
        self._socket.settimeout(timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall((f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                              f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                              f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n"
                              "Origin: http://localhost\r\n\r\n").encode())
        self._file = self._socket.makefile("rb")
        answer = self._file.readline()
        assert b" 101 " in answer, answer
        while self._file.readline().strip():
            pass
        self.out = ""
        self.status = None

    def _send(self, channel, data):
        payload = bytes([channel]) + data
        mask = os.urandom(4)
        size = len(payload)
        length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0xFE, size)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self._socket.sendall(b"\x82" + length + mask + masked)

    def type(self, text):
        self._send(_STDIN, text.encode())

    def resize(self, rows, columns):
        self._send(_RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    def _receive(self):
        """Takes one frame; False at the end."""
        head = self._file.read(2)
        if len(head) < 2:
            return False
        length = head[1] & 0x7F
        if length == 126:
            length, = struct.unpack("!H", self._file.read(2))
        elif length == 127:
            length, = struct.unpack("!Q", self._file.read(8))
        payload = self._file.read(length)
        if head[0] & 0x0F == 8:
            return False
        if payload and payload[0] in (_STDOUT, _STDERR):
            self.out += payload[1:].decode(errors="replace")
        elif payload and payload[0] == _ERROR and len(payload) > 1:
            self.status = json.loads(payload[1:])
        return True

    def expect(self, text):
        """Reads until `text` was written; what came before it is dropped."""
        while text not in self.out:
            assert self._receive(), f"the stream ended without {text!r}: {self.out!r}"
        self.out = self.out[self.out.index(text) + len(text):]

    def exit_code(self):
        """Reads to the end; returns the command's exit code."""
        while self.status is None and self._receive():
            pass
        assert self.status is not None, f"no status: {self.out!r}"
        if self.status["status"] == "Success":
            return 0
        causes = self.status.get("details", {}).get("causes", [])
        return next((int(c["message"]) for c in causes if c.get("reason") == "ExitCode"), None)

    def close(self):
        self._file.close()
        self._socket.close()


def connect_inside(init):
    """Makes connections from the network namespace of the process `init`, which this thread enters for the moment."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(path):
        with open(path) as f:
            if libc.setns(f.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns", path)

    def connect(host, port):
        with open("/proc/thread-self/ns/net") as home:
            enter(f"/proc/{init}/ns/net")
            try:
                return socket.create_connection((host, port), 10)
            finally:
                if libc.setns(home.fileno(), 0x40000000) != 0:
                    raise OSError(ctypes.get_errno(), "setns back")

    return connect
