#!/usr/bin/python3
"""Runs a command and then says what it left on the machine: mounts, cgroups, links, network namespaces, processes of
the runtime under test, state directories.

usage: leak_check.py COMMAND [ARGUMENT...]

Exit status: the command's own when it failed, else 1 when something was left, else 0.
"""

import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import Leaks  # noqa: E402
from harness.runtime import NEMOSHELL  # noqa: E402

#: Files that only a container of this project, or its tests, could have made.
STATE = ("/run/nemoshell/*", "/tmp/nemoshell-*")
#: The kernel frees a network namespace and a cgroup a little after its last process.
SETTLE_SECONDS = 5


def state_files():
    return {path for pattern in STATE for path in glob.glob(pattern)}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    before = state_files()
    leaks = Leaks(NEMOSHELL)
    code = subprocess.run(sys.argv[1:]).returncode
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        left = leaks.found()
        files = sorted(state_files() - before)
        if files:
            left["files"] = files
        if not left or time.monotonic() > end:
            break
        time.sleep(0.1)
    if left:
        print("leak check: FAILED, left behind:")
        for kind, found in left.items():
            for item in found.items() if isinstance(found, dict) else found:
                print(f"  {kind}: {item}")
    else:
        print("leak check: passed: no mount, cgroup, link, network namespace, process or state file was left")
    sys.exit(code or bool(left))


main()
