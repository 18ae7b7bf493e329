"""Hooks (config.md, "POSIX-platform Hooks"): six kinds, their moments, namespaces, input, environment and failures."""

import json
import os
import time

import pytest

from inside import namespace_of, sleeper, wait_file, wait_for, write

HOST_KINDS = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
#: What a shell puts into its environment by itself.
SHELLS_OWN = ("PWD", "OLDPWD", "SHLVL", "_")
#: Those whose failure ends the container.
FATAL = ["prestart", "createRuntime", "createContainer", "startContainer"]


def hook(script, **fields):
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **fields}


def set_hooks(bundle, **hooks):
    bundle.config["hooks"] = {k: v if isinstance(v, list) else [v] for k, v in hooks.items()}


@pytest.fixture
def shared(bundle, work):
    """A directory that the host and the container both see at /shared (host hooks by its host path)."""
    path = f"{work}/shared"
    os.mkdir(path, 0o777)
    os.chmod(path, 0o777)
    bundle.mount("/shared", path)
    return path


def note(shared, kind, what="echo yes"):
    place = "/shared" if kind == "startContainer" else shared
    return hook(f"{what} >> {place}/{kind}")


def test_order(runtime, bundle, shared):
    hooks = {}
    for kind in KINDS:
        place = "/shared" if kind == "startContainer" else shared
        hooks[kind] = [hook(f"echo {kind}{n} >> {place}/order") for n in (1, 2)]
    set_hooks(bundle, **hooks)
    bundle.sh("echo process >> /shared/order; sleep 100")
    read = lambda: open(f"{shared}/order").read().split()  # noqa: E731
    pair = lambda kind: [f"{kind}1", f"{kind}2"]  # noqa: E731

    r = runtime.create(bundle).ok()
    created = pair("prestart") + pair("createRuntime") + pair("createContainer")
    assert read() == created
    runtime.call("start", r.id).ok()
    wait_for(lambda: "process" in read() and "poststart2" in read(), "process and poststart hooks")
    assert read()[:8] == created + pair("startContainer")
    assert sorted(read()[8:]) == ["poststart1", "poststart2", "process"]
    runtime.call("kill", r.id, "KILL").ok()
    runtime.wait_status(r.id, "stopped")
    assert len(read()) == 11
    runtime.call("delete", r.id).ok()
    assert read()[11:] == pair("poststop")


@pytest.mark.parametrize("kind, status", [("prestart", "creat"), ("createRuntime", "creat"), ("createContainer", "creat"),
                                          ("startContainer", "created"), ("poststart", "running"),
                                          ("poststop", "stopped")])
def test_state_on_stdin(runtime, bundle, shared, kind, status):
    bundle.config["annotations"] = {"org.example": "yes"}
    set_hooks(bundle, **{kind: note(shared, kind, "cat")})
    id = sleeper(runtime, bundle)
    pid = runtime.state(id)["pid"]
    runtime.call("delete", "--force", id).ok()
    state = json.loads(open(f"{shared}/{kind}").read())
    assert state["id"] == id and state["ociVersion"]
    assert state["bundle"] == os.path.realpath(bundle.path)
    assert state["annotations"]["org.example"] == "yes"
    assert state["status"].startswith(status)
    # A hook inside the container may be told the process's number there.
    assert state.get("pid", 0) in {"poststop": [0], "startContainer": [1, pid], "createContainer": [1, pid]}.get(kind, [pid])


