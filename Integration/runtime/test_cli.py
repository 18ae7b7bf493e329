"""The command line itself: strict arguments, help, version, features, spec, list, ps, logs."""

import json
import os
import re

import pytest

from inside import sleeper, wait_for

VERBS = ["create", "start", "run", "exec", "state", "kill", "delete", "list", "ps", "pause", "resume", "update",
         "events", "features", "spec"]


# -- help and version

@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(runtime, flag):
    r = runtime.call(flag).ok()
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", r.out), verb
    assert "--root" in r.out and r.err == ""


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_verb(runtime, verb, flag):
    r = runtime.call(verb, flag).ok()
    assert verb in r.out and r.err == ""


@pytest.mark.parametrize("words", [("nosuch", "--help"), ("nosuch", "-h"), ("help", "nosuch")])
def test_help_about_what_is_no_verb(runtime, words):
    r = runtime.call(*words).failed("No help topic for 'nosuch'", code=1)
    assert r.out == ""


def test_help_names_every_flag(runtime):
    flags = {
        "create": ["bundle", "config", "console-socket", "pidfd-socket", "pid-file", "no-pivot", "no-new-keyring",
                   "preserve-fds"],
        "run": ["bundle", "detach", "keep", "no-subreaper", "console-socket", "pid-file", "preserve-fds"],
        "exec": ["detach", "tty", "process", "user", "cwd", "env", "cap", "additional-gids", "pid-file", "console-socket",
                 "pidfd-socket", "preserve-fds", "ignore-paused", "cgroup", "no-new-privs", "apparmor", "process-label"],
        "kill": ["all"], "delete": ["force", "regex"], "ps": ["format"], "list": ["format", "quiet"],
        "update": ["resources", "memory", "memory-swap", "memory-reservation", "pids-limit", "cpu-share", "cpu-quota",
                   "cpu-period", "cpu-burst", "cpu-idle", "cpu-rt-period", "cpu-rt-runtime", "cpuset-cpus", "cpuset-mems",
                   "blkio-weight"],
        "events": ["stats", "interval"], "spec": ["bundle", "rootless"],
    }
    for verb, names in flags.items():
        text = runtime.call(verb, "--help").ok().out
        for name in names:
            assert f"--{name}" in text, f"{verb} --help: no --{name}"


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version(runtime, flag):
    r = runtime.call(flag).ok()
    lines = r.out.splitlines()
    assert re.fullmatch(r"\S+ version \d+\.\d+\.\d+\S*", lines[0])
    assert any(re.match(r"commit: \S+", line) for line in lines)
    assert any(re.fullmatch(r"spec: \d+\.\d+\.\d+\S*", line) for line in lines)
    assert any(line.startswith("libseccomp") for line in lines)


# -- strict arguments

@pytest.mark.parametrize("verb", VERBS)
def test_unknown_flags_are_refused(runtime, bundle, verb):
    bundle.save()
    r = runtime.call(verb, "--no-such-flag", runtime.new_id(), cwd=bundle.path)
    r.failed("no-such-flag", "usage", verb, code=None if verb == "exec" else 1)


@pytest.mark.parametrize("verb", ["create", "start", "run", "exec", "state", "kill", "delete", "ps", "pause", "resume",
                                  "update", "events"])
def test_a_missing_id_is_an_error(runtime, bundle, verb):
    r = runtime.call(verb, cwd=bundle.path)
    r.failed("usage", verb, code=None if verb == "exec" else 1)


@pytest.mark.parametrize("args", [["create", "ID", "x"], ["start", "ID", "x"], ["run", "ID", "x"], ["state", "ID", "x"],
                                  ["kill", "ID", "TERM", "x"], ["delete", "ID", "x"], ["pause", "ID", "x"],
                                  ["resume", "ID", "x"], ["update", "ID", "x"], ["events", "--stats", "ID", "x"],
                                  ["list", "x"], ["features", "x"], ["spec", "x"]])
def test_surplus_arguments_are_refused(runtime, bundle, args):
    id = sleeper(runtime, bundle)
    before = runtime.state(id)
    runtime.call(*[id if a == "ID" else a for a in args], cwd=bundle.path).failed("x", "usage", code=1)
    assert runtime.state(id) == before


def test_unknown_verb(runtime):
    runtime.call("frobnicate").failed("frobnicate", code=1)


