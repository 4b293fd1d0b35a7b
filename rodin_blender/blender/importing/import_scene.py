# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene to import in that is thrown away: importers change frame rate, units, selection, world and more of theirs."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import bpy


@contextmanager
def temporary_scene() -> Iterator[bpy.types.Scene]:
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


def last_created() -> int:
    """The number of the data-block that was made last, for `created_since`: Blender counts them while it runs."""
    return max((number for _items, numbers in _numbered() for number in numbers), default=0)


def created_since(number: int) -> set[bpy.types.ID]:
    """The data-blocks that were made since `last_created` was that. The thousands of others are not touched."""
    return {
        items[index] for items, numbers in _numbered() for index, made in enumerate(numbers) if made > number
    }


def _numbered() -> Iterator[tuple[bpy.types.bpy_prop_collection, array[int]]]:
    """Each list of the open file's data-blocks, with their numbers."""
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION":
            items = getattr(bpy.data, prop.identifier)
            numbers = array("i", bytes(4 * len(items)))
            items.foreach_get("session_uid", numbers)
            yield items, numbers


def remove(items: set[bpy.types.ID]) -> None:
    """Remove data-blocks, whatever uses them."""
    for scene in [item for item in items if isinstance(item, bpy.types.Scene)]:
        items = items - {scene}
        bpy.data.scenes.remove(scene)
    # To remove none takes as long as to remove one.
    if items:
        bpy.data.batch_remove(items)


def remove_leftovers(number: int, kept: bpy.types.Collection) -> None:
    """Of what was made since, see `created_since`, remove other scenes and collections, and what nothing uses then."""
    made = created_since(number) - {kept}
    remove({item for item in made if isinstance(item, (bpy.types.Scene, bpy.types.Collection))})
    while unused := {item for item in created_since(number) if not item.users and item != kept}:
        bpy.data.batch_remove(unused)
