"""Containers outlive their daemon (live-restore)."""

import signal

import pytest

from .enclosure import wait_for
from .images import BUSYBOX


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_live_restore(docker, number):
    script = "trap 'exit 6' TERM; i=0; while :; do i=$((i+1)); echo tick-$i; sleep 0.1; done"
    c = docker.detached("--name", "survivor", BUSYBOX, "sh", "-c", script)
    paused = docker.detached(BUSYBOX, "sleep", "100")
    docker.wait_for_log(c, "tick-2\n")
    pid = docker.pid(c)
    docker("pause", paused).ok()
    docker.stop(number)
    assert str(pid) in docker.enclosure.processes(), "the container went with its daemon"
    docker.start()
    assert docker.inspect(c, "State.Running") is True
    assert docker.inspect(paused, "State.Status") == "paused"
    assert docker.pid(c) == pid
    seen = docker("logs", c).ok().out.count("tick")
    wait_for(lambda: docker("logs", c).ok().out.count("tick") > seen, "new lines in the log")
    assert docker("exec", c, "echo", "here").ok().out == "here\n"
    docker("unpause", paused).ok()
    docker("stop", c).ok()
    assert docker.inspect(c, "State.ExitCode") == 6


def test_a_container_that_ended_while_the_daemon_was_away(docker):
    c = docker.detached(BUSYBOX, "sleep", "987")
    pid = docker.pid(c)
    docker.stop()
    docker.enclosure.call("kill", "-9", pid).ok()
    docker.start()
    docker.wait_for(c, "State.Status", "exited")
    assert docker.inspect(c, "State.ExitCode") == 137
    docker("start", c).ok()
    assert docker.inspect(c, "State.Running") is True


def test_the_runtime_s_error_is_what_docker_tells(docker):
    r = docker.run("--volume", "/etc/passwd:/etc", BUSYBOX, "true")
    r.failed("OCI runtime create failed", "not a directory", "are you trying to mount a directory", code=125)
