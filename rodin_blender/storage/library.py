# SPDX-License-Identifier: GPL-3.0-or-later
"""The asset library: a folder of .blend files, each written by a program of its own. For a worker."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from ..service.errors import BadInput, os_reason
from ..texts.text import Text
from . import asset_catalog, processes
from .disk import replace_file

LONGEST_RUN = 600.0
"""Seconds: importing a very large model takes minutes."""
LEFT_AFTER = 24 * 3600.0
"""Seconds after which nobody is at work in a folder any more: many times the longest run, since computers that share a
library do not agree on the time. A lock would not tell: on some shares it is each computer's own."""
_ASIDE = ".rodin-"
"""How the names begin of folders that files are written in."""


def prepare(folder: Path) -> None:
    """Make the folder, with the catalog in its list. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    asset_catalog.add(folder)


def write(
    folder: Path,
    name: str,
    command: Callable[[Path], list[str]],
    stopped: Callable[[], bool] = lambda: False,
    longest: float = LONGEST_RUN,
) -> Path | None:
    """Have a program write a .blend file, and put it into the library under a name that no other file has.

    `command` tells of the path to write what program does it, and prints JSON lines as the command line does. Returns
    the file's path, None where it was stopped. Raises BadInput with the reason, OSError; then the library has no new
    file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_left(folder)
    with _aside(folder) as aside:
        made, told = aside / name, aside / "told.jsonl"
        words = command(made)
        with told.open("wb") as output:
            try:
                process = processes.start(words, output)
            except OSError as error:
                text = "{program} cannot be started: {reason}."
                raise BadInput(Text(text, program=words[0], reason=os_reason(error))) from None
            code = processes.wait(process, longest, stopped)
        if stopped():
            return None
        if code is None:
            text = "Blender did not end within {longest} s, and was stopped."
            raise BadInput(Text(text, longest=longest))
        # A studio's own function that failed afterwards changes its exit code only.
        if not made.is_file():
            reason = _reason(told.read_text(encoding="utf-8", errors="replace"))
            text = "Blender ended without a word (exit code {code}). Is Rodin enabled in the saved preferences?"
            raise BadInput(reason or Text(text, code=code))
        prepare(folder)
        return _place(made, folder)


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder for what is being written, beside its final place, so that it can be renamed. Raises OSError.

    The asset browser passes over what begins with a dot.
    """
    aside = folder / f"{_ASIDE}{secrets.token_hex(8)}"
    aside.mkdir(0o700)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    """Remove what a Blender that was killed has left behind."""
    for left in folder.glob(f"{_ASIDE}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - LEFT_AFTER:
                shutil.rmtree(left, ignore_errors=True)


def _reason(told: str) -> str:
    """The text of the last error among lines of JSON; "" where there is none."""
    for line in reversed(told.splitlines()):
        with suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            if event["event"] == "error":
                return str(event["text"])
    return ""


def _place(made: Path, folder: Path) -> Path:
    """Move a file into a folder: as 'Vase.blend', 'Vase 2.blend', … the first that is free. Raises OSError."""
    for number in count(1):
        path = folder / (made.name if number == 1 else f"{made.stem} {number}{made.suffix}")
        try:
            # Who makes the name has it, on every kind of disk; then it is their own file that is replaced.
            path.open("xb").close()
        except FileExistsError:
            continue
        try:
            replace_file(made, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path
    raise AssertionError("there is always another number")
