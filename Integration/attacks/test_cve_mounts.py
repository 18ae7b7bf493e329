"""Escapes through mount destinations: links, races, and the special file systems."""

import os
import time

import pytest
from lab import attempt, flipping, mount_points, race_seconds, record_mounts, refused, without_mounts


def outside(points, canary, bundle):
    """The mount points of a table that lie on the canary (the bundle is elsewhere)."""
    return [p for p in points if p.startswith(canary.path) and not p.startswith(bundle.rootfs)]


@pytest.fixture
def recorded(bundle, work):
    """The bundle with a hook that writes the mount table, and the file it goes to."""
    out = f"{work}/mountinfo"
    record_mounts(bundle, out)
    return bundle, out


def test_the_mount_table_of_the_hook_shows_every_mount(runtime, recorded, work, canary):
    """The detector of this file: a mount inside the root file system, and one outside it, are in the table."""
    bundle, out = recorded
    bundle.mount("/mnt", "tmpfs", "tmpfs", [])
    attempt(runtime, bundle).ok()
    assert any(p.endswith("/mnt") for p in mount_points(out)), mount_points(out)
    os.unlink(out)
    hook = bundle.config["hooks"]["createContainer"]
    hook.insert(0, {"path": "/bin/sh", "args": ["sh", "-c", f"mount -t tmpfs tmpfs {canary.path}/sub"],
                    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})
    attempt(runtime, bundle).ok()
    assert outside(mount_points(out), canary, bundle)


def links(canary):
    """Hostile destinations: what is planted in the root file system, and the destination that goes through it."""
    climb = "../" * 30
    return {
        "absolute link": (f"{canary.path}/sub", "link"),
        "absolute link in the middle": (canary.path, "link/sub"),
        "relative link": (f"{climb}{canary.path[1:]}/sub", "link"),
        "relative link in the middle": (f"{climb}{canary.path[1:]}", "link/sub"),
        "dangling absolute link": (f"{canary.path}/new", "link"),
        "dangling relative link": (f"{climb}{canary.path[1:]}/new", "link"),
        "missing below a link": (canary.path, "link/a/b"),
        "dots after a link": (f"{canary.path}/sub", "link/../new"),
        "link to a link": ("link2", "link"),
    }


@pytest.mark.parametrize("kind", ["directory", "file", "tmpfs"])
def test_cve_2019_18837_destination_through_links(runtime, recorded, work, canary, kind):
    """Every component of a destination, the last one included, is resolved inside the root file system. Catalogue A9;
    the destinations with dots are CVE-2022-23648's."""
    bundle, out = recorded
    os.makedirs(f"{work}/source")
    with open(f"{work}/source/file", "w") as f:
        f.write("volume\n")
    base = list(bundle.config["mounts"])
    cases = {name: (plant, f"/{destination}") for name, (plant, destination) in links(canary).items()}
    cases["dots"] = (None, "/../../../../../.." + canary.path + "/sub")
    cases["dots in the middle"] = (None, f"/tmp/../../../../../../..{canary.path}/new")
    for name, (plant, destination) in cases.items():
        for link in ("link", "link2"):
            if os.path.lexists(f"{bundle.rootfs}/{link}"):
                os.unlink(f"{bundle.rootfs}/{link}")
        if plant:
            os.symlink(plant, f"{bundle.rootfs}/link")
            os.symlink(f"{canary.path}/sub", f"{bundle.rootfs}/link2")
        bundle.config["mounts"] = list(base)
        if kind == "tmpfs":
            bundle.mount(destination, "tmpfs", "tmpfs", [])
        else:
            bundle.mount(destination, f"{work}/source" + ("/file" if kind == "file" else ""))
        attempt(runtime, bundle)
        assert not outside(mount_points(out), canary, bundle), f"{name}: mounted on the host"
        canary.check(name)
        if os.path.exists(out):
            os.unlink(out)


class Race:
    """A volume in which a directory and a link to the host's canary are exchanged while containers start."""

    def __init__(self, runtime, bundle, out, work, canary, helper):
        self.runtime, self.bundle, self.out, self.canary, self.helper = runtime, bundle, out, canary, helper
        self.volume = f"{work}/volume"
        os.makedirs(f"{self.volume}/a")
        os.symlink(canary.path, f"{self.volume}/b")
        self.source = f"{work}/source"
        os.makedirs(self.source)
        with open(f"{self.source}/file", "w") as f:
            f.write("volume\n")
        bundle.mount("/vol", self.volume)

    def run(self):
        runs = started = 0
        with flipping(self.helper, f"{self.volume}/a", f"{self.volume}/b"):
            end = time.monotonic() + race_seconds()
            while time.monotonic() < end:
                started += attempt(self.runtime, self.bundle).code == 0
                runs += 1
                assert not outside(mount_points(self.out), self.canary, self.bundle), f"run {runs}: mounted on the host"
                self.canary.check(f"run {runs}")
        print(f"{runs} runs, {started} started")


