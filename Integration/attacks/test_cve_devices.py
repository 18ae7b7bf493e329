"""Escapes through a hostile /dev, and through what the runtime takes from it."""

import os
import shutil
import stat
import subprocess
import time

import pytest
from lab import Console, attempt, flipping, race_seconds, read, refused, wait_for, without_mounts

DEV_MOUNTS = ("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
NODES = ("null", "zero", "full", "random", "urandom", "console", "tty", "ptmx")


def replaced_dev(bundle, target):
    os.rmdir(f"{bundle.rootfs}/dev")
    os.symlink(target, f"{bundle.rootfs}/dev")


@pytest.mark.parametrize("form", ["absolute", "relative", "absolute, dangling", "relative, dangling"])
@pytest.mark.parametrize("mounted", ["with the usual mounts", "without a mount on /dev", "with /dev/pts only"])
def test_cve_2026_41579_dev_is_a_link(runtime, bundle, canary, form, mounted):
    """`/dev` of the image is a link to a host directory: nothing is removed, linked or made there (also
    CVE-2026-47766). Catalogue A7, A8."""
    target = canary.path + ("/new" if "dangling" in form else "")
    replaced_dev(bundle, target if "absolute" in form else "../" * 30 + target[1:])
    if mounted != "with the usual mounts":
        without_mounts(bundle, *(m for m in DEV_MOUNTS if m != "/dev/pts" or "only" not in mounted))
    attempt(runtime, bundle.sh("true"))
    canary.check(form)


def hostile_dev(rootfs, canary, form):
    """Every node that a runtime makes or opens is a link to a file of the host."""
    climb = "../" * 30
    for name in NODES + ("stdin", "stdout", "stderr", "fd", "core"):
        target = f"{canary.path}/{name}"
        os.symlink(target if form == "absolute" else climb + target[1:], f"{rootfs}/dev/{name}")


@pytest.mark.parametrize("form", ["absolute", "relative"])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("readonly", [False, True], ids=["rw", "ro"])
@pytest.mark.parametrize("stdio", ["null", "closed", "terminal"])
def test_cve_2026_88264_nodes_are_links(runtime, bundle, canary, work, form, uid, readonly, stdio):
    """Links in the place of `/dev/null`, `/dev/console` and their like, for every way stdio is set up (also
    CVE-2026-88265): no file of the host is made, opened for the container, or given another owner. Catalogue A16."""
    without_mounts(bundle, *DEV_MOUNTS)
    hostile_dev(bundle.rootfs, canary, form)
    bundle.config["root"]["readonly"] = readonly
    bundle.config["process"]["user"] = {"uid": uid, "gid": uid}
    bundle.sh("echo hello; echo attacked >/dev/null; echo attacked >/dev/console; true")
    if stdio == "terminal":
        bundle.config["process"]["terminal"] = True
        console = Console(f"{work}/console.sock")
        try:
            r = runtime.create(bundle, "--console-socket", console.path)
            if r.code == 0:
                runtime.call("start", r.id)
                runtime.wait_status(r.id, "stopped")
        finally:
            console.close()
    elif stdio == "closed":
        bundle.save()
        subprocess.run(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh",
                        *runtime.argv("run", "--bundle", bundle.path, runtime.new_id())], timeout=30)
    else:
        attempt(runtime, bundle)
    canary.check()


def test_a_masked_file_is_empty(runtime, bundle):
    """The detector of the tests below: unmasked the file can be read, masked it is the null device."""
    with open(f"{bundle.rootfs}/secret", "w") as f:
        f.write("SECRET")
    bundle.sh("head -c 16 /secret; stat -c %t:%T /secret")
    bundle.config["linux"]["maskedPaths"] = []
    assert "SECRET" in attempt(runtime, bundle).ok().out
    bundle.config["linux"]["maskedPaths"] = ["/secret"]
    assert attempt(runtime, bundle).ok().out == "1:3\n"


@pytest.mark.parametrize("place", ["volume", "image"])
@pytest.mark.parametrize("form", ["link to proc", "link to a file", "regular file", "missing", "zero", "fifo",
                                  "directory"])
