"""Rootful Podman with its own storage, directories and settings."""

import glob
import os

from harness.runtime import NEMOSHELL

from . import images
from .enclosure import remove_cgroup
from .engine import Engine

# The limits are such as any root may set: Podman's own defaults need CAP_SYS_RESOURCE.
_SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
init_path = "/usr/bin/docker-init"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "nemoshell"
runtime_supports_json = ["nemoshell", "runc", "crun"]
runtime_supports_nocgroup = ["nemoshell", "crun"]
infra_image = "{pause}"
tmp_dir = "{directory}/tmp"
[engine.runtimes]
nemoshell = ["{binary}"]
[network]
network_backend = "netavark"
network_config_dir = "{directory}/networks"
"""

_STORAGE = """
[storage]
driver = "overlay"
graphroot = "{directory}/storage"
runroot = "{directory}/run"
"""

#: Where Podman puts pods that name no parent; it leaves their cgroups of the hierarchies that it does not manage.
_PLAYED = "/sys/fs/cgroup/*/libpod_parent"


class Podman(Engine):
    """Calling it runs podman in the enclosure. Containers and pods get the enclosure's cgroup parent."""

    def __init__(self, enclosure):
        self.enclosure = enclosure
        self.directory = f"{enclosure.work}/podman"
        os.makedirs(self.directory)
        self._plays = False
        self._foreign = self._played_cgroups()
        # In the enclosure's own /etc: conmon's clean-up command would not see what the environment names.
        for name, text in (("containers.conf", _SETTINGS), ("storage.conf", _STORAGE)):
            settings = text.format(directory=self.directory, binary=NEMOSHELL, pause=images.PAUSE)
            enclosure.call("tee", f"/etc/containers/{name}", stdin=settings).ok()
        self.environment = {**os.environ, "TERM": "xterm"}

    def argv(self, *args):
        args = [str(a) for a in args]
        if args[0] in ("run", "create") and not {"--pod", "--cgroups"} & set(args):
            args[1:1] = ["--cgroup-parent", self.enclosure.cgroup]
        elif args[:2] == ["pod", "create"]:
            args[2:2] = ["--cgroup-parent", self.enclosure.cgroup]
        return self.enclosure.argv("podman", *args)

    def play(self, file):
        """`podman play kube FILE`. Its pods take no cgroup parent."""
        self._plays = True
        self("play", "kube", file).ok()

    @staticmethod
    def _played_cgroups():
        return {*glob.glob(_PLAYED), *glob.glob(f"{_PLAYED}/*/")}

    def clean(self):
        """Removes every pod, container, volume and network."""
        self("pod", "rm", "--all", "--force", "--time", "0").ok()
        self("rm", "--all", "--force", "--time", "0").ok()
        self("volume", "prune", "--force").ok()
        self("network", "prune", "--force").ok()
        # Podman keeps the cgroups of conmon and of former pods. A container's own is named libpod-ID.
        for directory in self.enclosure.cgroups():
            name = os.path.basename(directory)
            if name == "conmon" or len(name) == 64:
                remove_cgroup(directory)
        # Whatever was played, also a pod that did not come up and so told no name; pods before their parent.
        if self._plays:
            for directory in sorted(self._played_cgroups() - self._foreign, reverse=True):
                os.rmdir(directory)
        self._plays = False
