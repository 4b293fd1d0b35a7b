# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs the lanes of tests: as much at once as there is room for, nothing left behind, no lane forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.shell import ROOT
from tools import lanes, side_by_side


@dataclass
class Job:
    slots: int


def test_as_much_runs_at_once_as_there_are_slots_and_what_is_too_large_runs_alone() -> None:
    running: list[int] = []
    sums: list[int] = []
    lock = threading.Lock()

    def run(job: Job) -> None:
        with lock:
            running.append(job.slots)
            sums.append(sum(running))
        time.sleep(0.05)
        with lock:
            running.remove(job.slots)

    side_by_side.run_all([Job(2), Job(9), Job(1), Job(2), Job(1), Job(1)], 4, run)
    assert len(sums) == 6 and sorted(sums)[-1] == 9 and sorted(sums)[-2] <= 4
    assert sums[:2] == [2, 9], "none passes a larger one that waits"
    assert sum(taken > 2 for taken in sums) >= 3, "they ran at once"


def test_a_session_ends_with_all_that_it_started() -> None:
    lines: list[str] = []
    program = ["sh", "-c", "sleep 60 & echo $!; exit 3"]
    ended = side_by_side.run_session(program, {**os.environ}, ROOT, 30.0, lines.append)
    assert ended.code == 3 and ended.processor_seconds >= 0
    assert _ends(int(lines[0]))


def test_a_session_that_takes_too_long_is_ended() -> None:
    began = time.monotonic()
    ended = side_by_side.run_session(["sleep", "60"], {**os.environ}, ROOT, 0.5, print)
    assert ended.code == -9 and time.monotonic() - began < 30


@pytest.mark.parametrize("wish", ["INT", "TERM"])
def test_what_is_interrupted_leaves_no_process(tmp_path: Path, wish: str) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from tools import side_by_side
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.default_int_handler)
class Job:
    slots = 1
def run(job):
    side_by_side.run_session(["sh", "-c", "sleep 60 & echo $!; wait"], {**os.environ}, Path.cwd(), 60.0, told)
def told(line):
    print(line, end="", flush=True)
try:
    side_by_side.run_all([Job(), Job()], 1, run)
except KeyboardInterrupt:
    print("interrupted")
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    started = int(process.stdout.readline())
    process.send_signal({"INT": 2, "TERM": 15}[wish])
    assert process.communicate(timeout=30)[0] == "interrupted\n", "the second does not begin"
    assert _ends(started)


def test_with_ci_a_lane_that_did_not_run_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert lanes._fine(lanes.Lane("4.5"))
    monkeypatch.setenv("CI", "true")
    assert not lanes._fine(lanes.Lane("4.5"))
    assert lanes._fine(lanes.Lane("5.2")), "it may be missing"
    assert not lanes._fine(lanes.Lane("5.2", "failed"))


def _ends(process: int) -> bool:
    """Whether it is gone, or soon; a zombie is."""
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
