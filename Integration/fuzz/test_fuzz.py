"""The fuzzer, run for a short time (FUZZ_SECONDS, default 20) with SEED."""

import os
import subprocess
import sys

from harness.inject import SEED

FUZZ = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fuzz.py")


def test_fuzz(tmp_path):
    """No crash, hang or residue in FUZZ_SECONDS."""
    seconds = float(os.environ.get("FUZZ_SECONDS", "20"))
    p = subprocess.run([sys.executable, FUZZ, "--seed", str(SEED), "--seconds", str(seconds)], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + 120, check=False)
    print(p.stdout)
    assert p.returncode == 0, p.stdout[-6000:]


def test_fuzz_finds_a_crash(tmp_path):
    """The detector works: a runtime that dies by a signal on every sixth call, or leaves a process, is found."""
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\ncase $$ in *[0-4]) kill -SEGV $$;; *[5-7]) sleep 1000 & ;; esac\nexit 0\n")
    fake.chmod(0o755)
    p = subprocess.run([sys.executable, FUZZ, "--seed", "1", "--seconds", "3", "--save", str(tmp_path / "saved")],
                       env={**os.environ, "NEMOSHELL": str(fake)}, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60, check=False)
    assert p.returncode == 1, p.stdout
    assert "died by signal 11" in p.stdout and "left" in p.stdout, p.stdout
    assert any((tmp_path / "saved").iterdir())
