# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the list of tasks up to date with the outbox: what others send or have left unsent, what the list has lost.

For the tracker's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import partial

from ..service.errors import trouble_of
from ..service.keys import Secret
from ..storage.database import StoreError
from ..storage.outbox import Outbox, OutboxError, State
from ..tasks import transitions
from ..tasks.kinds import GENERATE
from ..tasks.task import Status, Task
from ..texts.text import Trouble
from . import troubles
from .messages import Message, Notice
from .sending import Outcome, read

SYNC_INTERVAL = 5.0
"""Seconds between two looks whether the program that sends a task still lives."""


class OutboxSync:
    def __init__(
        self,
        outbox: Outbox,
        add: Callable[[Task], None],
        apply: Callable[[str, Callable[[Task], Task]], None],
        apply_outcome: Callable[[str, Outcome], None],
        tell: Callable[[Message], None],
    ) -> None:
        """`add` stores a new task, `apply` a change of one, `apply_outcome` what came of an attempt to send it.

        All three raise StoreError. `tell` sends the owner a message.
        """
        self._outbox = outbox
        self._add = add
        self._apply = apply
        self._apply_outcome = apply_outcome
        self._tell = tell
        self._synced_at = 0.0
        self._all = True
        self._cleaned = False
        self._reported: set[Trouble] = set()

    def look_at_all(self) -> None:
        """Have the next look be at all submissions, such as since the list was replaced by another one."""
        self._synced_at, self._all = 0.0, True

    def run(self, tasks: Mapping[str, Task], ours: Set[str], api_key: Secret) -> None:
        """Have the list say what the outbox says: at the first call of all, then of those that others send.

        `ours` are the ids of those that this program has in hand. A folder that cannot be read holds up nothing else:
        it is told, and looked at again. Raises StoreError.
        """
        now = time.monotonic()
        if self._synced_at and now < self._synced_at + SYNC_INTERVAL:
            return
        everything, found = self._all, set[Trouble]()
        others = (t for t in tasks.values() if t.status is Status.SENDING or transitions.is_overdue(t, time.time()))
        ids = {task.task_id for task in others}
        if everything:
            if not self._cleaned:
                # The folder is cleaned only once, since submissions that are forgotten later can be restored.
                self._outbox.clean()
                self._cleaned = True
            ids |= {task.task_id for task in tasks.values() if not task.status.submitted}
            try:
                ids |= set(self._outbox.ids()) - tasks.keys()
            except OutboxError as error:
                found.add(error.trouble)
        for task_id in sorted(ids - ours):
            try:
                self._sync(task_id, tasks.get(task_id), api_key)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001, whatever it is
                found.add(trouble_of(error))
        # This comes last, so that the sync is repeated after an error of the list.
        # One of ours that has left the list while it is sent is to come back with its answer.
        self._synced_at, self._all = now, everything and bool(found or (ids & ours) - tasks.keys())
        for trouble in sorted(found - self._reported, key=str):
            self._tell(Notice(trouble))
        self._reported |= found

    def _sync(self, task_id: str, task: Task | None, api_key: Secret) -> None:
        """Raises OutboxError, StoreError."""
        state = self._outbox.state(task_id)
        if task is None and state is not State.GONE:
            task = self._recovered(task_id)
            if task:
                self._add(task)
        if task is None:
            return
        open_one = task.status in (Status.UNSENT, Status.SENDING)
        if state is State.ANSWERED:
            outcome = self._answered(task_id, api_key)
            if outcome.refusal and outcome.refusal.retryable:
                self._outbox.last_sending(task_id).unsent()
                state = State.UNSENT
            elif outcome.accepted or open_one:
                self._apply_outcome(task_id, outcome)
        if state is State.GONE and task.status is Status.UNSENT:
            self._apply(task_id, partial(_with_trouble, trouble=troubles.GONE))
        elif state is State.GONE and open_one:
            # Nobody knows whether it was before or after the first byte that the folder was lost.
            self._apply(task_id, transitions.uncertain(troubles.uncertain(Outcome(trouble=troubles.LOST_AND_GONE))))
        elif state is State.UNSENT and open_one:
            # One that is uncertain in the list is left alone: an older copy of the folder knows of no sending.
            self._apply(task_id, transitions.as_seen(task, transitions.left(troubles.NOT_YET, time.time())))
        elif state is State.SENDING:
            self._apply(task_id, transitions.as_seen(task, transitions.sending()))
        elif state is State.UNCERTAIN and task.status is not Status.UNCERTAIN:
            lost = Outcome(trouble=troubles.LOST, before=self._outbox.last_attempt(task_id).balance)
            self._apply(task_id, transitions.uncertain(troubles.uncertain(lost)))

    def _recovered(self, task_id: str) -> Task | None:
        """The task of a submission that the list does not know; None for a copy of another one's folder."""
        try:
            stored = self._outbox.read(task_id)
        except OutboxError as error:
            # What is left of it may be the key of a paid model, and the user is to see it to discard it.
            found = Task(task_id, task_id, Secret(""), status=Status.UNSENT, kind=GENERATE.name)
            return replace(found, trouble=error.trouble, tracked_at=time.time())
        return stored.unsent_task() if stored.request.task_id == task_id else None

    def _answered(self, task_id: str, api_key: Secret) -> Outcome:
        before = self._outbox.last_attempt(task_id).balance
        try:
            return read(self._outbox.answer(task_id), api_key, before)
        except OutboxError as error:
            return Outcome(trouble=error.trouble, before=before)


def _with_trouble(task: Task, trouble: Trouble) -> Task:
    return task if task.status.submitted else replace(task, trouble=trouble)
