# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that may wait for the disk, but for the tracker's: in a thread of its own, its outcome handed to the timer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

import bpy

T = TypeVar("T")


class Threads:
    def __init__(self) -> None:
        self._under_way: set[threading.Thread] = set()
        self._done: SimpleQueue[tuple[threading.Thread, Callable[[], None]]] = SimpleQueue()

    def run(self, work: Callable[[], T], then: Callable[[T], None], *, only_reads: bool = False) -> None:
        """Do `work`, then hand what it returns to `then` on the main thread. `run_callbacks` raises what it raised.

        The program's end waits for work that writes, so that its file is complete, and not for what `only_reads`: a
        share that does not answer would hold it up forever, as it still does where Blender is a Python module.
        """

        def do() -> None:
            try:
                ended = partial(then, work())
            except BaseException as error:
                ended = partial(_raise, error)
            self._done.put((thread, ended))

        # As a Python module, Blender 4.2 crashes and 4.5 hangs at its end while any daemon thread is alive.
        daemon = only_reads and bool(bpy.app.binary_path)
        thread = threading.Thread(target=do, name="rodin-disk", daemon=daemon)
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