@pytest.mark.parametrize("kind", KINDS)
def test_environment_and_arguments(runtime, bundle, shared, kind):
    """The hook's own environment and nothing of the caller's."""
    place = "/shared" if kind == "startContainer" else shared
    set_hooks(bundle, **{kind: {"path": "/bin/sh", "args": ["sh", "-c", f'env > {place}/env; echo "$0 $1" > {place}/args',
                                                            "first", "se cond"], "env": ["ONLY=this one", "PATH=/bin"]}})
    id = runtime.create(bundle, env={**os.environ, "CALLER": "secret"}).ok().id
    runtime.call("start", id, env={**os.environ, "CALLER": "secret"}).ok()
    runtime.wait_status(id, "stopped")
    runtime.call("delete", "--force", id, env={**os.environ, "CALLER": "secret"}).ok()
    env = [line for line in open(f"{shared}/env").read().splitlines() if line.split("=")[0] not in SHELLS_OWN]
    assert sorted(env) == ["ONLY=this one", "PATH=/bin"]
    assert open(f"{shared}/args").read() == "first se cond\n"


@pytest.mark.parametrize("kind", HOST_KINDS)
def test_without_env_it_is_empty(runtime, bundle, shared, kind):
    script = write(f"{shared}/hook.sh", f"#!/bin/sh\n/usr/bin/env > {shared}/env\n", 0o755)
    set_hooks(bundle, **{kind: {"path": script}})
    runtime.run(bundle, env={**os.environ, "CALLER": "secret"}).ok()
    assert [line for line in open(f"{shared}/env").read().splitlines() if line.split("=")[0] not in SHELLS_OWN] == []


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "poststart", "poststop"])
def test_runtime_hooks_are_in_the_runtimes_namespaces(runtime, bundle, shared, kind):
    set_hooks(bundle, **{kind: note(shared, kind, "readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid")})
    runtime.run(bundle).ok()
    assert open(f"{shared}/{kind}").read().split() == [namespace_of(k) for k in ("mnt", "net", "pid")]


def test_create_container_is_in_the_containers_namespaces_before_the_pivot(runtime, bundle, shared):
    """Its path resolves in the runtime's file system, its namespaces are the container's."""
    set_hooks(bundle, createContainer=hook(
        f"for k in mnt net uts ipc; do readlink /proc/self/ns/$k; done > {shared}/ns; test -e {shared} && echo host > {shared}/where;"
        f" grep -c ' {os.path.realpath(bundle.rootfs)}/shared ' /proc/self/mountinfo > {shared}/mounted"))
    id = sleeper(runtime, bundle)
    pid = runtime.state(id)["pid"]
    assert open(f"{shared}/ns").read().split() == [namespace_of(k, pid) for k in ("mnt", "net", "uts", "ipc")]
    assert open(f"{shared}/where").read() == "host\n"
    assert open(f"{shared}/mounted").read() == "1\n", "the container's mounts are there already"


def test_start_container_is_in_the_container(runtime, bundle, shared):
    set_hooks(bundle, startContainer=hook("echo $(hostname) $(ls /bin/probe) $(readlink /proc/self/ns/pid) > /shared/in"))
    id = sleeper(runtime, bundle)
    wait_file(f"{shared}/in")
    assert open(f"{shared}/in").read().split() == ["box", "/bin/probe", namespace_of("pid", runtime.state(id)["pid"])]


def test_prestart_can_set_up_the_network(runtime, bundle, shared):
    """As libnetwork's prestart hook does: it finds the namespace by the state's pid."""
    set_hooks(bundle, prestart=hook(
        "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | tr -d '\\n'); PATH=/usr/sbin:/usr/bin:/sbin:/bin;"
        " nsenter -t $pid -n ip link set lo up && nsenter -t $pid -n ip address add 10.99.0.1/32 dev lo"))
    out = runtime.run(bundle.sh("ip addr show lo")).ok().out
    assert "10.99.0.1/32" in out


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "poststart", "poststop"])
def test_working_directory_of_a_runtime_hook(runtime, bundle, shared, work, kind):
    """A fixed directory, whatever the caller's is: a hook has the host's rights. That of runc and crun before the container is
    there, its bundle; later, when nobody promises that there still is one, the root."""
    set_hooks(bundle, **{kind: note(shared, kind, "pwd")})
    runtime.run(bundle, cwd=work).ok()
    before = kind in ("prestart", "createRuntime")
    assert open(f"{shared}/{kind}").read().strip() == (os.path.realpath(bundle.path) if before else "/")


