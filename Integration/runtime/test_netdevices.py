"""netDevices (config-linux.md "Network Devices"): host interfaces that move into the container."""

import os
import subprocess

import pytest

from inside import look, sleeper


@pytest.fixture
def link(work):
    """A veth device in this network namespace; its peer's name is the same with a p."""
    name = "nst" + work[-7:].replace("_", "x")
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", name + "p"], check=True)
    yield name
    # The device falls with its namespace or comes back; the peer takes the pair with it.
    subprocess.run(["ip", "link", "del", name + "p"], stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "link", "del", name], stderr=subprocess.DEVNULL)


def ip(*args):
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True).stdout


def test_moved(runtime, bundle, link):
    assert link not in look(runtime, bundle, "ls /sys/class/net").split()
    bundle.config["linux"]["netDevices"] = {link: {}}
    out = look(runtime, bundle, "ls /sys/class/net")
    assert set(out.split()) == {"lo", link}


def test_renamed(runtime, bundle, link):
    bundle.config["linux"]["netDevices"] = {link: {"name": "inside0"}}
    assert set(look(runtime, bundle, "ls /sys/class/net").split()) == {"lo", "inside0"}


def test_keeps_its_settings(runtime, bundle, link):
    """Global addresses, MTU and hardware address go with it, and it is up (config-linux.md, "Namespace Lifecycle")."""
    ip("address", "add", "10.77.0.2/24", "dev", link)
    ip("address", "add", "fd77::2/64", "dev", link, "nodad")
    ip("link", "set", link, "mtu", "1400", "address", "02:11:22:33:44:55", "up")
    bundle.config["linux"]["netDevices"] = {link: {"name": "eth0"}}
    out = look(runtime, bundle, "ip addr show eth0; cat /sys/class/net/eth0/mtu")
    assert "10.77.0.2/24" in out and "fd77::2/64" in out and "02:11:22:33:44:55" in out and out.endswith("1400")
    assert "UP" in out


def test_several(runtime, bundle, link):
    bundle.config["linux"]["netDevices"] = {link: {"name": "a0"}, link + "p": {"name": "b0"}}
    assert set(look(runtime, bundle, "ls /sys/class/net").split()) == {"lo", "a0", "b0"}


def test_leaves_the_host_while_the_container_lives(runtime, bundle, link):
    bundle.config["linux"]["netDevices"] = {link: {}}
    id = sleeper(runtime, bundle)
    assert not os.path.exists(f"/sys/class/net/{link}")
    assert link in runtime.exec(id, "ls", "/sys/class/net").ok().out.split()


def test_missing(runtime, bundle):
    bundle.config["linux"]["netDevices"] = {"nosuchlink0": {}}
    runtime.create(bundle).failed("nosuchlink0", "no such", code=1)


def test_needs_a_network_namespace(runtime, bundle, link):
    bundle.without_namespace("network")
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/sys")]
    bundle.config["linux"]["netDevices"] = {link: {}}
    runtime.create(bundle).failed("/linux/netDevices", "network", code=1)
    assert link in ip("-o", "link")


@pytest.mark.parametrize("devices", [{"": {}}, {".": {}}, {"..": {}}, {"a/b": {}}, {"with space": {}}, {"sixteen-letters0": {}},
                                     {"co:lon": {}}, {"lo": {"name": "a/b"}}, {"lo": {"name": "sixteen-letters0"}},
                                     {"x0": {"name": 5}}, {"x0": []}])
def test_bad_names(runtime, bundle, devices):
    bundle.config["linux"]["netDevices"] = devices
    runtime.create(bundle).failed("/linux/netDevices", code=1)


def test_name_that_is_taken(runtime, bundle, link):
    """The error names the device, and the host has it back."""
    bundle.config["linux"]["netDevices"] = {link: {"name": "lo"}}
    runtime.create(bundle).failed(link, code=1)
    assert link in ip("-o", "link")
