# SPDX-License-Identifier: GPL-3.0-or-later
"""Blockouts: rough objects that a model is wished from, in whose place it then comes."""

from __future__ import annotations

import re

import bpy
from mathutils import Matrix, Vector

from ..service.errors import BadInput
from ..tasks.task import Box

TASKS = "rodin_blockout_of"
"""The custom property of a blockout: the ids of the tasks that were made from it, in one text. It survives a rename."""

TYPES = ("MESH", "CURVE", "SURFACE", "META", "FONT")


def is_suitable(item: bpy.types.Object | None) -> bool:
    """Whether a model can be wished from an object, as far as its type tells."""
    return item is not None and item.type in TYPES


def spoken_name(item: bpy.types.Object) -> str:
    """An object's name for a prompt, without the number that Blender gives to copies."""
    return re.sub(r"\.\d{3,}$", "", item.name).strip() or item.name


def box_of(item: bpy.types.Object, graph: bpy.types.Depsgraph) -> tuple[Vector, Box]:
    """The middle of an object's box, and the box: along the object's own axes, its modifiers and parents included.

    Where parents shear it, the axes are the nearest that are upright to each other. A mirrored one has its X axis
    turned about. Raises BadInput for an object that has no size.
    """
    evaluated = item.evaluated_get(graph)
    matrix = evaluated.matrix_world
    corners = [matrix @ Vector(corner) for corner in evaluated.bound_box]
    turn = _turn(matrix.to_3x3())
    along = [turn.transposed() @ corner for corner in corners]
    low = Vector(map(min, zip(*along, strict=True)))
    high = Vector(map(max, zip(*along, strict=True)))
    size = high - low
    if not size.length > 0.0:
        raise BadInput(f"'{item.name}' has no size that a model could have. Select another object.")
    quaternion = turn.to_quaternion()
    return turn @ ((low + high) / 2.0), Box(tuple(quaternion), tuple(size))


def _turn(matrix: Matrix) -> Matrix:
    """The rotation nearest to where a matrix takes the axes, whatever the sizes."""
    axes = [column.normalized() for column in matrix.col]
    for index, axis in enumerate(axes):
        if not axis.length:
            # A size of 0 leaves no direction.
            axes[index] = axes[index - 2].cross(axes[index - 1]).normalized()
    if axes[0].dot(axes[1].cross(axes[2])) < 0.0:
        axes[0].negate()
    turn = Matrix(axes).transposed()
    # Each step halves what is sheared, and at last squares it (Higham's iteration for the polar decomposition).
    for _ in range(12):
        inverse = turn.inverted_safe().transposed()
        turn = (turn + inverse) * 0.5
    return turn
