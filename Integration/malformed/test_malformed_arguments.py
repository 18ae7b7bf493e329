"""Hostile ids, cgroup paths, users, signals, paths of files, programs: contained or refused in every verb."""

import hashlib
import json
import os
import socket
import stat
import time

import pytest
from harness.arena import crashed

IDS = ["", ".", "..", "../victim", "../../victim", "/victim", "a/b", "a/../../victim", "a b", "a\nb", "a\tb", "-x",
       "x" * 5000, "a\\b", "caf\u00e9", "%2e%2e", "a:b", "a*"]

VERBS = {
    "create": lambda b, i: ["create", "--bundle", b, i],
    "run": lambda b, i: ["run", "--bundle", b, i],
    "start": lambda b, i: ["start", i],
    "state": lambda b, i: ["state", i],
    "kill": lambda b, i: ["kill", i, "KILL"],
    "delete": lambda b, i: ["delete", i],
    "delete --force": lambda b, i: ["delete", "--force", i],
    "exec": lambda b, i: ["exec", i, "/bin/true"],
    "pause": lambda b, i: ["pause", i],
    "resume": lambda b, i: ["resume", i],
    "update": lambda b, i: ["update", "--pids-limit", "10", i],
    "events": lambda b, i: ["events", "--stats", i],
    "ps": lambda b, i: ["ps", i],
}


def picture(path):
    """Everything below a directory: names, kinds, modes, owners, contents."""
    seen = {}
    for directory, names, files in os.walk(path):
        for name in names + files:
            full = f"{directory}/{name}"
            s = os.lstat(full)
            digest = ""
            if stat.S_ISREG(s.st_mode):
                with open(full, "rb") as f:
                    digest = hashlib.sha256(f.read()).hexdigest()
            seen[full] = (s.st_mode, s.st_uid, s.st_gid, digest)
    return seen


@pytest.fixture
def victim(arena):
    """A directory beside the state root that looks like a container's; it must stay as it is."""
    path = f"{arena.work}/victim"
    os.makedirs(f"{path}/inside")
    for name in ("state.json", "status", "config.json", "inside/file"):
        with open(f"{path}/{name}", "w") as f:
            f.write('{"id": "victim", "pid": 1}')
    os.makedirs(arena.root, exist_ok=True)
    before = picture(path)
    yield path
    assert picture(path) == before, "a directory outside --root was changed"


@pytest.mark.parametrize("verb", VERBS)
def test_ids(arena, victim, verb):
    """An id that is no plain name is refused by every verb, and nothing outside --root is touched."""
    b = arena.bundle("/bin/true")
    b.save()
    accepted = []
    for id in IDS:
        r = arena.runtime.call(*VERBS[verb](b.path, id), timeout=10)
        assert not crashed(r), (id, r)
        if r.code == 0:
            accepted.append(id)
        else:
            assert r.err.strip(), id
    # A `delete --force` of what does not exist may be a success, but not for a name that cannot exist.
    assert not accepted
    assert not os.listdir(arena.root)


@pytest.mark.parametrize("id", ["a", "A9", "a_b", "a.b", "a-b", "a+b", "0", "x" * 200])
def test_good_ids(arena, id):
    """The plain names that engines use are accepted."""
    arena.runtime.ids.append(id)
    arena.runtime.run(arena.bundle("/bin/true"), id=id).ok()
    assert not os.path.exists(f"{arena.root}/{id}")


@pytest.mark.parametrize("path", ["../../../nst-out", "/../../nst-out", "a/../../../nst-out", "/..", "..", "a\nb",
                                  "/" + "x" * 5000])
def test_cgroups_path(arena, path):
    """A cgroup path cannot leave the hierarchy: refused, or contained below its root."""
    b = arena.bundle("/bin/true")
    b.config["linux"]["cgroupsPath"] = path
    id = arena.runtime.new_id()
    r = arena.runtime.run(b, id=id)
    assert not crashed(r)
    for parent in ("/sys/fs", "/sys/fs/cgroup", "/sys", "/"):
        assert "nst-out" not in os.listdir(parent)
    arena.runtime.call("delete", "--force", id)
    left = [d for d in os.listdir("/sys/fs/cgroup/pids") if d.startswith("nst-out") or d == "a\nb"]
    assert not left
    assert not arena.settled([id])


