# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows tasks in threads of its own and tells what happened through a queue.

One thread ("rodin-tracker") owns the store and decides; a few workers ask the service, so that a hung call holds up
only itself. Whoever owns the tracker calls its methods, which return at once, and reads `messages`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..service.errors import BadInput, frames, trouble_of
from ..service.keys import Generation
from ..storage import folders
from ..storage.database import StoreError
from ..storage.outbox import Outbox, OutboxError
from ..tasks import schedule
from ..tasks.generation_request import GenerationRequest
from ..tasks.task import Download, Task
from ..texts.actions import Action
from ..texts.text import Text, Trouble
from .account import Account
from .downloads import Downloads, not_started
from .messages import (
    PENDING,
    Blocker,
    BlockerChanged,
    DownloadEnded,
    Followed,
    Forgotten,
    Idle,
    Message,
    NotFollowed,
    Notice,
    NotSubmitted,
    Restored,
    Settings,
)
from .polling import Polling
from .send_limits import SendLimits
from .submitting import Submissions
from .task_cache import GONE, TaskCache
from .workers import Connections

_log = logging.getLogger(__name__)

LONGEST_WAIT = 1.0
"""Seconds between two looks at the store for what other Blenders wrote."""
ANSWERS_TIMEOUT = 1.0
"""Seconds that a stopping tracker waits for its workers' answers."""
SUBMISSIONS_TIMEOUT = 5.0
"""Seconds more that it waits for the answers to what is being sent: one that comes later is a lost model."""
WRITES_TIMEOUT = 1.5
"""Seconds from `stop` on in which a stopping tracker waits for other Blenders that hold the list locked; all in all."""


