"""What is measured: one busybox root file system, two configurations, and the floor's plan for each of them."""

import copy
import ctypes
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from harness import busybox_rootfs  # noqa: E402

MS = {
    "ro": 0x1, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "relatime": 0x200000, "strictatime": 0x1000000, "rw": 0,
}
CLONE = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "pid": 0x20000000, "network": 0x40000000}
RLIMITS = {"RLIMIT_CORE": 4, "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7}
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
#: The nodes that every container gets (runtime-spec, "Default Devices").
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
#: The device rules that runtimes add for them, for terminals, and for mknod, in the form of devices.allow.
DEVICE_RULES = ["c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm",
                "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"]


class Bundles:
    """Bundle directories under `top` that share one root file system."""

    def __init__(self, top, nemoshell):
        self.top = top
        self.nemoshell = nemoshell
        self.rootfs = busybox_rootfs(f"{top}/rootfs")

    def configuration(self, name):
        """The configuration called `docker` or `spec`, ready to run without a terminal."""
        if name == "docker":
            with open(f"{HERE}/docker-config.json") as f:
                config = json.load(f)
        else:
            directory = f"{self.top}/spec"
            if not os.path.exists(f"{directory}/config.json"):
                os.makedirs(directory)
                subprocess.run([self.nemoshell, "spec"], cwd=directory, check=True)
            with open(f"{directory}/config.json") as f:
                config = json.load(f)
        config["ociVersion"] = "1.0.2"  # what all of the measured ones know; crun 1.8 refuses a newer one
        config["process"]["terminal"] = False
        config["root"]["path"] = self.rootfs
        return config

    def make(self, name, arguments):
        """A bundle of configuration `name` that runs `arguments`; returns its directory, which also holds `plan`."""
        directory = f"{self.top}/{name}-{os.path.basename(arguments[0])}"
        if not os.path.exists(directory):
            os.makedirs(directory)
            config = copy.deepcopy(self.configuration(name))
            config["process"]["args"] = list(arguments)
            with open(f"{directory}/config.json", "w") as f:
                json.dump(config, f)
            filter_path = None
            if "seccomp" in config["linux"]:
                filter_path = f"{directory}/filter"
                compile_filter(config["linux"]["seccomp"], filter_path)
            with open(f"{directory}/plan", "w") as f:
                f.write("".join("\t".join(str(x) for x in line) + "\n" for line in plan(config, filter_path)))
        return directory


def hierarchies():
    """The cgroup v1 hierarchies as (mount point, this process's path in it, name); empty where there are none."""
    own = {}
    with open("/proc/self/cgroup") as f:
        for line in f:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            own[controllers.removeprefix("name=")] = path
    found = []
    with open("/proc/self/mounts") as f:
        for line in f:
            _, target, kind, options = line.split()[:4]
            if kind != "cgroup":
                continue
            names = [o for o in own if o and set(o.split(",")) <= set(options.replace("name=", "").split(","))]
            if names:
                found.append((target, own[names[0]], os.path.basename(target)))
    return found


def plan(config, filter_path):
    """The steps of floor.c for a configuration, each a list of words."""
    process, linux = config["process"], config["linux"]
    yield "rootfs", config["root"]["path"]
    yield "hostname", config.get("hostname", "floor")
    kinds = [n["type"] for n in linux["namespaces"]]
    yield "clone", hex(sum(CLONE[k] for k in kinds if k in CLONE))
    if "cgroup" in kinds:
        yield ("cgroup-namespace",)
    if process.get("oomScoreAdj") is not None:
        yield "oom-score-adj", process["oomScoreAdj"]
    for target, own, name in hierarchies():
        directory = target + own.rstrip("/")
        yield "cgroup", directory, "tasks", name
        if name == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                with open(f"{directory}/{file}") as f:
                    yield "set", file, f.read().strip()
        if name == "devices":
            yield "set", "devices.deny", "a"
            for rule in DEVICE_RULES:
                yield "set", "devices.allow", rule
    for mount in config["mounts"]:
        flags, data = 0, []
        for option in mount.get("options", []):
            if option in MS:
                flags |= MS[option]
            else:
                data.append(option)
        if mount["type"] == "cgroup":
            yield "cgroupfs", mount["destination"], hex(flags)
        else:
            yield "mount", mount["type"], mount.get("source", "none"), mount["destination"], hex(flags), ",".join(data)
    for name, (major, minor) in DEVICES.items():
        yield "device", f"/dev/{name}", major, minor
    for target, path in (("/proc/self/fd", "fd"), ("/proc/self/fd/0", "stdin"), ("/proc/self/fd/1", "stdout"),
                         ("/proc/self/fd/2", "stderr"), ("pts/ptmx", "ptmx")):
        yield "symlink", target, f"/dev/{path}"
    for key, value in linux.get("sysctl", {}).items():
        yield "sysctl", "/proc/sys/" + key.replace(".", "/"), value
    for path in linux.get("readonlyPaths", []):
        yield "readonly", path
    for path in linux.get("maskedPaths", []):
        yield "mask", path
    if config["root"].get("readonly"):
        yield ("readonly-root",)
    for limit in process.get("rlimits", []):
        yield "rlimit", RLIMITS[limit["type"]], limit["soft"], limit["hard"]
    sets = process["capabilities"]
    masks = [sum(1 << CAPABILITIES.index(c.removeprefix("CAP_")) for c in sets.get(s, []))
             for s in ("bounding", "effective", "permitted")]
    yield "capabilities", *(hex(m) for m in masks)
    if process.get("noNewPrivileges"):
        yield ("no-new-privileges",)
    if filter_path:
        yield "seccomp", filter_path
    for word in process["args"]:
        yield "argument", word


class _Comparison(ctypes.Structure):
    _fields_ = [("index", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def compile_filter(profile, path):
    """Compiles an OCI seccomp profile with libseccomp into the program that the kernel takes, as a binary tree."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                               ctypes.POINTER(_Comparison)]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]

    def checked(result, what, allowed=()):
        if result < 0 and result not in allowed:
            raise OSError(-result, f"{what}: {os.strerror(-result)}")

    def action(entry, key, errno_key):
        if entry[key] == "SCMP_ACT_ERRNO":
            return 0x00050000 | entry.get(errno_key, 1)
        return {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_KILL": 0x0}[entry[key]]

    operators = {"SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5,
                 "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}
    context = library.seccomp_init(action(profile, "defaultAction", "defaultErrnoRet"))
    if not context:
        raise OSError("seccomp_init failed")
    try:
        checked(library.seccomp_attr_set(context, 4, 0), "leave no_new_privs alone")
        checked(library.seccomp_attr_set(context, 8, 2), "make a binary tree")
        for name in profile.get("architectures", []):
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            checked(library.seccomp_arch_add(context, token), name, allowed=(-17,))
        for rule in profile["syscalls"]:
            arguments = rule.get("args", [])
            array = (_Comparison * max(len(arguments), 1))()
            for i, a in enumerate(arguments):
                array[i] = _Comparison(a["index"], operators[a["op"]], a["value"], a.get("valueTwo", 0))
            for name in rule["names"]:
                number = library.seccomp_syscall_resolve_name(name.encode())
                if number != -1:
                    checked(library.seccomp_rule_add_array(context, action(rule, "action", "errnoRet"), number,
                                                           len(arguments), array), name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            checked(library.seccomp_export_bpf(context, fd), "export")
        finally:
            os.close(fd)
    finally:
        library.seccomp_release(context)
