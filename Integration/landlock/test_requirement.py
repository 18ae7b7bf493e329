"""A restriction holds, or the container does not run; where it may be missing, everybody can see that."""

import errno
import json
import re
import subprocess

import pytest

from harness.terminal import DescriptorSocket
from locking import ADD_RULE, CREATE_RULESET, FILES, PORTS, RESTRICT_SELF, SCOPES, everything, landlock

READ = ["read_file", "read_dir"]


@pytest.fixture
def kernel(runtime, lock_binary):
    """Runs the runtime where one of the kernel's calls answers otherwise."""
    plain = runtime.argv

    def call(number, answer, *args):
        runtime.argv = lambda *a: [lock_binary, "answering", str(number), str(answer), *plain(*a)]
        try:
            return runtime.call(*args)
        finally:
            runtime.argv = plain
    return call


def run(runtime, bundle, kernel, number, answer):
    bundle.save()
    return kernel(number, answer, "run", "--bundle", bundle.path, runtime.new_id())


@pytest.mark.parametrize("answer, name", [(errno.ENOSYS, "ENOSYS"), (errno.EOPNOTSUPP, "EOPNOTSUPP")])
def test_without_landlock(runtime, bundle, kernel, answer, name):
    bundle.config["process"]["args"] = ["/bin/lock", "read", "/other/file"]
    assert run(runtime, bundle, kernel, CREATE_RULESET, answer).out == "ok\n"
    bundle.config["process"]["landlock"] = landlock(*READ, rules=[(READ, "/bin")])
    r = run(runtime, bundle, kernel, CREATE_RULESET, answer)
    assert r.code == 1 and r.out == ""
    assert "/process/landlock: this kernel has no Landlock" in r.err and f"({name})" in r.err
    assert len(r.err.splitlines()) == 1


def test_best_effort_starts_and_says_so(runtime, bundle, kernel):
    bundle.config["process"].update(
        args=["/bin/sleep", "100"], landlock=landlock(*READ, rules=[(READ, "/bin")], disableBestEffort=False))
    bundle.save()
    id = runtime.new_id()
    r = kernel(CREATE_RULESET, errno.ENOSYS, "create", "--bundle", bundle.path, id)
    assert r.code == 0 and "warning" in r.err and "Landlock does not restrict read_file, read_dir" in r.err
    annotations = runtime.state(id)["annotations"]
    assert annotations["nemoshell.landlock.enforced"] == "nothing"
    assert annotations["nemoshell.degraded"] == "landlock: read_file, read_dir"
    runtime.call("start", id).ok()
    # An exec where Landlock is there would be another sandbox than the container's.
    runtime.exec(id, "/bin/lock", "read", "/other/file").failed("join the container's Landlock restrictions")
    r = kernel(CREATE_RULESET, errno.ENOSYS, "exec", id, "/bin/lock", "read", "/other/file")
    assert r.out == "ok\n"


def test_best_effort_is_by_right(runtime, bundle, kernel):
    bundle.config["process"]["landlock"] = landlock(*READ, rules=[(READ, "/bin")], bestEffort=["read_dir"])
    r = run(runtime, bundle, kernel, CREATE_RULESET, errno.ENOSYS)
    assert r.code == 1 and "cannot restrict read_file;" in r.err.replace(":", ";")


def test_exec_without_landlock(runtime, bundle, kernel):
    bundle.config["process"].update(args=["/bin/sleep", "100"], landlock=landlock(*READ, rules=[(READ, "/bin")]))
    id = runtime.start_detached(bundle)
    r = kernel(CREATE_RULESET, errno.ENOSYS, "exec", id, "/bin/lock", "read", "/other/file")
    assert r.code != 0 and r.out == "" and "this kernel has no Landlock" in r.err


