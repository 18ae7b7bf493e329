"""Devices (config-linux.md "Devices", "Default Devices", "Device whitelist"): nodes, links and who may use them."""

import os
import stat

import pytest

from inside import look, sleeper

#: A device that no default allows and that opens harmlessly: loop-control.
SUBJECT = {"path": "/dev/subject", "type": "c", "major": 10, "minor": 237, "fileMode": 0o666}
DEFAULT = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def allow(bundle, *rules):
    """Everything denied, then these rules: (type, major, minor, access)."""
    bundle.config["linux"]["resources"]["devices"] = [{"allow": False, "access": "rwm"}] + [
        {"allow": True, "type": t, "major": major, "minor": minor, "access": access} for t, major, minor, access in rules]


def test_default_devices(runtime, bundle):
    out = look(runtime, bundle, "stat -c '%n %F %t:%T %a %u:%g' " + " ".join(f"/dev/{n}" for n in DEFAULT))
    for line, (name, (major, minor)) in zip(out.splitlines(), DEFAULT.items()):
        assert line == f"/dev/{name} character special file {major:x}:{minor:x} 666 0:0"


def test_default_devices_work(runtime, bundle):
    assert look(runtime, bundle, "head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x > /dev/null;"
                                 " echo x 2>/dev/null > /dev/full || echo full") == "3\n3\nfull"


def test_default_links(runtime, bundle):
    assert look(runtime, bundle, "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done").split() \
        == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]


def test_dev_holds_nothing_else(runtime, bundle):
    out = set(look(runtime, bundle, "ls /dev").split())
    assert out - {"core", "console"} == set(DEFAULT) | {"fd", "stdin", "stdout", "stderr", "ptmx", "pts", "shm", "mqueue"}


def test_a_pty_can_be_opened(runtime, bundle):
    assert look(runtime, bundle, "probe open /dev/ptmx rw; probe open /dev/pts/ptmx rw") == "ok 3\nok 3"


@pytest.mark.parametrize("entry, shown", [
    ({"type": "c", "major": 1, "minor": 3}, "character special file 1:3 666 0:0"),
    ({"type": "u", "major": 1, "minor": 3, "fileMode": 0o600}, "character special file 1:3 600 0:0"),
    ({"type": "b", "major": 7, "minor": 0, "fileMode": 0o640, "uid": 5, "gid": 6}, "block special file 7:0 640 5:6"),
    ({"type": "p", "fileMode": 0o622}, "fifo 0:0 622 0:0"),
    ({"type": "c", "major": 1, "minor": 3, "fileMode": 0o777, "uid": 4294967294, "gid": 4294967294},
     "character special file 1:3 777 4294967294:4294967294"),
    ({"type": "c", "major": 300, "minor": 70000, "fileMode": 0o100644 & 0o777}, "character special file 12c:11170 644 0:0"),
])
def test_configured_device(runtime, bundle, entry, shown):
    bundle.config["linux"]["devices"] = [{"path": "/dev/mine", **entry}]
    assert look(runtime, bundle, "stat -c '%F %t:%T %a %u:%g' /dev/mine") == shown


