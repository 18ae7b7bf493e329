"""What the profile `agent` refuses: with every capability, each attempt of the prober (Sources/nemoprobe) is first made without
a filter, where the kernel carries it out or at least looks at it, and then under the profile."""

import json

import pytest


def probe(runtime, bundle, *words):
    """name -> attempt of one run of the prober."""
    bundle.config["process"]["args"] = ["/probe", *words]
    r = runtime.run(bundle)
    # A machine may lack a capability itself, which is a warning.
    assert r.code in (0, 1) and all("capabilities" in line for line in r.err.splitlines()), r
    return {(a["group"], a["name"]): a for a in json.loads(r.out)["attempts"]}


#: Attempts that name nothing real, or that the kernel itself decides by more than capabilities: without a filter the answer is
#: an errno of the kernel's own.
LOOKED_AT = set("""umount2 pivot_root fsconfig fsmount move_mount statmount listmount io_uring_enter io_uring_register init_module
    finit_module delete_module kexec_load reboot acct swapon swapoff clock_settime open_by_handle_at name_to_handle_at request_key
    pidfd_getfd pidfd_send_signal process_madvise process_mrelease vmsplice unknown_number tioclinux iopl ioperm pair icmp""".split())

#: Families, protocols and tables that kernels are built without.
OPTIONAL = {"packet", "vsock", "alg", "key", "xdp", "bluetooth", "tipc", "rds", "can", "nfc", "qipcrtr", "smc", "sctp", "udplite", "mptcp", "x32", "i386",
            "netlink_audit", "netlink_netfilter", "memfd_secret", "prctl_memory_merge", "userfaultfd", "bpf", "perf_event_open"}


def test_each_attempt_works_without_the_profile_and_fails_under_it(runtime, powerful, agent_profile):
    groups = ("system calls", "sockets", "work")
    free = probe(runtime, powerful, *groups)
    powerful.config["linux"]["seccomp"] = agent_profile
    held = probe(runtime, powerful, *groups)
    assert free.keys() == held.keys() and len(free) > 120
    for (group, name), attempt in free.items():
        if name in LOOKED_AT:
            assert attempt["result"] not in ("works", "EPERM"), attempt
        elif name in OPTIONAL:
            assert attempt["result"] != "EPERM", attempt
        else:
            assert attempt["result"] == "works", attempt
    wrong = [attempt for attempt in held.values() if not attempt["held"]]
    assert not wrong
    works = [name for (group, name), attempt in free.items() if attempt["result"] == "works" and group != "work"]
    assert len(works) >= 60, f"{len(works)} refusals are shown to be the filter's: {works}"


@pytest.mark.parametrize("way", ["run", "exec"])
def test_a_call_of_another_table_ends_the_process(runtime, powerful, agent_profile, way):
    """i386 by int 0x80, and x32; for the first process and for one that joins."""
    powerful.config["linux"]["seccomp"] = agent_profile
    if way == "run":
        answers = probe(runtime, powerful, "i386", "x32")
    else:
        powerful.config["process"]["args"] = ["/bin/sleep", "100"]
        id = runtime.start_detached(powerful)
        answers = {a["name"]: a for a in json.loads(runtime.exec(id, "/probe", "i386", "x32").out)["attempts"]}
    assert {a["result"] for a in answers.values()} == {"SIGSYS"} and len(answers) == 2
