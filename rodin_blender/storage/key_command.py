# SPDX-License-Identifier: GPL-3.0-or-later
"""The API key from a command of the user's, such as a password manager's. What it prints is kept in memory only."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, cast

from ..service import keys
from ..service.errors import BadInput
from ..service.keys import LONGEST_KEY, Secret
from ..texts.text import Text
from . import processes

LONGEST_RUN = 60.0
"""Seconds: a password manager may first ask its user to unlock it."""
_LAST_LINES = 1.0
"""Seconds for reading the rest of what an ended command printed."""


def ask(command: str, stopped: Callable[[], bool] = lambda: False, longest: float = LONGEST_RUN) -> Secret:
    """Run the command without a shell; the first line of its output is the API key. For a worker: it waits.

    Raises BadInput with what went wrong. Nothing of the command or of its output is in that, since either may hold a
    key. `stopped` tells when nobody wants the answer any more; the program's end does, too.
    """
    try:
        # Windows has no common rule for splitting a command line, so a program gets the whole line there.
        words = command if os.name == "nt" else shlex.split(command)
    except ValueError:
        raise BadInput("The API key command has a quotation mark that is not closed.") from None
    process = _started(words)
    lines = _Lines(cast("IO[bytes]", process.stdout))
    code = processes.wait(process, longest, stopped)
    # What it printed lies in the pipe. The pipe's end may never come: a program that it left behind may hold it open.
    lines.join(_LAST_LINES)
    if code is None:
        text = "The API key command did not end within {longest} s. Try it in a terminal."
        raise BadInput(Text(text, longest=longest))
    if code:
        raise BadInput(Text("The API key command failed (exit code {code}). Try it in a terminal.", code=code))
    try:
        key = keys.api_key(lines.first.decode("ascii", "replace"))
    except BadInput:
        raise BadInput("The first line that the API key command printed is no API key.") from None
    if not key:
        raise BadInput("The API key command printed no API key in its first line.")
    return key


def _started(words: str | list[str]) -> subprocess.Popen[bytes]:
    try:
        return processes.start(words)
    except (OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it names no program"
        text = "The API key command cannot be started: {reason}. Give the program's whole path."
        raise BadInput(Text(text, reason=reason)) from None


class _Lines(threading.Thread):
    """Reads all that a process prints, so that none waits for a reader, and keeps the first line."""

    def __init__(self, output: IO[bytes]) -> None:
        # A daemon, since the program's end must not wait for what the command left behind.
        super().__init__(name="rodin-key-command", daemon=True)
        self._output = output
        self.first = b""
        self.start()

    def run(self) -> None:
        with self._output as output, suppress(OSError, ValueError):
            self.first = output.readline(LONGEST_KEY + 3)
            while output.read(65536):
                pass
