# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks that were removed from the list, for Undo Forget. They are in memory only."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ...tasks.task import Task
from ...tracking.messages import Followed, Forgotten, Message


class ForgottenTasks:
    def __init__(self) -> None:
        self.groups: list[list[Task]] = []
        """What each Forget removed, the oldest first."""
        self.at = 0.0
        """When the last one was removed, in seconds since the epoch."""
        self._pending: dict[str, list[Task]] = {}
        """The group that a task joins once the tracker has removed it, by task id."""

    def __bool__(self) -> bool:
        return bool(self.groups)

    @property
    def last(self) -> list[Task]:
        """What the last Forget removed; nothing where there is nothing to undo."""
        return self.groups[-1] if self.groups else []

    def pop(self) -> list[Task]:
        """Take out what the last Forget removed, which is put into the list again."""
        return self.groups.pop()

    def group(self, task_ids: Iterable[str]) -> None:
        """Have these, which the tracker is told to forget, come back by one Undo Forget."""
        together: list[Task] = []
        self._pending.update((task_id, together) for task_id in task_ids)

    def handle(self, message: Message, _before: Task | None) -> None:
        match message:
            case Forgotten(task):
                group = self._pending.pop(task.task_id, [])
                if not group:
                    self.groups.append(group)
                group.append(task)
                self.at = time.time()
            case Followed(task):
                # It is in the list again, whoever put it there.
                for group in self.groups:
                    group[:] = [old for old in group if old.subscription_key != task.subscription_key]
                self.groups = [group for group in self.groups if group]
