"""Faults brought into a running runtime by strace: a signal or an error at the n-th call of a system call."""

import collections
import os
import random
import re

from .arena import Hang

#: The seed of every sampled choice; printed by pytest's header, so that a failure can be repeated.
SEED = int(os.environ.get("SEED", "1"))

#: With FAULTS=all every step is tried, otherwise a sample.
ALL = os.environ.get("FAULTS") == "all"

#: One line of `strace -f -o`: pid, then the call's name.
_LINE = re.compile(r"^(\d+)\s+(\w+)\(")

#: Calls that end the process or cannot fail.
_NOT_STEPS = {"exit", "exit_group", "rt_sigreturn", "sched_yield", "gettid", "getpid", "futex"}


def tracing(log, *extra, follow=True):
    """The command-line prefix that runs the rest under strace. The tracer is a detached grandchild, so that the
    traced program stays our child and its end is seen at once; a container's own program is let go at its execve."""
    return ["strace", "-D", *(["-f", "-b", "execve"] if follow else []), "-qq", "-o", log, *extra]


def steps(arena, *command, follow=True, **kw):
    """Runs one command to its end under strace and returns its system calls in order as (name, ordinal), the
    ordinal being strace's `when`: the how-manieth call of that name in its process."""
    log = f"{arena.work}/strace.log"
    runtime = arena.runtime
    runtime.prefix = tracing(log, follow=follow)
    try:
        runtime.call(*command, timeout=60, **kw).ok()
    finally:
        runtime.prefix = []
    counts, seen, order = collections.Counter(), set(), []
    with open(log, errors="replace") as f:
        for line in f:
            found = _LINE.match(line) or re.match(r"^()(\w+)\(", line)
            if not found or found[2] in _NOT_STEPS:
                continue
            counts[found[1], found[2]] += 1
            step = (found[2], counts[found[1], found[2]])
            if step not in seen:
                seen.add(step)
                order.append(step)
    # The first execve is strace's own start of the program.
    return [s for s in order if s != ("execve", 1)]


def sample(steps_found, count, label):
    """`count` of the steps, spread over the whole way and chosen by the seed; all of them with FAULTS=all."""
    if ALL or len(steps_found) <= count:
        return steps_found
    choice = random.Random(f"{SEED}/{label}")
    width = len(steps_found) / count
    return [steps_found[min(len(steps_found) - 1, int(i * width + choice.random() * width))] for i in range(count)]


def injected(arena, call, when, what, *command, follow=True, around=(), **kw):
    """Runs one command with `what` (`signal=KILL`, `error=EIO`) brought in at the `when`-th `call`; `around` is a
    command line to lead strace itself through. The result, or None when the command hung (it has then been killed)."""
    runtime = arena.runtime
    runtime.prefix = [*around] + tracing("/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={when}",
                             follow=follow)
    try:
        return runtime.call(*command, **kw)
    except Hang:
        return None
    finally:
        runtime.prefix = []
