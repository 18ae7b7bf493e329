"""cgroup v1: limits of every controller, paths, update, pause, what is left (config-linux.md "Control groups")."""

import json
import os
import subprocess

import pytest

from inside import alive, look, sleeper, wait_file, wait_for

ROOT = "/sys/fs/cgroup"
pytestmark = pytest.mark.skipif(not os.path.isdir(f"{ROOT}/memory"), reason="cgroup v1 only")
CONTROLLERS = [c for c in ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids") if os.path.isdir(f"{ROOT}/{c}")]


def path_of(runtime, id, controller):
    """The directory of a container's cgroup."""
    with open(f"/proc/{runtime.state(id)['pid']}/cgroup") as f:
        for line in f:
            _, names, path = line.strip().split(":", 2)
            if controller in names.split(",") or names == f"name={controller}":
                return f"{ROOT}/{controller}{path}"
    raise AssertionError(f"no {controller}")


def value(runtime, id, controller, file):
    with open(f"{path_of(runtime, id, controller)}/{file}") as f:
        return f.read().strip()


def start(runtime, bundle, **resources):
    bundle.config["linux"]["resources"].update(resources)
    return sleeper(runtime, bundle)


# -- paths

def test_a_cgroup_in_every_hierarchy(runtime, bundle):
    id = sleeper(runtime, bundle)
    pid = runtime.state(id)["pid"]
    for controller in [*CONTROLLERS, "systemd"]:
        path = path_of(runtime, id, controller)
        assert runtime.mark in path, controller
        with open(f"{path}/cgroup.procs") as f:
            assert f.read().split() == [str(pid)], controller


hybrid = pytest.mark.skipif(not os.path.exists(f"{ROOT}/unified/cgroup.procs"), reason="no version 2 beside version 1")


def path_in_version_2(pid):
    with open(f"/proc/{pid}/cgroup") as f:
        return f"{ROOT}/unified" + next(line[3:].strip() for line in f if line.startswith("0::"))


@hybrid
def test_a_cgroup_of_version_2_beside(runtime, bundle):
    """It limits nothing, but service managers and packet filters find processes by it. The container does not see it."""
    id = sleeper(runtime, bundle)
    pid = runtime.state(id)["pid"]
    path = path_in_version_2(pid)
    assert runtime.mark in path
    with open(f"{path}/cgroup.procs") as f:
        assert f.read().split() == [str(pid)]
    assert "unified" not in runtime.exec(id, "ls", "/sys/fs/cgroup").ok().out.split()
    runtime.call("delete", "--force", id).ok()
    assert not os.path.exists(path)


@hybrid
def test_version_2_is_left_as_it_was_when_version_1_is_taken(runtime, bundle):
    bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}"
    directory = f"{ROOT}/pids/{runtime.mark}"
    os.mkdir(directory)
    stranger = subprocess.Popen(["sleep", "100"])
    try:
        with open(f"{directory}/cgroup.procs", "w") as f:
            f.write(str(stranger.pid))
        runtime.create(bundle).failed("container's cgroup is not empty", code=1)
        assert not os.path.exists(f"{ROOT}/unified/{runtime.mark}")
    finally:
        stranger.kill()
        stranger.wait()
        os.rmdir(directory)


@hybrid
def test_a_cgroup_of_version_2_that_takes_no_process(runtime, bundle):
    """Beside a threaded cgroup: the container runs all the same."""
    parent = f"{ROOT}/unified/{runtime.mark}"
    os.makedirs(f"{parent}/threads")
    with open(f"{parent}/threads/cgroup.type", "w") as f:
        f.write("threaded")
    bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}/box"
    id = sleeper(runtime, bundle)
    assert runtime.mark not in path_in_version_2(runtime.state(id)["pid"])
    runtime.exec(id, "true").ok()
    runtime.call("delete", "--force", id).ok()
    remove_parents(runtime.mark)


