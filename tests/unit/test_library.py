"""The asset library's folder: names of versions, what fails or is cancelled, with real processes that write the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rodin_blender.service.errors import BadInput
from rodin_blender.storage import library
from rodin_blender.storage.asset_catalog import CATALOG_ID
from tests.unit.shell import ROOT, wait_until

Command = Callable[[Path], list[str]]


def program(code: str) -> Command:
    """One that gets the path to write as its argument, and another path to leave a sign of life at."""
    return lambda path: [sys.executable, "-c", code, str(path), str(path.parent.parent.parent / "alive")]


def writing(content: str) -> Command:
    return program(f"import sys; open(sys.argv[1], 'w').write({content!r})")


def models(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*.blend*")}


def test_what_is_there_stays_and_the_same_again_is_a_new_version(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    names = []
    for content in ("first", "second", "third"):
        path = library.write(folder, "Vase.blend", writing(content))
        assert path and path.read_text() == content
        names.append(path.name)
    assert names == ["Vase.blend", "Vase 2.blend", "Vase 3.blend"]
    (folder / "Vase 2.blend").unlink()
    library.write(folder, "Vase.blend", writing("fourth"))
    assert models(folder) == {"Vase.blend": "first", "Vase 2.blend": "fourth", "Vase 3.blend": "third"}
    assert CATALOG_ID in (folder / "blender_assets.cats.txt").read_text()
    assert not list(folder.glob(".rodin-*"))


def test_who_writes_at_the_same_time_gets_another_name(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=library.write, args=(tmp_path, "Vase.blend", writing(str(number)))) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = models(tmp_path)
    assert len(found) == 6 and sorted(found.values()) == list("012345")


ERROR = json.dumps({"schema": 1, "event": "error", "text": "'Vase' was not imported: it is broken.", "exit": 2})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (f"print('noise'); print({ERROR!r}); print('more'); raise SystemExit(2)", "'Vase' was not imported: it is broken."),
        ("raise SystemExit(3)", r"without a word \(exit code 3\)"),
        ("print('[1]'); import os; os.kill(os.getpid(), 9)", r"without a word \(exit code -9\)"),
        ("pass", r"without a word \(exit code 0\)"),
    ],
)
def test_what_fails_is_told_and_leaves_nothing(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "Vase.blend").write_text("first")
    with pytest.raises(BadInput, match=said):
        library.write(tmp_path, "Vase.blend", program(code))
    assert models(tmp_path) == {"Vase.blend": "first"} and len(list(tmp_path.iterdir())) == 1


def test_a_program_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be started: No such file or directory"):
        library.write(tmp_path, "Vase.blend", lambda path: [str(tmp_path / "no"), str(path)])
    assert not list(tmp_path.iterdir())


HANGING = program(
    "import sys, time, pathlib\nopen(sys.argv[1], 'w').write('half')\n"
    "while True:\n pathlib.Path(sys.argv[2]).touch()\n time.sleep(0.05)"
)


def test_cancelled_the_program_ends_and_the_library_is_as_it_was(tmp_path: Path) -> None:
    stopped, folder = threading.Event(), tmp_path / "library"
    threading.Timer(0.5, stopped.set).start()
    began = time.monotonic()
    assert library.write(folder, "Vase.blend", HANGING, stopped.is_set) is None
    assert time.monotonic() - began < 5.0 and not list(folder.iterdir())
    (tmp_path / "alive").unlink()
    time.sleep(0.3)
    assert not (tmp_path / "alive").exists(), "it writes on"


KILLED = """
import sys
from pathlib import Path
from rodin_blender.storage import library
library.write(Path(sys.argv[1]), "Vase.blend", lambda path: [
    sys.executable, "-c",
    "import os, sys, time\\nopen(sys.argv[2], 'w').write(str(os.getpid()))\\ntime.sleep(60)",
    str(path), sys.argv[2],
])
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_what_a_killed_blender_left_is_removed_and_never_what_one_is_at_work_on(tmp_path: Path) -> None:
    folder, pids = tmp_path / "library", [tmp_path / "first", tmp_path / "second"]
    blenders = [subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(pid)], cwd=ROOT) for pid in pids]
    try:
        wait_until(lambda: all(pid.exists() and pid.read_text() for pid in pids))
        left = list(folder.glob(".rodin-*"))
        assert len(left) == 2
        blenders[0].kill()
        blenders[0].wait()
        day_before = time.time() - library.LEFT_AFTER - 60.0
        os.utime(left[0], (day_before, day_before))
        assert library.write(folder, "Vase.blend", writing("mine"))
        assert list(folder.glob(".rodin-*")) == left[1:], "another one may be at work"
        assert len(models(folder)) == 1
    finally:
        for blender in blenders:
            blender.kill()
            blender.wait()
        for pid in pids:
            with suppress(OSError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    with pytest.raises(BadInput, match=r"did not end within 0\.5 s"):
        library.write(folder, "Vase.blend", HANGING, longest=0.5)
    assert not list(folder.iterdir())
