"""`docker run` and `docker exec`: output, terminals, exit codes, who and where the process is."""

import json
import os

import pytest

from .enclosure import wait_for
from .images import BUSYBOX

# The client tells the size after the start; until then it is 0 × 0, which busybox's stty does not print.
SIZE = "until [ -n \"$(stty size 2>/dev/null)\" ]; do sleep 0.1; done; stty size; "


def test_nemoshell_is_the_default_runtime(docker):
    info = json.loads(docker("info", "--format", "{{json .}}").ok().out)
    assert info["DefaultRuntime"] == "nemoshell"
    c = docker.detached(BUSYBOX, "sleep", "100")
    assert docker.inspect(c, "HostConfig.Runtime") == "nemoshell"
    assert c in os.listdir(f"{docker.directory}/exec/runtime-runc/moby"), "the runtime's state root"


@pytest.mark.parametrize("runtime", ["nemoshell", "runc"])
def test_runtime_flag_and_a_second_runtime_beside_it(docker, runtime):
    assert docker.run("--runtime", runtime, BUSYBOX, "echo", runtime).ok().out == f"{runtime}\n"


def test_output_goes_to_its_own_streams(docker):
    r = docker.run(BUSYBOX, "sh", "-c", "echo out; echo err >&2").ok()
    assert (r.out, r.err) == ("out\n", "err\n")


def test_standard_input(docker):
    text = "".join(f"line {n}\n" for n in range(20000))
    assert docker.run("-i", BUSYBOX, "cat", stdin=text).ok().out == text


def test_debian_with_python(docker, debian_in_docker):
    script = "import json, os; print(json.dumps([os.getpid(), os.uname().nodename]))"
    r = docker.run("--hostname", "snake", debian_in_docker, "python3", "-c", script).ok()
    assert json.loads(r.out) == [1, "snake"]


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_code_is_the_process_s(docker, code):
    assert docker.run(BUSYBOX, "sh", "-c", f"exit {code}").code == code


def test_exit_code_125_when_the_daemon_fails(docker):
    docker.run("--memory", "1", BUSYBOX, "true").failed("minimum memory limit", code=125)
    docker.run("--runtime", "absent", BUSYBOX, "true").failed("runtime", code=125)


def test_exit_code_126_when_the_command_cannot_be_invoked(docker):
    docker.run(BUSYBOX, "/etc/passwd").failed("permission denied", code=126)
    docker.run(BUSYBOX, "/etc").failed(code=126)


def test_exit_code_127_when_the_command_is_not_found(docker):
    docker.run(BUSYBOX, "nonexistent").failed('exec: "nonexistent": executable file not found in $path', code=127)
    docker.run(BUSYBOX, "/nonexistent").failed("no such file or directory", code=127)


def test_exit_code_137_after_sigkill(docker):
    assert docker.run("--init", BUSYBOX, "sh", "-c", "kill -9 $$").code == 137
    c = docker.detached(BUSYBOX, "sleep", "100")
    docker("kill", c).ok()
    assert docker("wait", c).ok().out == "137\n"


def test_a_failed_start_leaves_no_process_and_no_name(docker):
    docker("run", "--name", "broken", BUSYBOX, "nonexistent").failed(code=127)
    assert docker.inspect("broken", "State.Status") == "created"
    docker("rm", "broken").ok()
    assert not [c for c in docker.enclosure.cgroups() if not c.endswith(docker.enclosure.cgroup)]
    docker("run", "--rm", "--name", "broken", BUSYBOX, "true").ok()


def test_workdir_is_made_and_entered(docker):
    assert docker.run("--workdir", "/a/b", BUSYBOX, "pwd").ok().out == "/a/b\n"


def test_environment(docker):
    out = docker.run("-e", "A=b c", "-e", "E=", BUSYBOX, "env").ok().out.splitlines()
    assert "A=b c" in out and "E=" in out and "HOME=/root" in out
    assert [line for line in out if line.startswith("HOSTNAME=")]


