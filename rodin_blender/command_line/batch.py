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
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from ..service import keys, pasted
from ..service.errors import BadInput
from ..service.files import SavedFile
from ..service.keys import Generation, Secret
from ..storage import locks, task_folder
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
    until = time.monotonic() + timeout if timeout is not None else float("inf")
    # By task uuid, each of which is another model.
    names = {generation.task_uuid: generation.name for generation in wanted}
    # What a result tells of may have been deleted or damaged since.
    troubles = {uuid: results.troubles(uuid) for uuid in names if uuid in results.written}
    left = {uuid for uuid in names if uuid not in troubles or troubles[uuid]}
    _bring_up_to_date(path, wanted, left, output)
    asked: dict[str, str] = {}
    """Task uuids by id. A task loses its uuid when the service does not know it."""
    fetching: set[str] = set()
    """The ids of tasks whose download has not ended."""
    stopped: dict[str, str] = {}
    with Follower(host, output, path, LONGEST) as follower:

        def fetch(task_id: str) -> None:
            fetching.add(task_id)
            follower.tracker.download(task_id, folder)

        def stop(uuid: str, text: str) -> None:
            if results.has_models(uuid, troubles.get(uuid, {})):
                # Of a model that is there, sidecars cannot be had any more.
                left.discard(uuid)
            else:
                stopped[uuid] = text

        for message in follower.messages(until) if left else ():
            match message:
                case TaskChanged(task) if task.task_uuid in left:
                    if task.status is Status.FAILED or task.download is Download.SAVED:
                        results.write(task)
                        left.discard(task.task_uuid)
                        stopped.pop(task.task_uuid, None)
                    elif task.status.has_files and task.task_id not in asked:
                        asked[task.task_id] = task.task_uuid
                        fetch(task.task_id)
                    elif task.watch is not Watch.FOLLOWING:
                        stop(task.task_uuid, task.message)
                        follower.live_task(task)
                case DownloadEnded(task_id, _, text, _, missing):
                    fetching.discard(task_id)
                    if asked.get(task_id) in left and not text:
                        # A program that was just killed may seem to be at it still.
                        fetch(task_id)
                    elif asked.get(task_id) in left or missing:
                        follower.live(f"{names[asked[task_id]]}  {text}")
                    if asked.get(task_id) in left and text:
                        stop(asked[task_id], text)
            if len(left) == len(stopped) and not fetching:
                break
    if len(left) > len(stopped):
        raise Ended(Exit.TIME_RAN_OUT, f"{len(left)} of {len(names)} tasks have no result yet; run it again to go on.")
    if left:
        uuid = min(left, key=names.__getitem__)
        text = f"{len(left)} of {len(names)} tasks have no result; run it again to try once more."
        raise Ended(Exit.TROUBLE, f"{text} '{names[uuid]}': {stopped[uuid]}")
    failed = sum(results.written[uuid].status is not Status.DONE for uuid in names)
    if failed:
        raise Ended(Exit.FAILED, f"{failed} of {len(names)} tasks failed or failed in part, see {results.path}.")
    return Exit.DONE


def _bring_up_to_date(path: Path, wanted: list[Generation], left: set[str], output: Output) -> None:
    """Have all tasks in the folder's list, as the file has them now; ask about no others, and fetch those `left`."""

    def follow(task: Task, generation: Generation) -> Task:
        task = replace(task, name=generation.name, task_uuid=generation.task_uuid)
        if generation.task_uuid in left and task_folder.troubles(task.folder, task.files):
            task = replace(task, download=Download.NONE)
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
    """The file of results. `written` has the last line of each task that has one, by its uuid. Raises OSError."""

    def __init__(self, path: Path, output: Output) -> None:
        self.path = path
        self._output = output
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            # A kill in the middle of a line; what it told is found out again.
            os.truncate(path, len(whole))
        lines = whole.decode(errors="replace").split("\n")
        self.written = {task.task_uuid: task for task in _told(lines, path)}

    def troubles(self, uuid: str) -> dict[str, str]:
        """What is wrong with files that the task's line tells of, by name."""
        task = self.written[uuid]
        return task_folder.troubles(task.folder, task.files)

    def has_models(self, uuid: str, troubles: dict[str, str]) -> bool:
        """Whether the task has a line, and all that it needs is there, though there are these troubles."""
        files = self.written[uuid].files if uuid in self.written else ()
        return len(troubles) < len(files) and not any(map(task_folder.is_needed, troubles))

    def write(self, task: Task) -> None:
        """On the disk when it returns."""
        result = {"schema": SCHEMA, "event": "result", **describe(task)}
        with self.path.open("ab") as file:
            file.write(json.dumps(result).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.written[task.task_uuid] = task
        self._output.tell("result", f"{task.name}  {task.status.value.lower()}  {task.folder}", **describe(task))


def results(path: Path) -> list[Task]:
    """The tasks of a file of results, each as its last line tells. Raises BadInput."""
    found = {task.task_id: task for task in _told(arguments.read(path).split("\n"), path)}
    if not found:
        raise BadInput(f"{path} holds no results.")
    return list(found.values())


def _told(lines: list[str], path: Path) -> Iterator[Task]:
    """The tasks that lines of results tell of; their folders lie beside the file, wherever it is seen from here."""
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            result = json.loads(line)
            task_id, name, task_uuid, folder = (str(result[key]) for key in ("task_id", "name", "task_uuid", "folder"))
            files = tuple(
                SavedFile(str(file["name"]), int(file["size"]), str(file.get("sha256", ""))) for file in result["files"]
            )
            beside = str(path.absolute().parent / PureWindowsPath(folder).name) if folder else ""
            yield Task(task_id, name, Secret(""), task_uuid, Status(result["status"]), folder=beside, files=files)


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
    """Keep a second run out of the folder, which would write each result twice. Raises BadInput, OSError."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.held(folder / ".batch.lock"))
        except locks.Locked:
            raise BadInput(f"Another batch is at work in {folder}; wait for its end.") from None
        yield
