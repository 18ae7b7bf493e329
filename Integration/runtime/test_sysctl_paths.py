"""sysctl, masked paths, read-only paths (config-linux.md)."""

import os

import pytest

from inside import look, sleeper

pytestmark = pytest.mark.usefixtures("host_settings")


@pytest.mark.parametrize("name, value", [("net.ipv4.ip_forward", "1"), ("net/ipv4/conf/lo/forwarding", "1"),
                                         ("net.ipv4.ping_group_range", "0\t2147483647"), ("net.core.somaxconn", "333"),
                                         ("kernel.msgmax", "10000"), ("kernel.shmmni", "1000"), ("kernel.sem", "250\t32000\t32\t128"),
                                         ("fs.mqueue.msg_max", "11"), ("kernel.domainname", "sysctl.example")])
def test_sysctl_of_a_namespace(runtime, bundle, name, value):
    path = "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))
    with open(path) as f:
        host = f.read()
    bundle.config["linux"]["sysctl"] = {name: value}
    assert look(runtime, bundle, f"cat {path}").split() == value.split()
    with open(path) as f:
        assert f.read() == host, "the host's is not touched"


def test_several(runtime, bundle):
    bundle.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "65536", "net.ipv4.tcp_syncookies": "0"}
    assert look(runtime, bundle, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/net/ipv4/tcp_syncookies").split() \
        == ["1", "65536", "0"]


@pytest.mark.parametrize("name, missing", [("kernel.panic", None), ("vm.swappiness", None), ("kernel.core_pattern", None),
                                           ("net.ipv4.ip_forward", "network"), ("kernel.msgmax", "ipc"),
                                           ("fs.mqueue.msg_max", "ipc"), ("kernel.domainname", "uts")])
def test_sysctl_of_the_host_is_refused(runtime, bundle, name, missing):
    """What is not of a namespace that the container has for itself would change the host."""
    if missing:
        bundle.without_namespace(missing)
        if missing == "uts":
            bundle.config.pop("hostname")
        if missing == "network":
            bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/sys")]
    with open("/proc/sys/" + name.replace(".", "/")) as f:
        before = f.read()
    bundle.config["linux"]["sysctl"] = {name: before.strip()}
    runtime.create(bundle).failed(name, code=1)
    with open("/proc/sys/" + name.replace(".", "/")) as f:
        assert f.read() == before


@pytest.mark.parametrize("name", ["net.ipv4.ip_forward/../../../kernel/panic", "net/../kernel/panic", "net..", "net.ipv4.nosuch",
                                  "kernel.shm_rmid_forced/../panic", "../sys/net", "net./ipv4", ""])
def test_odd_names_are_refused(runtime, bundle, name):
    bundle.config["linux"]["sysctl"] = {name: "1"}
    runtime.create(bundle).failed(code=1)


def test_value_the_kernel_refuses(runtime, bundle):
    bundle.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "words"}
    runtime.create(bundle).failed("net", "ip_forward", "invalid argument", code=1)


def test_value_of_the_wrong_type(runtime, bundle):
    bundle.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": 1}
    runtime.create(bundle).failed("/linux/sysctl/net.ipv4.ip_forward", code=1)


# -- masked paths

def test_masked_file_reads_empty(runtime, bundle):
    bundle.config["linux"]["maskedPaths"] = []
    assert int(look(runtime, bundle, "head -c 100 /proc/timer_list | wc -c")) > 0
    bundle.config["linux"]["maskedPaths"] = ["/proc/timer_list"]
    assert look(runtime, bundle, "wc -c < /proc/timer_list; stat -c %F /proc/timer_list") == "0\ncharacter special file"


def test_masked_directory_is_empty_and_read_only(runtime, bundle):
    bundle.config["linux"]["maskedPaths"] = ["/bin/.hidden", "/secret"]
    os.makedirs(f"{bundle.rootfs}/secret")
    open(f"{bundle.rootfs}/secret/file", "w").close()
    assert look(runtime, bundle, "ls -A /secret; touch /secret/x 2>/dev/null || echo refused") == "refused"
    assert os.listdir(f"{bundle.rootfs}/secret") == ["file"]


