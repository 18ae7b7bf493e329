"""exec: another process in a container, as strong as the first one."""

import json
import os
import shutil

import pytest

from harness import DescriptorSocket
from inside import alive, field, namespace_of, process_status, sleeper, wait_file, wait_for, write


@pytest.fixture
def box(runtime, bundle):
    """A running container's id."""
    return sleeper(runtime, bundle)


def process_file(work, *args, **fields):
    """A process.json as engines write it."""
    process = {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": list(args), "cwd": "/",
               "env": ["PATH=/usr/bin:/bin", "FROM=file"], **fields}
    return write(f"{work}/process.json", json.dumps(process))


def test_output_and_input(runtime, box):
    r = runtime.exec(box, "sh", "-c", "cat; echo err >&2", stdin="in\n").ok()
    assert (r.out, r.err) == ("in\n", "err\n")


def test_a_flag_after_the_id_is_the_commands(runtime, box):
    assert runtime.exec(box, "echo", "-n", "--cwd", "x").ok().out == "--cwd x"
    assert runtime.call("exec", box, "ls", "-d", "/bin").ok().out == "/bin\n"


def test_same_namespaces_as_the_first_process(runtime, box):
    pid = runtime.state(box)["pid"]
    for kind in ("pid", "net", "ipc", "uts", "mnt", "cgroup", "user"):
        assert runtime.exec(box, "readlink", f"/proc/self/ns/{kind}").ok().out.strip() == namespace_of(kind, pid), kind


def test_is_a_child_of_nobody_in_the_namespace(runtime, box):
    fields = runtime.exec(box, "sh", "-c", "echo $PPID $$").ok().out.split()
    assert fields[0] == "0" and int(fields[1]) > 1


def test_same_cgroups_as_the_first_process(runtime, box):
    with open(f"/proc/{runtime.state(box)['pid']}/cgroup") as f:
        expected = f.read()
    p = runtime.popen("exec", box, "/bin/sleep", "77")
    try:
        pid = wait_for(lambda: _pid_of(runtime, box, "77"), "the exec'd process")
        with open(f"/proc/{pid}/cgroup") as f:
            assert f.read() == expected
    finally:
        p.kill()
        p.wait()


def _pid_of(runtime, id, argument):
    for pid in json.loads(runtime.call("ps", "--format", "json", id).ok().out):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if argument in f.read().split("\0") and "sleep" in open(f"/proc/{pid}/comm").read() + "busybox":
                    return pid
        except OSError:
            pass
    return None


def test_environment(runtime, bundle):
    bundle.config["process"]["env"] += ["FROM=config", "KEEP=1"]
    id = sleeper(runtime, bundle)
    out = runtime.exec(id, "env").ok().out.splitlines()
    assert "FROM=config" in out and "KEEP=1" in out and "HOME=/root" in out
    out = runtime.call("exec", "-e", "FROM=flag", "--env", "NEW=a=b c", id, "env").ok().out.splitlines()
    assert "FROM=flag" in out and "NEW=a=b c" in out and "KEEP=1" in out
    assert "FROM=config" not in out, "an entry of the same name replaces"


def test_program_is_found_in_the_containers_path(runtime, bundle):
    os.makedirs(f"{bundle.rootfs}/opt/tools")
    os.symlink("/bin/busybox", f"{bundle.rootfs}/opt/tools/true")
    shutil.copy(f"{bundle.rootfs}/bin/probe", f"{bundle.rootfs}/opt/tools/special")
    id = sleeper(runtime, bundle)
    runtime.exec(id, "special", "clocks").failed('exec: "special": executable file not found in $path', code=255)
    runtime.call("exec", "--env", "PATH=/opt/tools:/bin", id, "special", "clocks").ok()


def test_cwd(runtime, bundle):
    bundle.config["process"]["cwd"] = "/tmp"
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "pwd").ok().out == "/tmp\n"
    assert runtime.call("exec", "--cwd", "/etc", id, "pwd").ok().out == "/etc\n"
    assert runtime.call("exec", "--cwd=/bin", id, "./busybox", "pwd").ok().out == "/bin\n"


def test_cwd_that_only_the_runtime_may_enter(runtime, bundle):
    """Entered before the process becomes its user, as for the container's first one; and the other way round."""
    for name, owner in (("runtimes", 0), ("users", 1000)):
        os.makedirs(f"{bundle.rootfs}/home/{name}")
        os.chown(f"{bundle.rootfs}/home/{name}", owner, owner)
        os.chmod(f"{bundle.rootfs}/home/{name}", 0o700)
    id = sleeper(runtime, bundle)
    exec_in = lambda cwd, *args: runtime.call("exec", "--user", "1000:1000", "--cwd", cwd, id, *args)  # noqa: E731
    assert exec_in("/", "/bin/ls", "/home/runtimes").code != 0, "the user itself may not"
    assert exec_in("/home/runtimes", "readlink", "/proc/self/cwd").ok().out == "/home/runtimes\n"
    assert exec_in("/home/users", "readlink", "/proc/self/cwd").ok().out == "/home/users\n"


