# SPDX-License-Identifier: GPL-3.0-or-later
"""Many tasks of a file, followed and downloaded into one folder. Run again, it goes on where it was.

The folder holds a list of tasks of its own, so that hundreds do not flood the window's, the models' folders, and
results.jsonl: a line for each task that has ended, written when its files are there.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from ..service import keys, pasted
from ..service.errors import BadInput
from ..service.files import SavedFile
from ..service.keys import Generation, Secret
from ..tasks import schedule
from ..tasks.task import Download, Status, Task, Watch
from ..tracking.messages import DownloadEnded, TaskChanged
from . import arguments
from .following import LONGEST_NAME, Ended, Follower, check, opened
from .host import Host
from .output import SCHEMA, Exit, Output, describe

LONGEST = 7 * 24 * 3600.0
"""Seconds that a task may take: results are kept no longer, and a farm's queue may be long."""


def run(host: Host, output: Output, given: Namespace) -> Exit:
    check(host.settings.obstacle)
    wanted = read(given.file)
    folder = given.to.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        results = Results(folder / "results.jsonl", output)
        return _follow(host, output, wanted, folder, results, given.timeout)


def _follow(
    host: Host, output: Output, wanted: list[Generation], folder: Path, results: Results, timeout: float | None
) -> Exit:
    path = folder / "tasks.sqlite"
    _bring_up_to_date(path, wanted, output)
    until = time.monotonic() + timeout if timeout is not None else float("inf")
    # By task uuid, each of which is another model.
    names = {generation.task_uuid: generation.name for generation in wanted}
    left = names.keys() - results.written.keys()
    asked: dict[str, str] = {}
    """Task uuids by id. A task loses its uuid when the service does not know it."""
    stopped: dict[str, str] = {}
    with Follower(host, output, path, LONGEST) as follower:
        for message in follower.messages(until) if left else ():
            match message:
                case TaskChanged(task) if task.task_uuid in left:
                    if task.status is Status.FAILED or task.download is Download.SAVED:
                        results.write(task)
                        left.discard(task.task_uuid)
                        stopped.pop(task.task_uuid, None)
                    elif task.status.has_files and task.task_id not in asked:
                        asked[task.task_id] = task.task_uuid
                        follower.tracker.download(task.task_id, folder)
                    elif task.watch is not Watch.FOLLOWING:
                        stopped[task.task_uuid] = task.message
                        follower.live_task(task)
                case DownloadEnded(task_id, "", text) if asked.get(task_id) in left:
                    if text:
                        stopped[asked[task_id]] = text
                        follower.live(f"{names[asked[task_id]]}  {text}")
                    else:
                        # A program that was just killed may seem to be at it still.
                        follower.tracker.download(task_id, folder)
            if len(left) == len(stopped):
                break
    if len(left) > len(stopped):
        raise Ended(Exit.TIME_RAN_OUT, f"{len(left)} of {len(names)} tasks have no result yet; run it again to go on.")
    if left:
        uuid = min(left, key=names.__getitem__)
        text = f"{len(left)} of {len(names)} tasks have no result; run it again to try once more."
        raise Ended(Exit.TROUBLE, f"{text} '{names[uuid]}': {stopped[uuid]}")
    failed = sum(results.written[uuid] != Status.DONE for uuid in names)
    if failed:
        raise Ended(Exit.FAILED, f"{failed} of {len(names)} tasks failed or failed in part, see {results.path}.")
    return Exit.DONE


def _bring_up_to_date(path: Path, wanted: list[Generation], output: Output) -> None:
    """Have all tasks in the folder's list, as the file has them now, and only them asked about."""

    def follow(task: Task, generation: Generation) -> Task:
        task = replace(task, name=generation.name, task_uuid=generation.task_uuid)
        return task if task.followed or task.status.final else schedule.resumed(task, now)

    now = time.time()
    with opened(path, output) as store:
        # Of a run that was killed: this one has the folder alone.
        store.void_claims()
        known = {task.subscription_key: task for task in store.tasks()}
        for generation in wanted:
            task = known.pop(generation.subscription_key, None)
            if task and task.task_uuid not in ("", generation.task_uuid):
                # What lies in its folder is of another model.
                store.forget(task.task_id)
                task = None
            if task is None:
                store.add(schedule.begun(generation, now))
            elif follow(task, generation) != task:
                store.change(task.task_id, partial(follow, generation=generation))
        for task in known.values():
            if task.followed:
                store.change(task.task_id, schedule.paused)


