"""Sandboxes: `run` of blueprints and bundles, and everything that is done with a sandbox by its name."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from handmade import docker_archive, entries_of, layer, tree_layer
from harness import busybox_rootfs
from harness.runtime import NEMOSHELL
from harness.terminal import OnTerminal

BLUEPRINT = """apiVersion: nemoshell/v1
kind: Blueprint
metadata: {{name: agent, version: 1.2.3}}
sandbox:
  rootfs: {{directory: {rootfs}{writable}}}
  process:
    args: {args}
    env: {{PATH: /bin, HOME: /workspace, TERM: vt100}}
    terminal: {terminal}
  workspace: {{}}
  {sandbox}
policy:
  filesystem:
    read_only: [/bin, /etc{read_only}]
    read_write: [/tmp{read_write}]
  {policy}
"""

STAYS = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"
ALL = ["Landlock ABI", "seccomp", "no new privileges", "no capabilities", "user 65532", "no network", "own namespaces", "read-only root"]


class Lab:
    """A registry of its own, and blueprints of busybox in it."""

    def __init__(self, work):
        self.work = work
        self.state = f"{work}/state"
        self.rootfs = busybox_rootfs(f"{work}/busybox")

    def blueprint(self, script, name="agent.yaml", args=None, terminal=False, read_only="", read_write="", policy="", sandbox="", writable=False):
        path = f"{self.work}/{name}"
        pathlib.Path(path).write_text(BLUEPRINT.format(
            rootfs=self.rootfs, args=json.dumps(args or ["/bin/sh", "-c", script]), terminal=str(terminal).lower(), read_only=read_only,
            read_write=read_write, policy=policy, sandbox=sandbox, writable=", writable: true" if writable else ""))
        return path

    def argv(self, *words):
        return [NEMOSHELL, *words, "--state-dir", self.state]

    def call(self, *words, timeout=60, **kw):
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **kw)
        assert done.returncode >= 0, done
        return done

    def ok(self, *words, **kw):
        done = self.call(*words, **kw)
        assert done.returncode == 0, (done.args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def status(self, name="agent"):
        return json.loads(self.call(name, "status", "--json").stdout)

    def wait(self, condition, what):
        end = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < end, what
            time.sleep(0.02)

    def up(self, name="agent"):
        self.wait(lambda: "up" in self.ok(name, "logs"), "the program says that it is up")

    def close(self):
        for name in os.listdir(f"{self.state}/sandboxes") if os.path.isdir(f"{self.state}/sandboxes") else []:
            self.call(name, "rm", "--force", "--workspace")


@pytest.fixture
def lab(work):
    l = Lab(work)
    yield l
    l.close()
    left = [d for d in os.listdir(f"{l.state}/run") if not d.startswith(".")] if os.path.isdir(f"{l.state}/run") else []
    assert left == [] and keepers(l) == []
    with open("/proc/self/mountinfo") as f:
        assert work not in f.read()


def keepers(lab):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"nemoshell-keeper" and lab.state.encode() in words:
            found.append(int(pid))
    return found


# -- run in the foreground

def test_run_passes_output_and_status_on(lab):
    path = lab.blueprint("echo out; echo err >&2; printf tail; id -u; exit 3")
    done = lab.call("run", path)
    assert done.returncode == 3 and done.stdout == "out\ntail65532\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and lines[1] == "err" and lines[0].startswith("Sandbox agent (Landlock ABI ")
    for protection in ALL:
        assert protection in lines[0], lines[0]
    status = lab.status()
    assert status["state"] == "stopped" and status["run"]["exitStatus"] == 3
    assert lab.ok("agent", "logs") == "out\ntail65532\n"


def test_the_sandbox_is_what_the_line_says(lab):
    path = lab.blueprint("""
        cat /proc/self/status | grep -E '^(Seccomp|NoNewPrivs|CapBnd|CapEff|Uid|Gid):'
        for f in /proc/net/dev; do grep -c : $f; done
        touch /etc/x || echo ro-etc; touch /x || echo ro-root; cat /sys/kernel/mm/transparent_hugepage/enabled || echo no-sys
        echo 1 > /workspace/file && echo can-work; /workspace/file || echo no-exec
        cp /bin/busybox /tmp/busybox && /tmp/busybox true || echo no-tmp-exec; ulimit -n; ulimit -c
        mount -t tmpfs x /tmp || echo no-mount; unshare -U true || echo no-unshare; hostname; pwd; env | sort
        """)
    done = lab.call("run", path)
    text = done.stdout
    assert re.search(r"Seccomp:\s2\n", text) and re.search(r"NoNewPrivs:\s1\n", text) and re.search(r"CapBnd:\s0{16}\n", text)
    for line in ["ro-etc", "ro-root", "no-sys", "can-work", "no-exec", "no-tmp-exec", "no-mount", "no-unshare", "4096", "0", "agent", "/workspace"]:
        assert f"\n{line}\n" in text, (line, text, done.stderr)
    environment = {line.split("=")[0] for line in text.splitlines() if re.fullmatch(r"[A-Z]+=.*", line)}
    assert environment - {"SHLVL", "PWD"} == {"PATH", "HOME", "TERM"}


def test_a_run_that_cannot_start_leaves_nothing(lab):
    bad = lab.blueprint("true", args=["/bin/nothing"])
    done = lab.call("run", bad)
    assert done.returncode == 1 and "/bin/nothing does not exist" in done.stderr and done.stderr.count("\n") == 1
    assert os.listdir(f"{lab.state}/sandboxes") == []
    done = lab.call("run", f"{lab.work}/missing.yaml")
    assert done.returncode == 2 and "missing.yaml" in done.stderr
    done = lab.call("run", lab.work)
    assert done.returncode == 1 and "no bundle of nemoshell" in done.stderr
    for words in [("run", bad, "Not-A-Name"), ("run", bad, "run"), ("run", bad, "status"), ("run", bad, "../x")]:
        done = lab.call(*words)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert os.listdir(f"{lab.state}/sandboxes") == []


def test_interrupting_run_stops_the_sandbox(lab):
    p = subprocess.Popen(lab.argv("run", lab.blueprint(STAYS)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "up\n"
    p.send_signal(signal.SIGINT)
    assert p.wait(20) == 7 and p.stdout.read() == "bye\n" and lab.status()["state"] == "stopped"


def test_killing_run_leaves_the_sandbox_running(lab):
    p = subprocess.Popen(lab.argv("run", lab.blueprint(STAYS)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "up\n"
    p.kill()
    p.wait()
    assert lab.status()["state"] == "running"
    lab.ok("agent", "stop")
    assert lab.status()["run"]["exitStatus"] == 7


# -- life

def test_start_stop_and_the_workspace_that_survives(lab):
    path = lab.blueprint("echo up; cat /workspace/n; echo x >> /workspace/n; " + STAYS)
    text = lab.ok("run", "--detach", path)
    assert text.startswith("Sandbox agent (") and text.count("\n") == 1
    lab.up()
    assert lab.call("run", path).returncode == 1
    assert lab.call("agent", "start").returncode == 1
    assert lab.call("agent", "rm").returncode == 1
    lab.ok("agent", "stop")
    lab.ok("agent", "stop")
    assert lab.call("agent", "status").returncode == 1
    assert lab.ok("agent", "start").startswith("Sandbox agent (")
    lab.wait(lambda: lab.ok("agent", "logs").count("x") == 1, "the workspace of the first run")
    assert "up" in lab.ok("agent", "logs", "--previous")
    lab.ok("agent", "stop")
    lab.ok("agent", "rm")
    assert lab.call("agent", "status").returncode == 1 and os.path.exists(f"{lab.state}/workspaces/agent/n")
    lab.ok("run", "-d", path)
    lab.wait(lambda: lab.ok("agent", "logs").count("x") == 2, "the workspace of the sandbox before")
    lab.ok("agent", "rm", "--force", "--workspace")
    assert not os.path.exists(f"{lab.state}/workspaces/agent") and lab.ok("sandboxes").count("\n") == 1


def test_a_workspace_is_seeded_once(lab):
    seed = pathlib.Path(lab.work, "seed")
    (seed / "deep").mkdir(parents=True)
    (seed / "deep/file").write_text("seed\n")
    (seed / "deep/file").chmod(0o600)
    (seed / "out").symlink_to("/etc/passwd")
    path = lab.blueprint("cat /workspace/deep/file; echo changed > /workspace/deep/file; readlink /workspace/out")
    assert lab.ok("run", "--seed", str(seed), path) == "seed\n/etc/passwd\n"
    assert lab.ok("agent", "start", "--attach") == "changed\n/etc/passwd\n" and (seed / "deep/file").read_text() == "seed\n"
    lab.ok("agent", "rm")
    done = lab.call("run", "--seed", str(seed), path)
    assert done.returncode == 1 and "not empty" in done.stderr and json.loads(lab.ok("sandboxes", "--json")) == []


def test_stop_kills_what_does_not_end(lab):
    lab.ok("run", "-d", lab.blueprint("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    lab.up()
    begin = time.monotonic()
    lab.ok("agent", "stop", "--time", "1")
    assert 0.9 < time.monotonic() - begin < 10 and lab.status()["run"]["exitStatus"] == 137


def test_listing_inspecting_and_json_of_everything(lab):
    assert lab.ok("sandboxes") == "NAME  STATE  END  BLUEPRINT  STARTED\n" and json.loads(lab.ok("sandboxes", "--json")) == []
    path = lab.blueprint(STAYS)
    assert json.loads(lab.ok("run", "-d", "--json", path, "one"))["state"] == "running"
    lab.ok("run", "-d", path, "two")
    lab.up("one")
    listed = json.loads(lab.ok("sandboxes", "--json"))
    assert [s["name"] for s in listed] == ["one", "two"] and {s["state"] for s in listed} == {"running"}
    assert re.search(r"^one +running +agent 1\.2\.3 ", lab.ok("sandboxes"), re.M)
    seen = json.loads(lab.ok("one", "inspect"))
    assert seen["config"]["process"]["noNewPrivileges"] and seen["policy"]["identity"]["uid"] == 65532 and seen["lock"]["rootfs"]
    assert json.loads(lab.ok("one", "stop", "--json"))["run"]["exitStatus"] == 7
    assert json.loads(lab.ok("one", "start", "--json"))["state"] == "running"
    pieces = [json.loads(line) for line in lab.ok("two", "logs", "--json").splitlines()]
    assert pieces[0]["stream"] == "stdout" and pieces[0]["text"] == "up\n"
    assert json.loads(lab.ok("two", "rm", "--force", "--json"))["name"] == "two"
    assert lab.call("two", "inspect").returncode == 1


def test_logs_follow_to_the_end(lab):
    lab.ok("run", "-d", lab.blueprint("for n in 1 2 3 4 5; do echo $n; sleep 0.1; done"))
    assert lab.ok("agent", "logs", "--follow") == "1\n2\n3\n4\n5\n"


def test_a_log_has_a_limit(lab):
    done = lab.call("run", lab.blueprint("dd if=/dev/zero bs=65536 count=480 | tr '\\0' a; echo; echo end"), timeout=120)
    assert done.returncode == 0 and done.stdout.endswith("\nend\n") and done.stdout.count("a") == 480 * 65536
    sizes = [os.stat(f"{lab.state}/sandboxes/agent/{name}").st_size for name in ("output.log", "output.log.1")]
    assert all(size <= 16 << 20 for size in sizes), sizes


def test_what_a_dead_keeper_leaves_is_found(lab):
    lab.ok("run", "-d", lab.blueprint(STAYS))
    lab.up()
    [keeper] = keepers(lab)
    os.kill(keeper, signal.SIGKILL)
    lab.wait(lambda: keepers(lab) == [], "the keeper's end")
    assert lab.status()["state"] == "unattended"
    assert lab.ok("agent", "start").startswith("Sandbox agent (")
    lab.up()
    os.kill(keepers(lab)[0], signal.SIGKILL)
    lab.wait(lambda: keepers(lab) == [], "the keeper's end")
    lab.ok("agent", "stop")
    status = lab.status()
    assert status["state"] == "stopped" and status["interrupted"]


def test_after_a_restart_of_the_machine(lab):
    """What is below /run is gone, and no process lives; the registry stays."""
    lab.ok("run", "-d", lab.blueprint("echo up; cat /workspace/n; echo kept > /workspace/n; " + STAYS))
    lab.up()
    [keeper] = keepers(lab)
    pid = lab.status()["run"]["pid"]
    os.kill(keeper, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    lab.wait(lambda: not os.path.exists(f"/proc/{pid}/exe"), "the program's end")
    subprocess.run([NEMOSHELL, "--root", f"{lab.state}/run", "delete", "--force", "agent"], check=True)
    status = lab.status()
    assert status["state"] == "stopped" and status["interrupted"]
    assert "interrupted" in lab.ok("sandboxes")
    lab.ok("agent", "start")
    lab.wait(lambda: "kept" in lab.ok("agent", "logs"), "the workspace of before")


def test_the_runtime_s_root_is_the_sandbox_s(lab):
    done = subprocess.run([NEMOSHELL, "--root", f"{lab.work}/run", *lab.argv("run", "-d", lab.blueprint(STAYS))[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.path.isdir(f"{lab.work}/run/agent") and lab.status()["state"] == "running"
    listed = subprocess.check_output([NEMOSHELL, "--root", f"{lab.work}/run", "list", "-q"], text=True)
    assert listed == "agent\n"


def test_a_paused_sandbox_is_stopped(lab):
    lab.ok("run", "-d", lab.blueprint(STAYS))
    lab.up()
    subprocess.run([NEMOSHELL, "--root", f"{lab.state}/run", "pause", "agent"], check=True)
    assert lab.status()["state"] == "paused"
    lab.ok("agent", "stop")
    assert lab.status()["run"]["exitStatus"] == 7


def test_a_damaged_sandbox_hides_no_other(lab):
    path = lab.blueprint(STAYS)
    lab.ok("run", "-d", path, "bad")
    lab.ok("run", "-d", path, "good")
    lab.ok("bad", "stop")
    for name in ("sandbox.json", "bundle/config.json"):
        pathlib.Path(f"{lab.state}/sandboxes/bad/{name}").write_text("{")
    done = lab.call("sandboxes", "--json")
    assert [s["name"] for s in json.loads(done.stdout)] == ["good"] and "sandboxes/bad/sandbox.json" in done.stderr
    for words in (("status",), ("start",), ("stop",), ("rm",)):
        assert lab.call("bad", *words).returncode == 1
    lab.ok("bad", "rm", "--force")
    assert lab.status("good")["state"] == "running"


def test_the_operator_s_umask_does_not_matter(lab):
    docker_archive(f"{lab.work}/image.tar", [layer(*[(info, data) for info, data in entries_of(tree_layer(lab.rootfs)) if info.name != "."])])
    path = lab.blueprint("id -u; ls / > /dev/null && echo seen")
    text = pathlib.Path(path).read_text().replace(f"directory: {lab.rootfs}", f"docker_archive: {lab.work}/image.tar")
    pathlib.Path(path).write_text(text.replace("[/bin, /etc]", "[/]"))
    done = lab.call("run", path, preexec_fn=lambda: os.umask(0o077) and None)
    assert done.stdout == "65532\nseen\n", done


def test_a_broken_off_creation_is_shown_and_removed(lab):
    os.makedirs(f"{lab.state}/sandboxes/half")
    assert json.loads(lab.ok("sandboxes", "--json"))[0]["state"] == "incomplete"
    assert lab.call("half", "start").returncode == 1
    lab.ok("half", "rm")


def test_two_at_once_have_one_winner(lab):
    path = lab.blueprint(STAYS)
    many = [subprocess.Popen(lab.argv("run", "-d", path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    codes = sorted(p.wait(60) for p in many)
    for p in many:
        p.communicate()
    assert codes == [0, 1, 1, 1] and lab.status()["state"] == "running"
    lab.ok("agent", "stop")
    many = [subprocess.Popen(lab.argv("agent", "start"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    codes = sorted(p.wait(60) for p in many)
    for p in many:
        p.communicate()
    assert codes == [0, 1, 1, 1] and lab.status()["state"] == "running" and len(keepers(lab)) == 1


# -- ways in

def exec_in(lab, *program, flags=(), **kw):
    return subprocess.run([NEMOSHELL, "agent", "exec", "--state-dir", lab.state, *flags, *program], capture_output=True, text=True, timeout=60, **kw)


def test_exec_is_held_like_the_program(lab):
    lab.ok("run", "-d", lab.blueprint(STAYS))
    lab.up()
    done = exec_in(lab, "sh", "-c", "id -u; grep Seccomp: /proc/self/status; touch /etc/x || exit 5")
    assert done.returncode == 5 and done.stdout == "65532\nSeccomp:\t2\n"
    done = exec_in(lab, "pwd", flags=["--cwd", "/tmp", "--env", "A=b"])
    assert done.stdout == "/tmp\n", done
    assert exec_in(lab, "nothing").returncode == 255
    assert exec_in(lab).returncode == 2 and "--tty" in exec_in(lab, "--help").stdout
    lab.ok("agent", "stop")
    done = exec_in(lab, "true")
    assert done.returncode == 255 and "does not run" in done.stderr


def test_connect_opens_a_shell(lab):
    lab.ok("run", "-d", lab.blueprint(STAYS))
    lab.up()
    with OnTerminal(lab.argv("agent", "connect")) as t:
        t.write("echo in-$((40+2)); tty; exit 9\n")
        text = t.until("/dev/pts/")
        assert "in-42" in text and t.wait() == 9
    done = subprocess.run(lab.argv("agent", "connect"), input="echo piped\n", capture_output=True, text=True)
    assert done.stdout == "piped\n" and lab.status()["state"] == "running"


def test_a_terminal_is_attached_detached_and_attached_again(lab):
    path = lab.blueprint("stty -echo; echo up; while read line; do [ $line = size ] && stty size || echo got-$line; done; echo over; exit 4", terminal=True)
    with OnTerminal(lab.argv("run", path), rows=40, columns=100) as t:
        t.until("up")
        t.write("one\n")
        t.until("got-one")
        t.write("size\n")
        t.until("40 100")
        t.resize(50, 120)
        time.sleep(0.5)
        t.write("size\n")
        t.until("50 120")
        t.write("\x10\x11")
        t.until("detached")
        assert t.wait() == 0
    assert lab.status()["state"] == "running"
    with OnTerminal(lab.argv("agent", "connect")) as t:
        t.until("got-one")  # what was there before
        t.write("two\n")
        t.until("got-two")
        with OnTerminal(lab.argv("agent", "connect")) as second:
            second.until("got-two")
            second.write("three\n")
            second.until("got-three")
            t.until("got-three")
        t.write("\x04")
        t.until("over")
        assert t.wait() == 0
    lab.wait(lambda: lab.status()["state"] == "stopped", "the end")
    assert lab.status()["run"]["exitStatus"] == 4 and "got-three" in lab.ok("agent", "logs")


def test_a_terminal_has_a_shell_beside_it(lab):
    lab.ok("run", "-d", lab.blueprint("echo up; while read line; do :; done", terminal=True))
    lab.up()
    done = subprocess.run(lab.argv("agent", "connect", "--shell"), input="id -u\n", capture_output=True, text=True)
    assert done.stdout == "65532\n"


# -- policy on the real kernel

def test_read_only_below_the_workspace(lab):
    path = lab.blueprint("echo x > /workspace/docs/file || echo held; mv /workspace/docs /workspace/other || echo stays; echo y > /workspace/free && echo free",
                         read_only=", /workspace/docs")
    done = lab.call("run", path)
    assert done.returncode == 1 and "read-only" in done.stderr and "/workspaces/agent/docs" in done.stderr
    assert lab.status()["state"] in ("created", "stopped")
    os.makedirs(f"{lab.state}/workspaces/agent/docs")
    os.chown(f"{lab.state}/workspaces/agent/docs", 65532, 65532)
    assert lab.ok("agent", "start", "--attach") == "held\nstays\nfree\n"
    # A link in its place is not followed on the host.
    os.rmdir(f"{lab.state}/workspaces/agent/docs")
    os.symlink("/etc", f"{lab.state}/workspaces/agent/docs")
    assert lab.call("agent", "start").returncode == 1


def test_a_deep_read_only_path_cannot_be_moved_away(lab):
    """Neither by moving it, nor by moving a directory that it is in."""
    path = lab.blueprint("cd /workspace; mv a z || echo a-stays; mv a/b z || echo b-stays; mv a/b/c z || echo c-stays; echo x > a/b/c/f || echo held;"
                         "echo x > a/free; echo x > a/b/free; cat a/free a/b/free; rm -rf a; ls a a/b a/b/c", read_only=", /workspace/a/b/c")
    assert lab.call("run", path).returncode == 1
    for name in ("a", "a/b", "a/b/c"):
        os.mkdir(f"{lab.state}/workspaces/agent/{name}")
        os.chown(f"{lab.state}/workspaces/agent/{name}", 65532, 65532)
    pathlib.Path(f"{lab.state}/workspaces/agent/a/b/c/precious").write_text("x")
    text = lab.call("agent", "start", "--attach").stdout
    assert text.startswith("a-stays\nb-stays\nc-stays\nheld\nx\nx\n") and text.rstrip().endswith("a/b/c:\nprecious"), text


def test_a_deep_read_only_path_in_a_writable_root(lab):
    os.makedirs(f"{lab.rootfs}/var/lib/db")
    for name in ("var", "var/lib", "var/lib/db"):
        os.chown(f"{lab.rootfs}/{name}", 65532, 65532)
    path = lab.blueprint("mv /var/lib /var/other || echo stays; echo x > /var/lib/db/x || echo held; echo x > /var/lib/x && echo free",
                         read_only=", /var/lib/db", read_write=", /var", writable=True)
    assert lab.ok("run", path) == "stays\nheld\nfree\n"


def test_a_container_of_somebody_else_is_not_touched(lab):
    path = lab.blueprint(STAYS)
    out = f"{lab.work}/bundle"
    subprocess.run([NEMOSHELL, "blueprint", "build", path, "-o", out], check=True, capture_output=True)
    runtime = [NEMOSHELL, "--root", f"{lab.state}/run"]
    subprocess.run([*runtime, "run", "-d", "--bundle", out, "agent"], check=True, stdout=subprocess.DEVNULL)
    try:
        done = lab.call("run", "-d", path)
        assert done.returncode == 1 and "not this sandbox's" in done.stderr
        for words in (("start",), ("stop",), ("rm", "--force")):
            assert lab.call("agent", *words).returncode == 1
        assert json.loads(subprocess.check_output([*runtime, "state", "agent"]))["status"] == "running"
    finally:
        subprocess.run([*runtime, "delete", "--force", "agent"], check=True)


def test_mounts_and_a_writable_root(lab):
    shared = pathlib.Path(lab.work, "shared")
    shared.mkdir()
    (shared / "file").write_text("from the host\n")
    (shared / "tool").write_text("#!/bin/sh\necho tool\n")
    (shared / "tool").chmod(0o755)
    mounts = f"""mounts:
    - {{source: {shared}, destination: /shared}}
    - {{source: ./shared, destination: /tools, executable: true}}
    - {{source: {shared}/file, destination: /srv/one/file}}
    - {{tmpfs: {{size: 1MiB}}, destination: /scratch}}"""
    path = lab.blueprint("cat /shared/file /srv/one/file; /tools/tool; /shared/tool || echo no; echo x > /shared/file || echo ro; dd if=/dev/zero of=/scratch/x bs=1M count=2 || echo full; ls /scratch",
                         sandbox=mounts, read_only=", /shared, /tools, /srv", read_write=", /scratch")
    assert lab.ok("run", path) == "from the host\nfrom the host\ntool\nno\nro\nfull\nx\n"
    lab.ok("agent", "rm")
    path = lab.blueprint("cat /var/n; echo x >> /var/n", read_write=", /var", writable=True)
    os.chmod(f"{lab.rootfs}/var", 0o777)
    lab.call("run", path)
    assert lab.ok("agent", "start", "--attach") == "x\n" and not os.path.exists(f"{lab.rootfs}/var/n")


def test_system_call_rules_hold(lab):
    path = lab.blueprint("mkdir /tmp/d; echo $?; ln /bin/sh /tmp/l 2>/dev/null || echo no", policy="system_calls: {deny: [{names: [mkdir, mkdirat], errno: EACCES}]}")
    done = lab.call("run", path)
    assert done.stdout.startswith("1\n") and "Permission denied" in done.stderr


def test_bundles_run_and_are_checked(lab):
    path = lab.blueprint("echo from-bundle; echo x > /workspace/x")
    out = f"{lab.work}/bundle"
    assert subprocess.run([NEMOSHELL, "blueprint", "build", path, "-o", out], capture_output=True).returncode == 0
    assert lab.ok("run", out) == "from-bundle\n" and os.path.exists(f"{lab.state}/workspaces/agent/x")
    assert os.listdir(f"{out}/workspace") == []
    lab.ok("agent", "rm")
    for name in ("config.json", "policy.json", "blueprint.yaml"):
        text = pathlib.Path(out, name).read_text()
        pathlib.Path(out, name).write_text(text.replace("1.2.3", "1.2.4"))
        done = lab.call("run", out)
        assert done.returncode == 1 and name in done.stderr and "nemoshell.lock" in done.stderr
        pathlib.Path(out, name).write_text(text)
    # By the OCI verb too, with a workspace of its own.
    done = subprocess.run([NEMOSHELL, "--root", f"{lab.state}/run", "run", "--bundle", out, "by-hand"], capture_output=True, text=True)
    assert done.stdout == "from-bundle\n" and os.listdir(f"{out}/workspace") == ["x"]


def test_the_same_input_gives_the_same_bytes(lab):
    path = lab.blueprint("true", sandbox="mounts: [{tmpfs: {size: 1MiB}, destination: /new/place}]")
    docker_archive(f"{lab.work}/image.tar", [tree_layer(lab.rootfs)])
    for source in [f"directory: {lab.rootfs}", f"docker_archive: {lab.work}/image.tar"]:
        text = pathlib.Path(path).read_text()
        pathlib.Path(path).write_text(text.replace(f"directory: {lab.rootfs}", source))
        for n in (1, 2):
            subprocess.run([NEMOSHELL, "blueprint", "build", path, "-o", f"{lab.work}/out{n}", "--force"], check=True, capture_output=True)
            time.sleep(1.1)
        done = subprocess.run(["diff", "-r", "--no-dereference", f"{lab.work}/out1", f"{lab.work}/out2"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        times = [subprocess.check_output(["find", ".", "-printf", "%p %m %U %G %T@\n"], cwd=f"{lab.work}/out{n}/rootfs", text=True) for n in (1, 2)]
        assert sorted(times[0].splitlines()) == sorted(times[1].splitlines())


def test_networks_that_cannot_be_held_are_refused(lab):
    for network, text in (("{mode: host}", "--allow-host"), ("{mode: join}", "path")):
        done = lab.call("run", lab.blueprint("true", sandbox=f"network: {network}"))
        assert done.returncode == 1 and text in done.stderr and os.listdir(f"{lab.state}/sandboxes") == []


def test_sandboxes_of_one_image_share_what_none_can_change(lab):
    docker_archive(f"{lab.work}/image.tar", [tree_layer(lab.rootfs)])
    path = lab.blueprint(STAYS)
    text = pathlib.Path(path).read_text().replace(f"directory: {lab.rootfs}", f"docker_archive: {lab.work}/image.tar")
    pathlib.Path(path).write_text(text)
    for name in ("one", "two"):
        lab.ok("run", "-d", path, name)
    [entry] = os.listdir(f"{lab.state}/rootfs")
    assert not os.path.exists(f"{lab.state}/sandboxes/one/bundle/rootfs")
    roots = [json.loads(lab.ok(name, "inspect"))["config"]["root"] for name in ("one", "two")]
    assert roots == [{"path": f"{lab.state}/rootfs/{entry}/rootfs", "readonly": True}] * 2
    # One with other places to mount over, and one that may change its own.
    pathlib.Path(path).write_text(text.replace("workspace: {}", "workspace: {path: /elsewhere}"))
    lab.ok("run", "-d", path, "three")
    pathlib.Path(path).write_text(text.replace("image.tar}", "image.tar, writable: true}"))
    lab.ok("run", "-d", path, "four")
    assert len(os.listdir(f"{lab.state}/rootfs")) == 2 and os.path.exists(f"{lab.state}/sandboxes/four/bundle/rootfs/bin")
    lab.ok("one", "rm", "--force")
    assert len(os.listdir(f"{lab.state}/rootfs")) == 2 and lab.status("two")["state"] == "running"
    lab.ok("two", "rm", "--force")
    lab.ok("four", "rm", "--force")
    assert entry not in os.listdir(f"{lab.state}/rootfs") and len(os.listdir(f"{lab.state}/rootfs")) == 1
    lab.ok("three", "rm", "--force")
    assert os.listdir(f"{lab.state}/rootfs") == []
