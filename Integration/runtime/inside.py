"""Short ways to look from inside a container and at it from outside."""

import os
import time


def look(runtime, bundle, script, *flags, **kw):
    """Runs a shell script as the container's process; returns its output, stripped."""
    return runtime.run(bundle.sh(script), *flags, **kw).ok().out.strip()


def sleeper(runtime, bundle, *flags, seconds=100, **kw):
    """Starts a container that only sleeps; returns its id."""
    bundle.config["process"]["args"] = ["/bin/sleep", str(seconds)]
    return runtime.start_detached(bundle, *flags, **kw)


def field(status, name):
    """One field of a /proc/PID/status text."""
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return line.split(":", 1)[1].strip()
    raise AssertionError(f"no {name} in {status}")


def process_status(pid, name):
    """One field of a host process's status."""
    with open(f"/proc/{pid}/status") as f:
        return field(f.read(), name)


def namespace_of(kind, pid="self"):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def wait_for(condition, what="the condition", timeout=10):
    """Polls until `condition()` is true; returns its value."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {timeout} s")


def wait_file(path, timeout=10):
    """Waits for a file with content; returns its text."""
    def content():
        try:
            with open(path) as f:
                return f.read()
        except FileNotFoundError:
            return None
    return wait_for(content, path, timeout)


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def write(path, text, mode=None):
    """Writes a file, making its directory."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    if mode is not None:
        os.chmod(path, mode)
    return path
