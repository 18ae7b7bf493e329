"""The same pairs once more, in bundles that `blueprint build` makes: what is compiled into config.json is what the policy says."""

import collections
import json
import os
import random
import shutil
import subprocess

import generate
from harness.inject import SEED
from harness.runtime import NEMOSHELL
from test_differential import ACTIONS, MARK, PROBE, expected, observed, program  # noqa: F401

POLICIES = int(os.environ.get("POLICIES", "200"))
PAIRS = 5000


def lay_out(case, base, program):
    """What the blueprint names: the root file system with all the sandbox's users need, and the sources of mounts."""
    root, sources = generate.lay_out(case, base, program)
    os.mkdir(f"{root}/etc", 0o777)
    for name in ("etc/passwd", "etc/group"):
        with open(f"{root}/{name}", "w") as f:
            f.write("root:x:0:\n")
        os.chmod(f"{root}/{name}", 0o666)
    os.chmod(f"{root}/etc", 0o777)
    os.chmod(root, 0o777)
    shutil.copy(PROBE, f"{root}/probe")
    return sources


def mark(path):
    """Moves the errnos of the filter up to where none of the kernel's own is."""
    with open(path) as f:
        config = json.load(f)
    filter = config["linux"]["seccomp"]
    filter["defaultErrnoRet"] += MARK
    for rule in filter["syscalls"]:
        if "errnoRet" in rule:
            rule["errnoRet"] += MARK
    with open(path, "w") as f:
        json.dump(config, f)


def test_built_bundles_do_what_the_policy_says(runtime, work, program):  # noqa: F811
    rng = random.Random(SEED + 1)
    disagreements, counts, refused = [], collections.Counter(), 0
    for number in range(POLICIES):
        case = generate.Case(rng, number, ACTIONS)
        path, base, out = f"{work}/{case.name}.yaml", f"{work}/{case.name}", f"{work}/{case.name}-bundle"
        with open(path, "w") as f:
            f.write(case.text)
        sources = lay_out(case, base, program)
        built = subprocess.run([NEMOSHELL, "blueprint", "build", path, "-o", out], capture_output=True, text=True)
        if built.returncode:
            assert not os.path.exists(out) and (".yaml:" in built.stderr), (SEED, built.stderr)
            refused += 1
            continue
        if case.workspace:
            shutil.rmtree(f"{out}/workspace")
            shutil.copytree(sources[case.workspace], f"{out}/workspace")
            for directory, _, files in os.walk(f"{out}/workspace"):
                for name in (directory, *(f"{directory}/{f}" for f in files)):
                    os.chown(name, 65532, 65532)
        mark(f"{out}/config.json")
        decided = subprocess.run([NEMOSHELL, "policy", "decide", "--json", path], input="".join(a + "\n" for a, _ in case.actions),
                                 capture_output=True, text=True, check=True)
        r = runtime.call("run", "--bundle", out, runtime.new_id(), stdin="".join(b + "\n" for _, b in case.actions), timeout=60)
        answers = r.out.splitlines()
        assert r.code == 0 and len(answers) == len(case.actions), (SEED, case.name, r, case.text)
        for (asked, done), decision, answer in zip(case.actions, json.loads(decided.stdout), answers):
            want, got = expected(decision, asked), observed(answer, done)
            if got is None:
                continue
            counts[done.split()[0], want if want in ("yes", "no", "passes") else "refused"] += 1
            if want != got:
                disagreements.append(f"{case.name}: {done}: the policy says {want} ({decision['reason']}), the kernel {answer}\n{case.text}")
        for made in (base, out):
            shutil.rmtree(made)
    print(f"SEED={SEED}: {POLICIES - refused} policies ({refused} of {POLICIES} not built), {sum(counts.values())} pairs: {dict(counts)}")
    assert not disagreements, f"SEED={SEED}: {len(disagreements)} disagreements:\n" + "\n".join(disagreements[:3])
    assert sum(counts.values()) >= PAIRS and all(count > 200 for count in counts.values()) and len(counts) == 4
