"""events: one report with --stats, a stream with --interval, out-of-memory notices."""

import json
import os
import select
import subprocess
import time

import pytest

from inside import sleeper, wait_for


@pytest.fixture
def limited(bundle):
    bundle.config["linux"]["resources"].update(memory={"limit": 64 << 20, "swap": 64 << 20}, pids={"limit": 77},
                                               cpu={"shares": 512, "quota": 50000, "period": 100000})
    return bundle


def report(runtime, id):
    lines = runtime.call("events", "--stats", id).ok().out.splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


def test_stats(runtime, limited):
    id = sleeper(runtime, limited)
    event = report(runtime, id)
    assert event["type"] == "stats" and event["id"] == id
    data = event["data"]
    assert {"cpu", "memory", "pids", "blkio"} <= set(data)
    assert data["cpu"]["usage"]["total"] > 0
    assert {"kernel", "user"} <= set(data["cpu"]["usage"])
    assert len(data["cpu"]["usage"].get("percpu", [0] * os.cpu_count())) >= 1
    assert "throttling" in data["cpu"]
    assert data["memory"]["usage"]["usage"] > 0 and data["memory"]["usage"]["limit"] == 64 << 20
    assert {"max", "failcnt"} <= set(data["memory"]["usage"])
    assert data["memory"]["raw"]["hierarchical_memory_limit"] == 64 << 20
    assert data["pids"] == {"current": 1, "limit": 77}


def test_stats_grow(runtime, limited):
    id = runtime.start_detached(limited.sh("while :; do :; done"))
    first = report(runtime, id)["data"]["cpu"]["usage"]["total"]
    time.sleep(0.2)
    assert report(runtime, id)["data"]["cpu"]["usage"]["total"] > first + 10_000_000, "nanoseconds"


def test_stream(runtime, limited):
    id = sleeper(runtime, limited)
    p = runtime.popen("events", "--interval", "100ms", id, stdout=subprocess.PIPE, text=True)
    try:
        start = time.monotonic()
        events = [json.loads(p.stdout.readline()) for _ in range(3)]
        assert all(e["type"] == "stats" and e["id"] == id for e in events)
        assert 0.15 < time.monotonic() - start < 2
        runtime.call("delete", "--force", id).ok()
        assert p.wait(10) == 0, "the stream ends with the container"
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


@pytest.mark.skipif(not os.path.isdir("/sys/fs/cgroup/memory"), reason="no memory controller (cgroup v1)")
def test_oom(runtime, limited):
    limited.config["linux"]["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    id = runtime.start_detached(limited.sh("while ! test -e /go; do sleep 0.02; done; probe eat 64; sleep 50"))
    p = runtime.popen("events", "--interval", "100s", id, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.2)
        open(f"{limited.rootfs}/go", "w").close()
        seen = []

        def oom():
            while select.select([p.stdout], [], [], 0)[0]:
                line = p.stdout.readline()
                if not line:
                    break
                seen.append(json.loads(line))
            return [e for e in seen if e["type"] == "oom"]
        event = wait_for(oom, "an oom event")[0]
        assert event["id"] == id
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_events_of_a_stopped_container(runtime, limited):
    id = runtime.start_detached(limited)
    runtime.wait_status(id, "stopped")
    runtime.call("events", "--stats", id).failed("not running", code=1)


def test_events_of_a_paused_container(runtime, limited):
    id = sleeper(runtime, limited)
    runtime.call("pause", id).ok()
    assert report(runtime, id)["data"]["pids"]["current"] == 1


def test_events_without_limits(runtime, bundle):
    id = sleeper(runtime, bundle)
    data = report(runtime, id)["data"]
    assert data["pids"].get("limit", 0) == 0
    assert data["memory"]["usage"]["limit"] > 1 << 60
