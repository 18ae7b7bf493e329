"""Set up, taken down, killed in between: exact, repeatable, and without traces."""

import concurrent.futures
import json
import os
import re
import subprocess
import time

import pytest

from harness.inject import sample
from netlab import HOOK, HOST, WORLD, network, port, rule

PLAIN = network(rules=[rule(WORLD, 5000)], ports=[port(8080, 80), port(8081, 80, address=HOST)])


@pytest.fixture
def containers(lab):
    """Makes things that look like containers to the hook: a process in a namespace of its own, a bundle, a state."""
    class Containers:
        made = 0

        def make(self, configuration=PLAIN, id=None):
            self.made += 1
            bundle = f"{lab.work}/container-{self.made}"
            os.makedirs(bundle)
            with open(f"{bundle}/config.json", "w") as f:
                json.dump({"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "network"}]}}, f)
            with open(f"{bundle}/network.json", "w") as f:
                f.write(configuration)
            return {"ociVersion": "1.0.2", "id": id or f"c{self.made}", "status": "creating", "pid": lab.namespace(),
                    "bundle": bundle}
    return Containers()


def many(pool="10.201.0.0/16", ports=()):
    return network(rules=[rule(WORLD, 5000)], ports=ports, pool={"ipv4": pool})


def address(lab, container):
    out = subprocess.check_output(["nsenter", f"--net=/proc/{container['pid']}/ns/net", "ip", "-4", "-o", "address", "show", "eth0"],
                                  text=True)
    return out.split()[3]


def gone(pid):
    """Ends a container's process, and waits for its namespace to be taken down by the kernel."""
    os.kill(pid, 9)


def settled(lab, devices):
    end = time.monotonic() + 5
    while sorted(lab.traces().get("devices", [])) != devices:
        assert time.monotonic() < end, lab.traces()
        time.sleep(0.01)


def test_life(any_sandboxes):
    """Of a container of every runtime: what it has on the host is there while it lives, and nothing afterwards."""
    s = any_sandboxes
    id = s.start(PLAIN)
    traces = s.lab.traces()
    assert traces["devices"] == ["nemo0"] and traces["leases"] == [f"0.{id}"] and "nemoshell_host" in traces["rules"]
    assert f"sandbox {id}" in s.lab.ip("host", "link", "show", "nemo0")
    other = s.start(network(rules=[rule(WORLD, 5000)]))
    s.runtime.call("delete", "--force", id).ok()
    traces = s.lab.traces()
    assert traces["devices"] == ["nemo1"] and traces["leases"] == [f"1.{other}"] and f"sandbox {id}" not in traces["rules"]
    s.runtime.call("delete", "--force", other).ok()
    assert s.lab.traces() == {}


def test_refused_containers_leave_nothing(sandboxes):
    """A step of the runtime after the hook fails."""
    b = sandboxes.bundle(PLAIN)
    b.config["process"]["args"] = ["/nonexistent"]
    sandboxes.runtime.create(b).failed("nonexistent")
    b.config["hooks"]["createRuntime"].append({"path": "/bin/false"})
    sandboxes.runtime.create(b).failed("/bin/false")
    # Whoever cannot make a container deletes it, as engines do; a runtime that runs poststop by itself has done so.
    for id in sandboxes.runtime.ids:
        sandboxes.runtime.call("delete", "--force", id)
    sandboxes.lab.hook("teardown", {"id": sandboxes.runtime.ids[-1], "bundle": b.path}).ok()


def test_teardown_may_be_repeated(lab, containers):
    c = containers.make()
    lab.hook("teardown", c).ok()
    lab.hook("setup", c).ok()
    for _ in range(3):
        lab.hook("teardown", {**c, "pid": 0, "status": "stopped"}).ok()
        assert lab.traces() == {}
    lab.hook("setup", containers.make()).ok()
    lab.hook("teardown", c).ok()
    assert lab.traces()["devices"] == ["nemo0"]
    lab.hook("teardown", {**c, "id": "c2"}).ok()


def test_teardown_spares_what_others_made(lab, containers):
    """A device of that name, a table of another name, a rule in nemoshell's own table."""
    c = containers.make()
    lab.hook("setup", c).ok()
    lab.ip("host", "link", "delete", "nemo0")
    lab.ip("host", "link", "add", "nemo0", "type", "veth", "peer", "name", "foreign")
    lab.at("host", "nft", "add table inet foreign; add chain inet foreign c", check=True)
    lab.hook("teardown", c).ok()
    traces = lab.traces()
    assert traces.pop("devices") == ["nemo0"] and traces.pop("rules").startswith("table inet foreign") and not traces
    # And the next sandbox gets another number.
    c = containers.make()
    lab.hook("setup", c).ok()
    assert address(lab, c) == "10.201.0.3/31"
    lab.hook("teardown", c).ok()
    lab.ip("host", "link", "delete", "nemo0")
    lab.at("host", "nft", "delete", "table", "inet", "foreign", check=True)


def test_dead_sandboxes_are_reclaimed(lab, containers):
    """Nobody called poststop: the next setup finds it, and gives number and ports to somebody else."""
    one, two = containers.make(), containers.make(network(ports=[port(8082, 80)]))
    for c in (one, two):
        lab.hook("setup", c).ok()
    gone(one["pid"])
    settled(lab, ["nemo1"])
    assert len(lab.traces()["leases"]) == 2
    again = containers.make()
    lab.hook("setup", again).ok()
    assert address(lab, again) == "10.201.0.1/31"
    traces = lab.traces()
    assert sorted(traces["leases"]) == ["0.c3", "1.c2"] and "sandbox c1" not in traces["rules"]
    for c in (two, again):
        lab.hook("verify", c).ok()
        lab.hook("teardown", c).ok()


def test_leases_of_another_boot(lab, containers):
    """After a restart of the machine nothing of it is there but the files."""
    os.makedirs(lab.root)
    for index in range(3):
        with open(f"{lab.root}/{index}.old{index}", "w") as f:
            json.dump({"boot": "another", "host": "1:1", "sandbox": "1:2"}, f)
    with open(f"{lab.root}/.7.half.123", "w") as f:
        f.write('{"boot"')
    for index, text in ((3, ""), (4, "{}"), (5, '{"boot": 5}')):
        with open(f"{lab.root}/{index}.broken", "w") as f:
            f.write(text)
    c = containers.make()
    lab.hook("setup", c).ok()
    assert lab.traces()["leases"] == ["0.c1"]
    lab.hook("teardown", c).ok()


def test_leases_of_another_host(lab, containers):
    """A directory that hooks of two host namespaces share: what cannot be seen here is not taken for dead."""
    os.makedirs(lab.root)
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip()
    with open(f"{lab.root}/0.elsewhere", "w") as f:
        json.dump({"boot": boot, "host": "1:1", "sandbox": "1:2"}, f)
    c = containers.make()
    lab.hook("setup", c).ok()
    assert sorted(lab.traces()["leases"]) == ["0.elsewhere", "1.c1"]
    lab.hook("teardown", {**c, "id": "elsewhere"}).failed("another network namespace", f"{lab.root}/0.elsewhere")
    lab.hook("teardown", c).ok()
    os.unlink(f"{lab.root}/0.elsewhere")


def test_a_name_that_is_in_use(lab, containers):
    c = containers.make(id="same")
    lab.hook("setup", c).ok()
    lab.hook("setup", containers.make(id="same")).failed("a sandbox of that name has a network already")
    lab.hook("verify", c).ok()
    lab.hook("teardown", c).ok()


def test_the_pool_runs_out(lab, containers):
    """Two pairs of addresses in a /30."""
    made = [containers.make(many("10.66.0.0/30")) for _ in range(3)]
    for c in made[:2]:
        lab.hook("setup", c).ok()
    lab.hook("setup", made[2]).failed("10.66.0.0/30", "all 2 are in use", "choose another range")
    lab.hook("teardown", made[0]).ok()
    lab.hook("setup", made[2]).ok()
    assert address(lab, made[2]) == "10.66.0.1/31"
    for c in made:
        lab.hook("teardown", c).ok()


def test_addresses_of_the_host_are_left_alone(lab, containers):
    """Whatever the host has an address or a route for is passed over; a pool that is all known is an error."""
    lab.ip("host", "address", "add", "10.201.0.1/32", "dev", "uplink")
    lab.ip("host", "route", "add", "10.201.0.2/31", "via", WORLD)
    c = containers.make(many())
    lab.hook("setup", c).ok()
    assert address(lab, c) == "10.201.0.5/31"
    lab.hook("teardown", c).ok()
    lab.ip("host", "route", "add", "10.201.0.0/16", "via", WORLD)
    lab.hook("setup", c).failed("10.201.0.0", "is on a network that this host knows", "choose another range")
    assert lab.traces() == {}


def test_the_host_must_forward(lab, containers):
    """That is the operator's decision, since it is for all networks of the machine."""
    lab.sysctl("ipv4/ip_forward", 0)
    lab.hook("setup", containers.make()).failed("does not forward IPv4 packets", "sysctl -w net.ipv4.ip_forward=1")
    assert lab.traces() == {}
    lab.sysctl("ipv6/conf/all/forwarding", 0)
    lab.hook("setup", containers.make(network(rules=[rule("fd09::2", 1)]))).failed("does not forward IPv6")


def test_at_the_same_time(lab, containers):
    """Twelve at once: everybody gets an address of his own, and all are gone again."""
    made = [containers.make(many(ports=[port(9000 + n, 80)])) for n in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for r in pool.map(lambda c: lab.hook("setup", c), made):
            r.ok()
        assert len({address(lab, c) for c in made}) == 12
        for r in pool.map(lambda c: lab.hook("verify", c), made):
            r.ok()
        for r in pool.map(lambda c: lab.hook("teardown", c), made):
            r.ok()
    assert lab.traces() == {}


def test_many_rules(lab, containers):
    """More than fit into a socket's ordinary buffer, in one transaction, and all of them read back."""
    rules = [rule(f"10.{n // 250 % 250}.{n % 250}.0/24", n % 60000 + 1, line=n) for n in range(5000)]
    c = containers.make(network(rules=rules))
    lab.hook("setup", c).ok()
    lab.hook("verify", c).ok()
    lab.hook("teardown", c).ok()


def calls(lab, log, verb, state):
    """The system calls of a hook in their order, as (name, how-manieth of that name)."""
    lab.hook(verb, state, prefix=["strace", "-qq", "-o", log]).ok()
    counts, order = {}, []
    with open(log) as f:
        for line in f:
            found = re.match(r"(\w+)\(", line)
            if found and found[1] not in ("exit_group", "execve", "exit"):
                counts[found[1]] = counts.get(found[1], 0) + 1
                order.append((found[1], counts[found[1]]))
    return order


#: Calls by which a hook changes something; the others only prepare.
CHANGING = {"sendto", "sendmsg", "renameat", "openat", "unlinkat", "write", "setns", "recvmsg", "fsync", "flock", "mkdir"}


@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=EPERM", "error=ENOMEM"])
@pytest.mark.parametrize("verb", ["setup", "teardown"])
def test_faults(lab, containers, verb, fault):
    """At any call: an error is a refusal in one line with nothing left, and after a kill, teardown leaves nothing."""
    def prepared():
        c = containers.make()
        if verb == "teardown":
            lab.hook("setup", c).ok()
        return c

    first = prepared()
    found = [s for s in calls(lab, f"{lab.work}/calls", verb, first) if s[0] in CHANGING]
    lab.hook("teardown", first).ok()
    assert len(found) > 20
    for name, number in sample(found, 40, f"network/{verb}/{fault}"):
        c = prepared()
        r = lab.hook(verb, c, prefix=["strace", "-qq", "-o", "/dev/null", "-e", f"inject={name}:{fault}:when={number}"])
        where = f"{name} {number}: {r}"
        if fault != "signal=KILL" and r.code != 0:
            assert r.code == 1 and r.err.startswith("nemoshell-network: ") and r.err.count("\n") == 1, where
        if verb == "setup" and r.code == 0:
            lab.hook("verify", c).ok()
        elif verb == "setup" and fault != "signal=KILL":
            assert lab.traces().get("devices") is None, where
        lab.hook("teardown", c).ok()
        assert lab.traces() == {}, where


def test_a_fence_that_was_changed_is_found(lab, containers):
    """By verify, inside and on the host, whatever changed; counters do not count."""
    c = containers.make()
    lab.hook("setup", c).ok()
    inside = ["nsenter", f"--net=/proc/{c['pid']}/ns/net", "nft"]
    host = [*lab.enter("host"), "nft"]
    changes = [
        (inside, "add rule inet nemoshell output accept", "chain output"),
        (inside, "insert rule inet nemoshell input accept", "chain input"),
        (inside, "add chain inet nemoshell more", "it holds more than its chains"),
        (inside, "add set arp nemoshell more { type ipv4_addr; }", "it holds more than its chains"),
        (inside, "chain inet nemoshell output { policy accept; }", "policy is accept"),
        (inside, "flush chain inet nemoshell forward", "chain forward"),
        (inside, "delete table arp nemoshell", "table arp nemoshell is not there"),
        (inside, "delete table inet nemoshell", "table inet nemoshell is not there"),
        (host, "insert rule netdev nemoshell_host_0 entrance accept", "chain entrance"),
        (host, "delete table netdev nemoshell_host_0", "table netdev nemoshell_host_0 is not there"),
        (host, "flush chain inet nemoshell_host answers", "chain answers"),
        (host, "flush chain inet nemoshell_host postrouting", "chain postrouting"),
    ]
    for where, change, said in changes:
        lab.hook("verify", c).ok()
        subprocess.run([*where, change], check=True)
        lab.hook("verify", c).failed("read the packet filter back", said, code=1)
        lab.hook("teardown", c).ok()
        lab.hook("setup", c).ok() if where is host else subprocess.run([*inside, "flush", "ruleset"], check=True)
        if where is not host:
            subprocess.run(["nsenter", f"--net=/proc/{c['pid']}/ns/net", "ip", "link", "delete", "eth0"], stderr=subprocess.DEVNULL)
            lab.hook("setup", c).ok()
    lab.hook("teardown", c).ok()


def test_no_other_program_is_started(lab, containers):
    """Neither ip nor nft nor iptables: the kernel is asked directly."""
    c = containers.make()
    log = f"{lab.work}/exec"
    for verb in ("setup", "verify", "teardown"):
        lab.hook(verb, c, prefix=["strace", "-f", "-qq", "-e", "trace=execve,fork,vfork,clone,clone3", "-o", log]).ok()
        with open(log) as f:
            lines = f.read().splitlines()
        assert len(lines) == 1 and HOOK in lines[0], lines
