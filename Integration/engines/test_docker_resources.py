"""Docker's limits: memory, CPU, pids, ulimits, block I/O; and where the cgroups are."""

import glob
import os

import pytest

from .enclosure import wait_for
from .images import BUSYBOX
from .test_docker_lifecycle import cgroup_value

CONTROLLERS = ["memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio"]


def test_memory(docker):
    limits = ["--memory", "48m", "--memory-swap", "64m", "--memory-reservation", "16m"]
    c = docker.detached(*limits, BUSYBOX, "sleep", "100")
    assert cgroup_value(docker, c, "memory", "memory.limit_in_bytes") == str(48 << 20)
    assert cgroup_value(docker, c, "memory", "memory.soft_limit_in_bytes") == str(16 << 20)
    swap = "memory.memsw.limit_in_bytes"
    if os.path.exists(f"/sys/fs/cgroup/memory/{swap}"):
        assert cgroup_value(docker, c, "memory", swap) == str(64 << 20)


def test_memory_is_enforced_and_oom_killed_is_told(docker):
    fill = "head -c 60m /dev/zero | tail -c 60m | wc -c"
    assert docker.run("--memory", "256m", BUSYBOX, "sh", "-c", fill).ok().out.strip() == str(60 << 20)
    c = docker.detached("--memory", "24m", "--memory-swap", "24m", BUSYBOX, "tail", "/dev/zero")
    assert docker("wait", c).ok().out == "137\n"
    docker.wait_for(c, "State.OOMKilled", True)


def test_an_oom_kill_of_a_child_leaves_the_container(docker):
    c = docker.detached("--memory", "24m", "--memory-swap", "24m", BUSYBOX, "sh", "-c",
                        "tail /dev/zero; echo code-$?; sleep 100")
    docker.wait_for_log(c, "code-137")
    assert docker.inspect(c, "State.Running") is True


def test_oom_score(docker):
    r = docker.run("--oom-score-adj", "500", BUSYBOX, "cat", "/proc/self/oom_score_adj").ok()
    assert r.out == "500\n"


def test_oom_kill_disable_and_swappiness(docker):
    c = docker.detached("--memory", "48m", "--oom-kill-disable", "--memory-swappiness", "10", BUSYBOX, "sleep", "100")
    assert "oom_kill_disable 1" in cgroup_value(docker, c, "memory", "memory.oom_control")
    assert cgroup_value(docker, c, "memory", "memory.swappiness") == "10"


def test_cpus(docker):
    c = docker.detached("--cpus", "0.25", BUSYBOX, "sleep", "100")
    quota, period = (int(cgroup_value(docker, c, "cpu", f"cpu.cfs_{k}_us")) for k in ("quota", "period"))
    assert quota * 4 == period


def test_cpus_are_enforced(docker):
    c = docker.detached("--cpus", "0.1", BUSYBOX, "sh", "-c", "while :; do :; done")
    wait_for(lambda: "nr_throttled 0" not in cgroup_value(docker, c, "cpu", "cpu.stat"), "throttling")


def test_cpu_quota_shares_and_set(docker):
    c = docker.detached("--cpu-quota", "20000", "--cpu-period", "50000", "--cpu-shares", "333", "--cpuset-cpus", "0",
                        "--cpuset-mems", "0", BUSYBOX, "sleep", "100")
    assert cgroup_value(docker, c, "cpu", "cpu.cfs_quota_us") == "20000"
    assert cgroup_value(docker, c, "cpu", "cpu.cfs_period_us") == "50000"
    assert cgroup_value(docker, c, "cpu", "cpu.shares") == "333"
    assert cgroup_value(docker, c, "cpuset", "cpuset.cpus") == "0"
    assert cgroup_value(docker, c, "cpuset", "cpuset.mems") == "0"
    assert docker("exec", c, "nproc").ok().out == "1\n"


def test_pids_limit_is_enforced(docker):
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; echo all"
    assert docker.run("--pids-limit", "20", BUSYBOX, "sh", "-c", script).ok().out == "all\n"
    r = docker.run("--pids-limit", "6", BUSYBOX, "sh", "-c", script)
    r.failed("can't fork: resource temporarily unavailable")


