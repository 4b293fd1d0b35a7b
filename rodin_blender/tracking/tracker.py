# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows tasks in threads of its own and tells what happened through a queue.

One thread ("rodin-tracker") owns the store and decides; a few workers ask the service, so that a hung call holds up
only itself. Whoever owns the tracker calls its methods, which return at once, and reads `messages`.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..service.answers import Job
from ..service.errors import Aborted, ClientUnavailable, NotAuthorized, Refused, RodinError, Throttled
from ..service.keys import Generation, Secret
from . import schedule, store
from .schedule import Pace
from .store import Claim, Store, StoreError
from .tasks import Task, new_task_id

if TYPE_CHECKING:
    # It imports `requests`, which takes 100 ms and may be missing: a worker's matter.
    from ..service.client import Client

WORKERS = 4
DOWNLOADERS = 2
LONGEST_CALL = 60.0
"""Seconds after which a call is cut short that sends a little now and then, and so never meets a timeout."""
LONGEST_WAIT = 1.0
"""Seconds between two looks at the store for what other Blenders wrote."""
LAST_ANSWERS = 1.0
"""Seconds that a stopping tracker waits for its workers' answers."""
LAST_WRITES = 1.5
"""Seconds from `stop` on in which a stopping tracker waits for other Blenders that hold the list locked; all in all."""


@dataclass(frozen=True)
class Obstacle:
    """Why no request can be sent for any task. `kind`: offline, no_key, bad_key, address, client or store."""

    kind: str
    text: str


@dataclass(frozen=True)
class Settings:
    """What the tracker needs to know of the outside. While there is an `obstacle`, nothing is asked."""

    address: str = ""
    api_key: Secret = field(default_factory=lambda: Secret(""))
    timeout: float = 20.0
    pace: Pace = field(default_factory=Pace)
    obstacle: Obstacle | None = None


# Messages: what happened, in the order in which it happened.


@dataclass(frozen=True)
class TaskChanged:
    """A task is new or not what it was. What it shows is on the disk."""

    task: Task


@dataclass(frozen=True)
class TaskRemoved:
    task_id: str


@dataclass(frozen=True)
class Followed:
    """The answer to `follow`: the task is in the list, and `was_known` if it had been before."""

    task: Task
    was_known: bool


@dataclass(frozen=True)
class NotFollowed:
    """The answer to `follow` when the task could not be stored."""

    text: str


@dataclass(frozen=True)
class ObstacleChanged:
    obstacle: Obstacle | None


@dataclass(frozen=True)
class RequestsHeld:
    """No request is sent before `until` (seconds since the epoch): the minute's are used up, or the service asks so."""

    until: float


@dataclass(frozen=True)
class KeyTested:
    accepted: bool
    text: str


@dataclass(frozen=True)
class DownloadProgress:
    task_id: str
    text: str


@dataclass(frozen=True)
class DownloadEnded:
    """`folder` holds all files, or is empty and `text` says what happened and what to do."""

    task_id: str
    folder: str
    text: str


@dataclass(frozen=True)
class Notice:
    """Something the user should read that is no task's own message."""

    text: str


@dataclass(frozen=True)
class Idle:
    """Nothing to follow and nothing under way after `calls` calls: the owner may `stop` the tracker."""

    calls: int


