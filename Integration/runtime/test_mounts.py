"""Mounts and the root file system (config.md "Mounts" and "Root"): kinds, options, propagation, binds, data, idmapped."""

import os
import socket
import subprocess

import pytest

from inside import look, sleeper, write


def mount_line(text, point):
    """The last mountinfo line of a mount point, as its fields."""
    lines = [line.split() for line in text.splitlines() if line.split()[4:5] == [point]]
    assert lines, f"{point} is not mounted:\n{text}"
    return lines[-1]


def options_of(runtime, bundle, point):
    """The per-mount and per-superblock options of a mount point in the container."""
    fields = mount_line(look(runtime, bundle, "cat /proc/self/mountinfo"), point)
    dash = fields.index("-")
    return set(fields[5].split(",")), set(fields[dash + 3].split(",")), fields[6:dash], fields[dash + 1]


@pytest.fixture
def source(work):
    """A host directory with a file and a directory."""
    write(f"{work}/source/file", "content\n")
    os.mkdir(f"{work}/source/sub")
    return f"{work}/source"


@pytest.fixture
def nested(source):
    """The same with a tmpfs at `sub`, which holds `inner`."""
    subprocess.run(["mount", "-t", "tmpfs", "nested", f"{source}/sub"], check=True)
    write(f"{source}/sub/inner", "inner\n")
    yield source
    subprocess.run(["umount", "-R", f"{source}/sub"], check=True)


# -- binds

def test_bind_of_a_directory(runtime, bundle, source):
    bundle.mount("/data", source, options=["bind"])
    assert look(runtime, bundle, "cat /data/file; echo new > /data/new") == "content"
    assert open(f"{source}/new").read() == "new\n"


def test_bind_of_a_file_makes_its_mount_point(runtime, bundle, source):
    bundle.mount("/etc/deep/er/file", f"{source}/file", options=["bind", "ro"])
    assert look(runtime, bundle, "cat /etc/deep/er/file; echo x 2>/dev/null > /etc/deep/er/file || echo refused") \
        == "content\nrefused"


def test_bind_without_a_type(runtime, bundle, source):
    bundle.config["mounts"].append({"destination": "/data", "source": source, "options": ["rbind"]})
    assert look(runtime, bundle, "cat /data/file") == "content"


def test_bind_over_an_existing_file(runtime, bundle, source):
    bundle.mount("/etc/passwd", f"{source}/file", options=["bind"])
    assert look(runtime, bundle, "cat /etc/passwd") == "content"


def test_bind_of_a_relative_source_is_the_bundles(runtime, bundle):
    write(f"{bundle.path}/extra/file", "relative\n")
    bundle.mount("/data", "extra", options=["bind"])
    assert look(runtime, bundle, "cat /data/file") == "relative"


def test_bind_of_a_socket_and_a_device(runtime, bundle, work):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{work}/socket")
        s.listen(1)
        bundle.mount("/run/it.sock", f"{work}/socket", options=["bind"])
        bundle.mount("/bound-null", "/dev/null", options=["bind"])
        assert look(runtime, bundle, "probe send /run/it.sock hello; echo x > /bound-null && echo wrote") == "ok 5\nwrote"


def test_bind_of_a_symlinks_target(runtime, bundle, source):
    os.symlink("file", f"{source}/link")
    bundle.mount("/etc/linked", f"{source}/link", options=["bind"])
    assert look(runtime, bundle, "cat /etc/linked") == "content"


def test_bind_takes_nested_mounts_only_when_recursive(runtime, bundle, nested):
    bundle.mount("/plain", nested, options=["bind"])
    bundle.mount("/recursive", nested, options=["rbind"])
    assert look(runtime, bundle, "ls /plain/sub; cat /recursive/sub/inner") == "inner"


def test_bind_onto_a_symlink_in_the_rootfs_stays_inside(runtime, bundle, source, work):
    os.makedirs(f"{work}/outside")
    os.symlink(f"{work}/outside", f"{bundle.rootfs}/link")
    bundle.mount("/link", source, options=["bind"])
    runtime.run(bundle.sh("cat /link/file")).ok()
    assert os.listdir(f"{work}/outside") == []


def test_missing_source(runtime, bundle, work):
    bundle.mount("/data", f"{work}/nosuch", options=["bind"])
    runtime.create(bundle).failed(f"{work}/nosuch", "no such file or directory", code=1)