def test_hostname_and_domainname(docker):
    r = docker.run("--hostname", "h", "--domainname", "d.test", BUSYBOX, "sh", "-c",
                   "hostname; cat /proc/sys/kernel/domainname").ok()
    assert r.out == "h\nd.test\n"


@pytest.mark.parametrize("user, expected", [
    ("1000", "uid=1000(user) gid=1000"),
    ("user", "uid=1000(user) gid=1000(user)"),
    ("1234:5678", "uid=1234 gid=5678"),
    ("65534", "uid=65534 gid=0(root)"),
])
def test_user(docker, user, expected):
    assert docker.run("--user", user, BUSYBOX, "id").ok().out.startswith(expected)


def test_user_loses_the_capabilities(docker):
    of_root = docker.run(BUSYBOX, "sh", "-c", "chown 1 /tmp && echo changed").ok()
    assert of_root.out == "changed\n"
    docker.run("--user", "1000", BUSYBOX, "chown", "1", "/tmp").failed("operation not permitted", code=1)
    status = docker.run("--user", "1000", BUSYBOX, "grep", "CapEff", "/proc/self/status").ok().out
    assert int(status.split()[1], 16) == 0


def test_additional_groups(docker):
    out = docker.run("--user", "1000:1000", "--group-add", "77", "--group-add", "88", BUSYBOX, "id", "-G").ok().out
    assert set(out.split()) == {"1000", "77", "88"}


def test_unknown_user(docker):
    docker.run("--user", "nobody-here", BUSYBOX, "true").failed("nobody-here")


def test_run_on_a_terminal(docker, terminal):
    script = SIZE + "tty; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; read code; exit $code"
    t = terminal(docker.argv("run", "--rm", "-it", BUSYBOX, "sh", "-c", script), docker.environment, 33, 101)
    t.expect("33 101")
    t.expect("/dev/pts/0")
    t.expect("all")
    t.type("7\n")
    assert t.exit_code() == 7


def test_terminal_is_resized(docker, terminal):
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done"
    t = terminal(docker.argv("run", "--rm", "-it", BUSYBOX, "sh", "-c", script), docker.environment)
    t.expect("ready")
    t.resize(40, 132)
    t.expect("40 132")


def test_interrupt_character_reaches_the_foreground_process(docker, terminal):
    script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done"
    t = terminal(docker.argv("run", "--rm", "-it", BUSYBOX, "sh", "-c", script), docker.environment)
    t.expect("ready")
    t.type("\x03")
    t.expect("interrupted")
    assert t.exit_code() == 5


def test_detach_keys_and_attach(docker, terminal):
    script = "while read line; do [ $line = end ] && exit 3; echo got-$line; done"
    t = terminal(docker.argv("run", "-it", "--name", "kept", BUSYBOX, "sh", "-c", script), docker.environment)
    t.type("one\n")
    t.expect("got-one")
    t.type("\x10\x11")
    assert t.exit_code() == 0
    assert docker.inspect("kept", "State.Running") is True
    again = terminal(docker.argv("attach", "kept"), docker.environment)
    again.type("two\n")
    again.expect("got-two")
    again.type("end\n")
    assert again.exit_code() == 3


def test_exec_runs_in_the_container(docker):
    c = docker.detached("--hostname", "inside", "-e", "OF=container", BUSYBOX, "sleep", "100")
    r = docker("exec", c, "sh", "-c", "hostname; echo $OF; cat /proc/1/cmdline | tr '\\0' ' '").ok()
    assert r.out == "inside\ncontainer\nsleep 100 "


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exec_exit_code(docker, code):
    c = docker.detached(BUSYBOX, "sleep", "100")
    assert docker("exec", c, "sh", "-c", f"exit {code}").code == code