@pytest.mark.parametrize("path", ["/{mark}", "/{mark}/a/b/c", "{mark}/relative", "/{mark}/with space", "/{mark}//double/"])
def test_cgroups_path(runtime, bundle, path):
    path = path.format(mark=runtime.mark)
    bundle.config["linux"]["cgroupsPath"] = path
    id = sleeper(runtime, bundle)
    expected = "/" + os.path.normpath(path).strip("/")
    for controller in ("memory", "pids", "freezer"):
        assert path_of(runtime, id, controller).endswith(expected)
    absolute = path.startswith("/") and "//" not in path
    if absolute:
        assert path_of(runtime, id, "memory") == f"{ROOT}/memory{expected}" or not os.path.isdir(f"{ROOT}/memory{expected}")
    runtime.call("delete", "--force", id).ok()
    remove_parents(runtime.mark)


def remove_parents(mark):
    """What a runtime may leave: directories above the container's own, which others may use."""
    for directory, _, _ in os.walk(ROOT, topdown=False):
        if f"/{mark}" in directory:
            os.rmdir(directory)


@pytest.mark.parametrize("path", ["/../{mark}", "../{mark}", "/{mark}/../../x", "/a/../../{mark}"])
def test_cgroups_path_does_not_leave_the_hierarchy(runtime, bundle, path):
    bundle.config["linux"]["cgroupsPath"] = path.format(mark=runtime.mark)
    r = runtime.run(bundle)
    assert r.code == 0 or "cgroupsPath" in r.err
    assert not os.path.exists(f"/sys/fs/{runtime.mark}") and not os.path.exists(f"{ROOT}/{runtime.mark}")


def test_two_containers_below_one_parent(runtime, bundle):
    ids = []
    for name in ("one", "two"):
        bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}/pod/{name}"
        ids.append(sleeper(runtime, bundle))
    runtime.call("delete", "--force", ids[0]).ok()
    assert runtime.state(ids[1])["status"] == "running" and os.path.isdir(path_of(runtime, ids[1], "pids"))
    runtime.call("delete", "--force", ids[1]).ok()
    remove_parents(runtime.mark)


def test_delete_removes_what_the_container_made_below(runtime, bundle):
    id = sleeper(runtime, bundle)
    for controller in ("pids", "memory"):
        os.makedirs(f"{path_of(runtime, id, controller)}/sub/deep")
    runtime.call("delete", "--force", id).ok()


def test_a_cgroup_with_strangers_is_not_taken(runtime, bundle):
    """create into a cgroup where processes run: two containers would freeze, limit and kill each other."""
    bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}/same"
    first = sleeper(runtime, bundle)
    runtime.create(bundle).failed("container's cgroup is not empty", code=1)
    assert runtime.state(first)["status"] == "running" and alive(runtime.state(first)["pid"])
    runtime.call("delete", "--force", first).ok()
    remove_parents(runtime.mark)


def test_a_frozen_cgroup_is_not_taken(runtime, bundle):
    bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}-frozen"
    directory = f"{ROOT}/freezer/{runtime.mark}-frozen"
    os.mkdir(directory)
    try:
        with open(f"{directory}/freezer.state", "w") as f:
            f.write("FROZEN")
        runtime.create(bundle, timeout=10).failed("container's cgroup unexpectedly frozen", code=1)
    finally:
        if os.path.isdir(directory):
            with open(f"{directory}/freezer.state", "w") as f:
                f.write("THAWED")
            os.rmdir(directory)


# -- limits

@pytest.mark.parametrize("memory, file, shown", [
    ({"limit": 64 << 20}, "memory.limit_in_bytes", 64 << 20),
    ({"limit": 64 << 20, "swap": 128 << 20}, "memory.memsw.limit_in_bytes", 128 << 20),
    ({"reservation": 32 << 20}, "memory.soft_limit_in_bytes", 32 << 20),
    ({"kernelTCP": 16 << 20}, "memory.kmem.tcp.limit_in_bytes", 16 << 20),
    ({"swappiness": 7}, "memory.swappiness", 7), ({"swappiness": 0}, "memory.swappiness", 0),
    ({"limit": -1}, "memory.limit_in_bytes", None), ({"limit": 64 << 20, "swap": -1}, "memory.memsw.limit_in_bytes", None),
    ({"useHierarchy": True}, "memory.use_hierarchy", 1),
])
def test_memory(runtime, bundle, memory, file, shown):
    id = start(runtime, bundle, memory=memory)
    number = int(value(runtime, id, "memory", file))
    assert number == shown if shown is not None else number > 1 << 60


