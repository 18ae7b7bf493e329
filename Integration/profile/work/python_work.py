"""What Python programs do: each function is one kind of work, and fails loudly."""

import asyncio
import concurrent.futures
import ctypes
import hashlib
import http.server
import mmap
import multiprocessing
import os
import pty
import select
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


def threads():
    total, lock = [0], threading.Lock()

    def add():
        for _ in range(1000):
            with lock:
                total[0] += 1

    workers = [threading.Thread(target=add) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert total == [8000]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(len, ["abc"] * 100)) == 300


def processes():
    with multiprocessing.Pool(2) as pool:
        assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(pow, 2, 10).result() == 1024
    assert subprocess.run(["sort"], input="b\na\n", capture_output=True, text=True, check=True).stdout == "a\nb\n"
    late = subprocess.Popen(["sleep", "60"], start_new_session=True)
    late.send_signal(signal.SIGTERM)
    assert late.wait(10) == -signal.SIGTERM
    try:
        subprocess.run(["sleep", "60"], timeout=0.05, check=False)
        raise AssertionError("no time-out")
    except subprocess.TimeoutExpired:
        pass
    assert os.waitstatus_to_exitcode(pty.spawn(["/bin/true"])) == 0


async def asynchronous():
    child = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert await child.communicate(b"hello") == (b"hello", None)

    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    for start, connect in [
            (asyncio.start_server(echo, "127.0.0.1", 8099), lambda: asyncio.open_connection("localhost", 8099)),
            (asyncio.start_unix_server(echo, "/tmp/echo"), lambda: asyncio.open_unix_connection("/tmp/echo"))]:
        async with await start:
            reader, writer = await connect()
            writer.write(b"line\n")
            assert await reader.readline() == b"line\n"
            writer.close()
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, lambda: 7) == 7
    assert await asyncio.wait_for(asyncio.gather(*(asyncio.sleep(0.01, n) for n in range(50))), 10) == list(range(50))


def network():
    assert {a[4][0] for a in socket.getaddrinfo("localhost", 80)} <= {"127.0.0.1", "::1"}
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED and ssl.RAND_bytes(16)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as answer:
        assert answer.status == 200
    server.shutdown()
    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [0])
    assert socket.recv_fds(b, 1, 1)[0] == b"x"
    datagrams = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2)]
    datagrams[0].bind(("::1", 0))
    datagrams[1].sendto(b"datagram", datagrams[0].getsockname())
    assert datagrams[0].recv(100) == b"datagram"


def files():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/file"
        with open(path, "wb") as f:
            f.write(os.urandom(1 << 20))
            os.fsync(f.fileno())
        shutil.copy2(path, f"{path}.copy")
        shutil.copytree(directory, f"{directory}.tree")
        os.utime(path, (1, 1))
        os.chmod(path, 0o600)
        os.link(path, f"{path}.link")
        os.symlink("file", f"{path}.symlink")
        os.mkfifo(f"{path}.fifo")
        os.rename(f"{path}.link", f"{path}.renamed")
        assert os.path.samefile(path, f"{path}.renamed") and os.statvfs(directory).f_bsize > 0
        with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as view:
            view[:5] = b"hello"
            view.flush()
            os.posix_fallocate(f.fileno(), 0, 2 << 20)
            os.truncate(path, 10)
        with open(path, "rb") as source, open(f"{path}.sent", "wb") as sink:
            assert os.sendfile(sink.fileno(), source.fileno(), 0, 10) == 10
        database = sqlite3.connect(f"{directory}/database")
        database.execute("pragma journal_mode=wal")
        database.execute("create table t (x)")
        database.executemany("insert into t values (?)", [(n,) for n in range(1000)])
        database.commit()
        assert database.execute("select count(*) from t").fetchone() == (1000,)
        assert len(list(os.scandir(directory))) > 5 and hashlib.sha256(open(path, "rb").read()).hexdigest()
        shutil.rmtree(f"{directory}.tree")


def kernel():
    poll = select.epoll()
    reading, writing = os.pipe2(os.O_NONBLOCK)
    poll.register(reading, select.EPOLLIN)
    os.write(writing, b"x")
    assert poll.poll(1)
    caught = []
    signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.05)
    assert caught == [1]
    assert ctypes.CDLL(None).getpid() == os.getpid() and os.sched_getaffinity(0) and os.eventfd(1) > 2
    assert os.times().elapsed and os.getrandom(8) and os.getloadavg()
    os.nice(1)


if __name__ == "__main__":
    for work in (threads, processes, lambda: asyncio.run(asynchronous()), network, files, kernel):
        work()
    print("python", sys.version_info[:2], "worked")
