"""The process's attributes (config.md "Process", config-linux.md): identity, environment, limits, rights, scheduling."""

import os

import pytest

from inside import field, look, process_status, sleeper

CAPABILITY_SETS = {"effective": "CapEff", "permitted": "CapPrm", "bounding": "CapBnd", "inheritable": "CapInh", "ambient": "CapAmb"}


def status_of(runtime, bundle):
    return look(runtime, bundle, "cat /proc/self/status")


# -- user

@pytest.mark.parametrize("uid, gid, groups", [(0, 0, None), (1000, 1000, None), (1000, 2000, [5, 6, 7]),
                                              (12345, 54321, []), (4294967294, 4294967294, [4294967294]),
                                              (0, 0, list(range(100, 132)))])
def test_user(runtime, bundle, uid, gid, groups):
    user = {"uid": uid, "gid": gid}
    if groups is not None:
        user["additionalGids"] = groups
    bundle.config["process"]["user"] = user
    status = status_of(runtime, bundle)
    assert field(status, "Uid").split() == [str(uid)] * 4
    assert field(status, "Gid").split() == [str(gid)] * 4
    assert [int(g) for g in field(status, "Groups").split()] == sorted(groups or [])


def test_no_groups_of_the_caller(runtime, bundle):
    old = os.getgroups()
    os.setgroups([4242])
    try:
        assert field(status_of(runtime, bundle), "Groups") == ""
    finally:
        os.setgroups(old)


def test_groups_of_the_caller_by_annotation(runtime, bundle):
    """crun's annotation, which `podman run --group-add keep-groups` sets: in the first process and in exec."""
    bundle.config["annotations"] = {"run.oci.keep_original_groups": "1"}
    old = os.getgroups()
    os.setgroups([4242])
    try:
        id = sleeper(runtime, bundle)
        assert process_status(runtime.state(id)["pid"], "Groups") == "4242"
        assert field(runtime.exec(id, "cat", "/proc/self/status").ok().out, "Groups") == "4242"
    finally:
        os.setgroups(old)
    assert field(runtime.exec(id, "cat", "/proc/self/status").ok().out, "Groups") == " ".join(str(g) for g in old)


@pytest.mark.parametrize("name", ["handler", "seccomp_bpf_data", "seccomp.plugins", "seccomp_fail_unknown_syscall"])
def test_annotations_that_would_confine_otherwise(runtime, bundle, name):
    bundle.config["annotations"] = {f"run.oci.{name}": "1"}
    runtime.run(bundle).failed(f"/annotations/run.oci.{name}", code=1)


def test_annotations_that_are_ignored(runtime, bundle):
    """One of crun's is named in a warning; what belongs to others is nobody's business."""
    bundle.config["annotations"] = {"run.oci.hooks.stdout": "/tmp/x", "org.example.thing": "1"}
    err = runtime.run(bundle).ok().err
    assert "/annotations/run.oci.hooks.stdout" in err and "org.example" not in err


@pytest.mark.parametrize("user, pointer", [({"uid": -1, "gid": 0}, "uid"), ({"uid": 4294967296, "gid": 0}, "uid"),
                                           ({"uid": 0, "gid": -1}, "gid"), ({"uid": 0.5, "gid": 0}, "uid"),
                                           ({"uid": "0", "gid": 0}, "uid"),
                                           ({"uid": 0, "gid": 0, "umask": 0o1000000}, "umask"),
                                           ({"uid": 0, "gid": 0, "additionalGids": [-1]}, "additionalGids/0"),
                                           ({"uid": 0, "gid": 0, "additionalGids": [1, 4294967296]}, "additionalGids/1")])
def test_bad_users(runtime, bundle, user, pointer):
    bundle.config["process"]["user"] = user
    runtime.create(bundle).failed(f"/process/user/{pointer}", code=1)


@pytest.mark.parametrize("value, shown", [(None, "0022"), (0, "0000"), (0o77, "0077"), (0o777, "0777")])
def test_umask(runtime, bundle, value, shown):
    if value is not None:
        bundle.config["process"]["user"]["umask"] = value
    assert look(runtime, bundle, "umask") == shown


def test_umask_is_not_the_callers(runtime, bundle):
    old = os.umask(0o77)
    try:
        assert look(runtime, bundle, "umask; stat -c %a /dev/null; stat -c %a /dev") == "0022\n666\n755"
    finally:
        os.umask(old)


# -- environment, arguments, directory