def test_ulimit(docker):
    r = docker.run("--ulimit", "nofile=123:456", "--ulimit", "core=0", BUSYBOX, "sh", "-c",
                   "ulimit -Sn; ulimit -Hn; ulimit -c").ok()
    assert r.out.split() == ["123", "456", "0"]
    c = docker.detached("--ulimit", "nofile=123:456", BUSYBOX, "sleep", "100")
    assert docker("exec", c, "sh", "-c", "ulimit -Sn; ulimit -Hn").ok().out.split() == ["123", "456"]


def test_ulimit_is_enforced(docker):
    script = "exec 3</etc 4</etc 5</etc 6</etc 7</etc 8</etc && echo opened"
    assert docker.run("--ulimit", "nofile=64", BUSYBOX, "sh", "-c", script).ok().out == "opened\n"
    docker.run("--ulimit", "nofile=6", BUSYBOX, "sh", "-c", script).failed()


def test_block_io(docker):
    disks = [name for name in os.listdir("/sys/block") if os.path.exists(f"/sys/block/{name}/device")]
    if not disks:
        pytest.skip("no disk")
    disk = f"/dev/{disks[0]}"
    number = os.stat(disk).st_rdev
    limits = ["--device-read-bps", f"{disk}:1mb", "--device-write-iops", f"{disk}:77"]
    c = docker.detached(*limits, BUSYBOX, "sleep", "100")
    name = f"{os.major(number)}:{os.minor(number)}"
    assert f"{name} {1 << 20}" in cgroup_value(docker, c, "blkio", "blkio.throttle.read_bps_device")
    assert f"{name} 77" in cgroup_value(docker, c, "blkio", "blkio.throttle.write_iops_device")


def test_init_is_in_the_container_s_cgroups(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    pid = docker.pid(c)
    lines = docker.enclosure.call("cat", f"/proc/{pid}/cgroup").ok().out.splitlines()
    paths = {line.split(":")[1]: line.split(":", 2)[2] for line in lines}
    for controller in CONTROLLERS:
        if os.path.isdir(f"/sys/fs/cgroup/{controller}"):
            assert paths[controller] == f"{docker.enclosure.cgroup}/{c}", controller


def test_cgroup_parent(docker):
    parent = f"{docker.enclosure.cgroup}/other/deep"
    c = docker.detached("--cgroup-parent", parent, "--memory", "48m", BUSYBOX, "sleep", "100")
    with open(f"/sys/fs/cgroup/memory{parent}/{c}/memory.limit_in_bytes") as f:
        assert f.read().strip() == str(48 << 20)
    docker("rm", "--force", c).ok()
    assert not glob.glob(f"/sys/fs/cgroup/*{parent}/{c}")
    for directory in glob.glob(f"/sys/fs/cgroup/*{docker.enclosure.cgroup}/other"):
        os.rmdir(f"{directory}/deep")
        os.rmdir(directory)


def test_the_container_s_cgroups_are_read_only_inside(docker):
    r = docker.run(BUSYBOX, "sh", "-c", "ls /sys/fs/cgroup; mkdir /sys/fs/cgroup/pids/x")
    r.failed("read-only file system")
    assert {"memory", "pids", "devices"} <= set(r.out.split())
    limit = docker.run("--memory", "48m", BUSYBOX, "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes").ok()
    assert limit.out.strip() == str(48 << 20)


def test_processes_of_exec_are_counted(docker):
    c = docker.detached("--pids-limit", "5", BUSYBOX, "sleep", "100")
    r = docker("exec", c, "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 3 & done")
    assert "can't fork" in r.err


def test_cgroups_are_gone_with_the_container(docker):
    c = docker.detached("--memory", "48m", BUSYBOX, "sleep", "100")
    assert [path for path in docker.enclosure.cgroups() if c in path]
    docker("kill", c).ok()
    docker("wait", c).ok()
    docker("rm", "--force", c).ok()
    assert not [path for path in docker.enclosure.cgroups() if c in path]
