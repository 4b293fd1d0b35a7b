# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a model that this Blender has made is wanted: where the 3D cursor was, or in the place of a blockout."""

from __future__ import annotations

import bpy

from ...tasks.task import Placement, Task
from ..app import app

LOCATION = ("WISHED", "Where It Was Wished", "In the place of its blockout, or where the 3D cursor was at Generate")
"""One more choice beside those of the preferences, for a model that was generated from the open file."""


def current(context: bpy.types.Context) -> Placement:
    x, y, z = context.scene.cursor.location
    return Placement((x, y, z), context.scene.name, bpy.data.filepath)


def of(task: Task) -> Placement | None:
    """Where a task's model is wanted in the open file; None where it is for another file or has no place."""
    wanted = task.placement
    if wanted is None or wanted.scene not in bpy.data.scenes:
        return None
    # A file that was never saved, or was saved under another name since, is the same as long as none was opened.
    same = task.task_id in app().session.started_here or (wanted.file and wanted.file == bpy.data.filepath)
    return wanted if same else None
