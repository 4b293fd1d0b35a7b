# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracker whose messages a command takes in by a loop, as Blender's timer does where there is a window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Empty
from types import TracebackType

from .. import handlers
from ..service.errors import RodinError
from ..storage.store import Store
from ..tasks.task import Status, Task
from ..texts.text import Text, Trouble
from ..tracking.messages import (
    Blocker,
    BlockerChanged,
    DownloadEnded,
    Message,
    Notice,
    Settings,
    TaskChanged,
    TaskRemoved,
)
from ..tracking.tracker import Tracker
from . import hooks
from .host import Host
from .output import Exit, Output, task_line

LONGEST_NAME = 100
STOP_TIMEOUT = 5.0
"""Seconds that a command waits for its tracker to store what it knows."""
SHORTEST_RENEWAL = 60.0
"""Seconds: a key from a command that is refused sooner after the last one is not asked for again."""
NOT_ACCEPTED = {
    Status.UNSENT: Exit.TROUBLE,
    Status.SENDING: Exit.TROUBLE,
    Status.UNCERTAIN: Exit.UNCERTAIN,
    Status.REJECTED: Exit.FAILED,
}
"""What a task that the service has not accepted means for the exit code."""


class CommandEnd(RodinError):
    """The command ends here, with this exit code, and why."""

    def __init__(self, code: Exit, said: Text | Trouble | str) -> None:
        super().__init__(said if isinstance(said, Trouble) else Trouble(code.name.lower(), said))
        self.code = code


def check(blocker: Blocker | None) -> None:
    """Raises CommandEnd for what keeps all tasks from being asked about."""
    if blocker:
        codes = {"offline": Exit.OFFLINE, "store": Exit.TROUBLE}
        raise CommandEnd(codes.get(blocker.code, Exit.USAGE), blocker)


@contextmanager
def open_store(path: Path, output: Output) -> Iterator[Store]:
    """The list of tasks. Raises StoreError."""
    with closing(Store(path)) as store:
        damage = store.damage_text()
        if damage:
            output.live(damage, time.time())
        yield store


def report_refused(output: Output, refused: list[str]) -> Exit:
    """Tell of the error answers of `arguments.generations`. Returns what they mean for the exit code."""
    for text in refused:
        output.live(text, time.time())
    return Exit.FAILED if refused else Exit.DONE


class Follower:
    """Follows the list until its block ends. `tasks` holds what is known, by id."""

    def __init__(self, host: Host, output: Output, path: Path | None = None, deadline: float | None = None) -> None:
        """`path` is another list than the user's, `deadline` another longest time (seconds) than is set.

        Raises CommandEnd where nothing can be asked.
        """
        self._host = host
        self._deadline = deadline
        settings = self._settings()
        check(settings.blocker)
        self.tasks: dict[str, Task] = {}
        self.tracker = Tracker(path or host.list_path, settings)
        self._key_renewed_at = float("-inf")
        self._output = output
        self._reported: dict[str, str] = {}

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tracker.stop()
        self.tracker.join(STOP_TIMEOUT)

    def messages(self, until: float) -> Iterator[Message]:
        """What the tracker tells, up to `until` (monotonic seconds); `tasks` is up to date with it.

        Raises CommandEnd where nothing can be asked any more.
        """
        while True:
            try:
                message = self.tracker.messages.get(timeout=min(max(until - time.monotonic(), 0.0), 1.0))
            except Empty:
                if time.monotonic() >= until:
                    return
                continue
            match message:
                case TaskChanged(task):
                    before = self.tasks.get(task.task_id)
                    self.tasks[task.task_id] = task
                    if before:
                        hooks.changed(self._output, before, task)
                case DownloadEnded(task_id, folder) if folder and task_id in self.tasks:
                    hooks.call(self._output, handlers.download_done, self.tasks[task_id])
                case TaskRemoved(task_id):
                    self.tasks.pop(task_id, None)
                case BlockerChanged(blocker):
                    if not (blocker and blocker.code == "bad_key" and self._renew_key()):
                        check(blocker)
                case Notice(said):
                    self.live(said)
            yield message

    def _settings(self) -> Settings:
        settings = self._host.settings
        if self._deadline is None:
            return settings
        return replace(settings, pace=replace(settings.pace, deadline=self._deadline))

    def _renew_key(self) -> bool:
        """Go on with another API key, if there is one now: the one from a command may have run out.

        Raises BadInput where the command fails.
        """
        if time.monotonic() < self._key_renewed_at + SHORTEST_RENEWAL or not self._host.renew_key():
            return False
        self._key_renewed_at = time.monotonic()
        self.tracker.configure(self._settings())
        return True

    def live(self, said: Text | Trouble | str) -> None:
        self._output.live(said, time.time())

    def live_task(self, task: Task) -> None:
        """Tell how a task is, unless that was the last that was told of it."""
        line = task_line(task, self._output.voice)
        if self._reported.get(task.task_id) != line:
            self._reported[task.task_id] = line
            self.live(line)
