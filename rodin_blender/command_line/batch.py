# SPDX-License-Identifier: GPL-3.0-or-later
"""Many tasks of a file, followed and downloaded into one folder. Run again, it goes on where it was.

The folder holds a list of tasks of its own, so that hundreds do not flood the window's, the models' folders, and
results.jsonl: a line for each task that has ended, written when its files are there.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..service.errors import BadInput
from ..service.keys import Generation
from ..storage import locks, task_folder
from ..tasks import schedule
from ..tasks.task import Download, Status, Task, Watch
from ..tracking.messages import DownloadEnded, TaskChanged
from . import arguments, tables
from .following import Ended, Follower, check, opened
from .host import Host
from .output import Exit, Output
from .results import Results
from .tables import Row, Wrong

LONGEST = 7 * 24 * 3600.0
"""Seconds that a task may take: results are kept no longer, and a farm's queue may be long."""
MOST_TOLD = 5
"""Mistakes of a table that an error tells; `--check` tells all."""


def run(host: Host, output: Output, given: Namespace) -> Exit:
    if given.check:
        return _check(output, given)
    if given.to is None:
        raise BadInput("batch needs --to DIR for the models, or --check.")
    check(host.settings.obstacle)
    rows = read(given.file)
    folder = given.to.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        results = Results(folder / "results.jsonl", output)
        wanted = [replace(row.generation, name=row.name) for row in rows if row.generation]
        for row in rows:
            if row.refused:
                output.live(f"{row.name}: {row.refused}", time.time())
        code = _follow(host, output, wanted, folder, results, given.timeout)
    refused = [row for row in rows if row.refused]
    if refused:
        text = f"{len(refused)} of {len(rows)} rows are error answers of the service. "
        raise Ended(Exit.FAILED, f"{text}Line {refused[0].line}: {refused[0].refused}")
    return code


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


def read(path: Path) -> list[Row]:
    """The rows of a file. Raises BadInput with what is wrong and in which lines."""
    table = tables.read(arguments.content(path))
    if table.wrong:
        raise BadInput(" ".join(_told(path, table.wrong[:MOST_TOLD])) + _more(len(table.wrong) - MOST_TOLD))
    for row in table.rows:
        if not row.generation and not row.refused:
            raise BadInput(f"{path}, line {row.line}: There is no subscription_key.")
    return list(table.rows)


def _told(path: Path, wrong: Iterable[Wrong]) -> Iterator[str]:
    return (f"{path}, line {line}: {text}" if line else f"{path}: {text}" for line, text in wrong)


def _more(count: int) -> str:
    return f" There is more like this in {count} places: `batch FILE --check` tells all." if count > 0 else ""


def _check(output: Output, given: Namespace) -> Exit:
    """Tell what a run would do, and all that is wrong. Needs neither key nor network. Raises Ended."""
    path: Path = given.file
    table = tables.read(arguments.content(path))
    for name in table.ignored:
        output.live(f"{path}: the column '{name}' is not used.", time.time())
    for (line, _), text in zip(table.wrong, _told(path, table.wrong), strict=True):
        output.tell("wrong", text, line=line, text=text)
    if table.wrong:
        raise Ended(Exit.USAGE, f"{path} has {len(table.wrong)} mistakes. Nothing was asked.")
    for number, row in enumerate(table.rows, 1):
        uuid = row.generation.task_uuid if row.generation else ""
        words = f"{row.line}: {row.name}  {row.refused or uuid}"
        output.tell("row", words, number=number, line=row.line, name=row.name, task_uuid=uuid, text=row.refused)
    return Exit.DONE


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder, which would write each result twice. Raises BadInput, OSError."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.held(folder / ".batch.lock"))
        except locks.Locked:
            raise BadInput(f"Another batch is at work in {folder}; wait for its end.") from None
        yield
