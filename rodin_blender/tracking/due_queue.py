# SPDX-License-Identifier: GPL-3.0-or-later
"""When the next of many tasks is due, without looking at each of them at each turn."""

from __future__ import annotations

import heapq

from ..tasks.schedule import CLOCK_SLACK
from ..tasks.task import Task


class DueQueue:
    """The followed tasks by the time of their next check. A turn costs as much as has changed since the last one."""

    def __init__(self) -> None:
        self._next_check: dict[str, float] = {}
        """By task id. The heap may hold outdated entries, too, which are dropped when they reach its top."""
        self._heap: list[tuple[float, str]] = []
        self._latest = 0.0
        """The latest time at which a task was started or checked, to notice that the clock was set back."""

    def __bool__(self) -> bool:
        return bool(self._next_check)

    def put(self, task: Task) -> None:
        """Add a task or update it; one that is not followed is removed."""
        if not task.followed:
            self.drop(task.task_id)
            return
        self._latest = max(self._latest, task.checked_at or task.tracked_at)
        if self._next_check.get(task.task_id) != task.next_check_at:
            self._next_check[task.task_id] = task.next_check_at
            heapq.heappush(self._heap, (task.next_check_at, task.task_id))

    def drop(self, task_id: str) -> None:
        self._next_check.pop(task_id, None)

    @property
    def soonest(self) -> float | None:
        """When the first is due; None for no tasks."""
        while self._heap and self._next_check.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def may_be_due(self, now: float) -> bool:
        """False where `schedule.is_due` is false of each task."""
        # The second condition is true after the clock was set back; the store then checks each task.
        return self.soonest is not None and (self.soonest <= now or now < self._latest - CLOCK_SLACK)
