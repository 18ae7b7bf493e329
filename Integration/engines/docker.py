"""dockerd on a private socket with the runtime under test as its default runtime."""

import json
import os
import signal

from harness.runtime import NEMOSHELL

from .enclosure import DAEMON_TIMEOUT, Daemon, command, wait_for

#: Debian's client: another one in $PATH need not speak this daemon's API version.
CLIENT = "/usr/bin/docker"


class Docker:
    """One dockerd. Calling it runs the client: `docker("run", "--rm", IMAGE, "true")`."""

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

    def __call__(self, *args, **kw):
        return command(self.argv(*args), env=self.environment, **kw)

    def run(self, *args, **kw):
        """`docker run --rm ARGS…`, to its end."""
        return self("run", "--rm", *args, **kw)

    def detached(self, *args):
        """`docker run --detach ARGS…`; returns the id."""
        return self("run", "--detach", *args).ok().out.strip()

    def inspect(self, name, path):
        """One value of `docker inspect`: `docker.inspect(id, "State.Pid")`."""
        value = json.loads(self("inspect", name).ok().out)[0]
        for key in path.split("."):
            value = value[key]
        return value

    def pid(self, name):
        """The container's init as the enclosure numbers it."""
        return self.inspect(name, "State.Pid")

    def wait_for(self, name, path, value, timeout=15):
        wait_for(lambda: self.inspect(name, path) == value, f"{name}: {path} = {value}", timeout)

    def wait_for_log(self, name, text, timeout=10):
        def shown():
            logs = self("logs", name).ok()
            return text in logs.out + logs.err

        wait_for(shown, f"{name}: {text!r} in the logs", timeout)

    def clean(self):
        """Removes every container, and the networks and volumes without one."""
        ids = self("ps", "--all", "--quiet", "--no-trunc").ok().out.split()
        if ids:
            self("rm", "--force", "--volumes", *ids).ok()
        self("network", "prune", "--force").ok()
        self("volume", "prune", "--force").ok()
