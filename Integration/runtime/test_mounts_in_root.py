"""Mounts that name the root file system as the host sees it (spec/config.md): sources in it, destinations below its path."""

import os
import subprocess

import pytest

from inside import look, write
from test_user_namespace import BASE, SIZE, mapped  # noqa: F401

MAPPING = [{"containerID": 0, "hostID": BASE, "size": SIZE}]


@pytest.fixture
def tree(bundle, work):
    """Host directories a, b, c, each with a file that says so; a is mounted at /mnt, b below it, and c below that."""
    for name, below in (("a", "x"), ("b", "y"), ("c", "z")):
        write(f"{work}/host/{name}/{below}/file", f"{name}\n")
    bundle.mount("/mnt", f"{work}/host/a")
    bundle.mount("/mnt/x", f"{work}/host/b")
    bundle.mount("/mnt/x/y", f"{work}/host/c")
    os.makedirs(f"{bundle.rootfs}/mnt/x/y")
    write(f"{bundle.rootfs}/mnt/x/y/covered", "the image's\n")
    os.chmod(f"{work}/host", 0o700)


@pytest.mark.parametrize("relative", [False, True])
def test_source_is_what_earlier_mounts_made_of_it(runtime, bundle, tree, relative):
    bundle.mount("/final", "rootfs/mnt" if relative else f"{bundle.rootfs}/mnt")
    assert look(runtime, bundle, "cat /final/x/y/z/file; ls /final/x /final/x/y").split() \
        == ["c", "/final/x:", "y", "/final/x/y:", "z"]


def test_source_that_a_later_mount_covers(runtime, bundle, work):
    write(f"{bundle.rootfs}/mnt/file", "image\n")
    write(f"{work}/host/file", "host\n")
    bundle.mount("/early", f"{bundle.rootfs}/mnt")
    bundle.mount("/mnt", f"{work}/host")
    bundle.mount("/late", f"{bundle.rootfs}/mnt")
    assert look(runtime, bundle, "cat /early/file /late/file").split() == ["image", "host"]


def test_bind_without_what_is_mounted_below(runtime, bundle, tree):
    bundle.mount("/final", f"{bundle.rootfs}/mnt", options=["bind"])
    assert look(runtime, bundle, "ls /final/x") == "file"


def test_source_into_itself(runtime, bundle, tree):
    bundle.mount("/mnt/x/y/z", f"{bundle.rootfs}/mnt")
    assert look(runtime, bundle, "ls /mnt/x/y/z/x/y").split() == ["z"]


def test_source_in_a_user_namespace(runtime, mapped, tree):  # noqa: F811
    mapped.mount("/final", f"{mapped.rootfs}/mnt")
    assert look(runtime, mapped, "cat /final/x/y/z/file") == "c"


def test_idmapped_source(runtime, bundle, work):
    write(f"{work}/host/file", "")
    bundle.mount("/mnt", f"{work}/host")
    bundle.mount("/final", f"{bundle.rootfs}/mnt")
    assert look(runtime, bundle, "stat -c '%u %g' /final/file") == "0 0"
    bundle.config["mounts"][-1].update(uidMappings=MAPPING, gidMappings=MAPPING)
    assert look(runtime, bundle, "stat -c '%u %g' /final/file") == f"{BASE} {BASE}"


def test_idmapped_source_in_a_user_namespace(runtime, mapped, work):  # noqa: F811
    write(f"{work}/host/file", "")
    mapped.mount("/mnt", f"{work}/host")
    mapped.mount("/final", f"{mapped.rootfs}/mnt")
    assert look(runtime, mapped, "stat -c '%u %g' /mnt/file /final/file").splitlines() == ["65534 65534"] * 2
    mapped.config["mounts"][-1].update(uidMappings=MAPPING, gidMappings=MAPPING)
    assert look(runtime, mapped, "stat -c '%u %g' /mnt/file /final/file").splitlines() == ["65534 65534", "0 0"]


def test_missing_source(runtime, bundle):
    bundle.mount("/final", f"{bundle.rootfs}/nosuch")
    runtime.create(bundle).failed("/final", "no such file or directory", code=1)
    assert not os.path.exists(f"{bundle.rootfs}/nosuch")


def test_neighbour_whose_name_begins_alike(runtime, bundle):
    write(f"{bundle.path}/rootfs-other/file", "neighbour\n")
    bundle.mount("/final", f"{bundle.rootfs}-other")
    assert look(runtime, bundle, "cat /final/file") == "neighbour"


def test_source_when_the_root_is_the_hosts(runtime, bundle, work):
    """Everything lies below `/`: there a source is the host's, as everywhere."""
    subprocess.run(["mount", "--bind", bundle.rootfs, bundle.rootfs], check=True)
    try:
        write(f"{work}/host/file", "host\n")
        bundle.mount("/mnt", f"{work}/host")
        script = f"exec chroot {bundle.rootfs} /bin/cat /mnt/file"
        bundle.config["root"]["path"] = "/"
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] == "/mnt"]
        bundle.config["mounts"][0]["destination"] = f"{bundle.rootfs}/mnt"
        bundle.config["linux"].update(maskedPaths=[], readonlyPaths=[])
        assert look(runtime, bundle, script) == "host"
    finally:
        subprocess.run(["umount", bundle.rootfs], check=True)


@pytest.mark.parametrize("spelling", ["{}/data", "{}//data/", "{}/../rootfs/data", "{}/a/../data"])
def test_destination_below_the_roots_path(runtime, bundle, work, spelling):
    write(f"{work}/host/file", "host\n")
    bundle.mount(spelling.format(bundle.rootfs), f"{work}/host")
    assert look(runtime, bundle, f"cat /data/file; ls -d {bundle.rootfs} 2>/dev/null || echo only there") \
        == "host\nonly there"


def test_destination_that_only_begins_alike(runtime, bundle, work):
    write(f"{work}/host/file", "host\n")
    bundle.mount(f"{bundle.rootfs}2/data", f"{work}/host")
    assert look(runtime, bundle, f"cat {bundle.rootfs}2/data/file") == "host"


def test_dev_and_tmpfs_below_the_roots_path(runtime, bundle):
    for mount in bundle.config["mounts"]:
        mount["destination"] = bundle.rootfs + mount["destination"]
    bundle.mount(f"{bundle.rootfs}/scratch", "tmpfs", "tmpfs", ["mode=700"])
    assert look(runtime, bundle, "echo x > /dev/null; stat -f -c %T /dev /proc /scratch; stat -c %a /scratch").split() \
        == ["tmpfs", "proc", "tmpfs", "700"]