def test_configured_device_below_a_new_directory(runtime, bundle):
    bundle.config["linux"]["devices"] = [{"path": "/dev/deep/er/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666}]
    allow(bundle, ("c", 1, 5, "rwm"))
    assert look(runtime, bundle, "head -c 2 /dev/deep/er/mine | wc -c") == "2"


def test_configured_device_outside_dev(runtime, bundle):
    bundle.config["linux"]["devices"] = [{"path": "/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]
    assert look(runtime, bundle, "test -c /mine && echo there") == "there"


def test_default_device_configured_again(runtime, bundle):
    """The configuration wins over the default."""
    bundle.config["linux"]["devices"] = [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o644, "uid": 7}]
    allow(bundle, ("c", 1, 3, "rwm"))
    assert look(runtime, bundle, "stat -c '%t:%T' /dev/null; echo x > /dev/null && echo wrote") == "1:3\nwrote"


def test_device_through_a_symlink_stays_inside(runtime, bundle, work):
    os.mkdir(f"{work}/outside")
    os.symlink(f"{work}/outside", f"{bundle.rootfs}/link")
    bundle.config["linux"]["devices"] = [{"path": "/link/mine", "type": "c", "major": 1, "minor": 3}]
    runtime.run(bundle)
    assert os.listdir(f"{work}/outside") == []


def test_dev_from_the_image(runtime, bundle):
    """Without a mount at /dev the nodes are made in the root file system, once."""
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    for _ in range(2):
        assert look(runtime, bundle, "test -c /dev/null && echo there") == "there"
    assert stat.S_ISCHR(os.stat(f"{bundle.rootfs}/dev/null").st_mode)


@pytest.mark.parametrize("entry, pointer", [
    ({"type": "c", "major": 1, "minor": 3}, "path"), ({"path": "/dev/x", "major": 1, "minor": 3}, "type"),
    ({"path": "/dev/x", "type": "z", "major": 1, "minor": 3}, "type"), ({"path": "dev/x", "type": "c", "major": 1, "minor": 3}, "path"),
    ({"path": "/dev/x", "type": "c", "major": "1", "minor": 3}, "major"), ({"path": "/dev/x", "type": "c", "major": -5, "minor": 3}, "major"),
    ({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": -1}, "fileMode"),
    ({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "uid": 4294967296}, "uid"),
])
def test_bad_devices(runtime, bundle, entry, pointer):
    bundle.config["linux"]["devices"] = [entry]
    runtime.create(bundle).failed("/linux/devices/0", code=1)


# -- rules

needs_v1 = pytest.mark.skipif(not (os.path.isdir("/sys/fs/cgroup/devices") and os.path.exists("/dev/loop-control")),
                              reason="no devices controller (cgroup v1) or no loop devices")


@needs_v1
def test_rules_decide(runtime, bundle):
    """The same open succeeds with the rule and fails with EPERM without."""
    bundle.config["linux"]["devices"] = [dict(SUBJECT)]
    allow(bundle, ("c", 10, 237, "rw"))
    assert look(runtime, bundle, "probe open /dev/subject r; probe open /dev/subject w") == "ok 3\nok 3"
    allow(bundle)
    assert look(runtime, bundle, "probe open /dev/subject r; probe open /dev/subject w; true") == "EPERM\nEPERM"


@needs_v1
@pytest.mark.parametrize("access, read, write", [("r", "ok 3", "EPERM"), ("w", "EPERM", "ok 3"), ("m", "EPERM", "EPERM"),
                                                 ("rw", "ok 3", "ok 3"), ("rwm", "ok 3", "ok 3")])
def test_access_letters(runtime, bundle, access, read, write):
    bundle.config["linux"]["devices"] = [dict(SUBJECT)]
    # mknod of any device is Docker's default; it says nothing about opening.
    allow(bundle, ("c", None, None, "m"), ("c", 10, 237, access))
    for rule in bundle.config["linux"]["resources"]["devices"]:
        for key in ("major", "minor"):
            if rule.get(key, 0) is None:
                del rule[key]
    assert look(runtime, bundle, "probe open /dev/subject r; probe open /dev/subject w; true") == f"{read}\n{write}"


@needs_v1
def test_a_node_made_inside_gives_nothing(runtime, bundle):
    """CAP_MKNOD makes nodes; opening them is another matter."""
    bundle.config["linux"]["resources"]["devices"] = [{"allow": False, "access": "rwm"},
                                                      {"allow": True, "type": "c", "access": "m"}]
    assert look(runtime, bundle, "mknod /a c 10 237 && echo made; probe open /a r; true") == "made\nEPERM"


@needs_v1
def test_later_rules_win(runtime, bundle):
    bundle.config["linux"]["devices"] = [dict(SUBJECT)]
    bundle.config["linux"]["resources"]["devices"] = [
        {"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "access": "rwm"},
        {"allow": False, "type": "c", "major": 10, "minor": 237, "access": "w"}]
    r = runtime.run(bundle.sh("probe open /dev/subject r; probe open /dev/subject w; true"))
    # The devices cgroup of v1 cannot take a hole out of a wildcard: then an error that says so, never a silent allow.
    assert r.out == "ok 3\nEPERM\n" or r.code == 1 and "devices" in r.err


@needs_v1
def test_everything_allowed(runtime, bundle):
    """As --privileged has it."""
    bundle.config["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    bundle.config["linux"]["devices"] = [dict(SUBJECT)]
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "probe", "open", "/dev/subject", "r").ok().out == "ok 3\n"
    with open(f"/proc/{runtime.state(id)['pid']}/cgroup") as f:
        path = next(line.strip().split(":", 2)[2] for line in f if ":devices:" in line)
    with open(f"/sys/fs/cgroup/devices{path}/devices.list") as f:
        assert f.read() == "a *:* rwm\n"


@needs_v1
def test_without_rules_the_defaults_hold(runtime, bundle):
    """No rules at all: the nodes that a container needs work, a disk does not open."""
    bundle.config["linux"]["resources"] = {}
    bundle.config["linux"]["devices"] = [dict(SUBJECT)]
    assert look(runtime, bundle, "echo x > /dev/null && echo wrote; probe open /dev/zero r; probe open /dev/ptmx rw").split("\n") \
        == ["wrote", "ok 3", "ok 3"]


@pytest.mark.parametrize("rule", [{"access": "rwm"}, {"allow": "no", "access": "rwm"}, {"allow": True, "type": "z", "access": "r"},
                                  {"allow": True, "access": "rx"}, {"allow": True, "type": "c", "major": "1", "access": "r"},
                                  {"allow": True, "type": "c", "major": 2 ** 40, "minor": 1, "access": "r"}])
def test_bad_rules(runtime, bundle, rule):
    bundle.config["linux"]["resources"]["devices"].append(rule)
    runtime.create(bundle).failed("/linux/resources/devices/1", code=1)


@needs_v1
def test_update_keeps_the_rules(runtime, bundle):
    bundle.config["linux"]["devices"] = [dict(SUBJECT)]
    id = sleeper(runtime, bundle)
    runtime.call("update", "--pids-limit", "50", id).ok()
    assert runtime.exec(id, "probe", "open", "/dev/subject", "r").out == "EPERM\n"
    assert runtime.exec(id, "probe", "open", "/dev/null", "rw").ok()
