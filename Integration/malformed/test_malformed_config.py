"""Hostile config.json: a clean answer within seconds, never a crash, never something left."""

import json
import os
import random
import resource

import pytest
from harness import minimal_config
from harness.arena import brief, crashed
from harness.inject import ALL, SEED
from harness.mutate import EXTREME, WRONG, paths, pointer, removed, replaced

#: Whatever a bad configuration makes a runtime do to mounts, host name or network, it does it to these namespaces.
AROUND = ["unshare", "--mount", "--uts", "--ipc", "--net", "--propagation", "private"]


def full_config():
    """A good configuration with a value in most fields."""
    config = minimal_config("/bin/true")
    config["process"].update(
        consoleSize={"height": 25, "width": 80},
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}],
        oomScoreAdj=10,
        env=["PATH=/bin", "A=b"],
        user={"uid": 0, "gid": 0, "umask": 18, "additionalGids": [5, 6]},
    )
    config["domainname"] = "domain"
    config["annotations"] = {"org.example.key": "value"}
    config["hooks"] = {"poststop": [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5}]}
    config["linux"].update(
        sysctl={"net.ipv4.ip_forward": "0"},
        rootfsPropagation="private",
        devices=[{"path": "/dev/nst", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
        seccomp={"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                 "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                               "args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]}]},
    )
    config["linux"]["resources"] = {
        "devices": [{"allow": False, "access": "rwm"},
                    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
        "memory": {"limit": 64 << 20, "reservation": 32 << 20},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 100},
        "blockIO": {"weight": 0},
    }
    del config["linux"]["resources"]["blockIO"]  # not every kernel has weights
    return config


def attempt(arena, bundle, text, id, timeout=10):
    """Runs a bundle whose config.json is `text` (bytes); returns the result, and what is wrong with it."""
    with open(f"{bundle.path}/config.json", "wb") as f:
        f.write(text)
    runtime = arena.runtime
    runtime.prefix = AROUND
    try:
        r = runtime.call("run", "--bundle", bundle.path, id, timeout=timeout)
    except AssertionError as error:
        return None, [str(error), *clean(arena, id)]
    finally:
        runtime.prefix = []
    wrong = [crashed(r)] if crashed(r) else []
    if r.code != 0:
        lines = r.err.strip().splitlines()
        if not lines:
            wrong.append("refused without a word")
        left = arena.settled([id], within=1)
        if left:
            wrong.append(f"refused ({brief(r)}), but left {left}")
    return r, wrong + clean(arena, id)


def clean(arena, id):
    return arena.remove(id) if arena.residue([id]) else []


def sampled(cases, count, label):
    return cases if ALL else random.Random(f"{SEED}/{label}").sample(cases, min(count, len(cases)))


@pytest.fixture
def prepared(arena):
    """(bundle, id, good configuration), the good configuration shown to be good."""
    bundle = arena.bundle(config=full_config())
    id = arena.runtime.new_id()
    arena.runtime.run(bundle, id=id).ok()
    return bundle, id, bundle.config


def test_wrong_types(arena, prepared):
    """Every known field with a value of another type: refused, and the message names the field."""
    bundle, id, good = prepared
    cases = [(path, value) for path, old in paths(good) for value in WRONG[type(old)]]
    wrong = []
    for path, value in sampled(cases, 150, "types"):
        r, bad = attempt(arena, bundle, json.dumps(replaced(good, path, value)).encode(), id)
        label = f"{pointer(path)} = {json.dumps(value)}"
        if r is not None and r.code == 0:
            bad.append("accepted")
        elif r is not None and pointer(path) not in r.err:
            bad.append(f"the message does not name the field: {brief(r)}")
        wrong += [f"{label}: {b}" for b in bad]
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:25])


def test_extremes(arena, prepared):
    """Values of the right type at and beyond every bound, nulls and oddities: accepted or refused, nothing else."""
    bundle, id, good = prepared
    cases = [(path, value) for path, old in paths(good) for value in EXTREME[type(old)]
             if path[:2] != ("linux", "namespaces") or value is not None]
    wrong = []
    for path, value in sampled(cases, 150, "extremes"):
        _, bad = attempt(arena, bundle, json.dumps(replaced(good, path, value)).encode(), id)
        wrong += [f"{pointer(path)} = {json.dumps(value)[:40]}: {b}" for b in bad]
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:25])


