# SPDX-License-Identifier: GPL-3.0-or-later
"""What is logged of tasks: one line for each submission, end and trouble, by Python's `logging`.

Each record has `fields`: what happened (`event`), then what is known of it. No key is ever among them. Prompts, and the
names that are made of them, are only where a setting allows it. Logged is what this program did and saw: what another
Blender wrote into the list, that one logs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from ..tasks.task import Status, Task
from .messages import (
    BlockerChanged,
    DownloadEnded,
    FilesDeleted,
    KeyTested,
    Message,
    NotFollowed,
    Notice,
    NotSubmitted,
)

_log = logging.getLogger(__name__)

_QUOTED = re.compile(r"'.*'", re.DOTALL)
"""The names of tasks and files stand in quotes in all sentences."""


class TaskLog:
    def __init__(self) -> None:
        self.with_prompts = False

    def telling(self, tell: Callable[[Message], None]) -> Callable[[Message], None]:
        """`tell`, with what is to be logged of each message."""

        def logged(message: Message) -> None:
            self._log_message(message)
            tell(message)

        return logged

    def changed(self, before: Task | None, task: Task) -> None:
        """A task that this program has made or changed."""
        status, was = task.status, before.status if before else None
        if status is not was and status.final:
            level = logging.INFO if status is Status.DONE else logging.WARNING
            self._event(level, "ended", task, status=status.value, seconds=round(task.finished_at - task.tracked_at, 1))
        elif status is not was and status in (Status.REJECTED, Status.UNCERTAIN):
            self._event(logging.WARNING, status.value.lower(), task, text=task.message)
        elif was and before and not before.status.submitted and status.submitted:
            self._event(logging.INFO, "submitted", task, credits=task.credits, price=task.price)
        elif before is None and status is Status.UNKNOWN:
            self._event(logging.INFO, "followed", task)
        elif task.trouble and before and task.trouble != before.trouble:
            known = {"status": status.value, "code": task.trouble.code, "text": task.message}
            self._event(logging.WARNING, "trouble", task, **known)

    def _log_message(self, message: Message) -> None:
        match message:
            case BlockerChanged(blocker) if blocker:
                self._line(logging.WARNING, "obstacle", code=blocker.code, text=str(blocker))
            case NotSubmitted(task_id, said):
                self._line(logging.WARNING, "not_submitted", task_id=task_id, text=str(said))
            case DownloadEnded(task_id, folder, said) if said:
                level = logging.INFO if folder or message.cancelled else logging.WARNING
                self._line(level, "downloaded" if folder else "not_downloaded", task_id=task_id, text=str(said))
            case FilesDeleted(task_id, said, failed):
                level = logging.WARNING if failed else logging.INFO
                self._line(level, "files_deleted", task_id=task_id, text=str(said))
            case KeyTested(accepted, said) if not accepted:
                self._line(logging.WARNING, "key_refused", text=str(said))
            case Notice(said) | NotFollowed(said):
                self._line(logging.WARNING, "notice", text=str(said))

    def _event(self, level: int, event: str, task: Task, **more: Any) -> None:
        known: dict[str, Any] = {"task_id": task.task_id, "task_uuid": task.task_uuid, **more}
        if task.options:
            known["tier"] = task.options.get("tier")
        if "text" in known and task.prompt and not self.with_prompts:
            known["text"] = str(known["text"]).replace(task.prompt, "…")
        if self.with_prompts:
            known |= {"name": task.name, "prompt": task.prompt}
        self._line(level, event, **known)

    def _line(self, level: int, event: str, **more: Any) -> None:
        if not _log.isEnabledFor(level):
            return
        if "text" in more and not self.with_prompts:
            more["text"] = _QUOTED.sub("'…'", str(more["text"]))
        fields = {"event": event, **{name: value for name, value in more.items() if value not in ("", None)}}
        _log.log(level, "%s", " ".join(map(str, fields.values())), extra={"fields": fields})
