# SPDX-License-Identifier: GPL-3.0-or-later
"""Beginning a generation, for the panel's button and for scripts alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy

from ..tasks.options import Value
from ..tasks.task import new_task_id
from ..tasks.wish import Wish
from . import form, placement
from .app import app


def begin(context: bpy.types.Context, prompt: str, pictures: Iterable[str], wished: dict[str, Value]) -> str:
    """Have a model made that is to stand where the 3D cursor is now. Returns the new task's id at once.

    `pictures` are whole paths, `wished` all options. Raises BadInput with what to change; nothing has happened then.
    """
    paths = tuple(map(Path, pictures))
    form.check(prompt, len(paths), wished)
    task_id = new_task_id()
    session = app().session
    session.begun_here.add(task_id)
    session.select = task_id
    app().tracker().generate(Wish(task_id, prompt, paths, wished, placement=placement.current(context)))
    return task_id
