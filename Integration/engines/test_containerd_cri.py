"""Pods through containerd's CRI: runtime class `nemoshell`, the runc.v2 shim, BinaryName."""

import json
import os

import cri_api
import grpc
import pytest

from . import images
from .cri import CONTAINER, NODE, POD, READY, RUNNING, TARGET
from .enclosure import wait_for
from .test_docker_security import own_capabilities
from .web import SERVE, fetch
from .websocket import Stream, connect_inside

NAMESPACES = {"pid": CONTAINER, "ipc": POD, "network": POD}


def security(**fields):
    """A container's LinuxContainerConfig with this security context; namespaces as the kubelet asks for them."""
    options = cri_api.NamespaceOption(**{**NAMESPACES, **fields.pop("namespaces", {})})
    return cri_api.LinuxContainerConfig(
        security_context=cri_api.LinuxContainerSecurityContext(namespace_options=options, **fields))


def pod_security(**fields):
    options = cri_api.NamespaceOption(**{**NAMESPACES, **fields.pop("namespaces", {})})
    return cri_api.LinuxPodSandboxConfig(
        security_context=cri_api.LinuxSandboxSecurityContext(namespace_options=options, **fields))


def resources(**fields):
    return cri_api.LinuxContainerConfig(resources=cri_api.LinuxContainerResources(**fields))


def cgroup_file(cri, pod, c, controller, name):
    with open(f"/sys/fs/cgroup/{controller}{pod.config.linux.cgroup_parent}/{c}/{name}") as f:
        return f.read().strip()


@pytest.fixture
def stream(cri):
    """Opens the streams of `Exec` and `Attach`; they are closed after the test."""
    made = []

    def open_stream(url):
        made.append(Stream(url, connect_inside(cri.enclosure.init)))
        return made[-1]

    yield open_stream
    for one in made:
        one.close()


def test_a_pod_with_two_containers(cri):
    pod = cri.pod()
    assert cri.pod_status(pod).state == READY
    assert cri.pod_status(pod).runtime_handler == "nemoshell"
    first = cri.start(pod, "sh", "-c", "trap 'exit 3' TERM; echo one; while :; do sleep 0.1; done", name="first")
    second = cri.start(pod, "sleep", "100", name="second")
    for kind, same in (("net", True), ("ipc", True), ("uts", True), ("pid", False), ("mnt", False)):
        one, two = (cri.output(c, "readlink", f"/proc/self/ns/{kind}") for c in (first, second))
        assert (one == two) is same, kind
    assert cri.output(first, "hostname") == "pod\n"
    assert cri.info(first)["runtimeType"] == "io.containerd.runc.v2"
    wait_for(lambda: ("stdout", "one") in cri.log(pod, "first"), "the log")
    cri.stop(first, 5)
    assert cri.status(first).exit_code == 3
    assert cri.status(second).state == RUNNING
    cri.remove(first)
    cri.remove_pod(pod.id)
    assert not [path for path in cri.enclosure.cgroups() if second in path or pod.id in path]


def test_exec_sync(cri):
    pod = cri.pod()
    c = cri.start(pod, "sleep", "100")
    assert cri.exec(c, "sh", "-c", "echo out; echo err >&2; exit 4") == (4, "out\n", "err\n")
    with pytest.raises(grpc.RpcError) as failure:
        cri.exec(c, "nonexistent")
    assert "executable file not found in $PATH" in failure.value.details()


def test_exec_sync_time_out_ends_the_process(cri):
    c = cri.start(cri.pod(), "sleep", "100")
    with pytest.raises(grpc.RpcError) as failure:
        cri.exec(c, "sleep", "321", timeout=1)
    assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: "sleep 321" not in cri.enclosure.processes().values(), "its end")


def test_exec_on_a_terminal(cri, stream):
    c = cri.start(cri.pod(), "sleep", "100")
    script = "until [ \"$(stty size)\" = '44 99' ]; do sleep 0.1; done 2>/dev/null; tty; read code; exit $code"
    request = cri_api.ExecRequest(container_id=c, cmd=["sh", "-c", script], tty=True, stdin=True, stdout=True)
    s = stream(cri.call("Exec", request).url)
    s.resize(44, 99)
    s.expect("/dev/pts/")
    s.type("5\n")
    assert s.exit_code() == 5


