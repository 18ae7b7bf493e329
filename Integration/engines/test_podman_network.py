"""The network hook under another runtime: Podman with crun, and with nemoshell, by the hook definitions of hooks/."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from harness.runtime import NEMOSHELL, REPOSITORY

from .enclosure import Daemon, wait_for
from .images import BUSYBOX

HOOK = os.path.join(os.path.dirname(NEMOSHELL), "nemoshell-network")

#: crun 1.8 makes no container on a hybrid machine while the empty cgroup v2 hierarchy is mounted.
CRUN = """#!/bin/sh
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec {crun} "$@"
"""

#: Listens on two ports of every address.
SERVER = """
import select, socket
sockets = [socket.create_server(("", port)) for port in (5000, 5001)]
print("ready", flush=True)
while True:
    for s in select.select(sockets, [], [])[0]:
        s.accept()[0].close()
"""


@pytest.fixture
def network(podman, work):
    """A Podman network with servers at its gateway, whose address this is."""
    podman("network", "create", "--subnet", "10.77.7.0/24", "fenced").ok()
    server = Daemon(podman.enclosure, [sys.executable, "-c", SERVER], f"{work}/server")
    wait_for(lambda: "ready" in server.tail(), "the servers")
    yield "10.77.7.1"
    server.stop()


@pytest.fixture
def dial(work):
    """The program of the network's tests that connects, and says how it went."""
    source = f"{REPOSITORY}/Integration/network/helpers/dial.c"
    subprocess.run(["gcc", "-static", "-O1", "-o", f"{work}/dial", source], check=True)
    return f"{work}/dial"


@pytest.fixture
def hooks(podman, work):
    """hooks/ of the repository with this machine's paths; a function that writes the configuration."""
    directory = f"{work}/hooks.d"
    os.makedirs(directory)
    configuration = f"{work}/network.json"
    for name in os.listdir(f"{REPOSITORY}/hooks"):
        if name.endswith(".json"):
            with open(f"{REPOSITORY}/hooks/{name}") as f:
                text = f.read()
            assert '"/usr/local/bin/nemoshell-network"' in text
            hook = json.loads(text.replace("/usr/local/bin/nemoshell-network", HOOK)
                              .replace("/etc/nemoshell/network.json", configuration))
            hook["hook"]["args"] += ["--root", f"{work}/leases"]
            with open(f"{directory}/{name}", "w") as f:
                json.dump(hook, f)

    def write(rules):
        with open(configuration, "w") as f:
            json.dump({"apiVersion": "nemoshell/v1", "kind": "Network", "mode": "join", "rules": rules}, f)

    write.directory = directory
    write.leases = f"{work}/leases"
    return write


@pytest.fixture(params=["crun", "nemoshell"])
def oci_runtime(request, podman):
    """A name that Podman knows, or the path of crun; that stays, since containers remember it."""
    if request.param == "nemoshell":
        return "nemoshell"
    path = f"{podman.directory}/crun"
    with open(path, "w") as f:
        f.write(CRUN.format(crun=shutil.which("crun")))
    os.chmod(path, 0o755)
    return path


def run(podman, hooks, oci_runtime, *args, annotated=True):
    annotation = ["--annotation", "nemoshell.network=fence"] if annotated else []
    return podman("--hooks-dir", hooks.directory, "--runtime", oci_runtime, "run", "--rm", "--network", "fenced", "--cgroup-parent",
                  podman.enclosure.cgroup, *annotation, *args)


def rule(address, ports):
    return {"name": "r", "network": address, "ports": ports, "protocol": "tcp", "file": "network.json", "line": 1}


def test_held(podman, hooks, oci_runtime, network, dial):
    """Only with the annotation, only what the rules name; nothing of it stays."""
    command = ["--volume", f"{dial}:/dial:ro", BUSYBOX, "sh", "-c", f"for p in 5000 5001; do /dial tcp {network} $p; done"]
    hooks([rule(network, "5000")])
    assert run(podman, hooks, oci_runtime, *command, annotated=False).ok().out == "ok\nok\n"
    assert run(podman, hooks, oci_runtime, *command).ok().out == "ok\nEHOSTUNREACH\n"
    hooks([])
    assert run(podman, hooks, oci_runtime, *command).ok().out == "EHOSTUNREACH\nEHOSTUNREACH\n"
    assert os.listdir(hooks.leases) == ["lock"]


def test_refused(podman, hooks, oci_runtime, network):
    """A container that could undo its fence, and a fence that cannot be read: nothing runs."""
    hooks([])
    for capability in ("NET_ADMIN", "NET_RAW"):
        r = run(podman, hooks, oci_runtime, "--cap-add", capability, BUSYBOX, "echo", "ran")
        assert r.code != 0 and "ran" not in r.out and (oci_runtime != "nemoshell" or f"CAP_{capability}" in r.err), r
    hooks([{"name": "wrong"}])
    r = run(podman, hooks, oci_runtime, BUSYBOX, "echo", "ran")
    assert r.code != 0 and "ran" not in r.out, r


def test_host_network_is_refused(podman, hooks, oci_runtime):
    hooks([])
    r = podman("--hooks-dir", hooks.directory, "--runtime", oci_runtime, "run", "--rm", "--network", "host", "--cgroup-parent",
               podman.enclosure.cgroup, "--annotation", "nemoshell.network=fence", BUSYBOX, "echo", "ran")
    assert r.code != 0 and "ran" not in r.out, r
