# SPDX-License-Identifier: GPL-3.0-or-later
"""Beginning a generation, for the panel's button and for scripts alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from ..service.errors import BadInput
from ..tasks.options import merged
from ..tasks.task import Placement, new_task_id
from ..tasks.wish import Wish
from ..tracking.messages import NotSubmitted
from . import form, placement
from .app import app


def begin(context: bpy.types.Context, prompt: str, pictures: Iterable[str], given: Mapping[str, Any]) -> str:
    """Have a model made that is to stand where the 3D cursor is now. Returns the new task's id at once.

    `pictures` are whole paths; options that are not `given` are as the settings have them. Raises BadInput with what to
    change; nothing has happened then.
    """
    task_id = new_task_id()
    paths = tuple(map(Path, pictures))
    once_settings_are_known(task_id, partial(_begin, task_id, prompt, paths, given, placement.current(context)))
    return task_id


def once_settings_are_known(task_id: str, begin: Callable[[], None]) -> None:
    """Have a task begun now, or, while the studio's settings are still being read, when they were.

    What `begin` raises as BadInput is then told as of any wish that could not be kept.
    """
    if app().studio_files.pending:
        app().waiting.append((task_id, begin))
        app().tracker()
    else:
        begin()


def begin_waiting() -> None:
    """For the timer: begin what has waited for the settings."""
    if app().studio_files.pending:
        return
    waiting, app().waiting = app().waiting, []
    for task_id, begin in waiting:
        try:
            begin()
        except BadInput as error:
            app().session.take_in(NotSubmitted(task_id, str(error)))


def _begin(task_id: str, prompt: str, paths: tuple[Path, ...], given: Mapping[str, Any], wanted: Placement) -> None:
    obstacle = form.obstacle()
    if obstacle:
        raise BadInput(obstacle.text)
    wished = merged(form.all_chosen(), given)
    form.check(prompt, len(paths), wished)
    session = app().session
    session.begun_here.add(task_id)
    session.select = task_id
    app().tracker().generate(Wish(task_id, prompt, paths, wished, placement=wanted))