def test_masked_path_that_is_missing_is_no_error(runtime, bundle):
    bundle.config["linux"]["maskedPaths"] = ["/no/such/path", "/proc/nosuch"]
    runtime.run(bundle).ok()


def test_masked_symlink_masks_its_target(runtime, bundle):
    os.symlink("/etc/passwd", f"{bundle.rootfs}/link")
    bundle.config["linux"]["maskedPaths"] = ["/link"]
    assert look(runtime, bundle, "wc -c < /link") == "0"


def test_masked_path_out_of_the_root(runtime, bundle, work):
    """A link that leads out leads nowhere."""
    os.mkdir(f"{work}/outside")
    os.symlink(f"{work}/outside", f"{bundle.rootfs}/link")
    bundle.config["linux"]["maskedPaths"] = ["/link"]
    runtime.run(bundle)
    assert not os.path.ismount(f"{work}/outside")


def test_masked_null_is_the_kernels(runtime, bundle):
    """A fake /dev/null in the image does not become the mask (CVE-2025-31133)."""
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    with open(f"{bundle.rootfs}/dev/null", "w") as f:
        f.write("fake\n")
    bundle.config["linux"]["maskedPaths"] = ["/proc/timer_list"]
    r = runtime.run(bundle.sh("cat /proc/timer_list; stat -c '%F %t:%T' /proc/timer_list"))
    assert r.code != 0 or r.out.strip() == "character special file 1:3"


def test_many_masked_directories(runtime, bundle):
    names = [f"/secret{n}" for n in range(40)]
    for name in names:
        os.makedirs(f"{bundle.rootfs}{name}/x")
    bundle.config["linux"]["maskedPaths"] = names
    assert look(runtime, bundle, "ls -A -d /secret*/x 2>/dev/null | wc -l") == "0"


def test_masks_hold_in_exec_and_cannot_be_removed(runtime, bundle):
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "sh", "-c", "wc -c < /proc/timer_list").ok().out.strip() == "0"
    runtime.exec(id, "umount", "/proc/timer_list").failed()


# -- read-only paths

def test_read_only_path(runtime, bundle):
    os.makedirs(f"{bundle.rootfs}/data")
    write = "echo x 2>/dev/null > /data/file && echo wrote || echo refused"
    bundle.config["linux"]["readonlyPaths"] = []
    assert look(runtime, bundle, write) == "wrote"
    bundle.config["linux"]["readonlyPaths"] = ["/data", "/no/such"]
    assert look(runtime, bundle, write + "; cat /data/file") == "refused\nx"


def test_read_only_file(runtime, bundle):
    bundle.config["linux"]["readonlyPaths"] = ["/etc/passwd"]
    assert look(runtime, bundle, "echo x 2>/dev/null > /etc/passwd || echo refused; grep -c root /etc/passwd") == "refused\n1"


def test_read_only_proc_sys(runtime, bundle):
    write = "echo 9000 2>/dev/null > /proc/sys/kernel/msgmax && echo wrote || echo refused"
    bundle.config["linux"]["readonlyPaths"] = []
    assert look(runtime, bundle, write) == "wrote"
    bundle.config["linux"]["readonlyPaths"] = ["/proc/sys"]
    assert look(runtime, bundle, write) == "refused"


def test_read_only_keeps_the_other_flags(runtime, bundle):
    out = look(runtime, bundle, "grep ' /proc/sys ' /proc/self/mountinfo").split()
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(out[5].split(","))


def test_read_only_with_a_mount_below(runtime, bundle, work):
    """Recursive: what is mounted below is read-only as well, or stays as it was mounted; never an error."""
    os.makedirs(f"{work}/inner")
    bundle.mount("/data", "tmpfs", "tmpfs", [])
    bundle.mount("/data/inner", f"{work}/inner", options=["bind"])
    bundle.config["linux"]["readonlyPaths"] = ["/data"]
    assert look(runtime, bundle, "touch /data/x 2>/dev/null || echo refused; ls -d /data/inner") == "refused\n/data/inner"


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
@pytest.mark.parametrize("value", [["relative"], ["/x", 5], "/proc/kcore", [""]])
def test_bad_paths(runtime, bundle, field, value):
    bundle.config["linux"][field] = value
    runtime.create(bundle).failed(f"/linux/{field}", code=1)
