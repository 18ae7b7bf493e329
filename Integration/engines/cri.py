"""A client of Kubernetes' container runtime interface: what the kubelet asks a container engine for."""

import json
import os

# Before gRPC is loaded: children of this process execute another program at once, and its fork handlers may abort them.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import cri_api  # noqa: E402
import grpc  # noqa: E402

from . import images  # noqa: E402
from .enclosure import wait_for  # noqa: E402

#: How long one request may take, in seconds.
TIMEOUT = 30

RUNNING = cri_api.ContainerState.Value("CONTAINER_RUNNING")
EXITED = cri_api.ContainerState.Value("CONTAINER_EXITED")
READY = cri_api.PodSandboxState.Value("SANDBOX_READY")
NODE = cri_api.NamespaceMode.Value("NODE")
POD = cri_api.NamespaceMode.Value("POD")
CONTAINER = cri_api.NamespaceMode.Value("CONTAINER")
TARGET = cri_api.NamespaceMode.Value("TARGET")


class Pod:
    """A running pod: its sandbox's id and configuration."""

    def __init__(self, id, config):
        self.id = id
        self.config = config


class Cri:
    """The runtime service of one containerd. Pods that it made are removed by `clean()`."""

    def __init__(self, containerd, handler="nemoshell"):
        self.containerd = containerd
        self.enclosure = containerd.enclosure
        self.handler = handler
        self.logs = f"{containerd.directory}/pod-logs"
        self._count = 0
        self.connect()

    def connect(self):
        """Opens the channel, again after the daemon has started anew."""
        self._channel = grpc.insecure_channel(f"unix://{self.containerd.socket}")
        self.runtime = cri_api.RuntimeServiceStub(self._channel)
        self.images = cri_api.ImageServiceStub(self._channel)

        def ready():
            try:
                status = self.call("Status", cri_api.StatusRequest()).status
            except grpc.RpcError:
                return False
            return all(c.status for c in status.conditions if c.type == "RuntimeReady")

        wait_for(ready, "CRI: RuntimeReady", TIMEOUT)

    def call(self, name, request, service=None):
        return getattr(service or self.runtime, name)(request, timeout=TIMEOUT)

    def pod(self, name="pod", linux=None, host_network=False, **fields):
        """Runs a pod sandbox. `linux` is a LinuxPodSandboxConfig."""
        self._count += 1
        uid = f"uid-{os.getpid()}-{self._count}"
        directory = f"{self.logs}/{uid}"
        os.makedirs(directory)
        config = cri_api.PodSandboxConfig(
            metadata=cri_api.PodSandboxMetadata(name=name, uid=uid, namespace="test", attempt=0),
            log_directory=directory, linux=linux, **fields)
        if not config.hostname and not host_network:
            config.hostname = name
        config.linux.cgroup_parent = f"{self.enclosure.cgroup}/{uid}"
        options = config.linux.security_context.namespace_options
        if linux is None:
            options.pid = CONTAINER
        if host_network:
            options.network = NODE
        r = self.call("RunPodSandbox", cri_api.RunPodSandboxRequest(config=config, runtime_handler=self.handler))
        return Pod(r.pod_sandbox_id, config)

    def create(self, pod, *command, name="main", image=images.BUSYBOX, linux=None, **fields):
        config = cri_api.ContainerConfig(
            metadata=cri_api.ContainerMetadata(name=name, attempt=0), image=cri_api.ImageSpec(image=image),
            command=list(command), log_path=f"{name}.log", linux=linux, **fields)
        if not config.linux.HasField("security_context"):
            config.linux.security_context.namespace_options.pid = CONTAINER
        request = cri_api.CreateContainerRequest(pod_sandbox_id=pod.id, config=config, sandbox_config=pod.config)
        return self.call("CreateContainer", request).container_id

    def start(self, pod, *command, **fields):
        """Creates and starts a container; returns its id."""
        c = self.create(pod, *command, **fields)
        self.call("StartContainer", cri_api.StartContainerRequest(container_id=c))
        return c

    def status(self, c):
        return self.call("ContainerStatus", cri_api.ContainerStatusRequest(container_id=c)).status

    def info(self, c):
        """What containerd tells beyond the interface: pid, runtime spec."""
        r = self.call("ContainerStatus", cri_api.ContainerStatusRequest(container_id=c, verbose=True))
        return json.loads(r.info["info"])

    def pod_status(self, pod):
        return self.call("PodSandboxStatus", cri_api.PodSandboxStatusRequest(pod_sandbox_id=pod.id)).status

    def finished(self, c, timeout=15):
        """Waits for the container's end; returns its status."""
        return wait_for(lambda: next((s for s in [self.status(c)] if s.state == EXITED), None), f"{c}: end", timeout)

    def exec(self, c, *command, timeout=10):
        """Runs a command in the container; returns (exit code, stdout, stderr)."""
        request = cri_api.ExecSyncRequest(container_id=c, cmd=list(command), timeout=timeout)
        r = self.call("ExecSync", request)
        return r.exit_code, r.stdout.decode(), r.stderr.decode()

    def output(self, c, *command):
        """stdout of a command that must succeed."""
        code, out, err = self.exec(c, *command)
        assert code == 0, f"{command}: exit {code}\nstdout: {out}\nstderr: {err}"
        return out

    def log(self, pod, name="main"):
        """The container's log as (stream, text) pairs."""
        with open(f"{pod.config.log_directory}/{name}.log") as f:
            entries = [line.rstrip("\n").split(" ", 3) for line in f]
        return [(stream, text) for _, stream, _, text in entries]

    def run(self, pod, *command, **fields):
        """Runs a container to its end; returns (exit code, stdout, stderr) from its status and log."""
        name = f"run-{self._count}"
        self._count += 1
        c = self.start(pod, *command, name=name, **fields)
        status = self.finished(c)
        streams = {"stdout": "", "stderr": ""}
        for stream, text in self.log(pod, name):
            streams[stream] += text + "\n"
        return status.exit_code, streams["stdout"], streams["stderr"]

    def stop(self, c, timeout=0):
        self.call("StopContainer", cri_api.StopContainerRequest(container_id=c, timeout=timeout))

    def remove(self, c):
        self.call("RemoveContainer", cri_api.RemoveContainerRequest(container_id=c))

    def remove_pod(self, id):
        self.call("StopPodSandbox", cri_api.StopPodSandboxRequest(pod_sandbox_id=id))
        self.call("RemovePodSandbox", cri_api.RemovePodSandboxRequest(pod_sandbox_id=id))

    def clean(self):
        for pod in self.call("ListPodSandbox", cri_api.ListPodSandboxRequest()).items:
            self.remove_pod(pod.id)
        # The kubelet makes and removes the pods' cgroups; here nobody else does.
        for directory in self.enclosure.cgroups():
            if os.path.basename(directory).startswith("uid-"):
                os.rmdir(directory)