def test_unknown_global_flag(runtime):
    runtime.call("--frobnicate", "list").failed("frobnicate", code=1)


def test_no_verb(runtime):
    r = runtime.call()
    assert "usage" in (r.out + r.err).lower()


@pytest.mark.parametrize("args", [["create", "--bundle"], ["run", "--pid-file"], ["kill", "x", ""], ["update", "--memory"],
                                  ["create", "--bundle="], ["create", "--preserve-fds", "x", "ID"],
                                  ["create", "--preserve-fds", "-1", "ID"], ["list", "--format", "yaml"],
                                  ["run", "--detach=maybe", "ID"], ["events", "--interval", "soon", "ID"],
                                  ["events", "--interval", "0", "ID"], ["events", "--interval=-1s", "ID"]])
def test_bad_values_are_refused(runtime, bundle, args):
    bundle.save()
    runtime.call(*[runtime.new_id() if a == "ID" else a for a in args], cwd=bundle.path).failed(code=1)


def test_bad_global_values(runtime):
    assert runtime.call("--log-format", "xml", "list").code == 1
    assert runtime.call("--cgroup-manager", "nosuch", "list").code == 1


@pytest.mark.parametrize("flags", [["--rootless=false"], ["--rootless", "auto"], ["--cgroup-manager=cgroupfs"], ["--debug"]])
def test_global_flags(runtime, bundle, flags):
    runtime.flags = flags
    runtime.run(bundle).ok()


def test_flag_spellings(runtime, bundle, work):
    """--flag value, --flag=value, -f value, and clustered after the verb's other arguments as engines write them."""
    bundle.sh("echo hi").save()
    for args in (["--bundle", bundle.path], [f"--bundle={bundle.path}"], ["-b", bundle.path]):
        assert runtime.call("run", *args, runtime.new_id()).ok().out == "hi\n"


def test_double_dash_ends_the_flags(runtime, bundle):
    id = sleeper(runtime, bundle)
    assert runtime.call("state", "--", id).ok()


def test_root_by_relative_path(runtime, bundle, work):
    runtime.root = "relative-root"
    bundle.save()
    runtime.call("run", "--bundle", bundle.path, runtime.new_id(), cwd=work).ok()
    runtime.root = f"{work}/relative-root"
    assert os.path.isdir(runtime.root)


def test_root_directory_is_private(runtime, bundle):
    sleeper(runtime, bundle)
    assert os.stat(runtime.root).st_mode & 0o077 in (0, 0o011)


# -- list

def test_list_empty(runtime):
    assert runtime.call("list").ok().out.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert json.loads(runtime.call("list", "-f", "json").ok().out) in ([], None)
    assert runtime.call("list", "-q").ok().out == ""


