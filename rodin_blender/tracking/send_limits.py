# SPDX-License-Identifier: GPL-3.0-or-later
"""When a generation may be sent, and sent again where the service did not take it.

The minute's requests and the user's limit of generations at a time hold for all programs that use the list. For the
tracker's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..storage.store import LimitReached
from ..tasks import transitions
from ..tasks.refusals import Refusal
from ..tasks.task import Status, Task
from ..texts.actions import Action
from ..texts.text import Text, Trouble
from .messages import Settings
from .task_cache import TaskCache

RETRY_INTERVAL = 3.0
"""Seconds between two looks whether there is room."""
NOTE_LASTS = 60.0
"""Seconds ahead at which it is noted that a task is tried again, so that the list is not written at each look."""

FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds until what surely was not sent is tried again: doubled each time."""
PARALLEL_WAIT, LONGEST_PARALLEL_WAIT = 15.0, 60.0
"""The same where as many tasks run as the account's plan allows: each try sends all pictures."""
RETRY_FOR = 3600.0
"""Seconds after which what cannot be sent waits for the user: a model that comes next morning surprises."""


def retry_delay(task: Task, refusal: Refusal, asked_wait: float | None, now: float) -> float | None:
    """Seconds until a task that was refused for now is sent again; None where it is to wait for the user.

    `asked_wait` is how long the service asks us to wait, None where it does not.
    """
    parallel = refusal.trouble.code == "parallelism_limit_reached"
    if not parallel and now > task.tracked_at + RETRY_FOR:
        return None
    first, longest = (PARALLEL_WAIT, LONGEST_PARALLEL_WAIT) if parallel else (FIRST_WAIT, LONGEST_WAIT)
    return max(asked_wait or 0.0, min(first * 2.0 ** min(task.failures, 10), longest))


class SendLimits:
    """Lets a generation be sent while the limits of requests and of generations at a time allow it."""

    def __init__(self, cache: TaskCache, settings: Callable[[], Settings]) -> None:
        self._cache = cache
        self._settings = settings

    def wait_for_turn(self, task_id: str) -> float:
        """Returns 0.0 where a task may be sent now, or after how many seconds to try again. Raises StoreError."""
        now = time.time()
        limit = self._settings().parallel_generations
        if limit and self._cache.store.under_way() >= limit:
            return self._wait_for_room(task_id, limit, now)
        return max(self._cache.store.reserve_request(now) - now, 0.0)

    def try_begin(self, task_id: str) -> float:
        """Note a task as being sent.

        Returns 0.0, or after how many seconds to try again where another Blender was quicker. Raises StoreError.
        """
        limit = self._settings().parallel_generations
        try:
            self._cache.change(task_id, transitions.sending(), max_under_way=limit)
        except LimitReached:
            return self._wait_for_room(task_id, limit, time.time())
        return 0.0

    def _wait_for_room(self, task_id: str, limit: int, now: float) -> float:
        text = Text("As many generations are under way as the settings allow ({limit}).", limit=limit)
        trouble = Trouble("parallel_generations", text, Action.WAIT_FOR_TASK)

        def with_note(task: Task) -> Task:
            has_note = task.trouble == trouble and task.next_check_at > now + NOTE_LASTS / 2
            if has_note or task.status is not Status.UNSENT:
                return task
            return replace(task, trouble=trouble, next_check_at=now + NOTE_LASTS)

        self._cache.change(task_id, with_note)
        return RETRY_INTERVAL
