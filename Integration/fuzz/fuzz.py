#!/usr/bin/env python3
"""A seeded fuzzer of config.json and of the command line: no crash, no hang, nothing left.

    fuzz.py [--seed S] [--seconds N] [--only ITERATION] [--save DIRECTORY]

Every iteration has a seed of its own made of S and its number, so `--seed S --only I` repeats one. A failing input is
saved with the command that repeats it. It works in mount, UTS, IPC, network and pid namespaces of its own, so that a
runtime gone wrong hurts none of the machine's.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import minimal_config  # noqa: E402
from harness.arena import Arena, Hang, brief, crashed  # noqa: E402
from harness.mutate import EXTREME, WRONG, paths, removed, replaced  # noqa: E402

INSIDE = "NEMOSHELL_FUZZ_INSIDE"
TIMEOUT = 15

#: Pieces of configuration that a mutation may put in; each is good somewhere.
PIECES = {
    ("linux", "uidMappings"): [{"containerID": 0, "hostID": 100000, "size": 65536}],
    ("linux", "gidMappings"): [{"containerID": 0, "hostID": 100000, "size": 65536}],
    ("linux", "timeOffsets"): {"monotonic": {"secs": 1, "nanosecs": 1}},
    ("linux", "personality"): {"domain": "LINUX32"},
    ("linux", "rootfsPropagation"): "rslave",
    ("linux", "mountLabel"): "label",
    ("linux", "intelRdt"): {"closID": "x", "l3CacheSchema": "L3:0=f"},
    ("linux", "memoryPolicy"): {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": []},
    ("linux", "netDevices"): {"nst-none": {"name": "eth0"}},
    ("linux", "sysctl"): {"net.ipv4.ip_forward": "0", "kernel.shmmax": "1"},
    ("linux", "cgroupsPath"): "fuzz/../x",
    ("linux", "devices"): [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}],
    ("linux", "seccomp"): {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                           "syscalls": [{"names": ["bpf", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
                                         "args": [{"index": 1, "value": 2**63, "op": "SCMP_CMP_MASKED_EQ"}]}]},
    ("linux", "resources", "memory"): {"limit": 1 << 26, "swap": 1 << 27, "reservation": 1 << 25, "swappiness": 10},
    ("linux", "resources", "cpu"): {"shares": 2, "quota": 1000, "period": 100000, "cpus": "0", "mems": "0"},
    ("linux", "resources", "pids"): {"limit": 20},
    ("linux", "resources", "unified"): {"memory.max": "1"},
    ("linux", "resources", "hugepageLimits"): [{"pageSize": "2MB", "limit": 0}],
    ("linux", "resources", "network"): {"classID": 1, "priorities": [{"name": "lo", "priority": 1}]},
    ("linux", "resources", "rdma"): {"x": {"hcaHandles": 1}},
    ("linux", "resources", "blockIO"): {"weight": 100, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}]},
    ("process", "scheduler"): {"policy": "SCHED_OTHER", "nice": 5},
    ("process", "ioPriority"): {"class": "IOPRIO_CLASS_BE", "priority": 4},
    ("process", "execCPUAffinity"): {"initial": "0", "final": "0-1"},
    ("process", "apparmorProfile"): "none",
    ("process", "selinuxLabel"): "a:b:c",
    ("process", "rlimits"): [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
    ("process", "oomScoreAdj"): 500,
    ("process", "consoleSize"): {"height": 5, "width": 5},
    ("process", "user"): {"uid": 1000, "gid": 1000, "umask": 63, "additionalGids": [1, 2]},
    ("hooks",): {"createRuntime": [{"path": "/bin/true"}], "poststop": [{"path": "/bin/false", "timeout": 1}]},
    ("annotations",): {"run.oci.keep_original_groups": "1", "": "x"},
    ("domainname",): "domain",
}

STRANGE = ["", "-", "--", "-x", "--help", "--version", "/", ".", "..", "\x01", "%s", "a" * 300, "0", "-1", "1e9", "=",
           "--root", "--bundle", "--force", "--pid-file", "--log", "--log-format", "json", "--debug", "-f", "-d", "-t",
           "\u00e9", "KILL", "--format", "--all", "--process", "--preserve-fds", "--user", "--cwd", "--env", "--cap"]

#: Verbs, and what could follow. Nothing here reaches outside the arena: roots, bundles and files are relative to it.
VERBS = ["create", "run", "start", "state", "kill", "delete", "exec", "list", "ps", "pause", "resume", "update", "events",
         "features", "spec", "checkpoint", "restore", "help", "nosuch"]


def mutate_config(chance, config):
    """One to five changes to a good configuration; returns the text (bytes)."""
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5])):
        kind = chance.random()
        if kind < 0.3:
            path = chance.choice(list(PIECES))
            if isinstance(_at(config, path[:-1]), dict):
                config = replaced(config, path, PIECES[path])
            continue
        places = list(paths(config))
        if not places:
            break
        path, old = chance.choice(places)
        if kind < 0.4:
            config = removed(config, path)
        elif kind < 0.6:
            config = replaced(config, path, chance.choice(WRONG.get(type(old), [None, 1, "x", [], {}])))
        elif kind < 0.8:
            config = replaced(config, path, chance.choice(EXTREME.get(type(old), [None])))
        elif kind < 0.9:
            config = replaced(config, path, chance.choice(places)[1])
        elif isinstance(old, list) and old:
            config = replaced(config, path, old * chance.choice([2, 50]) if chance.random() < 0.5 else old[::-1])
    text = json.dumps(config, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.25:  # bytes
        text = bytearray(text)
        for _ in range(chance.choice([1, 1, 2, 8])):
            where = chance.randrange(len(text))
            what = chance.random()
            if what < 0.4:
                text[where] = chance.randrange(256)
            elif what < 0.7:
                del text[where:where + chance.choice([1, 2, 50])]
            else:
                piece = text[where:where + chance.choice([1, 10, 100])]
                text[where:where] = piece
            if not text:
                break
        text = bytes(text)
    return text


def _at(document, path):
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


def harmless(config):
    """Keeps what runs away from the rest of the machine: only what the arena's own namespaces cannot hold in."""
    if not isinstance(config, dict):
        return config
    linux = config.get("linux")
    if isinstance(linux, dict) and isinstance(linux.get("cgroupsPath"), str) and "nst" not in linux["cgroupsPath"]:
        # Limits set on a cgroup that is not ours, the root above all, would bind the whole machine.
        linux["cgroupsPath"] = linux["cgroupsPath"] if ".." in linux["cgroupsPath"] else "/nst-fuzz"
    return config


