# SPDX-License-Identifier: GPL-3.0-or-later
"""The fuzzer itself: that it runs, in an environment of its own, and reaches what it is to try."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tools import fuzz


@pytest.mark.timeout(180)
def test_the_fuzzer_runs_and_finds_nothing_in_its_first_inputs() -> None:
    words = [sys.executable, str(fuzz.ROOT / "tools/fuzz.py"), "--inputs", "2000"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=170, check=False)
    has_wheel = sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info[:2] == (3, 11)
    if done.returncode == fuzz.NOT_AVAILABLE and not has_wheel:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was found" in done.stdout