def test_directory_over_a_file(runtime, bundle, source):
    bundle.mount("/etc/passwd", source, options=["bind"])
    runtime.create(bundle).failed("not a directory", "/etc/passwd", code=1)


# -- options

@pytest.mark.parametrize("option, script", [
    ("ro", "echo x > /data/new"), ("noexec", "/data/true"), ("nodev", "echo > /data/null"), ("nosymfollow", "cat /data/link"),
])
def test_restrictions_hold(runtime, bundle, source, option, script):
    subprocess.run(["cp", "/bin/busybox", f"{source}/true"], check=True)
    os.symlink("file", f"{source}/link")
    os.mknod(f"{source}/null", 0o600 | 0o020000, os.makedev(1, 3))
    bundle.config["linux"]["resources"]["devices"].append({"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"})
    bundle.mount("/data", source, options=["bind"])
    runtime.run(bundle.sh(script)).ok()
    bundle.config["mounts"][-1]["options"].append(option)
    r = runtime.run(bundle.sh(script)).failed()
    assert {"ro": "Read-only file system", "noexec": "Permission denied", "nodev": "Permission denied",
            "nosymfollow": "Too many levels"}[option] in r.err


def test_nosuid(runtime, bundle, source):
    """A set-user-id program is not dumpable when its bit counts."""
    subprocess.run(["cp", f"{bundle.rootfs}/bin/probe", f"{source}/probe"], check=True)
    os.chmod(f"{source}/probe", 0o4755)
    bundle.config["process"].update(user={"uid": 1000, "gid": 1000}, noNewPrivileges=False)
    bundle.mount("/data", source, options=["bind", "suid"])
    for option, dumpable in (("suid", "0"), ("nosuid", "1")):
        bundle.config["mounts"][-1]["options"][-1] = option
        assert look(runtime, bundle, "/data/probe dumpable") == dumpable, option


@pytest.mark.parametrize("options, has, lacks", [
    (["ro", "nosuid", "nodev", "noexec"], {"ro", "nosuid", "nodev", "noexec"}, {"rw"}),
    (["noatime"], {"noatime"}, {"relatime"}), (["nodiratime"], {"nodiratime"}, set()),
    (["relatime"], {"relatime"}, set()), (["strictatime"], set(), {"relatime", "noatime"}),
    (["ro", "rw"], {"rw"}, {"ro"}), (["noexec", "exec"], set(), {"noexec"}),
    (["nosuid", "suid", "nodev", "dev"], set(), {"nosuid", "nodev"}),
    (["nosymfollow"], {"nosymfollow"}, set()),
])
def test_option_flags_on_a_bind(runtime, bundle, source, options, has, lacks):
    bundle.mount("/data", source, options=["bind", *options])
    flags, _, _, _ = options_of(runtime, bundle, "/data")
    assert has <= flags and not lacks & flags, flags


@pytest.mark.parametrize("options, has, lacks", [
    (["noatime", "nodev", "size=1m", "mode=700"], {"noatime", "nodev"}, set()), (["ro"], {"ro"}, set()),
    (["strictatime"], set(), {"relatime", "noatime"}), (["defaults"], {"rw"}, set()), ([], {"rw"}, set()),
])
def test_option_flags_on_a_tmpfs(runtime, bundle, options, has, lacks):
    bundle.mount("/data", "tmpfs", "tmpfs", options)
    flags, _, _, kind = options_of(runtime, bundle, "/data")
    assert kind == "tmpfs" and has <= flags and not lacks & flags, flags


@pytest.mark.parametrize("option, flag", [("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"),
                                          ("rnoatime", "noatime"), ("rnodiratime", "nodiratime"),
                                          ("rnosymfollow", "nosymfollow")])
def test_recursive_options_reach_nested_mounts(runtime, bundle, nested, option, flag):
    bundle.mount("/data", nested, options=["rbind"])
    assert flag not in options_of(runtime, bundle, "/data/sub")[0]
    bundle.config["mounts"][-1]["options"].append(option)
    text = look(runtime, bundle, "cat /proc/self/mountinfo")
    for point in ("/data", "/data/sub"):
        assert flag in mount_line(text, point)[5].split(","), point


