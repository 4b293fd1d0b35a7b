# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows tasks in threads of its own and tells what happened through a queue.

One thread ("rodin-tracker") owns the store and decides; a few workers ask the service, so that a hung call holds up
only itself. Whoever owns the tracker calls its methods, which return at once, and reads `messages`.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..service.answers import Job
from ..service.connection import Connection
from ..service.errors import Aborted, BadInput, ClientUnavailable, NotAuthorized, Refused, Throttled
from ..service.keys import Generation
from ..storage import store
from ..storage.database import StoreError
from ..storage.outbox import Outbox, OutboxError
from ..storage.store import Claim, Store
from ..tasks import schedule
from ..tasks.task import Download, Status, Task
from ..tasks.wish import Wish
from ..texts.wording import refusal, sentence, unexpected
from .agenda import Agenda
from .downloads import Downloads
from .messages import (
    BalanceTold,
    DownloadEnded,
    Followed,
    Forgotten,
    Idle,
    KeyTested,
    Message,
    NotFollowed,
    Notice,
    NotSubmitted,
    Obstacle,
    ObstacleChanged,
    RequestsHeld,
    Restored,
    Settings,
    TaskChanged,
    TaskRemoved,
)
from .submitting import Submissions
from .workers import Pool, Question

WORKERS = 4
LONGEST_WAIT = 1.0
"""Seconds between two looks at the store for what other Blenders wrote."""
LAST_ANSWERS = 1.0
"""Seconds that a stopping tracker waits for its workers' answers."""
LAST_SUBMISSIONS = 5.0
"""Seconds more that it waits for the answers to what is being sent: one that comes later is a lost model."""
OUTBOX = "outbox"
"""The folder of submissions, beside the list."""
LAST_WRITES = 1.5
"""Seconds from `stop` on in which a stopping tracker waits for other Blenders that hold the list locked; all in all."""


