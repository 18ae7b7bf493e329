"""Images made on this machine: busybox, a Debian with Python, and a pause image. No registry is asked."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

from harness import busybox_rootfs

#: Kept between runs: making the Debian image takes half a minute.
CACHE = os.environ.get("NEMOSHELL_TEST_CACHE", "/var/cache/nemoshell-tests")

BUSYBOX = "nemoshell.test/busybox:latest"
DEBIAN = "nemoshell.test/debian-python:latest"
PAUSE = "nemoshell.test/pause:latest"

_SUITE = "bookworm"
_MIRROR = "http://deb.debian.org/debian"
_DEBOOTSTRAP_TIMEOUT = 300
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Not needed to run Python, and two thirds of the size.
_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/i18n",
           "var/lib/apt/lists", "var/cache/apt", "usr/lib/x86_64-linux-gnu/gconv")


def _add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _archive(rootfs, reference, path, command):
    """Writes the image `reference` in Docker's archive form, which docker, ctr and podman all load."""
    layer = subprocess.run(["tar", "-C", rootfs, "--numeric-owner", "--sort=name", "--mtime=@0", "-c", "."], check=True,
                           capture_output=True).stdout
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Env": [_PATH], "Cmd": command, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "made locally"}],
    }).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(f"{path}.new", "w") as archive:
        _add(archive, f"{name}.json", config)
        _add(archive, f"{digest}/layer.tar", layer)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    os.rename(f"{path}.new", path)
    return path


def busybox(directory):
    """An archive of BUSYBOX in `directory`."""
    with tempfile.TemporaryDirectory() as scratch:
        rootfs = busybox_rootfs(f"{scratch}/rootfs")
        return _archive(rootfs, BUSYBOX, f"{directory}/busybox.tar", ["/bin/sh"])


def pause(directory):
    """An archive of PAUSE: what holds a pod's namespaces open."""
    with tempfile.TemporaryDirectory() as scratch:
        rootfs = busybox_rootfs(f"{scratch}/rootfs")
        stays = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; sleep 2147483647 & wait"]
        return _archive(rootfs, PAUSE, f"{directory}/pause.tar", stays)


def debian():
    """An archive of DEBIAN, from the cache or made by debootstrap."""
    path = f"{CACHE}/debian-{_SUITE}-python.tar"
    if os.path.exists(path):
        return path
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        rootfs = f"{scratch}/rootfs"
        subprocess.run(["debootstrap", "--variant=minbase", "--include=python3,procps", _SUITE, rootfs, _MIRROR],
                       check=True, timeout=_DEBOOTSTRAP_TIMEOUT, stdout=subprocess.DEVNULL)
        for name in _UNUSED:
            shutil.rmtree(f"{rootfs}/{name}", ignore_errors=True)
        return _archive(rootfs, DEBIAN, path, ["/usr/bin/python3"])
