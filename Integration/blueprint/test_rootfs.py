"""Root file systems from images and directories: what is unpacked, and that hostile ones reach nothing outside."""

import gzip
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tarfile

import pytest

from handmade import Layout, digest, directory, docker_archive, entry, hard_link, layer, symlink, tree_layer
from harness import busybox_rootfs
from harness.runtime import NEMOSHELL

BLUEPRINT = """apiVersion: nemoshell/v1
kind: Blueprint
metadata: {{name: agent, version: 1.0.0}}
sandbox:
  rootfs: {rootfs}
  process: {{args: [/bin/sh, -c, "true"]}}
policy:
  filesystem:
    read_only: [/bin]
"""


class Builder:
    """Builds bundles of one blueprint; `canary` is a directory of the host that no image may reach."""

    def __init__(self, work):
        self.work = work
        self.canary = pathlib.Path(work, "canary")
        self.canary.mkdir()
        (self.canary / "secret").write_text("host")
        self.rootfs = busybox_rootfs(f"{work}/busybox")
        self.base = tree_layer(self.rootfs)

    def build(self, rootfs, output="out", *flags):
        path = f"{self.work}/agent.yaml"
        pathlib.Path(path).write_text(BLUEPRINT.format(rootfs=json.dumps(rootfs)))
        return subprocess.run([NEMOSHELL, "blueprint", "build", path, "-o", f"{self.work}/{output}", *flags], capture_output=True,
                              text=True, timeout=60)

    def layout(self, *layers, output="out", **more):
        path = f"{self.work}/layout"
        shutil.rmtree(path, ignore_errors=True)
        Layout([self.base, *layers], **more).write(path)
        return self.build({"oci_layout": path}, output)

    def ok(self, *layers, **more):
        done = self.layout(*layers, **more)
        assert done.returncode == 0, done.stderr
        return pathlib.Path(self.work, "out", "rootfs")

    def refused(self, done, *texts):
        assert done.returncode == 1 and done.stderr.count("\n") == 1, (done.returncode, done.stderr)
        for text in texts:
            assert text in done.stderr, done.stderr
        self.nothing_is_left()

    def nothing_is_left(self):
        assert not [n for n in os.listdir(self.work) if n.startswith(".")] and not os.path.exists(f"{self.work}/out")
        self.canary_is_whole()

    def canary_is_whole(self):
        assert os.listdir(self.canary) == ["secret"] and (self.canary / "secret").read_text() == "host"
        assert os.stat(self.canary / "secret").st_nlink == 1


@pytest.fixture
def builder(work):
    b = Builder(work)
    yield b
    b.canary_is_whole()


# -- what is unpacked

def test_layers_whiteouts_and_metadata(builder):
    root = builder.ok(
        layer(directory("d"), entry("d/kept"), entry("d/gone"), directory("opaque"), entry("opaque/old"), directory("opaque/deep"),
              entry("opaque/deep/old"), entry("file"), symlink("lib64", "lib"), directory("lib"), directory("replaced"), entry("replaced/x")),
        layer(entry("opaque/new", data=b"new"), entry("opaque/.wh..wh..opq"), entry("d/.wh.gone"), entry("lib64/through", data=b"x"),
              entry("file", data=b"second", mode=0o600, uid=7, gid=8, mtime=1234),
              hard_link("twin", "file"), entry("replaced", data=b"now a file"), entry("same-layer"), entry(".wh.same-layer")))
    assert sorted(os.listdir(root / "d")) == ["kept"]
    assert sorted(os.listdir(root / "opaque")) == ["new"]
    assert (root / "lib/through").read_text() == "x" and os.readlink(root / "lib64") == "lib"
    found = os.stat(root / "file")
    assert (found.st_uid, found.st_gid, found.st_mtime, stat.S_IMODE(found.st_mode)) == (7, 8, 1234, 0o600)
    assert os.stat(root / "twin").st_ino == found.st_ino and (root / "replaced").is_file() and (root / "same-layer").exists()