def test_cve_2025_31133_mask_source(runtime, bundle, work, form, place):
    """The mask of a file is the null device, whatever the container's `/dev/null` is; or the container does not start
    (also CVE-2025-62161). Catalogue A14."""
    dev = f"{work}/dev" if place == "volume" else f"{bundle.rootfs}/dev"
    os.makedirs(dev, exist_ok=True)
    for name in ("secret", "other"):
        with open(f"{bundle.rootfs}/{name}", "w") as f:
            f.write("SECRET")
    null = f"{dev}/null"
    {"link to proc": lambda: os.symlink("/proc/self/comm", null),
     "link to a file": lambda: os.symlink("/other", null),
     "regular file": lambda: open(null, "w").close(),
     "missing": lambda: None,
     "zero": lambda: os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 5)),
     "fifo": lambda: os.mkfifo(null),
     "directory": lambda: os.mkdir(null)}[form]()
    without_mounts(bundle, *DEV_MOUNTS)
    if place == "volume":
        bundle.mount("/dev", dev)
    bundle.config["linux"]["maskedPaths"] = ["/secret"]
    bundle.sh("stat -c %t:%T /secret; timeout 1 head -c 16 /secret; echo attacked >/secret")
    r = attempt(runtime, bundle)
    if r.code == 0 or "1:3" in r.out:
        assert r.out == "1:3\n", f"{form}: {r}"
    assert "SECRET" not in r.out, r
    assert read(f"{bundle.rootfs}/other") == "SECRET" and read(f"{bundle.rootfs}/secret") == "SECRET"
    if form == "regular file" and place == "volume":
        assert read(null) == "", "the volume's file received what was written to the masked path"


