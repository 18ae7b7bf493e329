"""The moments at which faults are brought in: for each verb, what stands before it and the command itself."""

import os
import time

from harness import minimal_config

TRUE = {"path": "/bin/true"}


def rich_config(*args):
    """A configuration that makes a runtime take every kind of step: limits, hooks of all kinds, a bind mount, seccomp."""
    config = minimal_config(*args)
    config["hooks"] = {kind: [TRUE] for kind in ("prestart", "createRuntime", "createContainer", "startContainer",
                                                 "poststart", "poststop")}
    config["linux"]["resources"] = {
        "devices": [{"allow": False, "access": "rwm"}],
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 100},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000},
    }
    config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}],
    }
    config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "0"}
    config["mounts"].append({"destination": "/mnt", "type": "bind", "source": "/usr/share/misc",
                             "options": ["rbind", "ro"]})
    if not os.path.isdir("/usr/share/misc"):
        config["mounts"][-1]["source"] = "/etc"
    return config


class Scenes:
    """Prepares containers named `id` for one verb after the other."""

    def __init__(self, arena):
        self.arena = arena
        self.runtime = arena.runtime
        self.id = arena.runtime.new_id()
        self.bundle = arena.bundle(config=rich_config("/bin/sleep", "1000"))
        self.bundle.save()
        self.plain = arena.bundle("/bin/true")
        self.plain.save()
        self.pid_file = f"{arena.work}/pid"
        self.pid = None

    def _create(self):
        self.runtime.call("create", "--bundle", self.bundle.path, "--pid-file", self.pid_file, self.id).ok()
        with open(self.pid_file) as f:
            self.pid = int(f.read())

    def _running(self):
        self._create()
        self.runtime.call("start", self.id).ok()

    def _stopped(self):
        self._running()
        os.kill(self.pid, 9)
        end = time.monotonic() + 5
        while self.pid in self.arena.strays():  # reaps it, too
            assert time.monotonic() < end, "the container's process outlives SIGKILL"
            time.sleep(0.005)

    def command(self, verb):
        """Brings the container to the state that `verb` needs and returns the command."""
        id = self.id
        if verb == "create":
            return ["create", "--bundle", self.bundle.path, "--pid-file", self.pid_file, id]
        if verb == "run":
            return ["run", "--detach", "--bundle", self.bundle.path, "--pid-file", self.pid_file, id]
        if verb == "start":
            self._create()
            return ["start", id]
        if verb == "delete":
            self._stopped()
            return ["delete", id]
        self._running()
        if verb == "resume":
            self.runtime.call("pause", id).ok()
        return {
            "delete-force": ["delete", "--force", id],
            "exec": ["exec", id, "/bin/true"],
            "exec-detached": ["exec", "--detach", "--pid-file", f"{self.arena.work}/exec-pid", id, "/bin/sleep", "1000"],
            "kill": ["kill", id, "KILL"],
            "pause": ["pause", id],
            "resume": ["resume", id],
            "update": ["update", "--memory", "80M", "--pids-limit", "50", id],
        }[verb]