def arguments(chance, id, bundle):
    """A command line: a known verb with odd flags, ids and values, or anything."""
    verb = chance.choice(VERBS)
    words = {"create": ["--bundle", bundle, id], "run": ["--bundle", bundle, id], "kill": [id, "KILL"],
             "exec": [id, "/bin/true"], "update": ["--pids-limit", "9", id], "list": [], "features": [],
             "spec": ["--bundle", "fuzz-spec"], "events": ["--stats", id]}.get(verb, [id])
    words = [verb, *words]
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        where = chance.randrange(len(words) + 1)
        what = chance.random()
        if what < 0.6:
            words.insert(where, chance.choice(STRANGE))
        elif what < 0.8 and words:
            del words[min(where, len(words) - 1)]
        elif words:
            at = min(where, len(words) - 1)
            words[at] = words[at] + chance.choice(["x", "=", "=1", " ", "\n", "/..", "\u00ff"])
    return words


class Fuzzer:
    """Runs iterations in one arena and remembers what was wrong."""

    def __init__(self, seed, save):
        self.seed = seed
        self.save = save
        self.arena = Arena()
        self.bundle = self.arena.bundle("/bin/true")
        self.id = self.arena.runtime.new_id()
        self.outcomes = {}

    def iterate(self, number):
        """One iteration; a list of what was wrong."""
        chance = random.Random(f"{self.seed}/{number}")
        if chance.random() < 0.75:
            return self._config(chance, number)
        return self._command_line(chance, number)

    def _config(self, chance, number):
        config = minimal_config("/bin/true")
        config["root"]["path"] = self.bundle.rootfs
        text = mutate_config(chance, config)
        try:
            text = json.dumps(harmless(json.loads(text))).encode("utf-8", "surrogatepass") \
                if b"cgroupsPath" in text else text
        except ValueError:
            text = text.replace(b"cgroupsPath", b"cgroupsNone")  # not JSON any more, but let nothing depend on that
        with open(f"{self.bundle.path}/config.json", "wb") as f:
            f.write(text)
        return self._judge(number, ["run", "--bundle", self.bundle.path, self.id], text)

    def _command_line(self, chance, number):
        with open(f"{self.bundle.path}/config.json", "w") as f:
            config = minimal_config("/bin/true")
            config["root"]["path"] = self.bundle.rootfs
            json.dump(config, f)
        words = arguments(chance, self.id, self.bundle.path)
        words = [w.replace("\0", "") for w in words]
        return self._judge(number, words, None)

    def _judge(self, number, command, text):
        wrong = []
        try:
            r = self.arena.runtime.call(*command, timeout=TIMEOUT, cwd=self.arena.work,
                                        stdin="" if "-" in command else None)
        except Hang as hang:
            wrong.append(str(hang))
        else:
            self.outcomes[r.code] = self.outcomes.get(r.code, 0) + 1
            if crashed(r):
                wrong.append(f"{crashed(r)}: {brief(r)}")
            if r.code != 0 and not r.err.strip() and text is not None:
                wrong.append(f"exit {r.code} without a word")
            if text is not None:
                left = self.arena.residue()
                left = left and self.arena.settled(within=2)
                if left:
                    wrong.append(f"exit {r.code} ({brief(r)}), but left {left}")
        if self.arena.residue():
            for name in [self.id, *(os.listdir(self.arena.root) if os.path.isdir(self.arena.root) else [])]:
                try:
                    self.arena.runtime.call("delete", "--force", name)
                except Hang as hang:
                    wrong.append(str(hang))
            left = self.arena.settled()
            if left:
                wrong.append(f"left after delete --force: {left}")
                self.arena.scrub()
        if wrong:
            self._keep(number, command, text, wrong)
        return wrong

    def _keep(self, number, command, text, wrong):
        directory = f"{self.save}/{self.seed}-{number}"
        os.makedirs(directory, exist_ok=True)
        if text is not None:
            with open(f"{directory}/config.json", "wb") as f:
                f.write(text)
        with open(f"{directory}/what", "w") as f:
            f.write("\n".join([repr(command), *wrong, f"repeat: fuzz.py --seed {self.seed} --only {number}", ""]))

    def close(self):
        return self.arena.close()


