# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that keeps two programs out of one place, where the file system has locks and where it has none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rodin_blender.storage import locks
from tests.unit import disks

refusing = disks.refusing

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys, time
from pathlib import Path
from rodin_blender.storage import locks
with locks.acquire(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
TRIES = """
import sys
from pathlib import Path
from rodin_blender.storage import locks
try:
    with locks.acquire(Path(sys.argv[1])):
        print("held")
except locks.Locked:
    print("locked")
"""
REFUSALS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS]


@contextmanager
def holder(path: Path, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until the block ends."""
    command = [sys.executable, "-c", HOLDS, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)
    assert process.stdout and process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.communicate("\n", timeout=10)


def tried(path: Path, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-c", TRIES, path]
    ended = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=30, check=True)
    return ended.stdout.strip()


def test_a_lock_is_held_by_one_thread_or_process_at_a_time_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locks.acquire(path):
        assert tried(path) == "locked"
        with pytest.raises(locks.Locked), locks.acquire(path):
            pass
    with holder(path), pytest.raises(locks.Locked), locks.acquire(path):
        pass
    assert tried(path) == "held"
    assert list(tmp_path.iterdir()) == []


def test_a_holder_is_waited_for_as_long_as_said(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locks.acquire(path):
        begun = time.monotonic()
        with pytest.raises(locks.Locked), locks.acquire(path, 0.3):
            pass
        assert 0.3 <= time.monotonic() - begun < 2.0
        waited = threading.Thread(target=lambda: entered(path))
        waited.start()
        time.sleep(0.2)
    waited.join(5)
    assert not waited.is_alive()


def entered(path: Path) -> None:
    with locks.acquire(path, 5.0):
        pass


@pytest.mark.parametrize("refusal", [None, errno.ENOLCK])
def test_the_lock_of_a_killed_process_holds_nobody_up(
    tmp_path: Path, refusing: Callable[..., dict[str, str]], refusal: int | None
) -> None:
    environment = refusing(tmp_path, flock=refusal) if refusal else None
    with holder(tmp_path / ".lock", environment) as process:
        assert tried(tmp_path / ".lock", environment) == "locked"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert tried(tmp_path / ".lock", environment) == "held"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda code: errno.errorcode[code])
def test_where_the_file_system_has_no_locks_programs_of_this_computer_are_kept_out_all_the_same(
    tmp_path: Path, refusing: Callable[..., dict[str, str]], refusal: int
) -> None:
    environment = refusing(tmp_path, flock=refusal)
    (tmp_path / "beside").mkdir()
    with holder(tmp_path / ".lock", environment):
        assert not (tmp_path / ".lock").exists(), "it is of no use there"
        assert tried(tmp_path / ".lock", environment) == "locked"
        assert tried(tmp_path / "beside" / ".lock", environment) == "held"
    assert tried(tmp_path / ".lock", environment) == "held"
    assert [path.name for path in tmp_path.iterdir()] == ["beside"]


def test_where_nothing_can_be_locked_it_goes_on(tmp_path: Path, refusing: Callable[..., dict[str, str]]) -> None:
    """The folder of temporary files is somebody else's trap, or cannot be written."""
    trap = tmp_path / f"rodin-blender-{os.getuid()}"
    trap.symlink_to(tmp_path / "elsewhere")
    environment = {**refusing(tmp_path, flock=errno.ENOLCK), "TMPDIR": str(tmp_path)}
    assert tried(tmp_path / ".lock", environment) == "held"
    assert [path.name for path in tmp_path.iterdir()] == [trap.name]


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locks.acquire(tmp_path / "gone" / ".lock"):
        pass
