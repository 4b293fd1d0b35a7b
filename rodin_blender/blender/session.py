# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interface knows, held in Python: nothing of it reaches a .blend file, undo or the preferences.

The tracker's messages come in here (`handle`), in a timer; operators send wishes out through `tracker`. The
properties that the panel and other people's scripts read are a copy, see properties.py.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import handlers
from ..service.files import Progress
from ..service.keys import Generation, Secret
from ..tasks.task import Status, Task
from ..texts.text import Text, Trouble
from ..tracking.messages import (
    BalanceReceived,
    Blocker,
    BlockerChanged,
    DownloadEnded,
    DownloadProgress,
    FilesDeleted,
    Followed,
    Forgotten,
    Idle,
    KeyTested,
    Message,
    ModelChecked,
    NotFollowed,
    Notice,
    NotSubmitted,
    RequestsThrottled,
    Restored,
    Settings,
    SubmissionProgress,
    TaskChanged,
    TaskRemoved,
)
from ..tracking.tracker import Tracker
from .follow_requests import FollowRequest
from .news import News
from .voice import say

_NOTHING = Secret("")


@dataclass
class ImportRequest:
    """A wish to have a model of a task in the scene; fulfilled when its file is known to be there."""

    options: dict[str, object] = field(default_factory=dict)
    """Arguments for `rodin.import_model`; without `model`, the best one."""
    window: int = 0
    """The address of the window whose scene it is for, the first one's when 0."""
    scene: str = ""
    """The scene that the window showed when it was wished; "" for the one that it shows."""
    after_download: bool = False
    """Whether it follows from a download, and not from a press of Import."""
    automatic: bool = False
    """Whether nobody pressed a button for it: then it leaves the selection alone."""
    ready: bool = False
    """Whether the file is known to be there and whole."""
    triangles: int | None = None
    """About how many it has, None where its file does not tell."""
    waits_for: str = ""
    """What has to happen first, see `importing.blocked_by`."""


@dataclass
class Form:
    """What is typed and chosen in the panel's form, but for the options, which are settings. See form.py."""

    prompt: str = ""
    faults: dict[str, Text | Trouble | None] = field(default_factory=dict)
    """Why the service would not take a picture, None for nothing, by its file."""
    paths: dict[int, str] = field(default_factory=dict)
    """The pictures' files, by the numbers that stand in the properties instead of them."""
    saved_paths: list[str] = field(default_factory=list)
    """The pictures' files while another .blend file is opened."""
    typed: bool = False
    """Whether the prompt was typed, and Blender has not logged the edit yet."""
    used_at: float = 0.0
    """When the form was seen or touched, as `time.monotonic` has it, so that the balance was of interest; 0.0 for not
    yet."""
    sent: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Prompts and pictures that are on their way into the list, by task id."""
    originals: dict[str, list[str]] = field(default_factory=dict)
    """The files that were in the form when tasks were begun from it, by task id."""
    returned: list[tuple[str, list[str]]] = field(default_factory=list)
    """Those that did not get there, to be put back into the form."""
    set_aside: list[tuple[str, list[str]]] = field(default_factory=list)
    """Prompts and pictures that the form had no room for, the newest last. Taken back by a press."""
    in_place_of: str = ""
    """The id of a task whose blockout's place and proportions are wanted again; "" for none."""