class Tracker:
    """Follows every task of the store at `path` until `stop`. All methods are for one thread and return at once."""

    def __init__(self, path: Path, settings: Settings, known: Iterable[Task] = ()) -> None:
        """`known` are the tasks as the owner has them: told is only what is not so, or no longer."""
        self.messages: SimpleQueue[Message] = SimpleQueue()
        self.calls = 0
        """How many calls were made, to compare with `Idle.calls`."""
        self._path = path
        self._settings = settings
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stopping = False
        self._stopped_at = 0.0
        self._asking = Pool("rodin-ask", WORKERS, self._inbox)
        self._downloads = Downloads(self._inbox, self._change, self.messages.put)
        self._submissions = Submissions(
            Outbox(path.with_name(OUTBOX)),
            self._inbox,
            self._add,
            self._change,
            self._remove_uncertain,
            self.messages.put,
        )
        # No daemon: the interpreter lets it store what it was told before it exits. See `_ending`.
        self._thread = threading.Thread(target=self._run, name="rodin-tracker", daemon=False)

        # From here on the tracker thread's own.
        self._opened: Store | None = None
        self._tasks = {task.task_id: task for task in known}
        self._agenda = Agenda()
        """All followed tasks but those under way."""
        for task in self._tasks.values():
            self._agenda.put(task)
        self._past: dict[str, list[float]] | None = None
        """How long the last tasks took, by kind; None when it is to be looked up again."""
        self._under_way: dict[str, Claim] = {}
        """What our workers ask about now, by task id: not asked again before they answer, though the claim lapses."""
        self._unsettled: list[_Settlement] = []
        self._to_restore: list[str] = []
        """Ids of tasks that were in the list before its file was replaced, and are not yet in the new one."""
        self._store_trouble = ""
        self._client_trouble = ""
        self._refused: Obstacle | None = None
        self._accepted_at = 0.0
        """When the present API key last brought an answer, as `time.monotonic` has it."""
        self._told_obstacle: Obstacle | None = None
        self._held_until = 0.0
        self._told_idle = -1
        self._handled = 0
        self._thread.start()

    # For the owner.

    def follow(self, generation: Generation, task_id: str = "") -> None:
        """Store a task and follow it, under this id where its key is new. Answered by `Followed` or `NotFollowed`."""
        self._call(self._follow, generation, task_id)

    def generate(self, wish: Wish) -> None:
        """Have a model generated: kept on the disk, then sent, once. Answered by `NotSubmitted` where it cannot be.

        What becomes of it is told by `TaskChanged` and `SubmissionProgress`.
        """
        self._call(self._generate, wish)

    def send_now(self, task_id: str) -> None:
        """Send a task that was not sent yet."""
        self._call(self._wished, self._with_task, task_id, self._submissions.send_now)

    def cancel_submission(self, task_id: str) -> None:
        """Not send a task, unless its first byte has left: that is told by a `Notice`."""
        self._call(self._wished, self._with_task, task_id, self._submissions.cancel)

    def send_again(self, task_id: str, new_task_id: str) -> None:
        """Have what is uncertain generated once more, as another task in its place. It may be charged twice.

        Answered by `NotSubmitted` where it cannot be.
        """
        self._call(self._wished, self._send_again, task_id, new_task_id)

    def settle(self, task_id: str, answer: bytes) -> None:
        """End an uncertain task with the service's answer to it, as JSON, which the user found elsewhere."""
        self._call(self._wished, self._settle_submission, task_id, answer)

    def ask_balance(self) -> None:
        """Answered by `BalanceTold`, where the service tells it."""
        self._call(self._ask_balance)

    def change(self, task_id: str, change: Callable[[Task], Task]) -> None:
        """Apply a pure function, such as `schedule.paused`, to the stored task."""
        self._call(self._wished, self._change, task_id, change)

    def forget(self, task_id: str, *, files: bool = False) -> None:
        """Remove a task from the list. Answered by `Forgotten`.

        With `files`, what was saved for it is deleted first. A task whose files could not be deleted stays.
        """
        self._call(self._wished, self._forget, task_id, files)

    def restore(self, task: Task) -> None:
        """Put a forgotten task into the list again. Answered by `Restored`, or by `Forgotten` where it could not be."""
        self._call(self._wished, self._restore, task)

    def refresh(self) -> None:
        """Ask again although the API key was refused, and look for what other Blenders wrote."""
        self._call(self._refresh)

    def test_key(self) -> None:
        """Ask for the balance. Answered by `KeyTested`."""
        self._call(self._test_key)

    def download(self, task_id: str, parent: Path, *, again: bool = False) -> None:
        """Save a task's files into a folder of its own below `parent`, or where they were saved before.

        With `again` those that are there are fetched anew, too. Answered by `DownloadProgress` and one `DownloadEnded`,
        unless the task is forgotten before. While that is awaited, another call does nothing.
        """
        self._call(self._download, task_id, parent, again)

    def cancel_download(self, task_id: str) -> None:
        """Answered by the `DownloadEnded`, unless it had just ended. What has arrived stays for the next attempt."""
        self._call(self._wished, self._with_task, task_id, self._downloads.cancel)

    def delete_files(self, task_id: str) -> None:
        """Delete the files that were saved for a task. Answered by `FilesDeleted`."""
        self._call(self._wished, self._with_task, task_id, self._downloads.delete)

    def check_model(self, task_id: str, name: str = "") -> None:
        """See whether a model of the task, the best unless named, can be imported. Answered by `ModelChecked`."""
        self._call(self._with_task, task_id, partial(self._downloads.check, name=name))

    def configure(self, settings: Settings) -> None:
        self._call(self._configure, settings)

    def stop(self) -> None:
        """End all threads soon. What was called before is still stored; calls under way are cut short."""
        self._stopped_at = time.monotonic()
        self._stopping = True
        self._inbox.put(lambda: None)
        self._asking.stop()
        self._downloads.pool.stop()
        self._inbox.put(self._submissions.stop)

    def join(self, timeout: float) -> bool:
        """Wait for the end after `stop`, for a process that is about to exit. Returns whether it ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _call(self, method: Callable[..., None], *args: Any) -> None:
        self.calls += 1
        self._inbox.put(partial(self._handle, method, *args))

    # The tracker thread.

    def _run(self) -> None:
        while not self._ending:
            self._guarded(self._look_and_ask)
            self._take(self._inbox_wait())
        while not self._inbox.empty():
            self._take(0.0)
        end = time.monotonic() + LAST_ANSWERS
        while self._busy and time.monotonic() < end:
            self._take(end - time.monotonic())
        end = time.monotonic() + LAST_SUBMISSIONS
        while self._submissions.pool.busy and time.monotonic() < end:
            self._take(end - time.monotonic())
        self._submissions.pool.end()
        self._asking.end()
        self._downloads.pool.end()
        # Claims still without an answer are given back, so that another Blender may ask at once.
        self._unsettled += [_Settlement(claim, _unchanged) for claim in self._under_way.values()]
        self._guarded(self._settle_again)
        self._guarded(self._downloads.note_ended)
        self._guarded(self._submissions.note_ended)
        if self._opened:
            self._opened.close()

    @property
    def _ending(self) -> bool:
        if not self._stopping and not threading.main_thread().is_alive():
            self.stop()  # The program exits, and nobody told us.
        return self._stopping

    def _take(self, timeout: float) -> None:
        try:
            call = self._inbox.get(timeout=max(timeout, 0.0))
        except Empty:
            return
        self._guarded(call)

    def _handle(self, method: Callable[..., None], *args: Any) -> None:
        self._handled += 1
        method(*args)

    def _guarded(self, call: Callable[[], None]) -> None:
        """Whatever goes wrong, the thread goes on, and the user is told."""
        try:
            call()
        except StoreError as error:
            self._note_store(str(error))
        except OutboxError as error:
            self.messages.put(Notice(str(error)))
        except Exception as error:
            self.messages.put(Notice(unexpected(error)))
            with suppress(Exception):  # Nobody may be reading what we print.
                traceback.print_exc()

    def _look_and_ask(self) -> None:
        self._asking.abort_overlong()
        self._reopen_if_moved()
        self._load_if_changed()
        self._settle_again()
        self._downloads.note_ended()
        self._submissions.note_ended()
        self._submissions.look(self._tasks, self._settings.api_key)
        # Told only after asking too went well: on a full disk the list can be read, but no check can be noted.
        self._store_trouble = ""
        if not self._obstacle():
            self._downloads.go_on(self._tasks.values(), self._settings.connection)
            self._submissions.send_due(self._settings.connection, self._may_ask)
            self._ask_due()
        self._tell_obstacle()
        busy = self._agenda or self._asking.busy or self._downloads.busy or self._submissions.busy or self._unsettled
        if not busy and self._told_idle != self._handled:
            self._told_idle = self._handled
            self.messages.put(Idle(self._handled))

    @property
    def _busy(self) -> bool:
        return self._asking.busy or self._downloads.pool.busy

    def _inbox_wait(self) -> float:
        now = time.time()
        soonest = min((at for at in (self._agenda.soonest, self._submissions.soonest) if at is not None), default=None)
        # Due and yet not asked: something is in the way that an inbox message or the next look ends.
        return min(soonest - now, LONGEST_WAIT) if soonest is not None and soonest > now else LONGEST_WAIT

    @property
    def _store(self) -> Store:
        left = max(self._stopped_at + LAST_WRITES - time.monotonic(), 0.0) if self._stopping else store.LOCK_TIMEOUT
        if self._opened and self._stopping:
            self._opened.be_patient(left)
        if self._opened is None:
            self._opened = Store(self._path, left)
            damage = self._opened.damage_text()
            if damage:
                self.messages.put(Notice(damage))
        return self._opened

    def _reopen_if_moved(self) -> None:
        """Go on with the file that is now at the path, a new one where there is none. It gets what we know.

        It may be an older copy, or what another Blender could read of the list when that was damaged.
        """
        if self._opened and self._opened.moved:
            self._to_restore = [task.task_id for task in sorted(self._tasks.values(), key=lambda t: t.tracked_at)]
            self._opened.close()
            self._opened = None
            self._submissions.look_anew()
        while self._to_restore:
            task = self._tasks.get(self._to_restore[0])
            if task and not self._store.change(task.task_id, partial(_put_right, known=task)):
                self._store.add(task)
            del self._to_restore[0]

    def _load_if_changed(self) -> None:
        if not self._store.changed_by_others():
            return
        stored = {task.task_id: task for task in self._store.tasks()}
        for task_id in self._tasks.keys() - stored.keys():
            self._removed(task_id)
        # What we know of these is newer, and waits to be stored.
        newer = {settlement.claim.task.task_id for settlement in self._unsettled}
        for task in stored.values():
            if task.task_id not in newer:
                self._changed(task)
        self._downloads.note_wanted(self._tasks.values())

    def _past_of(self, task: Task) -> list[float]:
        if self._past is None:
            self._past = schedule.durations(self._tasks.values())
        return schedule.past_of(schedule.pace_kind(task), self._past)

    def _changed(self, task: Task) -> None:
        if self._tasks.get(task.task_id) != task:
            if task.took:
                self._past = None
            self._tasks[task.task_id] = task
            if task.task_id not in self._under_way:
                self._agenda.put(task)
            self.messages.put(TaskChanged(task))

    def _removed(self, task_id: str) -> None:
        task = self._tasks.pop(task_id, None)
        self._agenda.drop(task_id)
        if task:
            self._downloads.forget(task)
            self._submissions.drop(task)
            self.messages.put(TaskRemoved(task_id))

    def _note_store(self, trouble: str) -> None:
        self._store_trouble = trouble
        self._tell_obstacle()

    def _obstacle(self) -> Obstacle | None:
        if self._store_trouble:
            return Obstacle("store", self._store_trouble)
        if self._settings.obstacle:
            return self._settings.obstacle
        if self._client_trouble:
            return Obstacle("client", self._client_trouble)
        return self._refused

    def _tell_obstacle(self) -> None:
        obstacle = self._obstacle()
        if obstacle != self._told_obstacle:
            self._told_obstacle = obstacle
            self.messages.put(ObstacleChanged(obstacle))

    # Calls of the owner.

    def _follow(self, generation: Generation, task_id: str) -> None:
        new = schedule.begun(generation, time.time(), task_id)
        try:
            task = self._store.add(new)
        except StoreError as error:
            self.messages.put(NotFollowed(f"The task is not followed yet, its key could not be stored. {error}"))
            raise
        self._changed(task)
        self.messages.put(Followed(task, was_known=task.task_id != new.task_id))

    def _wished(self, method: Callable[..., None], *args: Any) -> None:
        """What a user pressed, and so must be told of when it could not be done."""
        try:
            method(*args)
        except BadInput as error:
            self.messages.put(Notice(str(error)))
        except (OutboxError, StoreError) as error:
            self.messages.put(Notice(f"This was not done; press it again. {error}"))
            if isinstance(error, StoreError):
                raise

    def _change(self, task_id: str, change: Callable[[Task], Task]) -> None:
        task = self._store.change(task_id, change)
        if task:
            self._changed(task)
        else:
            self._removed(task_id)

    def _add(self, task: Task) -> None:
        self._changed(self._store.add(task))

    def _forget(self, task_id: str, files: bool) -> None:
        """Raises BadInput for a task that is just being sent."""
        if files:
            self._with_task(task_id, self._downloads.delete)
        task = self._tasks.get(task_id)
        if task and files and task.folder:
            return
        self._take_out(task_id)
        if task:
            self.messages.put(Forgotten(task))

    def _take_out(self, task_id: str) -> None:
        """Remove a task from the list. Raises BadInput for one that is just being sent."""
        task = self._tasks.get(task_id)
        if task:
            self._submissions.forget(task)
        self._store.forget(task_id)
        self._removed(task_id)

    def _restore(self, task: Task) -> None:
        try:
            self._submissions.restore(task)
            # Its unfinished files were removed, and a download is not to go on by itself.
            download = Download.NONE if task.download is Download.WANTED else task.download
            restored = self._store.add(replace(task, download=download, folder=task.folder if task.files else ""))
        except (OutboxError, StoreError):
            self.messages.put(Forgotten(task))
            raise
        self._changed(restored)
        self.messages.put(Restored(restored.task_id))

    def _remove_uncertain(self, task_id: str) -> bool:
        removed = self._store.forget(task_id, Status.UNCERTAIN)
        if removed:
            self._removed(task_id)
        return removed

    def _refresh(self) -> None:
        self._refused = None
        self._client_trouble = ""

    def _configure(self, settings: Settings) -> None:
        if not settings.connection.same_account(self._settings.connection):
            self._refresh()
        self._settings = settings

    def _test_key(self) -> None:
        obstacle = self._settings.obstacle
        if obstacle:
            self.messages.put(KeyTested(False, obstacle.text))
        else:
            answered = partial(self._key_tested, self._settings.connection)
            self._asking.ask(Question(lambda client: client.balance(), answered, self._settings.connection))

    def _key_tested(self, connection: Connection, balance: float | Exception) -> None:
        if isinstance(balance, Exception):
            self.messages.put(KeyTested(False, sentence(balance)))
        else:
            if connection.same_account(self._settings.connection):
                self._refresh()
            self.messages.put(KeyTested(True, f"The API key is accepted. Balance: {balance:g} credits."))

    def _generate(self, wish: Wish) -> None:
        obstacle = self._settings.obstacle
        if obstacle:
            self.messages.put(NotSubmitted(wish.task_id, f"Nothing was sent. {obstacle.text}"))
        else:
            self._submissions.prepare(wish, self._settings.connection)

    def _send_again(self, task_id: str, new_task_id: str) -> None:
        again = partial(self._submissions.send_again, task_id=new_task_id, connection=self._settings.connection)
        try:
            self._with_task(task_id, again)
        except (BadInput, OutboxError) as error:
            self.messages.put(NotSubmitted(new_task_id, str(error)))

    def _settle_submission(self, task_id: str, answer: bytes) -> None:
        self._with_task(task_id, partial(self._submissions.settle, answer=answer, others=self._tasks.values()))

    def _ask_balance(self) -> None:
        if not self._obstacle():
            self._asking.ask(Question(lambda client: client.balance(), self._balance_told, self._settings.connection))

    def _balance_told(self, balance: float | Exception) -> None:
        if isinstance(balance, float):
            self.messages.put(BalanceTold(balance))

    def _may_ask(self) -> bool:
        """Whether a request may be sent now, which is counted then. Raises StoreError."""
        now = time.time()
        return self._store.take_request(now) <= now

    def _with_task(self, task_id: str, method: Callable[[Task], None]) -> None:
        task = self._tasks.get(task_id)
        if task:
            method(task)

    def _download(self, task_id: str, parent: Path, again: bool) -> None:
        task = self._tasks.get(task_id)
        if not task:
            self.messages.put(DownloadEnded(task_id, "", "The task is no longer in the list."))
        elif self._settings.obstacle:
            text = f"Nothing was downloaded. {self._settings.obstacle.text} Press Download after that."
            self.messages.put(DownloadEnded(task_id, "", text))
        else:
            try:
                self._downloads.begin(task, parent, self._settings.connection, again=again)
            except StoreError as error:
                self.messages.put(DownloadEnded(task_id, "", f"Nothing was downloaded; press Download again. {error}"))
                raise

    # Asking for due tasks.

    def _ask_due(self) -> None:
        now = time.time()
        free = self._asking.free
        if not free or not self._agenda.may_be_due(now):
            return
        self._tell_held(self._store.next_request_at(now))
        if self._held_until > now:
            return
        for claim in self._store.claim_due(now, free, self._under_way):
            self._under_way[claim.task.task_id] = claim
            self._agenda.drop(claim.task.task_id)
            key = claim.task.subscription_key
            answered = partial(self._answered, claim, self._settings.connection, time.monotonic())
            call = lambda client, key=key: client.status(key)  # noqa: E731
            self._asking.ask(Question(call, answered, self._settings.connection))

    def _tell_held(self, until: float) -> None:
        if until != self._held_until:
            self._held_until = until
            self.messages.put(RequestsHeld(until))

    def _answered(
        self, claim: Claim, connection: Connection, asked_at: float, outcome: tuple[Job, ...] | Exception
    ) -> None:
        self._under_way.pop(claim.task.task_id, None)
        self._with_task(claim.task.task_id, self._agenda.put)
        with_present_key = connection.same_account(self._settings.connection)
        if isinstance(outcome, tuple) and with_present_key:
            # The key is accepted: what refused it meanwhile was a passing trouble.
            self._accepted_at, self._refused = time.monotonic(), None
        elif isinstance(outcome, NotAuthorized) and with_present_key and self._accepted_at > asked_at:
            outcome = NotAuthorized(outcome.http_status).of_task()
        now = time.time()
        pace, chance = self._settings.pace, random.random()
        held_until = 0.0
        change: Callable[[Task], Task]
        if isinstance(outcome, tuple):
            past = self._past_of(replace(claim.task, jobs=outcome))
            change = partial(schedule.after_answer, jobs=outcome, now=now, pace=pace, chance=chance, past=past)
        elif isinstance(outcome, Refused):
            change = partial(schedule.after_refusal, message=refusal(outcome), now=now)
        elif isinstance(outcome, (NotAuthorized, ClientUnavailable)) or (
            isinstance(outcome, Aborted) and self._stopping
        ):
            # Nothing was learnt of this task: it stays due, and the obstacle, if any, is told for all.
            change = _unchanged
            if isinstance(outcome, ClientUnavailable):
                self._client_trouble = str(outcome)
            elif isinstance(outcome, NotAuthorized) and with_present_key:
                self._refused = Obstacle(
                    "bad_key", f"{outcome} Nothing is asked until it changes, or you press Check Now."
                )
        else:
            retry_after = outcome.retry_after if isinstance(outcome, Throttled) else None
            change = partial(
                schedule.after_failure,
                message=sentence(outcome),
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
            self._changed(change(claim.task))
            raise

    def _settle(self, settlement: _Settlement) -> None:
        if settlement.held_until:
            self._store.hold(settlement.held_until, time.time())
        task = self._store.settle(settlement.claim, settlement.change)
        if task:
            self._changed(task)
        else:
            self._removed(settlement.claim.task.task_id)

    def _settle_again(self) -> None:
        while self._unsettled:
            self._settle(self._unsettled[0])
            del self._unsettled[0]


@dataclass(frozen=True)
class _Settlement:
    """What an answer makes of its task, and the pause it asked for in all requests, if any."""

    claim: Claim
    change: Callable[[Task], Task]
    held_until: float = 0.0


def _unchanged(task: Task) -> Task:
    return task


def _put_right(stored: Task, known: Task) -> Task:
    """A task as it stands in another file than before, with what we know better."""
    ended = known.status.final and not stored.status.final
    sent = stored.status is Status.UNSENT and known.status in (Status.UNCERTAIN, Status.REJECTED)
    if ended or sent or stored.subscription_key != known.subscription_key:
        return known
    return replace(stored, task_uuid=stored.task_uuid or known.task_uuid)