def test_cwd_must_be_absolute(runtime, box):
    runtime.call("exec", "--cwd", "etc", box, "pwd").failed("cwd", code=255)


@pytest.mark.parametrize("user, expected", [("1000", "1000 0 0"), ("1000:1001", "1000 1001 1001"),
                                            ("0:0", "0 0 0"), ("4294967294:4294967294",
                                                               "4294967294 4294967294 4294967294")])
def test_user(runtime, box, user, expected):
    out = runtime.call("exec", "--user", user, box, "sh", "-c", "echo $(id -u) $(id -g) $(id -G)").ok().out
    assert out.strip() == expected


@pytest.mark.parametrize("user", ["-1", "4294967295", "4294967296", "18446744073709551616", "1:", ":1", "1:2:3", "0x1",
                                  "1 ", "1:-1", "1:4294967296"])
def test_bad_users_are_refused(runtime, box, user):
    runtime.call("exec", f"--user={user}", box, "id").failed(code=255)


def test_additional_groups(runtime, box):
    out = runtime.call("exec", "-u", "1000:1000", "-g", "100", "--additional-gids", "65534", box, "id", "-G").ok().out
    assert out.split() == ["1000", "100", "65534"]
    runtime.call("exec", "-g", "-1", box, "id").failed(code=255)
    runtime.call("exec", "-g", "4294967296", box, "id").failed(code=255)


def test_detached(runtime, box, work, bundle):
    runtime.call("exec", "-d", "--pid-file", f"{work}/pid", box, "sh", "-c", "echo $$ > /who; sleep 50").ok()
    pid = int(open(f"{work}/pid").read())
    wait_file(f"{bundle.rootfs}/who")
    assert alive(pid)
    with open(f"/proc/{pid}/status") as f:
        assert field(f.read(), "NSpid").split()[-1] == open(f"{bundle.rootfs}/who").read().strip()
    assert pid in json.loads(runtime.call("ps", "-f", "json", box).ok().out)


def test_pid_file_in_the_foreground(runtime, box, work):
    runtime.call("exec", "--pid-file", "pid", box, "true", cwd=work).ok()
    assert open(f"{work}/pid").read().isdigit()


def test_process_file(runtime, box, work):
    path = process_file(work, "sh", "-c", "echo $FROM $PWD $(id -u):$(id -g) $(id -G)", cwd="/tmp",
                        user={"uid": 5, "gid": 6, "additionalGids": [7]})
    assert runtime.call("exec", "--process", path, box).ok().out.strip() == "file /tmp 5:6 6 7"
    assert runtime.call("exec", "-p", "process.json", box, cwd=work).ok().out.strip() == "file /tmp 5:6 6 7"


def test_process_file_rights(runtime, box, work):
    nothing = {k: [] for k in ("bounding", "effective", "permitted", "inheritable", "ambient")}
    path = process_file(work, "cat", "/proc/self/status", noNewPrivileges=True, capabilities=nothing)
    status = runtime.call("exec", "-p", path, box).ok().out
    assert field(status, "CapBnd") == field(status, "CapEff") == field(status, "CapPrm") == "0" * 16
    assert field(status, "NoNewPrivs") == "1"
    path = process_file(work, "cat", "/proc/self/status")
    status = runtime.call("exec", "-p", path, box).ok().out
    assert field(status, "CapBnd") == process_status(runtime.state(box)["pid"], "CapBnd"), "none named: the container's"
    path = process_file(work, "sh", "-c", "ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj",
                        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}], oomScoreAdj=500)
    assert runtime.call("exec", "-p", path, box).ok().out.split() == ["77", "88", "500"]


def test_process_file_umask(runtime, box, work):
    path = process_file(work, "sh", "-c", "umask", user={"uid": 0, "gid": 0, "umask": 0o77})
    assert runtime.call("exec", "-p", path, box).ok().out.strip() == "0077"


@pytest.mark.parametrize("content, says", [("{", ""), ("[]", ""), ('{"args": [], "cwd": "/"}', "args"),
                                           ('{"args": ["true"]}', "cwd"),
                                           ('{"args": ["true"], "cwd": "x"}', "cwd"),
                                           ('{"args": "true", "cwd": "/"}', "args"),
                                           ('{"cwd": "/"}', "args")])