def enter_namespaces():
    """Starts this program again in namespaces of its own; returns only inside them."""
    if os.environ.get(INSIDE):
        return
    environment = {**os.environ, INSIDE: "1"}
    code = subprocess.call(["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child",
                            "--mount-proc", "--propagation", "private", sys.executable, os.path.abspath(__file__),
                            *sys.argv[1:]], env=environment)
    sys.exit(code)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", type=int, help="repeat this one iteration")
    parser.add_argument("--save", default="/tmp/nemoshell-fuzz", help="where failing inputs go")
    options = parser.parse_args()
    enter_namespaces()
    print(f"fuzz: seed {options.seed}", flush=True)
    fuzzer = Fuzzer(options.seed, options.save)
    failures, number, end = 0, 0, time.monotonic() + options.seconds
    try:
        if options.only is not None:
            wrong = fuzzer.iterate(options.only)
            print("\n".join(wrong) or "nothing wrong")
            failures, number = len(wrong), 1
        while options.only is None and time.monotonic() < end and failures < 50:
            wrong = fuzzer.iterate(number)
            if wrong:
                failures += 1
                print(f"fuzz: iteration {number}: " + "; ".join(wrong)[:600], flush=True)
            number += 1
    finally:
        left = fuzzer.close()
    if left:
        failures += 1
        print(f"fuzz: left at the end: {left}")
    outcomes = ", ".join(f"exit {code}: {count}" for code, count in sorted(fuzzer.outcomes.items()))
    print(f"fuzz: seed {options.seed}, {number} iterations ({outcomes}), {failures} failures"
          + (f", inputs in {options.save}" if failures else ""))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
