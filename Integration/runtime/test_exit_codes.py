"""Exit codes: the process's own, 128 + signal, 1 for the runtime's errors, 255 for exec's."""

import pytest

from inside import sleeper


@pytest.mark.parametrize("code", [0, 1, 2, 42, 125, 126, 127, 254, 255])
def test_run_passes_the_code(runtime, bundle, code):
    assert runtime.run(bundle.sh(f"exit {code}")).code == code


@pytest.mark.parametrize("name, number", [("KILL", 9), ("TERM", 15), ("SEGV", 11), ("USR1", 10)])
def test_run_of_a_process_that_a_signal_ended(runtime, bundle, name, number):
    """From outside, as PID 1 of a namespace ignores what its own processes send."""
    bundle.without_namespace("pid")
    assert runtime.run(bundle.sh(f"kill -{name} $$")).code == 128 + number


@pytest.mark.parametrize("code", [0, 1, 42, 126, 127, 255])
def test_exec_passes_the_code(runtime, bundle, code):
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "/bin/sh", "-c", f"exit {code}").code == code


@pytest.mark.parametrize("name, number", [("KILL", 9), ("TERM", 15), ("SEGV", 11)])
def test_exec_of_a_process_that_a_signal_ended(runtime, bundle, name, number):
    id = sleeper(runtime, bundle)
    assert runtime.exec(id, "/bin/sh", "-c", f"kill -{name} $$").code == 128 + number


def test_exec_ends_with_its_container(runtime, bundle):
    id = runtime.start_detached(bundle.sh("sleep 0.5"))
    assert runtime.exec(id, "/bin/sleep", "50").code == 137


def test_an_exec_that_cannot_be_is_255(runtime, bundle):
    id = sleeper(runtime, bundle)
    runtime.exec(id, "/no/such/program").failed("no such file or directory", code=255)
    runtime.exec("nosuch", "/bin/true").failed("does not exist", code=255)


@pytest.mark.parametrize("verb", ["create", "run"])
def test_a_program_that_cannot_be_is_1(runtime, bundle, verb):
    bundle.config["process"]["args"] = ["/no/such/program"]
    r = getattr(runtime, verb)(bundle)
    if verb == "create" and r.code == 0:
        r = runtime.call("start", r.id)
    r.failed("no such file or directory", code=1)


def test_usage_errors_are_1(runtime):
    runtime.call("create").failed(code=1)
    runtime.call("nosuchverb").failed(code=1)


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_what_is_not_supported_says_so(runtime, bundle, verb):
    id = sleeper(runtime, bundle)
    runtime.call(verb, id).failed("not supported", code=1)
    assert runtime.state(id)["status"] == "running"
