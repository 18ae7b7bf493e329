"""dockerd on a private socket with the runtime under test as its default runtime."""

import json
import os
import signal

from harness.runtime import NEMOSHELL

from .enclosure import DAEMON_TIMEOUT, Daemon, wait_for
from .engine import Engine

#: Debian's client: another one in $PATH need not speak this daemon's API version.
CLIENT = "/usr/bin/docker"


class Docker(Engine):
    """One dockerd."""

    def __init__(self, enclosure, name, **options):
        self.enclosure = enclosure
        self.directory = f"{enclosure.work}/{name}"
        os.makedirs(f"{self.directory}/client")
        self.socket = f"{self.directory}/docker.sock"
        self.environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{self.socket}",
                            "DOCKER_CONFIG": f"{self.directory}/client", "DOCKER_BUILDKIT": "0",
                            "HOME": self.directory, "TERM": "xterm"}
        self._daemon = None
        settings = {
            "hosts": [f"unix://{self.socket}"],
            "data-root": f"{self.directory}/data",
            "exec-root": f"{self.directory}/exec",
            "pidfile": f"{self.directory}/docker.pid",
            "cgroup-parent": enclosure.cgroup,
            "runtimes": {"nemoshell": {"path": NEMOSHELL}},
            "default-runtime": "nemoshell",
            "live-restore": True,
            **options,
        }
        with open(f"{self.directory}/daemon.json", "w") as f:
            json.dump(settings, f)
        self.start()

    def start(self):
        self._daemon = Daemon(self.enclosure, ["dockerd", "--config-file", f"{self.directory}/daemon.json"],
                              f"{self.directory}/log", env={**os.environ, "DOCKER_HOST": ""})
        wait_for(lambda: self("version").code == 0 or not self._daemon.running(), "dockerd: answer", DAEMON_TIMEOUT)
        assert self._daemon.running(), self._daemon.tail()

    def stop(self, number=signal.SIGTERM):
        self._daemon.stop(number)

    def argv(self, *args):
        return [CLIENT, *[str(a) for a in args]]

    def close(self):
        """Removes every container and ends the daemon."""
        self.clean()
        self.stop()
        # Bind mounts of dockerd's own, which it leaves when it was once killed.
        for path in (f"{self.directory}/data", f"{self.directory}/exec/netns/default"):
            self.enclosure.call("umount", path)

    def pid(self, name):
        """The container's init as the enclosure numbers it."""
        return self.inspect(name, "State.Pid")

    def clean(self):
        """Removes every container, and the networks and volumes without one."""
        ids = self("ps", "--all", "--quiet", "--no-trunc").ok().out.split()
        if ids:
            self("rm", "--force", "--volumes", *ids).ok()
        self("network", "prune", "--force").ok()
        self("volume", "prune", "--force").ok()
