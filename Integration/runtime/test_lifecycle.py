"""create, start, run, kill, delete, state: the life of one container (runtime.md, "Lifecycle" and "Operations")."""

import datetime
import json
import os
import re
import signal
import time

import pytest

from inside import alive, look, sleeper, wait_file, wait_for, write


def test_run_gives_output_and_success(runtime, bundle):
    r = runtime.run(bundle.sh("echo out; echo err >&2")).ok()
    assert (r.out, r.err) == ("out\n", "err\n")


def test_run_passes_stdin(runtime, bundle):
    assert runtime.run(bundle.sh("tr a-z A-Z"), stdin="hello\n").ok().out == "HELLO\n"


def test_run_leaves_no_container(runtime, bundle):
    id = runtime.new_id()
    runtime.run(bundle, id=id).ok()
    runtime.call("state", id).failed("does not exist", code=1)


def test_run_keep_leaves_a_stopped_container(runtime, bundle):
    id = runtime.new_id()
    runtime.run(bundle, "--keep", id=id).ok()
    assert runtime.state(id)["status"] == "stopped"
    runtime.call("delete", id).ok()
    assert runtime.state(id) is None


def test_run_detached(runtime, bundle):
    bundle.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.new_id()
    runtime.run(bundle, "--detach", id=id).ok()
    assert runtime.state(id)["status"] == "running"


def test_run_detached_returns_success_whatever_the_process_does(runtime, bundle):
    id = runtime.new_id()
    runtime.run(bundle.sh("exit 3"), "-d", id=id).ok()
    runtime.wait_status(id, "stopped")


def test_create_does_not_run_the_process(runtime, bundle):
    r = runtime.create(bundle.sh("echo started > /marker; sleep 100")).ok()
    state = runtime.state(r.id)
    assert state["status"] == "created" and alive(state["pid"])
    time.sleep(0.1)
    assert not os.path.exists(f"{bundle.rootfs}/marker")
    runtime.call("start", r.id).ok()
    wait_file(f"{bundle.rootfs}/marker")
    assert runtime.state(r.id)["status"] == "running"
    assert runtime.state(r.id)["pid"] == state["pid"]


def test_whole_life(runtime, bundle):
    id = sleeper(runtime, bundle)
    pid = runtime.state(id)["pid"]
    runtime.call("kill", id, "KILL").ok()
    stopped = runtime.wait_status(id, "stopped")
    assert stopped.get("pid", 0) == 0 and not alive(pid)
    runtime.call("delete", id).ok()
    runtime.call("state", id).failed("does not exist")


def test_config_is_read_at_create_only(runtime, bundle):
    """"Any updates to config.json after this step MUST NOT affect the container." """
    r = runtime.create(bundle.sh("echo first > /marker")).ok()
    bundle.sh("echo second > /marker")
    bundle.save()
    runtime.call("start", r.id).ok()
    assert wait_file(f"{bundle.rootfs}/marker") == "first\n"


def test_start_works_without_the_bundle(runtime, bundle):
    r = runtime.create(bundle.sh("echo started > /marker")).ok()
    os.unlink(f"{bundle.path}/config.json")
    runtime.call("start", r.id).ok()
    wait_file(f"{bundle.rootfs}/marker")


@pytest.mark.parametrize("verb", ["create", "run"])
def test_an_id_is_given_once(runtime, bundle, verb):
    id = sleeper(runtime, bundle)
    before = runtime.state(id)
    r = runtime.call(verb, "--bundle", bundle.path, id).failed("exist", id)
    assert r.code == 1
    assert runtime.state(id) == before


def test_an_id_is_free_again_after_delete(runtime, bundle):
    id = runtime.new_id()
    for _ in range(3):
        runtime.create(bundle, id=id).ok()
        runtime.call("delete", "--force", id).ok()


@pytest.mark.parametrize("id", ["", ".", "..", "a/b", "../x", "/x", "a b", "a\nb", "a*", "ü",
                                pytest.param("x" * 1025, id="too-long")])
@pytest.mark.parametrize("verb", ["create", "run", "start", "state", "kill", "delete", "exec", "pause", "resume",
                                  "ps", "update", "events"])
def test_bad_ids_are_refused_by_every_verb(runtime, bundle, verb, id):
    bundle.save()
    extra = {"create": ["--bundle", bundle.path], "run": ["--bundle", bundle.path], "events": ["--stats"]}
    r = runtime.call(verb, *extra.get(verb, []), id, *(["/bin/true"] if verb == "exec" else []))
    r.failed("container id" if id else "", code=255 if verb == "exec" else 1)
    assert not os.path.exists(runtime.root) or os.listdir(runtime.root) == []


