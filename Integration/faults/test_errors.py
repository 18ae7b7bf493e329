"""An error from the kernel at any system call: a clean refusal, or a container that is exactly what it would have been."""

import os
import random

import pytest
from harness.arena import brief, crashed
from harness.inject import ALL, SEED, injected, sample, steps
from scenes import Scenes, rich_config

ERRORS = ("EPERM", "EIO", "ENOSYS", "ENOSPC", "EMFILE", "ENOMEM", "EINTR", "EAGAIN")

#: Calls that the C library and Swift's runtime make before main, and close, which frees the descriptor in a real kernel
#: whatever it answers (an injected error would keep pipes open that nobody can know of).
BEFORE_MAIN = {"execve", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "readlink", "close"}

#: Calls that no kernel fails (umask(2)), so that nobody looks at their result.
UNFAILING = {"umask"}

#: Where a node may not be made, the host's device is bound there instead, as in a user namespace: the list of mounts differs.
BOUND_INSTEAD = ("mknodat", "EPERM")

#: A process that gets no memory may die of it; what it leaves must still be removable.
MEMORY = {"mmap", "brk", "mprotect", "mremap", "munmap", "madvise"}

#: Calls that a signal may interrupt, and that have to be made again: the caller must not notice.
INTERRUPTIBLE = {"read", "write", "pread64", "pwrite64", "readv", "writev", "open", "openat", "openat2", "wait4",
                 "waitid", "flock", "fcntl", "poll", "ppoll", "recvmsg", "sendmsg", "recvfrom", "sendto", "connect",
                 "accept4", "nanosleep", "clock_nanosleep", "fallocate", "ftruncate", "statfs", "dup2", "dup3"}

#: Calls that undo: when the undoing itself fails, `delete --force` has to finish it.
UNDOING = {"unlink", "unlinkat", "rmdir", "umount2", "kill", "pidfd_send_signal", "wait4", "waitid"}

#: Prints everything that a restriction would show in, with nothing in it that differs from run to run.
FINGERPRINT = r"""
grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Seccomp_filters)' /proc/self/status
umask; ulimit -a; hostname; id; pwd
cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_forward /proc/self/cgroup
awk '{ dash = 0; for (i = 7; i <= NF; i++) if ($i == "-") dash = i; print $4, $5, $6, $(dash + 1), $(dash + 3) }' \
    /proc/self/mountinfo
ls /proc/self/fd; ls -l /dev | awk '{ print $1, $3, $4, $5, $6, $NF }' | grep -v :
ls /sys/class/net; tr '\0' '\n' < /proc/1/environ
for path in /proc/kcore /proc/keys /proc/timer_list /sys/firmware; do cat $path 2>&1 | wc -c; ls $path 2>&1 | wc -l; done
for path in /proc/sys/kernel/domainname /proc/irq/default_smp_affinity; do
    (echo x > $path) 2>/dev/null && echo "$path written"; done
for name in mnt pid net ipc uts cgroup user; do readlink /proc/self/ns/$name | sed 's/:.*//'; done
"""


def fingerprint_scene(arena):
    scene = Scenes(arena)
    scene.bundle.config = rich_config("/bin/sh", "-c", FINGERPRINT)
    scene.bundle.config["root"]["path"] = scene.bundle.rootfs
    scene.bundle.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}]
    scene.bundle.config["process"]["oomScoreAdj"] = 100
    scene.bundle.save()
    return scene


def errors_for(call, n):
    """The errors to try at a step: with FAULTS=all every one, else one by the seed, EINTR where it has a meaning."""
    fitting = [e for e in ERRORS if e != "EINTR" or call in INTERRUPTIBLE]
    return fitting if ALL else [random.Random(f"{SEED}/{call}/{n}").choice(fitting)]


def judge(arena, scene, call, error, result, whole):
    """What is wrong with the outcome of one fault; the container is gone afterwards. `whole` is the output of the
    fault-free command."""
    if result is None:
        return ["hangs", *arena.remove(scene.id)]
    wrong = []
    dead = crashed(result)
    if dead and call not in MEMORY:
        wrong.append(dead)
    if result.code == 0:
        if result.out != whole:
            old, new = set(whole.splitlines()), set(result.out.splitlines())
            added = sorted(line for line in new - old if (call, error) != BOUND_INSTEAD or " devtmpfs " not in line)
            if old - new or added:
                wrong.append(f"succeeds, but differs: missing {sorted(old - new)}, new {added}")
    else:
        if error == "EINTR" and call in INTERRUPTIBLE:
            wrong.append(f"EINTR is visible: {brief(result)}")
        if not result.err.strip() and not dead and call != "write":
            wrong.append(f"exit {result.code} without a word")
        # `run` also removes: where the fault fell into that, `delete --force` may have to finish it, but nothing lives.
        if not dead and call not in UNDOING | MEMORY:
            left = arena.settled([scene.id], within=1)
            if "processes" in left:
                wrong.append(f"refused ({brief(result)}), but left {left}")
    return wrong + arena.remove(scene.id)


