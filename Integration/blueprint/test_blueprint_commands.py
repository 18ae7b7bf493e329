"""`nemoshell blueprint` and `nemoshell policy`: exit statuses, output, and hostile files."""

import json
import os
import pathlib
import random
import subprocess
import time
import xml.etree.ElementTree

import pytest

from harness.inject import SEED
from harness.runtime import NEMOSHELL


def nemoshell(*args, text=None, **kwargs):
    return subprocess.run([NEMOSHELL, *args], input=text, capture_output=True, text=True, timeout=60, **kwargs)


@pytest.fixture
def blueprint(work):
    path = os.path.join(work, "agent.yaml")
    assert nemoshell("blueprint", "new", path).returncode == 0
    return path


def test_new_check_show_digest_diff(work, blueprint):
    assert nemoshell("blueprint", "new", blueprint).returncode == 1
    done = nemoshell("blueprint", "check", blueprint)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    shown = json.loads(nemoshell("blueprint", "show", "--json", blueprint).stdout)
    digest = nemoshell("blueprint", "digest", blueprint).stdout.strip()
    assert shown["digest"] == digest and digest.startswith("sha256:") and shown["sandbox"]["resources"]["pids"] == 512
    other = os.path.join(work, "other.yaml")
    text = pathlib.Path(blueprint).read_text()
    pathlib.Path(other).write_text("# the same\n" + text)
    assert nemoshell("blueprint", "diff", blueprint, other).returncode == 0
    pathlib.Path(other).write_text(text.replace("pids: 512", "pids: 64"))
    done = nemoshell("blueprint", "diff", blueprint, other)
    assert done.returncode == 1 and "- sandbox.resources.pids: 512\n+ sandbox.resources.pids: 64\n" in done.stdout


@pytest.mark.parametrize("word", ["create", "run", "exec"])
def test_a_word_that_is_a_verb_too_is_an_argument(work, word):
    """Those verbs move the executable to a mount of its own, which hides where the other program is."""
    assert nemoshell("blueprint", "new", word, cwd=work).returncode == 0
    assert nemoshell("blueprint", "check", word, cwd=work).returncode == 0
    assert nemoshell("--debug", "blueprint", "check", word, cwd=work).returncode == 0


def test_errors_have_a_place_and_misuse_is_told_apart(work, blueprint):
    text = pathlib.Path(blueprint).read_text().replace("compatibility: hard_requirement", "compatibility: strict")
    pathlib.Path(blueprint).write_text(text)
    done = nemoshell("blueprint", "check", blueprint)
    line = next(n for n, l in enumerate(text.splitlines(), 1) if "strict" in l)
    assert done.returncode == 1
    assert done.stdout == (
        f'{blueprint}:{line}:20: error: policy.landlock.compatibility: "strict" is not known (legal: hard_requirement, best_effort)\n')
    assert nemoshell("policy", "explain", "--read", "/x", blueprint).returncode == 2
    for words in [("check",), ("bogus",), ("check", "--nope", blueprint), ("check", "/nonexistent"), ("check", work), ("diff", blueprint)]:
        done = nemoshell("blueprint", *words)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("nemoshell: ") and done.stderr.count("\n") == 1, words


def test_explain_exits_with_the_verdict(blueprint):
    cases = [
        (["--read", "/etc/hostname"], 0, "landlock"), (["--write", "/etc/hostname"], 1, "landlock"), (["--exec", "/usr/bin/id"], 0, "landlock"),
        (["--create", "/workspace/x"], 0, "landlock"), (["--exec", "/workspace/x"], 1, "landlock"),
        (["--connect", "example.com:443"], 1, "nftables"), (["--connect", "[::1]:443"], 0, "nftables"),
        (["--syscall", "ptrace"], 1, "seccomp"), (["--syscall", "socket", "--args", "2,1,0"], 0, "seccomp"),
        (["--syscall", "socket", "--args", "2,3,1"], 1, "seccomp"), (["--capability", "CAP_NET_RAW"], 1, "capability"),
    ]
    for words, status, mechanism in cases:
        done = nemoshell("policy", "explain", "--json", *words, blueprint)
        answer = json.loads(done.stdout)
        assert done.returncode == status and answer["mechanism"] == mechanism, (words, answer)
        assert (answer["verdict"] == "allow") == (status == 0) and answer["reason"]
    answer = json.loads(nemoshell("policy", "explain", "--json", "--write", "/etc/x", blueprint).stdout)
    line = pathlib.Path(blueprint).read_text().splitlines()[answer["line"] - 1]
    assert answer["file"] == blueprint and "read_only" in line
    for words in [[], ["--read", "relative"], ["--read", "/x", "--write", "/x"], ["--connect", "x"], ["--syscall", "x", "--args", "y"]]:
        assert nemoshell("policy", "explain", *words, blueprint).returncode == 2, words