def test_memory_without_the_oom_killer(runtime, bundle):
    id = start(runtime, bundle, memory={"limit": 64 << 20, "disableOOMKiller": True})
    assert "oom_kill_disable 1" in value(runtime, id, "memory", "memory.oom_control")


def test_memory_kernel_limit_is_ignored(runtime, bundle):
    """No current kernel has it; engines still send it."""
    start(runtime, bundle, memory={"kernel": 64 << 20})


def test_memory_limit_holds(runtime, bundle):
    bundle.config["linux"]["resources"]["memory"] = {"limit": 32 << 20, "swap": 32 << 20}
    assert look(runtime, bundle, "probe eat 8") == "ate"
    bundle.without_namespace("pid")
    assert runtime.run(bundle.sh("exec probe eat 64")).code == 137


@pytest.mark.parametrize("cpu, file, shown", [
    ({"shares": 512}, "cpu.shares", "512"), ({"quota": 50000, "period": 100000}, "cpu.cfs_quota_us", "50000"),
    ({"quota": 50000, "period": 200000}, "cpu.cfs_period_us", "200000"), ({"quota": -1}, "cpu.cfs_quota_us", "-1"),
    ({"quota": 50000, "period": 100000, "burst": 20000}, "cpu.cfs_burst_us", "20000"), ({"idle": 1}, "cpu.idle", "1"),
    ({"shares": 0}, "cpu.shares", "1024"), ({"shares": 2 ** 18}, "cpu.shares", str(2 ** 18)),
    ({"realtimePeriod": 1000000, "realtimeRuntime": 5000}, "cpu.rt_runtime_us", "5000"),
])
def test_cpu(runtime, bundle, cpu, file, shown):
    if not os.path.exists(f"{ROOT}/cpu/{file}"):
        pytest.skip(f"this kernel has no {file}")
    id = start(runtime, bundle, cpu=cpu)
    assert value(runtime, id, "cpu", file) == shown


def test_cpuset(runtime, bundle):
    id = start(runtime, bundle, cpu={"cpus": "0", "mems": "0"})
    assert value(runtime, id, "cpuset", "cpuset.cpus") == "0" and value(runtime, id, "cpuset", "cpuset.mems") == "0"
    assert runtime.exec(id, "grep", "Cpus_allowed_list", "/proc/self/status").ok().out.split()[-1] == "0"


def test_cpuset_in_nested_paths(runtime, bundle):
    """Every parent that is made needs CPUs and memory nodes of its own."""
    bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}/a/b"
    id = start(runtime, bundle, cpu={"cpus": "0"})
    assert value(runtime, id, "cpuset", "cpuset.cpus") == "0"
    runtime.call("delete", "--force", id).ok()
    remove_parents(runtime.mark)


@pytest.mark.parametrize("limit, shown", [(20, "20"), (-1, "max"), (0, "max"), (1 << 22, str(1 << 22))])
def test_pids(runtime, bundle, limit, shown):
    id = start(runtime, bundle, pids={"limit": limit})
    assert value(runtime, id, "pids", "pids.max") == shown


def test_pids_limit_holds(runtime, bundle):
    bundle.config["linux"]["resources"]["pids"] = {"limit": 8}
    bundle.sh("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; echo all")
    r = runtime.run(bundle)
    assert "all" not in r.out and "fork" in r.err
    bundle.config["linux"]["resources"]["pids"] = {"limit": 20}
    assert runtime.run(bundle).ok().out == "all\n"


@pytest.mark.parametrize("field, file", [("throttleReadBpsDevice", "read_bps_device"), ("throttleWriteBpsDevice", "write_bps_device"),
                                         ("throttleReadIOPSDevice", "read_iops_device"),
                                         ("throttleWriteIOPSDevice", "write_iops_device")])