def test_environment_is_exactly_the_configured(runtime, bundle):
    bundle.config["process"].update(args=["/bin/env"], env=["A=1", "B=two words", "C=", "HOME=/x", "D=a=b"])
    r = runtime.run(bundle, env={**os.environ, "CALLER": "secret"}).ok()
    assert r.out.splitlines() == ["A=1", "B=two words", "C=", "HOME=/x", "D=a=b"]


@pytest.mark.parametrize("uid, home", [(0, "/root"), (1000, "/home/user"), (4321, "/")])
def test_home_is_filled_in(runtime, bundle, uid, home):
    bundle.config["process"]["user"]["uid"] = uid
    assert look(runtime, bundle, "echo $HOME") == home


def test_home_with_odd_passwd_files(runtime, bundle):
    for content in ("", "junk\n", "root:x:0\n", ":" * 100000 + "\n", "root:x:zero:0::/wrong:\nroot:x:0:0:root:/right:/bin/sh"):
        with open(f"{bundle.rootfs}/etc/passwd", "w") as f:
            f.write(content)
        assert look(runtime, bundle, "echo $HOME") in (["/right"] if "/right" in content else ["/", ""]), content[:20]
    os.unlink(f"{bundle.rootfs}/etc/passwd")
    assert look(runtime, bundle, "echo $HOME") == "/"


def test_home_when_passwd_is_a_trap(runtime, bundle):
    """A FIFO as /etc/passwd would block whoever opens it; a link out of the root must not be followed there."""
    os.unlink(f"{bundle.rootfs}/etc/passwd")
    os.mkfifo(f"{bundle.rootfs}/etc/passwd")
    runtime.run(bundle, timeout=5).ok()
    os.unlink(f"{bundle.rootfs}/etc/passwd")
    os.symlink("../../../../../../etc/passwd", f"{bundle.rootfs}/etc/passwd")
    assert runtime.run(bundle.sh("echo $HOME"), timeout=5).ok()


def test_env_entries_of_the_same_name(runtime, bundle):
    bundle.config["process"]["env"] += ["SAME=1", "SAME=2"]
    assert look(runtime, bundle, "echo $SAME") == "2"


def test_big_environment_and_arguments(runtime, bundle):
    bundle.config["process"]["env"].append("BIG=" + "x" * 100000)
    bundle.config["process"]["args"] = ["/bin/sh", "-c", "echo ${#BIG} $#", "sh"] + ["y" * 100] * 2000
    assert runtime.run(bundle).ok().out == "100000 2000\n"


def test_arguments_are_not_touched(runtime, bundle):
    args = ["", "a b", "$HOME", "*", "'\"\\", "-x", "é☃", "\n"]
    bundle.config["process"]["args"] = ["/bin/sh", "-c", 'for a in "$@"; do printf "[%s]" "$a"; done', "sh", *args]
    assert runtime.run(bundle).ok().out == "".join(f"[{a}]" for a in args)


def test_program_is_found_in_path(runtime, bundle):
    os.makedirs(f"{bundle.rootfs}/first")
    with open(f"{bundle.rootfs}/first/tool", "w") as f:
        f.write("#!/bin/sh\necho wrong\n")
    os.chmod(f"{bundle.rootfs}/first/tool", 0o644)  # not executable: the search goes on
    os.makedirs(f"{bundle.rootfs}/second")
    with open(f"{bundle.rootfs}/second/tool", "w") as f:
        f.write("#!/bin/sh\necho right\n")
    os.chmod(f"{bundle.rootfs}/second/tool", 0o755)
    bundle.config["process"].update(args=["tool"], env=["PATH=/nosuch:/first:/second:/bin"])
    assert runtime.run(bundle).ok().out == "right\n"


@pytest.mark.parametrize("env", [[], ["X=1"]])
def test_without_path_the_default_is_searched(runtime, bundle, env):
    bundle.config["process"].update(args=["true"], env=env)
    r = runtime.run(bundle)
    assert r.code == 0 or "executable file not found in $path" in r.err.lower()


@pytest.mark.parametrize("args, says", [(["nosuch"], 'exec: "nosuch": executable file not found in $path'),
                                        (["/no/such"], "no such file or directory"), (["/etc/passwd"], "permission denied"),
                                        (["/etc"], "permission denied"), (["/etc/passwd/x"], "not a directory"),
                                        (["./nosuch"], "no such file or directory"), (["/empty"], "exec format error"),
                                        ([""], "")])
