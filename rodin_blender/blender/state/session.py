# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interface knows, held in Python: nothing of it reaches a .blend file, undo or the preferences.

The timer hands each of the tracker's messages to `handle`, which keeps the tasks and passes the message on to the
session's parts; each part knows one thing and takes what concerns it. Operators call the tracker. The properties that
the panel and other people's scripts read are a view of all this, see task_properties.py.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ... import handlers
from ...tasks.task import Task
from ...texts.phrases import quoted
from ...texts.text import Text, Trouble
from ...tracking.messages import (
    Blocker,
    BlockerChanged,
    DownloadEnded,
    Followed,
    Idle,
    Message,
    Notice,
    NotSubmitted,
    RequestsThrottled,
    Restored,
    Settings,
    TaskChanged,
    TaskRemoved,
)
from ...tracking.tracker import Tracker
from .account import Account
from .follow_requests import FollowRequests
from .forgotten import ForgottenTasks
from .form_state import FormState
from .import_queue import ImportQueue
from .key_test import KeyTest
from .news import News
from .task_files import TaskFiles


class Session:
    """For the main thread."""

    def __init__(self) -> None:
        self.tracker: Tracker | None = None
        self.settings = Settings()
        self.tasks: dict[str, Task] = {}
        self.dirty_tasks: dict[str, None] = {}
        """The ids of tasks whose properties are not as `tasks` has them, in the order of change."""
        self.needs_redraw = False
        """Whether something that is drawn has changed since the sidebar was told to redraw."""
        self.select = ""
        """The id of a task to make the active one."""
        self.blocker: Blocker | None = None
        self.throttled_until = 0.0
        self.started_here: set[str] = set()
        """The ids of tasks that were generated or tracked in this Blender since its file was opened."""
        self.blockouts: dict[str, int] = {}
        """The objects that tasks were made from since the file was opened: their `session_uid` by task id."""
        self.made_from: dict[str, dict[str, None]] = {}
        """The ids of the tasks that were made from another one, by that one's id, the oldest first."""
        self.pending_calls: deque[tuple[Any, ...]] = deque()
        """What `Hooks.call` is to be called with, once the properties show it."""
        self.tab_wanted: tuple[int, float] | None = None
        """The address of an area whose sidebar is to show the Rodin tab, and until when that is tried."""
        self._idle_after = -1

        self.news = News()
        self.files = TaskFiles(self.tasks, self.news)
        self.imports = ImportQueue(self.files, self._check_model)
        self.form = FormState()
        self.follow_requests = FollowRequests(self.news)
        self.forgotten = ForgottenTasks()
        self.account = Account(self.news)
        self.key_test = KeyTest()
        self._parts = (
            self.files, self.imports, self.form, self.follow_requests, self.forgotten, self.account, self.key_test
        )  # fmt: skip

    def connect(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._idle_after = -1

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do, and nothing was asked of the tracker since it said so."""
        waiting = self.news or self.tab_wanted or self.imports or self.files.ended or self.pending_calls
        return self.tracker is not None and self.tracker.calls == self._idle_after and not waiting

    def disconnect(self) -> None:
        if self.tracker:
            self.tracker.stop()
            self.tracker = None
        # Without a tracker nobody tells when these are over; the next one tells them anew.
        self.blocker = None
        self.throttled_until = 0.0
        self.follow_requests.pending.clear()

    def tell(self, said: Text | Trouble) -> None:
        """Show it in the panel until it is dismissed, and once in the status bar."""
        self.news.show(said)
        self.needs_redraw = True

    def file_loaded(self) -> None:
        """Another file was opened: the properties are empty, and no import was meant for it."""
        interrupted = [self.tasks[task_id] for task_id in self.imports.clear() if task_id in self.tasks]
        if interrupted:
            names = quoted([task.name for task in interrupted], len(interrupted))
            text = "For the file before, but not yet imported: {names}. Press Import to have it here."
            self.tell(Text(text, names=names))
        self.started_here.clear()
        self.blockouts.clear()
        self.dirty_tasks = dict.fromkeys(self.tasks)
        self.needs_redraw = True

    def handle(self, message: Message) -> None:
        before = self.tasks.get(_task_id(message))
        # What is drawn changes with each message but those that are sorted out below.
        drawn = True
        match message:
            case TaskChanged(task):
                self.tasks[task.task_id] = task
                self.dirty_tasks[task.task_id] = None
                if task.parent:
                    self.made_from.setdefault(task.parent, {})[task.task_id] = None
                # Its times are drawn anew as the clock ticks.
                lists = handlers.lists_for(before, task)
                drawn = bool(lists)
                self.pending_calls.extend((functions, task) for functions in lists)
                if before and task.status.final and not before.status.final:
                    self.news.tell_ended(task)
            case TaskRemoved(task_id):
                self.tasks.pop(task_id, None)
                self.dirty_tasks[task_id] = None
                if before and before.parent:
                    self.made_from.get(before.parent, {}).pop(task_id, None)
            case Followed(task):
                self.select = task.task_id
                self.started_here.add(task.task_id)
            case Restored(task_id):
                self.select = task_id
            case Notice(said):
                self.tell(said)
            case NotSubmitted(task_id, said):
                self.tell(said)
                self.started_here.discard(task_id)
                self.select = ""
            case DownloadEnded(task_id, folder) if folder and before:
                self.pending_calls.append((handlers.download_done, before))
            case BlockerChanged(blocker):
                self.blocker = blocker
            case RequestsThrottled(until):
                self.throttled_until = until
            case Idle(calls):
                self._idle_after = calls
                drawn = False
        for part in self._parts:
            part.handle(message, before)
        self.needs_redraw |= drawn

    def _check_model(self, task_id: str, name: str) -> None:
        if self.tracker:
            self.tracker.check_model(task_id, name)


def _task_id(message: Message) -> str:
    """The id of the task that a message is about, "" for none."""
    task: Task | None = getattr(message, "task", None)
    return task.task_id if task else getattr(message, "task_id", "")
