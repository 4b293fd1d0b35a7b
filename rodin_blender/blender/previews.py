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
_shown: dict[str, tuple[str, ...]] = {}
"""The files whose pictures are to be had, by what they are for: a task's id, that and PICTURES, or FORM."""
_PICTURES = "/pictures"
_FORM = "form"


def path(task: Task) -> str:
    """The picture's file; "" where none was saved."""
    name = preview(task.files)
    return str(Path(task.folder) / name) if name else ""


def show(task_id: str, pictures: Iterable[str] = ()) -> None:
    """Bring the pictures of one task up to date: there, others, or gone. `pictures` are those it is made from."""
    task = session.tasks.get(task_id)
    _show(task_id, (path(task),) if task else ())
    _show(f"{task_id}{_PICTURES}", pictures if task else ())


def show_in_form(paths: Iterable[str]) -> None:
    """Have pictures of these files for the form, and of no others."""
    _show(_FORM, paths)


def icon(task_id: str) -> int:
    """The number of the icon for `template_icon` of a task's model; 0 where there is none."""
    return next(iter(_icons(task_id)), 0)


def icons_made_from(task_id: str) -> list[int]:
    """The icons of the pictures that a task is made from."""
    return _icons(f"{task_id}{_PICTURES}")


def icon_in_form(path: str) -> int:
    """The icon of a picture in the form, 0 where it is still to come."""
    return _collection[path].icon_id if path in _collection else 0


def _icons(use: str) -> list[int]:
    return [_collection[path].icon_id for path in _shown.get(use, ())]


def _show(use: str, paths: Iterable[str]) -> None:
    # A file's picture is loaded once, whatever it is for: when Blender has loaded one, it draws all windows again.
    before, now = _shown.pop(use, ()), tuple(path for path in paths if path)
    if now:
        _shown[use] = now
    for path in now:
        if path not in _collection:
            _collection.load(path, path, "IMAGE")
    gone = set(before) - set(now)
    if gone:
        for path in gone.difference(*_shown.values()):
            del _collection[path]


def register() -> None:
    global _collection
    _collection = bpy.utils.previews.new()


def unregister() -> None:
    global _collection
    bpy.utils.previews.remove(_collection)
    _collection = None
    _shown.clear()