def test_programs_that_cannot_run(runtime, bundle, args, says):
    with open(f"{bundle.rootfs}/empty", "wb") as f:
        f.write(b"\0\1\2\3")
    os.chmod(f"{bundle.rootfs}/empty", 0o755)
    bundle.config["process"]["args"] = args
    runtime.run(bundle).failed(says, code=1)


def test_script_with_an_interpreter(runtime, bundle):
    with open(f"{bundle.rootfs}/script", "w") as f:
        f.write("#!/bin/sh\necho script $1\n")
    os.chmod(f"{bundle.rootfs}/script", 0o755)
    bundle.config["process"]["args"] = ["/script", "x"]
    assert runtime.run(bundle).ok().out == "script x\n"


@pytest.mark.parametrize("cwd", ["/", "/tmp", "/bin/../tmp"])
def test_cwd(runtime, bundle, cwd):
    bundle.config["process"]["cwd"] = cwd
    assert look(runtime, bundle, "readlink /proc/self/cwd") == os.path.normpath(cwd)


def test_cwd_is_made(runtime, bundle):
    """As runc and crun do."""
    bundle.config["process"]["cwd"] = "/made/for/it"
    assert look(runtime, bundle, "pwd") == "/made/for/it"


def test_cwd_on_a_mount(runtime, bundle, work):
    os.makedirs(f"{work}/data/sub")
    bundle.mount("/data", f"{work}/data", options=["bind"])
    bundle.config["process"]["cwd"] = "/data/sub"
    assert look(runtime, bundle, "pwd") == "/data/sub"


def test_cwd_that_only_the_user_may_enter(runtime, bundle):
    """Entered as the user or as root, whichever may."""
    for uid, mode in ((1000, 0o700), (0, 0o000)):
        os.makedirs(f"{bundle.rootfs}/home/user", exist_ok=True)
        os.chown(f"{bundle.rootfs}/home/user", uid, uid)
        os.chmod(f"{bundle.rootfs}/home/user", mode)
        bundle.config["process"].update(cwd="/home/user", user={"uid": uid, "gid": uid})
        assert look(runtime, bundle, "pwd") == "/home/user"


@pytest.mark.parametrize("cwd", ["", "relative", 5])
def test_bad_cwd(runtime, bundle, cwd):
    bundle.config["process"]["cwd"] = cwd
    runtime.create(bundle).failed("cwd", code=1)


def test_cwd_that_is_a_file(runtime, bundle):
    bundle.config["process"]["cwd"] = "/etc/passwd"
    runtime.run(bundle).failed("not a directory", code=1)


# -- limits

RLIMITS = {"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
           "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
           "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15}


@pytest.mark.parametrize("name", list(RLIMITS))
def test_rlimit(runtime, bundle, name):
    import resource
    hard = resource.getrlimit(RLIMITS[name])[1]
    hard = 2 ** 40 if hard == resource.RLIM_INFINITY else hard
    soft = hard // 2
    bundle.config["process"]["rlimits"] = [{"type": name, "soft": soft, "hard": hard}]
    assert look(runtime, bundle, f"probe rlimit {RLIMITS[name]}").split() == [str(soft), str(hard)]


def test_rlimit_without_bounds(runtime, bundle):
    bundle.config["process"]["rlimits"] = [{"type": "RLIMIT_CPU", "soft": 2 ** 64 - 1, "hard": 2 ** 64 - 1}]
    assert look(runtime, bundle, "probe rlimit 0").split() == [str(2 ** 64 - 1)] * 2


def test_rlimits_do_not_limit_the_runtime(runtime, bundle):
    bundle.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 4, "hard": 4},
                                           {"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0},
                                           {"type": "RLIMIT_NPROC", "soft": 1, "hard": 1}]
    bundle.config["process"].update(args=["/bin/true"], user={"uid": 1000, "gid": 1000})
    runtime.run(bundle).ok()


@pytest.mark.parametrize("limits", [[{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}], [{"type": "NOFILE", "soft": 1, "hard": 1}],
                                    [{"type": "RLIMIT_NOFILE", "soft": -1, "hard": 1}],
                                    [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}], [{"type": "RLIMIT_NOFILE", "soft": 2}],
                                    [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}] * 2])
def test_bad_rlimits(runtime, bundle, limits):
    bundle.config["process"]["rlimits"] = limits
    runtime.create(bundle).failed("/process/rlimits", code=1)


