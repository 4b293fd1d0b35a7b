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
from .state.session import Session

_PICTURES = "/pictures"
_FORM = "form"


def path(task: Task) -> str:
    """The picture's file; "" where none was saved."""
    name = preview(task.files)
    return str(Path(task.folder) / name) if name else ""


class Previews:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._collection = bpy.utils.previews.new()
        self._loaded: dict[str, tuple[str, ...]] = {}
        """The files whose pictures are to be had, by what they are for: a task's id, that and _PICTURES, or _FORM."""

    def show(self, task_id: str, pictures: Iterable[str] = ()) -> None:
        """Bring the pictures of one task up to date: there, others, or gone. `pictures` are those it is made from."""
        task = self._session.tasks.get(task_id)
        self._show(task_id, (path(task),) if task else ())
        self._show(f"{task_id}{_PICTURES}", pictures if task else ())

    def show_in_form(self, paths: Iterable[str]) -> None:
        """Have pictures of these files for the form, and of no others."""
        self._show(_FORM, paths)

    def icon(self, task_id: str) -> int:
        """The number of the icon for `template_icon` of a task's model; 0 where there is none."""
        return next(iter(self._icons(task_id)), 0)

    def thumbnail(self, task_id: str) -> int:
        """The icon that stands for a task in the list: its model's, else its first picture's; 0 where there is none."""
        return self.icon(task_id) or next(iter(self.icons_made_from(task_id)), 0)

    def icons_made_from(self, task_id: str) -> list[int]:
        """The icons of the pictures that a task is made from."""
        return self._icons(f"{task_id}{_PICTURES}")

    def icon_in_form(self, path: str) -> int:
        """The icon of a picture in the form, 0 where it is still to come."""
        return self._collection[path].icon_id if path in self._collection else 0

    def end(self) -> None:
        bpy.utils.previews.remove(self._collection)

    def _icons(self, use: str) -> list[int]:
        return [self._collection[path].icon_id for path in self._loaded.get(use, ())]

    def _show(self, use: str, paths: Iterable[str]) -> None:
        # A file's picture is loaded once, whatever it is for: when Blender has loaded one, it draws all windows again.
        before, now = self._loaded.pop(use, ()), tuple(path for path in paths if path)
        if now:
            self._loaded[use] = now
        for path in now:
            if path not in self._collection:
                self._collection.load(path, path, "IMAGE")
        gone = set(before) - set(now)
        if gone:
            for path in gone.difference(*self._loaded.values()):
                del self._collection[path]
