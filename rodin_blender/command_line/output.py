# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed: results on standard output, in words or as one JSON object a line; all else on standard error.

Schema 1. Every object has `schema` (1) and `event`; unknown members and events are to be passed over, since they may be
added. `task`: a task as in `describe`. `result`: a task, and `ok` with `text`. `account`, `doctor`: see their commands.
`error`: `text`, and `exit`, the exit code that follows.
"""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import Any

from ..tracking.tasks import Task, Watch
from ..tracking.wording import clock_text

SCHEMA = 1


class Exit(IntEnum):
    DONE = 0
    TROUBLE = 1
    """The service, the network or the disk was in the way; the same command may succeed later."""
    USAGE = 2
    """Wrong usage or settings."""
    FAILED = 3
    """A task failed: the service could not make the model."""
    TIME_RAN_OUT = 4
    OFFLINE = 5
    """Blender is not allowed to go online."""
    INTERRUPTED = 130


def describe(task: Task) -> dict[str, Any]:
    """A task for others to read. The subscription key is left out. Times are seconds since the epoch, 0 for never."""
    return {
        "task_id": task.task_id,
        "name": task.name,
        "task_uuid": task.task_uuid,
        "status": task.status.value,
        "watch": task.watch.value,
        "message": task.message,
        "jobs": [{"uuid": job.uuid, "status": job.status} for job in task.jobs],
        "jobs_done": task.jobs_done,
        "jobs_total": len(task.jobs),
        "tracked_at": task.tracked_at,
        "finished_at": task.finished_at,
        "folder": task.folder,
        "downloaded": task.download == "SAVED",
        "files": [{"name": file.name, "size": file.size} for file in task.files],
    }


def task_line(task: Task) -> str:
    """A task in one line of words."""
    status = task.status.value.lower().replace("_", " ")
    if not task.status.final and task.watch is not Watch.FOLLOWING:
        status = f"{task.watch.value.lower()}, was {status}"
    jobs = f"{task.jobs_done} of {len(task.jobs)} jobs" if task.jobs else ""
    return "  ".join(part for part in (task.task_id, task.name, status, jobs, task.message) if part)


class Output:
    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def tell(self, event: str, words: str, /, **members: Any) -> None:
        """One result: in words for people, or the event with its members as JSON."""
        line = json.dumps({"schema": SCHEMA, "event": event, **members}) if self._as_json else words
        print(line, flush=True)

    def task(self, task: Task) -> None:
        self.tell("task", task_line(task), **describe(task))

    def live(self, text: str, now: float) -> None:
        """What goes on meanwhile, with the time of day."""
        print(f"{clock_text(now)}  {text}", file=sys.stderr, flush=True)

    def error(self, text: str, code: Exit) -> Exit:
        """Why it ends with this exit code."""
        print(f"rodin: {text}", file=sys.stderr, flush=True)
        if self._as_json:
            self.tell("error", text, text=text, exit=int(code))
        return code