def test_bad_process_files(runtime, box, work, content, says):
    runtime.call("exec", "-p", write(f"{work}/process.json", content), box).failed(says, code=255)


def test_missing_process_file(runtime, box, work):
    runtime.call("exec", "-p", f"{work}/nosuch", box).failed("no such file or directory", f"{work}/nosuch", code=255)


def test_nothing_to_do(runtime, box):
    runtime.call("exec", box).failed()


def test_capabilities_are_the_containers(runtime, box):
    pid = runtime.state(box)["pid"]
    with open(f"/proc/{pid}/status") as f:
        first = f.read()
    status = runtime.exec(box, "cat", "/proc/self/status").ok().out
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Groups", "Uid", "Gid"):
        assert field(status, name) == field(first, name), name


def test_added_capability(runtime, box):
    before = int(field(runtime.exec(box, "cat", "/proc/self/status").ok().out, "CapEff"), 16)
    status = runtime.call("exec", "--cap", "CAP_SYS_PTRACE", "-c", "CAP_SYSLOG", box, "cat", "/proc/self/status").ok().out
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert int(field(status, name), 16) == before | 1 << 19 | 1 << 34, name
    r = runtime.call("exec", "--cap", "CAP_NOSUCH", box, "cat", "/proc/self/status").ok()
    assert int(field(r.out, "CapEff"), 16) == before and "CAP_NOSUCH" in r.err


def test_added_capability_is_ambient_where_the_container_hands_any_on(runtime, bundle):
    """runc's rule: with inheritable capabilities in config.json, `--cap` asks for ambient ones too."""
    some = ["CAP_CHOWN", "CAP_SYSLOG"]
    bundle.config["process"]["capabilities"] = {
        "bounding": ["CAP_KILL", *some], "permitted": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"],
        "inheritable": some, "ambient": ["CAP_CHOWN"]}
    id = sleeper(runtime, bundle)
    ambient = lambda *flags: int(field(runtime.call("exec", *flags, id, "cat", "/proc/self/status").ok().out, "CapAmb"), 16)  # noqa: E731
    assert ambient() == 1 << 0
    assert ambient("--cap", "CAP_SYSLOG") == 1 << 0 | 1 << 34
    # As an ordinary user, for whom only the ambient set makes the difference.
    status = runtime.call("exec", "--user", "1000", "--cap", "CAP_SYSLOG", id, "cat", "/proc/self/status").ok().out
    assert int(field(status, "CapEff"), 16) == 1 << 0 | 1 << 34


def test_added_capability_that_cannot_be_ambient_is_a_warning(runtime, bundle):
    bundle.config["process"]["capabilities"] = {k: ["CAP_CHOWN"] for k in (
        "bounding", "permitted", "effective", "inheritable", "ambient")}
    id = sleeper(runtime, bundle)
    r = runtime.call("exec", "--cap", "CAP_SYSLOG", id, "cat", "/proc/self/status").ok()
    assert "can't raise ambient capability CAP_SYSLOG: it must be both permitted and inheritable" in r.err
    assert int(field(r.out, "CapAmb"), 16) == 1 << 0
    assert int(field(r.out, "CapBnd"), 16) == 1 << 0 | 1 << 34


def test_added_capability_is_not_ambient_otherwise(runtime, box):
    r = runtime.call("exec", "--cap", "CAP_SYSLOG", box, "cat", "/proc/self/status").ok()
    assert int(field(r.out, "CapAmb"), 16) == 0 and r.err == ""


def test_as_another_user_has_no_effective_capabilities(runtime, box):
    status = runtime.call("exec", "--user", "1000", box, "cat", "/proc/self/status").ok().out
    assert field(status, "CapEff") == "0" * 16 and field(status, "CapPrm") == "0" * 16
    assert field(status, "CapBnd") != "0" * 16


def test_no_new_privileges(runtime, bundle):
    bundle.config["process"]["noNewPrivileges"] = False
    id = sleeper(runtime, bundle)
    assert field(runtime.exec(id, "cat", "/proc/self/status").ok().out, "NoNewPrivs") == "0"
    assert field(runtime.call("exec", "--no-new-privs", id, "cat", "/proc/self/status").ok().out, "NoNewPrivs") == "1"


def test_rlimits_and_umask_are_the_containers(runtime, bundle):
    bundle.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    bundle.config["process"]["user"]["umask"] = 0o27
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "sh", "-c", "ulimit -Sn; ulimit -Hn; umask").ok().out.split() == ["100", "200", "0027"]


def test_session_keyring_is_the_containers(runtime, box):
    assert runtime.exec(box, "probe", "keyring").ok().out.strip().endswith(f"_ses.{box}")