NOTICE_KEPT = 600.0
"""Seconds after which the panel no longer tells what nobody dismissed."""
LARGEST_AUTO_IMPORT = 200_000_000
"""Bytes of a model up to which an import may follow a download by itself: Blender stands still meanwhile."""


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
        self.bytes_saved = 0
        """The size of all tasks' files."""
        self.downloads: dict[str, Progress] = {}
        """How far running downloads are, by task id."""
        self.file_troubles: dict[str, str] = {}
        """What kept the last download or import of a task from its end, by task id."""
        self.imports: dict[str, ImportRequest] = {}
        """Wished for imports, by task id."""
        self.unconfirmed_imports: dict[str, ImportRequest] = {}
        """Those that wait for a press since the model has more triangles than the settings let pass, by task id."""
        self.started_here: set[str] = set()
        """The ids of tasks that were generated or tracked in this Blender since its file was opened."""
        self.blockouts: dict[str, int] = {}
        """The objects that tasks were made from since the file was opened: their `session_uid` by task id."""
        self.made_from: dict[str, dict[str, None]] = {}
        """The ids of the tasks that were made from another one, by that one's id, the oldest first."""
        self.ended: list[str] = []
        """The ids of tasks that have become final, and whose files may be wanted."""
        self.pending_calls: deque[tuple[Any, ...]] = deque()
        """Lists of handlers and what they are to be called with, once the properties show it."""
        self.hand_offs: dict[str, str] = {}
        """Tasks to hand off once their task uuid is stored: the uuid by task id."""
        self.key_test: KeyTested | None = None
        self.key_test_wanted = False
        """Whether it is to be tested as soon as it is known."""
        self.dialog_outdated = False
        """Whether the dialog for the API key does not show the last test yet."""
        self._notice = ""
        self._notice_at = 0.0
        self.news = News()
        self.announcing = False
        """Whether a line for the status bar waits to be seen."""
        self.tab_wanted: tuple[int, float] | None = None
        """The address of an area whose sidebar is to show the Rodin tab, and until when that is tried."""
        self.typed_key = Secret("")
        self.forgotten: list[list[Task]] = []
        """What each Forget removed from the list, oldest first. In memory only: it does not come back by itself."""
        self.forgotten_at = 0.0
        self._forgotten_together: dict[str, list[Task]] = {}
        """Where those that are being forgotten together are gathered, by task id."""
        self.follow_requests: deque[FollowRequest] = deque()
        """Presses of Follow and Paste that the tracker has not answered yet, the oldest first."""
        self.form = Form()
        self.balance: float | None = None
        """The account's credits as last heard, None while nothing was."""
        self.balance_asked = False
        self.uploads: dict[str, tuple[int, int]] = {}
        """How many of how many bytes of a submission have left us, by task id."""
        self._idle_after = -1

    def connect(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._idle_after = -1

    @property
    def test_of_key_in_use(self) -> KeyTested | None:
        """The last test of a key, where that was not of another one that was only tried."""
        return self.key_test if self.key_test and self.key_test.api_key == self.settings.api_key else None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do, and nothing was asked of the tracker since it said so."""
        waiting = self.news or self.tab_wanted or self.imports or self.ended or self.pending_calls
        return self.tracker is not None and self.tracker.calls == self._idle_after and not waiting

    def disconnect(self) -> None:
        if self.tracker:
            self.tracker.stop()
            self.tracker = None
        # Without a tracker nobody tells when these are over; the next one tells them anew.
        self.blocker = None
        self.throttled_until = 0.0
        self.follow_requests.clear()

    @property
    def notice(self) -> str:
        """What the panel tells, until it is dismissed or old."""
        return self._notice if time.time() < self._notice_at + NOTICE_KEPT else ""

    def dismiss(self) -> None:
        self._notice = ""

    def forget_together(self, task_ids: Iterable[str]) -> None:
        """Have these, which the tracker is told to forget, come back by one Undo Forget."""
        together: list[Task] = []
        self._forgotten_together.update((task_id, together) for task_id in task_ids)

    def tell(self, said: Text | Trouble | str) -> None:
        """Show it in the panel until it is dismissed, and once in the status bar."""
        text = say(said)
        self._notice, self._notice_at = text, time.time()
        self.news.tell(text)
        self.needs_redraw = True

    def file_loaded(self) -> None:
        """Another file was opened: the properties are empty, and no import was meant for it."""
        interrupted = (self.tasks.get(task_id) for task_id in (*self.imports, *self.unconfirmed_imports))
        names = [f"'{task.name}'" for task in interrupted if task]
        if names:
            self.tell(f"For the file before, but not yet imported: {', '.join(names)}. Press Import to have it here.")
        self.imports.clear()
        self.unconfirmed_imports.clear()
        self.started_here.clear()
        self.blockouts.clear()
        self.dirty_tasks = dict.fromkeys(self.tasks)
        self.needs_redraw = True

    def handle(self, message: Message) -> None:
        # What is drawn changes with each message but those that are sorted out below.
        drawn = True
        match message:
            case TaskChanged(task):
                before = self.tasks.get(task.task_id)
                self.tasks[task.task_id] = task
                self.dirty_tasks[task.task_id] = None
                if task.parent:
                    self.made_from.setdefault(task.parent, {})[task.task_id] = None
                self.bytes_saved += task.size - (before.size if before else 0)
                # Its times are drawn anew as the clock ticks.
                lists = handlers.lists_for(before, task)
                drawn = bool(lists)
                self.pending_calls.extend((functions, task) for functions in lists)
                self._handle_submission(before, task)
                if before and task.status.final and not before.status.final:
                    self.news.tell_ended(task)
                    if task.status.has_files:
                        self.ended.append(task.task_id)
            case TaskRemoved(task_id):
                removed = self.tasks.pop(task_id, None)
                self.bytes_saved -= removed.size if removed else 0
                if removed and removed.parent:
                    self.made_from.get(removed.parent, {}).pop(task_id, None)
                self.uploads.pop(task_id, None)
                self.form.originals.pop(task_id, None)
                known_by_id = self.downloads, self.file_troubles, self.imports, self.unconfirmed_imports, self.hand_offs
                for known in known_by_id:
                    known.pop(task_id, None)
                self.dirty_tasks[task_id] = None
            case Followed(task, was_known):
                self.select = task.task_id
                self.started_here.add(task.task_id)
                for group in self.forgotten:
                    group[:] = [old for old in group if old.subscription_key != task.subscription_key]
                self.forgotten = [group for group in self.forgotten if group]
                if task.subscription_key == self.typed_key:
                    self.typed_key = Secret("")
                self._follow_request.succeed(task.name, was_known)
                self._end_follow_request()
            case Forgotten(task):
                group = self._forgotten_together.pop(task.task_id, [])
                if not group:
                    self.forgotten.append(group)
                group.append(task)
                self.forgotten_at = time.time()
            case Restored(task_id):
                self.select = task_id
            case NotFollowed(said):
                self._follow_request.fail()
                self._end_follow_request()
                self.tell(said)
            case Notice(said):
                self.tell(said)
            case NotSubmitted(task_id, said):
                self.tell(said)
                self.started_here.discard(task_id)
                self.select = ""
                if task_id in self.form.sent:
                    self.form.returned.append(self.form.sent.pop(task_id))
            case SubmissionProgress(task_id, sent, total):
                self.uploads[task_id] = sent, total
            case BalanceReceived(credits):
                self.balance = credits
            case BlockerChanged(blocker):
                self.blocker = blocker
            case RequestsThrottled(until):
                self.throttled_until = until
            case KeyTested():
                self.key_test = message
                self.dialog_outdated = True
            case DownloadProgress(task_id, progress):
                self.downloads[task_id] = progress
                self.file_troubles.pop(task_id, None)
            case DownloadEnded(task_id, folder, said, cancelled, missing):
                self.downloads.pop(task_id, None)
                if not folder:
                    self.imports.pop(task_id, None)
                elif task_id in self.tasks:
                    self.pending_calls.append((handlers.download_done, self.tasks[task_id]))
                if self.tracker and task_id in self.imports:
                    self.tracker.check_model(task_id, str(self.imports[task_id].options.get("model", "")))
                self.tell_of_files(task_id, said, trouble=bool(missing) or not (folder or cancelled))
            case FilesDeleted(task_id, said, failed):
                self.unconfirmed_imports.pop(task_id, None)
                self.tell_of_files(task_id, said, trouble=failed)
            case ModelChecked():
                self._handle_check(message)
            case Idle(calls):
                self._idle_after = calls
                drawn = False
        self.needs_redraw |= drawn

    def follow(
        self, tracker: Tracker, generations: Sequence[Generation], typed: Secret = _NOTHING, task_id: str = ""
    ) -> None:
        """Have the tracker follow these; the only one under this id, where one is given and its key is new.

        `typed` is what was in the panel's field, where they come from there.
        """
        self.follow_requests.append(FollowRequest(len(generations), typed))
        for generation in generations:
            tracker.follow(generation, task_id)

    @property
    def _follow_request(self) -> FollowRequest:
        if not self.follow_requests:
            self.follow_requests.append(FollowRequest())
        return self.follow_requests[0]

    def _end_follow_request(self) -> None:
        request = self._follow_request
        if request.awaited > 0:
            return
        self.follow_requests.popleft()
        if not request.failed and request.typed == self.typed_key:
            self.typed_key = Secret("")
        if request.text:
            self.news.tell(request.text)

    def _handle_submission(self, before: Task | None, task: Task) -> None:
        """What is to be told, and to whom, when a task that was begun here is another step further."""
        self.form.sent.pop(task.task_id, None)
        if task.status is not Status.SENDING:
            self.uploads.pop(task.task_id, None)
        if task.kind and task.status.submitted and not (before and before.status.submitted):
            # Whoever sent it, here or in a shell: it has cost something.
            self.balance_asked = False
        if before is None or before.status.submitted or task.status is before.status:
            return
        if task.status is Status.REJECTED:
            self.news.tell(f"'{task.name}' was rejected. {say(task.trouble)}")
        elif task.status is Status.UNCERTAIN:
            self.news.tell(f"Nobody knows whether '{task.name}' was accepted; see the sidebar")

    def tell_of_files(self, task_id: str, said: Text | Trouble | str | None, *, trouble: bool) -> None:
        """News of a task's files or its import; a trouble stays in the panel until the next attempt."""
        text = say(said)
        if task_id in self.tasks and text:
            self.file_troubles.pop(task_id, None)
            if trouble:
                self.file_troubles[task_id] = text
            self.news.tell(f"'{self.tasks[task_id].name}': {text}")

    def _handle_check(self, checked: ModelChecked) -> None:
        task_id, size = checked.task_id, checked.size
        trouble: Text | Trouble | None = checked.trouble
        request = self.imports.get(task_id)
        if request is None:
            return
        if not trouble and request.after_download and size > LARGEST_AUTO_IMPORT:
            trouble = Text(
                "The model has {size:size}: Blender stands still while it imports that. "
                "Press Import when you can wait.",
                size=size,
            )
        if trouble:
            del self.imports[task_id]
            self.tell_of_files(task_id, trouble, trouble=True)
        else:
            request.ready, request.triangles = True, checked.triangles