def test_cve_2025_62161_mask_source_race(runtime, bundle, work, helper):
    """The race of the test above: `/dev/null` is exchanged for a link while containers start."""
    dev = f"{work}/dev"
    os.makedirs(dev)
    os.mknod(f"{dev}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.symlink("/other", f"{dev}/other")
    for name in ("secret", "other"):
        with open(f"{bundle.rootfs}/{name}", "w") as f:
            f.write("SECRET")
    without_mounts(bundle, *DEV_MOUNTS)
    bundle.mount("/dev", dev)
    bundle.config["linux"]["maskedPaths"] = ["/secret"]
    bundle.sh("stat -c %t:%T /secret; head -c 16 /secret")
    with flipping(helper, f"{dev}/null", f"{dev}/other"):
        end = time.monotonic() + race_seconds() / 2
        while time.monotonic() < end:
            r = attempt(runtime, bundle)
            assert r.out in ("", "1:3\n"), r


def test_cve_2025_52565_console_race(runtime, bundle, work, helper):
    """`/dev/console` is the pty that was made for the container, however the names below `/dev/pts` are exchanged.
    Catalogue A15."""
    dev = f"{work}/dev"
    os.makedirs(f"{dev}/real")
    os.makedirs(f"{dev}/fake")
    with open(f"{bundle.rootfs}/secret", "w") as f:
        f.write("SECRET")
    for n in range(4):
        os.symlink("/secret", f"{dev}/fake/{n}")
    os.symlink("../real/ptmx", f"{dev}/fake/ptmx")
    os.symlink("real/ptmx", f"{dev}/ptmx")
    os.symlink("real", f"{dev}/pts")
    os.symlink("fake", f"{dev}/pts2")
    with open(f"{dev}/console", "w"):
        pass
    for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
        os.mknod(f"{dev}/{name}", stat.S_IFCHR | 0o666, os.makedev(1, minor))
    without_mounts(bundle, *DEV_MOUNTS)
    bundle.mount("/dev", dev)
    bundle.mount("/dev/real", "devpts", "devpts", ["newinstance", "ptmxmode=0666", "mode=0620"])
    bundle.config["process"]["terminal"] = True
    bundle.sh("stat -c '%t %F' /dev/console >/tmp/out; stat -c %F /secret >>/tmp/out; echo >>/tmp/out END")
    out = f"{bundle.rootfs}/tmp/out"
    console = Console(f"{work}/console.sock")
    runs = 0
    try:
        def once():
            r = runtime.create(bundle, "--console-socket", console.path)
            if r.code == 0:
                runtime.call("start", r.id)
                runtime.wait_status(r.id, "stopped")
            text = read(out)
            runtime.call("delete", "--force", r.id)
            runtime.ids.remove(r.id)
            console.drop()
            if os.path.exists(out):
                os.unlink(out)
            return text

        with flipping(helper, f"{dev}/pts", f"{dev}/pts2"):
            end = time.monotonic() + race_seconds()
            while time.monotonic() < end:
                text = once()
                runs += 1
                assert not text or text.splitlines()[0] == "88 character special file", f"run {runs}: {text}"
                assert read(f"{bundle.rootfs}/secret") == "SECRET"
    finally:
        console.close()


def test_the_console_of_an_honest_container(runtime, bundle, work):
    """The detector of the test above: the console of an ordinary container shows as a pty, a file as a file."""
    bundle.config["process"]["terminal"] = True
    bundle.sh("stat -c '%t %F' /dev/console >/tmp/out; stat -c '%t %F' /etc/passwd >>/tmp/out")
    console = Console(f"{work}/console.sock")
    try:
        id = runtime.start_detached(bundle, "--console-socket", console.path)
        runtime.wait_status(id, "stopped")
        wait_for(lambda: console.masters, what="a master came")
    finally:
        console.close()
    assert read(f"{bundle.rootfs}/tmp/out").splitlines() == ["88 character special file", "0 regular file"]


PLANTS = ("symlink", "dangling symlink", "hard link", "fifo", "directory")


@pytest.mark.parametrize("form", PLANTS)
def test_cve_2025_24965_files_written_into_the_image(runtime, bundle, canary, work, form):
    """Whatever the runtime writes into a root file system, names planted there do not lead it to the host, and do not
    make it wait. Catalogue A17."""
    names = [".krun_config.json", "etc/resolv.conf", "etc/hosts", "etc/hostname", "etc/mtab", "etc/group",
             ".dockerenv", "run/.containerenv"]

    def picture():
        return {os.path.relpath(os.path.join(d, n), bundle.rootfs)
                for d, ds, fs in os.walk(bundle.rootfs) for n in ds + fs}

    before = picture()
    bundle.config["annotations"] = {"run.oci.handler": "krun"}
    attempt(runtime, bundle.sh("true"))
    # What this runtime itself makes there joins the list, the topmost names only.
    made = picture() - before
    names += sorted(n for n in made - set(names) if os.path.dirname(n) not in made)
    sources = f"{work}/sources"
    os.makedirs(sources)
    target = f"{canary.path}/sub/file"
    for name in names:
        path = f"{bundle.rootfs}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
        {"symlink": lambda: os.symlink(target, path),
         "dangling symlink": lambda: os.symlink(f"{canary.path}/new", path),
         "hard link": lambda: os.link(target, path),
         "fifo": lambda: os.mkfifo(path),
         "directory": lambda: os.mkdir(path)}[form]()
    attempt(runtime, bundle, timeout=10)
    canary.check("without mounts")
    for name in names[1:5]:
        with open(f"{sources}/{os.path.basename(name)}", "w") as f:
            f.write("from the engine\n")
        bundle.mount(f"/{name}", f"{sources}/{os.path.basename(name)}", options=["rbind", "rprivate"])
    attempt(runtime, bundle, timeout=10)
    canary.check("with the mounts of an engine")


def test_cve_2025_62596_label_written_to_a_planted_file(runtime, bundle, work):
    """A label that the kernel has to get is not written to a file of a volume that stands in for `/proc/self/attr`."""
    attr = f"{work}/volume/attr"
    os.makedirs(attr)
    for name in ("exec", "current", "keycreate", "sockcreate"):
        with open(f"{attr}/{name}", "w"):
            pass
    bundle.config["process"]["apparmorProfile"] = "attack"
    bundle.config["process"]["selinuxLabel"] = "system_u:system_r:attack_t:s0"
    bundle.mount("/proc/self/attr", attr)
    refused(runtime, bundle)
    assert [read(f"{attr}/{n}") for n in os.listdir(attr)] == [""] * 4
