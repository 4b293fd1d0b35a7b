# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs, started without a shell or a console, waited for by a worker, ended with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

_LOOK = 0.05
"""Seconds between two looks whether it has ended."""


def start(words: str | list[str], output: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start a program that reads nothing and whose errors nobody reads. Raises OSError, ValueError, IndexError."""
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,
        # A group of its own, so that it can be ended with all that it started; and on Windows no console opens.
        start_new_session=os.name != "nt",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def wait(process: subprocess.Popen[bytes], longest: float, stopped: Callable[[], bool]) -> int | None:
    """Until it has ended; returns its exit code. For a worker.

    It is ended, and None returned, after `longest` seconds, when `stopped` tells so, and with this program's end.
    """
    end = time.monotonic() + longest
    while process.poll() is None and time.monotonic() < end and threading.main_thread().is_alive() and not stopped():
        time.sleep(_LOOK)
    code = process.poll()
    if code is None:
        _end(process)
    return code


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