class Results:
    """The file of results. `written` has the status of each task that has a line, by its uuid. Raises OSError."""

    def __init__(self, path: Path, output: Output) -> None:
        self.path = path
        self.written: dict[str, str] = {}
        self._output = output
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            # A kill in the middle of a line; what it told is found out again.
            os.truncate(path, len(whole))
        for line in whole.decode(errors="replace").split("\n"):
            with suppress(ValueError, KeyError, TypeError):
                result = json.loads(line)
                self.written[result["task_uuid"]] = result["status"]

    def write(self, task: Task) -> None:
        """On the disk when it returns."""
        result = {"schema": SCHEMA, "event": "result", **describe(task)}
        with self.path.open("ab") as file:
            file.write(json.dumps(result).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.written[task.task_uuid] = task.status
        self._output.tell("result", f"{task.name}  {task.status.value.lower()}  {task.folder}", **describe(task))


def results(path: Path) -> list[Task]:
    """The tasks of a file of results; their folders lie beside it, wherever it is seen from here. Raises BadInput."""
    found: dict[str, Task] = {}
    for line in arguments.read(path).splitlines():
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            result = json.loads(line)
            task_id, name, task_uuid, folder = (str(result[key]) for key in ("task_id", "name", "task_uuid", "folder"))
            files = tuple(SavedFile(str(file["name"]), int(file["size"])) for file in result["files"])
            beside = str(path.absolute().parent / PureWindowsPath(folder).name) if folder else ""
            found[task_id] = Task(
                task_id, name, Secret(""), task_uuid, Status(result["status"]), folder=beside, files=files
            )
    if not found:
        raise BadInput(f"{path} holds no results.")
    return list(found.values())


def read(path: Path) -> list[Generation]:
    """The tasks of a file, each with a name of its own. Raises BadInput with the number of the line."""
    content = arguments.read(path)
    rows = _json_rows(path, content) if content.lstrip().startswith("{") else _csv_rows(path, content)
    found: list[Generation] = []
    seen = set()
    for number, row in rows:
        where = f"{path}, line {number}"
        try:
            generation = (
                pasted.generation_answer(row)
                if "jobs" in row
                else Generation(
                    keys.subscription_key(str(row.get("subscription_key") or "")),
                    keys.task_uuid(str(row.get("task_uuid") or "")),
                )
            )
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from None
        name = keys.shown(str(row.get("name") or generation.name), LONGEST_NAME)
        if not name or not generation.task_uuid:
            raise BadInput(f"{where} has no {'name' if not name else 'task_uuid, which the download needs'}.")
        generation = replace(generation, name=name)
        for what in ("name", "subscription_key", "task_uuid"):
            value = (what, getattr(generation, what))
            if value in seen:
                raise BadInput(f"{where} has a {what} that an earlier line has, too.")
            seen.add(value)
        found.append(generation)
    if not found:
        raise BadInput(f"{path} holds no tasks.")
    return found


def _json_rows(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # No other kind of line break, which a name may hold.
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise BadInput(f"{path}, line {number} is no JSON object.")
            yield number, row


def _csv_rows(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        # Excel separates by semicolons where numbers have commas.
        separator = ";" if ";" in content.partition("\n")[0] else ","
        rows = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        missing = {"name", "subscription_key", "task_uuid"} - set(rows.fieldnames or ())
        if missing:
            raise BadInput(f"The first line of {path} must name the columns; missing: {', '.join(sorted(missing))}.")
        for row in rows:
            yield rows.line_num, row
    except csv.Error:
        raise BadInput(f"{path} is no CSV that can be read.") from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder, which would write each result twice. Raises BadInput, Ended."""
    path = folder / ".batch.lock"
    try:
        lock = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    except sqlite3.Error:
        raise Ended(Exit.TROUBLE, f"{path} cannot be written; check the folder and its permissions.") from None
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise BadInput(f"Another batch is at work in {folder}; wait for its end.") from None
            raise Ended(Exit.TROUBLE, f"{path} cannot be written ({error.sqlite_errorname}).") from None
        yield
