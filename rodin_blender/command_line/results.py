# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch's results.jsonl: a line for each task that has ended, written when its files are there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any

from ..service.errors import BadInput
from ..service.files import SavedFile
from ..service.keys import Secret
from ..storage import task_folder
from ..tasks.task import Status, Task
from ..texts.text import Text
from . import arguments
from .output import SCHEMA, Output, describe


class Results:
    """The file of results. Raises OSError.

    `written` has the last line of each task that has one by its uuid, and `by_id` by its id in the list.
    """

    def __init__(self, path: Path, output: Output) -> None:
        self.path = path
        self._output = output
        self.written: dict[str, Task] = {}
        self.by_id: dict[str, Task] = {}
        for task in _tasks_of(_whole_lines(path), path):
            self._keep(task)

    def troubles(self, uuid: str) -> dict[str, Text]:
        """What is wrong with files that the task's line tells of, by name."""
        task = self.written[uuid]
        return task_folder.troubles(task.folder, task.files)

    def has_models(self, uuid: str, troubles: dict[str, Text]) -> bool:
        """Whether the task has a line, and all that it needs is there, though there are these troubles."""
        files = self.written[uuid].files if uuid in self.written else ()
        return len(troubles) < len(files) and not any(map(task_folder.is_needed, troubles))

    def write(self, task: Task) -> None:
        """On the disk when it returns."""
        result = {"schema": SCHEMA, "event": "result", **describe(task)}
        _append(self.path, result)
        self._keep(task)
        self._output.result("result", f"{task.name}  {task.status.value.lower()}  {task.folder}", **describe(task))

    def _keep(self, task: Task) -> None:
        self.written[task.task_uuid] = self.by_id[task.task_id] = task


class Journal:
    """A file that notes tasks to which something has happened: `marks` say what. Raises OSError."""

    def __init__(self, path: Path, **marks: str) -> None:
        self._path = path
        self._marks = marks
        self.ids: set[str] = set()
        for line in _whole_lines(path):
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                noted = json.loads(line)
                if noted.items() >= marks.items():
                    self.ids.add(str(noted["task_id"]))

    def append(self, task_id: str, name: str) -> None:
        """On the disk when it returns."""
        if task_id not in self.ids:
            _append(self._path, {"schema": SCHEMA, **self._marks, "task_id": task_id, "name": name})
            self.ids.add(task_id)


def _whole_lines(path: Path) -> list[str]:
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1].decode(errors="replace").split("\n")


def drop_partial_line(path: Path) -> None:
    """Take off a line that a kill has cut: what it told is found out again. For one who has the folder alone."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Task]:
    """The tasks of a file of results, each as its last line tells. Raises BadInput."""
    found = {task.task_id: task for task in _tasks_of(arguments.read(path).split("\n"), path)}
    if not found:
        raise BadInput(f"{path} holds no results.")
    return list(found.values())


def _tasks_of(lines: list[str], path: Path) -> Iterator[Task]:
    """The tasks that lines of results tell of; their folders lie beside the file, wherever it is seen from here."""
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            result = json.loads(line)
            task_id, name, task_uuid, folder = (str(result[key]) for key in ("task_id", "name", "task_uuid", "folder"))
            files = tuple(
                SavedFile(str(file["name"]), int(file["size"]), str(file.get("sha256", ""))) for file in result["files"]
            )
            beside = str(path.absolute().parent / PureWindowsPath(folder).name) if folder else ""
            yield Task(
                task_id,
                name,
                Secret(""),
                task_uuid,
                Status(result["status"]),
                folder=beside,
                files=files,
                kind=str(result.get("kind", "")),
                parent=str(result.get("parent", "")),
                tracked_at=float(result.get("tracked_at", 0.0)),
                options=dict(result.get("options", {})),
                price=float(result.get("price", 0.0)),
                credits=result.get("credits"),
            )