Message = (
    TaskChanged | TaskRemoved | Followed | NotFollowed | ObstacleChanged | RequestsHeld | KeyTested
    | DownloadProgress | DownloadEnded | Notice | Idle
)  # fmt: skip


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
        self._asking = _Pool("rodin-ask", WORKERS, self._inbox)
        self._downloading = _Pool("rodin-download", DOWNLOADERS, self._inbox)
        # No daemon: the interpreter lets it store what it was told before it exits. See `_ending`.
        self._thread = threading.Thread(target=self._run, name="rodin-tracker", daemon=False)

        # From here on the tracker thread's own.
        self._opened: Store | None = None
        self._tasks = {task.task_id: task for task in known}
        self._under_way: dict[str, Claim] = {}
        """What our workers ask about now, by task id: not asked again before they answer, though the claim lapses."""
        self._unsettled: list[_Settlement] = []
        self._to_restore: list[str] = []
        """Ids of tasks that were in a list whose file was deleted, and are not yet in the new one."""
        self._saving: set[str] = set()
        self._store_trouble = ""
        self._client_trouble = ""
        self._refused: Obstacle | None = None
        self._told_obstacle: Obstacle | None = None
        self._held_until = 0.0
        self._told_idle = -1
        self._handled = 0
        self._thread.start()

    # For the owner.

    def follow(self, generation: Generation) -> None:
        """Store a task and follow it. Answered by `Followed` or `NotFollowed`."""
        self._call(self._follow, generation)

    def change(self, task_id: str, change: Callable[[Task], Task]) -> None:
        """Apply a pure function, such as `schedule.paused`, to the stored task."""
        self._call(self._wished, self._change, task_id, change)

    def forget(self, task_id: str) -> None:
        self._call(self._wished, self._forget, task_id)

    def refresh(self) -> None:
        """Ask again although the API key was refused, and look for what other Blenders wrote."""
        self._call(self._refresh)

    def test_key(self) -> None:
        """Ask for the balance. Answered by `KeyTested`."""
        self._call(self._test_key)

    def download(self, task_id: str, parent: Path) -> None:
        """Save a task's files into its folder below `parent`.

        Answered by `DownloadProgress` and one `DownloadEnded`. While that is awaited, another call does nothing.
        """
        self._call(self._download, task_id, parent)

    def configure(self, settings: Settings) -> None:
        self._call(self._configure, settings)

    def stop(self) -> None:
        """End all threads soon. What was called before is still stored; calls under way are cut short."""
        self._stopped_at = time.monotonic()
        self._stopping = True
        self._inbox.put(lambda: None)
        self._asking.stop()
        self._downloading.stop()

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
        self._asking.end()
        self._downloading.end()
        # Claims still without an answer are given back, so that another Blender may ask at once.
        self._unsettled += [_Settlement(claim, _unchanged) for claim in self._under_way.values()]
        self._guarded(self._settle_again)
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
        except Exception as error:
            self.messages.put(Notice(_unexpected(error)))
            with suppress(Exception):  # Nobody may be reading what we print.
                traceback.print_exc()

    def _look_and_ask(self) -> None:
        self._asking.abort_overlong()
        self._reopen_if_moved()
        self._load_if_changed()
        self._settle_again()
        # Told only after asking too went well: on a full disk the list can be read, but no check can be noted.
        self._store_trouble = ""
        if not self._obstacle():
            self._ask_due()
        self._tell_obstacle()
        following = any(task.followed for task in self._tasks.values())
        if not (following or self._busy or self._unsettled) and self._told_idle != self._handled:
            self._told_idle = self._handled
            self.messages.put(Idle(self._handled))

    @property
    def _busy(self) -> bool:
        return self._asking.busy or self._downloading.busy

    @property
    def _connection(self) -> tuple[str, Secret, float]:
        return self._settings.address, self._settings.api_key, self._settings.timeout

    def _inbox_wait(self) -> float:
        now = time.time()
        awaited = (t for t in self._tasks.values() if t.followed and t.task_id not in self._under_way)
        soonest = min((task.next_check_at for task in awaited), default=now + LONGEST_WAIT)
        # Due and yet not asked: something is in the way that an inbox message or the next look ends.
        return min(soonest - now, LONGEST_WAIT) if soonest > now else LONGEST_WAIT

    @property
    def _store(self) -> Store:
        left = max(self._stopped_at + LAST_WRITES - time.monotonic(), 0.0) if self._stopping else store.LOCK_TIMEOUT
        if self._opened and self._stopping:
            self._opened.be_patient(left)
        if self._opened is None:
            self._opened = Store(self._path, left)
            if self._opened.set_aside:
                self.messages.put(
                    Notice(
                        f"The list of tasks was damaged. It now lies at {self._opened.set_aside}; "
                        f"{len(self._opened.tasks())} of its tasks could still be read and are in the list."
                    )
                )
        return self._opened

    def _reopen_if_moved(self) -> None:
        """Go on with the file that is now at the path. After a deletion that is a new one: it gets what we know."""
        if self._opened and self._opened.moved:
            if not self._path.exists():
                self._to_restore = [task.task_id for task in sorted(self._tasks.values(), key=lambda t: t.tracked_at)]
            self._opened.close()
            self._opened = None
        while self._to_restore:
            task = self._tasks.get(self._to_restore[0])
            if task:
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

    def _changed(self, task: Task) -> None:
        if self._tasks.get(task.task_id) != task:
            self._tasks[task.task_id] = task
            self.messages.put(TaskChanged(task))

    def _removed(self, task_id: str) -> None:
        if self._tasks.pop(task_id, None):
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

    def _follow(self, generation: Generation) -> None:
        now = time.time()
        new = Task(
            new_task_id(),
            generation.name,
            generation.subscription_key,
            generation.task_uuid,
            tracked_at=now,
            next_check_at=now + schedule.FIRST_CHECK,
        )
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
        except StoreError as error:
            self.messages.put(Notice(f"This was not done; press it again. {error}"))
            raise

    def _change(self, task_id: str, change: Callable[[Task], Task]) -> None:
        task = self._store.change(task_id, change)
        if task:
            self._changed(task)
        else:
            self._removed(task_id)

    def _forget(self, task_id: str) -> None:
        self._store.forget(task_id)
        self._removed(task_id)

    def _refresh(self) -> None:
        self._refused = None
        self._client_trouble = ""

    def _configure(self, settings: Settings) -> None:
        if (settings.api_key, settings.address) != (self._settings.api_key, self._settings.address):
            self._refresh()
        self._settings = settings

    def _test_key(self) -> None:
        obstacle = self._settings.obstacle
        if obstacle:
            self.messages.put(KeyTested(False, obstacle.text))
        else:
            self._asking.ask(
                lambda client: client.balance(), partial(self._key_tested, self._connection), self._connection
            )

    def _key_tested(self, connection: tuple[str, Secret, float], balance: float | Exception) -> None:
        if isinstance(balance, Exception):
            self.messages.put(KeyTested(False, _sentence(balance)))
        else:
            if connection[:2] == self._connection[:2]:
                self._refresh()
            self.messages.put(KeyTested(True, f"The API key is accepted. Balance: {balance:g} credits."))

    def _download(self, task_id: str, parent: Path) -> None:
        if task_id in self._saving:
            return
        task = self._tasks.get(task_id)
        if not task:
            self.messages.put(DownloadEnded(task_id, "", "The task is no longer in the list."))
            return
        if self._settings.obstacle:
            self.messages.put(DownloadEnded(task_id, "", self._settings.obstacle.text))
            return

        def report(text: str) -> None:
            self.messages.put(DownloadProgress(task_id, text))

        report("Waiting to download")
        self._saving.add(task_id)
        self._downloading.ask(
            lambda client: _save(client, task, parent, report), partial(self._downloaded, task), self._connection
        )

    def _downloaded(self, task: Task, saved: tuple[Path, int] | Exception) -> None:
        self._saving.discard(task.task_id)
        if isinstance(saved, tuple):
            folder, count = saved
            ended = DownloadEnded(task.task_id, str(folder), f"{count} files are in {folder}")
            self._change_and_tell(task.task_id, lambda stored: replace(stored, folder=str(folder)), ended)
        elif isinstance(saved, Refused) and saved.code == "NO_SUCH_TASK":
            # Cleared, so that the right one can be entered.
            ended = DownloadEnded(task.task_id, "", _UNKNOWN_UUID)
            self._change_and_tell(task.task_id, partial(_without_uuid, uuid=task.task_uuid), ended)
        else:
            self.messages.put(DownloadEnded(task.task_id, "", _sentence(saved)))

    def _change_and_tell(self, task_id: str, change: Callable[[Task], Task], ended: DownloadEnded) -> None:
        try:
            self._change(task_id, change)
        finally:
            self.messages.put(ended)

    # Asking for due tasks.

    def _ask_due(self) -> None:
        now = time.time()
        free = self._asking.free
        if not free or not any(
            schedule.is_due(task, now) for task in self._tasks.values() if task.task_id not in self._under_way
        ):
            return
        self._tell_held(self._store.next_request_at(now))
        if self._held_until > now:
            return
        for claim in self._store.claim_due(now, free, self._under_way):
            self._under_way[claim.task.task_id] = claim
            key = claim.task.subscription_key
            self._asking.ask(
                lambda client, key=key: client.status(key),  # type: ignore[misc]
                partial(self._answered, claim, self._connection),
                self._connection,
            )

    def _tell_held(self, until: float) -> None:
        if until != self._held_until:
            self._held_until = until
            self.messages.put(RequestsHeld(until))

    def _answered(
        self, claim: Claim, connection: tuple[str, Secret, float], outcome: tuple[Job, ...] | Exception
    ) -> None:
        self._under_way.pop(claim.task.task_id, None)
        now = time.time()
        pace, chance = self._settings.pace, random.random()
        held_until = 0.0
        change: Callable[[Task], Task]
        if isinstance(outcome, tuple):
            change = partial(schedule.after_answer, jobs=outcome, now=now, pace=pace, chance=chance)
        elif isinstance(outcome, Refused):
            change = partial(schedule.after_refusal, message=_refusal(outcome), now=now)
        elif isinstance(outcome, (NotAuthorized, ClientUnavailable)) or (
            isinstance(outcome, Aborted) and self._stopping
        ):
            # Nothing was learnt of this task: it stays due, and the obstacle, if any, is told for all.
            change = _unchanged
            if isinstance(outcome, ClientUnavailable):
                self._client_trouble = str(outcome)
            elif isinstance(outcome, NotAuthorized) and connection[:2] == self._connection[:2]:
                self._refused = Obstacle(
                    "bad_key", f"{outcome} Nothing is asked until it changes: enter another key, or press Check Now."
                )
        else:
            retry_after = outcome.retry_after if isinstance(outcome, Throttled) else None
            change = partial(
                schedule.after_failure,
                message=_sentence(outcome),
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


_UNKNOWN_UUID = (
    "The service knows no task with this uuid (NO_SUCH_TASK). Press Download and enter the \"uuid\" that stands at the "
    "top level of the generation call's answer. Results are kept for 7 days."
)


def _without_uuid(task: Task, uuid: str) -> Task:
    return replace(task, task_uuid="") if task.task_uuid == uuid else task


def _save(client: Client, task: Task, parent: Path, report: Callable[[str], None]) -> tuple[Path, int]:
    from ..service import results

    # The id is put behind what was cut to length, so that no two tasks share a folder.
    folder = Path(task.folder) if task.folder else parent / f"{results.safe_name(task.name, set())} {task.task_id}"
    return folder, len(results.save(client, task.task_uuid, folder, report))


def _sentence(error: Exception) -> str:
    """What the user reads of a failed call. A foreign exception's own text is left out: it may quote a secret."""
    if isinstance(error, Aborted):
        return "The service took too long over its answer."
    if isinstance(error, Refused):
        return _refusal(error)
    return str(error) if isinstance(error, RodinError) else _unexpected(error)


def _unexpected(error: Exception) -> str:
    return f"Something in the Rodin extension itself went wrong ({type(error).__name__}); please report it."


def _refusal(error: Refused) -> str:
    if error.code == "NO_SUCH_TASK":
        return (
            "The service knows no such task (NO_SUCH_TASK). The subscription key is wrong, was swapped with the task "
            "uuid, or is older than 7 days. Forget the task, or press Check Now to ask once more."
        )
    return f"{error}. Nothing more is asked; press Check Now to ask once more."


@dataclass
class _Question:
    call: Callable[[Client], Any]
    answered: Callable[[Any], None]
    connection: tuple[str, Secret, float]


class _Pool:
    """Up to `most` workers, made when needed. Answers are handed to `inbox`, to be taken in by the tracker thread."""

    def __init__(self, name: str, most: int, inbox: SimpleQueue[Callable[[], None]]) -> None:
        self._name = name
        self._most = most
        self._inbox = inbox
        self._waiting: list[_Question] = []
        self._workers: tuple[_Worker, ...] = ()
        self.stopping = False

    @property
    def free(self) -> int:
        """How many questions could be asked at once."""
        return max(self._most - sum(w.question is not None for w in self._workers) - len(self._waiting), 0)

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(worker.question for worker in self._workers)

    def ask(
        self, call: Callable[[Client], Any], answered: Callable[[Any], None], connection: tuple[str, Secret, float]
    ) -> None:
        """Have a worker make `call`; then `answered` gets what it returned, or its exception."""
        self._waiting.append(_Question(call, answered, connection))
        self._hand_out()

    def abort_overlong(self) -> None:
        for worker in self._workers:
            if worker.question and time.monotonic() - worker.asked_at > LONGEST_CALL:
                worker.abort()

    def end(self) -> None:
        """Let the workers end after what they are at."""
        self._waiting.clear()
        for worker in self._workers:
            worker.questions.put(None)
            worker.abort()  # Again: `stop` may have come just before a connection was begun.

    def stop(self) -> None:
        """For the owner's thread: cut short what is under way, refuse the rest."""
        self.stopping = True
        for worker in self._workers:
            worker.abort()

    def _hand_out(self) -> None:
        while self._waiting:
            worker = next((w for w in self._workers if w.question is None), None)
            if worker is None:
                if len(self._workers) >= self._most:
                    return
                worker = _Worker(f"{self._name}-{len(self._workers) + 1}", self)
                self._workers = (*self._workers, worker)
                worker.start()
            worker.question = self._waiting.pop(0)
            worker.asked_at = time.monotonic()
            worker.questions.put(worker.question)

    def answer(self, worker: _Worker, outcome: object) -> None:
        """For a worker's thread."""
        self._inbox.put(partial(self._take_in, worker, outcome))

    def _take_in(self, worker: _Worker, outcome: object) -> None:
        question, worker.question = worker.question, None
        self._hand_out()
        if question:
            question.answered(outcome)


class _Worker(threading.Thread):
    """Makes one call at a time. `question` and `asked_at` are the tracker thread's."""

    def __init__(self, name: str, pool: _Pool) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._client: Client | None = None
        self.questions: SimpleQueue[_Question | None] = SimpleQueue()
        self.question: _Question | None = None
        self.asked_at = 0.0

    def run(self) -> None:
        for question in iter(self.questions.get, None):
            try:
                outcome = question.call(self._client_for(question.connection))
            except Exception as error:
                if not isinstance(error, RodinError):
                    with suppress(Exception):  # Nobody may be reading what we print.
                        print(f"Rodin: {_unexpected(error)}", file=sys.stderr)
                outcome = error
            self._pool.answer(self, outcome)

    def abort(self) -> None:
        """For any thread: cut short the call under way. Does not wait."""
        client = self._client
        if client:
            client.abort()

    def _client_for(self, connection: tuple[str, Secret, float]) -> Client:
        try:
            from ..service.client import Client, Connection
        except ImportError as error:
            raise ClientUnavailable(
                f"This Blender's Python cannot import '{error.name}', which asking the service needs. Blender 4.2 and "
                "newer from blender.org bring it; for a Linux distribution's Blender install its python3-requests."
            ) from None
        address, api_key, timeout = connection
        wanted = Connection(address, api_key, timeout, timeout)
        if self._client is None or self._client.aborted or self._client.connection != wanted:
            self._client = Client(wanted)
        # After the client is there to be found by `abort`, and before it is used.
        if self._pool.stopping:
            raise Aborted("The call was cut short.")
        return self._client
