"""Landlock through the engines: those that pass annotations on, and Docker 20.10, which needs a runtime that adds the field."""

import json
import os

import pytest

from harness.runtime import NEMOSHELL

from . import images
from .docker import Docker
from .images import BUSYBOX

READ = ["execute", "read_file", "read_dir"]

#: What a shell needs, and a directory to write to.
CONFIG = {
    "ruleset": {"handledAccessFS": [*READ, "write_file", "make_reg", "truncate"], "handledAccessNet": ["bind_tcp", "connect_tcp"],
                "scoped": ["abstract_unix_socket", "signal"]},
    "rules": {"pathBeneath": [{"allowedAccess": READ, "paths": ["/bin"]},
                              {"allowedAccess": ["read_file", "write_file"], "paths": ["/dev/null"]},
                              {"allowedAccess": [*READ, "write_file", "make_reg", "truncate"], "paths": ["/tmp"]}]},
}
ANNOTATION = f"nemoshell.landlock={json.dumps(CONFIG)}"

#: Three things that are denied, and one that is allowed.
SCRIPT = "cat /etc/passwd 2>&1 | head -n1; ls / 2>&1; touch /new 2>&1; echo x > /tmp/f && cat /tmp/f"
DENIED = ["cat: can't open '/etc/passwd': Permission denied", "ls: can't open '/': Permission denied",
          "touch: /new: Permission denied", "x"]


def test_podman(podman):
    # Its flag takes a line of comma-separated values, with quotes doubled.
    annotation = '"' + ANNOTATION.replace('"', '""') + '"'
    flags = ["--annotation", annotation, "--security-opt", "no-new-privileges"]
    assert podman.run(BUSYBOX, "sh", "-c", SCRIPT).ok().out.startswith("root:")
    assert podman.run(*flags, BUSYBOX, "sh", "-c", SCRIPT).ok().out.splitlines() == DENIED
    c = podman.detached(*flags, BUSYBOX, "sleep", "100")
    for more in ([], ["--user", "1000"], ["--privileged"]):
        own = SCRIPT.replace("/tmp/f", "/tmp/" + "-".join(["f", *more]))
        assert podman("exec", *more, c, "sh", "-c", own).ok().out.splitlines() == DENIED


def test_ctr(containerd):
    where = ["--runtime", "io.containerd.runc.v2", "--runc-binary", NEMOSHELL, "--cgroup", f"{containerd.enclosure.cgroup}/c"]
    try:
        r = containerd("run", "--rm", *where, BUSYBOX, "c", "sh", "-c", SCRIPT).ok()
        assert r.out.startswith("root:")
        r = containerd("run", "--rm", *where, "--annotation", ANNOTATION, BUSYBOX, "c", "sh", "-c", SCRIPT)
        assert r.ok().out.splitlines() == DENIED
        containerd("run", "--detach", *where, "--annotation", ANNOTATION, BUSYBOX, "c", "sleep", "100").ok()
        r = containerd("task", "exec", "--exec-id", "e", "c", "sh", "-c", SCRIPT)
        assert r.ok().out.splitlines() == DENIED
    finally:
        containerd.clean()


#: A runtime that adds process.landlock to what Docker asks for.
_RUNTIME = """#!/usr/bin/python3
import json, os, sys
if "create" in sys.argv:
    path = sys.argv[sys.argv.index("--bundle") + 1] + "/config.json"
    config = json.load(open(path))
    config["process"]["landlock"] = json.loads({config!r})
    config["process"]["noNewPrivileges"] = True
    json.dump(config, open(path, "w"))
os.execv({binary!r}, [{binary!r}, *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def landlocked(engines):
    """dockerd with such a runtime, in an enclosure of its own."""
    enclosure = engines.enclosure("docker-landlock")
    path = f"{enclosure.work}/runtime"
    with open(path, "w") as f:
        f.write(_RUNTIME.format(config=json.dumps(CONFIG), binary=NEMOSHELL))
    os.chmod(path, 0o755)
    engine = Docker(enclosure, "landlock", **{"runtimes": {"nemoshell": {"path": NEMOSHELL}, "landlocked": {"path": path}}})
    engines.on_stop(engine.close)
    engine("load", "--input", engines.archive(images.busybox)).ok()
    return engine


def test_docker(landlocked):
    assert landlocked.run(BUSYBOX, "sh", "-c", SCRIPT).ok().out.startswith("root:")
    assert landlocked.run("--runtime", "landlocked", BUSYBOX, "sh", "-c", SCRIPT).ok().out.splitlines() == DENIED
    c = landlocked.detached("--runtime", "landlocked", BUSYBOX, "sleep", "100")
    for more in ([], ["--user", "1000"], ["--privileged"]):
        own = SCRIPT.replace("/tmp/f", "/tmp/" + "-".join(["f", *more]))
        assert landlocked("exec", *more, c, "sh", "-c", own).ok().out.splitlines() == DENIED