@pytest.mark.parametrize("parent", ["{token}-p/q", "/{token}-p/q"])
def test_good_cgroups_path(arena, parent):
    b = arena.bundle("/bin/sh", "-c", "cat /proc/self/cgroup")
    b.config["linux"]["cgroupsPath"] = parent.format(token=arena.token)
    out = arena.runtime.run(b).ok().out
    assert f"{arena.token}-p/q" in out
    arena.scrub()  # a parent made on the way may stay, as with any runtime


#: form -> what it means: (uid, gid), or None when it must be refused.
USERS = {"0": (0, 0), "1": (1, 0), "1000": (1000, 1000), "1000:1000": (1000, 1000), "1000:7": (1000, 7),
         "4294967295": None, "4294967296": None, "18446744073709551616": None, "-1": None, "1:-1": None,
         "1:4294967296": None, ":": None, "1:": None, ":1": None, "0x1": None, "1e1": None, "1 ": None,
         " 1": None, "+1": None, "1:2:3": None, "nobody-such": None, "../root": None, "1\n": None}


def test_exec_users(arena):
    """Forms of `exec --user`: a number is a uid in its bounds, never a name and never root by accident."""
    b = arena.bundle("/bin/sleep", "1000")
    with open(f"{b.rootfs}/etc/passwd", "a") as f:
        f.write("4294967296:x:0:0::/:/bin/sh\n-1:x:0:0::/:/bin/sh\n0x1:x:0:0::/:/bin/sh\n18446744073709551616:x:0:0::/:\n")
    id = arena.runtime.start_detached(b)
    wrong = []
    for form, expected in USERS.items():
        r = arena.runtime.call("exec", f"--user={form}", id, "/bin/sh", "-c", "echo $(id -u) $(id -g)")
        got = tuple(int(n) for n in r.out.split()) if r.code == 0 and r.out.strip() else None
        if crashed(r):
            wrong.append(f"{form!r}: {crashed(r)}")
        elif expected is None and got is not None and (got[0] == 0 or form not in (":", "1:", ":1")):
            wrong.append(f"{form!r}: accepted as {got}")
        elif expected is not None and (got is None or got[0] != expected[0]
                                       or (":" in form and got[1] != expected[1])):
            wrong.append(f"{form!r}: {got} instead of {expected}: {r.err.strip()[:150]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("uid", [-1, 2**32, 2**32 - 1, 2**64, -2**63 - 1, 10**40, pytest.param(10**4000, id="4001-digits"), "0", 1.5])
def test_config_users(arena, uid):
    """The same bounds in config.json; the field is named whatever the number."""
    b = arena.bundle("/bin/sh", "-c", "id -u")
    b.config["process"]["user"]["uid"] = uid
    r = arena.runtime.run(b)
    assert not crashed(r)
    r.failed("/process/user/uid")


def something(arena, kind):
    """A path of the given kind that does not suit for a file to be written."""
    path = f"{arena.work}/odd"
    if kind == "directory":
        os.mkdir(path)
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "full device":
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 7))  # one of its own: a pid file is renamed into place
    elif kind == "very long":
        return f"{arena.work}/" + "x" * 4096
    elif kind == "long name":
        return f"{arena.work}/" + "x" * 300
    elif kind == "missing parent":
        return f"{arena.work}/none/file"
    elif kind == "parent is a file":
        open(path, "w").close()
        return f"{path}/file"
    elif kind == "link loop":
        os.symlink("odd", path)
    elif kind == "empty":
        return ""
    return path