def test_attach(cri, stream):
    pod = cri.pod()
    c = cri.start(pod, "sh", "-c", "read a; echo got-$a; read b; echo got-$b", stdin=True)
    request = cri_api.AttachRequest(container_id=c, stdin=True, stdout=True, stderr=True)
    s = stream(cri.call("Attach", request).url)
    s.type("one\n")
    s.expect("got-one")
    s.type("two\n")
    s.expect("got-two")
    assert cri.finished(c).exit_code == 0
    assert cri.log(pod) == [("stdout", "got-one"), ("stdout", "got-two")]


def test_logs_have_streams_and_times(cri):
    pod = cri.pod()
    code, out, err = cri.run(pod, "sh", "-c", "for i in 1 2 3; do echo o$i; echo e$i >&2; done; exit 2")
    assert (code, out, err) == (2, "o1\no2\no3\n", "e1\ne2\ne3\n")


def test_exit_reasons(cri):
    pod = cri.pod()
    assert cri.finished(cri.start(pod, "true", name="a")).reason == "Completed"
    failed = cri.finished(cri.start(pod, "false", name="b"))
    assert (failed.reason, failed.exit_code) == ("Error", 1)
    c = cri.start(pod, "tail", "/dev/zero", name="c", linux=resources(memory_limit_in_bytes=24 << 20))
    out_of_memory = cri.finished(c)
    assert (out_of_memory.reason, out_of_memory.exit_code) == ("OOMKilled", 137)


def test_a_start_that_fails(cri):
    pod = cri.pod()
    c = cri.create(pod, "nonexistent", name="broken")
    with pytest.raises(grpc.RpcError) as failure:
        cri.call("StartContainer", cri_api.StartContainerRequest(container_id=c))
    assert 'exec: "nonexistent": executable file not found in $PATH' in failure.value.details()
    status = cri.status(c)
    assert (status.reason, status.exit_code) == ("StartError", 128)
    cri.remove(c)
    assert cri.run(pod, "true")[0] == 0


def test_stats(cri):
    pod = cri.pod()
    c = cri.start(pod, "sh", "-c", "while :; do :; done", linux=resources(memory_limit_in_bytes=64 << 20))

    def used():
        stats = cri.call("ContainerStats", cri_api.ContainerStatsRequest(container_id=c)).stats
        return stats.cpu.usage_core_nano_seconds.value > 10_000_000 and stats.memory.working_set_bytes.value > 0

    wait_for(used, "CPU and memory")
    listed = cri.call("ListContainerStats", cri_api.ListContainerStatsRequest()).stats
    assert c in [s.attributes.id for s in listed]
    of_pod = cri.call("PodSandboxStats", cri_api.PodSandboxStatsRequest(pod_sandbox_id=pod.id)).stats
    assert of_pod.attributes.id == pod.id and len(of_pod.linux.containers) == 1


def test_limits_and_their_update(cri):
    pod = cri.pod()
    c = cri.start(pod, "sleep", "100", linux=resources(
        memory_limit_in_bytes=48 << 20, cpu_quota=20000, cpu_period=50000, cpu_shares=300, oom_score_adj=600,
        cpuset_cpus="0"))
    assert cgroup_file(cri, pod, c, "memory", "memory.limit_in_bytes") == str(48 << 20)
    assert cgroup_file(cri, pod, c, "cpu", "cpu.cfs_quota_us") == "20000"
    assert cgroup_file(cri, pod, c, "cpu", "cpu.shares") == "300"
    assert cgroup_file(cri, pod, c, "cpuset", "cpuset.cpus") == "0"
    assert cri.output(c, "cat", "/proc/1/oom_score_adj") == "600\n"
    cri.call("UpdateContainerResources", cri_api.UpdateContainerResourcesRequest(
        container_id=c, linux=cri_api.LinuxContainerResources(memory_limit_in_bytes=64 << 20, cpu_quota=10000,
                                                              cpu_period=50000, cpu_shares=200)))
    assert cgroup_file(cri, pod, c, "memory", "memory.limit_in_bytes") == str(64 << 20)
    assert cgroup_file(cri, pod, c, "cpu", "cpu.cfs_quota_us") == "10000"
    assert cgroup_file(cri, pod, c, "cpu", "cpu.shares") == "200"


def test_user_and_groups(cri):
    pod = cri.pod()
    linux = security(run_as_user=cri_api.Int64Value(value=1000), run_as_group=cri_api.Int64Value(value=77),
                     supplemental_groups=[88, 99])
    code, out, _ = cri.run(pod, "sh", "-c", "id -u; id -g; id -G", linux=linux)
    assert code == 0 and out.split()[:2] == ["1000", "77"] and set(out.split()[2:]) == {"77", "88", "99"}
    assert cri.run(pod, "id", "-un", linux=security(run_as_username="user"))[1] == "user\n"


