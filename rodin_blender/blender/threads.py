# SPDX-License-Identifier: GPL-3.0-or-later
"""Small work for the disk that is no task's: done in a thread of its own, its outcome taken in by the timer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

_under_way: set[threading.Thread] = set()
_done: SimpleQueue[tuple[threading.Thread, Callable[[], None]]] = SimpleQueue()


def run(work: Callable[[], T], then: Callable[[T], None]) -> None:
    """Do `work`, which must not raise, then hand what it returns to `then` on the main thread."""

    def do() -> None:
        outcome = work()
        _done.put((thread, lambda: then(outcome)))

    # No daemon: what it writes is to be whole when the program ends.
    thread = threading.Thread(target=do, name="rodin-disk")
    _under_way.add(thread)
    thread.start()


def take_in() -> bool:
    """For the timer: hand out what has ended. Returns whether something is under way still."""
    while not _done.empty():
        thread, then = _done.get_nowait()
        _under_way.discard(thread)
        then()
    return bool(_under_way)
