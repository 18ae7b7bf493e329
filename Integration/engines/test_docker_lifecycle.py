"""The life of a container under Docker: top, stats, pause, update, kill, restart, stop, rm, cp, logs, wait, health."""

import json
import os
import signal
import time

import pytest

from .enclosure import wait_for
from .images import BUSYBOX

#: PID 1 ignores signals without a handler: this one ends with code 9 on SIGTERM.
TERMINATES = ["sh", "-c", "trap 'echo terminated; exit 9' TERM; echo ready; while :; do sleep 0.1; done"]


def cgroup_value(docker, name, controller, file):
    """A cgroup v1 file of the container, read on the host."""
    path = f"/sys/fs/cgroup/{controller}{docker.enclosure.cgroup}/{docker.inspect(name, 'Id')}/{file}"
    with open(path) as f:
        return f.read().strip()


def test_create_then_start(docker):
    c = docker("create", BUSYBOX, "echo", "started").ok().out.strip()
    assert docker.inspect(c, "State.Status") == "created"
    r = docker("start", "--attach", c).ok()
    assert r.out == "started\n"
    assert docker.inspect(c, "State.Status") == "exited"
    assert docker("start", "--attach", c).ok().out == "started\n"


def test_top(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "sleep 501 & sleep 502; :")
    wait_for(lambda: "sleep 502" in docker("top", c).ok().out, "the second sleep")
    lines = docker("top", c, "-o", "pid,args").ok().out.splitlines()
    assert lines[0].split() == ["PID", "COMMAND"]
    assert sorted(" ".join(line.split()[1:]) for line in lines[1:])[-2:] == ["sleep 501", "sleep 502"]
    assert len(lines) == 4


def test_stats(docker):
    c = docker.detached("--memory", "64m", BUSYBOX, "sh", "-c", "while :; do :; done")
    stats = wait_for(lambda: next((s for s in [json.loads(docker("stats", "--no-stream", "--format", "{{json .}}", c)
                                                          .ok().out)] if s["CPUPerc"] != "0.00%"), None), "CPU time")
    assert stats["ID"] == c[:12]
    assert stats["MemUsage"].endswith("/ 64MiB")
    assert int(stats["PIDs"]) >= 1


def test_pause_and_unpause(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "while :; do echo tick; sleep 0.05; done")
    docker.wait_for_log(c, "tick")
    docker("pause", c).ok()
    assert docker.inspect(c, "State.Status") == "paused"
    assert cgroup_value(docker, c, "freezer", "freezer.state") == "FROZEN"
    time.sleep(0.2)
    before = docker("logs", c).ok().out
    time.sleep(0.3)
    assert docker("logs", c).ok().out == before
    docker("exec", c, "true").failed("paused")
    docker("pause", c).failed("already paused")
    docker("unpause", c).ok()
    wait_for(lambda: len(docker("logs", c).ok().out) > len(before), "ticks after unpause")
    assert docker.inspect(c, "State.Status") == "running"
    docker("exec", c, "true").ok()


