# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending a submission of the outbox, once, and what its answer means."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..service import answers
from ..service.answers import RawAnswer
from ..service.errors import (
    Aborted,
    BadAnswer,
    BadInput,
    NotAuthorized,
    NotSent,
    Refused,
    ServiceError,
    Throttled,
    Unreachable,
)
from ..service.keys import SHORTEST_SECRET, Secret
from ..storage.outbox import Claim, Outbox, OutboxError, Sending, State
from ..tasks import refusals, submission, transitions
from ..tasks.refusals import Refusal
from ..tasks.submission import Accepted, Submission
from ..tasks.task import Status, Task
from ..texts.text import Text, Trouble

if TYPE_CHECKING:
    # It imports `requests`, which takes 100 ms and may be missing: a worker's matter.
    from ..service.client import Client


CANCELLED = "It was cancelled before anything had been sent."


class Gate:
    """Whether the first byte may leave: either the sender passes it, or whoever cancels closes it. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self.passed = False

    def enter(self) -> None:
        """Raises NotSent where it was closed before."""
        with self._lock:
            if self._closed:
                raise NotSent("aborted", CANCELLED)
            self.passed = True

    def close(self) -> bool:
        """Keep the first byte from leaving. Returns False where it has left."""
        with self._lock:
            self._closed = not self.passed
            return self._closed


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: one of `accepted` and `refusal`, or neither, and then nobody knows.

    `balance` are the account's credits after it, None where they are not known. `wait` is how long the service asks
    us to wait, in seconds, None where it does not. `trouble` tells why nothing is known, or why it was refused.
    """

    accepted: Accepted | None = None
    refusal: Refusal | None = None
    trouble: Trouble | None = None
    before: float | None = None
    balance: float | None = None
    wait: float | None = None
    key_refused: bool = False
    """Whether the balance was refused, too, so that the API key is to blame."""


def send(client: Client, outbox: Outbox, claim: Claim, gate: Gate, report: Callable[[int, int], None]) -> Outcome:
    """Send what is claimed and was not sent yet. `report` gets the bytes that have left and their number in all.

    It blocks, and is for a worker's thread. The answer is on the disk before it is made sense of. Raises NotSendable
    where somebody else sends it or has sent it, OutboxError where the disk kept it from being sent.
    """
    stored = outbox.read(claim.task_id)
    request = stored.request
    wanted = Submission(request.prompt, request.options, stored.pictures, request.proportions, request.kind)
    folder = outbox.folder / claim.task_id
    # What a picture is called on the user's disk is not the service's business.
    names = [f"{number}{PurePath(picture.name).suffix}" for number, picture in enumerate(stored.pictures, 1)]
    pictures = [
        (name, folder / picture.name, picture.kind) for name, picture in zip(names, stored.pictures, strict=True)
    ]

    try:
        with claim.sending(partial(_balance_before, client)) as sending:
            outcome = _attempt(client, wanted, pictures, sending, gate, report)
            return outcome if outcome.refusal else replace(outcome, balance=_balance_or_none(client))
    except ServiceError as error:
        # The error is one of the balance call: later ones become an outcome.
        return replace(_refused(error), key_refused=isinstance(error, NotAuthorized))


def _attempt(
    client: Client,
    wanted: Submission,
    pictures: list[tuple[str, Path, str]],
    sending: Sending,
    gate: Gate,
    report: Callable[[int, int], None],
) -> Outcome:
    try:
        answer = client.submit(wanted.kind.path, submission.fields(wanted), pictures, report, begin=gate.enter)
    except Exception as error:
        if not isinstance(error, ServiceError):
            if not gate.passed:
                sending.unsent()
            raise
        outcome = _refused(error)
        if outcome.refusal:
            sending.unsent()
            return outcome
        # What is noted on the disk, nothing but the marker, says that nobody knows.
        return Outcome(trouble=error.trouble, before=sending.balance)
    answer = _without_key(answer, client.connection.api_key)
    _write_answer(sending, answer, client.pause)
    outcome = read(answer, client.connection.api_key, sending.balance)
    if outcome.refusal and outcome.refusal.retryable:
        sending.unsent()
    return outcome


