"""The modes other than veth, and what a hook refuses."""

import json
import os

import pytest

from netlab import HOOK, OTHER, WORLD, call, network, port, rule

EXISTING = """
table inet engine { chain output { type filter hook output priority 10; policy accept; counter; }; }
table ip nat { chain out { type nat hook output priority -100; ip daddr 10.9.9.9 dnat to 10.9.0.2; }; }
"""


@pytest.fixture
def engine(lab):
    """A namespace as an engine makes it: a device, addresses, a way out, rules of its own; its path."""
    name = lab.named_namespace("e")
    inside = ["-n", name]
    call("ip", *inside, "link", "add", "eth0", "type", "veth", "peer", "name", "port", "netns", lab.names["host"], check=True)
    call("ip", *inside, "address", "add", "10.77.0.2/24", "dev", "eth0", check=True)
    lab.ip("host", "address", "add", "10.77.0.1/24", "dev", "port")
    lab.ip("host", "link", "set", "port", "up")
    for link in ("lo", "eth0"):
        call("ip", *inside, "link", "set", link, "up", check=True)
    call("ip", *inside, "route", "add", "default", "via", "10.77.0.1", check=True)
    lab.ip("world", "route", "add", "10.77.0.0/24", "via", "10.9.0.1")
    call("ip", "netns", "exec", name, "nft", "-f", "-", stdin=EXISTING, check=True)
    return f"/run/netns/{name}"


def rules_of(path):
    return call("nsenter", f"--net={path}", "nft", "--stateless", "list", "ruleset", check=True).out


def joining(sandboxes, engine, configuration, **kw):
    b = sandboxes.bundle(configuration, **kw)
    b.namespace("network", engine)
    return b


JOIN = network("join", rules=[rule(WORLD, 5000)], ports=[port(1, 80)])


def test_join(any_sandboxes, engine):
    """The same fence inside the engine's namespace; what was there stays as it is, also afterwards."""
    s = any_sandboxes
    s.lab.serve("world", 5000)
    before = rules_of(engine)
    free = s.runtime.start_detached(joining(s, engine, network("join", rules=[rule("10.0.0.0/8", "1-65535")])))
    assert s.dial_in(free, "tcp", OTHER, 5000) == "ok"
    s.runtime.call("delete", "--force", free).ok()
    id = s.runtime.start_detached(joining(s, engine, JOIN))
    assert s.dial_in(id, "tcp", WORLD, 5000) == "ok"
    assert s.dial_in(id, "tcp", OTHER, 5000) == "EHOSTUNREACH"
    assert s.dial_in(id, "udp", WORLD, 5000) == "EPERM"
    # The engine's own translation is in force before the fence looks.
    assert s.dial_in(id, "tcp", "10.9.9.9", 5000) == "ok"
    assert before in rules_of(engine)
    s.lab.serve_in(s.pid(id), 80, 81)
    assert s.lab.at("host", s.dial, "tcp", "10.77.0.2", 80).out == "ok\n"
    assert s.lab.at("host", s.dial, "tcp", "10.77.0.2", 81).out == "ETIMEDOUT\n"
    assert s.lab.hook("verify", s.state(id)).ok()
    s.runtime.call("delete", "--force", id).ok()
    assert rules_of(engine) == before


def test_join_keeps_the_engines_resolver_away(sandboxes, engine):
    """127.0.0.11 is answered from outside of the namespace: names would leave it."""
    call("nsenter", f"--net={engine}", "ip", "address", "add", "127.0.0.11/32", "dev", "lo", check=True)
    id = sandboxes.runtime.start_detached(joining(sandboxes, engine, JOIN))
    sandboxes.lab.serve_in(sandboxes.pid(id), 53)
    assert sandboxes.dial_in(id, "udp", "127.0.0.1", 53) == "ok"
    assert sandboxes.dial_in(id, "udp", "127.0.0.11", 53) == "EPERM"


def test_one_fence_for_a_namespace(sandboxes, engine):
    """A second sandbox in it would be held by the first one's rules, or the first by the second's."""
    one = sandboxes.runtime.start_detached(joining(sandboxes, engine, JOIN))
    before = rules_of(engine)
    sandboxes.runtime.create(joining(sandboxes, engine, JOIN)).failed("is fenced for another", one)
    assert rules_of(engine) == before


