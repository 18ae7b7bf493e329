"""OCI bundles made from busybox: small, fast, and the same on every Debian machine."""

import copy
import json
import os
import shutil
import subprocess

BUSYBOX = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)

#: What Docker gives an ordinary container.
DEFAULT_CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
]


def busybox_rootfs(path):
    """Makes a root file system of static busybox at `path` and returns the path."""
    os.makedirs(f"{path}/bin")
    shutil.copy(BUSYBOX, f"{path}/bin/busybox")
    for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if applet != "busybox":
            os.symlink("busybox", f"{path}/bin/{applet}")
    for name in ("proc", "sys", "dev", "etc", "tmp", "root", "usr", "var", "mnt"):
        os.makedirs(f"{path}/{name}")
    os.chmod(f"{path}/tmp", 0o1777)
    with open(f"{path}/etc/passwd", "w") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
    with open(f"{path}/etc/group", "w") as f:
        f.write("root:x:0:\nuser:x:1000:\n")
    return path


def minimal_config(*args):
    """A config.json with the usual mounts and namespaces and no resources; `args` is the command."""
    capabilities = {k: list(DEFAULT_CAPABILITIES) for k in ("bounding", "effective", "permitted")}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(args) or ["/bin/true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": capabilities,
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                            "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


class Bundle:
    """A bundle directory. `config` is the live dict; `save()` writes it and is called by Runtime before each use."""

    def __init__(self, path, *args, config=None):
        self.path = str(path)
        os.makedirs(self.path, exist_ok=True)
        self.rootfs = f"{self.path}/rootfs"
        if not os.path.exists(self.rootfs):
            busybox_rootfs(self.rootfs)
        self.config = copy.deepcopy(config) if config is not None else minimal_config(*args)
        if config is not None and args:
            self.config["process"]["args"] = list(args)

    def sh(self, script):
        """Makes the container run a shell script; returns the bundle."""
        self.config["process"]["args"] = ["/bin/sh", "-c", script]
        return self

    def namespace(self, kind, path=None):
        """Adds (or replaces) a namespace."""
        entries = [n for n in self.config["linux"]["namespaces"] if n["type"] != kind]
        entries.append({"type": kind, "path": path} if path else {"type": kind})
        self.config["linux"]["namespaces"] = entries

    def without_namespace(self, kind):
        self.config["linux"]["namespaces"] = [n for n in self.config["linux"]["namespaces"] if n["type"] != kind]

    def mount(self, destination, source=None, kind="bind", options=("rbind",)):
        """Adds a mount at the end of the list."""
        entry = {"destination": destination, "type": kind, "options": list(options)}
        if source is not None:
            entry["source"] = str(source)
        self.config["mounts"].append(entry)

    def save(self):
        with open(f"{self.path}/config.json", "w") as f:
            json.dump(self.config, f)