@pytest.mark.parametrize("id", ["a", "a.b", "a_b", "a+b", "a-b", "A9", "0", "..a"])
def test_good_ids(runtime, bundle, id):
    bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}"
    runtime.run(bundle, id=id).ok()


def test_longest_id_that_is_a_file_name(runtime, bundle):
    bundle.config["linux"]["cgroupsPath"] = f"/{runtime.mark}"
    runtime.run(bundle, id="x" * 200).ok()


def test_bundle_defaults_to_the_current_directory(runtime, bundle):
    bundle.sh("echo here").save()
    assert runtime.call("run", runtime.new_id(), cwd=bundle.path).ok().out == "here\n"


def test_bundle_by_relative_path_and_by_symlink(runtime, bundle, work):
    bundle.sh("echo here").save()
    assert runtime.call("run", "-b", "bundle", runtime.new_id(), cwd=work).ok().out == "here\n"
    os.symlink("bundle", f"{work}/link")
    assert runtime.call("run", "--bundle=link", runtime.new_id(), cwd=work).ok().out == "here\n"


def test_another_config_file(runtime, bundle, work):
    bundle.sh("echo other").save()
    os.rename(f"{bundle.path}/config.json", f"{work}/other.json")
    r = runtime.call("run", "--bundle", bundle.path, "--config", f"{work}/other.json", runtime.new_id()).ok()
    assert r.out == "other\n"


@pytest.mark.parametrize("verb", ["create", "run"])
def test_pid_file(runtime, bundle, work, verb):
    bundle.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.new_id()
    flags = ["--detach"] if verb == "run" else []
    getattr(runtime, verb)(bundle, *flags, "--pid-file", f"{work}/pid", id=id).ok()
    with open(f"{work}/pid") as f:
        text = f.read()
    assert text == str(runtime.state(id)["pid"]), "the number and nothing else"


def test_pid_file_is_relative_to_the_caller(runtime, bundle, work):
    os.mkdir(f"{work}/elsewhere")
    r = runtime.create(bundle, "--pid-file", "pid", cwd=f"{work}/elsewhere").ok()
    with open(f"{work}/elsewhere/pid") as f:
        assert int(f.read()) == runtime.state(r.id)["pid"]


def test_pid_file_that_cannot_be_written_fails_the_create(runtime, bundle, work):
    r = runtime.create(bundle, "--pid-file", f"{work}/no/such/dir/pid").failed("no such file or directory")
    assert runtime.state(r.id) is None


def test_pid_is_the_one_of_the_hosts_view(runtime, bundle):
    id = sleeper(runtime, bundle)
    with open(f"/proc/{runtime.state(id)['pid']}/cmdline") as f:
        assert f.read().split("\0")[:2] == ["/bin/sleep", "100"]


# -- start

