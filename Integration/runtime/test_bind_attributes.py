"""What the options of a bind mount make of its source's attributes: those of runc, crun, and mount(8)'s remount (spec/config.md)."""

import subprocess

import pytest

from inside import look
from test_mounts import options_of
from test_user_namespace import mapped  # noqa: F401


@pytest.fixture
def restricted(work):
    """Makes a tmpfs whose mount, not its file system, has the given options; returns its path."""
    made = []

    def make(options):
        path = f"{work}/source"
        if not made:
            subprocess.run(["mkdir", path], check=True)
            subprocess.run(["mount", "-t", "tmpfs", "source", path], check=True)
            made.append(path)
        subprocess.run(["mount", "-o", "remount,bind,diratime,atime,strictatime", path], check=True)
        subprocess.run(["mount", "-o", f"remount,bind,{options}", path], check=True)
        return path
    yield make
    for path in made:
        subprocess.run(["umount", path], check=True)


ALL = "ro,nosuid,nodev,noexec,nosymfollow,noatime,nodiratime"

#: The source's options, the bind's, what the mount has and has not, and what it has as well in a user namespace.
CASES = [
    (ALL, [], set(ALL.split(",")), set(), set()),
    (ALL, ["rprivate"], set(ALL.split(",")), set(), set()),
    (ALL, ["defaults"], set(ALL.split(",")), set(), set()),
    ("ro,noexec,nosymfollow,nodiratime", ["dev"], {"nodiratime"}, {"nosymfollow"}, {"ro", "noexec"}),
    ("ro", ["nosuid", "nodev", "rprivate"], {"nosuid", "nodev"}, set(), {"ro"}),
    ("nodev,nosuid,noexec,noatime", ["ro"], {"ro", "noatime"}, set(), {"nodev", "nosuid", "noexec"}),
    ("nodev,nosymfollow", ["ro", "symfollow"], {"ro"}, {"nosymfollow"}, {"nodev"}),
    ("nodev,nosuid,noatime", ["ro", "exec"], {"ro", "noatime"}, {"noexec"}, {"nodev", "nosuid"}),
    ("noatime", ["atime"], {"noatime"}, {"relatime"}, set()),
    ("noatime,nodiratime", ["norelatime"], {"noatime", "nodiratime"}, {"relatime"}, set()),
    ("strictatime", ["nostrictatime"], set(), {"relatime", "noatime", "nodiratime"}, set()),
    ("nodiratime", ["diratime"], {"nodiratime"}, set(), set()),
    ("noatime", ["noatime", "ro"], {"noatime", "ro"}, {"relatime"}, set()),
]


@pytest.mark.parametrize("source, options, has, lacks, locked", CASES)
def test_options(runtime, bundle, restricted, source, options, has, lacks, locked):
    bundle.mount("/data", restricted(source), options=["bind", *options])
    flags = options_of(runtime, bundle, "/data")[0]
    assert has <= flags and not (lacks | locked) & flags, flags


@pytest.mark.parametrize("source, options, has, lacks, locked", CASES)
def test_options_in_a_user_namespace(runtime, mapped, restricted, source, options, has, lacks, locked):  # noqa: F811
    """It keeps the restrictions that no option names."""
    mapped.mount("/data", restricted(source), options=["bind", *options])
    flags = options_of(runtime, mapped, "/data")[0]
    assert has | locked <= flags and not lacks & flags, flags


@pytest.mark.parametrize("source, options, has, lacks", [
    ("ro", ["rw", "nodev"], {"rw", "nodev"}, {"ro"}),
    ("nosuid,nodev,noexec", ["dev", "suid", "exec"], {"rw"}, {"nosuid", "nodev", "noexec"}),
    ("noatime", ["relatime"], {"relatime"}, {"noatime"}),
    ("noatime", ["nodiratime"], {"nodiratime", "relatime"}, {"noatime"}),
    ("noatime", ["nodiratime", "strictatime"], {"nodiratime"}, {"noatime", "relatime"}),
    ("nodiratime", ["strictatime"], set(), {"nodiratime", "relatime", "noatime"}),
])
def test_options_that_a_user_namespace_forbids(runtime, request, bundle, restricted, source, options, has, lacks):
    bundle.mount("/data", restricted(source), options=["bind", *options])
    flags = options_of(runtime, bundle, "/data")[0]
    assert has <= flags and not lacks & flags, flags
    runtime.create(request.getfixturevalue("mapped")).failed("/data", "operation not permitted", code=1)


@pytest.mark.parametrize("option", ["rsync", "rasync", "rdirsync", "rmand", "rnomand"])
def test_cruns_names_of_file_system_flags(runtime, bundle, work, option):
    """They have nothing to do with mounts below."""
    bundle.mount("/data", "tmpfs", "tmpfs", [option])
    bundle.mount("/bound", work, options=["rbind", option])
    assert look(runtime, bundle, "echo fine") == "fine"
