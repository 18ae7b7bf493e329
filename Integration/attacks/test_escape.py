"""Ways out of a running container that have no CVE of their own: roots, propagation, file handles, shared files."""

import os
import subprocess

import pytest
from lab import attempt, capabilities, read, wait_for


def user_namespace(bundle, first=100000):
    """Maps the container's root to an unprivileged user of the host."""
    os.chmod(os.path.dirname(bundle.path), 0o755)
    bundle.namespace("user")
    for kind in ("uidMappings", "gidMappings"):
        bundle.config["linux"][kind] = [{"containerID": 0, "hostID": first, "size": 65536}]


def test_source_swapped_between_create_and_start(runtime, bundle, canary, work):
    """The source of a bind mount is opened once: a link that is changed after `create` changes nothing.
    Catalogue A19."""
    os.makedirs(f"{work}/volume/good")
    with open(f"{work}/volume/good/name", "w") as f:
        f.write("good\n")
    with open(f"{canary.path}/sub/name", "w") as f:
        f.write("host\n")
    canary.before = canary.picture()
    link = f"{work}/volume/link"
    bundle.mount("/mnt", link, options=["bind"])
    bundle.sh("cat /mnt/name >/tmp/out; exec /bin/sleep 100")
    out = f"{bundle.rootfs}/tmp/out"
    for target, expected in ((f"{canary.path}/sub", "host\n"), (f"{work}/volume/good", "good\n")):
        os.symlink(target, link)
        r = runtime.create(bundle).ok()
        os.unlink(link)
        # The first pass is the detector: made while the link points to the canary, the container sees that.
        os.symlink("/" if expected == "good\n" else f"{work}/volume/good", link)
        runtime.call("start", r.id).ok()
        assert wait_for(lambda: read(out)) == expected
        assert runtime.exec(r.id, "/bin/cat", "/mnt/name").ok().out == expected
        os.unlink(link)
        os.unlink(out)
        runtime.call("delete", "--force", r.id).ok()


def test_user_namespace_confines(runtime, armed, canary, work):
    """Root of a user namespace is nobody on the host: no write to a file of the host's root, no group of the host, no
    process of the host. Catalogue A21."""
    armed.mount("/mnt", canary.path, options=["bind"])
    armed.sh("/attack open w /mnt/sub/file; /attack setgroups 100000; ls /proc; id -u; touch /tmp/mine")
    # The detector: without the namespace the file can be opened for writing, and the group be joined.
    out = attempt(runtime, armed).ok().out
    assert "/mnt/sub/file 0" in out and "JOINED" in out, out
    os.unlink(f"{armed.rootfs}/tmp/mine")
    user_namespace(armed)
    out = attempt(runtime, armed).ok().out
    assert "/mnt/sub/file EACCES" in out, out
    assert "EINVAL" in out and "JOINED" not in out, out
    assert str(os.getpid()) not in out.split(), out
    assert out.split()[-1] == "0", out
    assert os.stat(f"{armed.rootfs}/tmp/mine").st_uid == 100000


def test_chroot_climb(runtime, armed, canary):
    """A second chroot leads out of a chroot, but not out of a container: its root is the root of its mount namespace.
    Catalogue A22."""
    plain = subprocess.check_output(["chroot", armed.rootfs, "/attack", "climb", canary.marker], text=True)
    assert plain == "REACHED\n", "the detector leaves a mere chroot"
    armed.config["process"]["args"] = ["/attack", "climb", canary.marker]
    assert attempt(runtime, armed).ok().out == "CONTAINED\n"
    capabilities(armed, "CAP_SYS_ADMIN")
    assert attempt(runtime, armed).ok().out == "CONTAINED\n"


def test_chroot_climb_in_a_shared_mount_namespace(runtime, armed, canary):
    """There the container's root is no namespace's, and has nothing above it either. Catalogue A22."""
    armed.without_namespace("mount")
    armed.config["linux"].update(maskedPaths=[], readonlyPaths=[])
    armed.config["process"]["args"] = ["/attack", "climb", canary.marker]
    assert attempt(runtime, armed).ok().out == "CONTAINED\n"
    armed.sh("sleep 100")
    id = runtime.start_detached(armed)
    assert runtime.exec(id, "/attack", "climb", canary.marker).ok().out == "CONTAINED\n"


def test_old_root_is_gone(runtime, armed, canary):
    """The host's root is not below or beside the container's, not even for one that may unmount. Catalogue A22."""
    capabilities(armed, "CAP_SYS_ADMIN")
    armed.sh(f"""find / -xdev -name '{os.path.basename(canary.marker)}' 2>/dev/null | sed 's/^/FOUND /'
ls -a / | grep -E 'pivot|old|put_old' | sed 's/^/OLD /'
cut -d' ' -f5 /proc/self/mountinfo | grep -v '^/$' | sort -r | while read p; do umount -l $p; done
umount -l /; cd /; cd ..; [ -e {canary.marker} ] && echo FOUND; [ -e ..{canary.marker} ] && echo FOUND; echo END""")
    out = attempt(runtime, armed).ok().out
    assert out.split() == ["END"], out