class Tracker:
    """Follows every task of the store at `path` until `stop`. All methods are for one thread and return at once."""

    def __init__(self, path: Path, settings: Settings, known: Iterable[Task] = ()) -> None:
        """`known` are the tasks as the owner has them: told is only what is not so, or no longer."""
        self.messages: SimpleQueue[Message] = SimpleQueue()
        self.calls = 0
        """How many calls were made, to compare with `Idle.calls`."""
        self._settings = settings
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stopping = False
        self._cache = TaskCache(path, known, self.messages.put, self._on_removed)
        self._cache.configure(settings)
        self._tell = tell = self._cache.log.telling(self.messages.put)
        self._polling = Polling(self._inbox, self._cache, lambda: self._settings, tell)
        self._downloads = Downloads(self._inbox, self._cache.change, tell, lambda: self._settings.names)
        self._submissions = Submissions(
            Outbox(folders.outbox(path.parent)),
            self._inbox,
            self._cache.add,
            self._cache.change,
            self._cache.remove,
            self._polling.key_refused,
            tell,
        )
        pools = (self._submissions.pool, self._polling.pool, self._downloads.pool)
        self._connections = Connections(settings.connection_limit, *pools)
        self._send_limits = SendLimits(self._cache, lambda: self._settings)
        self._account = Account(self._polling, lambda: self._settings, tell)
        for task in self._cache.by_id.values():
            self._polling.task_changed(task)
        # The thread is no daemon, so that it stores all it was told before the interpreter exits. See `_ending`.
        self._thread = threading.Thread(target=self._run, name="rodin-tracker", daemon=False)

        # The attributes from here on belong to the tracker thread.
        self._store_trouble: Trouble | None = None
        self._last_blocker: Blocker | None = None
        self._last_idle = -1
        self._handled = 0
        self._thread.start()

    # For the owner.

    def follow(self, generation: Generation, task_id: str = "") -> None:
        """Store a task and follow it, under this id where its key is new. Answered by `Followed` or `NotFollowed`."""
        self._call(self._follow, generation, task_id)

    def generate(self, request: GenerationRequest) -> None:
        """Have a model generated: kept on the disk, then sent, once. Answered by `NotSubmitted` where it cannot be.

        What becomes of it is told by `TaskChanged` and `SubmissionProgress`.
        """
        self._call(self._generate, request)

    def send_now(self, task_id: str) -> None:
        """Send a task that was not sent yet. Answered by `NotSubmitted` where it has left the list."""
        gone = NotSubmitted(task_id, GONE)
        self._call(self._reporting_errors, self._cache.with_task, task_id, self._submissions.send_now, gone)

    def cancel_submission(self, task_id: str) -> None:
        """Not send a task, unless its first byte has left: that is told by a `Notice`."""
        self._call(self._reporting_errors, self._cache.with_task, task_id, self._submissions.cancel)

    def send_again(self, task_id: str, new_task_id: str) -> None:
        """Have what is uncertain generated once more, as another task in its place. It may be charged twice.

        Answered by `NotSubmitted` where it cannot be.
        """
        self._call(self._reporting_errors, self._send_again, task_id, new_task_id)

    def settle(self, task_id: str, answer: bytes) -> None:
        """End an uncertain task with the service's answer to it, as JSON, which the user found elsewhere."""
        settle = partial(self._submissions.settle, answer=answer, others=self._cache.by_id.values())
        self._call(self._reporting_errors, self._cache.with_task, task_id, settle)

    def ask_balance(self) -> None:
        """Answered by `BalanceReceived`, where the service tells it."""
        self._call(self._account.ask)

    def change(self, task_id: str, change: Callable[[Task], Task]) -> None:
        """Apply a pure function, such as `schedule.paused`, to the stored task."""
        self._call(self._reporting_errors, self._cache.change, task_id, change)

    def forget(self, task_id: str, *, files: bool = False) -> None:
        """Remove a task from the list. Answered by `Forgotten`.

        With `files`, what was saved for it is deleted first. A task whose files could not be deleted stays.
        """
        self._call(self._reporting_errors, self._forget, task_id, files)

    def restore(self, task: Task) -> None:
        """Put a forgotten task into the list again. Answered by `Restored`, or by `Forgotten` where it could not be."""
        self._call(self._reporting_errors, self._restore, task)

    def refresh(self) -> None:
        """Ask again although the API key was refused, and look for what other Blenders wrote."""
        self._call(self._polling.refresh)

    def test_key(self, settings: Settings | None = None) -> None:
        """Ask for the balance, with other settings than those in use if given. Answered by `KeyTested`."""
        self._call(self._account.test, settings)

    def download(self, task_id: str, parent: Path, *, again: bool = False) -> None:
        """Save a task's files into a folder of its own below `parent`, or where they were saved before.

        With `again` those that are there are fetched anew, too. Answered by `DownloadProgress` and one `DownloadEnded`,
        unless the task is forgotten before. While that is awaited, another call does nothing.
        """
        self._call(self._download, task_id, parent, again)

    def cancel_download(self, task_id: str) -> None:
        """Answered by the `DownloadEnded`, unless it had just ended. What has arrived stays for the next attempt."""
        self._call(self._reporting_errors, self._cache.with_task, task_id, self._downloads.cancel)

    def delete_files(self, task_id: str) -> None:
        """Delete the files that were saved for a task. Answered by `FilesDeleted`."""
        self._call(self._reporting_errors, self._cache.with_task, task_id, self._downloads.delete)

    def check_model(self, task_id: str, name: str = "") -> None:
        """See whether a model of the task, the best unless named, can be imported. Answered by `ModelChecked`."""
        self._call(self._cache.with_task, task_id, partial(self._downloads.check, name=name))

    def configure(self, settings: Settings) -> None:
        self._call(self._configure, settings)

    def stop(self) -> None:
        """End all threads soon. What was called before is still stored; calls under way are cut short."""
        self._cache.lock_deadline = time.monotonic() + WRITES_TIMEOUT
        self._stopping = True
        self._inbox.put(lambda: None)
        self._polling.pool.stop()
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
            self._guarded(self._sync_and_poll)
            self._run_next(self._next_wait())
        while not self._inbox.empty():
            self._run_next(0.0)
        end = time.monotonic() + ANSWERS_TIMEOUT
        while self._busy and time.monotonic() < end:
            self._run_next(end - time.monotonic())
        end = time.monotonic() + SUBMISSIONS_TIMEOUT
        while self._submissions.pool.busy and time.monotonic() < end:
            self._run_next(end - time.monotonic())
        self._connections.end()
        for last in (self._polling.release_claims, self._downloads.store_pending, self._submissions.end):
            self._guarded(last)
        self._cache.close()

    @property
    def _ending(self) -> bool:
        if not self._stopping and not threading.main_thread().is_alive():
            self.stop()  # The program exits, and nobody told us.
        return self._stopping

    def _run_next(self, timeout: float) -> None:
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
            self._report_store_trouble(error.trouble)
        except Exception as error:
            self._tell(Notice(trouble_of(error)))
            if not isinstance(error, OutboxError):
                _log.error("%s\n%s", trouble_of(error), frames(error))

    def _sync_and_poll(self) -> None:
        self._polling.pool.abort_timed_out()
        if self._cache.reopen_if_moved():
            self._submissions.look_at_all()
        if self._cache.load_if_changed(self._polling.unstored):
            self._downloads.find_unfinished(self._cache.by_id.values())
        self._polling.store_results()
        self._downloads.store_pending()
        self._submissions.store_pending()
        self._submissions.sync(self._cache.by_id, self._settings.api_key)
        # The trouble ends only after polling went well, too: a full disk allows reading the list, but no claim.
        self._store_trouble = None
        if not self._blocker():
            self._downloads.resume(self._cache.by_id.values(), self._settings.connection)
            self._submissions.send_due(self._settings.connection, self._send_limits)
            self._polling.ask_due()
        self._cache.renew_copy()
        self._tell_blocker()
        busy = self._polling.busy or self._downloads.busy or self._submissions.busy
        if not busy and self._last_idle != self._handled:
            self._last_idle = self._handled
            self._tell(Idle(self._handled))

    @property
    def _busy(self) -> bool:
        return self._polling.pool.busy or self._downloads.pool.busy

    def _next_wait(self) -> float:
        now = time.time()
        known = (at for at in (self._polling.due_queue.soonest, self._submissions.soonest) if at is not None)
        soonest = min(known, default=None)
        # What blocks a task that is due and was not polled ends with an inbox message or the next turn.
        return min(soonest - now, LONGEST_WAIT) if soonest is not None and soonest > now else LONGEST_WAIT

    def _on_removed(self, task: Task) -> None:
        self._polling.due_queue.drop(task.task_id)
        self._downloads.forget(task)
        self._submissions.drop(task)

    def _report_store_trouble(self, trouble: Trouble) -> None:
        self._store_trouble = trouble
        self._tell_blocker()

    def _blocker(self) -> Blocker | None:
        polling = self._polling
        return self._store_trouble or self._settings.blocker or polling.client_trouble or polling.refused

    def _tell_blocker(self) -> None:
        blocker = self._blocker()
        if blocker != self._last_blocker:
            self._last_blocker = blocker
            self._tell(BlockerChanged(blocker))

    # Calls of the owner.

    def _follow(self, generation: Generation, task_id: str) -> None:
        new = schedule.new_task(generation, time.time(), task_id)
        try:
            task = self._cache.store.add(new)
        except StoreError as error:
            text = "The task is not followed yet, its key could not be stored. {why}"
            self._tell(NotFollowed(Text(text, why=error.trouble)))
            raise
        self._cache.changed(task)
        self._tell(Followed(task, was_known=task.task_id != new.task_id))

    def _reporting_errors(self, method: Callable[..., None], *args: Any) -> None:
        """What a user pressed, and so must be told of when it could not be done."""
        try:
            method(*args)
        except BadInput as error:
            self._tell(Notice(error.trouble))
        except (OutboxError, StoreError) as error:
            text = Text("This was not done. {why}", why=error.trouble)
            self._tell(Notice(Trouble(error.trouble.code, text, Action.TRY_AGAIN)))
            if isinstance(error, StoreError):
                raise

    def _forget(self, task_id: str, files: bool) -> None:
        """Raises BadInput for a task that is just being sent."""
        if files:
            self._cache.with_task(task_id, self._downloads.delete)
        task = self._cache.by_id.get(task_id)
        if task and files and task.folder:
            return
        self._remove(task_id)
        if task:
            self._tell(Forgotten(task))

    def _remove(self, task_id: str) -> None:
        """Remove a task from the list. Raises BadInput for one that is just being sent."""
        task = self._cache.by_id.get(task_id)
        if task:
            self._submissions.forget(task)
        else:
            self._cache.remove(task_id, None)

    def _restore(self, task: Task) -> None:
        # Its unfinished files were removed, and a download is not to go on by itself.
        download = Download.NONE if task.download is Download.WANTED else task.download
        known = replace(task, download=download, folder=task.folder if task.files else "")
        try:
            restored = self._submissions.restore(task, lambda: self._cache.store.add(known))
        except (OutboxError, StoreError):
            self._tell(Forgotten(task))
            raise
        self._cache.changed(restored)
        self._tell(Restored(restored.task_id))

    def _configure(self, settings: Settings) -> None:
        if not settings.connection.same_account(self._settings.connection):
            self._polling.refresh()
        self._settings = settings
        self._cache.configure(settings)
        self._connections.configure(settings.connection_limit)

    def _generate(self, request: GenerationRequest) -> None:
        blocker = self._settings.blocker
        if blocker and blocker.code != PENDING:
            self._tell(NotSubmitted(request.task_id, Text("Nothing was sent. {why}", why=blocker)))
        else:
            self._submissions.prepare(request, self._settings.connection)

    def _send_again(self, task_id: str, new_task_id: str) -> None:
        again = partial(self._submissions.send_again, task_id=new_task_id, connection=self._settings.connection)
        self._cache.with_task(task_id, again, NotSubmitted(new_task_id, GONE))

    def _download(self, task_id: str, parent: Path, again: bool) -> None:
        task = self._cache.by_id.get(task_id)
        if not task:
            self._tell(DownloadEnded(task_id, "", Text("The task is no longer in the list.")))
        elif self._settings.blocker:
            self._tell(DownloadEnded(task_id, "", not_started(self._settings.blocker)))
        else:
            try:
                self._downloads.begin(task, parent, self._settings.connection, again=again)
            except StoreError as error:
                self._tell(DownloadEnded(task_id, "", not_started(error.trouble)))
                raise
