# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene to import in that is thrown away: importers change frame rate, units, selection, world and more of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy


@contextmanager
def scene_aside() -> Iterator[bpy.types.Scene]:
    """An empty scene in meters as the context's, with the user's frame rate, so that animations keep their speed.

    Afterwards it is gone, and each window and 3D view shows what it showed.
    """
    users = bpy.context.scene
    scene = bpy.data.scenes.new("Import")
    scene.render.fps, scene.render.fps_base = users.render.fps, users.render.fps_base
    scene.frame_start, scene.frame_end = users.frame_start, users.frame_end
    shown = [(window, window.scene, window.view_layer) for window in bpy.context.window_manager.windows]
    # A window that shows another scene for a moment, as Blender's glTF importer has it for bones, leaves the camera.
    views = [
        (space, space.camera, space.region_3d, space.region_3d.view_perspective)
        for window, *_ in shown
        for area in window.screen.areas
        for space in area.spaces
        if space.type == "VIEW_3D" and space.region_3d
    ]
    try:
        with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
            yield scene
    finally:
        moved = False
        for window, before, layer in shown:
            if window.scene != before:
                window.scene, window.view_layer, moved = before, layer, True
        if moved:
            for space, camera, region, perspective in views:
                space.camera = camera
                region.view_perspective = perspective
        bpy.data.scenes.remove(scene)


def everything() -> set[bpy.types.ID]:
    """All data-blocks of the open file. `bpy.data.user_map` tells more, and takes seconds in a large one."""
    lists = (getattr(bpy.data, prop.identifier) for prop in bpy.data.bl_rna.properties if prop.type == "COLLECTION")
    return {item for items in lists for item in items}


def remove(items: set[bpy.types.ID]) -> None:
    """Remove data-blocks, whatever uses them."""
    for scene in [item for item in items if isinstance(item, bpy.types.Scene)]:
        items = items - {scene}
        bpy.data.scenes.remove(scene)
    bpy.data.batch_remove(items)


def remove_leftovers(before: set[bpy.types.ID], kept: bpy.types.Collection) -> None:
    """Of what was made since `before`, remove the other scenes and collections, and what nothing uses then."""
    made = everything() - before
    remove({item for item in made if isinstance(item, (bpy.types.Scene, bpy.types.Collection)) and item != kept})
    while unused := {item for item in everything() - before if not item.users and item != kept}:
        bpy.data.batch_remove(unused)
