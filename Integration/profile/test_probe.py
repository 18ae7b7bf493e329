"""The prober's whole list (Sources/nemoprobe) in a container as a sandbox has it, and in one that holds nothing."""

import json

import pytest

from harness import AGENT


def probe(runtime, bundle, *words):
    bundle.config["process"]["args"] = ["/probe", *words]
    r = runtime.run(bundle)
    answer = json.loads(r.out)
    assert r.code == (1 if answer["failed"] else 0) and answer["tried"] == len(answer["attempts"])
    return answer["attempts"]


def confine(bundle, profile):
    """Turns a bundle into what a blueprint's defaults are."""
    bundle.config["process"].update(user={"uid": AGENT, "gid": AGENT}, capabilities={}, cwd="/tmp",
                                    rlimits=[{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}])
    bundle.config["root"]["readonly"] = True
    bundle.config["linux"]["seccomp"] = profile
    bundle.mount("/tmp", "tmpfs", "tmpfs", ("nosuid", "nodev", "mode=1777"))


def test_a_sandbox_holds(runtime, powerful, agent_profile):
    confine(powerful, agent_profile)
    attempts = probe(runtime, powerful)
    assert len(attempts) > 170
    assert not [a for a in attempts if not a["held"]]


#: What fails in any container, or is a matter of the machine: the device or file is not there.
ALWAYS = {"open /dev/mem", "open /dev/port", "open /dev/kmsg", "open /dev/fuse", "open /dev/loop-control", "open /dev/kvm", "open /dev/vhost-vsock",
          "open /dev/userfaultfd", "open /dev/net/tun", "no block devices in /dev", "write modprobe", "write /sys/power/state", "write release_agent",
          "write /sys/kernel/uevent_helper", "write cgroup.procs", "write memory/cgroup.procs", "write memory.limit_in_bytes", "make a cgroup",
          "make a memory cgroup", "no root group", "inheritable capabilities are those granted", "ambient capabilities are those granted", "unknown_number",
          "no descriptors but the standard ones", "working directory is inside the root", "memory of another user's process", "write ip_forward",
          "read /proc/timer_list", "raise priority", "read /proc/kcore", "write /proc/sysrq-trigger"}


def test_the_prober_sees_what_is_not_held(runtime, powerful):
    """Without the restrictions every attempt is reported as not held, but for those that cannot work anywhere."""
    linux = powerful.config["linux"]
    linux.update(maskedPaths=[], readonlyPaths=[])
    powerful.config["process"]["noNewPrivileges"] = False
    powerful.config["process"]["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 100, "hard": 100}]
    linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    powerful.mount("/usr", "tmpfs", "tmpfs", ())
    held = {a["name"] for a in probe(runtime, powerful, "process", "devices", "kernel", "cgroups", "files") if a["held"]}
    assert held <= ALWAYS, held - ALWAYS


def test_granted_capabilities_are_no_failure(runtime, powerful, agent_profile):
    confine(powerful, agent_profile)
    names = ["CAP_NET_BIND_SERVICE"]
    powerful.config["process"]["capabilities"] = {name: names for name in ("bounding", "permitted", "effective", "ambient", "inheritable")}
    failed = {a["name"] for a in probe(runtime, powerful, "process") if not a["held"]}
    assert "effective capabilities are those granted" in failed
    failed = {a["name"] for a in probe(runtime, powerful, "--capabilities", "400", "process") if not a["held"]}
    assert not failed


@pytest.mark.parametrize("words", [("--capabilities",), ("--capabilities", "x"), ("no such attempt",)])
def test_misuse(runtime, powerful, words):
    powerful.config["process"]["args"] = ["/probe", *words]
    assert runtime.run(powerful).code == 2