def test_cve_2021_30465_mount_destination_race(runtime, recorded, work, canary, helper):
    """A destination whose component is exchanged for a link during the start: the mount lands inside or nowhere.
    Catalogue A10."""
    bundle, out = recorded
    for n in range(24):
        os.mkdir(f"{canary.path}/x{n}")
    canary.before = canary.picture()
    race = Race(runtime, bundle, out, work, canary, helper)
    for n in range(24):
        os.mkdir(f"{race.volume}/a/x{n}")
        bundle.mount(f"/vol/a/x{n}", "tmpfs", "tmpfs", [])
    race.run()


def test_cve_2024_45310_mkdir_race(runtime, recorded, work, canary, helper):
    """The same when the destinations have to be made: no directory appears on the host. Catalogue A10."""
    bundle, out = recorded
    race = Race(runtime, bundle, out, work, canary, helper)
    for n in range(24):
        bundle.mount(f"/vol/a/new{n}/deep", "tmpfs", "tmpfs", [])
    race.run()


def test_gvisor_13954_file_mount_point_race(runtime, recorded, work, canary, helper):
    """The same for files, whose mount points are made before they are mounted on (gVisor's pull request 13954).
    Catalogue A10."""
    bundle, out = recorded
    race = Race(runtime, bundle, out, work, canary, helper)
    for n in range(24):
        bundle.mount(f"/vol/a/file{n}", f"{race.source}/file")
    race.run()


@pytest.mark.parametrize("target", ["/tmp/fake", "tmp/fake", "/tmp/missing", ".", "/", ".."])
@pytest.mark.parametrize("where", ["proc", "sys"])
def test_cve_2023_27561_proc_or_sys_is_a_link(runtime, bundle, where, target):
    """`/proc` or `/sys` as a link in the image would put the masked and read-only paths elsewhere (also
    CVE-2019-19921, CVE-2023-28642, CVE-2025-54867). Catalogue A11."""
    attempt(runtime, bundle.sh("true")).ok()
    os.makedirs(f"{bundle.rootfs}/tmp/fake", exist_ok=True)
    os.rmdir(f"{bundle.rootfs}/{where}")
    os.symlink(target, f"{bundle.rootfs}/{where}")
    refused(runtime, bundle)


def test_cve_2023_28642_proc_is_a_link_into_a_volume(runtime, bundle, work):
    """The second form of that regression: the link leads into a volume which two containers share."""
    os.makedirs(f"{work}/volume/fake")
    without_mounts(bundle, "/proc")
    bundle.config["mounts"].insert(0, {"destination": "/vol", "type": "bind", "source": f"{work}/volume",
                                       "options": ["rbind"]})
    bundle.config["mounts"].insert(1, {"destination": "/proc", "type": "proc", "source": "proc"})
    os.rmdir(f"{bundle.rootfs}/proc")
    os.symlink("/vol/fake", f"{bundle.rootfs}/proc")
    refused(runtime, bundle)


def test_cve_2019_19921_volume_as_proc(runtime, bundle, work):
    """A volume that takes the place of procfs, alone or over the real one, is refused."""
    os.makedirs(f"{work}/volume/self/attr")
    bundle.mount("/proc", f"{work}/volume")
    refused(runtime, bundle)
    without_mounts(bundle, "/proc")
    bundle.mount("/proc", f"{work}/volume")
    refused(runtime, bundle)
    bundle.config["mounts"].pop()
    bundle.mount("/proc", "tmpfs", "tmpfs", [])
    refused(runtime, bundle)


@pytest.mark.parametrize("destination", [
    "/proc/self/attr", "/proc/self", "/proc/sys", "/proc/sys/kernel", "/proc/self/attr/exec", "/proc/thread-self",
    "/l/attr", "/l", "/tmp/../proc/self/attr", "//proc//sys", "/proc/./sys", "/proc/1/attr", "/proc/sysrq-trigger",
])
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_cve_2019_16884_mount_over_proc(runtime, bundle, work, destination, kind):
    """A mount inside `/proc` would receive what is meant for the kernel (labels, sysctls): refused, by whatever name
    it is reached. Catalogue A12."""
    source = f"{work}/volume"
    os.makedirs(source)
    os.symlink("/proc/self", f"{bundle.rootfs}/l")
    if destination.endswith(("/exec", "sysrq-trigger")):
        source += "/file"
        with open(source, "w"):
            pass
        if kind == "tmpfs":
            pytest.skip("a tmpfs has no place on a file")
    if kind == "bind":
        bundle.mount(destination, source)
    else:
        bundle.mount(destination, "tmpfs", "tmpfs", [])
    refused(runtime, bundle)


