"""kill in all its forms, and signals that the foreground runtime passes on."""

import json
import os
import signal
import subprocess

import pytest

from inside import alive, sleeper, wait_file, wait_for


def catcher(runtime, bundle):
    """A container that writes the name of each signal it gets to /got; returns its id."""
    names = "HUP INT QUIT USR1 USR2 TERM WINCH CONT"
    traps = " ".join(f"trap 'echo {n} >> /got' {n};" for n in names.split())
    id = runtime.start_detached(bundle.sh(f"{traps} echo up > /up; while :; do sleep 0.02; done"))
    wait_file(f"{bundle.rootfs}/up")
    return id


@pytest.mark.parametrize("name, caught", [("TERM", "TERM"), ("SIGUSR1", "USR1"), ("usr2", "USR2"), ("sigint", "INT"),
                                          ("1", "HUP"), ("3", "QUIT"), ("28", "WINCH")])
def test_kill_by_name_and_number(runtime, bundle, name, caught):
    id = catcher(runtime, bundle)
    runtime.call("kill", id, name).ok()
    assert wait_file(f"{bundle.rootfs}/got").strip() == caught


def test_kill_defaults_to_term(runtime, bundle):
    id = catcher(runtime, bundle)
    runtime.call("kill", id).ok()
    assert wait_file(f"{bundle.rootfs}/got").strip() == "TERM"


@pytest.mark.parametrize("signal", ["NOSUCH", "0x9", "-9", "65", "999999999999", "SIG", "9.0", " TERM"])
def test_unknown_signals_are_refused(runtime, bundle, signal):
    id = sleeper(runtime, bundle)
    runtime.call("kill", "--", id, signal).failed("signal", code=1)
    assert runtime.state(id)["status"] == "running"


def test_signal_zero_asks_only(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("kill", id, "0").ok()
    assert runtime.state(id)["status"] == "running"


@pytest.mark.parametrize("name", ["SIGRTMIN+3", "RTMIN", "37", "SIGRTMAX-1"])
def test_real_time_signals(runtime, bundle, name):
    """What systemd in a container stops with."""
    bundle.without_namespace("pid")  # PID 1 of a namespace would not die of it
    id = sleeper(runtime, bundle)
    runtime.call("kill", id, name).ok()
    runtime.wait_status(id, "stopped")


def test_kill_of_a_paused_container(runtime, bundle):
    """KILL reaches a frozen container: it does not stay forever."""
    id = sleeper(runtime, bundle)
    runtime.call("pause", id).ok()
    runtime.call("kill", id, "KILL").ok()
    wait_for(lambda: runtime.state(id)["status"] in ("stopped", "paused"), "an answer")
    runtime.call("delete", "--force", id).ok()


@pytest.mark.parametrize("pid_namespace", [True, False])
def test_kill_all(runtime, bundle, pid_namespace):
    if not pid_namespace:
        bundle.without_namespace("pid")
    id = runtime.start_detached(bundle.sh("sleep 333 & echo $! > /child; sleep 333 & wait"))
    wait_file(f"{bundle.rootfs}/child")
    pids = wait_for(lambda: (lambda p: p if len(p) == 3 else None)(_pids(runtime, id)), "three processes")
    runtime.call("kill", "--all", id, "KILL").ok()
    for pid in pids:
        wait_for(lambda: not alive(pid), f"the end of {pid}")
    runtime.wait_status(id, "stopped")


def _pids(runtime, id):
    return json.loads(runtime.call("ps", "--format", "json", id).ok().out)


def test_kill_all_of_what_a_dead_first_process_left(runtime, bundle):
    """In the host's PID namespace children outlive the first process; engines then call kill --all."""
    bundle.without_namespace("pid")
    id = runtime.start_detached(bundle.sh("sleep 334 & echo $! > /child; exit 0"))
    child = int(wait_file(f"{bundle.rootfs}/child"))
    runtime.wait_status(id, "stopped")
    assert alive(child)
    runtime.call("kill", "-a", id, "KILL").ok()
    wait_for(lambda: not alive(child), "the end of the child")
    runtime.call("delete", id).ok()


def test_delete_of_a_stopped_container_with_children_left(runtime, bundle):
    bundle.without_namespace("pid")
    id = runtime.start_detached(bundle.sh("sleep 335 & echo $! > /child; exit 0"))
    child = int(wait_file(f"{bundle.rootfs}/child"))
    runtime.wait_status(id, "stopped")
    runtime.call("delete", "--force", id).ok()
    wait_for(lambda: not alive(child), "the end of the child")


# -- passed on by the foreground runtime

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_run_passes_signals_on(runtime, bundle, number):
    name = signal.Signals(number).name[3:]
    bundle.sh(f"trap 'echo {name}; exit 40' {name}; echo up > /up; while :; do sleep 0.02; done")
    bundle.save()
    p = runtime.popen("run", "--bundle", bundle.path, runtime.new_id(), stdout=subprocess.PIPE, text=True)
    wait_file(f"{bundle.rootfs}/up")
    p.send_signal(number)
    assert p.communicate(timeout=10)[0] == f"{name}\n" and p.returncode == 40


def test_exec_passes_signals_on(runtime, bundle):
    id = sleeper(runtime, bundle)
    p = runtime.popen("exec", id, "sh", "-c", "trap 'exit 41' TERM; echo up > /up; while :; do sleep 0.02; done")
    wait_file(f"{bundle.rootfs}/up")
    p.send_signal(signal.SIGTERM)
    assert p.wait(10) == 41


def test_killed_exec_in_the_foreground_gives_128_and_the_signal(runtime, bundle):
    id = sleeper(runtime, bundle)
    p = runtime.popen("exec", id, "sh", "-c", "echo $$ > /up; exec sleep 50")
    wait_file(f"{bundle.rootfs}/up")
    p.send_signal(signal.SIGTERM)
    assert p.wait(10) == 128 + signal.SIGTERM


def test_signals_are_neither_blocked_nor_ignored(runtime, bundle):
    bundle.config["process"]["args"] = ["/bin/probe", "signals"]
    assert runtime.run(bundle).ok().out == "blocked=0 ignored=0\n"


def test_exec_signals_are_neither_blocked_nor_ignored(runtime, bundle):
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "probe", "signals").ok().out == "blocked=0 ignored=0\n"


def test_detached_processes_survive_the_callers_session(runtime, bundle):
    bundle.config["process"]["args"] = ["/bin/sleep", "100"]
    bundle.save()
    id = runtime.new_id()
    p = runtime.popen("run", "-d", "--bundle", bundle.path, id, start_new_session=True, stdin=subprocess.DEVNULL,
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert p.wait(10) == 0
    try:
        os.killpg(p.pid, signal.SIGHUP)
    except ProcessLookupError:
        pass
    assert runtime.state(id)["status"] == "running"


def test_kill_of_a_shared_pid_namespace(runtime, bundle):
    """Nothing else would end the processes that the first one leaves behind."""
    bundle.without_namespace("pid")
    id = sleeper(runtime, bundle)
    runtime.call("exec", "-d", id, "/bin/sleep", "100").ok()
    os.kill(runtime.state(id)["pid"], signal.SIGKILL)
    runtime.wait_status(id, "stopped")
    runtime.call("kill", id, "KILL").ok()
    wait_for(lambda: json.loads(runtime.call("ps", "--format", "json", id).ok().out) == [], "all processes gone")


def test_created_container_ends_when_asked(runtime, bundle):
    id = runtime.create(bundle).ok().id
    runtime.call("kill", id, "TERM").ok()
    runtime.wait_status(id, "stopped")
