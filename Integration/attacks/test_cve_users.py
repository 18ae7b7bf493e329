"""Escapes through the way a user, a group or a capability is read."""

import os
import subprocess
import time

import pytest
from lab import attempt, refused

# In the image's passwd every one of these names has uid 0.
EVIL_PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n" + "".join(
    f"{name}:x:0:0::/:/bin/sh\n"
    for name in ("4294967296", "-1", "1000", "1001", "4294967295", "0x3e8", "1e3", "18446744073709551616", "+1000"))

MALFORMED = [
    "4294967296", "4294967295", "18446744073709551616", "18446744073709552616", "-1", "-4294967296", "0x3e8", "1e3",
    "+1000", " 1000", "1000 ", "1000:4294967296", "1000:-1", "1000:", ":1000", "1000:1000:0", "1000\n0",
]


@pytest.fixture
def unprivileged(runtime, bundle):
    """A running container of uid 1000 whose image has a hostile passwd."""
    with open(f"{bundle.rootfs}/etc/passwd", "w") as f:
        f.write(EVIL_PASSWD)
    bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    bundle.config["process"]["noNewPrivileges"] = True
    bundle.config["process"]["args"] = ["/bin/sleep", "100"]
    return runtime.start_detached(bundle)


def identity(result):
    return dict(line.split("=", 1) for line in result.out.split())


WHO = ("/bin/sh", "-c", "echo uid=$(id -u) gid=$(id -g)")


def test_cve_2016_3697_numeric_user_name(runtime, unprivileged):
    """A numeric user is a uid and never a name of the image's passwd."""
    r = runtime.exec(unprivileged, *WHO).ok()
    assert identity(r) == {"uid": "1000", "gid": "1000"}
    for user in ("1000", "1001"):
        r = runtime.call("exec", "--user", user, unprivileged, *WHO).ok()
        assert identity(r)["uid"] == user


@pytest.mark.parametrize("user", MALFORMED)
def test_cve_2024_40635_user_out_of_range(runtime, unprivileged, user):
    """A user outside the range of a uid, or not a number, never becomes root (also CVE-2026-46680). Catalogue A53."""
    r = runtime.call("exec", "--user", "0", unprivileged, *WHO).ok()
    assert identity(r)["uid"] == "0", "the detector sees root when root is asked for"
    r = runtime.call("exec", "--user", user, unprivileged, *WHO)
    if r.code == 0:
        who = identity(r)
        assert who["uid"] != "0" and who["gid"] != "0", f"-u {user!r} became {who}"
    else:
        assert r.err.strip(), "refused without a word"


@pytest.mark.parametrize("field", ["uid", "gid"])
@pytest.mark.parametrize("value", [4294967296, 4294967295, -1, 18446744073709551616, "0", 1000.5, True])
def test_cve_2026_46680_config_user_out_of_range(runtime, bundle, field, value):
    """The same in config.json: refused. (-1, that is 2^32-1, would mean "no change" to setuid.)"""
    bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000, field: value}
    bundle.sh("id")
    refused(runtime, bundle)


def test_cve_2026_30892_exec_user_without_group(runtime, unprivileged):
    """`exec -u 1` is uid 1, not 0:0."""
    for user, expected in (("1", "1"), ("7", "7"), ("1:2", "1"), ("12:0", "12")):
        r = runtime.call("exec", "--user", user, unprivileged, *WHO).ok()
        assert identity(r)["uid"] == expected, f"-u {user}: {r.out}"
    r = runtime.call("exec", "-u", "1:2", unprivileged, *WHO).ok()
    assert identity(r) == {"uid": "1", "gid": "2"}


def groups(text):
    return next(line.split()[1:] for line in text.splitlines() if line.startswith("Groups"))


def test_cve_2023_25173_supplementary_groups(runtime, armed, helper):
    """No supplementary group of the caller stays; the ones asked for are there, in init and in exec. Catalogue B33."""
    def caller(*argv):
        return groups(subprocess.run(argv, extra_groups=[4242], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     text=True, check=True).stdout)

    assert caller(helper, "ids") == ["4242"], "the detector sees an inherited group"
    armed.config["process"]["args"] = ["/attack", "ids"]
    armed.save()
    assert caller(*runtime.argv("run", "--bundle", armed.path, runtime.new_id())) in ([], ["0"])
    armed.config["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7, 8]}
    assert groups(attempt(runtime, armed).ok().out) == ["7", "8"]
    armed.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    armed.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.start_detached(armed)
    assert caller(*runtime.argv("exec", id, "/attack", "ids")) in ([], ["1000"])


def test_cve_2023_25153_unbounded_image_files(runtime, armed):
    """The user database of an image is data of the attacker: huge, endless or blocking, it delays nobody.
    Catalogue A18."""
    passwd = f"{armed.rootfs}/etc/passwd"

    def fifo():
        os.mkfifo(passwd)

    def sparse():
        with open(passwd, "w") as f:
            f.truncate(2 << 30)

    def endless():
        os.symlink("/proc/kmsg", passwd)

    def directory():
        os.mkdir(passwd)

    def lines():
        with open(passwd, "w") as f:
            f.write("".join(f"u{n}:x:{n}:{n}::/home/u{n}:/bin/sh\n" for n in range(10**6)))

    os.unlink(passwd)
    fifo()
    # The detector: who reads it by name hangs.
    assert subprocess.run(["timeout", "1", "cat", passwd], stdin=subprocess.DEVNULL).returncode == 124
    os.unlink(passwd)
    armed.config["process"]["user"] = {"uid": 999999, "gid": 999999}
    for hostile in (fifo, sparse, endless, lines, directory):
        hostile()
        for args in (["/bin/true"], ["/attack", "ids"]):
            armed.config["process"]["args"] = args
            started = time.monotonic()
            attempt(runtime, armed, timeout=10)
            assert time.monotonic() - started < 2, f"{hostile.__name__} takes {time.monotonic() - started:.1f} s"
        if hostile is not directory:
            os.unlink(passwd)
