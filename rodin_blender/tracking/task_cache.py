# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of the list, as they stand on the disk and as this program knows them. For the tracker's thread alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..storage import store
from ..storage.store import Store
from ..tasks.task import Status, Task
from ..texts.text import Text
from .log import TaskLog
from .messages import Message, Notice, Settings, TaskChanged, TaskRemoved

COPY_SOON = 10.0
"""Seconds between two copies of the list, where a task was accepted since the last one."""
COPY_EVERY = 300.0
"""The same where nothing so dear has happened."""

GONE = Text("It is no longer in the list.")


class TaskCache:
    """The list at `path`. What changes in it, here or by another Blender, is told.

    `on_removed` is called with each task that has left the list. `log` gets what this program has done. Most methods
    raise StoreError.
    """

    def __init__(
        self,
        path: Path,
        known: Iterable[Task],
        tell: Callable[[Message], None],
        on_removed: Callable[[Task], None],
    ) -> None:
        self.by_id = {task.task_id: task for task in known}
        self.lock_deadline = 0.0
        """The time, as `time.monotonic` has it, until which other Blenders are waited for; 0.0 as long as usual."""
        self._requests_per_minute: int | None = None
        self.log = TaskLog()
        self._path = path
        self._tell = tell
        self.on_change: Callable[[Task], None] = lambda _: None
        """Called with each task that is new or not what it was."""
        self._on_removed = on_removed
        self._store: Store | None = None
        self._copied_at = time.monotonic()
        self._copy_wanted = False
        self._moved = False
        self._unread = False
        """Whether others have written what was not read yet, such as since the disk was in the way."""
        self._to_restore: list[str] = []
        """Ids of tasks that were in the list before its file was replaced, and are not yet in the new one."""

    @property
    def store(self) -> Store:
        """The open list."""
        ending = bool(self.lock_deadline)
        left = max(self.lock_deadline - time.monotonic(), 0.0) if ending else store.LOCK_TIMEOUT
        if self._store and ending:
            self._store.set_lock_timeout(left)
        if self._store is None:
            self._store = Store(self._path, left)
            damage = self._store.damage_text()
            if damage:
                self._tell(Notice(damage))
        if self._requests_per_minute:
            self._store.requests_per_minute = self._requests_per_minute
        return self._store

    def configure(self, settings: Settings) -> None:
        self._requests_per_minute = settings.requests_per_minute
        self.log.with_prompts = settings.log_prompts

    def renew_copy(self) -> None:
        """Have the second copy of the list renewed: soon after a task was accepted, else now and then."""
        wait = COPY_SOON if self._copy_wanted else COPY_EVERY
        if self._store and time.monotonic() > self._copied_at + wait:
            self._copied_at, self._copy_wanted = time.monotonic(), False
            self._store.renew_copy()

    def close(self) -> None:
        if self._store:
            if self._copy_wanted and not self._store.moved:
                self._store.renew_copy()
            self._store.close()
            self._store = None

    def reopen_if_moved(self) -> bool:
        """Go on with the file that is now at the path, a new one where there is none. It gets what we know.

        It may be an older copy, or what another Blender could read of the list when that was damaged. Returns whether
        it is another file than before.
        """
        if self._store and self._store.moved:
            self._moved = True
            self._to_restore = [task.task_id for task in sorted(self.by_id.values(), key=lambda t: t.tracked_at)]
            self.close()
        while self._to_restore:
            task = self.by_id.get(self._to_restore[0])
            if task and not self.store.change(task.task_id, partial(_reconciled, known=task)):
                self.store.add(task)
            del self._to_restore[0]
        moved, self._moved = self._moved, False
        return moved

    def load_if_changed(self, newer: Collection[str]) -> bool:
        """Take in what another Blender has written, but for the tasks of these ids, of which more is known here."""
        self._unread |= self.store.changed_by_others()
        if not self._unread:
            return False
        stored = {task.task_id: task for task in self.store.tasks()}
        self._unread = False
        for task_id in self.by_id.keys() - stored.keys():
            self.removed(task_id)
        for task in stored.values():
            if task.task_id not in newer:
                self.changed(task, by_others=True)
        return True

    def changed(self, task: Task, *, by_others: bool = False) -> None:
        """A task is new, or not what it was."""
        before = self.by_id.get(task.task_id)
        if before != task:
            if not by_others:
                self.log.changed(before, task)
            self._copy_wanted |= task.status.submitted and (before is None or not before.status.submitted)
            self.by_id[task.task_id] = task
            self.on_change(task)
            self._tell(TaskChanged(task))

    def remove(self, task_id: str, status: Status | None) -> bool:
        """Take a task off the list, where a status is given only in that one. See `Store.forget`."""
        removed = self.store.forget(task_id, status)
        self.removed(task_id)
        return removed

    def removed(self, task_id: str) -> None:
        """A task has left the list."""
        task = self.by_id.pop(task_id, None)
        if task:
            self._on_removed(task)
            self._tell(TaskRemoved(task_id))

    def add(self, task: Task) -> None:
        self.changed(self.store.add(task))

    def change(self, task_id: str, change: Callable[[Task], Task], *, max_under_way: int = 0) -> None:
        """Apply a pure function to a stored task, whatever another Blender made of it.

        Raises LimitReached, see `Store.change`.
        """
        task = self.store.change(task_id, change, max_under_way=max_under_way)
        if task:
            self.changed(task)
        else:
            self.removed(task_id)

    def with_task(self, task_id: str, method: Callable[[Task], None], otherwise: Message | None = None) -> None:
        """Call the method with a task; where that has left the list, tell the message."""
        task = self.by_id.get(task_id)
        if task:
            method(task)
        elif otherwise:
            self._tell(otherwise)


def _reconciled(stored: Task, known: Task) -> Task:
    """A task as it stands in another file than before, with what we know better."""
    ended = known.status.final and not stored.status.final
    sent = stored.status is Status.UNSENT and known.status in (Status.UNCERTAIN, Status.REJECTED)
    # A task that has a key never loses it: another program may have received the key before we knew of it.
    other_key = bool(known.subscription_key) and stored.subscription_key != known.subscription_key
    if ended or sent or other_key:
        return known
    return replace(stored, task_uuid=stored.task_uuid or known.task_uuid)
