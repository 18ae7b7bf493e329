"""The policy engine against the kernel: thousands of random (policy, action) pairs for files and system calls. Each policy is held in a real
container by Landlock, mounts and a filter; one answer of `policy decide` that is not what the kernel did is a failure."""

import collections
import json
import os
import random
import shutil
import subprocess

import pytest

import generate
from harness import Bundle
from harness.inject import SEED
from harness.runtime import NEMOSHELL

PROBE = os.path.join(os.path.dirname(NEMOSHELL), "nemoprobe")
POLICIES = int(os.environ.get("POLICIES", "200"))
ACTIONS = 100
PAIRS = 5000

#: Errnos of the filter are moved up here, where none of the kernel's own is.
MARK = 2000
NUMBERS = {"EPERM": 1, "ENOENT": 2, "EACCES": 13, "EINVAL": 22, "ENOSYS": 38, "EPROTONOSUPPORT": 93, "ENOTSUP": 95, "EAFNOSUPPORT": 97}

#: How the kernel says no to a file action.
DENIALS = {"EACCES", "EROFS", "EPERM", "EBUSY"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The smallest program that ends well."""
    path = tmp_path_factory.mktemp("program")
    (path / "p.c").write_text("void _start(void) { __asm__ volatile(\"syscall\" : : \"a\"(60), \"D\"(0)); }\n" if os.uname().machine == "x86_64"
                              else "int main(void) { return 0; }\n")
    flags = ["-nostdlib"] if os.uname().machine == "x86_64" else []
    subprocess.run(["gcc", "-static", *flags, "-o", path / "p", path / "p.c"], check=True)
    return path / "p"


def landlock(case):
    """`process.landlock` of the policy: everything is handled; a rule's rights are those of its path and all above it."""
    grants = collections.defaultdict(set)
    for path, rights in case.file_rules():
        grants[path] |= rights
    rules = [{"allowedAccess": sorted(set().union(*(r for p, r in grants.items() if generate.inside(path, p)))), "paths": [path]}
             for path in grants]
    return {"ruleset": {"handledAccessFS": generate.FILE_RIGHTS + ["make_block"]}, "rules": {"pathBeneath": rules}}


def configure(bundle, case, sources, blueprint):
    """The policy as config.json, the filter with its errnos marked."""
    config = bundle.config
    filter = json.loads(subprocess.check_output([NEMOSHELL, "policy", "seccomp", blueprint], text=True))
    filter["defaultErrnoRet"] += MARK
    for rule in filter["syscalls"]:
        if "errnoRet" in rule:
            rule["errnoRet"] += MARK
    config["linux"]["seccomp"] = filter
    config["root"]["readonly"] = not case.writable_root
    config["process"].update(args=["/probe", "--actions"], user={"uid": 65532, "gid": 65532}, capabilities={}, landlock=landlock(case))
    for mount in config["mounts"]:
        if mount["destination"] == "/dev":
            mount["options"].append("noexec")
    bundle.mount("/tmp", "tmpfs", "tmpfs", ("nosuid", "nodev", "mode=1777"))
    flags = {case.workspace: ["rw"], **{d: ["rw" if w else "ro"] + ([] if x else ["noexec"]) for d, w, x in case.mounts}}
    for place in sorted(sources):
        bundle.mount(place, sources[place], options=["bind", "private", *flags[place]])
    config["linux"]["readonlyPaths"] = case.read_only_mounts()
    config["linux"]["maskedPaths"] = []


def expected(decision, line):
    """What the prober must say: for a file `yes` or `no`, for a system call `passes` or the marked errno."""
    allowed = decision["verdict"] == "allow"
    if line.startswith("file "):
        return "yes" if allowed else "no"
    return "passes" if allowed else str(MARK + NUMBERS[decision["reason"].rsplit(" ", 1)[1]])


def observed(answer, line):
    """What the kernel did, in the same words; None where the filter refused a call that the file action is made of."""
    if line.startswith("file "):
        if answer.isdigit() and line.startswith("file ioctl "):
            return None
        assert answer == "works" or answer in DENIALS, f"{line}: {answer} is the prober's own trouble"
        return "yes" if answer == "works" else "no"
    return answer if answer.isdigit() and int(answer) >= MARK else "passes"


def test_the_kernel_does_what_the_policy_says(runtime, work, program):
    rng = random.Random(SEED)
    cases = [generate.Case(rng, n, ACTIONS) for n in range(POLICIES)]
    files = {case: os.path.join(work, f"{case.name}.yaml") for case in cases}
    for case, path in files.items():
        with open(path, "w") as f:
            f.write(case.text)
    checked = subprocess.run([NEMOSHELL, "blueprint", "check", "--json", *files.values()], capture_output=True, text=True, check=False)
    refused = collections.defaultdict(list)
    for finding in json.loads(checked.stdout):
        refused[finding["file"]].append(finding)
    cases = [case for case in cases if files[case] not in refused]
    disagreements, counts = [], collections.Counter()
    for case in cases:
        base = os.path.join(work, case.name)
        root, sources = generate.lay_out(case, base, program)
        for place in ("etc", "proc", "sys", "dev", "tmp"):
            os.mkdir(f"{root}/{place}", 0o777)
        for name in ("etc/passwd", "etc/group"):
            with open(f"{root}/{name}", "w") as f:
                f.write("root:x:0:\n")
        os.chmod(f"{root}/etc", 0o777)
        os.chmod(f"{root}/etc/passwd", 0o666)
        os.chmod(root, 0o777)
        shutil.copy(PROBE, f"{root}/probe")
        bundle = Bundle(base)
        configure(bundle, case, sources, files[case])
        decided = subprocess.run([NEMOSHELL, "policy", "decide", "--json", files[case]], input="".join(a + "\n" for a, _ in case.actions),
                                 capture_output=True, text=True, check=True)
        bundle.save()
        r = runtime.call("run", "--bundle", bundle.path, runtime.new_id(), stdin="".join(b + "\n" for _, b in case.actions), timeout=60)
        answers = r.out.splitlines()
        assert r.code == 0 and not r.err and len(answers) == len(case.actions), (SEED, case.name, r)
        for (asked, done), decision, answer in zip(case.actions, json.loads(decided.stdout), answers):
            want, got = expected(decision, asked), observed(answer, done)
            if got is None:
                continue
            counts[done.split()[0], want if want in ("yes", "no", "passes") else "refused"] += 1
            if want != got:
                disagreements.append(f"{case.name}: {done}: the policy says {want} ({decision['reason']}), the kernel {answer}\n{case.text}")
        shutil.rmtree(base)
    print(f"SEED={SEED}: {len(cases)} policies ({len(refused)} of {POLICIES} no valid blueprints), {sum(counts.values())} pairs: {dict(counts)}")
    assert not disagreements, f"SEED={SEED}: {len(disagreements)} disagreements:\n" + "\n".join(disagreements[:3])
    assert sum(counts.values()) >= PAIRS and all(count > 300 for count in counts.values()) and len(counts) == 4
