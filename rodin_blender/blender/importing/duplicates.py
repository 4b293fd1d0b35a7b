# SPDX-License-Identifier: GPL-3.0-or-later
"""Linked duplicates: a model that was imported before stands there once more, with the same meshes and materials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import bpy
from mathutils import Matrix, Vector

TASK_UUID = "rodin_task_uuid"
"""The custom property of imported objects and their collection."""
_IMPORT = "rodin_import"
"""The one of a model's root that tells how it was imported, for a duplicate to be made of the same only."""
_PARTS = "rodin_parts"
"""How many objects the model had then: one that lacks some now is not duplicated."""
_STANDS_ON = "rodin_stands_on"
"""The point that stood at the place of the import, as the root has it; its origin where there is none."""
_SCALED = ", scaled"


def recipe(file: str, size: int, height: float, *choices: str) -> str:
    """How a model is imported, for `remember` and `find`: two of the same recipe have the same parts and meshes."""
    return ", ".join(filter(None, (file, f"{size} bytes", *choices))) + (_SCALED if height > 0.0 else "")


def remember(root: bpy.types.Object, objects: Sequence[bpy.types.Object], how: str, place: Vector) -> None:
    """Have a model known again that was imported now."""
    root[_IMPORT] = how
    root[_PARTS] = len(objects)
    local = root.matrix_basis.inverted_safe() @ place
    if local.length > 1e-5:
        root[_STANDS_ON] = tuple(local)


def find(task_uuid: str, how: str) -> list[bpy.types.Object]:
    """The objects of a task's model in the open file that was imported so, its root first; none where there is none."""
    # One that is to be scaled may be made of any; one that is to have the file's size, of none that was scaled.
    fitting = (how, how.removesuffix(_SCALED))
    own = [item for item in bpy.data.objects if item.get(TASK_UUID) == task_uuid and not item.library]
    for root in [item for item in own if item.get(_IMPORT) in fitting]:
        found = [root, *(item for item in own if item != root and root in _above(item))]
        if len(found) == root.get(_PARTS) and all(item.users for item in found):
            return found
    return []


def make(
    originals: Sequence[bpy.types.Object], scene: bpy.types.Scene
) -> tuple[list[bpy.types.Object], bpy.types.Object]:
    """Duplicates in a scene, with what they stand on at its origin, turned and as large as the first is now.

    Returns all of them, and their root.
    """
    new = {item: item.copy() for item in originals}
    for copy in new.values():
        scene.collection.objects.link(copy)
        for part in (copy, *copy.modifiers, *copy.constraints):
            _point(part, new)
    first = originals[0]
    root = new[first]
    root.parent = None
    root.matrix_parent_inverse.identity()
    root.matrix_basis = first.matrix_world
    foot = root.matrix_basis @ Vector(root.get(_STANDS_ON, (0.0, 0.0, 0.0)))
    root.matrix_basis = Matrix.Translation(-foot) @ root.matrix_basis
    return list(new.values()), root


def _point(owner: bpy.types.bpy_struct, new: Mapping[bpy.types.Object, bpy.types.Object]) -> None:
    """Have what points to an original point to its duplicate: a parent, or the bones of a modifier."""
    for prop in owner.bl_rna.properties:
        if prop.type == "POINTER" and not prop.is_readonly and getattr(owner, prop.identifier) in new:
            setattr(owner, prop.identifier, new[getattr(owner, prop.identifier)])


def _above(item: bpy.types.Object) -> list[bpy.types.Object]:
    found = []
    while item.parent:
        item = item.parent
        found.append(item)
    return found
