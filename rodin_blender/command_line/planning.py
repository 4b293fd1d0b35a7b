# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rows of a batch are to become, and which of them were begun already.

A row that is to be generated has a task id that follows from what it says. So whatever kills a run, the next one finds
in the list, the outbox, the results or the journal whether that id was begun, and never has it paid for twice. A row
that says something else has another id.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..service.errors import BadInput, os_reason
from ..service.pictures import check_picture
from ..storage.outbox import Outbox
from ..tasks import options
from ..tasks.generation_request import GenerationRequest
from ..tasks.options import Value
from ..tasks.submission import submission
from ..tasks.task import Status, Task
from .generating import check_allowed, check_price, chosen
from .host import Host
from .tables import Problem, Row

SAMPLE = 64 * 1024
"""Bytes at the beginning and at the end of a picture that tell it from another of the same size."""


@dataclass(frozen=True)
class Item:
    """A row and its request; None for a row that brings a key or is an error answer."""

    row: Row
    request: GenerationRequest | None = None

    @property
    def price(self) -> float:
        return options.price(self.request.options) if self.request else 0.0


class Planner:
    """Makes items of rows. What many rows share is looked at once."""

    def __init__(self, host: Host, beside: Path) -> None:
        """`beside` is the folder that the paths of pictures are relative to."""
        self._host = host
        self._beside = beside
        self._chosen: dict[str, dict[str, Value]] = {}
        self._pictures: dict[Path, str] = {}
        self._times: Counter[str] = Counter()

    def items(self, rows: Iterable[Row]) -> tuple[list[Item], list[Problem]]:
        """What the rows are to become, and what keeps some from it."""
        found: list[Item] = []
        problems: list[Problem] = []
        for row in rows:
            try:
                found.append(Item(row, None if row.generation or row.refused else self._request(row)))
            except BadInput as error:
                problems.append(Problem(row.line, str(error)))
        return found, problems

    def _request(self, row: Row) -> GenerationRequest:
        """Raises BadInput."""
        check_allowed(self._host)
        given = json.dumps(dict(row.options), sort_keys=True)
        if given not in self._chosen:
            self._chosen[given] = chosen(self._host, row.options)
        wanted = submission(row.prompt, len(row.images), self._chosen[given])
        check_price(self._host, options.price(wanted.options))
        paths = tuple(self._beside / Path(image).expanduser() for image in row.images)
        for path in paths:
            if path not in self._pictures:
                self._pictures[path] = _picture(path)
        # Only what the row itself says: a studio's other default is not to have everything paid for once more.
        said = {name: wanted.options[name] for name in sorted(row.options)}
        content = json.dumps([row.given_name, wanted.prompt, said, [self._pictures[path] for path in paths]])
        # Rows that say the same are told apart by their number among themselves.
        self._times[content] += 1
        task_id = _id(f"{content} {self._times[content]}")
        return GenerationRequest(task_id, wanted.prompt, paths, wanted.options, row.name)


def _id(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def retry_id(task_id: str) -> str:
    """The id of the task that takes the place of one that failed."""
    return _id(f"{task_id} again")


def _picture(path: Path) -> str:
    """What tells a picture from others. Raises BadInput for one that the service would not take."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            check_picture(path.name, file, size)
            file.seek(0)
            digest = hashlib.sha256(file.read(SAMPLE))
            file.seek(max(size - SAMPLE, 0))
            digest.update(file.read(SAMPLE))
    except OSError as error:
        raise BadInput(f"The picture {path} cannot be read: {os_reason(error)}.") from None
    return f"{size} {digest.hexdigest()}"


@dataclass(frozen=True)
class EarlierRuns:
    """What was begun in a batch's folder before, by the ids of tasks."""

    tasks: Mapping[str, Task] = field(default_factory=dict)
    """Those of the list, and those of the results that the list does not have."""
    prepared: frozenset[str] = frozenset()
    """Those whose requests lie in the outbox: the tracker puts them into the list."""
    ids: frozenset[str] = frozenset()
    """All of which anything is known."""
    successors: Mapping[str, str] = field(default_factory=dict)
    """The task that took the place of another."""

    def last(self, first: str) -> str:
        """The task that stands for a row with this id now; "" where none was begun."""
        if first not in self.ids and first not in self.successors:
            return ""
        last = first
        while True:
            task = self.tasks.get(last)
            if task and task.status is Status.UNCERTAIN:
                # A kill may have come before another one took its place.
                return last
            following = self.successors.get(last) or retry_id(last)
            if following not in self.ids:
                return last
            last = following

    def is_gone(self, task_id: str) -> bool:
        """Whether somebody has discarded it."""
        return task_id not in self.tasks and task_id not in self.prepared

    def may_be_retried(self, task_id: str) -> bool:
        """Whether it came to nothing, so that the user may have another one begun in its place."""
        task = self.tasks.get(task_id)
        return self.is_gone(task_id) or (task is not None and task.status in (Status.REJECTED, Status.FAILED))

    @property
    def costs(self) -> dict[str, float]:
        """Credits that were taken for tasks, as far as known, and that what may have been charged would cost."""
        taken = (t for t in self.tasks.values() if t.kind and t.status not in (Status.UNSENT, Status.REJECTED))
        return {task.task_id: cost(task) for task in taken}


def cost(task: Task) -> float:
    """Credits that were taken for it, or would be."""
    return task.price if task.credits is None else task.credits


def earlier_runs(tasks: Iterable[Task], results: Iterable[Task], outbox: Outbox, journal: Iterable[str]) -> EarlierRuns:
    """Raises OutboxError, OSError."""
    known = {task.task_id: task for task in (*results, *tasks)}
    successors = {task.parent: task.task_id for task in known.values() if task.parent}
    prepared = frozenset(outbox.ids())
    # The folders of discarded submissions stay there for a while.
    folders = {path.name for path in outbox.folder.iterdir()} if outbox.folder.is_dir() else set()
    return EarlierRuns(known, prepared, frozenset({*known, *prepared, *folders, *journal}), successors)
