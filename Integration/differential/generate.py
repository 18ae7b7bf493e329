"""Random policies, and random actions for each; both as the blueprint's author and as the prober write them."""

import functools
import os
import re
import subprocess

#: Rights of a path, as spec/policy.md has them.
READ_ONLY = {"read_file", "read_dir", "execute"}
READ_WRITE = {"read_file", "read_dir", "write_file", "remove_dir", "remove_file", "make_dir", "make_reg", "make_sock", "make_fifo", "make_sym",
              "refer", "truncate"}
FILE_RIGHTS = ["execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir", "make_reg", "make_sock",
               "make_fifo", "make_sym", "refer", "truncate", "ioctl_dev"]

OF_FILES = {"execute", "write_file", "read_file", "truncate", "ioctl_dev"}

#: What the prober does to a path, and the rights that it takes. Capital: the path must be there, as a file (F) or a directory (D).
DEEDS = {
    "read": ("F", ["read_file"]), "list": ("D", ["read_dir"]), "write": ("F", ["write_file"]), "update": ("F", ["read_file", "write_file"]),
    "overwrite": ("F", ["write_file", "truncate"]), "truncate": ("F", ["truncate"]), "execute": ("F", ["execute", "read_file"]),
    "remove": ("F", ["remove_file"]), "rmdir": ("D", ["remove_dir"]), "rename": ("F", ["remove_file", "make_reg"]),
    "create": ("", ["make_reg", "write_file"]), "mkdir": ("", ["make_dir"]), "mkreg": ("", ["make_reg"]), "mkfifo": ("", ["make_fifo"]),
    "mksock": ("", ["make_sock"]), "mkchar": ("", ["make_char"]), "symlink": ("", ["make_sym"]),
}
CREATING = [deed for deed, (kind, _) in DEEDS.items() if not kind]

#: Devices that a sandbox has, and what is tried with them.
DEVICES = [(deed, path) for path in ("/dev/null", "/dev/zero", "/dev/full") for deed in ("read", "write", "update", "ioctl")] + [
    (deed, path) for path in ("/dev/random", "/dev/urandom") for deed in ("read", "ioctl")] + [("ioctl", "/dev/pts/ptmx"), ("list", "/dev/pts")]
IOCTL = ["read_file", "ioctl_dev"]

#: Places outside of the tree.
OTHERS = [("read", "/proc/self/status"), ("list", "/proc"), ("write", "/proc/self/comm"), ("read", "/etc/passwd"), ("list", "/"), ("list", "/etc"),
          ("write", "/etc/passwd"), ("remove", "/etc/passwd"), ("list", "/dev/shm"), ("list", "/sys")]

#: Calls that would take the prober's time or its own footing away.
LEFT_OUT = {"vfork", "rt_sigreturn", "pause", "rt_sigsuspend", "rt_sigtimedwait", "sync", "uretprobe", "uprobe", "vhangup", "ppoll", "poll", "select", "pselect6"}
#: What it needs itself.
NEEDED = set("""arch_prctl brk clock_gettime clock_nanosleep clone close execve exit exit_group faccessat fcntl fork fstat futex getpid getrandom
    gettid kill lseek mmap mprotect munmap nanosleep newfstatat open openat prctl pread64 prlimit64 read readlink readlinkat rseq rt_sigaction
    rt_sigprocmask rt_sigreturn set_robust_list set_tid_address sigaltstack tgkill vfork wait4 write writev ioctl
    mkdir mkdirat mknod mknodat rename renameat renameat2 rmdir symlink symlinkat truncate unlink unlinkat""".split())
#: Not to be had back (spec/policy.md).
ESCAPES = set("""io_uring_setup io_uring_enter io_uring_register unshare setns clone clone3 mount umount2 pivot_root fsopen fsconfig fsmount fspick
    move_mount open_tree open_tree_attr mount_setattr open_by_handle_at bpf userfaultfd perf_event_open init_module finit_module delete_module
    kexec_load kexec_file_load reboot keyctl add_key request_key""".split())
ERRNOS = ["EPERM", "EACCES", "ENOSYS", "ENOENT", "EINVAL", "ENOTSUP", "EAFNOSUPPORT", "EPROTONOSUPPORT"]
ALL_ONES = 2**64 - 1
#: Values that the profile compares with, and their neighbours.
VALUES = [0, 1, 2, 3, 6, 8, 10, 16, 17, 38, 40, 262, 0x1000, 0x1011, 0x5401, 0x5412, 0x5413, 0x541c, 0x80001, 0x10000000, 0x7e020000, 2**31,
          2**32 - 1, 2**32, 2**32 + 1, 2**40 | 0x5412, 2**63 - 1]