def test_start_twice(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("start", id).failed(code=1)
    assert runtime.state(id)["status"] == "running"


def test_start_of_a_stopped_container(runtime, bundle):
    id = runtime.start_detached(bundle)
    runtime.wait_status(id, "stopped")
    runtime.call("start", id).failed(code=1)
    assert runtime.state(id)["status"] == "stopped"


@pytest.mark.parametrize("verb", ["start", "state", "delete", "pause", "resume", "ps"])
def test_verbs_on_a_container_that_does_not_exist(runtime, verb):
    runtime.call(verb, "nosuch").failed("container does not exist", code=1)


def test_kill_of_a_container_that_does_not_exist(runtime):
    runtime.call("kill", "nosuch", "KILL").failed("container does not exist", code=1)


# -- kill

def test_kill_of_a_stopped_container(runtime, bundle):
    id = runtime.start_detached(bundle)
    runtime.wait_status(id, "stopped")
    r = runtime.call("kill", id, "KILL").failed(code=1)
    assert "container not running" in r.err or "process already finished" in r.err
    assert runtime.state(id)["status"] == "stopped"


def test_kill_of_a_created_container(runtime, bundle):
    r = runtime.create(bundle).ok()
    runtime.call("kill", r.id, "KILL").ok()
    runtime.wait_status(r.id, "stopped")
    runtime.call("delete", r.id).ok()


# -- delete

def test_delete_of_a_running_container_is_refused(runtime, bundle):
    id = sleeper(runtime, bundle)
    before = runtime.state(id)
    runtime.call("delete", id).failed("not stopped", id, code=1)
    assert runtime.state(id) == before and alive(before["pid"])


def test_delete_of_a_paused_container_is_refused_and_forced(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("pause", id).ok()
    runtime.call("delete", id).failed(code=1)
    assert runtime.state(id)["status"] == "paused"
    runtime.call("delete", "--force", id).ok()
    assert runtime.state(id) is None


def test_delete_of_a_created_container(runtime, bundle):
    """Engines delete a container whose start they gave up, without --force."""
    r = runtime.create(bundle).ok()
    pid = runtime.state(r.id)["pid"]
    runtime.call("delete", r.id).ok()
    assert runtime.state(r.id) is None and not alive(pid)


def test_delete_force(runtime, bundle):
    id = sleeper(runtime, bundle)
    pid = runtime.state(id)["pid"]
    runtime.call("delete", "-f", id).ok()
    assert runtime.state(id) is None and not alive(pid)


def test_delete_force_of_nothing_succeeds(runtime):
    runtime.call("delete", "--force", "nosuch").ok()


def test_delete_force_ends_every_process_without_a_pid_namespace(runtime, bundle):
    bundle.without_namespace("pid")
    id = runtime.start_detached(bundle.sh("sleep 1234 & sleep 1234 & echo $! > /last; wait"))
    last = int(wait_file(f"{bundle.rootfs}/last"))
    assert alive(last)
    runtime.call("delete", "--force", id).ok()
    wait_for(lambda: not alive(last), "the end of the last process")


def test_delete_by_pattern(runtime, bundle, work):
    ids = [sleeper(runtime, bundle, id=runtime.new_id(prefix)) for prefix in ("one-", "two-", "other-")]
    runtime.call("delete", "--regex", "--force", "^(one|two)-.*").ok()
    assert [runtime.state(id) is None for id in ids] == [True, True, False]


def test_delete_after_the_rootfs_is_gone(runtime, bundle):
    id = sleeper(runtime, bundle)
    os.rename(bundle.rootfs, bundle.rootfs + ".moved")
    runtime.call("delete", "--force", id).ok()


def test_delete_keeps_what_it_did_not_make(runtime, bundle):
    id = runtime.start_detached(bundle)
    runtime.wait_status(id, "stopped")
    runtime.call("delete", id).ok()
    assert os.path.exists(f"{bundle.rootfs}/bin/busybox") and os.path.exists(f"{bundle.path}/config.json")


# -- state

def test_state_has_what_the_spec_asks(runtime, bundle):
    bundle.config["annotations"] = {"org.example.a": "1", "org.example.b": "text"}
    id = sleeper(runtime, bundle)
    r = runtime.call("state", id).ok()
    state = json.loads(r.out)
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.+-]+)?", state["ociVersion"])
    assert state["id"] == id and state["status"] == "running" and state["pid"] > 1
    assert state["bundle"] == os.path.realpath(bundle.path)
    assert state["rootfs"] == os.path.realpath(bundle.rootfs)
    assert state["annotations"].items() >= bundle.config["annotations"].items()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", state["created"])
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(state["created"][:26] + "+00:00")
    assert datetime.timedelta() <= age < datetime.timedelta(minutes=1)
    assert state["owner"] in ("", "root")
    assert list(state) == ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"]


def test_state_when_the_process_was_killed_from_outside(runtime, bundle):
    id = sleeper(runtime, bundle)
    os.kill(runtime.state(id)["pid"], signal.SIGKILL)
    runtime.wait_status(id, "stopped")