@pytest.mark.parametrize("propagation", [None, "private", "slave", "rslave"])
def test_propagation_to_the_host(runtime, bundle, work, propagation):
    """Mounts that a container makes in a volume do not show on a host whose mounts are all shared. Catalogue A23."""
    volume = f"{work}/volume"
    for n in range(10):
        os.makedirs(f"{volume}/{n}")
    capabilities(bundle, "CAP_SYS_ADMIN")
    bundle.mount("/vol", volume, options=["rbind"] + ([propagation] if propagation else []))
    if propagation:
        bundle.config["linux"]["rootfsPropagation"] = "rslave"
    bundle.sh("for n in 0 1 2 3 4 5 6 7 8 9; do mount -t tmpfs tmpfs /vol/$n || exit 9; done; "
              "mount --make-rshared /vol; mount -t tmpfs tmpfs /vol/0; grep -c ' /vol/' /proc/self/mountinfo")
    bundle.save()
    # A mount namespace of the test's own stands for the host: shared throughout, apart from the machine's. The detector
    # is the mount of a child which leaves the propagation alone.
    script = (f'table() {{ grep -c {volume} /proc/self/mountinfo; }}; table; '
              f'unshare --mount --propagation unchanged mount -t tmpfs tmpfs {volume}/0; table; umount {volume}/0; '
              f'"$@"; echo "exit $?"; table || true')
    out = subprocess.check_output(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                   f'mount --make-rshared /; {script}', "sh",
                                   *runtime.argv("run", "--bundle", bundle.path, runtime.new_id())],
                                  text=True, stderr=subprocess.STDOUT).split("\n")
    assert out[:2] == ["0", "1"], f"the detector sees a mount that propagates: {out}"
    assert out[2:5] == ["11", "exit 0", "0"], out


def test_file_handles(runtime, armed, canary, helper):
    """A file handle of the host's root cannot be opened (the "shocker" escape). Catalogue A24."""
    handle = subprocess.check_output([helper, "handle-of", "/"], text=True).strip()
    armed.config["process"]["args"] = ["/attack", "handle-open", "/", handle, canary.marker]
    capabilities(armed, "CAP_DAC_READ_SEARCH")
    granted = attempt(runtime, armed).ok().out
    assert granted == "REACHED\n", "the detector opens the handle when the capability is granted"
    for kind in ("bounding", "effective", "permitted"):
        armed.config["process"]["capabilities"][kind].remove("CAP_DAC_READ_SEARCH")
    assert attempt(runtime, armed).ok().out == "REFUSED EPERM\n"
    # Granted, but taken back by the filter.
    capabilities(armed, "CAP_DAC_READ_SEARCH")
    armed.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["open_by_handle_at"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
    assert attempt(runtime, armed).ok().out == "REFUSED EPERM\n"


def test_exec_runs_nothing_of_the_image_on_the_host_side(runtime, armed, work):
    """A container that has replaced its shell, its user database and its loader's files gains nothing from an `exec`:
    the runtime opens none of them by name on its side, and runs none. Catalogue A27."""
    armed.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.start_detached(armed)
    os.makedirs(f"{armed.rootfs}/lib", exist_ok=True)
    for name in ("etc/ld.so.preload", "etc/nsswitch.conf", "etc/ld.so.cache", "lib/libnss_files.so.2", "lib/libc.so.6"):
        with open(f"{armed.rootfs}/{name}", "w") as f:
            f.write("/evil.so\n")
    os.unlink(f"{armed.rootfs}/bin/sh")
    with open(f"{armed.rootfs}/bin/sh", "w") as f:
        f.write("#!/bin/busybox sh\necho EVIL >>/tmp/evil\n")
    os.chmod(f"{armed.rootfs}/bin/sh", 0o755)
    trace = f"{work}/trace"

    def traced(*argv):
        subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", "trace=open,openat,execve,execveat", *argv],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=60)
        return read(trace).splitlines()

    seen = traced("/bin/cat", f"{armed.rootfs}/etc/nsswitch.conf")
    assert any("nsswitch" in line for line in seen), "the detector sees an open by name"
    lines = traced(*runtime.argv("exec", id, "/attack", "ids"))
    last = max(i for i, line in enumerate(lines) if "/attack" in line and "exec" in line)
    before = [line for line in lines[:last] if "ENOENT" not in line]
    for line in before:
        assert not any(name in line for name in ("nsswitch", "ld.so.preload", "libnss")), line
        assert f"{armed.rootfs}/" not in line, f"a path into the image by name: {line}"
    assert not os.path.exists(f"{armed.rootfs}/tmp/evil")