def test_setting_up_again_replaces_the_fence(sandboxes, engine):
    id = sandboxes.runtime.start_detached(joining(sandboxes, engine, JOIN))
    before = rules_of(engine)
    state = sandboxes.state(id)
    call("nsenter", f"--net={engine}", "nft", "flush", "chain", "inet", "nemoshell", "output", check=True)
    sandboxes.lab.hook("verify", state).failed("chain output: it has 0 rules")
    sandboxes.lab.hook("setup", state).ok()
    assert rules_of(engine) == before
    sandboxes.lab.hook("verify", state).ok()


def test_an_engines_namespace_that_is_gone_or_another(sandboxes, lab):
    """Teardown touches only the namespace that the fence was put into."""
    name = lab.named_namespace("g")
    path = f"/run/netns/{name}"
    id = sandboxes.runtime.start_detached(joining(sandboxes, path, JOIN))
    state = sandboxes.state(id)
    os.kill(state["pid"], 9)
    sandboxes.runtime.wait_status(id, "stopped")
    call("ip", "netns", "del", name, check=True)
    call("ip", "netns", "add", name, check=True)
    call("ip", "netns", "exec", name, "nft", "add", "table", "inet", "nemoshell", check=True)
    lab.hook("teardown", state).ok()
    assert "table inet nemoshell" in rules_of(path)
    lab.hook("teardown", state).ok()


def test_none(any_sandboxes):
    """Loopback alone, and a fence for whatever is plugged in later."""
    s = any_sandboxes
    id = s.start(network("none"))
    assert s.inside(id, "ip", "-o", "link").out.count("\n") == 1
    assert s.dial_in(id, "tcp", WORLD, 5000) == "ENETUNREACH"
    assert s.dial_in(id, "tcp", "127.0.0.1", 1) == "ECONNREFUSED"
    s.lab.serve("world", 5000)
    s.lab.ip("host", "link", "add", "late", "type", "veth", "peer", "name", "eth7", "netns", str(s.pid(id)))
    s.inside(id, "sh", "-c", "ip address add 10.88.0.2/24 dev eth7; ip link set eth7 up", check=True)
    s.lab.ip("host", "address", "add", "10.88.0.1/24", "dev", "late")
    s.lab.ip("host", "link", "set", "late", "up")
    s.lab.serve("host", 7000)
    assert s.dial_in(id, "tcp", "10.88.0.1", 7000) == "EHOSTUNREACH"
    s.inside(id, "nft", "flush", "ruleset", check=True)
    assert s.dial_in(id, "tcp", "10.88.0.1", 7000) == "ok"
    s.lab.ip("host", "link", "delete", "late")


def test_host_needs_the_operators_flag(sandboxes):
    b = sandboxes.bundle(network("host"))
    b.without_namespace("network")
    b.config["mounts"] = [m for m in b.config["mounts"] if not m["destination"].startswith("/sys")]
    sandboxes.runtime.create(b).failed("mode host needs the operator's permission", "--allow-host")
    for hooks in b.config["hooks"]["createRuntime"]:
        hooks["args"].append("--allow-host")
    id = sandboxes.runtime.start_detached(b)
    assert sandboxes.lab.hook("verify", sandboxes.state(id), "--allow-host").ok()


@pytest.mark.parametrize("mode", ["veth", "none", "join"])
def test_the_hosts_own_namespace_is_never_fenced(sandboxes, mode):
    b = sandboxes.bundle(network(mode))
    b.without_namespace("network")
    b.config["mounts"] = [m for m in b.config["mounts"] if not m["destination"].startswith("/sys")]
    sandboxes.runtime.create(b).failed("is in the host's network namespace")


