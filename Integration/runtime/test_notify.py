"""NOTIFY_SOCKET: a service manager that starts a container hears from the program that it is ready (sd_notify(3))."""

import os
import socket
import threading
import time

import pytest

from inside import look, wait_file, wait_for


class Manager:
    """A service manager's socket: keeps what it is told, and answers barriers by closing their descriptor."""

    def __init__(self, address):
        self.address = address
        self.said = []
        self.barriers = 0
        self.kept = []
        self.keeps = False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address if address[0] != "@" else "\0" + address[1:])
        self.socket.settimeout(0.05)
        self.ended = False
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        while not self.ended:
            try:
                message, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 4)
            except TimeoutError:
                continue
            if message == b"BARRIER=1":
                self.barriers += 1
            self.said += message.decode().split("\n")
            self.kept += descriptors
            if not self.keeps:
                self.let_go()

    def let_go(self):
        while self.kept:
            os.close(self.kept.pop())

    def close(self):
        self.ended = True
        self.thread.join()
        self.let_go()
        self.socket.close()

    @property
    def environment(self):
        return {**os.environ, "NOTIFY_SOCKET": self.address}


@pytest.fixture(params=["path", "abstract"])
def manager(work, request):
    m = Manager(f"{work}/notify" if request.param == "path" else "@" + os.path.basename(work))
    yield m
    m.close()


SAY = 'probe send "$NOTIFY_SOCKET" '


def test_run_in_the_foreground(runtime, bundle, manager):
    """The manager watches `run`, which stays. Nothing but readiness is passed on, and that once."""
    bundle.sh(f"{SAY}STATUS=x; {SAY}MAINPID=1; {SAY}READY=1; {SAY}READY=1; {SAY}STOPPING=1; sleep 0.2")
    bundle.save()
    p = runtime.popen("run", "--bundle", bundle.path, runtime.new_id(), env=manager.environment)
    assert p.wait(10) == 0
    wait_for(lambda: manager.said, "the message")
    time.sleep(0.1)
    assert manager.said == ["READY=1", f"MAINPID={p.pid}"]


def test_more_messages_than_a_socket_holds(runtime, bundle, manager):
    """A talkative program is not held up."""
    bundle.sh(f"{SAY}READY=1; for n in $(seq 200); do {SAY}STATUS=$n || exit 9; done")
    runtime.run(bundle, env=manager.environment).ok()
    wait_for(lambda: "READY=1" in manager.said, "the message")


@pytest.mark.parametrize("verbs", ["run --detach", "create and start"])
def test_a_container_on_its_own(runtime, bundle, manager, verbs):
    """The verb ends when the program is ready, and when the manager has read that; other verbs work meanwhile."""
    bundle.sh(f"while ! test -e /go; do sleep 0.02; done; {SAY}'READY=1\nSTATUS=up'; sleep 100")
    bundle.save()
    id = runtime.new_id()
    if verbs == "run --detach":
        p = runtime.popen("run", "--detach", "--bundle", bundle.path, id, env=manager.environment)
    else:
        runtime.create(bundle, id=id, env=manager.environment).ok()
        assert runtime.state(id)["status"] == "created"
        p = runtime.popen("start", id, env=manager.environment)
    runtime.wait_status(id, "running")
    time.sleep(0.2)
    assert p.poll() is None and not manager.said
    runtime.exec(id, "touch", "/go", timeout=5).ok()
    assert p.wait(10) == 0
    assert manager.said == ["READY=1", f"MAINPID={runtime.state(id)['pid']}", "BARRIER=1"]
    assert manager.barriers == 1
    runtime.call("delete", "--force", id).ok()
    assert runtime.state(id) is None


@pytest.mark.parametrize("verbs", ["run --detach", "create and start"])
def test_a_program_that_ends_before_it_is_ready(runtime, bundle, manager, verbs):
    id = runtime.new_id()
    bundle.sh("sleep 0.2")
    if verbs == "run --detach":
        runtime.run(bundle, "--detach", id=id, timeout=10, env=manager.environment).ok()
    else:
        runtime.create(bundle, id=id, env=manager.environment).ok()
        runtime.call("start", id, timeout=10, env=manager.environment).ok()
    assert not manager.said
    runtime.call("delete", "--force", id).ok()


def test_every_user_can_say_it(runtime, bundle, manager):
    bundle.config["process"]["user"] = {"uid": 1234, "gid": 1234}
    bundle.config["process"]["capabilities"] = {}
    bundle.config["root"]["readonly"] = True
    bundle.sh(f"{SAY}READY=1; sleep 0.2")
    runtime.run(bundle, env=manager.environment).ok()
    wait_for(lambda: "READY=1" in manager.said, "the message")


def test_the_place_is_read_only(runtime, bundle, manager):
    out = look(runtime, bundle, "touch /run/notify/x 2>/dev/null || echo refused; echo $NOTIFY_SOCKET",
               env=manager.environment)
    assert out.split() == ["refused", "/run/notify/notify.sock"]


def test_start_without_a_manager(runtime, bundle, manager):
    """The manager of `create` is gone: nobody listens, and the container runs."""
    id = runtime.new_id()
    bundle.sh(f"{SAY}READY=1 > /said 2>&1; echo $? >> /said; sleep 100")
    runtime.create(bundle, id=id, env=manager.environment).ok()
    runtime.call("start", id, timeout=5).ok()
    wait_file(f"{bundle.rootfs}/said")
    assert not manager.said


def test_a_manager_that_is_gone(runtime, bundle, work):
    """What cannot be told is a warning: the container runs."""
    environment = {**os.environ, "NOTIFY_SOCKET": f"{work}/nobody"}
    bundle.sh(f"{SAY}READY=1; sleep 0.3; echo ran")
    r = runtime.run(bundle, env=environment).ok()
    assert r.out.endswith("ran\n") and f"{work}/nobody" in r.err
    id = runtime.new_id()
    r = runtime.run(bundle, "--detach", id=id, env=environment).ok()
    assert f"{work}/nobody" in r.err


def test_a_manager_that_takes_its_time(runtime, bundle, manager):
    """It keeps the barrier's descriptor for a while; the verb waits for it, but the container runs already."""
    manager.keeps = True
    bundle.sh(f"{SAY}READY=1; sleep 100")
    bundle.save()
    id = runtime.new_id()
    p = runtime.popen("run", "--detach", "--bundle", bundle.path, id, env=manager.environment)
    wait_for(lambda: manager.kept, "the barrier")
    time.sleep(0.2)
    assert p.poll() is None and runtime.state(id)["status"] == "running"
    manager.let_go()
    assert p.wait(10) == 0