def test_read_only_root(cri):
    pod = cri.pod()
    assert cri.run(pod, "touch", "/f")[0] == 0
    code, _, err = cri.run(pod, "touch", "/f", linux=security(readonly_rootfs=True))
    assert code == 1 and "Read-only file system" in err


def test_capabilities(cri):
    pod = cri.pod()
    action = ["ip", "link", "set", "lo", "mtu", "1400"]
    code, _, err = cri.run(pod, *action)
    assert code != 0 and "Operation not permitted" in err
    linux = security(capabilities=cri_api.Capability(add_capabilities=["NET_ADMIN"], drop_capabilities=["CHOWN"]))
    assert cri.run(pod, *action, linux=linux)[0] == 0
    assert "Operation not permitted" in cri.run(pod, "chown", "1", "/etc/passwd", linux=linux)[2]
    linux = security(capabilities=cri_api.Capability(drop_capabilities=["ALL"]))
    assert int(cri.run(pod, "grep", "CapBnd", "/proc/self/status", linux=linux)[1].split()[1], 16) == 0


def test_privileged(cri):
    pod = cri.pod(linux=pod_security(privileged=True))
    code, out, err = cri.run(pod, "sh", "-c", "mkdir /m && mount -t tmpfs tmpfs /m && grep CapEff /proc/self/status;"
                             "ls /dev/loop-control", linux=security(privileged=True))
    assert code == 0, err
    assert int(out.split()[1], 16) == own_capabilities()
    code, _, err = cri.run(pod, "mount", "-t", "tmpfs", "tmpfs", "/tmp")
    assert code != 0 and "ermission denied" in err or "not permitted" in err


def test_no_new_privileges(cri):
    pod = cri.pod()
    field = ["grep", "NoNewPrivs", "/proc/self/status"]
    assert cri.run(pod, *field)[1].split()[1] == "0"
    assert cri.run(pod, *field, linux=security(no_new_privs=True))[1].split()[1] == "1"


def test_seccomp(cri, work):
    pod = cri.pod()
    profile = cri_api.SecurityProfile
    kinds = profile.ProfileType
    field = ["grep", "^Seccomp:", "/proc/self/status"]
    default = security(seccomp=profile(profile_type=kinds.Value("RuntimeDefault")))
    assert cri.run(pod, *field, linux=default)[1].split()[1] == "2"
    unconfined = security(seccomp=profile(profile_type=kinds.Value("Unconfined")))
    assert cri.run(pod, *field, linux=unconfined)[1].split()[1] == "0"
    assert cri.run(pod, "mkdir", "/d", linux=unconfined)[0] == 0
    with open(f"{work}/profile.json", "w") as f:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW",
                   "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}, f)
    own = security(seccomp=profile(profile_type=kinds.Value("Localhost"), localhost_ref=f"{work}/profile.json"))
    code, _, err = cri.run(pod, "mkdir", "/d", linux=own)
    assert code == 1 and "Operation not permitted" in err


def test_masked_and_read_only_paths(cri):
    pod = cri.pod()
    script = "wc -c < /etc/passwd; echo x >> /etc/group"
    code, out, _ = cri.run(pod, "sh", "-c", script)
    assert code == 0 and int(out) > 0
    linux = security(masked_paths=["/etc/passwd", "/absent"], readonly_paths=["/etc/group"])
    code, out, err = cri.run(pod, "sh", "-c", script, linux=linux)
    assert code == 1 and out == "0\n" and "Read-only file system" in err


def test_mounts(cri, work):
    os.makedirs(f"{work}/d")
    with open(f"{work}/d/file", "w") as f:
        f.write("outside\n")
    pod = cri.pod()
    mounts = [cri_api.Mount(host_path=f"{work}/d", container_path="/rw"),
              cri_api.Mount(host_path=f"{work}/d", container_path="/ro", readonly=True),
              cri_api.Mount(host_path=f"{work}/d/file", container_path="/etc/one", readonly=True)]
    script = "cat /ro/file /etc/one; echo x > /rw/new; echo x > /ro/new"
    code, out, err = cri.run(pod, "sh", "-c", script, mounts=mounts)
    assert code == 1 and out == "outside\noutside\n" and "Read-only file system" in err
    assert os.path.exists(f"{work}/d/new")