def test_the_machines_namespace_is_never_fenced(lab, work):
    """Also where the runtime is in another: it is the one of the machine's first process."""
    os.makedirs(f"{work}/b")
    for name, text in (("config.json", "{}"), ("network.json", network("join"))):
        with open(f"{work}/b/{name}", "w") as f:
            f.write(text)
    state = json.dumps({"id": "a", "pid": 1, "bundle": f"{work}/b"})
    script = " ".join([*lab.enter("host"), HOOK, "setup", "--root", lab.root, "; exit $?"])
    r = lab.at("world", "unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script, stdin=state)
    r.failed("is in the host's network namespace")
    assert "nemoshell" not in lab.at("world", "nft", "list", "ruleset", check=True).out


@pytest.mark.parametrize("capability, mode", [("CAP_NET_ADMIN", "veth"), ("CAP_NET_ADMIN", "none"),
                                              ("CAP_NET_ADMIN", "join"), ("CAP_NET_RAW", "join")])
def test_capabilities_that_would_undo_it(sandboxes, engine, capability, mode):
    b = joining(sandboxes, engine, network(mode), capabilities=[capability])
    if mode != "join":
        b.namespace("network")
    sandboxes.runtime.create(b).failed("/process/capabilities", capability)
    assert "nemoshell" not in rules_of(engine)


WRONG = {
    "not json": ("{", "line 1"), "another kind": (network().replace('"Network"', '"Net"'), "/kind"),
    "another version": (network().replace("nemoshell/v1", "nemoshell/v2"), "/apiVersion"),
    "no mode": (json.dumps({"apiVersion": "nemoshell/v1", "kind": "Network"}), "/mode: is required"),
    "unknown mode": (network("bridge"), "legal: none, veth, join, host"), "unknown key": (network(rule=[]), "/rule: is unknown"),
    "unknown key of a rule": (network(rules=[{**rule(WORLD, 1), "port": 2}]), "/rules/0/port: is unknown"),
    "no address": (network(rules=[rule("example.com", 1)]), "/rules/0/network"),
    "bits after the prefix": (network(rules=[rule("10.0.0.1/8", 1)]), "/rules/0/network"),
    "port 0": (network(rules=[rule(WORLD, 0)]), "/rules/0/ports"),
    "port 65536": (network(rules=[rule(WORLD, 65536)]), "/rules/0/ports"),
    "ports backwards": (network(rules=[rule(WORLD, "9-8")]), "/rules/0/ports"),
    "a port as a number": (network(rules=[{**rule(WORLD, 1), "ports": 1}]), "/rules/0/ports: must be a string"),
    "another protocol": (network(rules=[rule(WORLD, 1, "sctp")]), "legal: tcp, udp"),
    "a published port out of range": (network(ports=[port(65536, 1)]), "/ports/0/host"),
    "a published port twice": (network(ports=[port(80, 1), port(80, 2)]), "ports: 127.0.0.1 tcp 80 twice"),
    "a published port on ::1": (network(ports=[port(80, 1, address="::1")]), "use 127.0.0.1"),
    "rules of mode none": (network("none", rules=[rule(WORLD, 1)]), "rules: mode none can have none"),
    "ports of mode host": (network("host", ports=[port(80, 1)]), "ports: mode host can have none"),
    "a pool that is none": (network(pool={"ipv4": "10.0.0.0/31"}), "pool/ipv4"),
    "twice the same key": ('{"mode": "none", "mode": "veth"}', "duplicate"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_configuration(sandboxes, what):
    """One line that names the member, and nothing is made."""
    text, said = WRONG[what]
    b = sandboxes.bundle(text)
    r = sandboxes.runtime.create(b).failed(said)
    assert r.err.count("\n") == 1, r.err


def test_no_configuration(sandboxes):
    b = sandboxes.bundle(network())
    os.unlink(f"{b.path}/network.json")
    sandboxes.runtime.create(b).failed(f"{b.path}/network.json", "ENOENT")
    with open(f"{b.path}/elsewhere.json", "w") as f:
        f.write(network())
    b.config["hooks"]["createRuntime"][0]["args"] += ["--config", f"{b.path}/elsewhere.json"]
    sandboxes.runtime.create(b).ok()


@pytest.mark.parametrize("arguments", [[], ["start"], ["setup", "--config"], ["setup", "--root", "relative"], ["setup", "more"],
                                       ["teardown", "--allow-host"]])
def test_wrong_call(arguments):
    assert call(HOOK, *arguments, stdin="{}").failed(code=2)


@pytest.mark.parametrize("state", ["", "[]", "{}", '{"id": "a"}', '{"id": "../a", "bundle": "/"}', '{"id": "..", "bundle": "/"}',
                                   '{"id": "a", "bundle": "b"}', '{"id": "' + "a" * 201 + '", "bundle": "/"}'])
def test_wrong_state(work, state):
    for verb in ("setup", "teardown"):
        r = call(HOOK, verb, "--root", f"{work}/root", stdin=state).failed(code=1)
        assert r.err.startswith("nemoshell-network: ") and r.err.count("\n") == 1, r.err
    assert not os.path.exists(f"{work}/root")
