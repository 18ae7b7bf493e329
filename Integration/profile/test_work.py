"""Real work under the profile `agent`, on the machine's own Debian, as a sandbox's user without capabilities."""

import pytest

from harness import OnTerminal


def works(runtime, system, *args, timeout=60):
    system.config["process"]["args"] = list(args)
    r = runtime.run(system, timeout=timeout).ok()
    assert r.out.rstrip().endswith("worked"), r
    return r


def test_the_filter_is_on(runtime, system):
    """A filter is loaded, and unsharing a namespace fails, so the tests below say something."""
    system.config["process"]["args"] = ["/bin/sh", "-c", "grep Seccomp: /proc/self/status; unshare -U true; echo $?"]
    r = runtime.run(system).ok()
    assert r.out.split() == ["Seccomp:", "2", "1"] and "Operation not permitted" in r.err


def test_python(runtime, system):
    """Threads, processes, asyncio, TLS, sockets, files, SQLite."""
    works(runtime, system, "/usr/bin/python3", "/scripts/python_work.py")


def test_python_builds_a_package(runtime, system):
    """A virtual environment is made, and a C extension from local source is built and installed into it by pip."""
    works(runtime, system, "/bin/sh", "-ec", """
        python3 -m venv --system-site-packages environment
        cp -r /scripts/extension source
        environment/bin/pip install -q --no-index --no-build-isolation ./source
        environment/bin/python -c 'import sandboxed; assert sandboxed.answer() == 42; print("package worked")'""")


def test_node(runtime, system):
    """Worker threads, files and watches, child processes, HTTP, cryptography, WebAssembly."""
    works(runtime, system, "/usr/bin/node", "/scripts/node_work.js")


@pytest.mark.parametrize("script", ["git", "shell", "build"])
def test_scripts(runtime, system, script):
    """git; a shell with pipes and jobs; a C project with make -j."""
    works(runtime, system, "/bin/bash", f"/scripts/{script}_work.sh")


def test_a_shell_on_a_terminal(runtime, system):
    """A person's shell: its jobs are stopped by a key, go to the background and come back."""
    system.config["process"].update(terminal=True, args=["/bin/bash", "--norc", "-i"])
    system.save()
    with OnTerminal(runtime.argv("run", "--bundle", system.path, runtime.new_id())) as terminal:
        terminal.write("PS1='ready> '\n")
        terminal.until("\nready> ")
        terminal.write("sh -c 'echo run''ning; exec sleep 100'\n")
        terminal.until("running")
        terminal.write("\x1a")
        terminal.until("Stopped")
        terminal.write("bg; jobs; kill %1; wait; stty size; echo EN''D\n")
        seen = terminal.until("END")
        assert "24 80" in seen and "sleep 100' &" in seen, seen
        terminal.write("exit 7\n")
        assert terminal.wait() == 7
