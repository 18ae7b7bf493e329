"""Whole configurations as engines write them: Docker's, and what `spec` writes; every version of the specification."""

import json
import os

import pytest

from inside import look, sleeper


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2", "1.0.2-dev", "1.1.0", "1.2.0", "1.2.1", "1.3.0", "1.0.0-rc5"])
def test_versions_of_the_specification(runtime, bundle, version):
    bundle.config["ociVersion"] = version
    id = sleeper(runtime, bundle)
    assert runtime.state(id)["ociVersion"]


@pytest.mark.parametrize("version", ["", "x", "1", "1.0", "2.0.0", "0.9.0", "99.0.0"])
def test_versions_that_are_none(runtime, bundle, version):
    """Refused by name, or run as runc and crun do; never a crash."""
    bundle.config["ociVersion"] = version
    r = runtime.run(bundle)
    assert r.code == 0 or r.code == 1 and "ociVersion" in r.err


def test_smallest(runtime, bundle):
    """The least that is a container: no mounts, no capabilities, two namespaces."""
    bundle.config = {"ociVersion": "1.0.0", "process": {"cwd": "/", "args": ["/bin/echo", "small"], "user": {"uid": 0, "gid": 0}},
                     "root": {"path": "rootfs"}, "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}],
                                                           "cgroupsPath": f"/{runtime.mark}"}}
    assert runtime.run(bundle).ok().out == "small\n"


def test_privileged(runtime, bundle):
    """What `docker run --privileged` asks for: every capability known, every device, nothing masked."""
    with open("/proc/sys/kernel/cap_last_cap") as f:
        last = int(f.read())
    features = json.loads(runtime.call("features").ok().out)
    names = features["linux"]["capabilities"][:last + 1]
    bundle.config["process"].update(noNewPrivileges=False, capabilities={k: names for k in ("bounding", "effective", "permitted")})
    bundle.config["linux"].update(maskedPaths=[], readonlyPaths=[], resources={"devices": [{"allow": True, "access": "rwm"}]})
    assert look(runtime, bundle, "mount -t tmpfs x /mnt && echo mounted") == "mounted"


def test_pod(runtime, bundle):
    """A pause container and a second one in its namespaces, as the CRI has it."""
    pause = sleeper(runtime, bundle)
    pid = runtime.state(pause)["pid"]
    for kind, name in (("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
        bundle.namespace(kind, f"/proc/{pid}/ns/{name}")
    del bundle.config["hostname"]
    assert look(runtime, bundle, "hostname; ls /sys/class/net") == "box\nlo"


def test_systemd_like_process(runtime, bundle):
    """A first process that manages cgroups: a cgroup namespace and writable cgroups."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        pytest.skip("cgroup v1 here")
    bundle.namespace("cgroup")
    for m in bundle.config["mounts"]:
        if m["type"] == "cgroup":
            m["options"].remove("ro")
    assert look(runtime, bundle, "mkdir /sys/fs/cgroup/pids/init.scope && echo $$ > /sys/fs/cgroup/pids/init.scope/cgroup.procs &&"
                                 " grep -o ':pids:.*' /proc/self/cgroup") == ":pids:/init.scope"