def read(answer: RawAnswer, api_key: Secret, before: float | None = None) -> Outcome:
    """What an answer means that lies on the disk."""
    try:
        said = answers.read(answer.http_status, answer.body, answer.retry_after, time.time(), (api_key,))
        return Outcome(accepted=submission.accepted(said), before=before)
    except ServiceError as error:
        # An answer that names uuid and key was paid for, whatever code a gateway put over it and whatever else it says:
        # at worst the status call finds no such task.
        with suppress(ServiceError):
            said = answers.json_object_or_none(answer.body) or {}
            return Outcome(accepted=submission.accepted(said), before=before)
        outcome = _refused(error)
        return outcome if outcome.refusal else Outcome(trouble=error.trouble, before=before)


def _refused(error: ServiceError) -> Outcome:
    wait = error.retry_after if isinstance(error, Throttled) else None
    return Outcome(refusal=refusals.of_submission(error), trouble=error.trouble, wait=wait)


def _without_key(answer: RawAnswer, api_key: Secret) -> RawAnswer:
    """An answer that may repeat the API key, as it may lie on the disk."""
    key = api_key.reveal().encode()
    return replace(answer, body=answer.body.replace(key, b"****")) if len(key) >= SHORTEST_SECRET else answer


def _write_answer(sending: Sending, answer: RawAnswer, pause: Callable[[float], None]) -> None:
    """Have the answer on the disk, however long that takes: without it a paid model would be lost.

    Where the program ends meanwhile, `pause` raises Aborted, and the attempts that are left come at once.
    """
    pauses = iter((0.1, 0.5, 2.0, 5.0, 10.0, 20.0))
    while True:
        try:
            sending.answered(answer)
            return
        except OutboxError:
            wait = next(pauses, None)
            if wait is None:
                # The answer is not lost yet: it goes into the list of tasks next.
                return
            with suppress(Aborted):
                pause(wait)


def _balance_before(client: Client) -> float | None:
    """The account's credits, None where the service does not tell them.

    Raises ServiceError where the service cannot be asked: then nothing of the submission has left us either.
    """
    try:
        return client.balance()
    except (BadAnswer, Refused):
        return None
    except Unreachable as error:
        raise NotSent(error.cause, error.trouble) from None
    except Aborted:
        raise NotSent("aborted", CANCELLED) from None


def _balance_or_none(client: Client) -> float | None:
    try:
        return client.balance()
    except ServiceError:
        return None


def settled(outbox: Outbox, task: Task, answer: bytes, others: Iterable[Task]) -> Callable[[Task], Task]:
    """What becomes of an uncertain task by the answer that its user found, which is kept in the outbox first.

    Raises BadInput where it is no answer that means yes, or the one to a task of `others`, or nothing is uncertain;
    OutboxError.
    """
    if task.status is not Status.UNCERTAIN:
        raise BadInput(Text("It is known what became of '{name}', so there is nothing to settle.", name=task.name))
    raw = RawAnswer(200, None, answer)
    outcome = read(raw, Secret(""))
    if not outcome.accepted:
        text = "This is no answer by which '{name}' can be followed. {why}"
        raise BadInput(Text(text, name=task.name, why=outcome.trouble or Text("")))
    submission.is_checked(answer, task.prompt)
    for other in others:
        same = outcome.accepted.subscription_key == other.subscription_key
        if (same or outcome.accepted.task_uuid == other.task_uuid) and other.task_id != task.task_id:
            raise BadInput(Text("This is the answer to '{name}', which is in the list already.", name=other.name))
    if outbox.state(task.task_id) is not State.GONE:
        outbox.last_sending(task.task_id).answered(raw)
    return transitions.accepted(outcome.accepted, time.time())


def unchecked_text(task: Task, answer: bytes) -> Text | None:
    """What could not be seen of an answer by which a task was settled, None where all could."""
    if submission.is_checked(answer, task.prompt):
        return None
    text = "The answer does not say what it was asked for: nobody could check that it is the one to '{name}'."
    return Text(text, name=task.name)
