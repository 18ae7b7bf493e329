"""Published ports: what leads in, from where, and what does not."""

import pytest

from netlab import HOST, HOST6, OTHER, WORLD, network, port, rule

PORTS = [port(8080, 80), port(8081, 80, address=HOST), port(8082, 81, "udp"), port(8083, 81, "udp", "0.0.0.0"),
         port(8084, 80, address="0.0.0.0"), port(8085, 80, address=HOST6)]


def heard(sandboxes, place, transport, address, number):
    """Whether a client of that place reaches the published port."""
    return sandboxes.lab.at(place, sandboxes.dial, transport, address, number).out.strip()


def test_published(any_sandboxes):
    """On the host's loopback for the host alone, on an address for everybody who reaches that; TCP and UDP, both families."""
    s = any_sandboxes
    id = s.start(network(ports=PORTS))
    server = s.lab.serve_in(s.pid(id), 80, 81)
    assert heard(s, "host", "tcp", "127.0.0.1", 8080) == "ok"
    assert heard(s, "host", "udp", "127.0.0.1", 8082) == "ok"
    assert heard(s, "world", "tcp", HOST, 8081) == "ok"
    assert heard(s, "world", "udp", HOST, 8083) == "ok"
    assert heard(s, "world", "tcp", HOST, 8084) == "ok"
    assert heard(s, "host", "tcp", "127.0.0.1", 8084) == "ok"
    assert heard(s, "world", "tcp", HOST6, 8085) == "ok"
    # The sandbox sees who calls.
    assert [line for line in server.heard("tcp 80") if WORLD in line]
    for address, number in ((HOST, 8080), (HOST, 8085), (HOST6, 8081), (HOST, 80)):
        assert heard(s, "world", "tcp", address, number) == "ECONNREFUSED", (address, number)
    assert s.lab.hook("verify", s.state(id)).ok()


def test_the_host_does_not_need_to_forward_for_its_loopback(sandboxes):
    sandboxes.lab.sysctl("ipv4/ip_forward", 0)
    id = sandboxes.start(network(ports=[port(8080, 80)]))
    sandboxes.lab.serve_in(sandboxes.pid(id), 80)
    assert heard(sandboxes, "host", "tcp", "127.0.0.1", 8080) == "ok"
    sandboxes.runtime.create(sandboxes.bundle(network(ports=[port(8081, 80, address=HOST)]))).failed("net.ipv4.ip_forward=1")


def test_a_published_port_answers_and_does_not_call(sandboxes):
    """A connection made up with the port as its source, past the filters inside, gets no further than the host."""
    server = sandboxes.lab.serve("world", 5000)
    id = sandboxes.start(network(ports=[port(8081, 80, address=HOST), port(8083, 81, "udp", HOST)]), capabilities=["CAP_NET_RAW"])
    udp = ["frame", "eth0", "0a:6e:00:00:00:00", "10.201.0.1", OTHER, 17, 81, 5000]
    tcp = ["frame", "eth0", "0a:6e:00:00:00:00", "10.201.0.1", OTHER, 6, 80, 5000]
    for words in (udp, tcp):
        assert sandboxes.dial_in(id, *words) == "ok"
    chain = sandboxes.lab.at("host", "nft", "list", "chain", "inet", "nemoshell_host", "answers", check=True).out
    assert chain.count("packets 1 ") == 2, chain
    assert not server.heard("udp") and not server.heard("tcp")
    sandboxes.tear_fence(id)
    assert sandboxes.dial_in(id, *udp) == "ok"
    sandboxes.dial_in(id, "udp", WORLD, 5000)
    assert len(server.heard("udp 5000")) == 2


def test_what_came_in_for_the_hosts_loopback_is_dropped(sandboxes):
    """route_localnet is on for the device: nothing of the sandbox may use it."""
    id = sandboxes.start(network(ports=[port(8080, 80)], rules=[rule("127.0.0.0/8", "1-65535", "udp")]),
                         capabilities=["CAP_NET_RAW"])
    server = sandboxes.lab.serve("host", 7000)
    words = ["frame", "eth0", "0a:6e:00:00:00:00", "10.201.0.1", "127.0.0.1", 17, 999, 7000]
    assert sandboxes.dial_in(id, *words) == "ok"
    assert sandboxes.lab.at("host", sandboxes.dial, "udp", "127.0.0.1", 7000).out == "ok\n"
    assert len(server.heard("udp 7000")) == 1
    sandboxes.tear_fence(id)
    assert sandboxes.dial_in(id, *words) == "ok"
    assert sandboxes.lab.at("host", sandboxes.dial, "udp", "127.0.0.1", 7000).out == "ok\n"
    assert len(server.heard("udp 7000")) == 3


def test_a_port_that_somebody_uses(sandboxes):
    sandboxes.lab.serve("host", 7000)
    for address in ("127.0.0.1", "0.0.0.0"):
        for transport in ("tcp", "udp"):
            b = sandboxes.bundle(network(ports=[port(7000, 80, transport, address)]))
            sandboxes.runtime.create(b).failed(f"{address} 7000/{transport}", "EADDRINUSE")
    b = sandboxes.bundle(network(ports=[port(7000, 80, address="192.0.2.77")]))
    sandboxes.runtime.create(b).failed("192.0.2.77 7000/tcp", "EADDRNOTAVAIL")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_leads_to_another_sandbox(sandboxes, address):
    sandboxes.start(network(ports=[port(8080, 80)]))
    b = sandboxes.bundle(network(ports=[port(8080, 80, address=address)]))
    sandboxes.runtime.create(b).failed("leads to sandbox", "choose another port")
    sandboxes.start(network(ports=[port(8080, 80, address=HOST), port(8080, 80, "udp"), port(8081, 80)]))
