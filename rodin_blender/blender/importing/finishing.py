# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to an imported model's meshes where the settings ask for it: parts joined, vertices merged."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from . import placing


def join(objects: list[bpy.types.Object], scene: bpy.types.Scene) -> None:
    """Have one mesh instead of several, whose origin is the file's; the empties around them go with `objects`.

    Models with bones, animations or shape keys stay as they are: joined, they would no longer move.
    """
    parts = [item for item in objects if item.type == "MESH"]
    if len(parts) < 2 or not placing.are_still(objects) or any(item.data.shape_keys for item in parts):
        return
    layer = scene.view_layers[0]
    layer.update()
    whole = bpy.data.objects.new("Joined", bpy.data.meshes.new("Joined"))
    scene.collection.objects.link(whole)
    for item in parts:
        matrix = item.matrix_world.copy()
        item.parent = None
        item.matrix_world = matrix
    layer.update()
    with bpy.context.temp_override(
        object=whole, active_object=whole, selected_objects=[whole, *parts], selected_editable_objects=[whole, *parts]
    ):
        bpy.ops.object.join()
    others = [item for item in objects if item not in parts]
    emptied = [item for item in others if item.type == "EMPTY"]
    objects[:] = [whole, *(item for item in others if item not in emptied)]
    for item in objects:
        if item.parent in emptied:
            matrix = item.matrix_world.copy()
            item.parent = None
            item.matrix_world = matrix
    bpy.data.batch_remove(emptied)


def merge(objects: Sequence[bpy.types.Object], distance: float, scene: bpy.types.Scene) -> None:
    """Merge vertices that are no farther apart than `distance`, in the scene's units."""
    import bmesh

    scene.view_layers[0].update()
    sizes = {item.data: item.matrix_world.median_scale for item in objects if item.type == "MESH"}
    for mesh, size in sizes.items():
        shape = bmesh.new()
        try:
            shape.from_mesh(mesh)
            bmesh.ops.remove_doubles(shape, verts=shape.verts, dist=distance / size if size > 0.0 else 0.0)
            shape.to_mesh(mesh)
        finally:
            shape.free()
        mesh.update()
