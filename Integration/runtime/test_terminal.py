"""Terminals: console sockets, foreground run and exec on a pty, window size, raw mode."""

import os
import signal
import termios

import pytest

from harness import DescriptorSocket, OnTerminal
from harness.terminal import read_until, set_size, size
from inside import sleeper, wait_file, wait_for


@pytest.fixture
def tty_bundle(bundle):
    bundle.config["process"]["terminal"] = True
    return bundle


def test_create_sends_the_master_to_the_console_socket(runtime, tty_bundle, work):
    tty_bundle.sh("tty; read line; echo got $line; stty size; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        r = runtime.create(tty_bundle, "--console-socket", console.path).ok()
        master = console.terminal()
        set_size(master, 33, 99)
        runtime.call("start", r.id).ok()
        assert read_until(master, b"\n").strip() in (b"/dev/pts/0", b"/dev/console")
        os.write(master, b"words\n")
        assert b"got words" in read_until(master, b"33 99")


def test_console_socket_relative_to_the_caller(runtime, tty_bundle, work):
    tty_bundle.sh("echo on; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        r = runtime.create(tty_bundle, "--console-socket", "console", cwd=work).ok()
        master = console.terminal()
        runtime.call("start", r.id).ok()
        read_until(master, b"on")


def test_run_detached_with_a_console_socket(runtime, tty_bundle, work):
    tty_bundle.sh("tty && echo yes; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        runtime.run(tty_bundle, "-d", "--console-socket", console.path).ok()
        read_until(console.terminal(), b"yes")


def test_output_of_a_pty_is_unchanged(runtime, tty_bundle, work):
    """The line discipline's own \\r\\n and nothing else."""
    tty_bundle.sh("printf 'a\\nb\\tc\\033[1md'; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        runtime.run(tty_bundle, "-d", "--console-socket", console.path).ok()
        assert read_until(console.terminal(), b"d") == b"a\r\nb\tc\x1b[1md"


def test_terminal_without_a_console_socket_is_refused(runtime, tty_bundle):
    runtime.create(tty_bundle).failed("console", code=1)
    runtime.run(tty_bundle, "--detach").failed("console", code=1)


def test_console_socket_without_a_terminal_is_refused(runtime, bundle, work):
    with DescriptorSocket(f"{work}/console") as console:
        runtime.create(bundle, "--console-socket", console.path).failed("console socket", code=1)


def test_console_socket_that_is_not_there(runtime, tty_bundle, work):
    runtime.create(tty_bundle, "--console-socket", f"{work}/nosuch").failed("no such file or directory", code=1)


def test_console_socket_that_nobody_listens_on(runtime, tty_bundle, work):
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.bind(f"{work}/dead")
    s.close()
    runtime.create(tty_bundle, "--console-socket", f"{work}/dead").failed("connection refused", code=1)


def test_dev_console_and_ownership(runtime, tty_bundle, work):
    """/dev/console is the terminal, and the terminal is the user's."""
    tty_bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    tty_bundle.sh("stat -c '%u %t:%T' /dev/console $(tty); echo hello > /dev/console; echo yes > /dev/tty; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        runtime.run(tty_bundle, "-d", "--console-socket", console.path).ok()
        text = read_until(console.terminal(), b"yes").decode().splitlines()
        assert text[0] == text[1] and text[0].startswith("1000 ") and text[2] == "hello"


def test_session_and_controlling_terminal(runtime, tty_bundle, work):
    tty_bundle.sh("cut -d' ' -f5-8 /proc/self/stat; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        runtime.run(tty_bundle, "-d", "--console-socket", console.path).ok()
        group, session, tty, foreground = read_until(console.terminal(), b"\n").split()
        assert group == session == foreground == b"1" and tty != b"0"


@pytest.mark.parametrize("height, width", [(10, 110), (500, 1000), (65535, 65535), (1, 1)])
def test_console_size(runtime, tty_bundle, work, height, width):
    tty_bundle.config["process"]["consoleSize"] = {"height": height, "width": width}
    tty_bundle.sh("stty size; sleep 100")
    with DescriptorSocket(f"{work}/console") as console:
        r = runtime.create(tty_bundle, "--console-socket", console.path).ok()
        master = console.terminal()
        assert size(master) == (height, width)
        runtime.call("start", r.id).ok()
        if 1 < height < 30000:  # beyond, busybox believes no terminal
            assert read_until(master, b"\n").strip() == f"{height} {width}".encode()


def test_console_size_without_a_terminal_is_ignored(runtime, bundle):
    bundle.config["process"]["consoleSize"] = {"height": 10, "width": 110}
    runtime.run(bundle).ok()


# -- in the foreground

def on_terminal(runtime, bundle, *flags, **kw):
    bundle.save()
    return OnTerminal(runtime.argv("run", "--bundle", bundle.path, *flags, runtime.new_id()), **kw)


def test_foreground_run(runtime, tty_bundle):
    tty_bundle.sh("tty; stty size; read line; echo got $line; exit 7")
    with on_terminal(runtime, tty_bundle, rows=31, columns=101) as t:
        text = t.until("31 101")
        assert "/dev/" in text
        t.write("words\r")
        t.until("got words")
        assert t.wait() == 7


def test_foreground_run_puts_the_terminal_back(runtime, tty_bundle):
    tty_bundle.sh("echo up; read line")
    with on_terminal(runtime, tty_bundle) as t:
        t.until("up")
        wait_for(lambda: not t.settings()[3] & termios.ICANON, "raw mode")
        assert not t.settings()[3] & (termios.ECHO | termios.ISIG)
        t.write("\r")
        assert t.wait() == 0
        assert t.settings() == t.before


def test_terminal_is_put_back_when_the_start_fails(runtime, tty_bundle):
    tty_bundle.config["process"]["args"] = ["/no/such/program"]
    with on_terminal(runtime, tty_bundle) as t:
        assert t.wait() == 1
        assert t.settings() == t.before


def test_window_size_follows(runtime, tty_bundle):
    tty_bundle.sh("trap 'stty size' WINCH; echo up; while :; do sleep 0.05; done")
    with on_terminal(runtime, tty_bundle) as t:
        t.until("up")
        t.resize(44, 132)
        t.until("44 132")
        t.resize(12, 34)
        t.until("12 34")
        t.signal(signal.SIGKILL)


def test_control_c_goes_to_the_container(runtime, tty_bundle):
    tty_bundle.sh("trap 'echo interrupted; exit 9' INT; echo up; while :; do sleep 0.05; done")
    with on_terminal(runtime, tty_bundle) as t:
        t.until("up")
        t.write("\x03")
        t.until("interrupted")
        assert t.wait() == 9


def test_all_output_comes_before_the_end(runtime, tty_bundle):
    tty_bundle.sh("seq 1 20000; echo the-end")
    with on_terminal(runtime, tty_bundle) as t:
        text = t.until("the-end", timeout=20)
        assert [int(line) for line in text.split()[:20000]] == list(range(1, 20001))
        assert t.wait() == 0


def test_a_paste_of_a_megabyte(runtime, tty_bundle):
    """Input that comes faster than the container reads is not lost and blocks nothing."""
    import threading
    tty_bundle.sh("stty raw -echo; echo ready; head -c 1000000 | wc -c; stty sane")
    with on_terminal(runtime, tty_bundle) as t:
        t.until("ready")
        feeder = threading.Thread(target=lambda: [t.write("x" * 1000) for _ in range(1000)])
        feeder.start()
        t.until("1000000", timeout=30)
        feeder.join()
        assert t.wait() == 0


def test_exec_on_a_terminal(runtime, bundle):
    id = sleeper(runtime, bundle)
    with OnTerminal(runtime.argv("exec", "-t", id, "sh", "-c", "tty; stty size; read x; echo got $x; exit 5"),
                    rows=20, columns=70) as t:
        assert "/dev/pts/0" in t.until("20 70")
        t.write("y\r")
        t.until("got y")
        assert t.wait() == 5
        assert t.settings() == t.before


def test_exec_window_size_follows(runtime, bundle):
    id = sleeper(runtime, bundle)
    with OnTerminal(runtime.argv("exec", "-t", id, "sh", "-c",
                                 "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.05; done")) as t:
        t.until("up")
        t.resize(41, 141)
        t.until("41 141")
        assert t.wait() == 0


def test_exec_from_a_terminal_without_asking_for_one(runtime, bundle):
    id = sleeper(runtime, bundle)
    with OnTerminal(runtime.argv("exec", id, "sh", "-c", "read x; echo got $x")) as t:
        t.write("words\n")
        t.until("got words")
        assert t.wait() == 0


def test_terminal_when_stdin_is_not_one(runtime, bundle):
    """With -t and no terminal on our side: an error or a pty, never a hang."""
    id = sleeper(runtime, bundle)
    r = runtime.call("exec", "-t", id, "tty", stdin="", timeout=10)
    assert r.code == 0 and "/dev/pts/" in r.out or r.code == 255 and r.err


def test_pidfd_socket(runtime, bundle, work):
    import select
    with DescriptorSocket(f"{work}/pidfd") as s:
        id = sleeper(runtime, bundle, "--pidfd-socket", s.path)
        _, fds = s.receive()
        with open(f"/proc/self/fdinfo/{fds[0]}") as f:
            assert f"Pid:\t{runtime.state(id)['pid']}\n" in f.read()
        signal.pidfd_send_signal(fds[0], signal.SIGKILL)
        assert select.select([fds[0]], [], [], 10)[0]


def test_pidfd_socket_of_exec(runtime, bundle, work):
    id = sleeper(runtime, bundle)
    with DescriptorSocket(f"{work}/pidfd") as s:
        runtime.call("exec", "-d", "--pidfd-socket", s.path, "--pid-file", f"{work}/pid", id, "sleep", "60").ok()
        _, fds = s.receive()
        pid = wait_file(f"{work}/pid")
        with open(f"/proc/self/fdinfo/{fds[0]}") as f:
            assert f"Pid:\t{pid}\n" in f.read()


def test_output_is_not_changed(runtime, tty_bundle):
    """A foreground terminal adds no carriage returns: what a program prints first is as it wrote it."""
    tty_bundle.sh("echo one; echo two")
    assert runtime.run(tty_bundle).ok().out == "one\ntwo\n"
