# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the service about the tasks that are due, and what its answers make of them. For the tracker's thread."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue

from ..service.answers import Job
from ..service.connection import Connection
from ..service.errors import Aborted, ClientUnavailable, NotAuthorized, Refused, Throttled, trouble_of
from ..storage.database import StoreError
from ..storage.store import Claim
from ..tasks import refusals, schedule
from ..tasks.task import Task
from ..texts.actions import Action
from ..texts.text import Trouble
from .due_queue import DueQueue
from .messages import Blocker, Message, RequestsThrottled, Settings
from .task_cache import TaskCache
from .workers import Pool, WorkItem

WORKERS = 4


class Polling:
    """Who asks about which task when. Most methods raise StoreError."""

    def __init__(
        self,
        inbox: SimpleQueue[Callable[[], None]],
        cache: TaskCache,
        settings: Callable[[], Settings],
        tell: Callable[[Message], None],
    ) -> None:
        self.pool = Pool("rodin-ask", WORKERS, inbox)
        self.due_queue = DueQueue()
        """All followed tasks but those under way."""
        self.client_trouble: Trouble | None = None
        """Why this Python cannot ask at all."""
        self.refused: Blocker | None = None
        """The API key is not accepted."""
        self._accepted_at = 0.0
        """When the present API key last brought an answer, as `time.monotonic` has it."""
        self._cache = cache
        cache.on_change = self.task_changed
        self._settings = settings
        self._tell = tell
        self._durations: dict[str, list[float]] | None = None
        """How long the last tasks took, by kind; None when it is to be looked up again."""
        self._under_way: dict[str, Claim] = {}
        """What our workers ask about now, by task id: not asked again before they answer, though the claim lapses."""
        self._unstored: list[_PollResult] = []
        self._throttled_until = 0.0

    def task_changed(self, task: Task) -> None:
        """A task is new, or not what it was."""
        if task.took:
            self._durations = None
        if task.task_id not in self._under_way:
            self.due_queue.put(task)

    def key_refused(self, trouble: Trouble) -> None:
        """The API key is not accepted, which is known for sure."""
        self.refused = Blocker("bad_key", trouble.text, Action.ENTER_KEY)

    def refresh(self) -> None:
        """Ask again, whatever kept us from it."""
        self.refused = self.client_trouble = None

    @property
    def unstored(self) -> set[str]:
        """The ids of tasks of which more is known here than is stored."""
        return {result.claim.task.task_id for result in self._unstored}

    @property
    def busy(self) -> bool:
        return bool(self.due_queue or self._unstored) or self.pool.busy

    def release_claims(self) -> None:
        """End all claims that were not answered, so that another Blender may ask at once."""
        self._unstored += [_PollResult(claim, _unchanged) for claim in self._under_way.values()]
        self.store_results()

    def ask_due(self) -> None:
        now = time.time()
        free = self.pool.free
        if not free or not self.due_queue.may_be_due(now):
            return
        self._tell_throttled(self._cache.store.next_request_at(now))
        if self._throttled_until > now:
            return
        for claim in self._cache.store.claim_due(now, free, self._under_way):
            self._under_way[claim.task.task_id] = claim
            self.due_queue.drop(claim.task.task_id)
            key = claim.task.subscription_key
            on_done = partial(self._answered, claim, self._settings().connection, time.monotonic())
            call = lambda client, key=key: client.status(key)  # noqa: E731
            self.pool.submit(WorkItem(call, on_done, self._settings().connection))

    def _tell_throttled(self, until: float) -> None:
        if until != self._throttled_until:
            self._throttled_until = until
            self._tell(RequestsThrottled(until))

    def _answered(
        self, claim: Claim, connection: Connection, asked_at: float, outcome: tuple[Job, ...] | Exception
    ) -> None:
        self._under_way.pop(claim.task.task_id, None)
        self._cache.with_task(claim.task.task_id, self.due_queue.put)
        with_present_key = connection.same_account(self._settings().connection)
        if isinstance(outcome, tuple) and with_present_key:
            # The key is accepted: what refused it meanwhile was a passing trouble.
            self._accepted_at, self.refused = time.monotonic(), None
        elif isinstance(outcome, NotAuthorized) and with_present_key and self._accepted_at > asked_at:
            outcome = NotAuthorized(outcome.http_status).of_task()
        now = time.time()
        pace, chance = self._settings().pace, random.random()
        throttled_until = 0.0
        change: Callable[[Task], Task]
        if isinstance(outcome, tuple):
            known = self._durations_of(replace(claim.task, jobs=outcome))
            change = partial(
                schedule.after_answer, jobs=outcome, now=now, pace=pace, chance=chance, durations=known
            )
        elif isinstance(outcome, Refused):
            change = partial(schedule.after_refusal, trouble=refusals.of_check(outcome), now=now)
        elif isinstance(outcome, (NotAuthorized, ClientUnavailable)) or (
            isinstance(outcome, Aborted) and self.pool.stopping
        ):
            # Nothing was learnt of this task: it stays due, and the blocker, if any, is told for all.
            change = _unchanged
            if isinstance(outcome, ClientUnavailable):
                self.client_trouble = outcome.trouble
            elif isinstance(outcome, NotAuthorized) and with_present_key:
                self.key_refused(outcome.trouble)
        else:
            retry_after = outcome.retry_after if isinstance(outcome, Throttled) else None
            change = partial(
                schedule.after_failure,
                trouble=trouble_of(outcome),
                now=now,
                pace=pace,
                chance=chance,
                retry_after=retry_after,
            )
            if retry_after:
                throttled_until = now + retry_after
                self._tell_throttled(max(throttled_until, self._throttled_until))
        result = _PollResult(claim, change, throttled_until)
        try:
            self._store_result(result)
        except StoreError:
            # The result is shown at once, and stored as soon as the disk allows it and before anything else is asked.
            # The claim keeps other Blenders from asking meanwhile.
            self._unstored.append(result)
            self._cache.changed(change(claim.task))
            raise

    def _store_result(self, result: _PollResult) -> None:
        if result.throttled_until:
            self._cache.store.throttle(result.throttled_until, time.time())
        task = self._cache.store.complete_check(result.claim, result.change)
        if task:
            self._cache.changed(task)
        else:
            self._cache.removed(result.claim.task.task_id)

    def store_results(self) -> None:
        while self._unstored:
            self._store_result(self._unstored[0])
            del self._unstored[0]

    def _durations_of(self, task: Task) -> list[float]:
        if self._durations is None:
            self._durations = schedule.durations(self._cache.by_id.values())
        return schedule.durations_of(schedule.pace_kind(task), self._durations)


@dataclass(frozen=True)
class _PollResult:
    """What an answer makes of its task, and the pause it asked for in all requests, if any."""

    claim: Claim
    change: Callable[[Task], Task]
    throttled_until: float = 0.0


def _unchanged(task: Task) -> Task:
    return task
