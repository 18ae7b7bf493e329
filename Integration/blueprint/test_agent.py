"""A real Python agent of Debian, from an image, under `nemoshell run agent.yaml`."""

import json
import os
import pathlib
import subprocess

import pytest

from engines import images
from harness.runtime import NEMOSHELL

BLUEPRINT = """apiVersion: nemoshell/v1
kind: Blueprint
metadata: {{name: worker, version: 1.0.0}}
sandbox:
  rootfs: {{docker_archive: {image}, reference: {tag}}}
  process:
    args: [/usr/bin/python3, /opt/agent/agent.py]
    env: {{HOME: /workspace, PATH: /usr/bin:/bin}}
  workspace: {{path: /workspace}}
  mounts:
    - {{source: ./code, destination: /opt/agent}}
  resources: {{memory: 256MiB, cpus: 1, pids: 64, nofile: 256}}
policy:
  filesystem:
    read_only: [/usr, /lib, /lib64, /bin, /etc, /opt/agent]
    read_write: [/tmp, /dev/shm]
expect:
  - {{write: /workspace/x, verdict: allow}}
  - {{write: /opt/agent/agent.py, verdict: deny}}
"""

AGENT = r'''
import asyncio, ctypes, json, multiprocessing, os, resource, signal, socket, sqlite3, subprocess, sys, tempfile, threading

done = {}

def attempt(name, work):
    try:
        work()
        done[name] = "ok"
    except OSError as e:
        done[name] = e.strerror
    except Exception as e:
        done[name] = f"{type(e).__name__}: {e}"

def read(path): return lambda: open(path, "rb").read(1)
def write(path): return lambda: open(path, "a").write("x")

# What an agent does all day.
attempt("work file", write("/workspace/notes"))
attempt("work database", lambda: sqlite3.connect("/workspace/state.db").execute("create table if not exists t(x)").connection.commit())
attempt("work temporary", lambda: tempfile.NamedTemporaryFile().write(b"x"))
attempt("work process", lambda: subprocess.run(["/bin/sh", "-c", "ls /usr/bin | head -1; ps ax"], check=True, stdout=subprocess.DEVNULL))
attempt("work thread", lambda: [t.start() or t.join() for t in [threading.Thread(target=lambda: None)]])
attempt("work pool", lambda: multiprocessing.get_context("fork").Pool(2).map(abs, [1, -1]))
attempt("work asyncio", lambda: asyncio.run(asyncio.create_subprocess_exec("/bin/true")))
def loopback():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    server.accept()[0].send(b"hi")
    assert client.recv(2) == b"hi"
attempt("work loopback", loopback)
attempt("work unix", lambda: socket.socket(socket.AF_UNIX).bind("/workspace/s.sock"))
os.unlink("/workspace/s.sock")
attempt("work rename", lambda: os.rename("/workspace/notes", "/workspace/notes2"))

# What it must not.
attempt("no etc", write("/etc/passwd"))
attempt("no code", write("/opt/agent/agent.py"))
attempt("no shadow", read("/etc/shadow"))
attempt("no root", lambda: os.listdir("/root"))
attempt("no var", read("/var/lib/dpkg/status"))
attempt("no sys", lambda: os.listdir("/sys"))
attempt("no kernel", write("/proc/sys/kernel/core_pattern"))
attempt("no network", lambda: socket.create_connection(("192.0.2.1", 80), 1))
attempt("no raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("no packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("no vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt("no setuid", lambda: os.setuid(0))
attempt("no chown", lambda: os.chown("/workspace/notes2", 0, 0))
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    def work():
        if libc.syscall(number, *arguments) < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return work
attempt("no unshare", call(272, 0x10000000))
attempt("no ptrace", call(101, 16, 1, 0, 0))
attempt("no bpf", call(321, 0, 0, 0))
attempt("no io_uring", call(425, 1, 0))
attempt("no memfd", call(319, b"x", 0))
attempt("no mount", call(165, b"x", b"/tmp", b"tmpfs", 0, 0))
attempt("unknown", call(600))
def executable():
    with open("/workspace/tool", "w") as f: f.write("#!/bin/sh\n")
    os.chmod("/workspace/tool", 0o755)
    subprocess.run(["/workspace/tool"], check=True)
attempt("no own program", executable)
def processes():
    children = []
    try:
        for _ in range(80):
            children.append(os.fork())
            if children[-1] == 0:
                signal.pause()
    finally:
        for child in children: os.kill(child, 9)
attempt("no bomb", processes)
done["nofile"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
done["uid"] = os.getuid()
print(json.dumps(done))
'''


@pytest.fixture
def worker(work):
    os.makedirs(f"{work}/code")
    pathlib.Path(work, "code/agent.py").write_text(AGENT)
    pathlib.Path(work, "worker.yaml").write_text(BLUEPRINT.format(image=images.debian(), tag=images.DEBIAN))
    yield work
    subprocess.run([NEMOSHELL, "worker", "rm", "--force", "--workspace", "--state-dir", f"{work}/state"], capture_output=True)


def test_a_python_agent_works_and_is_held(worker):
    done = subprocess.run([NEMOSHELL, "run", f"{worker}/worker.yaml", "--state-dir", f"{worker}/state"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {k: v for k, v in result.items() if k.startswith("work ") and v != "ok"} == {}
    assert {k: v for k, v in result.items() if k.startswith("no ") and v == "ok"} == {}
    errors = {"no etc": "Permission denied", "no var": "Permission denied", "no sys": "Permission denied", "no network": "Network is unreachable",
              "no raw": "Operation not permitted", "no vsock": "Operation not permitted", "no unshare": "Operation not permitted",
              "no own program": "Permission denied", "no bomb": "Resource temporarily unavailable", "unknown": "Function not implemented"}
    assert {k: result[k] for k in errors} == errors
    assert result["nofile"] == 256 and result["uid"] == 65532
    done = subprocess.run([NEMOSHELL, "policy", "test", f"{worker}/worker.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    # What it has made is there for the next start.
    assert sorted(os.listdir(f"{worker}/state/workspaces/worker")) == ["notes2", "state.db", "tool"]


def test_memory_has_a_limit(worker):
    pathlib.Path(worker, "code/agent.py").write_text("x = bytearray(1 << 30)\nprint('got it')\n")
    done = subprocess.run([NEMOSHELL, "run", f"{worker}/worker.yaml", "--state-dir", f"{worker}/state"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 137 and "got it" not in done.stdout