def test_a_directory_of_a_later_layer_stays_beside_an_opaque_whiteout_written_first_or_last(builder):
    for position in (0, 2):
        later = [directory("o"), entry("o/new"), entry("o/sub/new")]
        later.insert(position, entry("o/.wh..wh..opq"))
        root = builder.ok(layer(directory("o"), entry("o/old"), directory("o/sub"), entry("o/sub/old")), layer(*later))
        assert sorted(os.listdir(root / "o")) == ["new", "sub"] and os.listdir(root / "o/sub") == ["new"], position
        shutil.rmtree(f"{builder.work}/out")


def test_setuid_devices_and_attributes(builder):
    done = builder.layout(layer(
        entry("suid", mode=0o6755), directory("sticky", mode=0o1777), entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("disk", tarfile.BLKTYPE, devmajor=8, devminor=0), entry("pipe", tarfile.FIFOTYPE, mode=0o640),
        entry("tagged", pax_headers={"SCHILY.xattr.user.note": "hello", "SCHILY.xattr.security.capability": "x",
                                     "SCHILY.xattr.trusted.overlay.opaque": "y"})))
    assert done.returncode == 0 and "2 device nodes" in done.stderr
    root = pathlib.Path(builder.work, "out/rootfs")
    assert stat.S_IMODE(os.stat(root / "suid").st_mode) == 0o755 and stat.S_IMODE(os.stat(root / "sticky").st_mode) == 0o1777
    assert not (root / "null").exists() and not (root / "disk").exists() and stat.S_ISFIFO(os.stat(root / "pipe").st_mode)
    assert os.listxattr(root / "tagged") in (["user.note"], [])


def test_long_names_in_every_dialect(builder):
    name = "/".join(["d" * 60] * 8) + "/" + "f" * 200
    for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        root = builder.ok(layer(entry(name, data=b"x" * 700), format=format))
        assert (root / name).stat().st_size == 700
        shutil.rmtree(f"{builder.work}/out")


def test_the_three_sources_give_the_same_tree(builder):
    locks = []
    Layout([builder.base]).write(f"{builder.work}/plain")
    Layout([builder.base], compress=False).write(f"{builder.work}/layout.tar", as_tar=True)
    docker_archive(f"{builder.work}/docker.tar", [builder.base])
    for n, source in enumerate([{"directory": builder.rootfs}, {"oci_layout": f"{builder.work}/plain"},
                                {"oci_layout": f"{builder.work}/layout.tar"}, {"docker_archive": f"{builder.work}/docker.tar"}]):
        done = builder.build(source, f"out{n}", "--json")
        assert done.returncode == 0, done.stderr
        locks.append(json.loads(done.stdout))
    assert len({lock["rootfs"] for lock in locks}) == 1
    assert [lock["source"]["kind"] for lock in locks] == ["directory", "oci_layout", "oci_layout", "docker_archive"]
    assert locks[1]["source"]["layers"] == [digest(builder.base)]


def test_a_reference_and_a_digest_choose(builder):
    a, b = Layout([builder.base], name="a"), Layout([builder.base, layer(entry("only-b"))], name="b")
    a.blobs |= b.blobs
    a.index = [a.manifest, b.manifest]
    path = a.write(f"{builder.work}/layout")
    builder.refused(builder.build({"oci_layout": path}), "holds 2 images", "a, b")
    builder.refused(builder.build({"oci_layout": path, "reference": "c"}), "holds no image called c")
    builder.refused(builder.build({"oci_layout": path, "reference": "a", "digest": b.manifest["digest"]}), "sandbox.rootfs.digest")
    assert builder.build({"oci_layout": path, "reference": "b", "digest": b.manifest["digest"]}).returncode == 0
    assert os.path.exists(f"{builder.work}/out/rootfs/only-b")


