# SPDX-License-Identifier: GPL-3.0-or-later
"""Submissions: prepared and sent by workers of their own, noted in the store, never sent twice.

A submission lies in the outbox before it is in the list, and what the outbox says of it wins: see `outbox_sync`. Who
sends one holds its claim from before the list says so until the list says what came of it. All of it runs in the
tracker's thread, but for `Outbox.add` and `sending.send`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..service.connection import Connection
from ..service.errors import BadInput, trouble_of
from ..service.keys import Secret
from ..storage.database import StoreError
from ..storage.outbox import Claim, NotSendable, Outbox, OutboxError, State
from ..storage.store import KeyTaken, StatusChanged
from ..storage.stored_request import StoredRequest
from ..tasks import transitions
from ..tasks.generation_request import GenerationRequest
from ..tasks.refusals import Refusal
from ..tasks.submission import Accepted
from ..tasks.task import Status, Task
from ..texts.text import Text, Trouble
from . import send_limits, troubles
from .messages import BalanceReceived, Message, Notice, NotSubmitted, SubmissionProgress
from .outbox_sync import OutboxSync
from .send_limits import SendLimits
from .sending import Gate, Outcome, send, settled, unchecked_text
from .workers import Pool, WorkItem

if TYPE_CHECKING:
    from ..service.client import Client

SENDERS = 2


@dataclass
class _Running:
    item: WorkItem
    gate: Gate
    release: Callable[[], None]
    """Gives the claim back."""


class Submissions:
    def __init__(
        self,
        outbox: Outbox,
        inbox: SimpleQueue[Callable[[], None]],
        add: Callable[[Task], None],
        change: Callable[[str, Callable[[Task], Task]], None],
        remove: Callable[[str, Status | None], bool],
        refuse_key: Callable[[Trouble], None],
        tell: Callable[[Message], None],
    ) -> None:
        """`add` stores a new task, `change` applies a function to a stored one, `remove` takes one off the list, see
        `TaskCache.remove`; all raise StoreError.

        `refuse_key` is called with why the API key is not accepted. `tell` sends the owner a message.
        """
        self.outbox = outbox
        self.pool = Pool("rodin-submit", SENDERS, inbox)
        self._inbox = inbox
        self._add = add
        self._change = change
        self._remove = remove
        self._refuse_key = refuse_key
        self._tell = tell
        self._preparing: set[str] = set()
        self._running: dict[str, _Running] = {}
        self._due: dict[str, float] = {}
        """When each task is sent that this program was told to send, by id, as `time.monotonic` has it."""
        self._unstored: list[Callable[[], None]] = []
        """What is not yet in the store."""
        self._replaced: dict[str, Task] = {}
        """Uncertain tasks that another one is to take the place of, by that one's id."""
        self._outbox_sync = OutboxSync(outbox, add, self._apply, self._apply_outcome, tell)

    # For the tracker.

    def prepare(self, request: GenerationRequest, connection: Connection) -> None:
        """Store the request on the disk, then in the list, then send it. Answered by NotSubmitted if that fails."""
        self._preparing.add(request.task_id)
        # The pool stores a request even while it stops: the request is kept, though it is not sent.
        call = lambda _: self.outbox.add(request)  # noqa: E731
        self.pool.submit(WorkItem(call, partial(self._prepared, request), connection, needs_client=False))

    def send_again(self, task: Task, task_id: str, connection: Connection) -> None:
        """Have an uncertain one generated once more, as a new task in its place.

        Tells NotSubmitted where it cannot be.
        """
        try:
            request = self._request_again(task, task_id)
        except (BadInput, OutboxError) as error:
            self._tell(NotSubmitted(task_id, error.trouble))
            return
        self._replaced[task_id] = task
        self.prepare(request, connection)

    def _request_again(self, task: Task, task_id: str) -> GenerationRequest:
        """Raises BadInput, OutboxError."""
        if task.status is not Status.UNCERTAIN:
            raise BadInput(Text("It is known what became of '{name}'.", name=task.name))
        if any(replaced.task_id == task.task_id for replaced in self._replaced.values()):
            raise BadInput(Text("'{name}' is being sent again already.", name=task.name))
        request = self.outbox.read(task.task_id).request
        pictures = tuple(self.outbox.picture_paths(task.task_id, task.pictures))
        return replace(request, task_id=task_id, name=task.name, pictures=pictures, parent=task.task_id)

    def send_due(self, connection: Connection, limits: SendLimits) -> None:
        """Begin to send what is due, as far as there are free workers and the limits allow it. Raises StoreError."""
        now = time.monotonic()
        for task_id in [task_id for task_id, due in sorted(self._due.items(), key=lambda item: item[1]) if due <= now]:
            if not self.pool.free:
                return
            wait = limits.wait_for_turn(task_id) or self._begin(task_id, connection, limits)
            # This comes after the calls that may fail, so that the task stays due on a disk error.
            if self._due.pop(task_id, None) is not None and wait:
                self._due[task_id] = now + wait

    def send_now(self, task: Task) -> None:
        """Send one that was not sent yet, at once. Raises BadInput for another."""
        if task.status is not Status.UNSENT:
            raise BadInput(Text("'{name}' was sent already.", name=task.name))
        if task.task_id not in self._running:
            self._due[task.task_id] = 0.0

    def cancel(self, task: Task) -> None:
        """Not send it, where its first byte has not left; tells where it has. Raises StoreError."""
        running = self._running.get(task.task_id)
        if running and running.gate.close():
            self.pool.cancel(running.item)
        elif running:
            text = "'{name}' is on its way already, so it can no longer be cancelled."
            self._tell(Notice(Text(text, name=task.name)))
        elif task.status is Status.UNSENT:
            self._due.pop(task.task_id, None)
            self._change(task.task_id, transitions.waiting(troubles.NOT_YET))
        elif task.status is Status.SENDING:
            text = "Another program sends '{name}', so it cannot be cancelled here."
            self._tell(Notice(Text(text, name=task.name)))

    def settle(self, task: Task, answer: bytes, others: Iterable[Task]) -> None:
        """End an uncertain one with the answer that the user found. Raises BadInput, OutboxError, StoreError."""
        self._change(task.task_id, settled(self.outbox, task, answer, others))
        if unchecked := unchecked_text(task, answer):
            self._tell(Notice(unchecked))

    def forget(self, task: Task) -> None:
        """Take the task off the list. Raises BadInput for one that is just being sent, OutboxError, StoreError."""
        if task.task_id in self._running or task.status is Status.SENDING:
            text = "'{name}' is being sent just now. Wait for the answer, then try again."
            raise BadInput(Text(text, name=task.name))
        try:
            self.outbox.forget(task, self._remove)
        except StatusChanged:
            # It was sent or settled, for example, since this program has looked.
            text = "'{name}' was not removed: another program has just changed it."
            raise BadInput(Text(text, name=task.name)) from None

    def restore(self, task: Task, add: Callable[[], Task]) -> Task:
        """Have the task be in the list again by `add`, which raises StoreError. Returns it as it is there.

        Raises BadInput where it never had a key and its request is deleted, OutboxError.
        """

        def add_if_whole() -> Task:
            if not task.status.submitted and self.outbox.state(task.task_id) is State.GONE:
                text = "'{name}' cannot be brought back: what was written for it is deleted."
                raise BadInput(Text(text, name=task.name))
            return add()

        return self.outbox.restore(task, add_if_whole)

    def drop(self, task: Task) -> None:
        """The task has left the list. Unless the user removed it, the outbox still has it."""
        self._due.pop(task.task_id, None)
        if task.kind:
            self.look_at_all()

    def look_at_all(self) -> None:
        """Have the next look of `sync` be at all submissions, such as since another list has taken this one's place."""
        self._outbox_sync.look_at_all()

    def sync(self, tasks: Mapping[str, Task], api_key: Secret) -> None:
        """Have the list say what the outbox says of what others send or have left. Raises StoreError."""
        ours = self._running.keys() | self._due.keys() | self._preparing
        self._outbox_sync.run(tasks, ours, api_key)

    def store_pending(self) -> None:
        """Store what could not be stored before. Raises StoreError."""
        while self._unstored:
            try:
                self._unstored[0]()
            except StoreError:
                raise  # It is tried again; after any other trouble it is not, so that the rest is stored.
            except Exception:
                del self._unstored[0]
                raise
            del self._unstored[0]

    def stop(self) -> None:
        """Send nothing more. What has begun to leave us is awaited, see `busy`."""
        self.pool.stopping = True
        for running in self._running.values():
            if running.gate.close():
                self.pool.cancel(running.item)

    def end(self) -> None:
        """Store what can still be stored, and leave the rest to others: nobody waits for an answer here any more."""
        try:
            self.store_pending()
        finally:
            for task_id in [*self._running]:
                self._release(task_id)

    @property
    def soonest(self) -> float | None:
        """When the next is due, in seconds since the epoch; None for none."""
        return min(self._due.values()) - time.monotonic() + time.time() if self._due else None

    @property
    def busy(self) -> bool:
        return bool(self._due or self._unstored) or self.pool.busy

    # After a worker's work.

    def _prepared(self, request: GenerationRequest, result: StoredRequest | Exception) -> None:
        task_id = request.task_id
        self._preparing.discard(task_id)
        replaced = self._replaced.pop(task_id, None)
        if isinstance(result, Exception):
            self._tell(NotSubmitted(task_id, trouble_of(result)))
            return
        self._unstored.append(partial(self._add, result.unsent_task()))
        if replaced:
            self._unstored.append(partial(self._replace_uncertain, task_id, replaced))
        else:
            self._due[task_id] = 0.0
        self.store_pending()

    def _replace_uncertain(self, task_id: str, replaced: Task) -> None:
        """Send a task in the place of one that is still uncertain. Raises StoreError."""
        try:
            removed = self.outbox.forget(replaced, self._remove)
        except StatusChanged:
            removed = False
        except OutboxError as error:
            self._change(task_id, transitions.waiting(troubles.not_removed(error.trouble)))
            return
        if removed:
            self._due[task_id] = 0.0
        else:
            # The task was settled by its answer, for example, or sent again by another Blender.
            self._change(task_id, transitions.waiting(troubles.NOT_REPLACED))

    def _begin(self, task_id: str, connection: Connection, limits: SendLimits) -> float:
        """Have it sent. Returns 0.0, or after how many seconds to try again. Raises StoreError."""
        with ExitStack() as held:
            try:
                claim = held.enter_context(self.outbox.claim(task_id))
            except NotSendable:
                self.look_at_all()  # What the outbox says is found out then.
                return 0.0
            except OutboxError as error:
                self._apply(task_id, transitions.waiting(troubles.not_yet(error.trouble)))
                return 0.0
            wait = limits.try_begin(task_id)
            if not wait:
                self._send(task_id, claim, connection, held.pop_all().close)
            return wait

    def _send(self, task_id: str, claim: Claim, connection: Connection, release: Callable[[], None]) -> None:
        gate = Gate()

        def report(sent: int, total: int) -> None:
            self._inbox.put(partial(self._tell, SubmissionProgress(task_id, sent, total)))

        def call(client: Client) -> Outcome:
            return send(client, self.outbox, claim, gate, report)

        item = WorkItem(call, partial(self._sent, task_id), connection)
        self._running[task_id] = _Running(item, gate, release)
        self.pool.submit(item)

    def _sent(self, task_id: str, outcome: Outcome | Exception) -> None:
        if not isinstance(outcome, Exception):
            if outcome.balance is not None:
                self._tell(BalanceReceived(outcome.balance))
            if outcome.key_refused and outcome.trouble:
                self._refuse_key(outcome.trouble)
            self._unstored.append(self._change_by(task_id, outcome))
        elif self._running[task_id].gate.passed or isinstance(outcome, NotSendable):
            # What the outbox says is found out then.
            self._unstored.append(self.look_at_all)
        else:
            # Nothing was charged: these errors come before the first byte, and later ones become an Outcome.
            trouble = troubles.not_yet(trouble_of(outcome))
            self._unstored.append(partial(self._change, task_id, transitions.waiting(trouble)))
        self._unstored.append(partial(self._release, task_id))
        self.store_pending()

    def _release(self, task_id: str) -> None:
        self._running.pop(task_id).release()

    def _change_by(self, task_id: str, outcome: Outcome) -> Callable[[], None]:
        """Has the list say what came of an attempt. What is returned raises StoreError."""
        refusal = outcome.refusal
        if outcome.accepted:
            return partial(self._accept, task_id, outcome, outcome.accepted)
        if refusal is None:
            change = transitions.uncertain(troubles.uncertain(outcome))
        elif refusal.retryable and not self.pool.stopping:
            change = partial(self._wait, refusal=refusal, asked_wait=outcome.wait)
        elif refusal.retryable or not refusal.left:
            change = transitions.waiting(troubles.not_yet(refusal.trouble))
        else:
            change = transitions.rejected(refusal)
        return partial(self._change, task_id, change)

    def _wait(self, task: Task, refusal: Refusal, asked_wait: float | None) -> Task:
        """For `change`: the task that waits for its next attempt, which is put into `_due`."""
        now = time.time()
        wait = send_limits.retry_delay(task, refusal, asked_wait, now)
        if wait is None:
            return transitions.waiting(troubles.not_yet(refusal.trouble))(task)
        self._due[task.task_id] = time.monotonic() + wait
        trouble = refusal.trouble if refusal.left else troubles.later(refusal.trouble)
        return transitions.waiting(trouble, now + wait)(task)

    def _accept(self, task_id: str, outcome: Outcome, found: Accepted) -> None:
        """Raises StoreError."""
        try:
            self._change(task_id, transitions.accepted(found, time.time()))
        except KeyTaken as error:
            self._change(task_id, transitions.uncertain(troubles.uncertain(replace(outcome, trouble=error.trouble))))

    def _apply(self, task_id: str, change: Callable[[Task], Task]) -> None:
        self._store_soon(partial(self._change, task_id, change))

    def _apply_outcome(self, task_id: str, outcome: Outcome) -> None:
        self._store_soon(self._change_by(task_id, outcome))

    def _store_soon(self, store: Callable[[], None]) -> None:
        """Store something, now or as soon as the disk allows it."""
        self._unstored.append(store)
        self.store_pending()
