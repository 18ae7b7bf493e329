"""What a wrong configuration gets: one line that names the field or path and the errno, exit 1, and nothing left behind."""

import json
import os

import pytest

from inside import sleeper


def refused(runtime, bundle, *texts):
    """create fails with one line that holds the texts and leaves no container; the fixture looks for the rest."""
    r = runtime.create(bundle).failed(*texts, code=1)
    assert len(r.err.strip().splitlines()) == 1, r.err
    assert r.out == ""
    assert runtime.state(r.id) is None
    return r


def raw(bundle, text):
    """Makes config.json exactly this text."""
    bundle.save = lambda: None
    with open(f"{bundle.path}/config.json", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())


def config_text(bundle):
    return json.dumps(bundle.config, indent=1)


# -- not JSON

@pytest.mark.parametrize("text, says", [
    ("", "config.json"), ("{", "line 1"), ('{\n "ociVersion": "1.0.2",\n oops\n}', "line 3"), ("[]", "object"), ("null", "line 1"),
    ('"text"', "line 1"), ("{} trailing", "line 1"), ('{"a": 01}', "line 1"), ('{"a": "\\x"}', "line 1"), ("\0", "config.json"),
    (b'{"a": "\xff\xfe"}', "line 1"), ("{'a': 1}", "line 1"), ('{"a": 1,}', "line 1"), ("\ufeff{}", "config.json"), ('{"root": {"path": "root\\u0000fs"}}', "config.json"),
])
def test_malformed_json(runtime, bundle, text, says):
    raw(bundle, text)
    refused(runtime, bundle, says)


def test_malformed_json_names_line_and_column(runtime, bundle):
    raw(bundle, '{\n  "ociVersion": "1.0.2",\n  "process": {"cwd": /}\n}')
    refused(runtime, bundle, "config.json", "line 3", "column")


def test_deep_nesting(runtime, bundle):
    raw(bundle, "[" * 200000)
    refused(runtime, bundle, "config.json")
    raw(bundle, '{"a":' * 100000)
    refused(runtime, bundle, "config.json")


@pytest.mark.parametrize("where", ["top", "process", "nested"])
def test_duplicate_keys(runtime, bundle, where):
    text = config_text(bundle)
    text = {"top": text.replace('"hostname": "box"', '"hostname": "box", "hostname": "other"', 1),
            "process": text.replace('"cwd": "/"', '"cwd": "/", "cwd": "/tmp"', 1),
            "nested": text.replace('"uid": 0', '"uid": 0, "uid": 1000', 1)}[where]
    raw(bundle, text)
    refused(runtime, bundle, "duplicate")


def test_unknown_fields_are_ignored(runtime, bundle):
    """config.md "Extensibility"."""
    bundle.config["org.example.extension"] = {"any": [1, 2]}
    bundle.config["process"]["unknown"] = True
    bundle.config["linux"]["unknown"] = None
    bundle.config["solaris"] = bundle.config["windows"] = {}
    runtime.run(bundle).ok()


# -- fields

def change(config, pointer, value):
    *parents, last = pointer.strip("/").split("/")
    for key in parents:
        config = config[int(key)] if isinstance(config, list) else config.setdefault(key, {})
    if value is KeyError:
        del config[last]
    else:
        config[int(last) if isinstance(config, list) else last] = value


@pytest.mark.parametrize("pointer, value", [
    ("/ociVersion", 1), ("/process", []), ("/process", "x"), ("/process/args", "sh"), ("/process/args", []), ("/process/args", [5]),
    ("/process/args/0", None), ("/process/args", KeyError), ("/process/env", {"A": "1"}), ("/process/env", [1]),
    ("/process/cwd", KeyError), ("/process/cwd", 7), ("/process/cwd", "relative"), ("/process/user", "root"),
    ("/process/user", []), ("/process/terminal", "yes"), ("/process/noNewPrivileges", 1), ("/process/rlimits", {}),
    ("/process/capabilities", []), ("/root", "rootfs"), ("/root/path", KeyError), ("/root/path", 5), ("/root/path", ""),
    ("/root/readonly", "true"), ("/hostname", 5), ("/domainname", []), ("/mounts", {}), ("/mounts/0", "proc"),
    ("/mounts/0/destination", KeyError), ("/hooks", []), ("/hooks/prestart", {}), ("/annotations", []),
    ("/annotations", {"a": 1}), ("/linux", []), ("/linux/namespaces", {}), ("/linux/namespaces/0/type", KeyError),
    ("/linux/namespaces/0/type", 1), ("/linux/resources", []), ("/linux/cgroupsPath", 5), ("/linux/sysctl", []),
    ("/linux/maskedPaths", "x"), ("/linux/devices", {}), ("/linux/uidMappings", {}), ("/linux/seccomp", []),
    ("/linux/rootfsPropagation", 1), ("/linux/personality", "LINUX"), ("/linux/timeOffsets", []), ("/linux/intelRdt", []), ("/linux/netDevices", []),
    ("/linux/memoryPolicy", []), ("/process/scheduler", "SCHED_FIFO"), ("/process/ioPriority", 3),
])
def test_wrong_type_or_missing(runtime, bundle, pointer, value):
    change(bundle.config, pointer, value)
    refused(runtime, bundle, pointer)


@pytest.mark.parametrize("field", ["/root", "/process", "/ociVersion"])
def test_missing_sections(runtime, bundle, field):
    change(bundle.config, field, KeyError)
    if field == "/process":
        runtime.run(bundle).failed("process", code=1)
    elif field == "/root":
        refused(runtime, bundle, field)
    else:
        r = runtime.create(bundle)  # runc does without it
        assert r.code == 0 or "/ociVersion" in r.err


