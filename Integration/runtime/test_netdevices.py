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


def test_several_of_which_one_is_missing(runtime, bundle, link):
    """All are looked up before any moves."""
    ip("address", "add", "10.77.0.2/24", "dev", link)
    before = ip("address", "show", link)
    bundle.config["linux"]["netDevices"] = {link: {}, "nosuchlink0": {}}
    runtime.create(bundle).failed("/linux/netDevices/nosuchlink0", code=1)
    assert ip("address", "show", link) == before


def test_comes_back_when_the_container_cannot_be_made(runtime, bundle, link):
    """A step after the move fails: the host has the device under its name, with its addresses, and up."""
    ip("address", "add", "10.77.0.2/24", "dev", link, "label", f"{link}:x"[:15])
    ip("address", "add", "fd77::2/64", "dev", link, "nodad")
    ip("link", "set", link, "mtu", "1400", "up")
    bundle.config["linux"]["netDevices"] = {link: {"name": "eth0"}, link + "p": {}}
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", f"! ip link show {link} && echo moved >&2; exit 7"]}]}
    runtime.create(bundle).failed("moved", "exit status 7", code=1)
    shown = ip("address", "show", link)
    assert "10.77.0.2/24" in shown and "fd77::2/64" in shown and "mtu 1400" in shown and ",UP" in shown, shown
    assert f"{link}:x"[:15] in shown
    peer = ip("address", "show", link + "p")
    assert ",UP" not in peer, peer


@pytest.mark.parametrize("call", ["sendto", "recvfrom"])
@pytest.mark.parametrize("number", range(1, 8))
def test_comes_back_after_any_failed_request(runtime, bundle, link, call, number):
    """Requests to the kernel that fail, one after another: refused, and the host has the device as it was."""
    ip("address", "add", "10.77.0.2/24", "dev", link)
    ip("link", "set", link, "up")
    bundle.config["linux"]["netDevices"] = {link: {"name": "eth0"}}
    bundle.save()
    command = runtime.argv("create", "--bundle", bundle.path, runtime.new_id())
    r = subprocess.run(["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"inject={call}:error=EIO:when={number}", *command],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 1 and f"/linux/netDevices/{link}: " in r.stderr and "EIO" in r.stderr, r.stderr
    shown = ip("address", "show", link)
    assert "10.77.0.2/24" in shown and ",UP" in shown, shown


def test_template(runtime, bundle, link):
    """%d becomes the lowest number that is free (config-linux.md, "Network Devices")."""
    bundle.config["linux"]["netDevices"] = {link: {"name": "net%d"}, link + "p": {"name": "net%d"}}
    assert set(look(runtime, bundle, "ls /sys/class/net").split()) == {"lo", "net0", "net1"}


def test_only_lasting_addresses_go_along(runtime, bundle, link):
    """Addresses that end, and those of a smaller scope, stay behind; peers and broadcast addresses go with theirs."""
    ip("address", "add", "10.77.0.2/24", "dev", link, "valid_lft", "1000", "preferred_lft", "1000")
    ip("address", "add", "10.77.1.2/24", "dev", link, "scope", "link")
    ip("address", "add", "10.77.2.2", "peer", "10.77.3.3/32", "dev", link)
    ip("address", "add", "10.77.4.2/24", "broadcast", "10.77.4.9", "dev", link)
    bundle.config["linux"]["netDevices"] = {link: {"name": "eth0"}}
    out = look(runtime, bundle, "ip -4 addr show eth0")
    assert "10.77.0.2" not in out and "10.77.1.2" not in out
    assert "10.77.2.2 peer 10.77.3.3/32" in out and "10.77.4.2/24 brd 10.77.4.9" in out


def test_parameters_of_the_device(runtime, bundle, link):
    """Kernel parameters are set when it is in."""
    bundle.config["linux"]["netDevices"] = {link: {"name": "eth0"}}
    bundle.config["linux"]["sysctl"] = {"net.ipv4.conf.eth0.proxy_arp": "1"}
    assert look(runtime, bundle, "cat /proc/sys/net/ipv4/conf/eth0/proxy_arp") == "1"


@pytest.fixture
def joined(work):
    """A network namespace with a file, and the name that its devices of the test begin with."""
    name = "nst" + work[-7:].replace("_", "x")
    ip("netns", "add", name)
    yield f"/run/netns/{name}"
    subprocess.run(["ip", "netns", "del", name], check=True)


def test_joined_namespace(runtime, bundle, link, joined):
    """One that is there already: the name may be taken in it by the device's own name, and the device stays after the end."""
    inside = ["-n", os.path.basename(joined)]
    ip(*inside, "link", "add", link, "type", "veth", "peer", "name", "other")
    bundle.namespace("network", joined)
    bundle.config["linux"]["netDevices"] = {link: {}}
    runtime.create(bundle).failed(f"/linux/netDevices/{link}", "exists", code=1)
    assert link in ip("-o", "link")
    bundle.config["linux"]["netDevices"] = {link: {"name": "eth0"}}
    assert set(look(runtime, bundle, "ls /sys/class/net").split()) == {"lo", link, "other", "eth0"}
    assert "eth0" in ip(*inside, "-o", "link")


def test_the_runtimes_own_namespace(runtime, bundle, link):
    """Joining the namespace that the devices are in is no move."""
    bundle.namespace("network", "/proc/self/ns/net")
    bundle.config["linux"]["netDevices"] = {link: {}}
    runtime.create(bundle).failed("/linux/netDevices", code=1)
    assert link in ip("-o", "link")


def test_without_the_right(runtime, bundle, link, joined):
    bundle.namespace("network", joined)
    bundle.config["linux"]["netDevices"] = {link: {}}
    bundle.save()
    command = runtime.argv("create", "--bundle", bundle.path, runtime.new_id())
    r = subprocess.run(["setpriv", "--bounding-set=-net_admin", *command], capture_output=True, text=True)
    assert r.returncode == 1 and f"/linux/netDevices/{link}" in r.stderr and "CAP_NET_ADMIN" in r.stderr, r.stderr
    assert link in ip("-o", "link")


@pytest.mark.parametrize("devices", [{"": {}}, {".": {}}, {"..": {}}, {"a/b": {}}, {"with space": {}}, {"sixteen-letters0": {}},
                                     {"co:lon": {}}, {"lo": {"name": "a/b"}}, {"lo": {"name": "sixteen-letters0"}},
                                     {"lo": {"name": "a%"}}, {"lo": {"name": "a%s"}}, {"lo": {"name": "%d%d"}},
                                     {"x0": {"name": 5}}, {"x0": []}])
def test_bad_names(runtime, bundle, devices):
    bundle.config["linux"]["netDevices"] = devices
    runtime.create(bundle).failed("/linux/netDevices", code=1)


def test_name_that_is_taken(runtime, bundle, link):
    """The error names the device, and the host has it back."""
    bundle.config["linux"]["netDevices"] = {link: {"name": "lo"}}
    runtime.create(bundle).failed(link, code=1)
    assert link in ip("-o", "link")
