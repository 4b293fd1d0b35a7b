# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user is told: in the panel until it is dismissed, once in the status bar, and kept for *Messages*."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from ..service.keys import printable
from ..tasks.task import Status, Task
from ..texts.wording import listed

NOTICE_LASTS = 600.0
"""Seconds after which the panel no longer shows a notice that nobody dismissed."""
MAX_ENTRIES = 50
MAX_NAMES = 2
LONGEST_LINE = 140
"""Characters that the status bar surely shows."""


class NewsEntry(NamedTuple):
    at: float
    text: str


class News:
    def __init__(self) -> None:
        self.entries: deque[NewsEntry] = deque(maxlen=MAX_ENTRIES)
        """The last messages, the oldest first."""
        self.announcing = False
        """Whether a line for the status bar waits to be seen."""
        self._notice: NewsEntry | None = None
        self._waiting: list[str] = []
        self._ended: list[Task] = []

    def __bool__(self) -> bool:
        """Whether the status bar has something to tell."""
        return bool(self._waiting or self._ended)

    @property
    def notice(self) -> str:
        """What the panel shows, until it is dismissed or old."""
        return self._notice.text if self._notice and time.time() < self._notice.at + NOTICE_LASTS else ""

    def show(self, text: str) -> None:
        """Tell something that stays in the panel until it is dismissed."""
        self._notice = NewsEntry(time.time(), text)
        self.tell(text)

    def dismiss(self) -> None:
        self._notice = None

    def tell(self, text: str) -> None:
        self._keep(text)
        self._waiting.append(text)

    def tell_ended(self, task: Task) -> None:
        """Tell of a task that has become final: in one line with all others that have until it is shown."""
        self._keep(_ended_text([task]))
        self._ended.append(task)

    def line(self) -> str:
        """All that waits, in one line that the status bar shows whole."""
        texts = [*self._waiting, *([_ended_text(self._ended)] if self._ended else [])]
        whole = " · ".join(texts)
        if len(whole) > LONGEST_LINE and len(texts) > 1:
            whole = f"{len(texts)} messages, see Messages in the sidebar"
        return f"Rodin: {whole}"

    def clear_pending(self) -> None:
        self._waiting.clear()
        self._ended.clear()

    def _keep(self, text: str) -> None:
        self.entries.append(NewsEntry(time.time(), text))


def _ended_text(tasks: list[Task]) -> str:
    """One line for tasks that have become final."""
    if len(tasks) == 1:
        return _one_ended(tasks[0])
    counts = []
    for status, words in (
        (Status.DONE, "done, ready to download"),
        (Status.PARTLY_FAILED, "failed in part"),
        (Status.FAILED, "failed"),
    ):
        names = [f"'{printable(task.name, 20)}'" for task in tasks if task.status is status]
        if names:
            count = f"{len(names)} tasks are" if len(names) > 1 and status is Status.DONE else str(len(names))
            counts.append(f"{count} {words} ({listed(names, MAX_NAMES)})")
    return "; ".join(counts)


def _one_ended(task: Task) -> str:
    """One line for the status bar when a task has become final."""
    of = f"{task.jobs_done} of {len(task.jobs)} jobs"
    match task.status:
        case Status.DONE:
            return f"'{task.name}' is done, ready to download"
        case Status.PARTLY_FAILED:
            return f"'{task.name}' failed in part ({of} done); the download can be tried"
        case _:
            return f"'{task.name}' failed; start it again at Hyper3D, or ask their support"
