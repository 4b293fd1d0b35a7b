# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user is told: in the panel until it is dismissed, once in the status bar, and kept for *Messages*."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from ...service.keys import printable
from ...tasks.task import Status, Task
from ...texts.phrases import listed, quoted
from ...texts.text import Text, Trouble
from ..voice import say

NOTICE_LASTS = 600.0
"""Seconds after which the panel no longer shows a notice that nobody dismissed."""
MAX_ENTRIES = 50
MAX_NAMES = 2
LONGEST_LINE = 140
"""Characters that the status bar surely shows."""


class NewsEntry(NamedTuple):
    at: float
    said: Text | Trouble | str

    @property
    def text(self) -> str:
        """In Blender's language, as that is now."""
        return say(self.said)


class News:
    def __init__(self) -> None:
        self.entries: deque[NewsEntry] = deque(maxlen=MAX_ENTRIES)
        """The last messages, the oldest first."""
        self.announcing = False
        """Whether a line for the status bar waits to be seen."""
        self._notice: NewsEntry | None = None
        self._waiting: list[Text | Trouble | str] = []
        self._ended: list[Task] = []

    def __bool__(self) -> bool:
        """Whether the status bar has something to tell."""
        return bool(self._waiting or self._ended)

    @property
    def notice(self) -> str:
        """What the panel shows, until it is dismissed or old."""
        return self._notice.text if self._notice and time.time() < self._notice.at + NOTICE_LASTS else ""

    def show(self, said: Text | Trouble) -> None:
        """Tell something that stays in the panel until it is dismissed."""
        self._notice = NewsEntry(time.time(), said)
        self.tell(said)

    def dismiss(self) -> None:
        self._notice = None

    def tell(self, said: Text | Trouble | str) -> None:
        self._keep(said)
        self._waiting.append(said)

    def tell_ended(self, task: Task) -> None:
        """Tell of a task that has become final: in one line with all others that have until it is shown."""
        self._keep(_ended_text([task]))
        self._ended.append(task)

    def line(self) -> str:
        """All that waits, in one line that the status bar shows whole."""
        texts = [*map(say, self._waiting), *([say(_ended_text(self._ended))] if self._ended else [])]
        whole = " · ".join(texts)
        if len(whole) > LONGEST_LINE and len(texts) > 1:
            whole = say(Text("{count} messages, see Messages in the sidebar", count=len(texts)))
        return f"Rodin: {whole}"

    def clear_pending(self) -> None:
        self._waiting.clear()
        self._ended.clear()

    def _keep(self, said: Text | Trouble | str) -> None:
        self.entries.append(NewsEntry(time.time(), said))


def _ended_text(tasks: list[Task]) -> Text:
    """One line for tasks that have become final."""
    if len(tasks) == 1:
        return _one_ended(tasks[0])
    parts = []
    for status in (Status.DONE, Status.PARTLY_FAILED, Status.FAILED):
        names = [printable(task.name, 20) for task in tasks if task.status is status]
        if names:
            parts.append(_several_ended(status, len(names), quoted(names, MAX_NAMES)))
    return listed(parts, len(parts), "; ")


def _several_ended(status: Status, count: int, names: Text) -> Text:
    match status:
        case Status.DONE if count == 1:
            return Text("1 done, ready to download ({names})", names=names)
        case Status.DONE:
            return Text("{count} tasks are done, ready to download ({names})", count=count, names=names)
        case Status.PARTLY_FAILED:
            return Text("{count} failed in part ({names})", count=count, names=names)
        case _:
            return Text("{count} failed ({names})", count=count, names=names)


def _one_ended(task: Task) -> Text:
    """One line for the status bar when a task has become final."""
    match task.status:
        case Status.DONE:
            return Text("'{name}' is done, ready to download", name=task.name)
        case Status.PARTLY_FAILED:
            text = "'{name}' failed in part ({done} of {total} jobs done); the download can be tried"
            return Text(text, name=task.name, done=task.jobs_done, total=len(task.jobs))
        case _:
            if task.kind:
                return Text("'{name}' failed; Retry puts it back into the form", name=task.name)
            return Text("'{name}' failed; start it again at Hyper3D, or ask their support", name=task.name)
