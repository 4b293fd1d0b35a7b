# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting a model into a box: each of the box's axes on its own, so that the model's proportions become the box's."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
from mathutils import Matrix, Quaternion, Vector

from ...tasks.task import Box
from . import placing

FLAT = 1e-5
"""The share of the longest side below which a side counts as none: nothing is flattened or stretched to it."""


def fit(
    objects: list[bpy.types.Object], root: bpy.types.Object, middle: Vector, box: Box, scene: bpy.types.Scene
) -> bpy.types.Object:
    """Have a model that stands at a scene's origin fill a box around `middle`. Returns its root, which may be new.

    Sizes are applied to the meshes, so that nothing is sheared and each object's size is 1. Where that cannot be, as
    with animations, bones and meshes that are used twice, the size stands in an empty above all, added to `objects`.
    """
    fitted = _matrix(objects, middle, box)
    if not _can_be_applied(objects):
        above = bpy.data.objects.new("Root", None)
        scene.collection.objects.link(above)
        above.matrix_basis = fitted
        root.parent = above
        objects.append(above)
        return above
    before = {item: item.matrix_world.copy() for item in objects}
    after: dict[bpy.types.Object, Matrix] = {}
    for item in sorted(objects, key=_depth):
        place, turn, _size = before[item].decompose()
        after[item] = Matrix.LocRotScale(fitted @ place, Quaternion(box.turn) @ turn, None)
        item.rotation_mode = "XYZ"
        item.matrix_parent_inverse.identity()
        item.matrix_basis = after[item.parent].inverted() @ after[item] if item.parent else after[item]
        item.scale = (1.0, 1.0, 1.0)
        if item.type == "MESH":
            item.data.transform(after[item].inverted() @ fitted @ before[item], shape_keys=True)
            item.data.update()
        elif item.type == "EMPTY":
            item.empty_display_size *= fitted.median_scale * before[item].median_scale
    return root


def foot(middle: Vector, box: Box) -> Vector:
    """The middle of a box's underside."""
    return middle - Quaternion(box.turn) @ Vector((0.0, 0.0, box.size[2] / 2.0))


def _matrix(objects: Sequence[bpy.types.Object], middle: Vector, box: Box) -> Matrix:
    """What takes the model to the box. A side that one of the two has not is scaled as the others are on average."""
    low, high = placing.bounds(objects)
    if low.x > high.x:
        return Matrix.LocRotScale(middle, Quaternion(box.turn), None)
    sides = high - low
    least_of_box, least_of_model = FLAT * max(box.size), FLAT * max(sides)
    factors = [
        length / side if length > least_of_box and side > least_of_model else 0.0
        for length, side in zip(box.size, sides, strict=True)
    ]
    known = [factor for factor in factors if factor]
    usual = 1.0
    for factor in known:
        usual *= factor ** (1.0 / len(known))
    turn, size = Quaternion(box.turn).to_matrix().to_4x4(), Matrix.Diagonal((*(f or usual for f in factors), 1.0))
    return Matrix.Translation(middle) @ turn @ size @ Matrix.Translation((low + high) / -2.0)


def _can_be_applied(objects: Sequence[bpy.types.Object]) -> bool:
    simple = all(item.type in ("MESH", "EMPTY") and item.matrix_world.is_negative is False for item in objects)
    return simple and placing.are_still(objects) and placing.have_own_meshes(objects)


def _depth(item: bpy.types.Object) -> int:
    return 0 if item.parent is None else 1 + _depth(item.parent)