def test_a_paused_container_is_removed_by_force(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    docker("pause", c).ok()
    docker("rm", "--force", c).ok()


def test_update(docker):
    c = docker.detached("--memory", "64m", "--memory-swap", "64m", "--cpus", "1", "--pids-limit", "50", BUSYBOX,
                        "sleep", "100")
    docker("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.5", "--cpu-shares", "512",
           "--pids-limit", "20", "--memory-reservation", "32m", "--cpuset-cpus", "0", c).ok()
    assert cgroup_value(docker, c, "memory", "memory.limit_in_bytes") == str(96 << 20)
    assert cgroup_value(docker, c, "memory", "memory.soft_limit_in_bytes") == str(32 << 20)
    assert cgroup_value(docker, c, "cpu", "cpu.shares") == "512"
    period = int(cgroup_value(docker, c, "cpu", "cpu.cfs_period_us"))
    assert int(cgroup_value(docker, c, "cpu", "cpu.cfs_quota_us")) == period // 2
    assert cgroup_value(docker, c, "pids", "pids.max") == "20"
    assert cgroup_value(docker, c, "cpuset", "cpuset.cpus") == "0"


def test_update_below_what_is_used_fails_and_changes_nothing(docker):
    c = docker.detached("--memory", "128m", "--memory-swap", "128m", "--tmpfs", "/m", BUSYBOX, "sh", "-c",
                        "dd if=/dev/zero of=/m/f bs=1M count=40 2>/dev/null; echo filled; sleep 100")
    docker.wait_for_log(c, "filled")
    docker("update", "--memory", "16m", "--memory-swap", "16m", c).failed(code=1)
    assert cgroup_value(docker, c, "memory", "memory.limit_in_bytes") == str(128 << 20)
    assert docker.inspect(c, "State.Running") is True


@pytest.mark.parametrize("number", ["TERM", "SIGTERM", "15"])
def test_kill_with_a_signal(docker, number):
    c = docker.detached(*[BUSYBOX, *TERMINATES])
    docker.wait_for_log(c, "ready")
    docker("kill", "--signal", number, c).ok()
    assert docker("wait", c).ok().out == "9\n"
    assert "terminated" in docker("logs", c).ok().out


def test_kill_of_a_stopped_container(docker):
    c = docker.detached(BUSYBOX, "true")
    docker("wait", c).ok()
    docker("kill", c).failed("is not running")


def test_stop_lets_the_process_end(docker):
    c = docker.detached(BUSYBOX, *TERMINATES)
    docker.wait_for_log(c, "ready")
    docker("stop", c).ok()
    assert docker.inspect(c, "State.ExitCode") == 9


def test_stop_kills_after_the_time(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    docker("stop", "--time", "1", c).ok()
    assert docker.inspect(c, "State.ExitCode") == 137


def test_stop_signal(docker):
    c = docker.detached("--stop-signal", "USR1", BUSYBOX, "sh", "-c",
                        "trap 'exit 4' USR1; echo ready; while :; do sleep 0.1; done")
    docker.wait_for_log(c, "ready")
    docker("stop", c).ok()
    assert docker.inspect(c, "State.ExitCode") == 4


def test_signals_are_passed_on_by_the_client(docker, terminal):
    t = terminal(docker.argv("run", "--rm", BUSYBOX, *TERMINATES), docker.environment)
    t.expect("ready")
    os.kill(t.pid, signal.SIGTERM)
    t.expect("terminated")
    assert t.exit_code() == 9


def test_restart(docker):
    c = docker.detached(BUSYBOX, *TERMINATES)
    docker.wait_for_log(c, "ready")
    first = docker.pid(c)
    docker("restart", c).ok()
    assert docker.inspect(c, "State.Running") is True
    assert docker.pid(c) != first
    wait_for(lambda: docker("logs", c).ok().out.count("ready") == 2, "the second start")


def test_restart_keeps_the_files(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "echo x >> /file; wc -l < /file; sleep 100")
    docker.wait_for_log(c, "1\n")
    docker("restart", "--time", "0", c).ok()
    docker.wait_for_log(c, "2\n")


def test_restart_policy(docker):
    c = docker.detached("--restart", "on-failure:2", BUSYBOX, "sh", "-c", "echo x; exit 6")
    docker.wait_for(c, "RestartCount", 2)
    docker.wait_for(c, "State.Status", "exited")
    assert docker.inspect(c, "State.ExitCode") == 6
    assert docker("logs", c).ok().out == "x\n" * 3


def test_rm_force_of_a_running_container(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "trap '' TERM; sleep 888 & sleep 889; :")
    wait_for(lambda: "sleep 889" in docker("top", c).ok().out, "the processes")
    docker("rm", c).failed("running")
    docker("rm", "--force", c).ok()
    docker("inspect", c).failed("no such object")
    left = docker.enclosure.processes().values()
    assert not [args for args in left if args in ("sleep 888", "sleep 889")]
    assert not [path for path in docker.enclosure.cgroups() if c in path]


def test_cp_in_and_out(docker, work):
    os.makedirs(f"{work}/in/sub")
    with open(f"{work}/in/sub/file", "w") as f:
        f.write("carried")
    c = docker.detached(BUSYBOX, "sleep", "100")
    docker("cp", f"{work}/in", f"{c}:/tmp").ok()
    assert docker("exec", c, "cat", "/tmp/in/sub/file").ok().out == "carried"
    docker("exec", c, "sh", "-c", "echo back > /tmp/in/other").ok()
    docker("cp", f"{c}:/tmp/in", f"{work}/out").ok()
    with open(f"{work}/out/other") as f:
        assert f.read() == "back\n"


def test_cp_with_a_volume_and_a_read_only_root(docker, work):
    with open(f"{work}/file", "w") as f:
        f.write("carried")
    c = docker.detached("--read-only", "--volume", "/data", BUSYBOX, "sleep", "100")
    docker("cp", f"{work}/file", f"{c}:/data/").ok()
    assert docker("exec", c, "cat", "/data/file").ok().out == "carried"
    docker("cp", f"{work}/file", f"{c}:/etc/").failed("read-only")


def test_logs(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "for i in 1 2 3; do echo out-$i; echo err-$i >&2; done")
    docker("wait", c).ok()
    r = docker("logs", c).ok()
    assert r.out == "out-1\nout-2\nout-3\n"
    assert r.err == "err-1\nerr-2\nerr-3\n"
    assert docker("logs", "--tail", "1", c).ok().out.strip() in ("out-3", "")


def test_logs_follow_to_the_end(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "for i in 1 2 3; do echo line-$i; sleep 0.2; done")
    assert docker("logs", "--follow", c).ok().out == "line-1\nline-2\nline-3\n"


def test_wait(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "sleep 0.5; exit 12")
    assert docker("wait", c).ok().out == "12\n"
    assert docker("wait", c).ok().out == "12\n"


def test_health_check(docker):
    c = docker.detached("--health-cmd", "test -e /well", "--health-interval", "300ms", "--health-retries", "2",
                        "--health-timeout", "5s", BUSYBOX, "sleep", "100")
    docker.wait_for(c, "State.Health.Status", "unhealthy")
    docker("exec", c, "touch", "/well").ok()
    docker.wait_for(c, "State.Health.Status", "healthy")
    assert docker.inspect(c, "State.Health.Log")[-1]["ExitCode"] == 0


def test_health_check_that_hangs_is_ended(docker):
    c = docker.detached("--health-cmd", "sleep 999", "--health-interval", "200ms", "--health-retries", "1",
                        "--health-timeout", "500ms", BUSYBOX, "sleep", "100")
    docker.wait_for(c, "State.Health.Status", "unhealthy")
    wait_for(lambda: "sleep 999" not in docker("top", c).ok().out or len(docker.inspect(c, "State.Health.Log")) > 1,
             "the next check")


def test_rename_commit_diff_and_export(docker):
    c = docker.detached("--name", "old", BUSYBOX, "sh", "-c", "echo changed > /new; sleep 100")
    docker("rename", "old", "new").ok()
    wait_for(lambda: "A /new" in docker("diff", "new").ok().out, "the change")
    docker("commit", c, "nemoshell.test/committed").ok()
    assert docker.run("nemoshell.test/committed", "cat", "/new").ok().out == "changed\n"
    docker("rm", "--force", c).ok()
    docker("image", "rm", "nemoshell.test/committed").ok()


def test_orphans_end_with_the_container(docker):
    c = docker.detached(BUSYBOX, "sh", "-c", "setsid sleep 654 </dev/null >/dev/null 2>&1 & echo gone; exit 0")
    assert docker("wait", c).ok().out == "0\n"
    wait_for(lambda: "sleep 654" not in docker.enclosure.processes().values(), "the orphan's end")
