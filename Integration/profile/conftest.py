"""Fixtures of the tests of the system call profile `agent`: a Debian system to work in, and the filter."""

import json
import os
import shutil
import subprocess

import pytest

from harness import AGENT, Bundle
from harness.runtime import NEMOSHELL

HERE = os.path.dirname(os.path.abspath(__file__))

#: What tries things from inside.
PROBE = os.path.join(os.path.dirname(NEMOSHELL), "nemoprobe")


@pytest.fixture(scope="session")
def agent_profile():
    """`linux.seccomp` of the profile."""
    return json.loads(subprocess.check_output([NEMOSHELL, "policy", "seccomp"], text=True))


def debian(path):
    """A root file system at `path` that shows the machine's own Debian, read-only, through the mounts of `debian_mounts`."""
    for name in ("usr", "etc/alternatives", "etc/ssl", "proc", "sys", "dev", "tmp", "work", "scripts"):
        os.makedirs(f"{path}/{name}")
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", f"{path}/{name}")
    with open("/etc/ld.so.cache", "rb") as source, open(f"{path}/etc/ld.so.cache", "wb") as copy:
        copy.write(source.read())
    for name, text in {
            "passwd": f"root:x:0:0::/root:/bin/sh\nagent:x:{AGENT}:{AGENT}::/work:/bin/bash\n", "group": f"root:x:0:\nagent:x:{AGENT}:\n",
            "hosts": "127.0.0.1 localhost\n::1 localhost\n", "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n"}.items():
        with open(f"{path}/etc/{name}", "w") as f:
            f.write(text)
    return path


@pytest.fixture
def system(work, agent_profile):
    """A bundle as a sandbox has it: Debian, an unprivileged user without capabilities, /work to write in, the profile."""
    debian(f"{work}/bundle/rootfs")
    b = Bundle(f"{work}/bundle")
    for place in ("/usr", "/etc/alternatives", "/etc/ssl"):
        b.mount(place, place, options=("rbind", "ro"))
    b.mount("/scripts", f"{HERE}/work", options=("bind", "ro"))
    for place in ("/tmp", "/work"):
        b.mount(place, "tmpfs", "tmpfs", ("nosuid", "nodev", "mode=1777"))
    b.config["root"]["readonly"] = True
    b.config["process"].update(
        user={"uid": AGENT, "gid": AGENT}, capabilities={}, cwd="/work",
        env=["PATH=/usr/bin:/bin", "HOME=/work", "LANG=C.UTF-8", "PIP_DISABLE_PIP_VERSION_CHECK=1"])
    b.config["linux"]["seccomp"] = agent_profile
    return b


@pytest.fixture
def powerful(work):
    """A busybox bundle with every capability and no filter, and the prober in it as /probe."""
    b = Bundle(f"{work}/bundle")
    shutil.copy(PROBE, f"{b.rootfs}/probe")
    features = json.loads(subprocess.check_output([NEMOSHELL, "features"], text=True))
    for name in ("bounding", "effective", "permitted"):
        b.config["process"]["capabilities"][name] = features["linux"]["capabilities"]
    b.config["process"]["args"] = ["/probe"]
    return b