@pytest.mark.parametrize("number", [ADD_RULE, RESTRICT_SELF])
@pytest.mark.parametrize("answer", [errno.ENOSYS, errno.EPERM])
def test_calls_that_fail(runtime, bundle, kernel, number, answer):
    bundle.config["process"]["landlock"] = landlock(*READ, rules=[(READ, "/bin")])
    r = run(runtime, bundle, kernel, number, answer)
    assert r.code != 0 and "Landlock" in r.err and errno.errorcode[answer] in r.err


#: No attempt without side effects is known for these.
WITHOUT_CANARY = ["truncate", "ioctl_dev"]


@pytest.mark.parametrize("right", [r for r in FILES + PORTS + SCOPES if r not in WITHOUT_CANARY])
@pytest.mark.parametrize("uid", [0, 1000])
def test_canary(runtime, bundle, kernel, right, uid):
    """A kernel that says it restricts and does not: the program never runs."""
    rules = [(right, "/bin")] if right in ("execute", "read_file") else []
    bundle.config["process"].update(user={"uid": uid, "gid": uid}, landlock=landlock(right, rules=rules))
    runtime.run(bundle).ok()
    bundle.sh("echo the program runs")
    r = run(runtime, bundle, kernel, RESTRICT_SELF, 0)
    assert r.code != 0 and r.out == ""
    assert f"Landlock canary {right}" in r.err and "the program was not started" in r.err


def test_canary_in_create_and_start(runtime, bundle, kernel):
    bundle.config["process"]["landlock"] = landlock("read_file", rules=[("read_file", "/bin")])
    bundle.save()
    id = runtime.new_id()
    assert kernel(RESTRICT_SELF, 0, "create", "--bundle", bundle.path, id).code == 0
    runtime.call("start", id).failed("Landlock canary read_file")
    runtime.wait_status(id, "stopped")


def test_canary_in_exec(runtime, bundle, kernel):
    bundle.config["process"].update(args=["/bin/sleep", "100"], landlock=landlock("read_file", rules=[("read_file", "/bin")]))
    id = runtime.start_detached(bundle)
    r = kernel(RESTRICT_SELF, 0, "exec", id, "/bin/lock", "read", "/other/file")
    assert r.code != 0 and r.out == "" and "Landlock canary read_file" in r.err


def test_canaries_leave_nothing(runtime, bundle):
    bundle.config["process"].update(
        landlock=landlock(*FILES, *PORTS, *SCOPES, rules=[(FILES, "/")]), args=["/bin/sh", "-c", "ls /; cat /proc/mounts; ls -l /proc/self/fd; cat /proc/net/unix"])
    with_it = runtime.run(bundle).ok().out
    del bundle.config["process"]["landlock"]
    assert shape(with_it) == shape(runtime.run(bundle).ok().out)


def shape(text):
    """Without what differs from one run to the next."""
    return re.sub(r"0x[0-9a-f]+|\d+", "N", re.sub(r"inode64|/tmp/\S+", "", text))


def test_nested_limit(runtime, bundle, lock_binary):
    bundle.config["process"]["landlock"] = landlock("read_file", rules=[("read_file", "/bin")])
    bundle.save()

    def call(layers):
        argv = [lock_binary, "nested", str(layers), *runtime.argv("run", "--bundle", bundle.path, runtime.new_id())]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert call(15).returncode == 0
    r = call(16)
    assert r.returncode != 0 and "E2BIG" in r.stderr and "16 nested restrictions" in r.stderr


def test_needs_no_new_privileges(runtime, bundle):
    bundle.config["process"].update(landlock=everything(), noNewPrivileges=False)
    runtime.run(bundle).failed("/process/noNewPrivileges", "landlock", code=1)


def test_program_that_may_not_be_executed(runtime, bundle):
    bundle.config["process"].update(landlock=landlock("execute", rules=[("execute", "/bin")]), args=["/place/program"])
    runtime.run(bundle).failed("permission denied (EACCES)", "process.landlock must allow execute")