@pytest.mark.parametrize("mode, seen", [("PROPAGATION_PRIVATE", False), ("PROPAGATION_HOST_TO_CONTAINER", True),
                                        ("PROPAGATION_BIDIRECTIONAL", True)])
def test_mount_propagation(cri, work, mode, seen):
    inside = cri.enclosure
    inside.call("mount", "-t", "tmpfs", "tmpfs", work).ok()
    try:
        inside.call("mount", "--make-shared", work).ok()
        inside.call("mkdir", f"{work}/sub", f"{work}/own").ok()
        pod = cri.pod(linux=pod_security(privileged=True))
        mount = cri_api.Mount(host_path=work, container_path="/v", propagation=cri_api.MountPropagation.Value(mode))
        c = cri.start(pod, "sleep", "100", mounts=[mount], linux=security(privileged=True))
        inside.call("mount", "-t", "tmpfs", "tmpfs", f"{work}/sub").ok()
        inside.call("touch", f"{work}/sub/mark").ok()
        assert (cri.output(c, "ls", "/v/sub") == "mark\n") is seen
        cri.output(c, "sh", "-c", "mount -t tmpfs tmpfs /v/own && touch /v/own/mark")
        assert (inside.call("ls", f"{work}/own").ok().out == "mark\n") is (mode == "PROPAGATION_BIDIRECTIONAL")
        cri.remove_pod(pod.id)
    finally:
        inside.call("umount", "--recursive", work).ok()


def test_devices(cri):
    pod = cri.pod()
    device = cri_api.Device(host_path="/dev/loop-control", container_path="/dev/lc", permissions="r")
    c = cri.start(pod, "sleep", "100", devices=[device])
    assert cri.output(c, "stat", "-c", "%t:%T", "/dev/lc") == "a:ed\n"
    cri.output(c, "sh", "-c", "exec 3</dev/lc")
    code, _, err = cri.exec(c, "sh", "-c", "exec 3<>/dev/lc")
    assert code != 0 and "Operation not permitted" in err


def test_environment_and_working_directory(cri):
    pod = cri.pod()
    envs = [cri_api.KeyValue(key="A", value="b c")]
    code, out, _ = cri.run(pod, "sh", "-c", "echo $A; pwd", envs=envs, working_dir="/new/dir")
    assert (code, out) == (0, "b c\n/new/dir\n")