#: Calls that libseccomp, and the headers of this machine, may be too old for; the runtime takes them in rules without arguments only.
RECENT = {"cachestat": 451, "fchmodat2": 452, "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456, "statmount": 457,
           "listmount": 458, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460, "lsm_list_modules": 461, "mseal": 462, "setxattrat": 463,
           "getxattrat": 464, "listxattrat": 465, "removexattrat": 466, "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469}


@functools.cache
def call_numbers():
    """Number of every system call of this machine by name."""
    text = subprocess.run(["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"], check=True, capture_output=True, text=True).stdout
    found = {m[1]: int(m[2]) for m in re.finditer(r"^#define __NR_(\w+) (\d+)$", text, re.MULTILINE)}
    return {**RECENT, **found}


class Case:
    """One policy: `text` is its blueprint; `actions` are (line for the policy, line for the prober)."""

    def __init__(self, rng, number, actions):
        self.rng = rng
        self.name = f"case-{number}"
        self.directories = ["/t"] + [f"/t/{'/'.join(d)}" for d in _tree()]
        self.targets = []  # (kind, path) to be made
        self.actions = []
        rng.shuffle(self.directories)
        self._places()
        self._file_actions(actions // 2)
        self._rules()
        self._calls()
        self._call_actions(actions - actions // 2)

    def _places(self):
        """Mounts and the workspace, on directories of the tree."""
        rng, places = self.rng, iter([d for d in self.directories if d != "/t"])
        self.writable_root = rng.random() < 0.8
        self.mounts = [(next(places), rng.random() < 0.6, rng.random() < 0.5) for _ in range(rng.randint(0, 3))]
        self.workspace = next(places) if rng.random() < 0.4 else None

    def _file_actions(self, count):
        rng = self.rng
        for n in range(count):
            place = rng.random()
            if place < 0.08:
                deed, path = rng.choice(DEVICES)
            elif place < 0.14:
                deed, path = rng.choice(OTHERS)
            elif place < 0.2:
                deed, path = rng.choice(CREATING), f"{rng.choice(['/tmp', '/dev/shm', '/etc'])}/{n}"
            else:
                deed = rng.choice(list(DEEDS))
                path = f"{rng.choice(self.directories)}/{n}"
                if DEEDS[deed][0]:
                    self.targets.append((DEEDS[deed][0], path))
            rights = IOCTL if deed == "ioctl" else DEEDS[deed][1]
            self.actions.append((f"file {','.join(rights)} {path}", f"file {deed} {path}"))

    def _paths(self, most):
        """Some directories, and now and then a single file."""
        chosen = self.rng.sample(self.directories, self.rng.randint(0, most))
        files = [path for kind, path in self.targets if kind == "F"]
        if files and self.rng.random() < 0.5:
            chosen.append(self.rng.choice(files))
        return chosen

    def _rules(self):
        rng = self.rng
        self.read_only = self._paths(3)
        self.read_write = [p for p in self._paths(3) if p not in self.read_only]
        self.execute = self._paths(1)
        if rng.random() < 0.3:
            self.read_write.append("/tmp")
        if rng.random() < 0.3:
            self.read_only.append("/etc")
        self.rules = []
        for _ in range(rng.randint(0, 4)):
            rights = set(rng.sample(FILE_RIGHTS, rng.randint(1, 6)))
            # The runtime refuses a rule about a file without any right that a file has.
            paths = [p for p in self._paths(2) if rights & OF_FILES or p in self.directories]
            if paths:
                self.rules.append((sorted(rights), paths))

    def _calls(self):
        rng, numbers = self.rng, call_numbers()
        names = sorted(set(numbers) - LEFT_OUT)
        self.deny, self.allow = [], []
        for _ in range(rng.randint(0, 3)):
            conditional = rng.random() < 0.7
            free = [n for n in names if n not in NEEDED and (not conditional or n not in RECENT)]
            names_ = rng.sample(free, rng.randint(1, 3)) + (rng.sample(["socket", "ioctl", "personality", "prctl"], 1) if conditional else [])
            self.deny.append((sorted(set(names_)), self._conditions() if conditional else [], rng.choice(ERRNOS)))
        for _ in range(rng.randint(0, 2)):
            conditional = rng.random() < 0.6
            free = [n for n in names if n not in ESCAPES and (not conditional or n not in RECENT)]
            self.allow.append((rng.sample(free, rng.randint(1, 4)), self._conditions() if conditional else [], None))

    def _conditions(self):
        rng = self.rng
        result = []
        for index in rng.sample(range(3), rng.choice([1, 1, 2])):
            how = rng.choice(["eq", "eq", "masked_eq", "masked_eq", "ne", "lt", "le", "gt", "ge"])
            result.append((index, how, rng.choice(VALUES), rng.choice([0xff, 0xffffffff, 2**63 - 1]) if how == "masked_eq" else None))
        return result

    def _call_actions(self, count):
        rng, numbers = self.rng, call_numbers()
        known = sorted(set(numbers) - LEFT_OUT)
        written = [n for names, *_ in self.deny + self.allow for n in names]
        special = ["socket", "socketpair", "ioctl", "personality", "prctl", "clone", "execveat"]
        for _ in range(count):
            kind = rng.random()
            name = rng.choice(written if written and kind < 0.4 else special if kind < 0.7 else known)
            arguments = [ALL_ONES] * 6
            if name in written or name in special:
                interesting = [v for _, conditions, _ in self.deny + self.allow for _, _, v, _ in conditions] + VALUES
                arguments[:3] = (rng.choice(interesting) for _ in range(3))
                arguments[4] = rng.choice([0, 0x1000, ALL_ONES])
            if name == "clone":  # without a stack of its own, and no memory shared with the prober
                arguments = [rng.choice([17, 0, 0x10000000 | 17, 0x20000 | 17, 0x40000000, 0x80, 0x7e020080]), 0, 0, 0, 0, 0]
            text = " ".join(map(str, arguments))
            self.actions.append((f"call {name} {text}", f"call {numbers[name]} {text}"))

    @property
    def text(self):
        """The blueprint. Flow style and quotes: what is written is what is meant."""
        quoted = lambda items: "[" + ", ".join(f'"{i}"' for i in items) + "]"  # noqa: E731
        lines = ["apiVersion: nemoshell/v1", "kind: Blueprint", f"metadata: {{name: {self.name}, version: 1.0.0}}", "sandbox:",
                 f"  rootfs: {{directory: ./{self.name}/rootfs, writable: {str(self.writable_root).lower()}}}",
                 '  process: {args: ["/probe", "--actions"]}']
        if self.workspace:
            lines.append(f'  workspace: {{path: "{self.workspace}"}}')
        if self.mounts:
            lines.append("  mounts:")
            lines += [f'    - {{destination: "{d}", source: ./{self.name}/mount{n}, writable: {str(w).lower()}, executable: {str(x).lower()}}}'
                      for n, (d, w, x) in enumerate(self.mounts)]
        lines += ["policy:", "  filesystem:", f"    read_only: {quoted(['/probe'] + self.read_only)}", f"    read_write: {quoted(self.read_write)}",
                  f"    execute: {quoted(self.execute)}"]
        if self.rules:
            lines.append("    rules:")
            lines += [f"      - {{paths: {quoted(paths)}, allow: [{', '.join(rights)}]}}" for rights, paths in self.rules]
        if self.deny or self.allow:
            lines.append("  system_calls:")
        for field, entries in (("deny", self.deny), ("allow", self.allow)):
            if entries:
                lines.append(f"    {field}:")
            for names, conditions, errno in entries:
                arguments = ", ".join(f"{{index: {i}, comparison: {c}, value: {v}" + (f", mask: {m}" if m is not None else "") + "}"
                                      for i, c, v, m in conditions)
                more = (f", arguments: [{arguments}]" if conditions else "") + (f", errno: {errno}" if errno else "")
                lines.append(f"      - {{names: {quoted(names)}{more}}}")
        return "\n".join(lines) + "\n"

    def file_rules(self):
        """Every grant as (path, rights), built-in ones included."""
        device = [(f"/dev/{n}", {"read_file", "write_file"}) for n in ("null", "zero", "full")] + [
            (f"/dev/{n}", {"read_file"}) for n in ("random", "urandom")] + [
            (f"/dev/{n}", {"read_file", "read_dir", "write_file", "ioctl_dev"}) for n in ("tty", "pts")]
        own = [(p, READ_ONLY) for p in ["/probe"] + self.read_only] + [(p, READ_WRITE) for p in self.read_write] + [
            (p, {"execute"}) for p in self.execute] + [(p, set(rights)) for rights, paths in self.rules for p in paths]
        if self.workspace:
            own.append((self.workspace, READ_WRITE))
        return device + [("/proc", {"read_file", "read_dir"})] + own

    def read_only_mounts(self):
        """read_only below what is read-write: the kernel's Landlock cannot take writing away, a mount does."""
        writable = [path for path, rights in self.file_rules() if rights == READ_WRITE]
        return [p for p in self.read_only if any(p != w and inside(p, w) for w in writable)]


def inside(path, directory):
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _tree():
    names = ("a", "b", "c")
    for first in names:
        yield (first,)
        for second in names:
            yield (first, second)
            yield from ((first, second, third) for third in names[:2])


def lay_out(case, base, program):
    """Makes what the policy's paths lead to below `base`: the root file system, the mounts' sources and the workspace."""
    root = f"{base}/rootfs"
    for directory in case.directories:
        os.makedirs(root + directory, exist_ok=True)
    sources = {d: f"{base}/mount{n}" for n, (d, _, _) in enumerate(case.mounts)}
    if case.workspace:
        sources[case.workspace] = f"{base}/workspace"
    for place, source in sources.items():
        for directory in case.directories:
            if inside(directory, place):
                os.makedirs(source + directory[len(place):], exist_ok=True)
    for kind, path in case.targets:
        # The innermost mount holds the path.
        place = max((p for p in sources if inside(path, p)), key=len, default=None)
        real = root + path if place is None else sources[place] + path[len(place):]
        if kind == "D":
            os.mkdir(real)
        else:
            with open(program, "rb") as source, open(real, "wb") as copy:
                copy.write(source.read())
    for top in (root, *sources.values()):
        for directory, _, files in os.walk(top):
            for path in (directory, *(f"{directory}/{f}" for f in files)):
                os.chmod(path, 0o777)
                os.chown(path, 65532, 65532)
    return root, sources