def test_oom_score_adj(runtime, bundle):
    for value in (0, 100, 1000):
        bundle.config["process"]["oomScoreAdj"] = value
        assert look(runtime, bundle, "cat /proc/self/oom_score_adj") == str(value)


def test_oom_score_adj_is_inherited_when_not_given(runtime, bundle):
    with open("/proc/self/oom_score_adj") as f:
        assert look(runtime, bundle, "cat /proc/self/oom_score_adj") == f.read().strip()


@pytest.mark.parametrize("value", [1001, -1001, "1", 1.5])
def test_bad_oom_score_adj(runtime, bundle, value):
    bundle.config["process"]["oomScoreAdj"] = value
    runtime.create(bundle).failed("oomScoreAdj", code=1)


# -- rights

def capability_bits(*names):
    numbers = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETUID": 7, "CAP_NET_BIND_SERVICE": 10,
               "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_CHECKPOINT_RESTORE": 40}
    return f"{sum(1 << numbers[n] for n in names):016x}"


def test_capability_sets_are_what_is_configured(runtime, bundle):
    some = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN", "CAP_CHECKPOINT_RESTORE"]
    bundle.config["process"]["capabilities"] = {
        "bounding": some, "permitted": some[:3], "effective": some[:2], "inheritable": some[:3], "ambient": some[:1]}
    status = status_of(runtime, bundle)
    # After execve as root, permitted and effective come from inheritable and bounding (capabilities(7)).
    assert field(status, "CapBnd") == capability_bits(*some)
    assert field(status, "CapInh") == capability_bits(*some[:3])


def test_capability_sets_of_an_ordinary_user(runtime, bundle):
    some = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN"]
    bundle.config["process"].update(user={"uid": 1000, "gid": 1000})
    bundle.config["process"]["capabilities"] = {
        "bounding": some, "permitted": some, "effective": some, "inheritable": some[:2], "ambient": some[:1]}
    status = status_of(runtime, bundle)
    assert field(status, "CapBnd") == capability_bits(*some)
    assert field(status, "CapInh") == capability_bits(*some[:2])
    for name in ("CapPrm", "CapEff", "CapAmb"):
        assert field(status, name) == capability_bits(*some[:1]), "only what is ambient survives execve"


def test_ambient_capability_works(runtime, bundle):
    """A user binds a low port with it and cannot without."""
    listen = "(nc -l -p 80 127.0.0.1 2>&1 & sleep 0.2; kill $!) | grep -q denied && echo refused || echo bound"
    bundle.config["process"].update(user={"uid": 1000, "gid": 1000})
    bundle.config["process"]["capabilities"] = {"bounding": ["CAP_NET_BIND_SERVICE"]}
    assert look(runtime, bundle, listen) == "refused"
    bundle.config["process"]["capabilities"] = {k: ["CAP_NET_BIND_SERVICE"] for k in CAPABILITY_SETS}
    assert look(runtime, bundle, listen) == "bound"


@pytest.mark.parametrize("capabilities", [None, {}, {k: [] for k in CAPABILITY_SETS}])
def test_without_capabilities(runtime, bundle, capabilities):
    assert look(runtime, bundle, "chown 5 /tmp && echo changed") == "changed"
    if capabilities is None:
        del bundle.config["process"]["capabilities"]
    else:
        bundle.config["process"]["capabilities"] = capabilities
    status = look(runtime, bundle, "chown 6 /tmp 2>/dev/null || echo refused; cat /proc/self/status")
    if capabilities is not None:
        assert status.startswith("refused")
        assert all(field(status, name) == "0" * 16 for name in CAPABILITY_SETS.values())


def test_inheritable_is_empty_unless_asked_for(runtime, bundle):
    """CVE-2022-29162."""
    status = status_of(runtime, bundle)
    assert field(status, "CapInh") == field(status, "CapAmb") == "0" * 16


def test_bounding_set_holds_against_set_user_id(runtime, bundle):
    bundle.config["process"].update(noNewPrivileges=False, user={"uid": 1000, "gid": 1000})
    bundle.config["process"]["capabilities"] = {"bounding": ["CAP_KILL"]}
    os.chmod(f"{bundle.rootfs}/bin/busybox", 0o4755)
    # busybox drops set-user-id rights for ordinary applets, so the probe carries the bit.
    os.chmod(f"{bundle.rootfs}/bin/probe", 0o4755)
    assert look(runtime, bundle, "probe syscall 92 @/tmp 5 5; probe syscall 107") == "EPERM\nok 0"


