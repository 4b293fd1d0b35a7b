# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tasks' models are in the open file: looked up when that may have changed, since the list is drawn often."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from .. import redraw
from ..app import app
from ..importing import TASK_UUID


@persistent
def scan(*_arguments: object) -> None:
    """Look through all objects."""
    found: dict[str, str] = {}
    for item in bpy.data.objects:
        uuid = item.get(TASK_UUID)
        # A deleted object may stay in the file, without users, until the file is saved.
        if uuid and item.users:
            found.setdefault(str(uuid), item.name)
    if found != app().task_list.in_scene:
        app().task_list.in_scene = found
        redraw.sidebars()


@persistent
def _updated(_scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Called for each change and frame: it looks for what was there, and only where a collection has changed."""
    known = app().task_list.in_scene
    if known and depsgraph.id_type_updated("COLLECTION"):
        here = (bpy.data.objects.get(name) for name in known.values())
        if not all(item and item.users and item.get(TASK_UUID) for item in here):
            scan()


HANDLERS = (
    (bpy.app.handlers.load_post, scan),
    (bpy.app.handlers.undo_post, scan),
    (bpy.app.handlers.redo_post, scan),
    (bpy.app.handlers.depsgraph_update_post, _updated),
)
"""For `file_events`, which has Blender call them."""