def test_block_io_throttling(runtime, bundle, field, file):
    disk = next((f"{d}" for d in sorted(os.listdir("/sys/block")) if not d.startswith("ram")), None)
    if not disk or not os.path.exists(f"{ROOT}/blkio/blkio.throttle.{file}"):
        pytest.skip("no block device, or no throttling in this kernel")
    with open(f"/sys/block/{disk}/dev") as f:
        major, minor = map(int, f.read().split(":"))
    id = start(runtime, bundle, blockIO={field: [{"major": major, "minor": minor, "rate": 1048576}]})
    assert value(runtime, id, "blkio", f"blkio.throttle.{file}") == f"{major}:{minor} 1048576"


def test_block_io_weight(runtime, bundle):
    """Where the kernel has a weight; elsewhere the field is refused by name or skipped with a warning, as runc skips it."""
    bundle.config["linux"]["resources"]["blockIO"] = {"weight": 500}
    r = runtime.create(bundle)
    if r.code:
        assert "weight" in r.err
        return
    files = [f for f in ("blkio.bfq.weight", "blkio.weight") if os.path.exists(f"{path_of(runtime, r.id, 'blkio')}/{f}")]
    assert not files or "500" in value(runtime, r.id, "blkio", files[0])


@pytest.mark.parametrize("resources, controller", [
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 21}]}, "hugetlb"),
    ({"network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 1}]}}, "net_"),
    ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "rdma"),
])
def test_controllers_that_are_not_here(runtime, bundle, resources, controller):
    """A limit that nothing can hold is not silently dropped."""
    if any(c.startswith(controller) for c in os.listdir(ROOT)):
        pytest.skip(f"{controller} is mounted here")
    bundle.config["linux"]["resources"].update(resources)
    runtime.create(bundle).failed(controller, code=1)


def test_unified_without_version_2(runtime, bundle):
    bundle.config["linux"]["resources"]["unified"] = {"memory.high": "100000"}
    runtime.create(bundle).failed("unified", code=1)


@pytest.mark.parametrize("resources, pointer", [
    ({"memory": {"limit": "64m"}}, "memory/limit"), ({"memory": {"limit": 1.5}}, "memory/limit"),
    ({"memory": {"swappiness": 101}}, "memory/swappiness"), ({"cpu": {"shares": -1}}, "cpu/shares"),
    ({"cpu": {"cpus": 0}}, "cpu/cpus"), ({"pids": {"limit": "5"}}, "pids/limit"), ({"blockIO": {"weight": 70000}}, "blockIO/weight"),
    ({"memory": []}, "memory"), ({"hugepageLimits": [{"pageSize": "2 MB", "limit": 1}]}, "hugepageLimits/0"),
])
def test_bad_resources(runtime, bundle, resources, pointer):
    bundle.config["linux"]["resources"].update(resources)
    runtime.create(bundle).failed(f"/linux/resources/{pointer}", code=1)


@pytest.mark.parametrize("resources, says", [
    ({"memory": {"limit": 64 << 20, "swap": 32 << 20}}, "mem"), ({"cpu": {"cpus": "0-99999"}}, "cpuset.cpus"),
    ({"cpu": {"mems": "63"}}, "cpuset.mems"), ({"cpu": {"quota": 5, "period": 100000}}, "cpu.cfs_quota_us"),
    ({"cpu": {"quota": 100000, "period": 5}}, "cpu.cfs_period_us"),
])
def test_limits_the_kernel_refuses(runtime, bundle, resources, says):
    bundle.config["linux"]["resources"].update(resources)
    runtime.create(bundle).failed(says, code=1)


# -- update

