"""What is measured against what: OCI runtimes by their command line, the floor by its own, and how both are timed."""

import os
import subprocess
import tempfile
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Command:
    """How one command went: wall ms, CPU ms, peak resident KiB of its largest process."""

    wall: float
    cpu: float
    rss: int


@dataclass
class Sample:
    """How one step of one or more commands went: wall ms of all, and each command by itself."""

    wall: float
    commands: list = field(default_factory=list)

    @property
    def cpu(self):
        return sum(c.cpu for c in self.commands)

    @property
    def rss(self):
        return max(c.rss for c in self.commands)


class BenchFailure(Exception):
    """A measured command failed: nothing that follows would mean anything."""


class Spawner:
    """Runs commands through spawn.c; building it is the first use of gcc."""

    def __init__(self, directory):
        self.program = compile_c("spawn", directory)

    def step(self, commands, idle_ms=0):
        """Idles, runs the commands back to back, returns the Sample. Raises BenchFailure if one of them fails."""
        words = [self.program, str(idle_ms)]
        for i, command in enumerate(commands):
            words += (["--"] if i else []) + command
        # A container keeps stderr open for as long as it lives; a file does not make this wait for it.
        with tempfile.TemporaryFile("w+") as errors:
            p = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)
            errors.seek(0)
            text = errors.read().strip()
        if p.returncode:
            raise BenchFailure(f"{words}: exit {p.returncode}: {text}")
        numbers = [int(x) for x in p.stdout.split()]
        sample = Sample(numbers[0] / 1e6)
        for i, command in enumerate(commands):
            wall, cpu, rss, code = numbers[1 + 4 * i:5 + 4 * i]
            if code:
                raise BenchFailure(f"{' '.join(command)}: exit {code}: {text}")
            sample.commands.append(Command(wall / 1e6, cpu / 1e3, rss))
        return sample


def compile_c(name, directory):
    """Builds NAME.c into a static program in `directory` and returns its path."""
    program = f"{directory}/{name}"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", f"{HERE}/{name}.c", "-o", program],
                   check=True)
    return program


class Runtime:
    """An OCI runtime with a state root of its own."""

    def __init__(self, name, program, root):
        self.name = name
        self.program = program
        self.root = root
        os.makedirs(root, mode=0o700)
        text = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()
        self.version = next((word for word in text if word[:1].isdigit()), "")

    @property
    def title(self):
        return f"{self.name} {self.version}".strip()

    def _verb(self, verb, *words):
        return [self.program, "--root", self.root, verb, *words]

    def run(self, bundle, id):
        return self._verb("run", "--bundle", bundle, id)

    def create(self, bundle, id):
        return self._verb("create", "--bundle", bundle, id)

    def start(self, bundle, id):
        return self._verb("start", id)

    def state(self, bundle, id):
        return self._verb("state", id)

    def kill(self, bundle, id):
        return self._verb("kill", id, "KILL")

    def list(self, bundle, id):
        return self._verb("list")

    def delete(self, bundle, id):
        return self._verb("delete", "--force", id)

    def exec(self, bundle, id, *command):
        return self._verb("exec", id, *command)


class Floor(Runtime):
    """floor.c: the kernel's share. Knows cgroup v1 only, and no state, kill or list."""

    def __init__(self, root, directory):
        self.name = "floor"
        self.version = ""
        self.program = compile_c("floor", directory)
        self.root = root
        os.makedirs(root, mode=0o700)

    def _words(self, bundle, verb, id, *words):
        return [self.program, f"{bundle}/plan", self.root, verb, id, *words]

    def run(self, bundle, id):
        return self._words(bundle, "run", id)

    def create(self, bundle, id):
        return self._words(bundle, "create", id)

    def start(self, bundle, id):
        return self._words(bundle, "start", id)

    def delete(self, bundle, id):
        return self._words(bundle, "delete", id)

    def exec(self, bundle, id, *command):
        return self._words(bundle, "exec", id, *command)
