"""Escapes through writes to procfs that are led elsewhere."""

import os
import subprocess
import time

import pytest
from lab import attempt, flipping, race_seconds, read, without_mounts

KEY = "net.ipv4.ip_forward"
FILE = "sys/net/ipv4/ip_forward"


def test_the_sysctl_of_an_honest_container(runtime, bundle):
    """The detector of this file: a new network namespace has 0, the sysctl makes it 1."""
    bundle.sh(f"cat /proc/{FILE}")
    assert attempt(runtime, bundle).ok().out == "0\n"
    bundle.config["linux"]["sysctl"] = {KEY: "1"}
    assert attempt(runtime, bundle).ok().out == "1\n"


@pytest.fixture
def fake(work):
    """A volume that looks like procfs."""
    path = f"{work}/volume/fake"
    os.makedirs(f"{path}/sys/net/ipv4")
    os.makedirs(f"{path}/self/attr")
    with open(f"{path}/{FILE}", "w") as f:
        f.write("0\n")
    return path


@pytest.fixture
def network(work):
    """A network namespace of the test's own, so that the real value can be read from outside."""
    path = f"{work}/network"
    with open(path, "w"):
        pass
    subprocess.run(["unshare", f"--net={path}", "true"], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def real(network):
    return subprocess.check_output(["nsenter", f"--net={network}", "cat", f"/proc/{FILE}"], text=True)


def reset(network):
    subprocess.run(["nsenter", f"--net={network}", "sh", "-c", f"echo 0 >/proc/{FILE}"], check=True)


@pytest.mark.parametrize("form", [
    "volume on /proc/sys", "volume on the directory", "volume on the file", "link for /proc", "volume for /proc",
    "another file of proc on the file", "tmpfs on /proc/sys/net", "link in the volume",
])
def test_cve_2025_52881_sysctl_redirected(runtime, bundle, fake, network, form):
    """A sysctl reaches the kernel, or the container does not start; a volume in its way receives nothing.
    Catalogue A13."""
    bundle.namespace("network", network)
    bundle.config["linux"]["sysctl"] = {KEY: "1"}
    if form == "volume on /proc/sys":
        bundle.mount("/proc/sys", f"{fake}/sys")
    elif form == "volume on the directory":
        bundle.mount("/proc/sys/net/ipv4", f"{fake}/sys/net/ipv4")
    elif form == "volume on the file":
        bundle.mount(f"/proc/{FILE}", f"{fake}/{FILE}")
    elif form == "tmpfs on /proc/sys/net":
        bundle.mount("/proc/sys/net", "tmpfs", "tmpfs", [])
    elif form == "another file of proc on the file":
        bundle.mount(f"/proc/{FILE}", "/proc/self/comm")
    elif form == "link for /proc":
        without_mounts(bundle, "/proc")
        bundle.mount("/vol", os.path.dirname(fake))
        os.rmdir(f"{bundle.rootfs}/proc")
        os.symlink("/vol/fake", f"{bundle.rootfs}/proc")
    else:
        without_mounts(bundle, "/proc")
        if form == "link in the volume":
            os.unlink(f"{fake}/{FILE}")
            with open(f"{fake}/elsewhere", "w") as f:
                f.write("0\n")
            os.symlink("/proc/elsewhere", f"{fake}/{FILE}")
        bundle.mount("/proc", fake)
    bundle.sh("true")
    r = attempt(runtime, bundle)
    if r.code == 0:
        assert real(network) == "1\n", f"{form}: it started, and the kernel has not got the value"
    for name in (FILE, "elsewhere"):
        if os.path.exists(f"{fake}/{name}"):
            assert read(f"{fake}/{name}") == "0\n", f"{form}: the volume got the value"


def test_cve_2025_52881_sysctl_race(runtime, bundle, fake, network, helper):
    """The race: `/proc` of a root file system in use is exchanged for a link into a volume while containers start.
    Catalogue A20."""
    bundle.namespace("network", network)
    bundle.config["linux"]["sysctl"] = {KEY: "1"}
    bundle.config["mounts"].insert(0, {"destination": "/vol", "type": "bind", "source": os.path.dirname(fake),
                                       "options": ["rbind"]})
    os.symlink("/vol/fake", f"{bundle.rootfs}/proc2")
    bundle.sh("true")
    runs = started = 0
    with flipping(helper, f"{bundle.rootfs}/proc", f"{bundle.rootfs}/proc2"):
        end = time.monotonic() + race_seconds()
        while time.monotonic() < end:
            r = attempt(runtime, bundle)
            runs += 1
            assert read(f"{fake}/{FILE}") == "0\n", f"run {runs}: the volume got the value"
            if r.code == 0:
                started += 1
                assert real(network) == "1\n", f"run {runs}: it started, and the kernel has not got the value"
                reset(network)
    print(f"{runs} runs, {started} started")