@pytest.mark.parametrize("flag, argument, controller, file, shown", [
    ("--memory", "67108864", "memory", "memory.limit_in_bytes", str(64 << 20)),
    ("--memory", "50M", "memory", "memory.limit_in_bytes", str(50 << 20)),
    ("--memory", "1g", "memory", "memory.limit_in_bytes", str(1 << 30)),
    ("--memory-reservation", "33554432", "memory", "memory.soft_limit_in_bytes", str(32 << 20)),
    ("--memory-swap", "209715200", "memory", "memory.memsw.limit_in_bytes", str(200 << 20)),
    ("--pids-limit", "10", "pids", "pids.max", "10"), ("--pids-limit", "-1", "pids", "pids.max", "max"),
    ("--cpu-share", "200", "cpu", "cpu.shares", "200"), ("--cpu-quota", "60000", "cpu", "cpu.cfs_quota_us", "60000"),
    ("--cpu-quota", "-1", "cpu", "cpu.cfs_quota_us", "-1"), ("--cpu-period", "900000", "cpu", "cpu.cfs_period_us", "900000"),
    ("--cpu-burst", "10000", "cpu", "cpu.cfs_burst_us", "10000"), ("--cpu-idle", "1", "cpu", "cpu.idle", "1"),
    ("--cpuset-cpus", "0", "cpuset", "cpuset.cpus", "0"), ("--cpuset-mems", "0", "cpuset", "cpuset.mems", "0"),
])
def test_update_flags(runtime, bundle, flag, argument, controller, file, shown):
    id = start(runtime, bundle, memory={"limit": 100 << 20, "swap": 100 << 20}, pids={"limit": 20},
               cpu={"shares": 100, "quota": 500000, "period": 1000000})
    if flag == "--memory" and argument == "1g":
        runtime.call("update", "--memory-swap", "-1", id).ok()
    runtime.call("update", flag, argument, id).ok()
    assert value(runtime, id, controller, file) == shown


def test_update_leaves_what_is_not_named(runtime, bundle):
    id = start(runtime, bundle, memory={"limit": 100 << 20}, pids={"limit": 20}, cpu={"shares": 100})
    runtime.call("update", "--pids-limit", "33", id).ok()
    assert value(runtime, id, "memory", "memory.limit_in_bytes") == str(100 << 20)
    assert value(runtime, id, "cpu", "cpu.shares") == "100"


def test_update_from_stdin_and_file(runtime, bundle, work):
    id = start(runtime, bundle, memory={"limit": 100 << 20})
    text = json.dumps({"memory": {"limit": 70 << 20}, "pids": {"limit": 15}, "cpu": {"shares": 0, "quota": 0, "period": 0},
                       "blockIO": {"weight": 0}})
    runtime.call("update", "--resources", "-", id, stdin=text).ok()
    assert value(runtime, id, "memory", "memory.limit_in_bytes") == str(70 << 20) and value(runtime, id, "pids", "pids.max") == "15"
    with open(f"{work}/r.json", "w") as f:
        json.dump({"pids": {"limit": 16}}, f)
    runtime.call("update", "-r", f"{work}/r.json", id).ok()
    assert value(runtime, id, "pids", "pids.max") == "16"
    runtime.call("update", "-r", "r.json", id, cwd=work).ok()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"memory": {"limit": "x"}}', '{"pids": {"limit": 1.5}}'])
def test_update_from_bad_input(runtime, bundle, text):
    id = start(runtime, bundle, memory={"limit": 100 << 20})
    runtime.call("update", "--resources=-", id, stdin=text).failed(code=1)
    assert value(runtime, id, "memory", "memory.limit_in_bytes") == str(100 << 20)


@pytest.mark.parametrize("flags", [["--memory", "lots"], ["--memory", "5X"], ["--memory", "99999999999999999999"],
                                   ["--pids-limit", "many"], ["--cpu-share", "-5"], ["--cpu-quota", "1.5"],
                                   ["--cpuset-cpus", "77777"]])
def test_update_with_bad_values(runtime, bundle, flags):
    id = sleeper(runtime, bundle)
    runtime.call("update", *flags, id).failed(code=1)


def test_update_to_what_is_used_already(runtime, bundle):
    """A memory limit below the usage is refused with both numbers, and nothing is changed or killed."""
    bundle.config["linux"]["resources"]["memory"] = {"limit": 100 << 20, "swap": 100 << 20}
    id = runtime.start_detached(bundle.sh("(probe eat 40; echo ate > /ate; sleep 50) & wait"))
    wait_file(f"{bundle.rootfs}/ate")
    r = runtime.call("update", "--memory", "1048576", id)
    if r.code:
        r.failed("unable to set memory limit to 1048576 (current usage: ", "peak usage: ", code=1)
    assert runtime.state(id)["status"] == "running"


