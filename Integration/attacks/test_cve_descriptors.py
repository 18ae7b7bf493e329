"""Escapes through descriptors that stay open on the way into the container."""

import os
import shutil
import socket
import subprocess

import pytest
from lab import MARKER, attempt, call_with_fds, read, wait_for


def looks_outside(marker):
    """A script that says ESCAPED when the host's marker can be reached from the working directory."""
    return (f'p=; i=0; while [ $i -lt 40 ]; do [ -e "${{p:-./}}{MARKER}" ] && echo ESCAPED; '
            f'[ -e "${{p:-./}}{marker[1:]}" ] && echo ESCAPED; p=../$p; i=$((i+1)); done; echo RAN')


@pytest.fixture
def leaked(canary):
    """Descriptors of the caller at 3 to 14, each a host directory."""
    fd = os.open(canary.path, os.O_RDONLY | os.O_DIRECTORY)
    yield {n: fd for n in range(3, 15)}
    os.close(fd)


def test_the_script_sees_the_host(runtime, bundle, canary):
    """The detector of this file: with the host directory mounted as the working directory the script says so."""
    bundle.mount("/mnt", canary.path)
    bundle.sh(looks_outside(canary.marker))
    bundle.config["process"]["cwd"] = "/mnt"
    assert "ESCAPED" in attempt(runtime, bundle).ok().out


@pytest.mark.parametrize("suffix", ["", "/../../../.."])
def test_cve_2024_21626_run_working_directory(runtime, bundle, canary, leaked, suffix):
    """`process.cwd` through a descriptor of the runtime or of its caller is refused or stays inside. Catalogue A3."""
    bundle.sh(looks_outside(canary.marker))
    for n in range(3, 15):
        bundle.config["process"]["cwd"] = f"/proc/self/fd/{n}{suffix}"
        r = attempt(runtime, bundle)
        assert "ESCAPED" not in r.out, f"cwd {bundle.config['process']['cwd']}: {r}"
        r = call_with_fds(runtime, leaked, "run", "--bundle", bundle.path, runtime.new_id())
        assert "ESCAPED" not in r.stdout, f"cwd {bundle.config['process']['cwd']} with leaked descriptors: {r}"


@pytest.mark.parametrize("suffix", ["", "/../../../.."])
def test_cve_2024_21626_exec_working_directory(runtime, bundle, canary, leaked, suffix):
    """The same for `exec --cwd`, which joins a container that may have prepared links. Catalogue A5."""
    bundle.config["process"]["args"] = ["/bin/sleep", "100"]
    for n in range(3, 15):
        os.symlink(f"/proc/self/fd/{n}{suffix}", f"{bundle.rootfs}/link{n}")
    id = runtime.start_detached(bundle)
    command = ("/bin/sh", "-c", looks_outside(canary.marker))
    for n in range(3, 15):
        r = runtime.call("exec", "--cwd", f"/proc/self/fd/{n}{suffix}", id, *command)
        assert "ESCAPED" not in r.out, r
        for cwd in (f"/proc/self/fd/{n}{suffix}", f"/link{n}"):
            r = call_with_fds(runtime, leaked, "exec", "--cwd", cwd, id, *command)
            assert "ESCAPED" not in r.stdout, f"{cwd}: {r}"


def test_cve_2024_21626_program_path(runtime, armed, canary, leaked, helper):
    """A program of the host is not executed through a descriptor, by `run` or by `exec`. Catalogue A4."""
    program = f"{canary.path}/sub/program"
    shutil.copy(helper, program)
    canary.before = canary.picture()
    armed.mount("/mnt", canary.path)
    armed.config["process"]["args"] = ["/mnt/sub/program", "ids"]
    assert "CapEff" in attempt(runtime, armed).ok().out, "the detector sees the program when it is run"
    armed.config["mounts"].pop()
    for n in range(3, 15):
        for path in (f"/proc/self/fd/{n}/sub/program", f"/proc/self/fd/{n}/../canary/sub/program",
                     f"/proc/self/fd/{n}/../../../..{program}"):
            armed.config["process"]["args"] = [path, "ids"]
            armed.save()
            r = call_with_fds(runtime, leaked, "run", "--bundle", armed.path, runtime.new_id())
            assert "CapEff" not in r.stdout, f"{path}: {r}"
    armed.config["process"]["args"] = ["/bin/sleep", "100"]
    id = runtime.start_detached(armed)
    for n in range(3, 15):
        r = call_with_fds(runtime, leaked, "exec", id, f"/proc/self/fd/{n}/sub/program", "ids")
        assert "CapEff" not in r.stdout, r


def test_cve_2024_21626_descriptors_in_the_container(runtime, armed, canary, work):
    """Whatever the caller left open, a container has the descriptors 0, 1 and 2; with --preserve-fds exactly those
    more. Catalogue A6."""
    a, b = socket.socketpair()
    r, w = os.pipe()
    memory = os.memfd_create("dirty")
    directory = os.open(canary.path, os.O_RDONLY | os.O_DIRECTORY)
    file = os.open(canary.marker, os.O_RDWR)
    dirty = {3: directory, 4: file, 5: a.fileno(), 6: w, 7: memory}

    def numbers(result):
        assert result.returncode == 0, result.stdout
        return [int(line.split()[0]) for line in result.stdout.splitlines()]

    try:
        armed.config["process"]["args"] = ["/attack", "fds"]
        armed.save()
        preserved = call_with_fds(runtime, dirty, "run", "--preserve-fds", "5", "--bundle", armed.path,
                                  runtime.new_id())
        assert numbers(preserved) == [0, 1, 2, 3, 4, 5, 6, 7], "the detector sees descriptors"
        assert numbers(call_with_fds(runtime, dirty, "run", "--bundle", armed.path, runtime.new_id())) == [0, 1, 2]
        # A high one, too: a close that stops at a guess would miss it.
        high = call_with_fds(runtime, {900: directory}, "run", "--bundle", armed.path, runtime.new_id())
        assert numbers(high) == [0, 1, 2]

        armed.sh("/attack fds >/tmp/fds; exec /bin/sleep 100")
        armed.save()
        id = runtime.new_id()
        # Files, because what create leaves open would keep a pipe from ending.
        with open(f"{work}/out", "w+") as out:
            subprocess.run(["/bin/sh", "-c", 'exec "$@" 3<"$0" 4<"$0" 9<"$0"', canary.marker,
                            *runtime.argv("create", "--bundle", armed.path, id)],
                           stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True, timeout=30)
        runtime.call("start", id).ok()
        text = wait_for(lambda: read(f"{armed.rootfs}/tmp/fds").count("\n") >= 3 and read(f"{armed.rootfs}/tmp/fds"))
        # 1 is the shell's own redirection.
        assert [int(line.split()[0]) for line in text.splitlines()] == [0, 1, 2], text
        assert numbers(call_with_fds(runtime, dirty, "exec", id, "/attack", "fds")) == [0, 1, 2]
        assert numbers(call_with_fds(runtime, dirty, "exec", "--preserve-fds", "5", id, "/attack", "fds")) == [
            0, 1, 2, 3, 4, 5, 6, 7]
    finally:
        a.close()
        b.close()
        for fd in (r, w, memory, directory, file):
            os.close(fd)