def test_sysctls_and_dns_of_a_pod(cri):
    linux = pod_security()
    linux.sysctls["net.ipv4.ip_unprivileged_port_start"] = "777"
    linux.sysctls["kernel.shm_rmid_forced"] = "1"
    pod = cri.pod(linux=linux, dns_config=cri_api.DNSConfig(servers=["192.0.2.53"], searches=["d.test"]))
    c = cri.start(pod, "sleep", "100")
    out = cri.output(c, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/shm_rmid_forced")
    assert out.split() == ["777", "1"]
    assert "nameserver 192.0.2.53" in cri.output(c, "cat", "/etc/resolv.conf")


def test_shared_process_namespace(cri):
    shared = {"pid": POD}
    pod = cri.pod(linux=pod_security(namespaces=shared))
    cri.start(pod, "sleep", "135", name="first", linux=security(namespaces=shared))
    second = cri.start(pod, "sleep", "136", name="second", linux=security(namespaces=shared))
    out = cri.output(second, "ps", "-o", "args")
    assert "sleep 135" in out and "sleep 136" in out
    cri.stop(second)
    assert "sleep 135" in cri.enclosure.processes().values()


def test_target_process_namespace(cri):
    pod = cri.pod()
    target = cri.start(pod, "sleep", "137", name="target")
    linux = cri_api.LinuxContainerConfig(security_context=cri_api.LinuxContainerSecurityContext(
        namespace_options=cri_api.NamespaceOption(pid=TARGET, target_id=target)))
    guest = cri.start(pod, "sleep", "138", name="guest", linux=linux)
    assert "sleep 137" in cri.output(guest, "ps", "-o", "args")
    cri.stop(guest)
    assert cri.status(target).state == RUNNING


def test_host_namespaces(cri):
    node = {"pid": NODE, "ipc": NODE, "network": NODE}
    pod = cri.pod(linux=pod_security(namespaces=node), host_network=True)
    c = cri.start(pod, "sleep", "100", linux=security(namespaces=node))
    for kind in ("pid", "ipc", "net"):
        own = cri.enclosure.call("readlink", f"/proc/self/ns/{kind}").ok().out
        assert cri.output(c, "readlink", f"/proc/self/ns/{kind}") == own, kind
    assert "containerd" in cri.output(c, "ps", "-o", "args")


def test_processes_end_with_a_container_in_the_host_s_pid_namespace(cri):
    node = {"pid": NODE}
    pod = cri.pod(linux=pod_security(namespaces=node))
    c = cri.start(pod, "sh", "-c", "sleep 771 & sleep 772; :", linux=security(namespaces=node))
    wait_for(lambda: "sleep 772" in cri.enclosure.processes().values(), "the processes")
    cri.stop(c)
    wait_for(lambda: not {"sleep 771", "sleep 772"} & set(cri.enclosure.processes().values()), "their end")


def test_network_of_pods(cri, debian_in_cri):
    server = cri.pod("server")
    cri.start(server, *SERVE, image=debian_in_cri)
    address = cri.pod_status(server).network.ip
    assert address.startswith("10.88.77.")
    client = cri.pod("client")
    c = cri.start(client, "sleep", "100", image=debian_in_cri)
    assert cri.output(c, *fetch(address)) == "page\n"
    neighbour = cri.start(server, "sleep", "100", name="neighbour", image=debian_in_cri)
    assert cri.output(neighbour, *fetch("127.0.0.1")) == "page\n"


def test_annotations_reach_the_runtime(cri):
    pod = cri.pod(annotations={"test.nemoshell/a": "b"})
    c = cri.start(pod, "sleep", "100")
    assert cri.info(c)["runtimeSpec"]["annotations"]["io.kubernetes.cri.sandbox-id"] == pod.id


@pytest.mark.parametrize("number", [15, 9])
def test_restart_of_containerd_with_running_pods(cri, number):
    pod = cri.pod()
    c = cri.start(pod, "sh", "-c", "i=0; while :; do i=$((i+1)); echo t$i; sleep 0.1; done")
    ended = cri.start(pod, "sleep", "973", name="ended")
    pid = cri.info(c)["pid"]
    victim = cri.info(ended)["pid"]
    cri.containerd.stop(number)
    assert str(pid) in cri.enclosure.processes(), "the pod went with its daemon"
    cri.enclosure.call("kill", "-9", victim).ok()
    cri.containerd.start()
    cri.connect()
    assert cri.pod_status(pod).state == READY
    assert cri.status(c).state == RUNNING and cri.info(c)["pid"] == pid
    assert cri.finished(ended).exit_code == 137
    assert cri.output(c, "echo", "here") == "here\n"
    seen = len(cri.log(pod))
    wait_for(lambda: len(cri.log(pod)) > seen, "new lines in the log")
    cri.start(pod, "sleep", "100", name="later")
    cri.stop(c)
    assert cri.status(c).exit_code == 137


def test_the_pause_process_killed_makes_the_pod_not_ready(cri):
    pod = cri.pod()
    pid = json.loads(cri.call("PodSandboxStatus", cri_api.PodSandboxStatusRequest(pod_sandbox_id=pod.id, verbose=True))
                     .info["info"])["pid"]
    cri.enclosure.call("kill", "-9", pid).ok()
    wait_for(lambda: cri.pod_status(pod).state != READY, "not ready")
    cri.remove_pod(pod.id)


def test_list_and_filter(cri):
    pod = cri.pod(labels={"app": "x"})
    c = cri.start(pod, "sleep", "100", labels={"part": "y"})
    ended = cri.start(pod, "true", name="ended")
    cri.finished(ended)
    listed = cri.call("ListContainers", cri_api.ListContainersRequest(filter=cri_api.ContainerFilter(
        state=cri_api.ContainerStateValue(state=RUNNING)))).containers
    assert [one.id for one in listed] == [c]
    pods = cri.call("ListPodSandbox", cri_api.ListPodSandboxRequest(filter=cri_api.PodSandboxFilter(
        label_selector={"app": "x"}))).items
    assert [one.id for one in pods] == [pod.id]


def test_debian_with_python(cri, debian_in_cri):
    code, out, _ = cri.run(cri.pod(), "python3", "-c", "import os; print(os.getpid())", image=debian_in_cri)
    assert (code, out) == (0, "1\n")


def test_images_are_those_made_locally(cri):
    listed = cri.call("ListImages", cri_api.ListImagesRequest(), cri.images).images
    tags = {tag for image in listed for tag in image.repo_tags}
    assert {images.BUSYBOX, images.PAUSE} <= tags