def test_missing_fields(arena, prepared):
    """Every field left out, one at a time; a required one is named in the refusal."""
    bundle, id, good = prepared
    required = {("process", "cwd"), ("root", "path"), ("mounts", 0, "destination"),
                ("process", "args"), ("linux", "namespaces", 0, "type"), ("process", "rlimits", 0, "type"),
                ("process", "rlimits", 0, "hard"), ("linux", "devices", 0, "path"), ("linux", "devices", 0, "type"),
                ("linux", "seccomp", "defaultAction"), ("linux", "seccomp", "syscalls", 0, "names"),
                ("linux", "seccomp", "syscalls", 0, "action"), ("hooks", "poststop", 0, "path")}
    wrong = []
    cases = [path for path, _ in paths(good) if path != ("linux",)]
    for path in sorted(required, key=str) + sampled([c for c in cases if c not in required], 50, "missing"):
        r, bad = attempt(arena, bundle, json.dumps(removed(good, path)).encode(), id)
        if path in required and r is not None:
            if r.code == 0:
                bad.append("accepted although it is required")
            elif str(path[-1]) not in r.err:
                bad.append(f"the message does not name it: {brief(r)}")
        wrong += [f"without {pointer(path)}: {b}" for b in bad]
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:25])


def broken_texts(text):
    """(name, bytes) of documents that are no JSON, or not the JSON they should be."""
    yield "empty", b""
    yield "only white space", b" \n\t"
    yield "a number", b"1"
    yield "an array", b"[" + text + b"]"
    yield "null", b"null"
    yield "a string", b'"config"'
    yield "cut in the middle", text[:len(text) // 2]
    yield "last byte missing", text[:-1]
    yield "something after it", text + b"x"
    yield "a second document after it", text + text
    yield "a NUL byte after it", text + b"\0"
    yield "a NUL byte inside", text.replace(b"rootfs", b"root\0fs")
    yield "not UTF-8", text.replace(b'"box"', b'"\xff\xfe"')
    yield "overlong UTF-8", text.replace(b'"box"', b'"\xc0\xaf"')
    yield "a surrogate in UTF-8", text.replace(b'"box"', b'"\xed\xa0\x80"')
    yield "a lone surrogate", text.replace(b'"box"', b'"\\ud800"')
    yield "an escaped NUL", text.replace(b'"box"', b'"b\\u0000x"')
    yield "UTF-16", text.decode().encode("utf-16")
    yield "single quotes", text.replace(b'"', b"'")
    yield "a trailing comma", text[:-1] + b",}"
    yield "a comment", b"/* */" + text
    yield "NaN", text.replace(b'"box"', b"NaN")
    yield "a huge exponent", text.replace(b'"soft": 100', b'"soft": 1e400')
    yield "a hexadecimal number", text.replace(b'"soft": 100', b'"soft": 0x64')
    yield "a leading zero", text.replace(b'"soft": 100', b'"soft": 0100')
    yield "a fraction", text.replace(b'"soft": 100', b'"soft": 100.5')
    yield "a duplicate key", b'{"ociVersion": "1.0.2", ' + text[1:]
    yield "a duplicate key deep inside", text.replace(b'"soft": 100', b'"soft": 100, "soft": 100')


def test_broken_texts(arena, prepared):
    """No JSON, or JSON twice over: refused."""
    bundle, id, good = prepared
    text = json.dumps(good).encode()
    wrong = []
    for name, broken in broken_texts(text):
        assert broken != text, name
        r, bad = attempt(arena, bundle, broken, id)
        if r is not None and r.code == 0:
            bad.append("accepted")
        wrong += [f"{name}: {b}" for b in bad]
    assert not wrong, "\n".join(wrong)


def test_syntax_errors_have_a_place(arena, prepared):
    """The message on broken JSON says line and column."""
    bundle, id, _ = prepared
    r, bad = attempt(arena, bundle, b'{\n  "ociVersion": "1.0.2",\n  "process": {]\n}', id)
    assert not bad and r.code != 0
    assert "3" in r.err and "config.json" in r.err, r.err


@pytest.mark.parametrize("cut", range(10))
def test_truncated_anywhere(arena, prepared, cut):
    bundle, id, good = prepared
    text = json.dumps(good).encode()
    where = random.Random(f"{SEED}/cut/{cut}").randrange(1, len(text) - 1)
    r, bad = attempt(arena, bundle, text[:where], id)
    assert not bad, (where, bad)
    assert r.code == 1, where


def big(kind):
    """A configuration that is large in one way, and whether it may be accepted."""
    config = full_config()
    if kind == "a string of 64 MiB":
        config["annotations"]["x"] = "x" * (64 << 20)
    elif kind == "3000 mounts":
        config["mounts"] += [{"destination": f"/mnt/{n}", "type": "tmpfs", "source": "x"} for n in range(3000)]
    elif kind == "9000 id maps":
        config["linux"]["namespaces"].append({"type": "user"})
        config["linux"]["uidMappings"] = [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(9000)]
        config["linux"]["gidMappings"] = config["linux"]["uidMappings"]
    elif kind == "an environment of 4 MiB":
        config["process"]["env"] = [f"V{n}=" + "x" * 1000 for n in range(4096)]
    elif kind == "100000 arguments":
        config["process"]["args"] = ["/bin/true"] + ["x"] * 100000
    elif kind == "5000 rlimits":
        config["process"]["rlimits"] *= 5000
    elif kind == "20000 system calls":
        config["linux"]["seccomp"]["syscalls"] = [
            {"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO", "errnoRet": n % 100 + 1} for n in range(20000)]
    elif kind == "2000 devices":
        config["linux"]["devices"] = [{"path": f"/dev/n{n}", "type": "c", "major": 1, "minor": 3}
                                      for n in range(2000)]
    return json.dumps(config).encode()


DEEP = {
    "arrays 200000 deep": b"[" * 200000,
    "closed arrays 200000 deep": b'{"ociVersion": ' + b"[" * 200000 + b"]" * 200000 + b"}",
    "objects 200000 deep": b'{"a":' * 200000,
}


@pytest.mark.parametrize("kind", [*DEEP, "a string of 64 MiB", "3000 mounts", "9000 id maps", "an environment of 4 MiB",
                                  "100000 arguments", "5000 rlimits", "20000 system calls", "2000 devices"])
def test_size(arena, kind):
    """Large documents: an answer in bounded time and less than 512 MiB of memory."""
    bundle = arena.bundle("/bin/true")
    text = DEEP.get(kind) or big(kind).replace(b'"path": "rootfs"', b'"path": "%s"' % bundle.rootfs.encode())
    r, bad = attempt(arena, bundle, text, arena.runtime.new_id(), timeout=30)
    assert not bad, bad
    if kind in DEEP or kind == "an environment of 4 MiB":
        assert r.code != 0
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak < 512 << 10, f"{peak} KiB"


@pytest.mark.parametrize("what", ["a directory", "a FIFO", "missing", "a link to itself", "unreadable device",
                                  "the bundle is a file", "the bundle is missing", "endless"])
def test_no_config(arena, what):
    """config.json is something else than a file: refused at once."""
    bundle = arena.bundle("/bin/true")
    path = f"{bundle.path}/config.json"
    where = bundle.path
    if what == "a directory":
        os.mkdir(path)
    elif what == "a FIFO":
        os.mkfifo(path)
    elif what == "a link to itself":
        os.symlink("config.json", path)
    elif what == "unreadable device":
        os.symlink("/dev/full", path)
    elif what == "endless":
        os.symlink("/dev/zero", path)
    elif what == "the bundle is a file":
        where = f"{arena.work}/file"
        open(where, "w").close()
    elif what == "the bundle is missing":
        where = f"{arena.work}/none"
    r = arena.runtime.call("run", "--bundle", where, arena.runtime.new_id(), timeout=10)
    assert not crashed(r), r
    r.failed(code=1)
    assert r.err.strip()


