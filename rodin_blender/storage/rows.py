# SPDX-License-Identifier: GPL-3.0-or-later
"""A task as a row of the list, and back."""

from __future__ import annotations

import enum
import json
import math
import sqlite3
from typing import Any, TypeVar

from ..service.answers import Job
from ..service.files import SavedFile
from ..service.keys import Secret
from ..tasks.task import Box, Download, Placement, Status, Task, Watch
from ..texts.text import Trouble, as_json, from_json

COLUMNS = (
    "task_id", "name", "subscription_key", "task_uuid", "status", "jobs", "watch", "trouble", "tracked_at",
    "finished_at", "checked_at", "next_check_at", "interval", "failures", "watched", "folder",
    "files", "download", "took", "kind", "parent", "prompt", "options", "pictures", "placement", "price", "credits",
)  # fmt: skip
SELECTED = ", ".join(COLUMNS)

_TEXTS = ("task_id", "name", "task_uuid", "trouble", "folder", "kind", "parent", "prompt")
_NUMBERS = (
    "tracked_at", "finished_at", "checked_at", "next_check_at", "interval", "failures", "watched", "took", "price"
)  # fmt: skip

Word = TypeVar("Word", bound=enum.StrEnum)


def row(task: Task) -> dict[str, Any]:
    """The values of a task's columns."""
    values = {column: getattr(task, column) for column in COLUMNS}
    values["subscription_key"] = task.subscription_key.reveal() or None
    values["trouble"] = json.dumps(as_json(task.trouble)) if task.trouble else ""
    values["jobs"] = json.dumps([[job.uuid, job.status, job.queue_length] for job in task.jobs])
    values["files"] = json.dumps([_saved(file) for file in task.files])
    values["options"] = json.dumps(dict(task.options))
    values["pictures"] = json.dumps(list(task.pictures))
    place = task.placement
    values["placement"] = json.dumps(_placed(place)) if place else ""
    return values


def task(values: tuple[Any, ...]) -> Task:
    """The task of a row with `COLUMNS`. Raises sqlite3.DataError for one that cannot be a task's.

    A word that this version does not know is no damage: a newer one wrote it. Such a task is shown as not known yet,
    and the word stays in the list until something new is known of the task, see `Store.change`.
    """
    try:
        found = dict(zip(COLUMNS, values, strict=True))
        found["subscription_key"] = found["subscription_key"] or ""
        if any(not isinstance(found[c], str) for c in (*_TEXTS, "subscription_key")):
            raise ValueError
        if any(not math.isfinite(found[c]) for c in _NUMBERS) or not math.isfinite(found["credits"] or 0.0):
            raise ValueError
        found["subscription_key"] = Secret(found["subscription_key"])
        found["status"] = _word(Status, found["status"], Status.UNKNOWN)
        found["watch"] = _word(Watch, found["watch"], Watch.PAUSED)
        found["download"] = _word(Download, found["download"], Download.NONE)
        found["trouble"] = _trouble(found["trouble"])
        found["jobs"] = tuple(_job(*job) for job in json.loads(found["jobs"]))
        found["files"] = tuple(_file(*file) for file in json.loads(found["files"]))
        found["options"] = _options(json.loads(found["options"]))
        found["pictures"] = tuple(_text(name) for name in json.loads(found["pictures"]))
        found["placement"] = _placement(*json.loads(found["placement"])) if found["placement"] else None
        return Task(**found)
    except (ValueError, TypeError, RecursionError):
        raise sqlite3.DataError(f"the row of task {values[0]!r} is damaged") from None


def _word(kind: type[Word], text: object, unknown: Word) -> Word:
    try:
        return kind(_text(text))
    except ValueError:
        if isinstance(text, str) and text.isascii() and text.replace("_", "").isalpha():
            return unknown
        raise


def _trouble(text: str) -> Trouble | None:
    """What is no JSON of ours is a sentence that an earlier version wrote, and is shown as it stands there."""
    if not text:
        return None
    try:
        found = from_json(json.loads(text))
    except (ValueError, RecursionError):
        return Trouble("", text)
    return found if isinstance(found, Trouble) else Trouble("", found)


def _job(uuid: object, status: object, queue_length: object) -> Job:
    if isinstance(queue_length, int | None):
        return Job(_text(uuid), _text(status), queue_length)
    raise ValueError


def _saved(file: SavedFile) -> list[str | int]:
    return [file.name, file.size, file.sha256, *([file.source] if file.source else [])]


def _file(name: object, size: object, sha256: object = "", source: object = "") -> SavedFile:
    if isinstance(size, int):
        return SavedFile(_text(name), size, _text(sha256), _text(source))
    raise ValueError


def _options(found: object) -> dict[str, str | float | bool]:
    if isinstance(found, dict) and all(isinstance(value, (str, int, float, bool)) for value in found.values()):
        return found
    raise ValueError


def _placed(place: Placement) -> list[object]:
    box = [*place.box.turn, *place.box.size] if place.box else []
    return [*place.location, place.scene, place.file, *box]


def _placement(x: object, y: object, z: object, scene: object, file: object, *box: object) -> Placement:
    location = _float(x), _float(y), _float(z)
    return Placement(location, _text(scene), _text(file), _box(*map(_float, box)) if box else None)


def _box(w: float, x: float, y: float, z: float, width: float, depth: float, height: float) -> Box:
    return Box((w, x, y, z), (width, depth, height))


def _float(found: object) -> float:
    if isinstance(found, (int, float)):
        return float(found)
    raise ValueError


def _text(found: object) -> str:
    if isinstance(found, str):
        return found
    raise ValueError
