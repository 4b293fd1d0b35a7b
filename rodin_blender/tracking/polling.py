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
from .agenda import Agenda
from .kept import KeptTasks
from .messages import Message, Obstacle, RequestsHeld, Settings
from .workers import Pool, Question

WORKERS = 4


class Polling:
    """Who asks about which task when. Most methods raise StoreError."""

    def __init__(
        self,
        inbox: SimpleQueue[Callable[[], None]],
        kept: KeptTasks,
        settings: Callable[[], Settings],
        tell: Callable[[Message], None],
    ) -> None:
        self.pool = Pool("rodin-ask", WORKERS, inbox)
        self.agenda = Agenda()
        """All followed tasks but those under way."""
        self.client_trouble: Trouble | None = None
        """Why this Python cannot ask at all."""
        self.refused: Obstacle | None = None
        """The API key is not accepted."""
        self._accepted_at = 0.0
        """When the present API key last brought an answer, as `time.monotonic` has it."""
        self._kept = kept
        kept.noted = self.note
        self._settings = settings
        self._tell = tell
        self._durations: dict[str, list[float]] | None = None
        """How long the last tasks took, by kind; None when it is to be looked up again."""
        self._under_way: dict[str, Claim] = {}
        """What our workers ask about now, by task id: not asked again before they answer, though the claim lapses."""
        self._unsettled: list[_Settlement] = []
        self._held_until = 0.0

    def note(self, task: Task) -> None:
        """A task is new, or not what it was."""
        if task.took:
            self._durations = None
        if task.task_id not in self._under_way:
            self.agenda.put(task)

    def refuse(self, trouble: Trouble) -> None:
        """The API key is not accepted, which is known for sure."""
        self.refused = Obstacle("bad_key", trouble.text, Action.ENTER_KEY)

    def refresh(self) -> None:
        """Ask again, whatever kept us from it."""
        self.refused = self.client_trouble = None

    @property
    def unsettled(self) -> set[str]:
        """The ids of tasks of which more is known here than is stored."""
        return {settlement.claim.task.task_id for settlement in self._unsettled}

    @property
    def busy(self) -> bool:
        return bool(self.agenda or self._unsettled) or self.pool.busy

    def give_back(self) -> None:
        """End all claims that were not answered, so that another Blender may ask at once."""
        self._unsettled += [_Settlement(claim, _unchanged) for claim in self._under_way.values()]
        self.settle_again()

    def ask_due(self) -> None:
        now = time.time()
        free = self.pool.free
        if not free or not self.agenda.may_be_due(now):
            return
        self._tell_held(self._kept.store.next_request_at(now))
        if self._held_until > now:
            return
        for claim in self._kept.store.claim_due(now, free, self._under_way):
            self._under_way[claim.task.task_id] = claim
            self.agenda.drop(claim.task.task_id)
            key = claim.task.subscription_key
            answered = partial(self._answered, claim, self._settings().connection, time.monotonic())
            call = lambda client, key=key: client.status(key)  # noqa: E731
            self.pool.ask(Question(call, answered, self._settings().connection))

    def _tell_held(self, until: float) -> None:
        if until != self._held_until:
            self._held_until = until
            self._tell(RequestsHeld(until))

    def _answered(
        self, claim: Claim, connection: Connection, asked_at: float, outcome: tuple[Job, ...] | Exception
    ) -> None:
        self._under_way.pop(claim.task.task_id, None)
        self._kept.with_task(claim.task.task_id, self.agenda.put)
        with_present_key = connection.same_account(self._settings().connection)
        if isinstance(outcome, tuple) and with_present_key:
            # The key is accepted: what refused it meanwhile was a passing trouble.
            self._accepted_at, self.refused = time.monotonic(), None
        elif isinstance(outcome, NotAuthorized) and with_present_key and self._accepted_at > asked_at:
            outcome = NotAuthorized(outcome.http_status).of_task()
        now = time.time()
        pace, chance = self._settings().pace, random.random()
        held_until = 0.0
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
            # Nothing was learnt of this task: it stays due, and the obstacle, if any, is told for all.
            change = _unchanged
            if isinstance(outcome, ClientUnavailable):
                self.client_trouble = outcome.trouble
            elif isinstance(outcome, NotAuthorized) and with_present_key:
                self.refuse(outcome.trouble)
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
                held_until = now + retry_after
                self._tell_held(max(held_until, self._held_until))
        settlement = _Settlement(claim, change, held_until)
        try:
            self._settle(settlement)
        except StoreError:
            # Shown at once, stored as soon as the disk allows it, and before anything else is asked; the claim keeps
            # the others from asking.
            self._unsettled.append(settlement)
            self._kept.changed(change(claim.task))
            raise

    def _settle(self, settlement: _Settlement) -> None:
        if settlement.held_until:
            self._kept.store.hold(settlement.held_until, time.time())
        task = self._kept.store.settle(settlement.claim, settlement.change)
        if task:
            self._kept.changed(task)
        else:
            self._kept.removed(settlement.claim.task.task_id)

    def settle_again(self) -> None:
        while self._unsettled:
            self._settle(self._unsettled[0])
            del self._unsettled[0]

    def _durations_of(self, task: Task) -> list[float]:
        if self._durations is None:
            self._durations = schedule.durations(self._kept.by_id.values())
        return schedule.durations_of(schedule.pace_kind(task), self._durations)


@dataclass(frozen=True)
class _Settlement:
    """What an answer makes of its task, and the pause it asked for in all requests, if any."""

    claim: Claim
    change: Callable[[Task], Task]
    held_until: float = 0.0


def _unchanged(task: Task) -> Task:
    return task
