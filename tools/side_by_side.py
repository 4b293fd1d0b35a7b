"""Runs jobs side by side as far as the machine has room, each program in a session of its own that is ended whole.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Sized(Protocol):
    @property
    def slots(self) -> int:
        """How much room the job takes."""
        ...


Job = TypeVar("Job", bound=Sized)


def run_all(jobs: Iterable[Job], slots: int, run: Callable[[Job], None]) -> None:
    """Run each job in a thread of its own, in their order, as soon as it fits; one larger than all slots runs alone.

    An exception of a job, or a KeyboardInterrupt of the main thread, ends the sessions of all.
    """
    waiting = [*jobs]
    running: dict[Future[None], Job] = {}
    try:
        with ThreadPoolExecutor(max(len(waiting), 1)) as pool:
            try:
                while waiting or running:
                    while waiting:
                        taken = sum(job.slots for job in running.values())
                        if running and taken + waiting[0].slots > slots:
                            break
                        job = waiting.pop(0)
                        running[pool.submit(run, job)] = job
                    for ended in wait(running, return_when=FIRST_COMPLETED).done:
                        del running[ended]
                        ended.result()
            finally:
                _sessions.end_all()
    finally:
        _sessions.open()


@dataclass(frozen=True)
class Ended:
    code: int
    processor_seconds: float
    """Of the program and of all that it waited for."""


def run_session(
    command: list[str], environment: dict[str, str], folder: Path, longest: float, show: Callable[[str], None]
) -> Ended:
    """Run a program for at most `longest` seconds and give each line it prints to `show`."""
    process = _sessions.begin(command, environment, folder)
    ended: list[Ended] = []

    def end_the_others() -> None:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.append(Ended(process.returncode, used.ru_utime + used.ru_stime))
        # What the program has left behind may hold the pipe open.
        _sessions.end(process.pid)

    waiter = threading.Thread(target=end_the_others)
    waiter.start()
    # A process, not a thread: the session ends in time even where this program is killed meanwhile.
    watchdog = subprocess.Popen(
        [sys.executable, "-c", f"import os,time;time.sleep({longest});os.killpg({process.pid},9)"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout
        for line in process.stdout:
            show(line)
    finally:
        watchdog.kill()
        watchdog.wait()
        _sessions.end(process.pid)
        waiter.join()
    return ended[0]


class _Sessions:
    """All that run now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._closed = False

    def begin(self, command: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
        with self._lock:
            if self._closed:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                command, cwd=folder, env=environment, text=True, errors="replace", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self._running.add(process.pid)
        return process

    def end(self, session: int) -> None:
        with self._lock:
            self._running.discard(session)
            _kill(session)

    def end_all(self) -> None:
        """No other begins from here on, until `open` is called."""
        with self._lock:
            self._closed = True
            for session in self._running:
                _kill(session)

    def open(self) -> None:
        with self._lock:
            self._closed = False


def _kill(session: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


_sessions = _Sessions()