def test_exec_of_what_cannot_run(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    r = docker("exec", c, "nonexistent")
    assert r.code in (126, 127) and "executable file not found in $PATH" in r.out + r.err
    r = docker("exec", c, "/etc/passwd")
    assert r.code == 126 and "permission denied" in r.out + r.err


def test_exec_standard_input_and_streams(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    text = "x" * 300000
    assert docker("exec", "-i", c, "cat", stdin=text).ok().out == text
    r = docker("exec", c, "sh", "-c", "echo out; echo err >&2").ok()
    assert (r.out, r.err) == ("out\n", "err\n")


def test_exec_on_a_terminal(docker, terminal):
    c = docker.detached(BUSYBOX, "sleep", "100")
    t = terminal(docker.argv("exec", "-it", c, "sh", "-c", "tty; " + SIZE + "read code; exit $code"),
                 docker.environment, rows=30, columns=90)
    t.expect("/dev/pts/")
    t.expect("30 90")
    t.type("9\n")
    assert t.exit_code() == 9


def test_exec_user_workdir_and_environment(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    r = docker("exec", "-u", "1000:77", "-w", "/tmp", "-e", "A=1", c, "sh", "-c", "id -u; id -g; pwd; echo $A").ok()
    assert r.out == "1000\n77\n/tmp\n1\n"


def test_exec_detached(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    docker("exec", "-d", c, "sh", "-c", "echo done > /tmp/mark; sleep 777").ok()
    docker("exec", c, "sh", "-c", "until [ -s /tmp/mark ]; do sleep 0.1; done", timeout=10).ok()
    assert "sleep 777" in docker("top", c).ok().out


def test_exec_has_no_more_rights_than_the_container(docker):
    c = docker.detached("--cap-drop", "all", "--security-opt", "no-new-privileges", BUSYBOX, "sleep", "100")
    fields = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/{}/status"
    assert docker("exec", c, "sh", "-c", fields.format("self")).ok().out == \
        docker("exec", c, "sh", "-c", fields.format("1")).ok().out
    status = docker("exec", "--privileged", c, "grep", "CapEff", "/proc/self/status").ok().out
    assert int(status.split()[1], 16) & (1 << 21), "exec --privileged gives CAP_SYS_ADMIN"


def test_exec_shares_the_cgroups_and_namespaces_of_init(docker):
    c = docker.detached(BUSYBOX, "sleep", "100")
    script = ("for p in 1 self; do cat /proc/$p/cgroup; echo --; done;"
              "for p in 1 self; do for n in cgroup ipc mnt net pid uts; do readlink /proc/$p/ns/$n; done; echo --; done")
    r = docker("exec", c, "sh", "-c", script).ok()
    first, second, one, own, _ = r.out.split("--\n")
    assert first == second
    assert one == own


def test_exec_in_a_stopped_container(docker):
    c = docker.detached(BUSYBOX, "true")
    docker("wait", c).ok()
    docker("exec", c, "true").failed("is not running", code=1)


def test_image_is_built_with_the_runtime(docker):
    recipe = f"FROM {BUSYBOX}\nRUN echo built > /built && id -u >> /built\nCMD [\"cat\", \"/built\"]\n"
    docker("build", "--network", "none", "-t", "nemoshell.test/built", "-", stdin=recipe).ok()
    assert docker.run("nemoshell.test/built").ok().out == "built\n0\n"
    docker("image", "rm", "nemoshell.test/built").ok()


def test_many_containers_at_once(docker):
    for _ in range(3):
        ids = [docker.detached("--network", "none", BUSYBOX, "sleep", "100") for _ in range(8)]
        assert {docker("exec", c, "hostname").ok().out.strip() for c in ids} == {c[:12] for c in ids}
        docker("rm", "--force", *ids).ok()
        # The client may be answered before the shim has ended.
        wait_for(lambda: not [p for p in docker.enclosure.processes().values() if any(c in p for c in ids)],
                 "the shims' end")
        assert not [path for path in docker.enclosure.cgroups() if any(c in path for c in ids)]
