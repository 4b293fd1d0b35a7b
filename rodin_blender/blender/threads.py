# SPDX-License-Identifier: GPL-3.0-or-later
"""Small work for the disk that is no task's: done in a thread of its own, its outcome taken in by the timer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Threads:
    def __init__(self) -> None:
        self._under_way: set[threading.Thread] = set()
        self._done: SimpleQueue[tuple[threading.Thread, Callable[[], None]]] = SimpleQueue()

    def run(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do `work`, then hand what it returns to `then` on the main thread. `run_callbacks` raises what it raised."""

        def do() -> None:
            try:
                ended = partial(then, work())
            except BaseException as error:
                ended = partial(_raise, error)
            self._done.put((thread, ended))

        # The thread is no daemon, so that the file it writes is complete when the program ends.
        thread = threading.Thread(target=do, name="rodin-disk")
        self._under_way.add(thread)
        thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is under way, or has ended and was not taken in."""
        return bool(self._under_way)

    def run_callbacks(self) -> None:
        """For the timer: hand out what has ended."""
        while not self._done.empty():
            thread, ended = self._done.get_nowait()
            self._under_way.discard(thread)
            ended()


def _raise(error: BaseException) -> None:
    raise error