def test_working_directory_of_create_container_is_the_containers_root(runtime, bundle, shared):
    """Not yet its `/`: the hook prepares the root file system, with the programs of the host."""
    set_hooks(bundle, createContainer=hook(f"pwd > {shared}/pwd; touch made-here; test -e shared && echo mounts >> {shared}/pwd"))
    runtime.run(bundle).ok()
    assert open(f"{shared}/pwd").read().split() == [os.path.realpath(bundle.rootfs), "mounts"]
    assert os.path.exists(f"{bundle.rootfs}/made-here")


@pytest.mark.parametrize("kind", FATAL)
def test_failure_ends_the_container(runtime, bundle, shared, kind):
    place = "/shared" if kind == "startContainer" else shared
    set_hooks(bundle, **{kind: [hook("exit 0"), hook("echo the reason >&2; exit 7"), hook(f"echo > {place}/third")]})
    bundle.sh("echo ran > /shared/ran")
    id = runtime.new_id()
    r = runtime.run(bundle, id=id)
    r.failed(f"error running {kind} hook #1", "exit status 7", code=1)
    assert not os.path.exists(f"{shared}/ran") and not os.path.exists(f"{shared}/third")
    assert runtime.state(id) is None


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_failure_at_create_leaves_nothing_and_runs_poststop(runtime, bundle, shared, kind):
    set_hooks(bundle, **{kind: hook("exit 1"), "poststop": note(shared, "poststop")})
    r = runtime.create(bundle).failed(f"{kind} hook", code=1)
    assert runtime.state(r.id) is None
    assert open(f"{shared}/poststop").read() == "yes\n"


def test_failure_of_start_container_at_start(runtime, bundle, shared):
    set_hooks(bundle, startContainer=hook("exit 1"))
    r = runtime.create(bundle.sh("echo ran > /shared/ran")).ok()
    runtime.call("start", r.id).failed("startContainer hook", code=1)
    assert not os.path.exists(f"{shared}/ran")
    assert (runtime.state(r.id) or {"status": "stopped"})["status"] == "stopped"


def test_failure_of_poststart_is_told_or_ends_it(runtime, bundle, shared):
    """The spec changed its mind (1.0: a warning; later: generate an error and stop); never silence."""
    set_hooks(bundle, poststart=hook("exit 1"))
    r = runtime.create(bundle.sh("sleep 100")).ok()
    s = runtime.call("start", r.id)
    assert "poststart" in s.err


def test_failure_of_poststop_is_a_warning(runtime, bundle, shared):
    set_hooks(bundle, poststop=[hook("exit 1"), note(shared, "poststop")])
    r = runtime.create(bundle).ok()
    d = runtime.call("delete", "--force", r.id)
    assert d.code == 0 and "poststop" in d.err
    assert runtime.state(r.id) is None
    assert open(f"{shared}/poststop").read() == "yes\n", "the hooks after it run"


@pytest.mark.parametrize("kind", FATAL)
def test_missing_program(runtime, bundle, shared, kind):
    set_hooks(bundle, **{kind: {"path": "/no/such/hook"}})
    runtime.run(bundle).failed(f"error running {kind} hook #0", "no such file or directory", code=1)


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer"])
def test_killed_by_a_signal(runtime, bundle, shared, kind):
    set_hooks(bundle, **{kind: hook("kill -TERM $$")})
    runtime.run(bundle).failed(f"{kind} hook", "signal", code=1)


@pytest.mark.parametrize("kind", ["prestart", "createContainer", "startContainer"])
def test_timeout(runtime, bundle, shared, kind):
    set_hooks(bundle, **{kind: hook("sleep 60", timeout=1)})
    start = time.monotonic()
    runtime.run(bundle).failed(f"{kind} hook", code=1)
    assert 0.9 < time.monotonic() - start < 4