def test_an_index_of_platforms(builder):
    l = Layout([builder.base])
    foreign = dict(l.manifest, platform={"os": "linux", "architecture": "s390x"})
    own = dict(l.manifest, platform={"os": "linux", "architecture": json.loads(l.blobs[l.config["digest"]])["architecture"]})
    for entries, works in [([foreign, own], True), ([foreign], False)]:
        inner = l.add(json.dumps({"schemaVersion": 2, "manifests": entries}).encode(), "application/vnd.oci.image.index.v1+json")
        l.index = [inner]
        path = l.write(f"{builder.work}/layout-{works}")
        done = builder.build({"oci_layout": path}, f"out-{works}")
        assert (done.returncode == 0) == works, done.stderr


# -- what reaches outside

def reaches(canary):
    """Layers that try to read, write or remove what is outside, each with whether it is refused or contained."""
    up = "../" * 30 + str(canary).lstrip("/")
    return {
        "an absolute name": ([entry(f"{canary}/new", data=b"x")], True),
        "dots": ([entry(f"{up}/new", data=b"x")], True),
        "dots in the middle": ([entry(f"a/b/../../{up}/new", data=b"x")], True),
        "an absolute link, then a file": ([symlink("out", str(canary)), entry("out/new", data=b"x")], False),
        "a relative link, then a file": ([symlink("out", up), entry("out/new", data=b"x")], False),
        "a link, then its target as a file": ([symlink("file", f"{canary}/secret"), entry("file", data=b"x")], False),
        "a chain of links": ([symlink("a", "b"), symlink("b", str(canary)), entry("a/secret", data=b"x")], False),
        "a link, then a directory": ([symlink("out", str(canary)), directory("out/", mode=0o777, uid=1)], False),
        "a hard link to a host file": ([hard_link("stolen", f"{canary}/secret")], True),
        "a hard link with dots": ([hard_link("stolen", f"{up}/secret")], True),
        "a hard link through a link": ([symlink("out", str(canary)), hard_link("stolen", "out/secret")], True),
        "a hard link to a link": ([symlink("out", f"{canary}/secret"), hard_link("twin", "out"), entry("twin", data=b"x")], False),
        "a whiteout outside": ([entry(f"{up}/.wh.secret")], True),
        "a whiteout through a link": ([symlink("out", str(canary)), entry("out/.wh.secret")], False),
        "an opaque whiteout through a link": ([symlink("out", str(canary)), entry("out/.wh..wh..opq")], False),
        "a whiteout of the parent": ([directory("d"), entry("d/.wh...")], True),
        "a whiteout of the directory": ([directory("d"), entry("d/.wh..")], True),
        "a whiteout of nothing": ([entry(".wh.")], True),
        "a fifo through a link": ([symlink("out", str(canary)), entry("out/pipe", tarfile.FIFOTYPE)], False),
        "a magic link": ([symlink("out", "/proc/self/cwd"), entry("out/new", data=b"x")], False),
        "a link to itself": ([symlink("loop", "loop"), entry("loop/x", data=b"x")], True),
        "a file as a directory": ([entry("f", data=b"x"), entry("f/x", data=b"x")], True),
        "a name with NUL": ([entry("ok", pax_headers={"path": "a\0b"})], True),
    }


@pytest.mark.parametrize("what", reaches("/canary"))
def test_nothing_outside_is_reached(builder, what):
    entries, is_refused = reaches(builder.canary)[what]
    # In one layer, and with each step in a layer of its own.
    for layers in ([layer(*entries)], [layer(e) for e in entries]):
        done = builder.layout(*layers)
        builder.canary_is_whole()
        if is_refused or done.returncode:
            builder.refused(done, "layer")
        else:
            shutil.rmtree(f"{builder.work}/out")
        assert done.returncode == 0 or is_refused or "leads to nothing in the image" in done.stderr, done.stderr


def test_links_in_the_image_directory_lead_nowhere(builder):
    path = Layout([builder.base]).write(f"{builder.work}/layout")
    os.rename(f"{path}/index.json", f"{builder.canary.parent}/index.json")
    os.symlink(f"{builder.canary.parent}/index.json", f"{path}/index.json")
    builder.refused(builder.build({"oci_layout": path}), "index.json")


# -- what is damaged

