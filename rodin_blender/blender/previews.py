# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's pictures of models, as icons. Blender reads a file when its icon is first drawn, in its own thread."""

from __future__ import annotations

from pathlib import Path

import bpy.utils.previews

from ..service.files import PREVIEW
from ..tasks.task import Task
from .session import session

_collection: bpy.utils.previews.ImagePreviewCollection | None = None


def path(task: Task) -> str:
    """The picture's file; "" where none was saved."""
    there = any(file.name == PREVIEW and file.size for file in task.files)
    return str(Path(task.folder) / PREVIEW) if there else ""


def show(task_id: str) -> None:
    """Bring the picture of one task up to date: there, another one, or gone."""
    task = session.tasks.get(task_id)
    wanted = path(task) if task else ""
    if _paths.get(task_id, "") == wanted:
        return
    if _paths.pop(task_id, ""):
        del _collection[task_id]
    if wanted:
        _paths[task_id] = wanted
        _collection.load(task_id, wanted, "IMAGE")


_paths: dict[str, str] = {}
"""The file behind each picture, by task id."""


def icon(task_id: str) -> int:
    """The number of the icon for `template_icon`; 0 where there is none."""
    return _collection[task_id].icon_id if task_id in _paths else 0


def register() -> None:
    global _collection
    _collection = bpy.utils.previews.new()


def unregister() -> None:
    global _collection
    bpy.utils.previews.remove(_collection)
    _collection = None
    _paths.clear()