def test_timeout_holds_for_grandchildren_that_keep_the_pipes(runtime, bundle, shared):
    set_hooks(bundle, createRuntime=hook(f"(echo $$ > {shared}/pid; sleep 61) & sleep 61", timeout=1))
    start = time.monotonic()
    runtime.run(bundle).failed("createRuntime hook", code=1)
    assert time.monotonic() - start < 4


def test_a_daemon_left_by_a_hook_does_not_hold_the_runtime(runtime, bundle, shared):
    set_hooks(bundle, createRuntime=hook(f"setsid sleep 3 & echo done > {shared}/done"))
    start = time.monotonic()
    runtime.run(bundle).ok()
    assert time.monotonic() - start < 2.5


def test_time_enough(runtime, bundle, shared):
    set_hooks(bundle, createRuntime=hook(f"sleep 0.2; echo yes > {shared}/yes", timeout=10))
    runtime.run(bundle).ok()
    assert os.path.exists(f"{shared}/yes")


def test_a_hook_that_does_not_read_its_state(runtime, bundle):
    bundle.config["annotations"] = {f"key{n}": "x" * 1000 for n in range(200)}
    set_hooks(bundle, prestart={"path": "/bin/true"})
    runtime.run(bundle).ok()


def test_a_chatty_hook(runtime, bundle):
    set_hooks(bundle, prestart=hook("head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2"))
    runtime.run(bundle).ok()


@pytest.mark.parametrize("entry, says", [({"path": "relative"}, "path"), ({"args": ["x"]}, "path"), ({"path": ""}, "path"),
                                         ({"path": "/bin/true", "timeout": 0}, "timeout"),
                                         ({"path": "/bin/true", "timeout": -1}, "timeout"),
                                         ({"path": "/bin/true", "env": "X=1"}, "env"),
                                         ({"path": "/bin/true", "args": "x"}, "args")])
def test_bad_hooks_are_refused(runtime, bundle, entry, says):
    set_hooks(bundle, prestart=entry)
    runtime.create(bundle).failed(f"/hooks/prestart/0/{says}", code=1)


def test_exec_runs_no_hooks(runtime, bundle, shared):
    set_hooks(bundle, **{k: note(shared, k) for k in KINDS})
    id = sleeper(runtime, bundle)
    wait_file(f"{shared}/poststart")
    for f in os.listdir(shared):
        os.unlink(f"{shared}/{f}")
    runtime.exec(id, "true").ok()
    assert os.listdir(shared) == []


def test_hooks_of_the_create_are_those_of_the_delete(runtime, bundle, shared):
    """poststop comes from the configuration the container was made with."""
    set_hooks(bundle, poststop=note(shared, "poststop"))
    r = runtime.create(bundle).ok()
    write(f"{bundle.path}/config.json", "{}")
    runtime.call("delete", "--force", r.id).ok()
    assert os.path.exists(f"{shared}/poststop")


def test_start_container_hook_has_the_containers_limits(runtime, bundle, shared):
    """It runs as root in the container, before the process's own identity; host descriptors are not in reach."""
    set_hooks(bundle, startContainer=hook("id -u > /shared/id; ls -l /proc/self/fd > /shared/fds"))
    bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    runtime.run(bundle).ok()
    assert str(runtime.root) not in open(f"{shared}/fds").read()


def test_start_container_hook_without_an_environment(runtime, bundle):
    """It gets the process's; one that names its own, even an empty one, gets that."""
    bundle.config["process"]["env"].append("ONE=1")
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo ${ONE-none} >> /seen"]}
    bundle.config["hooks"] = {"startContainer": [hook, {**hook, "env": []}]}
    runtime.run(bundle).ok()
    assert open(f"{bundle.rootfs}/seen").read() == "1\nnone\n"


def test_start_container_hook_is_filtered(runtime, bundle):
    bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]}
    bundle.config["hooks"] = {"startContainer": [{"path": "/bin/mkdir", "args": ["mkdir", "/tmp/x"]}]}
    runtime.run(bundle).failed("error running startContainer hook #0", "bad system call")