@pytest.mark.parametrize("whom", ["parent", "any"])
def test_error_in_run(arena, whom):
    """One failing call in the whole of `run`, in the runtime or in what it starts."""
    scene = fingerprint_scene(arena)
    run = ["run", "--bundle", scene.bundle.path, scene.id]
    follow = whom == "any"
    whole = arena.runtime.call(*run).ok().out
    assert "CapEff" in whole
    assert arena.runtime.call(*run).ok().out == whole, "the fingerprint is not the same twice"
    found = [s for s in steps(arena, *run, follow=follow) if s[0] not in BEFORE_MAIN | UNFAILING]
    wrong = []
    for call, when in sample(found, 60, f"errors/{whom}"):
        for error in errors_for(call, when):
            # A mount namespace around it all: a runtime that goes on after a failed unshare mounts there.
            result = injected(arena, call, when, f"error={error}", *run, follow=follow,
                              around=["unshare", "-m", "--propagation", "private"])
            wrong += [f"{error} at {call} #{when}: {w}" for w in judge(arena, scene, call, error, result, whole)]
        if len(wrong) > 12:
            break
    wrong += arena.usable(scene.id, scene.plain)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("verb", ["create", "start", "exec", "delete", "delete-force", "kill", "pause", "resume",
                                  "update"])
def test_error_in_verb(arena, verb):
    """One failing call in a verb: it fails with a message, or it has done its work."""
    scene = Scenes(arena)
    found = [s for s in steps(arena, *scene.command(verb)) if s[0] not in BEFORE_MAIN]
    assert not arena.remove(scene.id)
    wrong = []
    for call, when in sample(found, {"create": 30, "exec": 15}.get(verb, 8), f"errors/{verb}"):
        for error in errors_for(call, when):
            command = scene.command(verb)
            result = injected(arena, call, when, f"error={error}", *command)
            label = f"{error} at {call} #{when}"
            if result is None:
                wrong.append(f"{label}: hangs")
            elif crashed(result) and call not in MEMORY:
                wrong.append(f"{label}: {crashed(result)}")
            elif result.code == 0 and verb in ("delete", "delete-force"):
                left = arena.settled([scene.id])
                if left:
                    wrong.append(f"{label}: succeeds, but left {left}")
            elif result.code != 0 and error == "EINTR":
                wrong.append(f"{label}: EINTR is visible: {brief(result)}")
            elif result.code != 0 and verb == "create" and call not in UNDOING | MEMORY:
                left = {} if "clean" in result.err else arena.settled([scene.id], within=1)
                if left:
                    wrong.append(f"{label}: refused ({brief(result)}), but left {left}")
            if verb in ("exec", "update", "kill", "pause", "resume") and arena.runtime.state(scene.id) is None:
                wrong.append(f"{label}: the container is lost")
            wrong += [f"{label}: {w}" for w in arena.remove(scene.id)]
    wrong += arena.usable(scene.id, scene.plain)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("call", ["openat", "openat2", "read", "fstat", "newfstatat", "fstatfs", "pidfd_open"])
def test_running_container_outlives_a_failing_delete(arena, call):
    """What `delete` cannot find out is never taken for a container's end."""
    scene = Scenes(arena)
    scene.command("exec")
    wrong = []
    for when in range(1, 9):
        for error in ("EMFILE", "ENOMEM", "EIO"):
            result = injected(arena, call, when, f"error={error}", "delete", scene.id)
            if result is None or result.code == 0 or not os.path.exists(f"/proc/{scene.pid}/exe"):
                wrong.append(f"{error} at {call} #{when}: {'hangs' if result is None else brief(result)}")
                arena.remove(scene.id)
                scene.command("exec")
    assert (arena.runtime.state(scene.id) or {}).get("status") == "running"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("call", ["openat", "openat2", "write", "mkdirat", "mount", "clone3", "fsync", "renameat",
                                  "renameat2", "unlinkat", "rmdir", "memfd_create", "pidfd_open", "close_range",
                                  "keyctl", "statx", "open_tree", "move_mount", "fsopen", "mount_setattr"])
def test_call_that_always_fails(arena, call):
    """A kernel, or a policy above us, that never grants one call: a refusal or the same container, never a weaker one."""
    scene = fingerprint_scene(arena)
    run = ["run", "--bundle", scene.bundle.path, scene.id]
    whole = arena.runtime.call(*run).ok().out
    wrong = []
    for error in ERRORS[:3] if ALL else [ERRORS[(SEED + len(call)) % 3]]:
        result = injected(arena, call, "1+", f"error={error}", *run,
                          around=["unshare", "-m", "--propagation", "private"])
        if result is None:
            wrong.append(f"{error}: hangs")
        elif crashed(result):
            wrong.append(f"{error}: {crashed(result)}")
        elif result.code == 0 and result.out != whole:
            old, new = set(whole.splitlines()), set(result.out.splitlines())
            wrong.append(f"{error}: succeeds, but differs: missing {sorted(old - new)}, new {sorted(new - old)}")
        wrong += [f"{error}: {w}" for w in arena.remove(scene.id) or arena.usable(scene.id, scene.plain)]
    assert not wrong, "\n".join(wrong)
