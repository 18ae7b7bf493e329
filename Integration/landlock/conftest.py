"""Fixtures of the Landlock tests: the program inside, and bundles with places to try it on."""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.dirname(HERE))

from harness import Bundle  # noqa: E402
from locking import fill  # noqa: E402


@pytest.fixture(scope="session")
def lock_binary():
    """The program that does what Landlock can forbid (helpers/lock.c)."""
    directory = tempfile.mkdtemp(prefix="nemoshell-lock-")
    binary = f"{directory}/lock"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", binary, f"{HERE}/helpers/lock.c"], check=True)
    yield binary
    shutil.rmtree(directory)


@pytest.fixture
def bundle(work, lock_binary):
    """A busybox bundle with /bin/lock, and /place and /other, which are alike."""
    b = Bundle(f"{work}/bundle")
    shutil.copy(lock_binary, f"{b.rootfs}/bin/lock")
    fill(b.rootfs)
    return b


@pytest.fixture(params=["host's users", "user namespace"])
def mapped(request, work, bundle):
    """The bundle without and with a user namespace."""
    if request.param == "user namespace":
        bundle.namespace("user")
        mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        bundle.config["linux"].update(uidMappings=mapping, gidMappings=mapping)
        subprocess.run(["chown", "-hR", "100000:100000", bundle.rootfs], check=True)
        for directory in (work, bundle.path):
            os.chmod(directory, 0o755)
        bundle.owner = 100000
    return bundle


class Inside:
    """Does one thing in a container: as its process, or by exec in one that runs."""

    def __init__(self, runtime, way):
        self.runtime, self.way = runtime, way

    def do(self, bundle, config, *deed):
        """The helper's answer under this configuration (None for no Landlock)."""
        process = bundle.config["process"]
        process.pop("landlock", None)
        if config is not None:
            process["landlock"] = config
        fill(bundle.rootfs)
        if hasattr(bundle, "owner"):
            subprocess.run(["chown", "-hR", f"{bundle.owner}:{bundle.owner}", f"{bundle.rootfs}/place", f"{bundle.rootfs}/other"],
                           check=True)
        if self.way == "run":
            process["args"] = ["/bin/lock", *map(str, deed)]
            return self._answer(self.runtime.run(bundle))
        process["args"] = ["/bin/sleep", "100"]
        id = self.runtime.start_detached(bundle)
        try:
            return self._answer(self.runtime.exec(id, "/bin/lock", *map(str, deed)))
        finally:
            self.runtime.call("delete", "--force", id)

    def _answer(self, result):
        assert not result.err, result.err
        return result.out.strip()


@pytest.fixture(params=["run", "exec"])
def inside(request, runtime):
    return Inside(runtime, request.param)