def test_state_of_a_paused_container(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("pause", id).ok()
    assert runtime.state(id)["status"] == "paused"
    runtime.call("resume", id).ok()
    assert runtime.state(id)["status"] == "running"


def test_a_root_option_is_its_own_world(runtime, bundle, work):
    id = sleeper(runtime, bundle)
    root, runtime.root = runtime.root, f"{work}/otherroot"
    assert runtime.state(id) is None
    runtime.root = root
    assert runtime.state(id) is not None


# -- descriptors and sockets that are handed on

def _descriptors(text):
    return dict(line.split(" ", 1) for line in text.strip().splitlines())


def test_only_the_standard_descriptors_are_open(runtime, bundle):
    bundle.config["process"]["args"] = ["/bin/probe", "fds"]
    r, w = os.pipe()
    os.set_inheritable(r, True)
    try:
        out = runtime.run(bundle, pass_fds=(r, w)).ok().out
    finally:
        os.close(r)
        os.close(w)
    assert sorted(_descriptors(out)) == ["0", "1", "2"]


@pytest.mark.parametrize("verb", ["run", "create"])
def test_preserve_fds(runtime, bundle, work, verb):
    bundle.sh("cat <&3 > /got; probe fds > /fds")
    write(f"{work}/hello", "hello")
    with open(f"{work}/hello") as f:
        saved = os.dup(3) if _is_open(3) else None
        os.dup2(f.fileno(), 3)
        try:
            if verb == "run":
                runtime.run(bundle, "--preserve-fds", "1", pass_fds=(3,)).ok()
            else:
                r = runtime.create(bundle, "--preserve-fds=1", pass_fds=(3,)).ok()
                runtime.call("start", r.id).ok()
                runtime.wait_status(r.id, "stopped")
        finally:
            if saved is not None:
                os.dup2(saved, 3)
                os.close(saved)
            else:
                os.close(3)
    assert open(f"{bundle.rootfs}/got").read() == "hello"
    assert sorted(_descriptors(open(f"{bundle.rootfs}/fds").read())) == ["0", "1", "2", "3"]


def _is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False


def test_preserve_fds_that_are_not_open(runtime, bundle):
    runtime.run(bundle, "--preserve-fds", "700").failed(code=1)


def test_listen_fds(runtime, bundle, work):
    """LISTEN_FDS as systemd's sd_listen_fds gives it: descriptors from 3, and LISTEN_PID is the container's."""
    write(f"{work}/hello", "hello")
    bundle.sh("cat <&3; echo; echo $LISTEN_FDS $LISTEN_PID $$")
    bundle.save()
    argv = " ".join(runtime.argv("run", "--bundle", bundle.path, runtime.new_id()))
    import subprocess
    out = subprocess.run(["/bin/sh", "-c", f"LISTEN_FDS=1 LISTEN_PID=$$ exec {argv} 3<{work}/hello"], check=True,
                         capture_output=True, text=True).stdout
    assert out == "hello\n1 1 1\n"


def test_listen_fds_without_the_descriptors(runtime, bundle):
    """The variable is left over from an activation of the caller's."""
    bundle.sh("echo $LISTEN_FDS; ls /proc/self/fd")
    out = runtime.run(bundle, env={**os.environ, "LISTEN_FDS": "2"}).ok().out
    assert out.split()[:4] == ["2", "0", "1", "2"] and len(out.split()) == 5, "and ls has one of its own"


def test_notify_socket(runtime, bundle, work):
    """What the process says to $NOTIFY_SOCKET reaches the caller's service manager."""
    import socket
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(f"{work}/notify")
    manager.settimeout(10)
    bundle.sh('test -n "$NOTIFY_SOCKET" && probe send "$NOTIFY_SOCKET" READY=1 >&2; sleep 0.3')
    bundle.save()
    p = runtime.popen("run", "--bundle", bundle.path, runtime.new_id(),
                      env={**os.environ, "NOTIFY_SOCKET": f"{work}/notify"})
    with manager:
        got = ""
        while "READY=1" not in got:
            got += manager.recv(4096).decode() + "\n"
    assert p.wait(10) == 0


def test_without_notify_socket_the_process_has_none(runtime, bundle):
    assert look(runtime, bundle, 'echo "[$NOTIFY_SOCKET$LISTEN_FDS]"') == "[]"


# -- keyring, pivot, subreaper

def test_session_keyring_is_the_containers_own(runtime, bundle):
    bundle.config["process"]["args"] = ["/bin/probe", "keyring"]
    id = runtime.new_id()
    out = runtime.run(bundle, id=id).ok().out
    assert out.rstrip().endswith(f"_ses.{id}")


def test_no_new_keyring(runtime, bundle):
    bundle.config["process"]["args"] = ["/bin/probe", "keyring"]
    id = runtime.new_id()
    r = runtime.run(bundle, "--no-new-keyring", id=id)
    assert f"_ses.{id}" not in r.out


def test_no_pivot(runtime, bundle):
    assert look(runtime, bundle, "ls -d /bin/probe /proc/self /dev/null; ls /host 2>/dev/null; true",
                "--no-pivot") == "/bin/probe\n/dev/null\n/proc/self"


def test_foreground_run_reaps_orphans_of_a_shared_pid_namespace(runtime, bundle):
    """Without a PID namespace the orphans of the container come to `run`, which must reap them (--no-subreaper: not)."""
    bundle.without_namespace("pid")
    bundle.sh("(sleep 0.1 & echo $! > /orphan) ; sleep 0.6; cut -d' ' -f3 /proc/$(cat /orphan)/stat 2>/dev/null; true")
    assert runtime.run(bundle).ok().out == ""


def test_pid_one_reaps_nothing_for_the_process(runtime, bundle):
    """The process is PID 1 itself: no helper stands between it and the kernel."""
    assert look(runtime, bundle, "echo $$; ls /proc | grep -c '^[0-9]'") .split()[0] == "1"


def test_many_containers_at_once(runtime, bundle):
    ids = [sleeper(runtime, bundle) for _ in range(8)]
    assert {s["id"] for s in json.loads(runtime.call("list", "--format", "json").ok().out)} == set(ids)
