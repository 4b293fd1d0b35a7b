# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed: results on standard output, in words or as one JSON object a line; all else on standard error.

Schema 1. Every object has `schema` (1) and `event`. Members and events may be added, so unknown ones are to be passed
over; none is taken away or changes its meaning without another schema. No object holds a key.

    task     generate, settle, status, wait, track, list, pause, resume, forget, download: a task, as in `describe`;
             batch: each that has no result, or was not made whole
    result   batch, and in its results.jsonl: a task that has ended, as in `describe`
    import   a task, as in `describe` (task_id "" for a file that was named), with model, blend and thumbnail (paths),
             and text: why it is not in the .blend file, else ""
    submission  generate --dry-run: fields (texts by the service's names), images (paths) and price (credits)
    row      batch --check: number (from 1), line, name; task_id, price and begun of what is to be generated; task_uuid
             of what brings a key; text: why it cannot be followed, else ""
    plan     batch --check: rows, generate and left (how many are to be generated, and to be sent still), price of
             those, and spent: what this folder's rows have cost
    wrong    batch --check: a mistake in the table, text and line (0 for the whole)
    account  balance: credits, a number
    files    of `files`, for each task that has some: task_id, name, folder, files (how many), size (bytes on the disk),
             age (seconds, of the youngest; null where none is there), wrong (by name, how a file is not as it was
             saved; with --verify and --delete), deleted (names, of --dry-run those that would be), freed (bytes),
             trouble
    spending day (YYYY-MM-DD), tier, outcome (a status), tasks, credits, and of these: expected (the service did not
             tell them) and uncertain (they may not have been charged)
    spent    the same of all that `spending` told
    doctor   system; versions and environment: texts by name; settings: by name `value`, `source`, `locked` (by a
             studio's file) and `ignored` (a variable that does not count), or `trouble` where the value is wrong;
             list: `path`, `tasks` (null where there is none) and `trouble`; service: `address`, `ok` and `text`; files
             (of settings), hooks, and by name folders: `path` and `trouble`; certificates: `trusted` and `trouble`;
             faults: a text for each thing that is wrong
    hook     a function or command of the user's that failed: hook ("exec", or which list of `handlers`), name and
             task_id of what it was called for, text
    error    text, its code (see docs/pipeline.md), and exit: the exit code that follows. Always the last one
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from enum import IntEnum
from io import TextIOWrapper
from typing import Any, TextIO

from ..tasks.task import Status, Task, Watch
from ..texts.text import Text, Trouble, Voice
from ..texts.wording import clock_text
from .execution import Execution
from .voice import SHELL

SCHEMA = 1

class Exit(IntEnum):
    DONE = 0
    TROUBLE = 1
    """The service, the network or the disk was in the way; the same command may succeed later."""
    USAGE = 2
    """Wrong usage or settings, the API key among them."""
    FAILED = 3
    """A task failed, or failed in part: the service could not make the model."""
    TIME_RAN_OUT = 4
    OFFLINE = 5
    """Blender is not allowed to go online."""
    UNCERTAIN = 6
    """Something was sent and may have been charged, and no usable answer came: see `settle`."""
    HOOK = 7
    """A function or command of the user's failed; all else went well."""
    INTERRUPTED = 130


def describe(task: Task, voice: Voice = SHELL) -> dict[str, Any]:
    """A task for others to read. The subscription key is left out. Times are seconds since the epoch, 0 for never."""
    return {
        "task_id": task.task_id,
        "name": task.name,
        "task_uuid": task.task_uuid,
        "status": task.status.value,
        "watch": task.watch.value,
        "message": voice.say(task.trouble, task=task.task_id or "TASK"),
        "code": task.code,
        "jobs": [{"uuid": job.uuid, "status": job.status} for job in task.jobs],
        "jobs_done": task.jobs_done,
        "jobs_total": len(task.jobs),
        "tracked_at": task.tracked_at,
        "finished_at": task.finished_at,
        "folder": task.folder,
        "downloaded": task.download == "SAVED",
        "kind": task.kind,
        "parent": task.parent,
        "prompt": task.prompt,
        "options": dict(task.options),
        "price": task.price,
        "credits": task.credits,
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in task.files],
    }


def task_line(task: Task, voice: Voice = SHELL) -> str:
    """A task in one line of words."""
    status = task.status.value.lower().replace("_", " ")
    if task.status is Status.UNKNOWN and task.kind and not task.message:
        status = "accepted, waiting for the first answer"
    if not task.status.final and task.watch is not Watch.FOLLOWING:
        status = f"{task.watch.value.lower()}, was {status}"
    jobs = f"{task.jobs_done} of {len(task.jobs)} jobs" if task.jobs else ""
    message = voice.say(task.trouble, task=task.task_id or "TASK")
    if task.trouble and task.followed and task.failures:
        message += f" Next check at {clock_text(task.next_check_at)}."
    return "  ".join(part for part in (task.task_id, task.name, status, jobs, message) if part)


def _apart() -> TextIO:
    """Standard output for results alone: whatever else is printed there from now on goes to standard error.

    Blender, its importers and a user's functions print there, too, and not always whole lines.
    """
    try:
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(2, 1)
    except (AttributeError, OSError, ValueError):
        # A program without a console has none.
        return sys.stdout
    return os.fdopen(kept, "w", encoding="utf-8")


class Output:
    def __init__(self, *, as_json: bool, own_process: bool = False) -> None:
        """With `own_process` the process ends with the command, so that standard output can be kept for JSON."""
        self._as_json = as_json
        self._results = _apart() if as_json and own_process else sys.stdout
        self.execution: Execution | None = None
        self.failed_hooks = 0
        self.voice = SHELL
        if isinstance(sys.stdout, TextIOWrapper):
            # A name may hold what a Windows code page does not.
            sys.stdout.reconfigure(errors="backslashreplace")

    def tell(self, event: str, words: str, /, **members: Any) -> None:
        """One result: in words for people, or the event with its members as JSON. Raises OSError."""
        line = json.dumps({"schema": SCHEMA, "event": event, **members}) if self._as_json else words
        try:
            print(line, file=self._results, flush=True)
        except OSError:
            # Whoever read our output has gone. What Python would still write at its end must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._results.fileno())
            raise

    def task(self, task: Task) -> None:
        self.tell("task", task_line(task, self.voice), **describe(task, self.voice))

    def result(self, event: str, words: str, /, **members: Any) -> None:
        """What the command was run for, which is given to the command of --exec as well. Raises OSError."""
        self.tell(event, words, **members)
        if self.execution:
            self.execution.begin({"schema": SCHEMA, "event": event, **members})

    def hook_failed(self, hook: str, task_id: str, name: str, text: str) -> None:
        """A function or command of the user's failed; what it was called for goes on."""
        self.failed_hooks += 1
        self._say(f"rodin: {text}")
        if self._as_json:
            self.tell("hook", text, hook=hook, task_id=task_id, name=name, text=text)

    def live(self, said: Text | Trouble | str, now: float) -> None:
        """What goes on meanwhile, with the time of day."""
        self._say(f"{clock_text(now)}  {self.voice.say(said)}")

    def error(self, said: Text | Trouble | str, code: Exit) -> Exit:
        """Why it ends with this exit code."""
        text = self.voice.say(said)
        self._say(f"rodin: {text}")
        if self._as_json:
            word = said.code if isinstance(said, Trouble) else code.name.lower()
            self.tell("error", text, text=text, code=word, exit=int(code))
        return code

    def _say(self, line: str) -> None:
        with suppress(OSError):  # Nobody may be reading what we print.
            print(line, file=sys.stderr, flush=True)
