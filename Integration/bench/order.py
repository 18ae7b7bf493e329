#!/usr/bin/python3
"""Writes Sources/nemoshell.order: the functions that the verbs run, those of every verb first, then those of fewer.

The linker puts them side by side, so that a verb touches few pages of the executable. A name that is gone from the program
is skipped by the linker; run this again (as root, some minutes) when `make bench` shows that peak memory has grown.
"""

import bisect
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bundles import Bundles  # noqa: E402
from runtimes import compile_c  # noqa: E402

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEMOSHELL = os.environ.get("NEMOSHELL", f"{REPOSITORY}/bin/nemoshell")


def symbols():
    """Sorted addresses of the functions, and the names at each."""
    names = {}
    text = subprocess.run(["nm", "--defined-only", NEMOSHELL], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "tTwWiIuV":
            names.setdefault(int(words[0], 16), []).append(words[2])
    return sorted(names), names


def traces(top, root):
    """The offsets that each verb executes. `run` alone is traced through the container's process: a traced container ends
    with its tracer."""
    steps, bundles = compile_c("steps", top), Bundles(top, NEMOSHELL)
    once, long = (bundles.make("docker", a) for a in (["/bin/true"], ["/bin/sleep", "3600"]))
    runtime = [NEMOSHELL, "--root", root]
    subprocess.run([*runtime, "run", "--bundle", once, "warm"], check=True)  # compiles the filter
    for before, verb in (
        (["create", "--bundle", long, "c"], ["start", "c"]), (None, ["state", "c"]), (None, ["exec", "c", "/bin/true"]),
        (None, ["list"]), (None, ["kill", "c", "KILL"]), (None, ["delete", "--force", "c"]),
        (None, ["run", "--bundle", once, "r"]),
    ):
        if before:
            subprocess.run([*runtime, *before], check=True, stdin=subprocess.DEVNULL)
        print(f"order: {verb[0]}", file=sys.stderr, flush=True)
        output = f"{top}/steps.txt"
        subprocess.run([steps, NEMOSHELL, output, *runtime, *verb], check=True, stdout=subprocess.DEVNULL)
        with open(output) as f:
            yield [int(line, 16) for line in f]


def main():
    top, root = tempfile.mkdtemp(prefix="nemoshell-order-"), tempfile.mkdtemp(prefix="nemoshell-order-", dir="/run")
    try:
        addresses, names = symbols()
        users = {}  # by name, in the order of first use: the numbers of the verbs that run it
        for verb, offsets in enumerate(traces(top, root)):
            for offset in offsets:
                place = bisect.bisect_right(addresses, offset) - 1
                if place >= 0:
                    for name in names[addresses[place]]:
                        users.setdefault(name, {})[verb] = None
        ordered = sorted(users, key=lambda name: (-len(users[name]), list(users[name])))
        with open(f"{REPOSITORY}/Sources/nemoshell.order", "w") as f:
            f.write("".join(name + "\n" for name in ordered))
        print(f"order: {len(ordered)} functions", file=sys.stderr)
    finally:
        subprocess.run([NEMOSHELL, "--root", root, "delete", "--force", "c"])
        shutil.rmtree(top, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)


main()
