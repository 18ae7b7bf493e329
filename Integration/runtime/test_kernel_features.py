"""Personality, memory policy, Intel RDT, mount labels (config-linux.md): where the kernel has them, and where it has not."""

import os
import platform

import pytest

from inside import look, sleeper


# -- personality

def test_personality(runtime, bundle):
    assert look(runtime, bundle, "probe personality; uname -m").split() == ["0", platform.machine()]
    bundle.config["linux"]["personality"] = {"domain": "LINUX"}
    assert look(runtime, bundle, "probe personality") == "0"
    if platform.machine() == "x86_64":
        bundle.config["linux"]["personality"] = {"domain": "LINUX32"}
        assert look(runtime, bundle, "probe personality; uname -m").split() == ["8", "i686"]


def test_personality_in_exec(runtime, bundle):
    bundle.config["linux"]["personality"] = {"domain": "LINUX32"}
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "probe", "personality").ok().out == "8\n"


@pytest.mark.parametrize("personality", [{"domain": "LINUX64"}, {"domain": 8}, {}, {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}])
def test_bad_personality(runtime, bundle, personality):
    """Flags: "Currently no flag values are supported"."""
    bundle.config["linux"]["personality"] = personality
    runtime.create(bundle).failed("/linux/personality", code=1)


# -- memory policy

needs_numa = pytest.mark.skipif(not os.path.isdir("/sys/devices/system/node/node0"), reason="a kernel without NUMA")


@needs_numa
@pytest.mark.parametrize("policy, shown", [
    ({"mode": "MPOL_BIND", "nodes": "0"}, "mode=2 flags=0 nodes=1"),
    ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "mode=1 flags=0 nodes=1"),
    ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "mode=3 flags=0 nodes=1"),
    ({"mode": "MPOL_LOCAL"}, "mode=4 flags=0 nodes=0"), ({"mode": "MPOL_DEFAULT"}, "mode=0 flags=0 nodes=0"),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "mode=2 flags=32768 nodes=1"),
    ({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}, "mode=3 flags=16384 nodes=1"),
])
def test_memory_policy(runtime, bundle, policy, shown):
    bundle.config["linux"]["memoryPolicy"] = policy
    assert look(runtime, bundle, "probe mempolicy") == shown


@pytest.mark.parametrize("policy", [{"mode": "MPOL_NOSUCH"}, {"mode": "MPOL_BIND", "nodes": "x"}, {"nodes": "0"},
                                    {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NOSUCH"]},
                                    {"mode": "MPOL_BIND", "nodes": "1-0"}, {"mode": 2}])
def test_bad_memory_policy(runtime, bundle, policy):
    bundle.config["linux"]["memoryPolicy"] = policy
    runtime.run(bundle).failed("/linux/memoryPolicy", code=1)


# -- Intel RDT

@pytest.mark.parametrize("rdt", [{"closID": "group"}, {"l3CacheSchema": "L3:0=f"}, {"schemata": ["L3:0=f"]},
                                 {"enableMonitoring": True}])
def test_intel_rdt_where_there_is_none(runtime, bundle, rdt):
    """A restriction that cannot be had is an error that names the field."""
    if os.path.exists("/sys/fs/resctrl/schemata"):
        pytest.skip("resctrl is mounted here")
    bundle.config["linux"]["intelRdt"] = rdt
    runtime.create(bundle).failed("intelRdt", code=1)


# -- labels

def test_mount_label_where_there_is_no_selinux(runtime, bundle):
    if os.path.exists("/sys/fs/selinux/enforce"):
        pytest.skip("SELinux is here")
    bundle.config["linux"]["mountLabel"] = ""
    runtime.run(bundle).ok()
    bundle.config["linux"]["mountLabel"] = "system_u:object_r:container_file_t:s0"
    r = runtime.run(bundle)
    assert r.code == 1 and "mountLabel" in r.err
