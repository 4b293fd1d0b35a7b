# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tasks a list shows, and in which order."""

from __future__ import annotations

import enum
import re
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass

from .task import Download, Status, Task, Watch


class Group(enum.StrEnum):
    """What a list is filtered and sorted by: what the user can do about a task next, the most urgent first."""

    ATTENTION = "ATTENTION"
    """It goes on only when the user says so."""
    DONE = "DONE"
    """The service has its files, and not all of them are here."""
    RUNNING = "RUNNING"
    DOWNLOADED = "DOWNLOADED"
    FAILED = "FAILED"


class Sort(enum.StrEnum):
    NEWEST = "NEWEST"
    NAME = "NAME"
    STATE = "STATE"


_RANKS = {group: rank for rank, group in enumerate(Group)}


def group_of(task: Task) -> Group:
    if task.download is Download.SAVED:
        return Group.DOWNLOADED
    if task.status.has_files:
        return Group.DONE
    if task.status in (Status.FAILED, Status.REJECTED):
        return Group.FAILED
    if task.status is Status.UNCERTAIN or task.watch in (Watch.OVERDUE, Watch.REFUSED):
        return Group.ATTENTION
    return Group.RUNNING


@dataclass(frozen=True)
class Arrangement:
    """How a list is filtered and sorted."""

    search: str = ""
    """Words, each of which stands in a task's name or prompt."""
    groups: frozenset[Group] = frozenset()
    """Those that are shown; all when empty."""
    sort: Sort = Sort.NEWEST

    @property
    def filters(self) -> bool:
        return bool(self.groups or self.search.strip())

    def shows(self, task: Task) -> bool:
        if self.groups and group_of(task) not in self.groups:
            return False
        text = f"{task.name}\n{task.prompt}".casefold() if self.search else ""
        return all(word in text for word in self.search.casefold().split())

    def key(self, task: Task) -> _Key:
        """What tasks are sorted by. No two tasks have the same."""
        first: tuple[float | str, ...] = ()
        if self.sort is Sort.NAME:
            first = _natural(task.name)
        elif self.sort is Sort.STATE:
            first = (_RANKS[group_of(task)],)
        return first, -task.tracked_at, task.task_id


_Key = tuple[tuple[float | str, ...], float, str]


def _natural(name: str) -> tuple[float | str, ...]:
    """A name so that "Task 2" comes before "Task 10": texts and numbers in turns, a text first."""
    parts = re.split(r"(\d{1,15})", name.casefold())
    return tuple(float(part) if number % 2 else part for number, part in enumerate(parts))


class Listing:
    """The ids of the tasks that are shown, in their order.

    A change of one task costs no more than to find its place, however many there are: the list is drawn often.
    """

    def __init__(self) -> None:
        self.arrangement = Arrangement()
        self._keys: dict[str, _Key] = {}
        self._sorted: list[_Key] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def __getitem__(self, row: int) -> str:
        return self._sorted[row][-1]

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._keys

    def row(self, task_id: str) -> int | None:
        """Where a task stands; None where it is not shown."""
        key = self._keys.get(task_id)
        return None if key is None else bisect_left(self._sorted, key)

    def update(self, task_id: str, task: Task | None) -> None:
        """Take in what a task is now; None where it is gone."""
        before = self._keys.pop(task_id, None)
        if before is not None:
            del self._sorted[bisect_left(self._sorted, before)]
        if task is not None and self.arrangement.shows(task):
            self._keys[task_id] = key = self.arrangement.key(task)
            insort(self._sorted, key)

    def arrange(self, arrangement: Arrangement, tasks: Iterable[Task]) -> None:
        """Show these tasks, and no others, in another way."""
        self.arrangement = arrangement
        self._keys = {task.task_id: arrangement.key(task) for task in tasks if arrangement.shows(task)}
        self._sorted = sorted(self._keys.values())
