"""What is outside of the restricted processes: others' processes and abstract sockets, ports that others listen at."""

import os
import socket
import subprocess

import pytest

from locking import landlock


@pytest.fixture
def shared(bundle):
    """The bundle in the host's pid and network namespaces, with the capability to trace."""
    for kind in ("pid", "network"):
        bundle.without_namespace(kind)
    for names in bundle.config["process"]["capabilities"].values():
        names.append("CAP_SYS_PTRACE")
    return bundle


@pytest.fixture
def victim():
    """A process of the same user outside."""
    p = subprocess.Popen(["sleep", "100"])
    yield p.pid
    p.kill()
    p.wait()


def test_signal(inside, shared, victim):
    assert inside.do(shared, None, "kill", victim) == "ok"
    assert inside.do(shared, landlock("signal"), "kill", victim) == "EPERM"
    # Without the scope, other restrictions leave signals alone.
    assert inside.do(shared, landlock("make_sym"), "kill", victim) == "ok"


@pytest.mark.parametrize("config", [landlock("signal"), landlock("make_sym"), landlock("bind_tcp")], ids=["signal", "files", "ports"])
def test_ptrace(inside, shared, victim, config):
    """Every restriction forbids it."""
    assert inside.do(shared, None, "trace", victim) == "ok"
    assert inside.do(shared, config, "trace", victim) == "EPERM"


def test_abstract_socket(inside, shared):
    with socket.socket(socket.AF_UNIX) as s:
        name = f"nemoshell-test-{os.getpid()}"
        s.bind("\0" + name)
        s.listen()
        assert inside.do(shared, None, "abstract", name) == "ok"
        assert inside.do(shared, landlock("abstract_unix_socket"), "abstract", name) == "EPERM"


def test_listening_ports(inside, shared):
    with socket.socket() as one, socket.socket() as two:
        ports = []
        for s in (one, two):
            s.bind(("127.0.0.1", 0))
            s.listen()
            ports.append(s.getsockname()[1])
        for port in ports:
            assert inside.do(shared, None, "connect", port) == "ok"
        config = landlock("connect_tcp", ports=[("connect_tcp", ports[0])])
        assert inside.do(shared, config, "connect", ports[0]) == "ok"
        assert inside.do(shared, config, "connect", ports[1]) == "EACCES"


def test_container_and_exec_are_strangers(runtime, bundle):
    """Two rulesets that are equal, and two domains: with the scope, exec cannot signal the container's process."""
    bundle.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.start_detached(bundle)
    assert runtime.exec(id, "/bin/lock", "kill", "1").out == "ok\n"
    bundle.config["process"]["landlock"] = landlock("signal")
    id = runtime.start_detached(bundle)
    assert runtime.exec(id, "/bin/lock", "kill", "1").out == "EPERM\n"
    # The runtime is not restricted.
    runtime.call("kill", id, "KILL").ok()
    runtime.wait_status(id, "stopped")


def test_own_processes_can_be_signalled(runtime, bundle):
    bundle.config["process"]["landlock"] = landlock("signal", "abstract_unix_socket")
    assert runtime.run(bundle.sh("sleep 100 & /bin/lock kill $!; kill $!; wait")).ok().out == "ok\n"