@pytest.mark.parametrize("options, flag", [(["rro", "rrw"], "rw"), (["rnoexec", "rexec"], "-noexec"),
                                           (["rrelatime"], "relatime"), (["rstrictatime"], "-relatime"),
                                           (["rnosuid", "rsuid"], "-nosuid"), (["rnodev", "rdev"], "-nodev"),
                                           (["rnosymfollow", "rsymfollow"], "-nosymfollow")])
def test_recursive_options_undone(runtime, bundle, nested, options, flag):
    bundle.mount("/data", nested, options=["rbind", *options])
    flags = options_of(runtime, bundle, "/data/sub")[0]
    assert flag[1:] not in flags if flag[0] == "-" else flag in flags, flags


def test_plain_read_only_leaves_nested_mounts(runtime, bundle, nested):
    bundle.mount("/data", nested, options=["rbind", "ro"])
    assert look(runtime, bundle, "echo x 2>/dev/null > /data/new || echo refused; echo x > /data/sub/new && echo wrote") \
        == "refused\nwrote"


def test_unknown_options_are_the_file_systems(runtime, bundle):
    bundle.mount("/data", "tmpfs", "tmpfs", ["nosuid", "nosuchoption=1"])
    runtime.create(bundle).failed("/data", "invalid argument", code=1)


def test_tmpfs_data(runtime, bundle):
    bundle.mount("/data", "tmpfs", "tmpfs", ["size=64k", "nr_inodes=20", "mode=1700", "uid=5", "gid=6"])
    out = look(runtime, bundle, "stat -c '%a %u %g' /data; dd if=/dev/zero of=/data/big bs=1k count=100 2>/dev/null || "
                                "stat -c %s /data/big")
    assert out.splitlines() == ["1700 5 6", "65536"]


def test_many_data_options(runtime, bundle):
    """More than fits one page is an error of the kernel, not a cut."""
    bundle.mount("/data", "tmpfs", "tmpfs", [f"size={n}k" for n in range(64, 300)])
    runtime.run(bundle).ok()


def test_tmpfs_keeps_the_mode_of_what_it_covers(runtime, bundle):
    os.makedirs(f"{bundle.rootfs}/covered")
    os.chmod(f"{bundle.rootfs}/covered", 0o710)
    bundle.mount("/covered", "tmpfs", "tmpfs", ["size=1m"])
    assert look(runtime, bundle, "stat -c %a /covered") in ("710", "1777")


def test_tmpcopyup(runtime, bundle):
    write(f"{bundle.rootfs}/filled/a/file", "content\n", 0o640)
    os.chown(f"{bundle.rootfs}/filled/a/file", 7, 8)
    os.symlink("a/file", f"{bundle.rootfs}/filled/link")
    os.chmod(f"{bundle.rootfs}/filled", 0o750)
    bundle.mount("/filled", "tmpfs", "tmpfs", ["tmpcopyup", "size=1m"])
    out = look(runtime, bundle, "stat -c '%a %u %g' /filled/a/file; cat /filled/link; readlink /filled/link; stat -c %a /filled;"
                                " echo new > /filled/new; grep -c ' /filled ' /proc/self/mountinfo")
    assert out.splitlines() == ["640 7 8", "content", "a/file", "750", "1"]
    assert not os.path.exists(f"{bundle.rootfs}/filled/new")


def test_remount(runtime, bundle, source):
    bundle.mount("/data", source, options=["bind"])
    bundle.mount("/data", source, options=["bind", "remount", "ro"])
    assert look(runtime, bundle, "cat /data/file; echo x 2>/dev/null > /data/file || echo refused") == "content\nrefused"


def test_proc_with_options(runtime, bundle):
    bundle.config["mounts"][0]["options"].append("hidepid=2")
    assert {"hidepid=invisible", "hidepid=2"} & options_of(runtime, bundle, "/proc")[1]


def test_default_file_systems(runtime, bundle):
    out = look(runtime, bundle, "cat /proc/self/mountinfo")
    for point, kind in (("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs"),
                        ("/dev/mqueue", "mqueue")):
        fields = mount_line(out, point)
        assert fields[fields.index("-") + 1] == kind
    assert "nosuid" in mount_line(out, "/proc")[5] and "noexec" in mount_line(out, "/dev/shm")[5]
    pts = mount_line(out, "/dev/pts")[-1]
    assert "ptmxmode=666" in pts and "gid=5" in pts and "mode=620" in pts


