#!/usr/bin/python3
"""Measures nemoshell beside runc, crun and the floor (a C program doing the same kernel work) in one run.

Every round runs each runtime once, in random order, and the ratio is taken within the round; what the machine does
meanwhile then hits all of them. Absolute times belong to the machine; quote the ratios. See docs/performance.md.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bundles import Bundles, hierarchies  # noqa: E402
from report import Report  # noqa: E402
from runtimes import BenchFailure, Floor, Runtime, Spawner  # noqa: E402

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEMOSHELL = os.environ.get("NEMOSHELL", f"{REPOSITORY}/bin/nemoshell")

WARM_UP_ROUNDS = 3
#: Idleness before each timed step of a cold measurement: what a person sees, not what a loop sees.
COLD_IDLE_MS = 300
LIVE_CONTAINERS = 200
TRUE, SLEEP = ["/bin/true"], ["/bin/sleep", "3600"]
MODES = ("run", "lifecycle", "exec", "rss", "scale")

#: The largest allowed ratio of nemoshell's wall time to another's, with Docker's configuration.
BARS = {
    ("run", "hot"): {"crun": 0.32, "runc": 0.24, "floor": 1.3},
    ("lifecycle", "hot"): {"crun": 0.40, "runc": 0.30, "floor": 1.3},
    ("exec", "hot"): {"crun": 0.70, "runc": 0.18, "floor": 1.3},
    ("run", "cold"): {"crun": 0.5, "runc": 0.3},
    ("lifecycle", "cold"): {"crun": 0.5, "runc": 0.3},
    ("exec", "cold"): {"crun": 0.5},
}
RSS_BAR = {"crun": 1.0}
#: The largest allowed cost of a container beside 200 live ones, over one beside a single live one.
SCALE_BAR = 1.2


class Bench:
    def __init__(self, options, top, run_root):
        self.options = options
        self.report = Report(as_json=options.json)
        self.spawner = Spawner(top)
        self.bundles = Bundles(top, NEMOSHELL)
        self.random = random.Random(1)
        self.live = []
        self.stuck = False
        self.counter = 0
        if os.getloadavg()[0] > 0.5:
            self.report.note(f"the machine is busy (load {os.getloadavg()[0]:.1f}); the ratios will be rough")
        self.runtimes = [Runtime("nemoshell", NEMOSHELL, f"{run_root}/nemoshell")]
        for name in ("crun", "runc"):
            program = shutil.which(name)
            if program:
                self.runtimes.append(Runtime(name, program, f"{run_root}/{name}"))
            else:
                self.report.note(f"{name} is not installed and is left out")
        if hierarchies():
            self.runtimes.append(Floor(f"{run_root}/floor", top))
        else:
            self.report.note("the floor is left out: it knows cgroup v1 only")

    def new_id(self):
        self.counter += 1
        return f"bench{os.getpid()}-{self.counter}"

    def step(self, commands, idle_ms=0):
        return self.spawner.step(commands, idle_ms)

    def begin(self, runtime, bundle):
        """Makes a live container and returns its id."""
        id = self.new_id()
        self.live.append((runtime, bundle, id))
        self.step([runtime.create(bundle, id), runtime.start(bundle, id)])
        return id

    def end_all(self):
        while self.live:
            runtime, bundle, id = self.live.pop()
            p = subprocess.run(runtime.delete(bundle, id), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            if p.returncode:
                self.stuck = True
                print(f"bench: {' '.join(p.args)}: exit {p.returncode}; remove it by hand", file=sys.stderr)

    def lifecycle(self, runtime, bundle, idle_ms=0):
        id = self.new_id()
        commands = [runtime.create(bundle, id), runtime.start(bundle, id), runtime.delete(bundle, id)]
        self.live.append((runtime, bundle, id))
        sample = self.step(commands, idle_ms)
        self.live.pop()
        return sample

    def paired(self, mode, configuration, temperature):
        """`rounds` rounds of one mode; reports the table."""
        true, sleep = (self.bundles.make(configuration, a) for a in (TRUE, SLEEP))
        idle = COLD_IDLE_MS if temperature == "cold" else 0
        self.report.progress(f"{mode}, {configuration}, {temperature}")
        running = {r.name: self.begin(r, sleep) for r in self.runtimes} if mode == "exec" else {}
        samples = {r.name: [] for r in self.runtimes}
        for k in range(WARM_UP_ROUNDS + self.options.rounds):
            for r in self.random.sample(self.runtimes, len(self.runtimes)):
                if mode == "run":
                    sample = self.step([r.run(true, self.new_id())], idle)
                elif mode == "exec":
                    sample = self.step([r.exec(sleep, running[r.name], *TRUE)], idle)
                else:
                    sample = self.lifecycle(r, true, idle)
                if k >= WARM_UP_ROUNDS:
                    samples[r.name].append(sample)
        self.end_all()
        bars = BARS.get((mode, temperature), {}) if configuration == "docker" else {}
        verbs = ("create", "start", "delete") if mode == "lifecycle" else (mode,)
        self.report.paired(mode, configuration, temperature, self.runtimes, samples, verbs, bars)

    def peak_rss(self, configuration):
        """Peak memory of every verb, the median of five."""
        self.report.progress(f"rss, {configuration}")
        true, sleep = (self.bundles.make(configuration, a) for a in (TRUE, SLEEP))
        peaks = {}
        for r in (r for r in self.runtimes if r.name != "floor"):
            for _ in range(5):
                id = self.new_id()
                self.live.append((r, sleep, id))
                for verb, words in (("create", []), ("state", []), ("start", []), ("exec", TRUE), ("list", []),
                                    ("kill", []), ("delete", [])):
                    peaks.setdefault(verb, {}).setdefault(r.name, []).append(
                        self.step([getattr(r, verb)(sleep, id, *words)]).rss)
                self.live.pop()
                peaks.setdefault("run", {}).setdefault(r.name, []).append(
                    self.step([r.run(true, self.new_id())]).rss)
        medians = {v: {n: statistics.median(x) for n, x in by.items()} for v, by in peaks.items()}
        self.report.rss(configuration, [r for r in self.runtimes if r.name != "floor"], medians, RSS_BAR)

    def scale(self, configuration):
        """What create+start+delete costs beside one live container and beside many."""
        true, sleep = (self.bundles.make(configuration, a) for a in (TRUE, SLEEP))
        rounds = min(self.options.rounds, 20)
        costs = {}
        for r in self.runtimes:
            self.report.progress(f"scale, {configuration}, {r.name}")
            costs[r.name] = []
            for live in (1, self.options.live):
                while len(self.live) < live:
                    self.begin(r, sleep)
                time.sleep(1)  # what was just made settles
                costs[r.name].append([self.lifecycle(r, true).wall for _ in range(WARM_UP_ROUNDS + rounds)][WARM_UP_ROUNDS:])
            self.end_all()
            time.sleep(1)  # the kernel frees namespaces in the background; not on the next one's account
        self.report.scale(configuration, self.options.live, self.runtimes, costs, SCALE_BAR)

    def run(self):
        for configuration in self.options.configs:
            for mode in self.options.modes:
                if mode == "rss":
                    self.peak_rss(configuration)
                elif mode == "scale":
                    if configuration == self.options.configs[0]:
                        self.scale(configuration)
                else:
                    for temperature in self.options.temperatures:
                        self.paired(mode, configuration, temperature)
        return self.report.finish()


def options():
    def chosen(allowed):
        def parse(text):
            words = text.split(",")
            wrong = [w for w in words if w not in allowed]
            if wrong:
                raise argparse.ArgumentTypeError(f"{wrong[0]} is none of {', '.join(allowed)}")
            return words
        return parse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, metavar="N", help="measured rounds of each table (default 40)")
    parser.add_argument("--modes", type=chosen(MODES), metavar="M,..", help=f"of {', '.join(MODES)} (default all)")
    parser.add_argument("--configs", type=chosen(("docker", "spec")), metavar="C,..",
                        help="of docker, spec (default both)")
    parser.add_argument("--temperatures", type=chosen(("hot", "cold")), metavar="T,..",
                        help="of hot (back to back), cold (300 ms idle before each step) (default both)")
    parser.add_argument("--live", type=int, default=LIVE_CONTAINERS, metavar="N",
                        help=f"live containers of the scale mode (default {LIVE_CONTAINERS})")
    parser.add_argument("--quick", action="store_true",
                        help="10 rounds, hot, Docker's configuration, no scale; each can be overridden")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    o = parser.parse_args()
    o.rounds = o.rounds or (10 if o.quick else 40)
    o.modes = o.modes or (["run", "lifecycle", "exec", "rss"] if o.quick else list(MODES))
    o.configs = o.configs or (["docker"] if o.quick else ["docker", "spec"])
    o.temperatures = o.temperatures or (["hot"] if o.quick else ["hot", "cold"])
    if o.rounds < 1 or o.live < 1:
        parser.error("--rounds and --live take a number of at least 1")
    return o


def enter_private_mounts():
    """crun 1.8 cannot create containers on a hybrid machine while the empty cgroup v2 hierarchy is mounted: measure in
    a mount namespace without it."""
    if os.environ.get("NEMOSHELL_BENCH_PRIVATE"):
        return
    os.environ["NEMOSHELL_BENCH_PRIVATE"] = "1"
    script = 'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec "$@"'
    os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, *sys.argv])


def main():
    o = options()
    if os.geteuid() != 0:
        sys.exit("bench: needs root")
    if not os.access(NEMOSHELL, os.X_OK):
        sys.exit(f"bench: no {NEMOSHELL}; run make build")
    enter_private_mounts()
    top = tempfile.mkdtemp(prefix="nemoshell-bench-")
    # State lies where it does in use: below /run, and in memory, as /run does wherever an init system mounts it.
    run_root = tempfile.mkdtemp(prefix="nemoshell-bench-", dir="/run")
    in_memory = subprocess.run(["stat", "-f", "-c", "%T", "/run"], stdout=subprocess.PIPE, text=True).stdout == "tmpfs\n"
    if not in_memory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", run_root], check=True)
    bench = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        bench = Bench(o, top, run_root)
        sys.exit(bench.run())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BenchFailure as failure:
        sys.exit(f"bench: {failure}")
    finally:
        if bench:
            bench.end_all()
        shutil.rmtree(top, ignore_errors=True)
        if not (bench and bench.stuck):  # without its state nothing could remove what is left
            if not in_memory:
                subprocess.run(["umount", run_root], check=True)
            shutil.rmtree(run_root, ignore_errors=True)


main()
