"""The engines, started once for all tests that use them."""

import os
import shutil
import signal
import tempfile

import pytest

from . import images
from .containerd import Containerd
from .docker import Docker
from .enclosure import Enclosure
from .podman import Podman
from .terminal import Terminal


#: How long one test may take once its engines run, in seconds.
TEST_TIMEOUT = 60


class Engines:
    """Starts engines when first asked for, and remembers them for the check at the end."""

    def __init__(self, work):
        self.work = work
        self.enclosures = {}
        self._closers = []
        self._made = {}

    def enclosure(self, name):
        if name not in self.enclosures:
            self.enclosures[name] = Enclosure(name, f"{self.work}/{name}")
        return self.enclosures[name]

    def archive(self, make):
        """An image archive, made once."""
        if make not in self._made:
            self._made[make] = make(self.work) if make is not images.debian else make()
        return self._made[make]

    def on_stop(self, closer):
        self._closers.append(closer)

    def stop(self):
        """Stops every engine, as a person would who is done with it."""
        while self._closers:
            self._closers.pop()()

    def close(self):
        self.stop()
        for enclosure in self.enclosures.values():
            enclosure.close()


def _interrupt(*_):
    raise KeyboardInterrupt


def _too_long(*_):
    raise TimeoutError(f"the test takes longer than {TEST_TIMEOUT} s")


@pytest.fixture(autouse=True)
def time_limit():
    """A test that hangs fails, and the engines' next test goes on."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(TEST_TIMEOUT)
    yield
    signal.alarm(0)


def pytest_collection_modifyitems(items):
    """The leak check comes when everything else is done."""
    items.sort(key=lambda item: item.path.name == "test_leaks.py")


@pytest.fixture(scope="session")
def engines():
    # Whoever ends the tests wants the engines ended too.
    signal.signal(signal.SIGTERM, _interrupt)
    work = tempfile.mkdtemp(prefix="nemoshell-engines-")
    os.chmod(work, 0o711)  # with userns-remap, root inside is a stranger here
    all_engines = Engines(work)
    yield all_engines
    all_engines.close()
    shutil.rmtree(work)


@pytest.fixture
def terminal():
    """Makes terminals: `terminal(argv, env)`; they are closed after the test."""
    made = []

    def make(*args, **kw):
        made.append(Terminal(*args, **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def docker_engine(engines):
    engine = Docker(engines.enclosure("docker"), "main")
    engines.on_stop(engine.close)
    engine("load", "--input", engines.archive(images.busybox)).ok()
    return engine


@pytest.fixture
def docker(docker_engine):
    """dockerd with the busybox image; the test's containers, networks and volumes are removed after it."""
    yield docker_engine
    docker_engine.clean()


@pytest.fixture(scope="session")
def debian_in_docker(engines, docker_engine):
    docker_engine("load", "--input", engines.archive(images.debian), timeout=120).ok()
    return images.DEBIAN


@pytest.fixture(scope="session")
def containerd(engines):
    engine = Containerd(engines.enclosure("containerd"))

    def close():
        engine.clean()
        engine.stop()

    engines.on_stop(close)
    engine.load(engines.archive(images.busybox))
    return engine


@pytest.fixture(scope="session")
def debian_in_containerd(engines, containerd):
    containerd.load(engines.archive(images.debian), timeout=120)
    return images.DEBIAN


@pytest.fixture(scope="session")
def cri_engine(engines, containerd):
    from .cri import Cri  # its package is in requirements.txt, not in Debian

    for archive in (engines.archive(images.busybox), engines.archive(images.pause)):
        containerd.load(archive, "k8s.io")
    client = Cri(containerd)
    engines.on_stop(client.clean)
    return client


@pytest.fixture
def cri(cri_engine):
    """The CRI of containerd; the test's pods are removed after it."""
    yield cri_engine
    cri_engine.clean()


@pytest.fixture(scope="session")
def debian_in_cri(engines, containerd):
    containerd.load(engines.archive(images.debian), "k8s.io", timeout=120)
    return images.DEBIAN


@pytest.fixture(scope="session")
def podman_engine(engines):
    engine = Podman(engines.enclosure("podman"))
    engines.on_stop(engine.clean)
    for archive in (engines.archive(images.busybox), engines.archive(images.pause)):
        engine("load", "--input", archive).ok()
    return engine


@pytest.fixture
def podman(podman_engine):
    """Podman; the test's pods, containers, volumes and networks are removed after it."""
    yield podman_engine
    podman_engine.clean()


@pytest.fixture(scope="session")
def debian_in_podman(engines, podman_engine):
    podman_engine("load", "--input", engines.archive(images.debian), timeout=120).ok()
    return images.DEBIAN
