"""Every right: it works without Landlock, is denied with its errno, and is allowed by a rule; in run and exec, in both kinds of users."""

import pytest

from locking import FILES, landlock

#: Right, what needs it, the denial, where a rule allows it, and the answer without a denial.
RIGHTS = [
    ("execute", ["execute", "/place/program"], "EACCES", ["/place"], "ok"),
    ("write_file", ["write", "/place/file"], "EACCES", ["/place"], "ok"),
    ("read_file", ["read", "/place/file"], "EACCES", ["/place"], "ok"),
    ("read_dir", ["list", "/place"], "EACCES", ["/place"], "ok"),
    ("remove_dir", ["rmdir", "/place/directory"], "EACCES", ["/place"], "ok"),
    ("remove_file", ["unlink", "/place/file"], "EACCES", ["/place"], "ok"),
    ("make_dir", ["mkdir", "/place/new"], "EACCES", ["/place"], "ok"),
    ("make_reg", ["mknod", "/place/new", "100000"], "EACCES", ["/place"], "ok"),
    ("make_reg", ["link", "/place/file", "/place/new"], "EACCES", ["/place"], "ok"),
    ("make_sock", ["mknod", "/place/new", "140000"], "EACCES", ["/place"], "ok"),
    ("make_fifo", ["mknod", "/place/new", "010000"], "EACCES", ["/place"], "ok"),
    ("make_sym", ["symlink", "/place/new"], "EACCES", ["/place"], "ok"),
    ("refer", ["rename", "/place/file", "/other/new"], "EXDEV", ["/place", "/other"], "ok"),
    ("refer", ["link", "/place/file", "/other/new"], "EXDEV", ["/place", "/other"], "ok"),
    ("truncate", ["truncate", "/place/file"], "EACCES", ["/place"], "ok"),
    ("ioctl_dev", ["ioctl", "/dev/null"], "EACCES", ["/dev"], "ENOTTY"),
    ("bind_tcp", ["bind", "8080"], "EACCES", [8080], "ok"),
    ("connect_tcp", ["connect", "8080"], "EACCES", [8080], "ECONNREFUSED"),
]


def names(entry):
    return f"{entry[0]}-{entry[1][0]}"


@pytest.mark.parametrize("entry", RIGHTS, ids=names)
def test_right(inside, mapped, entry):
    right, deed, denial, places, without = entry
    # Without these the container's own program could not be executed.
    always = [(right, "/bin/lock", "/bin/busybox")] if right in ("execute", "read_file") else []
    assert inside.do(mapped, None, *deed) == without
    assert inside.do(mapped, landlock(right, rules=always), *deed) == denial
    elsewhere = {"rules": always + [(right, "/tmp")]} if right in FILES else {"ports": [(right, 9090)]}
    assert inside.do(mapped, landlock(right, **elsewhere), *deed) == denial
    allowed = {"rules": always + [(right, *places)]} if right in FILES else {"ports": [(right, *places)]}
    assert inside.do(mapped, landlock(right, **allowed), *deed) == without


@pytest.mark.parametrize("right, kind", [("make_char", "020000"), ("make_block", "060000")])
def test_device_nodes(inside, bundle, right, kind):
    bundle.config["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    deed = ["mknod", "/place/new", kind]
    assert inside.do(bundle, None, *deed) == "ok"
    assert inside.do(bundle, landlock(right), *deed) == "EACCES"
    assert inside.do(bundle, landlock(right, rules=[(right, "/place")]), *deed) == "ok"


@pytest.mark.parametrize("deed, denial", [
    (["rename", "/place/file", "/other/new"], "EXDEV"), (["link", "/place/file", "/other/new"], "EXDEV")])
def test_another_directory_is_always_denied(inside, bundle, deed, denial):
    """Whatever a ruleset handles, a file cannot be brought below other rules without refer."""
    assert inside.do(bundle, None, *deed) == "ok"
    assert inside.do(bundle, landlock("make_sym"), *deed) == denial


@pytest.mark.parametrize("missing", ["remove_file", "make_reg"])
def test_rename_needs_both_ends(inside, bundle, missing):
    rights = ["remove_file", "make_reg", "refer"]
    deed = ["rename", "/place/file", "/other/new"]
    assert inside.do(bundle, landlock(*rights, rules=[(rights, "/place", "/other")]), *deed) == "ok"
    rest = [r for r in rights if r != missing]
    assert inside.do(bundle, landlock(*rights, rules=[(rest, "/place", "/other")]), *deed) == "EACCES"


@pytest.mark.parametrize("right", ["read_file", "write_file", "make_dir", "truncate"])
@pytest.mark.parametrize("uid", [0, 1000])
def test_unprivileged_users(inside, bundle, right, uid):
    bundle.config["process"]["user"] = {"uid": uid, "gid": uid}
    _, deed, denial, places, _ = next(e for e in RIGHTS if e[0] == right)
    assert inside.do(bundle, None, *deed) == "ok"
    always = [(right, "/bin")] if right == "read_file" else []
    assert inside.do(bundle, landlock(right, rules=always), *deed) == denial
    assert inside.do(bundle, landlock(right, rules=always + [(right, *places)]), *deed) == "ok"