def test_a_file_that_may_be_covered_in_proc(runtime, bundle, work):
    """The counterpart of the test above: what engines do cover in `/proc` (lxcfs) is not refused."""
    with open(f"{work}/uptime", "w") as f:
        f.write("1.00 1.00\n")
    bundle.mount("/proc/uptime", f"{work}/uptime")
    assert attempt(runtime, bundle.sh("cat /proc/uptime")).ok().out == "1.00 1.00\n"


def plain_and_hidden(bundle, name, target):
    """What a source in the image may be, and the link that an attacker has put there instead."""
    place = f"{bundle.rootfs}/{name}"
    if os.path.lexists(place):
        os.unlink(place)
    os.symlink(target, place)
    return place


@pytest.mark.parametrize("kind", ["absolute", "relative", "through a directory"])
def test_source_in_the_image_never_leads_to_the_host(runtime, bundle, canary, kind):
    """A bind mount's source below the root file system is the image's to choose: a link in it is the image's too.
    Catalogue A9."""
    inside = bundle.rootfs + canary.path
    os.makedirs(f"{inside}/sub")
    with open(f"{inside}/null", "w") as f:
        f.write("image\n")
    target = {"relative": "../" * 30 + canary.path[1:]}.get(kind, canary.path)
    source = plain_and_hidden(bundle, "data", os.path.dirname(target) if kind == "through a directory" else target)
    with open(f"{source}/{os.path.basename(canary.path)}/null" if kind == "through a directory" else f"{source}/null") as f:
        assert f.read() == "host null\n", "the detector: on the host the link leads to the canary"
    if kind == "through a directory":
        source += "/" + os.path.basename(canary.path)
    bundle.mount("/vol", source)
    assert attempt(runtime, bundle.sh("cat /vol/null; echo x > /vol/null; echo x > /vol/new")).ok().out == "image\n"
    canary.check(kind)


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "../../proc/sys/kernel", "/sys", "/sys/kernel"])
def test_source_in_the_image_never_leads_into_the_kernels_files(runtime, bundle, target):
    """Mounted elsewhere they would be without the masks and read-only paths of `/proc` and `/sys`. Catalogue A11, A12."""
    os.makedirs(f"{bundle.rootfs}/data")
    bundle.mount("/vol", f"{bundle.rootfs}/data", options=["rbind", "rw"])
    assert attempt(runtime, bundle.sh("echo RAN")).ok().out == "RAN\n"
    os.rmdir(f"{bundle.rootfs}/data")
    plain_and_hidden(bundle, "data", target)
    refused(runtime, bundle, "kernel's files")


def test_source_in_the_image_is_not_a_descriptor_of_the_runtime(runtime, bundle):
    """Links of procfs are not followed, or a source could be any directory that the runtime has open. Catalogue A5."""
    for number in (3, 5, 7, 9):
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/vol"]
        plain_and_hidden(bundle, "data", f"/proc/self/fd/{number}")
        bundle.mount("/vol", f"{bundle.rootfs}/data")
        refused(runtime, bundle)


def test_race_of_a_source_in_the_image(runtime, bundle, helper, work, canary):
    """A directory exchanged for a link to the host while the mounts are made. Catalogue A10."""
    os.makedirs(f"{bundle.rootfs}/data")
    os.symlink(canary.path, f"{bundle.rootfs}/evil")
    bundle.mount("/vol", f"{bundle.rootfs}/data")
    bundle.sh(f"ls /vol/{os.path.basename(canary.marker)} 2>/dev/null && echo SEEN; echo x > /vol/null; exit 0")
    end = time.monotonic() + race_seconds()
    with flipping(helper, f"{bundle.rootfs}/data", f"{bundle.rootfs}/evil"):
        while time.monotonic() < end:
            assert "SEEN" not in attempt(runtime, bundle).out
    canary.check()


@pytest.mark.parametrize("destination", ["proc", "proc/sys", "proc/self/attr", "x/../proc/sys"])
def test_cve_2019_16884_by_the_roots_path(runtime, bundle, work, destination):
    """A destination written with the root file system's own path is checked as what it then means."""
    os.makedirs(f"{work}/volume")
    bundle.mount(f"{bundle.rootfs}/{destination}", f"{work}/volume")
    refused(runtime, bundle, "/destination", "proc")


def test_destination_below_the_roots_path_stays_inside(runtime, recorded, work, canary):
    """As for any other destination. Catalogue A9."""
    bundle, out = recorded
    os.makedirs(f"{work}/source")
    os.symlink(canary.path, f"{bundle.rootfs}/link")
    for destination in ("/link/sub", f"/../../../../../../../../..{canary.path}/sub", "/link/new"):
        bundle.mount(f"{bundle.rootfs}{destination}", f"{work}/source")
        attempt(runtime, bundle)
        assert not outside(mount_points(out), canary, bundle), destination
        bundle.config["mounts"].pop()
    canary.check()
