# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of models, generated or only followed, and downloaded into one folder. Run again, it goes on where it was.

The folder holds a list of tasks of its own, so that hundreds do not flood the window's, the outbox of what is sent, the
models' folders, results.jsonl (a line for each task that has ended, written when its files are there) and begun.jsonl.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..service.errors import BadInput
from ..storage import folders, locks
from ..storage.outbox import Outbox
from . import arguments, tables, write_checks
from .batch_run import BatchRun
from .execution import Execution
from .following import CommandEnd, Follower, check, open_store
from .host import Host
from .output import SCHEMA, Exit, Output, describe
from .planning import EarlierRuns, Item, Planner, earlier_runs
from .results import Journal, Results, drop_partial_line
from .tables import Problem

TASK_DEADLINE = 7 * 24 * 3600.0
"""Seconds that a task may take: results are kept no longer, and a farm's queue may be long."""
RESULTS, STARTED, EXECUTED = "results.jsonl", "begun.jsonl", "executed.jsonl"
"""What is written in a batch's folder: the results, the tasks that were begun, and those that --exec has run for."""
MAX_PROBLEMS = 5
"""Mistakes of a table that an error tells; `--check` tells all."""


def run(host: Host, output: Output, given: Namespace) -> Exit:
    if given.to is None and not given.check:
        raise BadInput("batch needs --to DIR for the models, or --check.")
    folder = given.to.expanduser().absolute() if given.to else None
    path: Path = given.file
    if not given.check:
        check(host.settings.blocker)
    items, problems, ignored = _read(host, path)
    if given.check or folder is None:
        for name in ignored:
            output.live(f"{path}: the column '{name}' is not used.", time.time())
        return _check(output, path, items, problems, _earlier_runs(output, folder), given)
    if problems:
        raise BadInput(" ".join(_error_lines(path, problems[:MAX_PROBLEMS])) + _more(len(problems) - MAX_PROBLEMS))
    write_checks.check_folder(folder)
    with _lock(folder):
        return _run(host, output, folder, items, given)


def _run(host: Host, output: Output, folder: Path, items: list[Item], given: Namespace) -> Exit:
    until = time.monotonic() + given.timeout if given.timeout is not None else float("inf")
    for name in (RESULTS, STARTED, EXECUTED):
        drop_partial_line(folder / name)
    results, journal = Results(folder / RESULTS, output), Journal(folder / STARTED, event="begun")
    outbox, path = Outbox(folders.outbox(folder)), folders.list_path(folder)
    with open_store(path, output) as store:
        known = earlier_runs(store.tasks(), results.by_id.values(), outbox, journal.ids)
        rows = BatchRun(output, folder, items, results, journal, known)
        rows.prepare(store, retry=given.retry_failed)
    if output.execution:
        _execute(output.execution, Journal(folder / EXECUTED, event="executed", command=output.execution.digest), rows)
    tasks = dict(known.tasks)
    if not rows.is_done:
        with Follower(host, output, path, TASK_DEADLINE) as follower:
            rows.run(follower, until, given.max_credits)
            tasks |= follower.tasks
    if output.execution:
        # The commands run to their end while the folder's lock keeps other runs out.
        output.execution.wait()
    return rows.end(tasks)


def _execute(execution: Execution, journal: Journal, rows: BatchRun) -> None:
    """Run the command of --exec for each result once, also for those of earlier runs for which it has not run well."""
    execution.done = lambda result: journal.append(result["task_id"], result["name"])
    execution.is_wanted = lambda result: result["task_id"] not in journal.ids
    for task in rows.whole():
        execution.begin({"schema": SCHEMA, "event": "result", **describe(task)})


def _read(host: Host, path: Path) -> tuple[list[Item], list[Problem], tuple[str, ...]]:
    """The rows of a file, what is wrong with some, and columns that are not used. Raises BadInput."""
    table = tables.read(arguments.content(path))
    items, problems = Planner(host, path.absolute().parent).items(table.rows)
    return items, sorted([*table.problems, *problems]), table.ignored


def _error_lines(path: Path, problems: Iterable[Problem]) -> Iterator[str]:
    return (f"{path}, line {line}: {text}" if line else f"{path}: {text}" for line, text in problems)


def _more(count: int) -> str:
    return f" There is more like this in {count} places: `batch FILE --check` tells all." if count > 0 else ""


def _earlier_runs(output: Output, folder: Path | None) -> EarlierRuns:
    """What was begun in a folder, of which nothing is changed."""
    path = folder and folders.list_path(folder)
    if folder is None or path is None or not path.exists():
        return EarlierRuns()
    results, journal = Results(folder / RESULTS, output), Journal(folder / STARTED, event="begun")
    with open_store(path, output) as store:
        return earlier_runs(store.tasks(), results.by_id.values(), Outbox(folders.outbox(folder)), journal.ids)


def _check(
    output: Output, path: Path, items: list[Item], problems: list[Problem], before: EarlierRuns, given: Namespace
) -> Exit:
    """Tell what a run would do, and all that is wrong. Needs neither key nor network. Raises CommandEnd."""
    for (line, _), text in zip(problems, _error_lines(path, problems), strict=True):
        output.tell("wrong", text, line=line, text=text)
    if problems:
        raise CommandEnd(Exit.USAGE, f"{path} has {len(problems)} mistakes. Nothing was asked.")
    total, new, requests = 0.0, 0, 0
    for number, item in enumerate(items, 1):
        row, request = item.row, item.request
        last = before.last(request.task_id) if request else ""
        if request and (not last or (given.retry_failed and before.may_be_retried(last))):
            total += item.price
            new += 1
        requests += bool(request)
        task_id, uuid = request.task_id if request else "", row.generation.task_uuid if row.generation else ""
        what = row.refused or (f"about {item.price:g} credits{', begun before' if last else ''}" if request else uuid)
        members = {"task_id": task_id, "task_uuid": uuid, "price": item.price, "begun": bool(last)}
        words = f"{row.line}: {row.name}  {what}"
        output.tell("row", words, number=number, line=row.line, name=row.name, text=row.refused, **members)
    words = f"{len(items)} rows, {requests} of them to be generated, "
    words += f"{new} are left to send for about {total:g} credits."
    spent = sum(before.costs.values(), 0.0)
    output.tell("plan", words, rows=len(items), generate=requests, left=new, price=total, spent=spent)
    if given.max_credits is not None and spent + total > given.max_credits:
        text = f"{spent:g} credits are spent and {total:g} to come, more than --max-credits {given.max_credits:g}"
        raise CommandEnd(Exit.USAGE, f"{text}: a run sends as much as that allows.")
    return Exit.DONE


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder, which would write each result twice. Raises CommandEnd, OSError."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.acquire(folder / ".batch.lock"))
        except locks.Locked:
            raise CommandEnd(Exit.TROUBLE, f"Another batch is at work in {folder}; wait for its end.") from None
        yield
