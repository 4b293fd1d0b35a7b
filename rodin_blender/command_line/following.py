# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracker whose messages a command takes in by a loop, as Blender's timer does where there is a window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty
from types import TracebackType

from ..service.errors import BadInput, RodinError
from ..tracking.messages import Message, Notice, Obstacle, ObstacleChanged, TaskChanged, TaskRemoved
from ..tracking.store import Store
from ..tracking.tasks import Task
from ..tracking.tracker import Tracker
from .host import Host
from .output import Exit, Output, task_line

LAST_WORDS = 5.0
"""Seconds that a command waits for its tracker to store what it knows."""


class Ended(RodinError):
    """The command ends here, with this exit code; the sentence says why."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code


def check(obstacle: Obstacle | None) -> None:
    """Raises Ended for what keeps all tasks from being asked about."""
    if obstacle:
        codes = {"offline": Exit.OFFLINE, "store": Exit.TROUBLE}
        raise Ended(codes.get(obstacle.kind, Exit.USAGE), obstacle.text)


def chosen(tasks: list[Task], word: str) -> Task | None:
    """The task with this id or name, None if there is none. Raises BadInput for a name that several have."""
    found = [task for task in tasks if task.task_id == word] or [task for task in tasks if task.name == word]
    if len(found) > 1:
        ids = ", ".join(task.task_id for task in found)
        raise BadInput(f"Several tasks are called '{word}'; give one of their ids: {ids}.")
    return found[0] if found else None


def listed(store: Store, words: list[str]) -> list[Task]:
    """The tasks with these ids or names, none twice. Raises BadInput for a word that is neither, StoreError."""
    tasks = store.tasks()
    found: dict[str, Task] = {}
    for word in words:
        task = chosen(tasks, word)
        if task is None:
            raise BadInput(f"There is no task '{word}' in the list at {store.path}; `list` prints what there is.")
        found[task.task_id] = task
    return list(found.values())


class Follower:
    """Follows the list until its block ends. `tasks` holds what is known, by id."""

    def __init__(self, host: Host, output: Output, path: Path | None = None, deadline: float | None = None) -> None:
        """`path` is another list than the user's, `deadline` another longest time (seconds) than is set.

        Raises Ended where nothing can be asked.
        """
        settings = host.settings
        check(settings.obstacle)
        if deadline is not None:
            settings = replace(settings, pace=replace(settings.pace, deadline=deadline))
        self.tasks: dict[str, Task] = {}
        self.tracker = Tracker(path or host.list_path, settings)
        self._output = output

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tracker.stop()
        self.tracker.join(LAST_WORDS)

    def messages(self, until: float) -> Iterator[Message]:
        """What the tracker tells, up to `until` (monotonic seconds); `tasks` is up to date with it.

        Raises Ended where nothing can be asked any more.
        """
        while True:
            try:
                message = self.tracker.messages.get(timeout=min(max(until - time.monotonic(), 0.0), 1.0))
            except Empty:
                if time.monotonic() >= until:
                    return
                continue
            match message:
                case TaskChanged(task):
                    self.tasks[task.task_id] = task
                case TaskRemoved(task_id):
                    self.tasks.pop(task_id, None)
                case ObstacleChanged(obstacle):
                    check(obstacle)
                case Notice(text):
                    self.live(text)
            yield message

    def live(self, text: str) -> None:
        self._output.live(text, time.time())

    def live_task(self, task: Task) -> None:
        self.live(task_line(task))
