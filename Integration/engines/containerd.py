"""containerd on a private socket, driven by ctr and over Kubernetes' container runtime interface."""

import json
import os
import signal

from harness.runtime import NEMOSHELL

from . import images
from .enclosure import DAEMON_TIMEOUT, Daemon, wait_for

_CONFIG = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
                    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
                    "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nemoshell]
      runtime_type = "io.containerd.runc.v2"
      pod_annotations = ["test.nemoshell/*"]
      container_annotations = ["test.nemoshell/*"]
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nemoshell.options]
        BinaryName = "{binary}"
"""

_NETWORK = {
    "cniVersion": "0.4.0", "name": "nemoshell-test", "plugins": [
        {"type": "bridge", "bridge": "cni-test", "isGateway": True, "ipMasq": False,
         "ipam": {"type": "host-local", "subnet": "10.88.77.0/24", "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

#: The bridge of the pods' network: CNI keeps it.
BRIDGE = "cni-test"


class Containerd:
    """One containerd. Calling it runs ctr: `containerd("image", "ls")`."""

    def __init__(self, enclosure):
        self.enclosure = enclosure
        self.directory = f"{enclosure.work}/containerd"
        self.socket = f"{self.directory}/containerd.sock"
        os.makedirs(f"{self.directory}/cni")
        with open(f"{self.directory}/cni/10-test.conflist", "w") as f:
            json.dump(_NETWORK, f)
        with open(f"{self.directory}/config.toml", "w") as f:
            f.write(_CONFIG.format(directory=self.directory, socket=self.socket, pause=images.PAUSE, binary=NEMOSHELL))
        self._daemon = None
        self.start()

    def start(self):
        self._daemon = Daemon(self.enclosure, ["containerd", "--config", f"{self.directory}/config.toml"],
                              f"{self.directory}/log")
        wait_for(lambda: self("version").code == 0 or not self._daemon.running(), "containerd: answer", DAEMON_TIMEOUT)
        assert self._daemon.running(), self._daemon.tail()

    def stop(self, number=signal.SIGTERM):
        self._daemon.stop(number)

    def argv(self, *args):
        """ctr's command line. It makes FIFOs for the container's output where the daemon sees them."""
        return self.enclosure.argv("ctr", "--address", self.socket, *args)

    def __call__(self, *args, **kw):
        return self.enclosure.call("ctr", "--address", self.socket, *args, **kw)

    def load(self, archive, namespace="default", timeout=60):
        self("--namespace", namespace, "image", "import", archive, timeout=timeout).ok()

    def tasks(self, namespace="default"):
        """Status by container id."""
        lines = self("--namespace", namespace, "task", "ls").ok().out.splitlines()[1:]
        return {line.split()[0]: line.split()[2] for line in lines}

    def clean(self):
        """Removes every container of ctr."""
        for c in self("container", "ls", "--quiet").ok().out.split():
            self("task", "delete", "--force", c)
            self("container", "delete", c)
        assert self("container", "ls", "--quiet").ok().out == ""