def test_only_the_containers_mounts_are_there(runtime, bundle):
    out = look(runtime, bundle, "cat /proc/self/mountinfo")
    points = [line.split()[4] for line in out.splitlines()]
    assert not [p for p in points if "nemoshell-test" in p or p.startswith(("/run", "/tmp", "/home"))], points
    assert len(points) == len([p for p in points if p == "/" or p.startswith(("/proc", "/sys", "/dev"))])


def test_file_system_type_that_does_not_exist(runtime, bundle):
    bundle.mount("/data", "x", "nosuchfs", [])
    runtime.create(bundle).failed("/data", "no such device", code=1)


def test_overlay(runtime, bundle, work):
    for d in ("lower", "upper", "work"):
        os.mkdir(f"{work}/{d}")
    write(f"{work}/lower/file", "low\n")
    bundle.mount("/data", "overlay", "overlay", [f"lowerdir={work}/lower", f"upperdir={work}/upper", f"workdir={work}/work"])
    assert look(runtime, bundle, "cat /data/file; echo up > /data/file; cat /data/file") == "low\nup"
    assert open(f"{work}/upper/file").read() == "up\n" and open(f"{work}/lower/file").read() == "low\n"


@pytest.mark.parametrize("access, refused", [("ro", True), ("rw", False)])
def test_cgroup_mount(runtime, bundle, access, refused):
    """v1: one mount per controller, the container's own cgroup at its root."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        pytest.skip("cgroup v2")
    for m in bundle.config["mounts"]:
        if m["type"] == "cgroup":
            m["options"] = [o for o in m["options"] if o != "ro"] + [access]
    out = look(runtime, bundle, "ls /sys/fs/cgroup; echo; cat /sys/fs/cgroup/memory/cgroup.procs; "
                                "mkdir /sys/fs/cgroup/pids/sub 2>/dev/null && echo made && rmdir /sys/fs/cgroup/pids/sub; true")
    listing, rest = out.split("\n\n")
    assert {"memory", "pids", "cpu", "devices", "freezer"} <= set(listing.split())
    assert "1" in rest.split() and ("made" in rest) is not refused


def test_mounts_are_done_in_their_order(runtime, bundle, source):
    bundle.mount("/data", "tmpfs", "tmpfs", [])
    bundle.mount("/data/inner", source, options=["bind"])
    assert look(runtime, bundle, "ls /data; cat /data/inner/file") == "inner\ncontent"


# -- destinations

@pytest.mark.parametrize("destination", ["/..", "/../../data", "/a/../data", "//data", "/data/"])
def test_odd_destinations_stay_inside(runtime, bundle, source, destination):
    bundle.mount(destination, source, options=["bind"])
    r = runtime.run(bundle.sh("cat /data/file"))
    assert r.code == 0 or r.code == 1 and r.err


def test_relative_destination(runtime, bundle, source):
    """Deprecated, and taken from the container's root as runc does, or refused by name."""
    bundle.mount("data", source, options=["bind"])
    r = runtime.run(bundle.sh("cat /data/file"))
    assert r.out == "content\n" or "/mounts/" in r.err


def test_destination_below_a_symlink_in_the_rootfs(runtime, bundle, source):
    os.makedirs(f"{bundle.rootfs}/real")
    os.symlink("/real", f"{bundle.rootfs}/absolute")
    os.symlink("../../../../real", f"{bundle.rootfs}/upward")
    bundle.mount("/absolute/one", source, options=["bind"])
    bundle.mount("/upward/two", source, options=["bind"])
    assert look(runtime, bundle, "cat /real/one/file /real/two/file") == "content\ncontent"


def test_destination_through_a_dangling_symlink(runtime, bundle, source):
    """Made inside the root where the link points (as images with /var/run -> /run expect)."""
    os.symlink("/run/late", f"{bundle.rootfs}/dangling")
    bundle.mount("/dangling/x", source, options=["bind"])
    assert look(runtime, bundle, "cat /run/late/x/file") == "content"


def test_bind_of_the_hosts_proc_is_allowed_on_its_own_point_only(runtime, bundle):
    bundle.config["mounts"][0] = {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}
    bundle.without_namespace("pid")
    runtime.run(bundle).ok()