def test_update_of_memory_and_swap_in_either_direction(runtime, bundle):
    """The kernel wants memory ≤ memory+swap at every moment."""
    id = start(runtime, bundle, memory={"limit": 50 << 20, "swap": 60 << 20})
    for memory, swap in ((200 << 20, 300 << 20), (40 << 20, 45 << 20), (40 << 20, 40 << 20)):
        runtime.call("update", "--memory", memory, "--memory-swap", swap, id).ok()
        assert value(runtime, id, "memory", "memory.limit_in_bytes") == str(memory)
        assert value(runtime, id, "memory", "memory.memsw.limit_in_bytes") == str(swap)


def test_update_of_quota_and_period_in_either_direction(runtime, bundle):
    """Docker changes both at once."""
    id = start(runtime, bundle, cpu={"quota": 50000, "period": 100000})
    for quota, period in ((900000, 1000000), (3000, 5000)):
        runtime.call("update", "--cpu-quota", quota, "--cpu-period", period, id).ok()
        assert value(runtime, id, "cpu", "cpu.cfs_quota_us") == str(quota)
        assert value(runtime, id, "cpu", "cpu.cfs_period_us") == str(period)


def test_update_of_a_stopped_container(runtime, bundle):
    id = runtime.start_detached(bundle)
    runtime.wait_status(id, "stopped")
    runtime.call("update", "--pids-limit", "5", id).failed("not running", code=1)


def test_update_of_a_paused_container(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("pause", id).ok()
    runtime.call("update", "--pids-limit", "5", id).ok()
    assert value(runtime, id, "pids", "pids.max") == "5"
    assert runtime.state(id)["status"] == "paused"


def test_update_without_anything(runtime, bundle):
    runtime.call("update", sleeper(runtime, bundle)).ok()


# -- pause and resume

def test_pause_and_resume(runtime, bundle):
    id = runtime.start_detached(bundle.sh("while :; do echo x >> /ticks; sleep 0.02; done"))
    wait_file(f"{bundle.rootfs}/ticks")
    runtime.call("pause", id).ok()
    assert value(runtime, id, "freezer", "freezer.state") == "FROZEN" and runtime.state(id)["status"] == "paused"
    size = os.path.getsize(f"{bundle.rootfs}/ticks")
    import time
    time.sleep(0.2)
    assert os.path.getsize(f"{bundle.rootfs}/ticks") == size
    runtime.call("resume", id).ok()
    wait_for(lambda: os.path.getsize(f"{bundle.rootfs}/ticks") > size, "more ticks")


def test_pause_twice_and_resume_twice(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("resume", id).failed("not paused", code=1)
    runtime.call("pause", id).ok()
    runtime.call("pause", id).failed(code=1)
    runtime.call("resume", id).ok()
    assert runtime.state(id)["status"] == "running"


def test_pause_of_a_stopped_container(runtime, bundle):
    id = runtime.start_detached(bundle)
    runtime.wait_status(id, "stopped")
    runtime.call("pause", id).failed("not running", code=1)
    runtime.call("resume", id).failed(code=1)


def test_paused_container_stays_on_the_list(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("pause", id).ok()
    assert json.loads(runtime.call("list", "-f", "json").ok().out)[0]["status"] == "paused"
    assert len(json.loads(runtime.call("ps", "-f", "json", id).ok().out)) == 1


def test_without_cgroups(runtime, bundle):
    """--cgroup-manager disabled: no cgroup is made."""
    runtime.flags = ["--cgroup-manager", "disabled"]
    bundle.config["linux"]["resources"] = {}
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["type"] != "cgroup"]
    id = sleeper(runtime, bundle)
    with open(f"/proc/{runtime.state(id)['pid']}/cgroup") as f:
        assert runtime.mark not in f.read()


def test_systemd_cgroups_where_there_is_no_systemd(runtime, bundle):
    if os.path.isdir("/run/systemd/system"):
        pytest.skip("systemd runs here")
    runtime.flags = ["--systemd-cgroup"]
    bundle.config["linux"]["cgroupsPath"] = f"system.slice:nst:{runtime.mark}"
    runtime.create(bundle).failed("systemd", code=1)
