"""The network hook under another runtime: Podman with crun, and with nemoshell, by the hook definitions of hooks/."""

import json
import os
import shutil

import pytest

from harness.runtime import NEMOSHELL, REPOSITORY

from .images import BUSYBOX

HOOK = os.path.join(os.path.dirname(NEMOSHELL), "nemoshell-network")

#: crun 1.8 makes no container on a hybrid machine while the empty cgroup v2 hierarchy is mounted.
CRUN = """#!/bin/sh
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec {crun} "$@"
"""

#: In the container: what the given address and port answer.
DIAL = "nc -w 2 {} {} </dev/null >/dev/null 2>&1 && echo open || echo closed"


@pytest.fixture
def network(podman, work):
    """A Podman network with its own range, and its gateway's address."""
    podman("network", "create", "--subnet", "10.88.7.0/24", "fenced").ok()
    return "10.88.7.1"


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
def oci_runtime(request, work):
    if request.param == "nemoshell":
        return "nemoshell"
    path = f"{work}/crun"
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


def test_held(podman, hooks, oci_runtime, network):
    """Only with the annotation, only what the rules name; nothing of it stays."""
    server = podman("run", "-d", "--network", "fenced", "--ip", "10.88.7.50", "--cgroup-parent", podman.enclosure.cgroup, BUSYBOX,
                    "sh", "-c", "nc -lk -p 5000 -e true & nc -lk -p 5001 -e true").ok().out.strip()
    script = "; ".join(DIAL.format("10.88.7.50", port) for port in (5000, 5001))
    hooks([rule("10.88.7.50", "5000")])
    for _ in range(20):
        if run(podman, hooks, oci_runtime, BUSYBOX, "sh", "-c", script, annotated=False).ok().out == "open\nopen\n":
            break
    else:
        pytest.fail("the servers do not answer")
    assert run(podman, hooks, oci_runtime, BUSYBOX, "sh", "-c", script).ok().out == "open\nclosed\n"
    hooks([])
    assert run(podman, hooks, oci_runtime, BUSYBOX, "sh", "-c", script).ok().out == "closed\nclosed\n"
    assert os.listdir(hooks.leases) == ["lock"]
    podman("rm", "--force", "--time", "0", server).ok()


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