def test_filter_that_forbids_the_calls(runtime, bundle):
    """The container's own filter comes after Landlock."""
    names = ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "execveat", "mknodat", "symlinkat", "bind", "clone3"]
    bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO"}]}
    bundle.config["process"].update(landlock=everything(), args=["/bin/lock", "read", "/other/file"])
    assert runtime.run(bundle).out == "EACCES\n"


def test_filter_that_notifies(runtime, bundle, work):
    """It is there before Landlock, and has let the calls through."""
    with DescriptorSocket(f"{work}/agent") as agent:
        rule = {"names": ["getppid"], "action": "SCMP_ACT_NOTIFY"}
        bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": agent.path, "syscalls": [rule]}
        bundle.config["process"].update(landlock=everything(), args=["/bin/sleep", "100"])
        id = runtime.start_detached(bundle)
        assert len(agent.receive()[1]) == 1
        assert runtime.state(id)["status"] == "running"


def test_annotation(runtime, bundle):
    config = everything()
    bundle.config["process"]["args"] = ["/bin/lock", "read", "/other/file"]
    assert runtime.run(bundle).out == "ok\n"
    bundle.config["annotations"] = {"nemoshell.landlock": json.dumps(config)}
    assert runtime.run(bundle).out == "EACCES\n"
    bundle.config["process"]["landlock"] = config
    assert runtime.run(bundle).out == "EACCES\n"
    bundle.config["process"]["landlock"] = landlock("make_sym")
    runtime.run(bundle).failed("/annotations/nemoshell.landlock", "differs from /process/landlock", code=1)


def test_annotation_holds_in_exec(runtime, bundle):
    bundle.config["process"]["args"] = ["/bin/sleep", "100"]
    bundle.config["annotations"] = {"nemoshell.landlock": json.dumps(everything())}
    id = runtime.start_detached(bundle)
    assert runtime.exec(id, "/bin/lock", "read", "/other/file").out == "EACCES\n"


def test_state_says_what_is_in_force(runtime, bundle):
    bundle.config["process"].update(landlock=everything(flags=["log_new_exec_on"]), args=["/bin/sleep", "100"])
    id = runtime.start_detached(bundle)
    annotations = runtime.state(id)["annotations"]
    assert annotations["nemoshell.landlock.enforced"] == "abi 7: " + ", ".join(FILES + PORTS + SCOPES + ["log_new_exec_on"])
    assert "nemoshell.degraded" not in annotations


def test_features(runtime):
    found = json.loads(runtime.call("features").ok().out)["linux"]["landlock"]
    assert found == {"enabled": True, "abi": 7, "handledAccessFS": FILES, "handledAccessNet": PORTS, "scoped": SCOPES,
                     "flags": ["log_same_exec_off", "log_new_exec_on", "log_subdomains_off"]}


def test_features_without_landlock(kernel):
    found = json.loads(kernel(CREATE_RULESET, errno.ENOSYS, "features").out)["linux"]["landlock"]
    assert found["enabled"] is True and found["abi"] == 0 and found["handledAccessFS"] == []


@pytest.mark.parametrize("flags, bits", [([], 1), (["log_new_exec_on"], 3), (["log_subdomains_off", "log_same_exec_off"], 5)])
def test_flags_reach_the_kernel(runtime, bundle, work, flags, bits):
    """Denials of the canaries are never logged (log_same_exec_off)."""
    bundle.config["process"]["landlock"] = landlock("read_file", rules=[("read_file", "/bin")], flags=flags)
    assert re.findall(r"landlock_restrict_self\(\d+, (\w+)\)", traced(runtime, bundle, work)) == [hex(bits)]


def test_containers_without_it_pay_nothing(runtime, bundle, work):
    assert "landlock_" not in traced(runtime, bundle, work)


def traced(runtime, bundle, work):
    bundle.save()
    log = f"{work}/strace"
    subprocess.run(["strace", "-f", "-o", log, *runtime.argv("run", "--bundle", bundle.path, runtime.new_id())], check=True)
    with open(log, errors="replace") as f:
        return f.read()
