"""What the fence holds. Every restriction is first shown to be one: without the fence, the same try works."""

import socket

import pytest

from netlab import HOST, OTHER, OTHER6, WORLD, WORLD6, call, network, rule

#: One destination by TCP, one by UDP, a range of ports, and an IPv6 address.
RULES = [rule(WORLD, 5000, line=10), rule("10.9.0.0/30", 53, "udp", line=11), rule(WORLD, "6000-6002", line=12),
         rule(WORLD6, 5000, line=13)]


def test_what_the_rules_name_works(any_sandboxes):
    """And nothing else does, under every runtime."""
    lab = any_sandboxes.lab
    lab.serve("world", 5000, 5001, 53, 6000, 6002, 6003)
    id = any_sandboxes.start(network(rules=RULES))
    assert any_sandboxes.dial_in(id, "tcp", WORLD, 5000) == "ok"
    assert any_sandboxes.dial_in(id, "udp", WORLD, 53) == "ok"
    assert any_sandboxes.dial_in(id, "udp", OTHER, 53) == "ok"
    assert any_sandboxes.dial_in(id, "tcp", WORLD, 6002) == "ok"
    assert any_sandboxes.dial_in(id, "tcp", WORLD6, 5000) == "ok"
    assert any_sandboxes.dial_in(id, "tcp", WORLD, 5001) == "EHOSTUNREACH"
    assert any_sandboxes.dial_in(id, "tcp", WORLD, 6003) == "EHOSTUNREACH"
    assert any_sandboxes.dial_in(id, "tcp", OTHER, 5000) == "EHOSTUNREACH"
    assert any_sandboxes.dial_in(id, "udp", WORLD, 5000) == "EPERM"
    assert any_sandboxes.dial_in(id, "tcp", OTHER6, 5000) == "EACCES"
    assert lab.hook("verify", any_sandboxes.state(id)).ok()


#: What a program tries, and what it is told with the fence. Each works, or reaches the other side, without.
TRIES = [
    (("tcp", WORLD, 5001), "EHOSTUNREACH"), (("tcp", OTHER, 5000), "EHOSTUNREACH"),
    (("tcp", OTHER6, 5000), "EACCES"), (("udp", WORLD, 5001), "EPERM"), (("udp", OTHER6, 5000), "EPERM"),
    (("icmp", WORLD), "EPERM"), (("icmp", WORLD6), "EPERM"),
    (("tcp", "10.201.0.0", 5000), "EHOSTUNREACH"), (("tcp", HOST, 5000), "EHOSTUNREACH"),
    (("mptcp", OTHER, 5000), "EHOSTUNREACH"),
    (("rawip", "10.201.0.1", WORLD, 17, 999, 5001), "EPERM"),
]


@pytest.mark.parametrize("words, errno", TRIES, ids=lambda v: " ".join(map(str, v)) if isinstance(v, tuple) else v)
def test_refused(sandboxes, words, errno):
    """Root inside, with raw sockets, without CAP_NET_ADMIN."""
    sandboxes.lab.serve("world", 5000, 5001)
    sandboxes.lab.sysctl("mptcp/enabled", 1)
    id = sandboxes.start(network(rules=RULES), capabilities=["CAP_NET_RAW"])
    sandboxes.lab.serve("host", 5000)
    assert sandboxes.dial_in(id, *words) == errno
    refused = sandboxes.inside(id, "nft", "list", "chain", "inet", "nemoshell", "output", check=True).out
    assert [line for line in refused.splitlines() if "reject" in line and "packets 0 " not in line], refused
    sandboxes.tear_fence(id)
    assert sandboxes.dial_in(id, *words) == "ok"