@pytest.mark.parametrize("pointer, value", [
    ("/process/user/uid", 2 ** 32), ("/process/user/uid", -1), ("/process/user/uid", 2 ** 64), ("/process/user/uid", 1e10),
    ("/process/user/gid", 2 ** 63), ("/linux/resources/memory", {"limit": 2 ** 63}), ("/linux/resources/memory", {"limit": 1e30}),
    ("/linux/resources/cpu", {"shares": 2 ** 64}), ("/linux/resources/pids", {"limit": 2 ** 63}),
    ("/process/rlimits", [{"type": "RLIMIT_CORE", "soft": 2 ** 64, "hard": 2 ** 64}]), ("/process/oomScoreAdj", 2 ** 31),
])
def test_out_of_range(runtime, bundle, pointer, value):
    change(bundle.config, pointer, value)
    refused(runtime, bundle, pointer)


@pytest.mark.parametrize("number", [2 ** 63, 2 ** 64 - 1])
def test_the_whole_range_of_uint64(runtime, bundle, number):
    """RLIM_INFINITY is 2^64−1, and engines write it."""
    bundle.config["process"]["rlimits"] = [{"type": "RLIMIT_RSS", "soft": number, "hard": number}]
    runtime.run(bundle).ok()


@pytest.mark.parametrize("text", ["-0", "1E2", "1.0"])
def test_odd_integers(runtime, bundle, text):
    """JSON knows one kind of number; what is not a plain integer is refused by name or read as the number it is."""
    raw(bundle, config_text(bundle).replace('"uid": 0', f'"uid": {text}', 1))
    r = runtime.create(bundle)
    assert r.code == 0 or "/process/user/uid" in r.err


# -- files

def test_missing_bundle(runtime, work):
    runtime.call("create", "--bundle", f"{work}/nosuch", runtime.new_id()).failed(f"{work}/nosuch", "no such file or directory", code=1)


def test_bundle_that_is_a_file(runtime, work):
    open(f"{work}/file", "w").close()
    runtime.call("create", "--bundle", f"{work}/file", runtime.new_id()).failed("not a directory", code=1)


def test_missing_config(runtime, bundle):
    os.makedirs(bundle.path, exist_ok=True)
    runtime.call("create", "--bundle", bundle.path, runtime.new_id()).failed("config.json", "no such file or directory", code=1)


def test_config_that_is_a_directory(runtime, bundle):
    os.mkdir(f"{bundle.path}/config.json")
    runtime.call("create", "--bundle", bundle.path, runtime.new_id()).failed("config.json", code=1)


def test_config_that_never_ends(runtime, bundle):
    """A FIFO or an endless device as config.json neither hangs nor eats the memory."""
    os.mkfifo(f"{bundle.path}/config.json")
    runtime.call("create", "--bundle", bundle.path, runtime.new_id(), timeout=10).failed("config.json", code=1)
    os.unlink(f"{bundle.path}/config.json")
    os.symlink("/dev/zero", f"{bundle.path}/config.json")
    runtime.call("create", "--bundle", bundle.path, runtime.new_id(), timeout=10).failed("config.json", code=1)


def test_missing_rootfs(runtime, bundle):
    os.rename(bundle.rootfs, f"{bundle.path}/elsewhere")
    refused(runtime, bundle, "rootfs", "no such file or directory")


def test_rootfs_that_is_a_file(runtime, bundle):
    os.rename(bundle.rootfs, f"{bundle.path}/elsewhere")
    open(bundle.rootfs, "w").close()
    refused(runtime, bundle, "rootfs", "not a directory")


@pytest.mark.parametrize("verb", ["create", "run"])
def test_missing_program_names_it(runtime, bundle, verb):
    bundle.config["process"]["args"] = ["/opt/missing/program"]
    r = getattr(runtime, verb)(bundle)
    if r.code == 0:
        r = runtime.call("start", r.id)
    r.failed("/opt/missing/program", "no such file or directory", code=1)


# -- state

def test_errno_is_named(runtime, bundle, work):
    bundle.mount("/data", f"{work}/nosuch", options=["bind"])
    refused(runtime, bundle, "no such file or directory", "(ENOENT)", f"{work}/nosuch")


def test_line_begins_with_the_programs_name(runtime):
    r = runtime.call("state", "nosuch").failed()
    assert r.err.startswith(os.path.basename(runtime.binary) + ": ")


def test_control_characters_of_others_do_not_reach_the_terminal(runtime, bundle):
    """A path in a message cannot move the cursor or fake a second line."""
    bundle.config["mounts"].append({"destination": "/x", "type": "bind", "source": "/no\x1b[2J\nfake: all is well", "options": ["bind"]})
    r = runtime.create(bundle).failed(code=1)
    assert "\x1b" not in r.err and len(r.err.strip().splitlines()) == 1


def test_existing_id(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("create", "--bundle", bundle.path, id).failed(id, "exist", code=1)


def test_damaged_state(runtime, bundle):
    """A state file that is cut or filled with junk: an error that names it; delete --force removes the container."""
    id = sleeper(runtime, bundle)
    path = f"{runtime.root}/{id}/state.json"
    if not os.path.exists(path):
        pytest.skip("another layout of the state")
    with open(path) as f:
        good = f.read()
    for text in ("", "{", good[:len(good) // 2], "[]", "null", '{"id": 5}'):
        with open(path, "w") as f:
            f.write(text)
        runtime.call("state", id).failed(code=1)
        assert runtime.call("list").code in (0, 1)
    with open(path, "w") as f:
        f.write(good)
    assert runtime.state(id)["status"] == "running"