def test_capability_that_cannot_be_granted_is_a_warning(runtime, bundle):
    """config.md: "any value which cannot be granted MUST be logged as a warning … MUST NOT be an error"."""
    with open("/proc/self/status") as f:
        own = int(field(f.read(), "CapBnd"), 16)
    missing = [n for n in (24, 16, 25) if not own >> n & 1]
    if not missing:
        pytest.skip("every capability can be granted here")
    name = {24: "CAP_SYS_RESOURCE", 16: "CAP_SYS_MODULE", 25: "CAP_SYS_TIME"}[missing[0]]
    for k in ("bounding", "effective", "permitted"):
        bundle.config["process"]["capabilities"][k].append(name)
    r = runtime.run(bundle.sh("cat /proc/self/status")).ok()
    assert not int(field(r.out, "CapEff"), 16) >> missing[0] & 1


@pytest.mark.parametrize("name", ["CAP_NOSUCH", "chown", "", "CAP_CHOWN "])
def test_unknown_capability(runtime, bundle, name):
    """A name this kernel or runtime does not know: named in a warning, or refused by name."""
    bundle.config["process"]["capabilities"]["bounding"].append(name)
    r = runtime.run(bundle)
    assert r.code == 1 and "/process/capabilities/bounding" in r.err or r.code == 0


def test_capabilities_of_the_wrong_type(runtime, bundle):
    bundle.config["process"]["capabilities"]["bounding"] = "CAP_CHOWN"
    runtime.create(bundle).failed("/process/capabilities/bounding", code=1)


def test_no_new_privileges(runtime, bundle):
    bundle.config["process"].update(noNewPrivileges=False, user={"uid": 1000, "gid": 1000})
    os.chmod(f"{bundle.rootfs}/bin/probe", 0o4755)
    assert look(runtime, bundle, "probe syscall 107; grep NoNewPrivs /proc/self/status") == "ok 0\nNoNewPrivs:\t0"
    bundle.config["process"]["noNewPrivileges"] = True
    assert look(runtime, bundle, "probe syscall 107; grep NoNewPrivs /proc/self/status") == "ok 1000\nNoNewPrivs:\t1"


def test_securebits_and_dumpable(runtime, bundle):
    """PR_GET_SECUREBITS 0: nothing locked; the process may be traced by its own user."""
    assert look(runtime, bundle, "probe syscall 157 27; probe dumpable") == "ok 0\n1"


# -- scheduling

@pytest.mark.parametrize("scheduler, shown", [
    ({"policy": "SCHED_OTHER", "nice": 5}, "policy=0 flags=0 nice=5"),
    ({"policy": "SCHED_BATCH", "nice": 3}, "policy=3 flags=0 nice=3"), ({"policy": "SCHED_IDLE"}, "policy=5"),
])
def test_scheduler(runtime, bundle, scheduler, shown):
    bundle.config["process"]["scheduler"] = scheduler
    assert look(runtime, bundle, "probe scheduler").startswith(shown)


