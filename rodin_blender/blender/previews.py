# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as icons: the service's of models, and those that models are made from.

Blender reads a file when its icon is first drawn, in its own thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy.utils.previews

from ..service.files import preview
from ..tasks.task import Task
from .session import session

_collection: bpy.utils.previews.ImagePreviewCollection | None = None
_paths: dict[str, str] = {}
"""The file behind each icon: the key is a task's id, that and a picture's number, or the path of one in the form."""


def path(task: Task) -> str:
    """The picture's file; "" where none was saved."""
    name = preview(task.files)
    return str(Path(task.folder) / name) if name else ""


def show(task_id: str, pictures: Iterable[Path] = ()) -> None:
    """Bring the pictures of one task up to date: there, another one, or gone. `pictures` are those it is made from."""
    task = session.tasks.get(task_id)
    _have(task_id, path(task) if task else "")
    wanted = {f"{task_id}/{number}": str(picture) for number, picture in enumerate(pictures, 1)} if task else {}
    for number in range(1, max(len(wanted), _counts.get(task_id, 0)) + 1):
        _have(f"{task_id}/{number}", wanted.get(f"{task_id}/{number}", ""))
    _counts[task_id] = len(wanted)
    if not wanted:
        del _counts[task_id]


_counts: dict[str, int] = {}
"""How many pictures each task is made from, where there are any."""


def show_in_form(paths: Iterable[str]) -> None:
    """Have icons for these pictures of the form, and for no others."""
    global _in_form
    wanted = set(paths)
    for path in _in_form - wanted:
        _have(path, "")
    for path in wanted:
        _have(path, path)
    _in_form = wanted


_in_form: set[str] = set()


def _have(key: str, wanted: str) -> None:
    if _paths.get(key, "") == wanted:
        return
    if _paths.pop(key, ""):
        del _collection[key]
    if wanted:
        _paths[key] = wanted
        _collection.load(key, wanted, "IMAGE")


def icon(key: str) -> int:
    """The number of the icon for `template_icon`; 0 where there is none."""
    return _collection[key].icon_id if key in _paths else 0


def icons_made_from(task: Task) -> list[int]:
    """The icons of the pictures that a task is made from."""
    return [icon(f"{task.task_id}/{number}") for number in range(1, len(task.pictures) + 1)]


def register() -> None:
    global _collection
    _collection = bpy.utils.previews.new()


def unregister() -> None:
    global _collection, _in_form
    bpy.utils.previews.remove(_collection)
    _collection = None
    _paths.clear()
    _counts.clear()
    _in_form = set()