def test_decide_answers_each_line(blueprint):
    lines = ["file read_file /etc/hostname", "file make_reg,write_file /etc/x y", "call read", "call socket 38 5 0", "call socket 1 1 0"]
    done = nemoshell("policy", "decide", blueprint, text="".join(line + "\n" for line in lines))
    assert done.stdout.splitlines() == ["allow landlock", "deny landlock", "allow seccomp", "deny seccomp", "allow seccomp"]
    answers = json.loads(nemoshell("policy", "decide", "--json", blueprint, text="\n".join(lines)).stdout)
    assert [a["verdict"] for a in answers] == ["allow", "deny", "allow", "deny", "allow"] and all(a["reason"] for a in answers)
    for line in ["", "file", "file read_file relative", "file nope /x", "call", "call read x", "call read 1 2 3 4 5 6 7", "other /x"]:
        done = nemoshell("policy", "decide", blueprint, text=f"call read\n{line}\n")
        assert done.returncode == (2 if line else 0), line


def test_seccomp_is_the_policy_as_a_filter(work, blueprint):
    plain = json.loads(nemoshell("policy", "seccomp").stdout)
    assert nemoshell("policy", "seccomp", blueprint).stdout == nemoshell("policy", "seccomp").stdout
    assert plain["defaultAction"] == "SCMP_ACT_ERRNO" and plain["defaultErrnoRet"] == 1 and plain["flags"] == [] and "architectures" not in plain
    allowed = {n for rule in plain["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for n in rule["names"]}
    assert len(allowed) == 262
    changed = os.path.join(work, "changed.yaml")
    source = pathlib.Path(blueprint).read_text().replace("    profile: agent\n", """    profile: agent
    deny: [{names: [getpid, clone3], errno: EACCES}, {names: [socket], arguments: [{index: 1, comparison: masked_eq, value: 5, mask: 4294967295}]}]
    allow: [{names: [memfd_create]}]
""")
    pathlib.Path(changed).write_text(source)
    rules = json.loads(nemoshell("policy", "seccomp", changed).stdout)["syscalls"]
    by = {(rule["action"], rule.get("errnoRet")): rule["names"] for rule in rules if not rule.get("args")}
    assert by["SCMP_ACT_ERRNO", 13] == ["clone3", "getpid"] and "memfd_create" in by["SCMP_ACT_ALLOW", None]
    assert all(len({a["index"] for a in rule["args"]}) == len(rule["args"]) for rule in rules if "args" in rule)


def test_too_many_comparisons_are_an_error(work, blueprint):
    path = os.path.join(work, "many.yaml")
    pathlib.Path(path).write_text(pathlib.Path(blueprint).read_text().replace("    profile: agent\n", """    profile: agent
    deny:
      - {names: [ioctl], arguments: [{index: 0, comparison: masked_eq, value: 1, mask: 4294967295}], errno: EINVAL}
      - {names: [ioctl], arguments: [{index: 2, comparison: masked_eq, value: 2, mask: 4294967295}], errno: EACCES}
"""))
    done = nemoshell("blueprint", "check", path)
    assert done.returncode == 1 and "policy.system_calls: the rules of ioctl compare too much" in done.stdout
    assert nemoshell("policy", "seccomp", path).returncode == 2


def test_policy_test_writes_junit(work, blueprint):
    report = os.path.join(work, "report.xml")
    assert nemoshell("policy", "test", "--junit", report, blueprint).returncode == 0
    text = pathlib.Path(blueprint).read_text()
    pathlib.Path(blueprint).write_text(text.replace("verdict: deny", "verdict: allow", 1))
    done = nemoshell("policy", "test", "--junit", report, blueprint)
    suite = xml.etree.ElementTree.parse(report).getroot()[0]
    assert done.returncode == 1 and "FAILED" in done.stdout and suite.get("tests") == "3" and suite.get("failures") == "1"


def test_lint_looks_into_the_root_file_system(work):
    root = pathlib.Path(work, "rootfs")
    for directory in ["usr/bin", "usr/lib", "etc", "tmp"]:
        (root / directory).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for name, text in [("true", "\x7fELF"), ("node", "\x7fELF"), ("npm", "#!/usr/bin/env node\n")]:
        (root / "usr/bin" / name).write_text(text)
        (root / "usr/bin" / name).chmod(0o755)
    (root / "usr/bin/escape").symlink_to("../../../../../../../etc/passwd")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nagent:x:1000:1000::/:/bin/sh\n")
    path = os.path.join(work, "b.yaml")
    pathlib.Path(path).write_text("""apiVersion: nemoshell/v1
kind: Blueprint
metadata: {name: a, version: 1.0.0}
sandbox:
  rootfs: {directory: ./rootfs}
  process: {args: [/bin/true]}
  network: {mode: veth}
policy:
  filesystem:
    read_only: [/usr, /nothing]
  process: {run_as_user: nobody}
  network_policies:
    a:
      endpoints: [{host: a.example.com, port: 443}]
      binaries:
        - path: /usr/bin/node
        - path: /usr/bin/npm
        - path: /usr/bin/missing
        - path: /bin/node
        - path: /usr/bin/no*
        - path: /usr/bin/python*
""")
    assert nemoshell("blueprint", "check", path).returncode == 0
    done = nemoshell("blueprint", "lint", "--json", path)
    found = [(f["line"], f["message"]) for f in json.loads(done.stdout) if f["severity"] == "error"]
    assert done.returncode == 1
    assert [line for line, _ in found] == [10, 11, 17, 18, 19, 21], found
    assert "write path: /usr/bin/node and script: /usr/bin/npm" in found[2][1] and "the program that runs is /usr/bin/node" in found[4][1]


def hostile():
    yield "anchors", "".join(f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]\n" for n in range(1, 200))
    yield "key bomb", "? &a [x]\n: &b {*a : *a}\n"
    yield "brackets", "[" * 3_000_000
    yield "braces", "{a: " * 700_000
    yield "dashes", "- " * 1_500_000
    yield "indentation", "".join(" " * n + "a:\n" for n in range(2000))
    yield "long line", "a: " + "x" * 4_000_000
    yield "long key", "x" * 4_000_000 + ": a"
    yield "stars", 'a: "' + "*a" * 1_000_000 + '"'
    yield "many keys", "".join(f"k{n}: 1\n" for n in range(300_000))
    yield "rules", "apiVersion: nemoshell/v1\nx:\n" + "".join(f"  - {{host: h{n}.a.b, port: 1}}\n" for n in range(100_000))
    yield "quotes", "'" * 2_000_001
    yield "block", "a: |\n" + "  x\n" * 1_000_000
    yield "too large", "#" * (5 << 20)
    yield "nul", "a: \0"
    yield "escape", 'a: "\\u001b[2J\\u0007"\n'


@pytest.mark.parametrize("name,text", list(hostile()), ids=[n for n, _ in hostile()])
def test_hostile_files_get_an_error_soon(work, name, text):
    path = os.path.join(work, "hostile.yaml")
    pathlib.Path(path).write_text(text)
    for command in [["check"], ["import"]]:
        begin = time.monotonic()
        done = nemoshell("blueprint", *command, path)
        assert done.returncode == 1, (done.returncode, done.stderr[-300:])
        output = done.stdout + done.stderr
        assert ": error: " in output and len(output) < 100_000 and "\x1b" not in output
        assert all(line.startswith((path, "nemoshell: ")) for line in output.splitlines())
        assert time.monotonic() - begin < 10


def test_import_reports_and_the_result_is_a_blueprint(work):
    path = os.path.join(work, "policy.yaml")
    out = os.path.join(work, "out.yaml")
    pathlib.Path(path).write_text("""version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /bin, /lib, /etc, /sandbox/.config]
  read_write: [/sandbox, /tmp, /dev/null]
network_policies:
  github:
    endpoints:
      - {host: github.com, port: 443, access: full}
    binaries:
      - {path: /usr/bin/git}
  discord:
    endpoints:
      - {host: discord.com, port: 443, protocol: rest, tls: terminate, rules: [{allow: {method: GET, path: /**}}]}
""")
    done = nemoshell("blueprint", "import", "--json", "-o", out, path)
    assert done.returncode == 0, done.stderr
    report = {(f["line"], f["field"]) for f in json.loads(done.stdout)}
    for wanted in [(4, "filesystem_policy.read_only[4]"), (9, "network_policies.github.endpoints[0].access"), (12, "network_policies.discord")]:
        assert wanted in report, report
    assert nemoshell("blueprint", "check", out).returncode == 0
    assert nemoshell("policy", "explain", "--write", "/sandbox/.config/x", out).returncode == 1
    assert nemoshell("policy", "explain", "--gate", "--connect", "github.com:443", "--binary", "/usr/bin/git", out).returncode == 0


def test_presets_name_programs_that_are_there(work):
    root = pathlib.Path(work, "rootfs")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/python3.11").write_text("\x7fELF")
    (root / "usr/bin/python3").symlink_to("python3.11")
    out = os.path.join(work, "a.yaml")
    environment = dict(os.environ, PIP_INDEX_URL="https://user:secret@packages.example.com/simple")
    done = nemoshell("blueprint", "new", "--preset", "slack", "--preset", "pip", "--rootfs", str(root), out, env=environment)
    assert done.returncode == 0, done.stderr
    text = pathlib.Path(out).read_text()
    assert "packages.example.com" in text and "secret" not in text and text.count("/usr/bin/python3.11") == 2
    assert nemoshell("blueprint", "new", "--preset", "npm", "--rootfs", str(root), os.path.join(work, "b.yaml")).returncode == 1
    assert nemoshell("blueprint", "new", "--preset", "nope", os.path.join(work, "c.yaml")).returncode == 2


def test_mutants_never_crash_the_reader(work, blueprint):
    """Bytes of good files are cut, doubled, swapped and replaced; every call ends with a verdict and clean lines."""
    rng = random.Random(SEED)
    examples = pathlib.Path(__file__).resolve().parents[2] / "spec/examples"
    seeds = [path.read_bytes() for path in sorted(examples.glob("*.yaml"))] + [pathlib.Path(blueprint).read_bytes()]
    tokens = [b"&a", b"*a", b"!", b"? ", b"- ", b": ", b"[", b"]", b"{", b"}", b"|", b">", b"'", b'"', b"#", b"\t", b"\r", b"\0", b"\xff",
              b"%", b"---\n", b"...\n", b"<<: ", b"  ", b"\n", b"-1", b"99999999999999999999", b"~", b"/..", b"**"]
    files = []
    for number in range(600):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at, length = rng.randrange(len(data) + 1), rng.randint(0, 40)
            kind = rng.randrange(4)
            if kind == 0:
                del data[at:at + length]
            elif kind == 1:
                data[at:at] = rng.choice(tokens)
            elif kind == 2:
                data[at:at] = data[at:at + length] * rng.randint(1, 3)
            elif data:
                data[at % len(data)] = rng.randrange(256)
        files.append(os.path.join(work, f"{number}.yaml"))
        pathlib.Path(files[-1]).write_bytes(data)
    for command in ["check", "lint", "import"]:
        for batch in ([files[n:n + 100] for n in range(0, 600, 100)] if command != "import" else [[file] for file in files[:60]]):
            done = subprocess.run([NEMOSHELL, "blueprint", command, *batch], capture_output=True, timeout=60)
            assert done.returncode in (0, 1), (SEED, command, batch, done.stderr[-500:])
            lines = (done.stdout if command != "import" else done.stderr).decode().splitlines()
            assert all(line.startswith((work, "nemoshell: ", "imported")) for line in lines), (SEED, lines[:5])
