# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a task before the service has accepted it: what may follow on what, applied at one place.

     UNSENT ─► SENDING ─► UNKNOWN     accepted: an ordinary task from here on
        ▲         ├─────► REJECTED    the service said no, nothing was charged
        │         ├─────► UNCERTAIN   it left us and no usable answer came: it may have been charged
        └─────────┘                   it surely did not leave us, or was refused for now

Where a task is removed, that is the user's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..texts.text import Text, Trouble
from .refusals import Refusal
from .schedule import FIRST_CHECK
from .submission import Accepted
from .task import Status, Task

Change = Callable[[Task], Task]

OVERDUE = 30.0
"""Seconds after its time from which on nobody seems to try again what could not be sent."""

_ALLOWED = {
    Status.UNSENT: (Status.SENDING, Status.REJECTED, Status.UNCERTAIN, Status.UNKNOWN),
    Status.SENDING: (Status.UNSENT, Status.REJECTED, Status.UNCERTAIN, Status.UNKNOWN),
    Status.UNCERTAIN: (Status.UNKNOWN, Status.REJECTED, Status.UNSENT),
    Status.REJECTED: (),
}
"""An older copy of the list may know less than the outbox, which is why UNSENT may be followed by any end."""


def _changed_to(task: Task, to: Status, trouble: Trouble | None = None, due: float = 0.0) -> Task:
    """The task in another state; as it is where somebody else has moved it on meanwhile."""
    if to is not task.status and to not in _ALLOWED.get(task.status, ()):
        return task
    return replace(task, status=to, trouble=trouble, next_check_at=due)


def sending() -> Change:
    return partial(_changed_to, to=Status.SENDING)


def waiting(trouble: Trouble, due: float = 0.0) -> Change:
    """Not sent; to be sent again by itself at the time `due`, or when the user says so where that is 0.0."""

    def change(task: Task) -> Task:
        moved = _changed_to(task, Status.UNSENT, trouble, due)
        return replace(moved, failures=moved.failures + 1) if due and moved is not task else moved

    return change


def as_seen(seen: Task, change: Change) -> Change:
    """The change, but for a task whose sender has moved it on since it was looked at."""
    return lambda task: change(task) if task.status is seen.status else task


def left(trouble: Trouble, now: float) -> Change:
    """Not sent, and to be sent when the user says so, unless a program is still to send it by itself."""
    return lambda task: task if will_be_retried(task, now) else waiting(trouble)(task)


def rejected(refusal: Refusal) -> Change:
    why = refusal.trouble
    trouble = Trouble(why.code, Text("{why} Nothing was charged.", why=why.text), *why.actions)
    return partial(_changed_to, to=Status.REJECTED, trouble=trouble)


def uncertain(trouble: Trouble) -> Change:
    return partial(_changed_to, to=Status.UNCERTAIN, trouble=trouble)


def accepted(found: Accepted, now: float) -> Change:
    """From here on it is followed like any other, counted from now on."""

    def change(task: Task) -> Task:
        if task.status.submitted:
            return task
        return replace(
            _changed_to(task, Status.UNKNOWN, due=now + FIRST_CHECK),
            subscription_key=found.subscription_key,
            task_uuid=found.task_uuid,
            credits=found.credits,
            tracked_at=now,
            failures=0,
        )

    return change


def will_be_retried(task: Task, now: float) -> bool:
    """Whether a program is to send it by itself, whichever."""
    return task.status is Status.UNSENT and task.next_check_at > now - OVERDUE


def is_overdue(task: Task, now: float) -> bool:
    """Whether the program that was to send it by itself does not seem to live any more."""
    return task.status is Status.UNSENT and 0.0 < task.next_check_at <= now - OVERDUE