def test_mount_inside_proc_is_refused(runtime, bundle, source):
    bundle.mount("/proc/self/attr", source, options=["bind"])
    runtime.create(bundle).failed("/proc", code=1)


# -- propagation

@pytest.mark.parametrize("option, has", [("private", None), ("rprivate", None), ("shared", "shared"), ("rshared", "shared"),
                                         ("slave", "master"), ("rslave", "master"), ("unbindable", "unbindable"),
                                         ("runbindable", "unbindable")])
def test_mount_propagation(runtime, bundle, source, option, has):
    subprocess.run(["mount", "--bind", source, source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        bundle.mount("/data", source, options=["bind", option])
        _, _, tags, _ = options_of(runtime, bundle, "/data")
        assert (any(t.startswith(has) for t in tags) if has else not tags), tags
    finally:
        subprocess.run(["umount", source], check=True)


def test_mounts_are_private_by_default(runtime, bundle, source):
    """What the container mounts does not reach the host."""
    subprocess.run(["mount", "--bind", source, source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        bundle.mount("/data", source, options=["rbind"])
        id = sleeper(runtime, bundle)
        runtime.call("exec", "--cap", "CAP_SYS_ADMIN", id, "mount", "-t", "tmpfs", "x", "/data/sub").ok()
        assert runtime.exec(id, "grep", "-c", " /data/sub ", "/proc/self/mountinfo").out.strip() == "1"
        assert not os.path.ismount(f"{source}/sub")
    finally:
        subprocess.run(["umount", "-R", source], check=True)


def test_slave_mounts_receive(runtime, bundle, source):
    subprocess.run(["mount", "--bind", source, source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        bundle.mount("/data", source, options=["rbind", "rslave"])
        id = sleeper(runtime, bundle)
        subprocess.run(["mount", "-t", "tmpfs", "x", f"{source}/sub"], check=True)
        assert runtime.exec(id, "grep", "-c", " /data/sub ", "/proc/self/mountinfo").ok().out.strip() == "1"
    finally:
        subprocess.run(["umount", "-R", source], check=True)


@pytest.mark.parametrize("value, tags", [("private", []), ("slave", []), ("shared", ["shared"]), ("unbindable", ["unbindable"]),
                                         ("rprivate", []), ("rslave", []), ("rshared", ["shared"])])
def test_rootfs_propagation(runtime, bundle, value, tags):
    bundle.config["linux"]["rootfsPropagation"] = value
    found = [t.split(":")[0] for t in options_of(runtime, bundle, "/")[2]]
    assert set(tags) <= set(found) and ("shared" in found) == ("shared" in tags), found


def test_bad_rootfs_propagation(runtime, bundle):
    bundle.config["linux"]["rootfsPropagation"] = "sideways"
    runtime.create(bundle).failed("/linux/rootfsPropagation", "sideways", code=1)


# -- root

def test_read_only_root(runtime, bundle):
    assert look(runtime, bundle, "echo x > /new && cat /new && rm /new") == "x"
    bundle.config["root"]["readonly"] = True
    assert look(runtime, bundle, "echo x 2>/dev/null > /new || echo refused; echo y > /dev/shm/y && cat /dev/shm/y") == "refused\ny"


def test_read_only_root_makes_mount_points_first(runtime, bundle, source):
    bundle.config["root"]["readonly"] = True
    bundle.mount("/not/there/yet", source, options=["bind"])
    assert look(runtime, bundle, "cat /not/there/yet/file") == "content"


@pytest.mark.parametrize("how", ["relative", "absolute", "dot"])
def test_root_path(runtime, bundle, how):
    bundle.config["root"]["path"] = {"relative": "rootfs", "absolute": bundle.rootfs, "dot": "./rootfs/."}[how]
    runtime.run(bundle).ok()


def test_root_on_its_own_mount(runtime, bundle):
    subprocess.run(["mount", "--bind", bundle.rootfs, bundle.rootfs], check=True)
    try:
        subprocess.run(["mount", "--make-shared", bundle.rootfs], check=True)
        runtime.run(bundle).ok()
    finally:
        subprocess.run(["umount", bundle.rootfs], check=True)


def test_the_hosts_root_is_out_of_reach(runtime, bundle, work):
    out = look(runtime, bundle, f"ls -d /.. {work} 2>/dev/null; stat -c %i / /..; wc -l < /proc/self/mountinfo")
    lines = out.splitlines()
    assert lines[0] == "/.." and lines[1] == lines[2]


# -- idmapped

def test_idmapped_mount(runtime, bundle, source):
    os.chown(f"{source}/file", 1000, 2000)
    bundle.mount("/data", source, options=["bind"])
    assert look(runtime, bundle, "stat -c '%u %g' /data/file") == "1000 2000"
    bundle.config["mounts"][-1].update(
        uidMappings=[{"containerID": 1000, "hostID": 5000, "size": 1}], gidMappings=[{"containerID": 2000, "hostID": 6000, "size": 1}])
    assert look(runtime, bundle, "stat -c '%u %g' /data/file") == "5000 6000"


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_idmapped_nested_mounts(runtime, bundle, nested, option):
    os.chown(f"{nested}/sub/inner", 1000, 1000)
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.mount("/data", nested, options=["rbind", option])
    bundle.config["mounts"][-1].update(uidMappings=mapping, gidMappings=mapping)
    assert look(runtime, bundle, "stat -c '%u %u' /data/file /data/sub/inner").splitlines() \
        == ["100000 100000", "101000 101000" if option == "ridmap" else "1000 1000"]


def test_idmapped_mount_with_half_a_mapping(runtime, bundle, source):
    bundle.mount("/data", source, options=["bind"])
    bundle.config["mounts"][-1]["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1}]
    runtime.create(bundle).failed("gidMappings", code=1)


def test_idmapped_mount_of_what_is_no_bind(runtime, bundle):
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.mount("/data", "proc", "proc", [])
    bundle.config["mounts"][-1].update(uidMappings=mapping, gidMappings=mapping)
    runtime.create(bundle).failed("/mounts/", code=1)


# -- refused

@pytest.mark.parametrize("kind", ["bind", "none", "tmpfs"])
@pytest.mark.parametrize("option", ["size=4k", "mode=700", "nonsense", "context=x"])
def test_bind_with_options_of_a_new_file_system(runtime, bundle, source, kind, option):
    """The kernel would ignore them: what is bound has its options already. runc refuses them since version 1.2."""
    bundle.mount("/mnt/x", source, kind=kind, options=["rbind", option])
    r = runtime.create(bundle).failed(f"/mounts/{len(bundle.config['mounts']) - 1}/options", option,
                                      "bind mounts cannot have any filesystem-specific options applied", code=1)
    assert runtime.state(r.id) is None



@pytest.mark.parametrize("mount, pointer", [
    ({"type": "tmpfs"}, "destination"), ({"destination": "", "type": "tmpfs"}, "destination"),
    ({"destination": 5, "type": "tmpfs"}, "destination"), ({"destination": "/x", "options": "ro"}, "options"),
    ({"destination": "/x", "type": "tmpfs", "options": [5]}, "options/0"),
])
def test_bad_mounts_name_their_field(runtime, bundle, mount, pointer):
    n = len(bundle.config["mounts"])
    bundle.config["mounts"].append(mount)
    runtime.create(bundle).failed(f"/mounts/{n}", code=1)


def test_tmpfs_where_nothing_was(runtime, bundle):
    bundle.mount("/made/for/it", "tmpfs", kind="tmpfs", options=["nosuid"])
    assert look(runtime, bundle, "stat -c %a /made/for/it") == "1777"


def test_read_only_dev(runtime, bundle):
    """The nodes and mount points of /dev are made before it becomes read-only."""
    for mount in bundle.config["mounts"]:
        if mount["destination"] == "/dev":
            mount["options"].append("ro")
    shown = look(runtime, bundle, "echo x > /dev/null && grep ' /dev ' /proc/mounts; touch /dev/new 2>&1 || echo refused")
    assert " ro," in shown and "refused" in shown


def test_no_pivot_leaves_no_kernel_files_in_sight(runtime, bundle):
    """With the host's proc still mounted somewhere below, a user namespace inside could mount one without masked paths."""
    for kind in ("bounding", "permitted", "effective"):
        bundle.config["process"]["capabilities"][kind].append("CAP_SETFCAP")
    script = "unshare -mrpf sh -c 'mount -t proc none /proc' 2>&1 || echo refused"
    assert "refused" in look(runtime, bundle, script, "--no-pivot")