#: Packets that are made by hand and leave the namespace past its filters: protocol, source port, destination, port.
FORGED = {
    "another address": ("10.201.0.1", OTHER, 17, 999, 5000), "another port": ("10.201.0.1", WORLD, 17, 999, 5001),
    "another sender": ("10.9.0.77", WORLD, 17, 999, 53), "the host": ("10.201.0.1", HOST, 17, 999, 5000),
    "a connection by TCP": ("10.201.0.1", OTHER, 6, 999, 5000), "the gateway": ("10.201.0.1", "10.201.0.0", 17, 999, 53),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_frames_do_not_leave_the_cable(sandboxes, what):
    """AF_PACKET with PACKET_QDISC_BYPASS meets no filter inside; the host's end of the cable drops it."""
    source, to, protocol, source_port, port = FORGED[what]
    id = sandboxes.start(network(rules=RULES), capabilities=["CAP_NET_RAW"])
    capture = f"meta l4proto {'udp' if protocol == 17 else 'tcp'} th dport {port} th sport {source_port} counter"
    sandboxes.lab.at("host", "nft", "add table inet watch; add chain inet watch seen "
                     "{ type filter hook prerouting priority -500; }; add rule inet watch seen " + capture, check=True)

    def seen():
        text = sandboxes.lab.at("host", "nft", "list", "table", "inet", "watch", check=True).out
        return int(text.split("packets ")[1].split()[0])

    words = ["frame", "eth0", "0a:6e:00:00:00:00", source, to, protocol, source_port, port]
    assert sandboxes.dial_in(id, *words) == "ok" and seen() == 0
    chain = sandboxes.lab.at("host", "nft", "list", "chain", "netdev", "nemoshell_host_0", "entrance", check=True).out
    assert [line for line in chain.splitlines() if " drop " in line and "packets 1 " in line], chain
    sandboxes.tear_fence(id)
    assert sandboxes.dial_in(id, *words) == "ok" and seen() == 1
    sandboxes.lab.at("host", "nft", "delete", "table", "inet", "watch", check=True)


def test_a_forged_frame_that_a_rule_covers_passes(sandboxes):
    """The filter at the cable is no wider and no narrower than the policy."""
    server = sandboxes.lab.serve("world", 53)
    id = sandboxes.start(network(rules=RULES), capabilities=["CAP_NET_RAW"])
    assert sandboxes.dial_in(id, "frame", "eth0", "0a:6e:00:00:00:00", "10.201.0.1", WORLD, 17, 999, 53) == "ok"
    sandboxes.dial_in(id, "udp", WORLD, 53)
    assert len(server.heard("udp 53")) == 2


def test_large_datagrams(sandboxes):
    """In fragments, of which only the first has ports."""
    sandboxes.lab.serve("world", 53)
    id = sandboxes.start(network(rules=RULES))
    assert sandboxes.dial_in(id, "udp", WORLD, 53, 20000) == "ok"


UNDO = [(("unfence",), "EPERM"), (("down", "eth0"), "EPERM"), (("device",), "EPERM"),
        (("escape", "0x40000000", WORLD, "5001"), "EPERM"), (("join", "/proc/1/ns/net"), "EPERM"),
        (("write", "/proc/sys/net/ipv4/ip_forward", "1"), "EROFS")]


@pytest.mark.parametrize("words, errno", UNDO, ids=lambda v: " ".join(v) if isinstance(v, tuple) else v)
def test_cannot_be_undone(sandboxes, words, errno):
    """Root inside, with every capability but CAP_NET_ADMIN and CAP_SYS_ADMIN; a process with those can."""
    everything = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "CAP_SETUID",
                  "CAP_SETGID", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_KILL", "CAP_SETPCAP", "CAP_SETFCAP"]
    sandboxes.lab.serve("world", 5001)
    id = sandboxes.start(network(rules=RULES), capabilities=everything)
    assert sandboxes.dial_in(id, *words) == errno
    assert sandboxes.lab.hook("verify", sandboxes.state(id)).ok()
    if words[0] == "escape":
        return  # A namespace of one's own has no cable: see below.
    r = sandboxes.inside(id, sandboxes.dial, *[w.replace("/proc/1/", "/proc/self/") for w in words])
    assert r.ok().out.strip() == "ok"


def test_a_user_namespace_leads_nowhere(sandboxes):
    """Even where the kernel lets a program make one: its capabilities are not those over the sandbox's network."""
    sandboxes.lab.serve("world", 5001)
    id = sandboxes.start(network(rules=RULES))
    assert sandboxes.dial_in(id, "escape", "0x10000000", WORLD, 5001) == "EHOSTUNREACH"
    assert sandboxes.dial_in(id, "escape", "0x50000000", WORLD, 5001) == "ENETUNREACH"


def test_abstract_sockets_of_the_host(sandboxes):
    """They belong to a network namespace: a program on the host reaches it, the sandbox does not."""
    with socket.socket(socket.AF_UNIX) as s:
        name = sandboxes.lab.token + "-abstract"
        s.bind("\0" + name)
        s.listen()
        assert call(sandboxes.dial, "abstract", name).out == "ok\n"
        id = sandboxes.start(network(rules=RULES))
        assert sandboxes.dial_in(id, "abstract", name) == "ECONNREFUSED"


def test_sandboxes_cannot_reach_each_other(sandboxes):
    """Not even where a rule of the policy is wide enough."""
    wide = network(rules=[rule("10.0.0.0/8", "1-65535"), rule("10.0.0.0/8", "1-65535", "udp")])
    one, other = sandboxes.start(wide), sandboxes.start(wide)
    sandboxes.lab.serve_in(sandboxes.pid(other), 5000)
    assert sandboxes.dial_in(one, "tcp", "10.201.0.3", 5000) == "EHOSTUNREACH"
    assert sandboxes.dial_in(one, "udp", "10.201.0.3", 5000) == "EPERM"
    sandboxes.tear_fence(one)
    sandboxes.inside(other, "nft", "flush", "ruleset", check=True)
    assert sandboxes.dial_in(one, "tcp", "10.201.0.3", 5000) == "ok"


def test_nobody_calls_in(sandboxes):
    """From the host, to a port that is not published."""
    id = sandboxes.start(network(rules=RULES))
    sandboxes.lab.serve_in(sandboxes.pid(id), 5000)
    assert sandboxes.lab.at("host", sandboxes.dial, "tcp", "10.201.0.1", 5000).out.strip() == "ETIMEDOUT"
    sandboxes.tear_fence(id)
    assert sandboxes.lab.at("host", sandboxes.dial, "tcp", "10.201.0.1", 5000).out.strip() == "ok"


def test_the_loopback_is_the_sandboxs_own(sandboxes):
    id = sandboxes.start(network(rules=RULES))
    sandboxes.lab.serve("host", 7000)
    assert sandboxes.dial_in(id, "tcp", "127.0.0.1", 7000) == "ECONNREFUSED"
    sandboxes.lab.serve_in(sandboxes.pid(id), 7000)
    assert sandboxes.dial_in(id, "tcp", "127.0.0.1", 7000) == "ok"
    assert sandboxes.dial_in(id, "tcp", "::1", 7000) == "ok"


def test_refusals_are_counted_and_logged(sandboxes):
    """With the line of the rule at each counter, and the log group at what is refused."""
    sandboxes.lab.serve("world", 5000)
    id = sandboxes.start(network(rules=RULES, logGroup=77))
    sandboxes.dial_in(id, "tcp", WORLD, 5000)
    sandboxes.dial_in(id, "tcp", OTHER, 5000)
    text = sandboxes.inside(id, "nft", "list", "chain", "inet", "nemoshell", "output", check=True).out
    lines = {line.split("comment ")[1].strip('"'): line for line in text.splitlines() if "comment " in line}
    assert "packets 1 " in lines["agent.yaml:10"] and "packets 0 " in lines["agent.yaml:12"]
    assert "packets 1 " in lines["refused"] and "group 77" in lines["refused"]


def test_errors_about_ones_own_connections_come_in(sandboxes):
    """A narrow part of the way is reported to the sender, who then sends smaller packets."""
    sandboxes.lab.serve("world", 53)
    id = sandboxes.start(network(rules=RULES))
    sandboxes.lab.ip("host", "link", "set", "uplink", "mtu", "1300")
    script = f"""
import errno, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
s.connect(("{WORLD}", 53))
s.send(bytes(1400))
time.sleep(0.2)
try:
    s.send(bytes(1400))
    print("sent")
except OSError as e:
    print(errno.errorcode[e.errno])
"""
    assert sandboxes.inside(id, "/usr/bin/python3", "-c", script).ok().out == "EMSGSIZE\n"
