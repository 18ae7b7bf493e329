"""The policy engine and the kernel say the same: thousands of destinations against generated policies, each tried in a sandbox."""

import ipaddress
import json
import os
import random
import re
import subprocess

from harness.inject import SEED
from harness.runtime import NEMOSHELL
from netlab import network, rule

POLICIES, DESTINATIONS = 20, 250

#: What a program is told that the fence refuses, or that has no way there at all. An answer from the other side is none of these.
REFUSED = {"EHOSTUNREACH", "EACCES", "EPERM", "ENETUNREACH"}

V4, V6 = [8, 15, 16, 29, 31, 32], [20, 32, 111, 127, 128]


def address(choice):
    if choice.random() < 0.6:
        return f"10.{choice.randint(20, 21)}.0.{choice.randint(0, 9)}"
    return f"fd30::{choice.randint(0, 1)}:{choice.randint(0, 9)}"


def policy(choice):
    """Rules as network.json and as a blueprint have them."""
    rules = []
    for _ in range(choice.randint(0, 7)):
        base = address(choice)
        prefix = choice.choice(V6 if ":" in base else V4)
        first = choice.randint(1, 10)
        last = first if choice.random() < 0.5 else first + choice.randint(1, 6)
        target = str(ipaddress.ip_network(f"{base}/{prefix}", strict=False))
        rules.append((target, f"{first}-{last}" if last > first else str(first), choice.choice(["tcp", "udp"])))
    return list(dict.fromkeys(rules))


def engines_verdicts(work, rules, tries):
    """What `nemoshell policy test` says of each: it is told that all are allowed, and fails where they are not."""
    os.makedirs(f"{work}/rootfs/bin", exist_ok=True)
    with open(f"{work}/rootfs/bin/true", "w") as f:
        f.write("#!\n")
    os.chmod(f"{work}/rootfs/bin/true", 0o755)
    endpoints = [{"address": target, "ports": [ports], "transport": transport} for target, ports, transport in rules]
    policies = {"network_policies": {f"r{n}": {"endpoints": [e]} for n, e in enumerate(endpoints)}} if endpoints else {}
    blueprint = {
        "apiVersion": "nemoshell/v1", "kind": "Blueprint", "metadata": {"name": "agreement", "version": "1.0.0"},
        "sandbox": {"rootfs": {"directory": "./rootfs"}, "process": {"args": ["/bin/true"]}, "network": {"mode": "veth"}},
        "policy": {"filesystem": {"read_only": ["/bin"]}, **policies},
        "expect": [{"connect": f"[{a}]:{p}" if ":" in a else f"{a}:{p}", "transport": t, "verdict": "allow"} for t, a, p in tries]}
    path = f"{work}/blueprint.yaml"
    with open(path, "w") as f:
        json.dump(blueprint, f, indent=1)
    r = subprocess.run([NEMOSHELL, "policy", "test", path], capture_output=True, text=True, timeout=60)
    lines = [line for line in r.stdout.splitlines() if re.match(r"(ok|FAILED) .*: connect ", line)]
    assert len(lines) == len(tries), (r.returncode, r.stdout[-500:], r.stderr[-2000:])
    return [line.startswith("ok ") for line in lines]


def test_engine_and_kernel(sandboxes, work):
    lab, choice = sandboxes.lab, random.Random(SEED)
    # All addresses that are tried answer from the world, that nobody is there.
    lab.ip("world", "route", "add", "local", "10.20.0.0/15", "dev", "lo")
    lab.ip("world", "-6", "route", "add", "local", "fd30::/16", "dev", "lo")
    allowed, wrong = 0, []
    for number in range(POLICIES):
        rules = policy(choice)
        tries = [(choice.choice(["tcp", "udp"]), address(choice), choice.randint(1, 14)) for _ in range(DESTINATIONS)]
        verdicts = engines_verdicts(work, rules, tries)
        id = sandboxes.start(network(rules=[rule(t, ports, transport) for t, ports, transport in rules]))
        text = "".join(f"{t} {a} {p}\n" for t, a, p in tries)
        answers = sandboxes.runtime.call("exec", id, "/bin/dial", "batch", stdin=text, timeout=120).ok().out.split()
        assert len(answers) == len(tries)
        assert "ETIMEDOUT" not in answers
        wrong += [(number, rules, what, verdict, answer) for what, verdict, answer in zip(tries, verdicts, answers)
                  if verdict == (answer in REFUSED)]
        allowed += sum(verdicts)
        sandboxes.runtime.call("delete", "--force", id).ok()
    assert not wrong, f"SEED={SEED}: {len(wrong)} of {POLICIES * DESTINATIONS} differ, the first: {wrong[0]}"
    assert allowed > 200, f"SEED={SEED}: only {allowed} were allowed, which proves little"
