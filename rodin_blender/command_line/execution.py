# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of --exec: run once for each result, which it gets as JSON on its standard input."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from ..service.errors import BadInput, os_reason


class Execution:
    """Runs the command in a thread of its own, one result after the other, so that nothing else waits for it."""

    def __init__(self, command: str) -> None:
        """Raises BadInput for what names no program."""
        try:
            words = shlex.split(command, posix=os.name != "nt")
        except ValueError:
            raise BadInput("The command of --exec has a quotation mark that is not closed.") from None
        # Backslashes are of paths on Windows, and quotation marks stay there.
        self._words = [word.strip('"') for word in words] if os.name == "nt" else words
        if not words or not shutil.which(self._words[0]):
            raise BadInput("The command of --exec names no program that is found: give its whole path.")
        self.digest = hashlib.sha256(command.encode()).hexdigest()[:12]
        """What tells this command from others, in a file."""
        self._thread = ThreadPoolExecutor(1, "rodin-exec")
        self._started: list[tuple[dict[str, Any], Future[str]]] = []
        self._running: subprocess.Popen[bytes] | None = None
        self.is_wanted: Callable[[dict[str, Any]], bool] = lambda _: True
        self.done: Callable[[dict[str, Any]], None] = lambda _: None
        """Called in that thread with each result for which it went well."""

    def begin(self, result: dict[str, Any]) -> None:
        """Have it run for a result, where that is wanted. Returns at once."""
        if self.is_wanted(result):
            self._started.append((result, self._thread.submit(self._run, result)))

    def _run(self, result: dict[str, Any]) -> str:
        """Why it failed, "" where it did not."""
        try:
            # What it prints is for people: standard output has our own results only.
            with subprocess.Popen(self._words, stdin=subprocess.PIPE, stdout=2) as self._running:
                self._running.communicate(json.dumps(result).encode() + b"\n")
                code = self._running.returncode
        except OSError as error:
            return f"it cannot be started: {os_reason(error)}"
        if code == 0:
            self.done(result)
        return f"exit code {code}" if code else ""

    def wait(self) -> None:
        """Until it has run for all results so far."""
        wait([future for _, future in self._started])

    def end(self) -> list[tuple[dict[str, Any], str]]:
        """Wait for all. Returns those for which it failed, and why."""
        try:
            ended = [(result, future.result()) for result, future in self._started if not future.cancelled()]
        finally:
            self.cancel()
        failed = ((result, why) for result, why in ended if why)
        return [(result, f"The command of --exec failed for '{result['name']}': {why}.") for result, why in failed]

    def cancel(self) -> None:
        """Run it for no further result, and end the one that runs."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._running and self._running.poll() is None:
            self._running.terminate()