@pytest.mark.parametrize("scheduler, shown", [
    ({"policy": "SCHED_FIFO", "priority": 7}, "policy=1 flags=0 nice=0 priority=7"),
    ({"policy": "SCHED_RR", "priority": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, "policy=2 flags=1 nice=0 priority=1"),
])
def test_real_time_scheduler(runtime, bundle, scheduler, shown):
    """A cgroup of its own has no real-time budget until it is given one (v1, CONFIG_RT_GROUP_SCHED)."""
    if os.path.exists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"):
        bundle.config["linux"]["resources"]["cpu"] = {"realtimePeriod": 1000000, "realtimeRuntime": 10000}
    bundle.config["process"].update(scheduler=scheduler, args=["/bin/probe", "scheduler"])
    assert runtime.run(bundle).ok().out.startswith(shown)


@pytest.mark.parametrize("scheduler", [{"policy": "SCHED_NOSUCH"}, {"nice": 5}, {"policy": "SCHED_OTHER", "nice": 20},
                                       {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NOSUCH"]},
                                       {"policy": "SCHED_OTHER", "priority": 5}, {"policy": "SCHED_FIFO", "priority": 100},
                                       {"policy": "SCHED_OTHER", "runtime": 1000}])
def test_bad_scheduler(runtime, bundle, scheduler):
    bundle.config["process"]["scheduler"] = scheduler
    runtime.run(bundle).failed("/process/scheduler", code=1)


def test_scheduler_in_exec(runtime, bundle):
    bundle.config["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 4}
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "probe", "scheduler").ok().out.startswith("policy=3 flags=0 nice=4")


@pytest.mark.parametrize("priority, shown", [({"class": "IOPRIO_CLASS_IDLE", "priority": 0}, "class=3"),
                                             ({"class": "IOPRIO_CLASS_BE", "priority": 6}, "class=2 data=6"),
                                             ({"class": "IOPRIO_CLASS_RT", "priority": 2}, "class=1 data=2"),
                                             ({"class": "IOPRIO_CLASS_BE"}, "class=2 data=0")])
def test_io_priority(runtime, bundle, priority, shown):
    bundle.config["process"]["ioPriority"] = priority
    assert look(runtime, bundle, "probe ioprio").startswith(shown)
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "probe", "ioprio").ok().out.startswith(shown), "and in exec"


@pytest.mark.parametrize("priority", [{"class": "IOPRIO_CLASS_NOSUCH", "priority": 0}, {"class": "IOPRIO_CLASS_BE", "priority": 8},
                                      {"priority": 1}, {"class": "IOPRIO_CLASS_BE", "priority": -1}])
def test_bad_io_priority(runtime, bundle, priority):
    bundle.config["process"]["ioPriority"] = priority
    runtime.create(bundle).failed("/process/ioPriority", code=1)


def test_exec_cpu_affinity(runtime, bundle):
    """For exec'd processes only."""
    if os.cpu_count() < 2:
        pytest.skip("one CPU")
    allowed = "grep Cpus_allowed_list /proc/self/status"
    bundle.config["process"]["execCPUAffinity"] = {"initial": "0", "final": "1"}
    first = look(runtime, bundle, allowed).split()[-1]
    assert first != "1"
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "sh", "-c", allowed).ok().out.split()[-1] == "1"
    bundle.config["process"]["execCPUAffinity"] = {"initial": "0-1"}
    id = sleeper(runtime, bundle)
    runtime.exec(id, "true").ok()


@pytest.mark.parametrize("affinity", [{"initial": "x"}, {"final": "3-1"}, {"initial": "0,"}, {"initial": "99999999"}, {"initial": 0}])
def test_bad_exec_cpu_affinity(runtime, bundle, affinity):
    bundle.config["process"]["execCPUAffinity"] = affinity
    runtime.create(bundle).failed("/process/execCPUAffinity", code=1)


# -- what this kernel does not have

def test_apparmor_profile_where_there_is_none(runtime, bundle):
    """runc and crun disagree; the rule here: a restriction that was asked for is in force or the start fails."""
    if os.path.exists("/sys/kernel/security/apparmor"):
        pytest.skip("AppArmor is here")
    bundle.config["process"]["apparmorProfile"] = "some-profile"
    runtime.run(bundle).failed("apparmor", code=1)
    bundle.config["process"]["apparmorProfile"] = ""
    runtime.run(bundle).ok()


def test_selinux_label_where_there_is_none(runtime, bundle):
    if os.path.exists("/sys/fs/selinux/enforce"):
        pytest.skip("SELinux is here")
    bundle.config["process"]["selinuxLabel"] = "system_u:system_r:container_t:s0"
    runtime.run(bundle).failed("selinux", code=1)


def test_environment_names_are_not_repeated(runtime, bundle):
    bundle.config["process"]["env"] += ["ONE=first", "TWO=2", "ONE=last"]
    assert [line for line in look(runtime, bundle, "env").splitlines() if line.startswith("ONE=")] == ["ONE=last"]


def test_cpus_of_the_caller_are_not_inherited(runtime, bundle):
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everything)})
    try:
        shown = look(runtime, bundle, "grep -c processor /proc/cpuinfo; grep Cpus_allowed: /proc/self/status")
    finally:
        os.sched_setaffinity(0, everything)
    assert int(shown.split()[-1].replace(",", ""), 16).bit_count() == len(everything)


def test_filter_that_forbids_new_system_calls(runtime, bundle):
    """Without no_new_privs the filter is loaded early: nothing after it may need what a profile commonly leaves out."""
    bundle.config["process"]["noNewPrivileges"] = False
    bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["close_range", "openat2", "open_tree", "move_mount", "mount_setattr", "fsopen"],
         "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
    assert look(runtime, bundle, "echo runs") == "runs"