def test_only_the_standard_descriptors_are_open(runtime, box):
    r, w = os.pipe()
    try:
        out = runtime.call("exec", box, "probe", "fds", pass_fds=(r, w)).ok().out
    finally:
        os.close(r)
        os.close(w)
    assert [line.split()[0] for line in out.splitlines()] == ["0", "1", "2"]


def test_preserve_fds(runtime, box, work):
    write(f"{work}/hello", "hello")
    argv = " ".join(runtime.argv("exec", "--preserve-fds", "1", box, "cat", "/proc/self/fd/3"))
    import subprocess
    out = subprocess.run(["sh", "-c", f"exec {argv} 3<{work}/hello"], check=True, capture_output=True, text=True).stdout
    assert out == "hello"


def test_in_a_created_container(runtime, bundle):
    """Engines look into a container before they start it."""
    r = runtime.create(bundle).ok()
    assert runtime.exec(r.id, "echo", "hi").ok().out == "hi\n"
    assert runtime.state(r.id)["status"] == "created"


def test_in_a_stopped_container(runtime, bundle):
    id = runtime.start_detached(bundle)
    runtime.wait_status(id, "stopped")
    runtime.exec(id, "true").failed("stopped", code=255)


def test_in_a_paused_container(runtime, box):
    runtime.call("pause", box).ok()
    runtime.exec(box, "true").failed("cannot exec in a paused container", code=255)
    p = runtime.popen("exec", "--ignore-paused", box, "true")
    assert p.poll() is None
    runtime.call("resume", box).ok()
    assert p.wait(10) == 0


def test_on_a_terminal_by_console_socket(runtime, box, work):
    with DescriptorSocket(f"{work}/console") as console:
        runtime.call("exec", "-t", "-d", "--console-socket", console.path, box, "sh", "-c", "tty; sleep 30").ok()
        from harness.terminal import read_until
        assert b"/dev/pts/0" in read_until(console.terminal(), b"\n")


def test_masked_and_read_only_paths_hold(runtime, box):
    assert runtime.exec(box, "sh", "-c", "cat /proc/kcore | wc -c").ok().out.strip() == "0"
    runtime.exec(box, "sh", "-c", "echo 1 > /proc/sys/kernel/printk").failed("read-only file system")


def test_many(runtime, box):
    for n in range(20):
        assert runtime.exec(box, "echo", str(n)).ok().out == f"{n}\n"


def test_big_output(runtime, box):
    assert len(runtime.exec(box, "head", "-c", "3000000", "/dev/zero").ok().out) == 3000000


def test_sub_cgroup(runtime, box, bundle):
    pid = runtime.state(box)["pid"]
    lines = dict(line.strip().split(":", 2)[1:] for line in open(f"/proc/{pid}/cgroup"))
    os.mkdir(f"/sys/fs/cgroup/pids{lines['pids']}/sub")
    r = runtime.call("exec", "--cgroup", "pids:sub", box, "cat", "/proc/self/cgroup").ok()
    inside = dict(line.split(":", 2)[1:] for line in r.out.splitlines())
    assert inside["pids"].endswith("/sub") and not inside["memory"].endswith("/sub")


@pytest.mark.parametrize("path, says", [("pids:../..", "bad sub cgroup path"), ("pids:/../x", "bad sub cgroup path"),
                                        ("nosuch:x", "unknown controller"), ("pids:nosuch", "")])
def test_bad_sub_cgroups(runtime, box, path, says):
    runtime.call("exec", "--cgroup", path, box, "true").failed(says, code=255)


@pytest.mark.parametrize("damage", ["", "no exec.json", "no filter", "cut filter", "changed filter", "neither"])
def test_the_filter_holds_whatever_is_left_of_the_containers_copies(runtime, bundle, damage):
    """`exec` reads a part of the configuration and a compiled filter; config.json says the same where they are gone."""
    bundle.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 31}]}
    id = sleeper(runtime, bundle)
    shutil.rmtree(f"{runtime.root}/.cache")
    files = [f"{runtime.root}/{id}/{name}" for name in ("exec.json", "filter")]
    for name, path in zip(("exec.json", "filter"), files):
        if damage in (f"no {name}", "neither"):
            os.unlink(path)
    if damage in ("cut filter", "changed filter"):
        with open(files[1], "r+b") as f:
            if damage == "cut filter":
                f.truncate(100)
            else:
                f.seek(90)
                f.write(b"\x00\x01\x02\x03")
    runtime.exec(id, "touch", "/tmp/file").ok()
    runtime.exec(id, "mkdir", "/tmp/directory").failed("Too many links")