def test_list(runtime, bundle):
    running = sleeper(runtime, bundle)
    created = runtime.create(bundle).ok().id
    table = runtime.call("list").ok().out.splitlines()
    assert table[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    rows = {row.split()[0]: row.split() for row in table[1:]}
    assert rows[running][1:4] == [str(runtime.state(running)["pid"]), "running", os.path.realpath(bundle.path)]
    assert rows[created][2] == "created"
    assert rows[running][-1] == "root"
    columns = [table[0].index(name) for name in ("PID", "STATUS", "BUNDLE")]
    assert all(row[c - 1] == " " and row[c] != " " for row in table[1:] for c in columns), "columns are aligned"
    assert set(runtime.call("list", "--quiet").ok().out.split()) == {running, created}
    listed = json.loads(runtime.call("list", "--format=json").ok().out)
    for entry in listed:
        assert list(entry)[:7] == ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created"]
        assert entry.get("owner") == "root"
    assert {e["id"]: e["status"] for e in listed} == {running: "running", created: "created"}


def test_list_goes_on_when_a_container_is_damaged(runtime, bundle, work):
    """One unreadable entry does not hide the others."""
    id = sleeper(runtime, bundle)
    os.makedirs(f"{runtime.root}/damaged")
    with open(f"{runtime.root}/damaged/state.json", "w") as f:
        f.write("{not json")
    r = runtime.call("list", "-q")
    assert id in r.out
    runtime.ids.append("damaged")
    runtime.call("delete", "--force", "damaged")


# -- ps

def test_ps_table(runtime, bundle):
    id = sleeper(runtime, bundle)
    lines = runtime.call("ps", id).ok().out.splitlines()
    assert "PID" in lines[0] and "CMD" in lines[0]
    assert len(lines) == 2 and "sleep" in lines[1] and str(runtime.state(id)["pid"]) in lines[1].split()


def test_ps_with_options_of_ps(runtime, bundle):
    id = sleeper(runtime, bundle)
    lines = runtime.call("ps", id, "-o", "pid,args").ok().out.splitlines()
    assert lines[0].split() == ["PID", "COMMAND"] and lines[1].split()[1:] == ["/bin/sleep", "100"]
    assert len(runtime.call("ps", id, "-e", "-x").ok().out.splitlines()) == 2


def test_ps_needs_a_pid_column(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.call("ps", id, "-o", "args").failed("pid", code=1)


def test_ps_json(runtime, bundle):
    id = runtime.start_detached(bundle.sh("sleep 50 & sleep 50 & wait"))
    pids = wait_for(lambda: (lambda p: p if len(p) == 3 else None)(
        json.loads(runtime.call("ps", "--format", "json", id).ok().out)), "three processes")
    assert runtime.state(id)["pid"] in pids


def test_ps_of_a_stopped_container(runtime, bundle):
    id = runtime.start_detached(bundle)
    runtime.wait_status(id, "stopped")
    assert json.loads(runtime.call("ps", "--format", "json", id).ok().out) == []
    lines = runtime.call("ps", id).ok().out.splitlines()
    assert len(lines) == 1 and "PID" in lines[0]
    runtime.call("delete", id).ok()
    runtime.call("ps", id).failed("container does not exist", code=1)


# -- features

def test_features(runtime):
    features = json.loads(runtime.call("features").ok().out)
    assert features["ociVersionMin"] == "1.0.0" and re.match(r"1\.[23]\.", features["ociVersionMax"])
    assert set(features["hooks"]) == {"prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                                      "poststop"}
    for option in ("bind", "rbind", "ro", "rro", "noexec", "private", "rshared", "tmpcopyup", "idmap", "ridmap", "nosymfollow"):
        assert option in features["mountOptions"], option
    linux = features["linux"]
    assert {"cgroup", "ipc", "mount", "network", "pid", "user", "uts", "time"} <= set(linux["namespaces"])
    assert "CAP_CHOWN" in linux["capabilities"] and "CAP_CHECKPOINT_RESTORE" in linux["capabilities"]
    assert linux["cgroup"]["v1"] is True
    assert linux["seccomp"]["enabled"] is True
    assert {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
            "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"} <= set(linux["seccomp"]["actions"])
    assert {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
            "SCMP_CMP_NE"} <= set(linux["seccomp"]["operators"])
    assert "SCMP_ARCH_X86_64" in linux["seccomp"]["archs"] or "SCMP_ARCH_AARCH64" in linux["seccomp"]["archs"]
    assert {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"} <= set(linux["seccomp"]["knownFlags"])
    assert linux["mountExtensions"]["idmap"]["enabled"] is True
    assert linux["netDevices"]["enabled"] is True
    assert {"MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_DEFAULT"} <= set(linux["memoryPolicy"]["modes"])
    assert "intelRdt" in linux and "apparmor" in linux and "selinux" in linux


def test_features_tells_the_truth_about_refused_options(runtime, bundle, work):
    """Every mount option it names is accepted in a mount."""
    features = json.loads(runtime.call("features").ok().out)
    skip = {"remount", "idmap", "ridmap", "mand", "nomand", "tmpcopyup", "copy-symlink", "bind", "rbind", "unbindable",
            "runbindable", "defaults"}
    for n, option in enumerate(sorted(set(features["mountOptions"]) - skip)):
        os.makedirs(f"{work}/src/{n}")
        bundle.mount(f"/mnt/{n}", f"{work}/src/{n}", options=["rbind", option])
    runtime.run(bundle).ok()


# -- spec

def test_spec(runtime, bundle, work):
    os.mkdir(f"{work}/new")
    runtime.call("spec", cwd=f"{work}/new").ok()
    with open(f"{work}/new/config.json") as f:
        config = json.load(f)
    assert config["process"]["terminal"] is True and config["process"]["args"] == ["sh"]
    runtime.call("spec", cwd=f"{work}/new").failed("config.json", "exist", code=1)
    config["process"].update(terminal=False, args=["echo", "from spec"])
    config["linux"]["cgroupsPath"] = f"/{runtime.mark}"
    bundle.config = config
    assert runtime.run(bundle).ok().out == "from spec\n"


def test_spec_into_a_bundle(runtime, work):
    os.mkdir(f"{work}/new")
    runtime.call("spec", "--bundle", f"{work}/new").ok()
    assert os.path.isfile(f"{work}/new/config.json")
    runtime.call("spec", "-b", f"{work}/nosuch").failed("no such file or directory", code=1)


def test_spec_rootless(runtime, work):
    os.mkdir(f"{work}/new")
    runtime.call("spec", "--rootless", "--bundle", f"{work}/new").ok()
    with open(f"{work}/new/config.json") as f:
        linux = json.load(f)["linux"]
    assert {"type": "user"} in linux["namespaces"] and linux["uidMappings"] and linux["gidMappings"]


# -- logs

def test_errors_go_to_stderr_in_one_line(runtime):
    r = runtime.call("state", "nosuch").failed("does not exist")
    assert r.out == "" and len(r.err.strip().splitlines()) == 1


def test_log_in_json(runtime, bundle, work):
    runtime.flags = ["--log", f"{work}/log", "--log-format", "json"]
    bundle.config["process"]["args"] = ["/no/such/program"]
    r = runtime.run(bundle).failed()
    with open(f"{work}/log") as f:
        entries = [json.loads(line) for line in f]
    errors = [e for e in entries if e["level"] == "error"]
    assert "no such file or directory" in errors[-1]["msg"]
    assert all({"level", "msg", "time"} <= set(e) for e in entries)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", errors[-1]["time"])
    assert "no such file or directory" in r.err, "and still on stderr"


def test_log_quotes_what_json_must_quote(runtime, bundle, work):
    runtime.flags = ["--log", f"{work}/log", "--log-format", "json"]
    bundle.config["process"]["args"] = ['/no/"such"\\\n\t\x01é program']
    runtime.run(bundle).failed()
    with open(f"{work}/log") as f:
        assert [json.loads(line)["msg"] for line in f if line]


def test_log_in_text(runtime, work):
    runtime.flags = ["--log", f"{work}/log"]
    runtime.call("state", "nosuch").failed()
    with open(f"{work}/log") as f:
        text = f.read()
    assert "does not exist" in text and "error" in text


def test_log_is_appended(runtime, work):
    runtime.flags = ["--log", f"{work}/log", "--log-format=json"]
    for _ in range(2):
        runtime.call("state", "nosuch").failed()
    with open(f"{work}/log") as f:
        assert len([line for line in f if '"error"' in line]) == 2


def test_log_is_empty_when_all_is_well(runtime, bundle, work):
    runtime.flags = ["--log", f"{work}/log", "--log-format=json"]
    runtime.run(bundle).ok()
    assert not os.path.exists(f"{work}/log") or '"error"' not in open(f"{work}/log").read()


def test_warnings_go_to_the_log_alone(runtime, bundle, work):
    """With an engine, stderr is the container's own."""
    bundle.config["process"]["capabilities"]["bounding"].append("CAP_NOSUCH")
    assert "CAP_NOSUCH" in runtime.run(bundle).ok().err
    runtime.flags = ["--log", f"{work}/log"]
    assert runtime.run(bundle).ok().err == ""
    assert "level=warning" in open(f"{work}/log").read()


def test_log_that_cannot_be_opened(runtime, work):
    runtime.flags = ["--log", f"{work}/no/such/log"]
    runtime.call("list").failed("no such file or directory", code=1)


def test_debug(runtime, bundle, work):
    runtime.flags = ["--debug", "--log", f"{work}/log"]
    runtime.run(bundle).ok()
    assert "level=debug" in open(f"{work}/log").read()


def test_secrets_of_the_environment_are_not_logged(runtime, bundle, work):
    runtime.flags = ["--debug", "--log", f"{work}/log"]
    bundle.config["process"]["env"].append("TOKEN=verysecretvalue")
    runtime.run(bundle).ok()
    assert "verysecretvalue" not in open(f"{work}/log").read()
