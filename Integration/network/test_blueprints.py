"""Sandboxes of blueprints on a network: what `nemoshell run` makes of their rules."""

import json
import os
import pathlib
import subprocess

import pytest

from harness import busybox_rootfs
from harness.runtime import NEMOSHELL
from netlab import HOST, OTHER, WORLD, call

BLUEPRINT = """apiVersion: nemoshell/v1
kind: Blueprint
metadata: {{name: agent, version: 1.0.0}}
sandbox:
  rootfs: {{directory: {rootfs}}}
  process: {{args: [/bin/sh, -c, "echo up; while :; do sleep 0.1; done"], env: {{PATH: /bin}}}}
  network: {network}
  ports: {ports}
policy:
  filesystem: {{read_only: [/bin]}}
  network_policies: {rules}
"""

RULES = {"service": {"endpoints": [{"address": WORLD, "port": 7000}]}, "later": {"endpoints": [{"host": "example.com", "port": 443}]}}


class Operator:
    """The operator of the lab's host."""

    def __init__(self, lab, dial):
        self.lab = lab
        self.rootfs = busybox_rootfs(f"{lab.work}/rootfs")
        os.link(dial, f"{self.rootfs}/bin/dial")

    def blueprint(self, network, rules=RULES, ports=()):
        path = pathlib.Path(self.lab.work, "agent.yaml")
        # A mapping without keys would be a rule set without rules.
        text = BLUEPRINT.format(rootfs=self.rootfs, network=json.dumps(network), rules=json.dumps(rules), ports=json.dumps(list(ports)))
        path.write_text("".join(l for l in text.splitlines(True) if not l.endswith("ports: []\n") and not l.endswith("network_policies: {}\n")))
        return str(path)

    def call(self, *words):
        return self.lab.at("host", NEMOSHELL, *words, "--state-dir", self.lab.work, timeout=60)

    def inside(self, *words):
        return self.lab.at("host", NEMOSHELL, "agent", "exec", "--state-dir", self.lab.work, "/bin/dial", *map(str, words)).ok().out.strip()


@pytest.fixture
def operator(lab, dial):
    o = Operator(lab, dial)
    yield o
    o.call("agent", "rm", "--force", "--workspace")


def test_rules_open_what_they_name(operator):
    server = operator.lab.serve("world", 7000, 7001)
    done = operator.call("run", "-d", operator.blueprint({"mode": "veth"})).ok()
    assert "own network" in done.out and "network fence" in done.out, done.out
    assert operator.inside("tcp", WORLD, 7000) == "ok" and server.heard("tcp 7000")
    for address, port in ((WORLD, 7001), (OTHER, 7000), (HOST, 7000)):
        assert operator.inside("tcp", address, port) == "EHOSTUNREACH", (address, port)
    assert operator.inside("udp", WORLD, 7000) == "EPERM"
    config = json.loads(operator.call("agent", "inspect").out)["config"]
    assert config["hooks"]["createRuntime"][0]["args"][1] == "setup"
    # What the policy says is what happens.
    for target, verdict in ((f"{WORLD}:7000", 0), (f"{WORLD}:7001", 1), (f"{OTHER}:7000", 1), ("example.com:443", 1)):
        assert call(NEMOSHELL, "policy", "explain", "--connect", target, f"{operator.lab.work}/agent.yaml").code == verdict, target
    operator.call("agent", "stop").ok()
    assert operator.lab.traces() == {}
    operator.call("agent", "start").ok()
    assert operator.inside("tcp", WORLD, 7000) == "ok"


def test_ports_are_published(operator):
    operator.call("run", "-d", operator.blueprint({"mode": "veth"}, rules={}, ports=[{"container": 80, "host": 8080}])).ok()
    pid = json.loads(operator.call("agent", "status", "--json").out)["run"]["pid"]
    operator.lab.serve_in(pid, 80)
    assert operator.lab.at("host", f"{operator.rootfs}/bin/dial", "tcp", "127.0.0.1", "8080").out.strip() == "ok"


def test_a_namespace_that_is_joined_gets_the_fence(operator):
    pid = operator.lab.namespace()
    done = operator.call("run", "-d", operator.blueprint({"mode": "join", "path": f"/proc/{pid}/ns/net"}, rules={})).ok()
    assert "network fence" in done.out
    operator.call("agent", "rm", "--force").ok()


def test_the_host_s_network_needs_the_operator_s_flag(operator):
    path = operator.blueprint({"mode": "host"}, rules={})
    operator.call("run", "-d", path).failed("--allow-host")
    done = operator.call("run", "-d", path, "--allow-host").ok()
    assert "network" not in done.out
    assert operator.inside("tcp", HOST, 7000) == "ECONNREFUSED"


def test_a_fence_that_cannot_be_made_stops_the_start(operator):
    operator.lab.sysctl("ipv4/ip_forward", 0)
    done = operator.call("run", "-d", operator.blueprint({"mode": "veth"})).failed("ip_forward")
    assert done.err.count("\n") == 1
    assert json.loads(operator.call("agent", "status", "--json").out)["state"] == "stopped" and operator.lab.traces() == {}
    operator.lab.sysctl("ipv4/ip_forward", 1)
    operator.call("agent", "start").ok()


def test_a_built_bundle_runs_elsewhere(operator):
    """Under the hook program that is there, with the addresses of its registry."""
    server = operator.lab.serve("world", 7000)
    out = f"{operator.lab.work}/bundle"
    call(NEMOSHELL, "blueprint", "build", operator.blueprint({"mode": "veth"}), "-o", out, check=True)
    lock = json.loads(pathlib.Path(out, "nemoshell.lock").read_text())
    assert lock["network.json"].startswith("sha256:")
    operator.call("run", "-d", out).ok()
    assert operator.inside("tcp", WORLD, 7000) == "ok" and server.heard("tcp 7000")
    config = json.loads(operator.call("agent", "inspect").out)["config"]
    assert config["hooks"]["poststop"][0]["args"][2:] == ["--root", operator.lab.root]
    operator.call("agent", "rm", "--force").ok()
    text = pathlib.Path(out, "network.json").read_text()
    pathlib.Path(out, "network.json").write_text(text.replace("7000", "7001"))
    operator.call("run", "-d", out).failed("network.json")