KINDS = ["directory", "FIFO", "full device", "very long", "long name", "missing parent", "parent is a file", "link loop",
         "empty"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flag", ["--pid-file", "--log", "--console-socket"])
def test_odd_paths(arena, flag, kind):
    """--pid-file, --log, --console-socket on something else than expected: no hang, no crash, nothing left after a
    refusal."""
    b = arena.bundle("/bin/sleep", "1000")
    b.config["process"]["terminal"] = flag == "--console-socket"
    b.save()
    id = arena.runtime.new_id()
    odd = something(arena, kind)
    command = ["create", "--bundle", b.path, id]
    command = [flag, odd, *command] if flag == "--log" else ["create", flag, odd, *command[1:]]
    r = arena.runtime.call(*command, timeout=10)
    assert not crashed(r), r
    if r.code != 0:
        assert r.err.strip() or flag == "--log", r
        assert not arena.settled([id]), r.err
    else:
        replaceable = kind in ("empty", "FIFO", "full device", "link loop")
        assert flag == "--log" or (flag == "--pid-file" and replaceable), "accepted"
        assert not arena.remove(id)


def test_relative_paths(arena):
    """Relative --pid-file, --log and --bundle are relative to the caller's directory."""
    b = arena.bundle("/bin/sleep", "1000")
    b.save()
    id = arena.runtime.new_id()
    name = os.path.basename(b.path)
    arena.runtime.call("--log", "log", "create", "--bundle", name, "--pid-file", "pid", id, cwd=arena.work).ok()
    with open(f"{arena.work}/pid") as f:
        assert int(f.read()) == arena.runtime.state(id)["pid"]
    assert arena.runtime.state(id)["bundle"] == b.path
    assert not arena.remove(id)


def test_pid_file_is_whole(arena):
    """Whoever looks at the pid file sees none, or the whole number: it is renamed into place."""
    b = arena.bundle("/bin/sleep", "1000")
    b.save()
    path = f"{arena.work}/pid"
    for _ in range(5):
        id = arena.runtime.new_id()
        p = arena.popen(arena.runtime.argv("create", "--bundle", b.path, "--pid-file", path, id))
        seen = set()
        while p.poll() is None:
            try:
                with open(path) as f:
                    seen.add(f.read())
            except FileNotFoundError:
                continue
        assert p.returncode == 0
        with open(path) as f:
            assert seen <= {f.read()}, seen
        os.unlink(path)
        assert not arena.remove(id)


def test_pid_file_through_a_link(arena):
    """An old pid file, also as a symlink to a canary: the canary is not written through."""
    canary = f"{arena.work}/canary"
    with open(canary, "w") as f:
        f.write("canary")
    os.symlink(canary, f"{arena.work}/pid")
    b = arena.bundle("/bin/sleep", "1000")
    arena.runtime.create(b, "--pid-file", f"{arena.work}/pid").ok()
    with open(canary) as f:
        assert f.read() == "canary"


@pytest.mark.parametrize("kind", ["nobody listens", "a file", "closes at once", "never reads"])
def test_console_socket(arena, kind):
    """A console socket that takes no terminal: refused or created, but never hanging."""
    path = f"{arena.work}/console"
    server = None
    if kind == "a file":
        open(path, "w").close()
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        if kind != "nobody listens":
            server.listen(1)
    b = arena.bundle("/bin/sleep", "1000")
    b.config["process"]["terminal"] = True
    r = arena.runtime.create(b, "--console-socket", path, timeout=10)
    assert not crashed(r)
    if kind in ("a file", "nobody listens"):
        r.failed()
        assert not arena.settled([r.id]), r.err
    if server:
        server.close()
    assert not arena.remove(r.id)


DAMAGE = ["empty", "{}", "null", "[]", "half", "other id", "negative pid", "pid of another", "pid as text", "huge pid",
          "1 MiB", "not UTF-8", "directory", "FIFO", "link to /dev/zero", "dangling link", "missing", "no files",
          "entry is a file", "entry is a link"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_state(arena, damage):
    """Whatever has become of one container's entry: an error, `list` shows the others, `delete --force` cleans up."""
    runtime = arena.runtime
    good = runtime.create(arena.bundle("/bin/sleep", "1000")).ok().id
    id = runtime.create(arena.bundle("/bin/sleep", "1000")).ok().id
    pid = runtime.state(id)["pid"]
    entry = f"{arena.root}/{id}"
    path = next(f"{entry}/{n}" for n in ("state.json", "status") if os.path.exists(f"{entry}/{n}"))
    with open(path, "rb") as f:
        text = f.read()
    bystander = arena.popen(["/bin/sleep", "1000"])
    new = {"empty": b"", "{}": b"{}", "null": b"null", "[]": b"[]", "half": text[:len(text) // 2],
           "other id": text.replace(id.encode(), good.encode()),
           "negative pid": text.replace(str(pid).encode(), b"-1"),
           "pid of another": text.replace(str(pid).encode(), str(bystander.pid).encode()),
           "pid as text": text.replace(str(pid).encode(), b'"x"'),
           "huge pid": text.replace(str(pid).encode(), b"99999999999999999999"),
           "1 MiB": b"x" * (1 << 20), "not UTF-8": text.replace(b'"', b'\xff"', 4)}.get(damage)
    if new is not None:
        with open(path, "wb") as f:
            f.write(new)
    elif damage == "entry is a file" or damage == "entry is a link":
        os.rename(entry, f"{arena.work}/entry")
        if damage == "entry is a file":
            open(entry, "w").close()
        else:
            os.symlink(f"{arena.work}/entry", entry)
    elif damage == "no files":
        for name in os.listdir(entry):
            os.unlink(f"{entry}/{name}")
    else:
        os.unlink(path)
        if damage == "directory":
            os.mkdir(path)
        elif damage == "FIFO":
            os.mkfifo(path)
        elif damage == "link to /dev/zero":
            os.symlink("/dev/zero", path)
        elif damage == "dangling link":
            os.symlink("nowhere", path)
    wrong = []
    for command in (["state", id], ["list"], ["list", "--format", "json"], ["kill", id, "CONT"], ["start", id],
                    ["exec", id, "/bin/true"], ["delete", id], ["delete", "--force", id]):
        try:
            r = runtime.call(*command, timeout=3)
        except AssertionError as hang:
            wrong.append(str(hang))
            break
        if crashed(r):
            wrong.append(f"{command[0]}: {crashed(r)}")
        if command[0] == "list":
            if r.code != 0 or good not in r.out:
                wrong.append(f"list does not show the others: exit {r.code}: {r.err.strip()[:200]}")
        if command[:2] == ["delete", "--force"] and r.code != 0 and not damage.startswith("entry is"):
            wrong.append(f"delete --force: exit {r.code}: {r.err.strip()[:200]}")
    if bystander.poll() is not None:
        wrong.append("a stranger was killed")
    if runtime.state(good) is None or runtime.state(good)["status"] != "created":
        wrong.append("the other container was hurt")
    if not damage.startswith("entry is"):
        if os.path.lexists(entry):
            wrong.append("delete --force leaves the entry")
        if os.path.exists(f"/proc/{pid}") and pid in arena.strays() and damage not in (
                "pid of another", "negative pid", "other id", "no files"):
            wrong.append("delete --force leaves the container's process")
    arena.runtime.call("delete", "--force", good)
    arena.scrub()
    assert not wrong, "\n".join(wrong)


#: Names that a runtime may not know.
REAL_TIME = {"RTMIN", "SIGRTMIN+1", "RTMAX", "RTMAX-1"}

#: argument -> the signal it means, or None when it must be refused.
SIGNALS = {"TERM": 15, "SIGTERM": 15, "term": 15, "sigterm": 15, "15": 15, "KILL": 9, "9": 9, "HUP": 1, "USR1": 10,
           "SIGUSR2": 12, "RTMIN": 34, "SIGRTMIN+1": 35, "RTMAX": 64, "RTMAX-1": 63, "64": 64,
           "0": "asks", "-1": None, "65": None, "1e1": None, "0x9": None, "9 ": None, " 9": None,
           "SIG": None, "SIGSIGTERM": None, "NOSUCH": None, "99999999999999999999": None, "KILL\n": None, "9.0": None}


def test_kill_signals(arena):
    """Names with and without SIG, in both cases, and numbers; everything else is refused and sends nothing."""
    names = " ".join(str(n) for n in (1, 10, 12, 15, 34, 35, 63, 64))
    script = f"for n in {names}; do trap \"echo $n >> /tmp/got\" $n; done; while :; do sleep 0.01; done"
    b = arena.bundle("/bin/sh", "-c", script)
    got = f"{b.rootfs}/tmp/got"
    wrong = []
    id = arena.runtime.start_detached(b)
    time.sleep(0.2)
    for argument, meant in SIGNALS.items():
        if meant == 9:
            continue
        if os.path.exists(got):
            os.unlink(got)
        r = arena.runtime.call("kill", "--", id, argument) if argument.startswith("-") else \
            arena.runtime.call("kill", id, argument)
        if crashed(r):
            wrong.append(f"{argument!r}: {crashed(r)}")
        if meant is None and r.code == 0:
            wrong.append(f"{argument!r}: accepted")
        if isinstance(meant, int) and not (r.code != 0 and argument in REAL_TIME):
            end = time.monotonic() + 2
            while not (os.path.exists(got) and os.path.getsize(got)) and time.monotonic() < end and r.code == 0:
                time.sleep(0.005)
            seen = open(got).read().split() if os.path.exists(got) else []
            if r.code != 0 or seen != [str(meant)]:
                wrong.append(f"{argument!r}: exit {r.code}, arrived {seen}, meant {meant}: {r.err.strip()[:100]}")
    if (arena.runtime.state(id) or {}).get("status") != "running":
        wrong.append("the container is not running any more")
    assert not wrong, "\n".join(wrong)
    for argument in ("KILL", "9"):
        id = arena.runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
        arena.runtime.call("kill", id, argument).ok()
        arena.runtime.wait_status(id, "stopped")


PROGRAMS = {
    "no arguments": [], "an empty argument": [""], "not there": ["/no/such"], "not in PATH": ["no-such"],
    "a directory": ["/etc"], "not executable": ["/plain"], "a script without interpreter": ["/script"],
    "no executable format": ["/garbage"], "an empty file": ["/empty"], "a dangling link": ["/dangling"],
    "a link loop": ["/loop"], "a path through a file": ["/plain/x"], "a very long path": ["/" + "x" * 5000],
    "a FIFO": ["/fifo"], "too many bytes": ["/bin/true", "x" * 200000],
}


def odd_programs(rootfs):
    for name, text, mode in (("plain", "x", 0o644), ("script", "#!/no/interpreter\n", 0o755),
                             ("garbage", "\x7fELFgarbage", 0o755), ("empty", "", 0o755)):
        with open(f"{rootfs}/{name}", "w") as f:
            f.write(text)
        os.chmod(f"{rootfs}/{name}", mode)
    os.symlink("/nowhere", f"{rootfs}/dangling")
    os.symlink("/loop", f"{rootfs}/loop")
    os.mkfifo(f"{rootfs}/fifo", 0o755)


@pytest.mark.parametrize("what", PROGRAMS)
def test_programs(arena, what):
    """process.args that cannot be executed: a refusal from `run` that leaves nothing, exit 1; from `exec` 255 (or
    126/127), and the container goes on."""
    b = arena.bundle(*PROGRAMS[what])
    b.config["process"]["args"] = PROGRAMS[what]
    odd_programs(b.rootfs)
    id = arena.runtime.new_id()
    r = arena.runtime.run(b, id=id, timeout=10)
    assert not crashed(r)
    r.failed()
    assert r.code in (1, 126, 127), r.code
    assert r.err.strip()
    assert not arena.settled([id]), r.err
    if what == "not in PATH":
        assert "executable file not found in $PATH" in r.err
    if what == "not there":
        assert "no such file or directory" in r.err
    if what in ("not executable", "a directory"):
        assert "permission denied" in r.err or "is a directory" in r.err
    id = arena.runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    if what != "too many bytes":
        r = arena.runtime.call("exec", id, *PROGRAMS[what], timeout=10)
        assert not crashed(r)
        assert r.code in (255, 126, 127, 1), r.code
        assert r.err.strip()
    assert arena.runtime.state(id)["status"] == "running"


def test_what_cannot_run_is_refused_by_create(arena):
    """A program that is not there is known at create: start is never reached."""
    r = arena.runtime.create(arena.bundle("/no/such"))
    r.failed("no such file or directory", code=1)
    assert not arena.settled([r.id])


ARGUMENTS = [["create"], ["run"], ["start"], ["state"], ["kill"], ["delete"], ["exec"], ["exec", "x"], ["pause"],
             ["resume"], ["ps"], ["update"], ["events"], ["nosuch"], ["state", "a", "b"], ["start", "a", "b"],
             ["delete", "--nosuch", "a"], ["kill", "a", "b", "c"], ["list", "--format", "xml"],
             ["--log-format", "xml", "list"], ["--root"], ["create", "--bundle"], ["run", "--preserve-fds", "-1", "x"],
             ["run", "--preserve-fds", "x", "x"], ["run", "--preserve-fds", "99999999999", "x"],
             ["update", "--memory", "12Q", "x"], ["update", "--pids-limit", "x", "x"], ["events", "--interval", "x", "x"],
             ["list", "surplus"], ["features", "surplus"], ["--nosuch"], ["exec", "--env"], ["update", "-r"]]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_arguments(arena, arguments):
    """Wrong use: an error on stderr, status not 0, nothing made."""
    r = arena.runtime.call(*arguments, timeout=10, cwd=arena.work)
    assert not crashed(r)
    r.failed()
    assert r.err.strip()
    assert not arena.settled()


def test_update_resources_texts(arena):
    """`update --resources` with broken JSON: refused, and the limits are as before."""
    b = arena.bundle("/bin/sleep", "1000")
    b.config["linux"]["resources"]["pids"] = {"limit": 33}
    id = arena.runtime.start_detached(b)
    for text in ("", "{", "[]", "null x", '{"pids": {"limit": "x"}}', '{"pids": 1}', '{"memory": {"limit": 1e400}}',
                 '{"pids": {"limit": 5}, "pids": {"limit": 6}}'):
        r = arena.runtime.call("update", "--resources", "-", id, stdin=text)
        assert not crashed(r)
        r.failed()
    pid = arena.runtime.state(id)["pid"]
    group = next(line.split(":", 2)[2] for line in open(f"/proc/{pid}/cgroup").read().splitlines() if ":pids:" in line)
    assert open(f"/sys/fs/cgroup/pids{group}/pids.max").read().strip() == "33"


def test_process_file(arena):
    """`exec --process` with hostile files: refused, the container goes on."""
    id = arena.runtime.start_detached(arena.bundle("/bin/sleep", "1000"))
    good = {"args": ["/bin/true"], "cwd": "/", "user": {"uid": 0, "gid": 0}}
    path = f"{arena.work}/process.json"

    def attempt(text):
        with open(path, "w") as f:
            f.write(text)
        r = arena.runtime.call("exec", "--process", path, id, timeout=10)
        assert not crashed(r)
        return r

    attempt(json.dumps(good)).ok()
    for bad in ("", "{", "[]", "null", json.dumps({**good, "args": []}), json.dumps({**good, "args": "x"}),
                json.dumps({**good, "cwd": 1}), json.dumps({**good, "user": {"uid": -1, "gid": 0}}),
                json.dumps({**good, "cwd": "relative"}), json.dumps({**good, "cwd": ""}),
                json.dumps({**good, "capabilities": {"bounding": ["CAP_X"]}, "rlimits": [{"type": "X"}]})):
        attempt(bad).failed()
    assert arena.runtime.state(id)["status"] == "running"