def test_wrong_digests_and_sizes(builder):
    def broken(change):
        l = Layout([builder.base, layer(entry("x"))])
        change(l)
        shutil.rmtree(f"{builder.work}/layout", ignore_errors=True)
        return builder.build({"oci_layout": l.write(f"{builder.work}/layout")})

    def flip(name):
        def change(l):
            data = bytearray(l.blobs[name(l)])
            data[len(data) // 2] ^= 1
            l.blobs[name(l)] = bytes(data)
        return change

    builder.refused(broken(flip(lambda l: l.layers[1]["digest"])))
    builder.refused(broken(flip(lambda l: l.manifest["digest"])), "another digest")
    builder.refused(broken(flip(lambda l: l.config["digest"])), "another digest")

    def other_layer(l):
        l.blobs[l.layers[1]["digest"]] = gzip.compress(layer(entry("y")), 1, mtime=0)
    builder.refused(broken(other_layer))

    def missing(l):
        del l.blobs[l.layers[1]["digest"]]
    builder.refused(broken(missing), "is missing")


def test_a_layer_that_is_not_what_its_diff_id_says(builder):
    path = docker_archive(f"{builder.work}/docker.tar", [builder.base], diff_ids=[digest(b"other")])
    builder.refused(builder.build({"docker_archive": path}), "another digest")


@pytest.mark.parametrize("cut", [1, 10, 100, 5000])
def test_truncated_gzip(builder, cut):
    l = Layout([builder.base])
    blob = l.blobs.pop(l.layers[0]["digest"])[:-cut]
    manifest = json.loads(l.blobs.pop(l.manifest["digest"]))
    manifest["layers"] = [l.add(blob, l.layers[0]["mediaType"])]
    l.index = [l.add(json.dumps(manifest).encode(), l.manifest["mediaType"])]
    builder.refused(builder.build({"oci_layout": l.write(f"{builder.work}/layout")}), "truncated")


@pytest.mark.parametrize("cut", [100, 511, 512, 1500, 40000])
def test_truncated_tar(builder, cut):
    """A layer whose digest is right, but which ends in the middle."""
    data = layer(entry("a", data=b"x" * 30000), entry("b", data=b"y" * 3000))[:cut]
    done = builder.layout(data)
    assert done.returncode == 0 if cut % 10240 == 0 else True
    if done.returncode:
        builder.refused(done, "layer 2 of 2")
    else:
        shutil.rmtree(f"{builder.work}/out")


@pytest.mark.parametrize("name, text", [
    ("index.json", "{"), ("index.json", "[]"), ("index.json", '{"manifests":[]}'), ("index.json", '{"manifests":[{}]}'),
    ("index.json", '{"manifests":[{"digest":"md5:00","size":1}]}'), ("index.json", '{"manifests":[], "manifests":[]}'),
    ("index.json", '{"manifests":[{"digest":"sha256:../../../../etc/passwd","size":1}]}'),
    ("oci-layout", '{"imageLayoutVersion":"2.0.0"}'), ("oci-layout", ""), ("index.json", "[" * 100000)])
def test_documents_that_are_none(builder, name, text):
    path = Layout([builder.base]).write(f"{builder.work}/layout")
    pathlib.Path(path, name).write_text(text)
    builder.refused(builder.build({"oci_layout": path}), name)


def test_random_damage_never_leaves_anything(builder):
    import random

    from harness.inject import SEED
    rng = random.Random(SEED)
    small = layer(directory("d"), entry("d/f", data=b"x" * 2000), symlink("l", "/etc"), hard_link("h", "d/f"), entry("d/.wh.gone"))
    for _ in range(60):
        data = bytearray(small)
        for _ in range(rng.choice([1, 2, 8])):
            at = rng.randrange(len(data))
            data[at] = rng.randrange(256)
            # Mostly a header whose checksum is right, so that its content matters.
            block = at // 512 * 512
            head = data[block:block + 512]
            if head[257:262] == b"ustar":
                head[148:156] = b" " * 8
                data[block + 148:block + 156] = b"%06o\0 " % sum(head)
        done = builder.layout(bytes(data))
        assert done.returncode in (0, 1) and done.stderr.count("\n") <= 1, (SEED, done.stderr)
        if done.returncode:
            builder.nothing_is_left()
        else:
            shutil.rmtree(f"{builder.work}/out")


def test_a_compressed_archive_and_other_compressions(builder):
    path = docker_archive(f"{builder.work}/docker.tar", [builder.base])
    with open(path, "rb") as f, open(path + ".gz", "wb") as out:
        out.write(gzip.compress(f.read(), 1))
    builder.refused(builder.build({"docker_archive": path + ".gz"}), "gzip", "unpack it first")
    builder.refused(builder.layout(b"\x28\xb5\x2f\xfd" + b"0" * 100, compress=False), "zstd")


def test_a_killed_build_is_cleaned_up_by_the_next(builder):
    big = layer(*[entry(f"f{n}", data=os.urandom(1 << 20)) for n in range(48)])
    path = Layout([builder.base, big], compress=False).write(f"{builder.work}/layout")
    pathlib.Path(builder.work, "agent.yaml").write_text(BLUEPRINT.format(rootfs=json.dumps({"oci_layout": path})))
    p = subprocess.Popen([NEMOSHELL, "blueprint", "build", f"{builder.work}/agent.yaml", "-o", f"{builder.work}/out"])
    while not (left := [n for n in os.listdir(builder.work) if n.startswith(".out.partial-")]) and p.poll() is None:
        pass
    p.kill()
    p.wait()
    assert left and not os.path.exists(f"{builder.work}/out")
    assert builder.build({"directory": builder.rootfs}).returncode == 0
    assert not [n for n in os.listdir(builder.work) if n.startswith(".")]


# -- directories

def test_a_directory_is_copied_as_it_is(builder):
    root = pathlib.Path(builder.rootfs)
    (root / "out").symlink_to(builder.canary)
    (root / "etc/file").write_text("x")
    os.link(root / "etc/file", root / "etc/twin")
    os.chmod(root / "etc/file", 0o4755)
    os.mkfifo(root / "pipe")
    os.mknod(root / "node", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    done = builder.build({"directory": builder.rootfs})
    assert done.returncode == 0, done.stderr
    copy = pathlib.Path(builder.work, "out/rootfs")
    assert os.readlink(copy / "out") == str(builder.canary)
    assert os.stat(copy / "etc/file").st_ino == os.stat(copy / "etc/twin").st_ino
    assert stat.S_IMODE(os.stat(copy / "etc/file").st_mode) == 0o755 and not (copy / "node").exists()


def test_a_directory_with_a_mount_in_it_is_refused(builder):
    place = f"{builder.rootfs}/mnt"
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    try:
        builder.refused(builder.build({"directory": builder.rootfs}), "another file system")
    finally:
        subprocess.run(["umount", place], check=True)


def test_relative_paths_start_at_the_blueprint(builder):
    os.makedirs(f"{builder.work}/elsewhere")
    pathlib.Path(builder.work, "agent.yaml").write_text(BLUEPRINT.format(rootfs='{"directory": "./busybox"}'))
    done = subprocess.run([NEMOSHELL, "blueprint", "build", "../agent.yaml", "-o", "out"], cwd=f"{builder.work}/elsewhere",
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_existing_output_is_kept(builder):
    assert builder.build({"directory": builder.rootfs}).returncode == 0
    before = os.stat(f"{builder.work}/out").st_ino
    done = builder.build({"directory": builder.rootfs})
    assert done.returncode == 1 and "--force" in done.stderr and os.stat(f"{builder.work}/out").st_ino == before
    assert builder.build({"directory": builder.rootfs}, "out", "--force").returncode == 0
    assert os.stat(f"{builder.work}/out").st_ino != before and not [n for n in os.listdir(builder.work) if n.startswith(".")]
    os.makedirs(f"{builder.work}/mine")
    pathlib.Path(builder.work, "mine/file").write_text("precious")
    done = builder.build({"directory": builder.rootfs}, "mine", "--force")
    assert done.returncode == 1 and pathlib.Path(builder.work, "mine/file").exists()
