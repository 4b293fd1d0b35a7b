# SPDX-License-Identifier: GPL-3.0-or-later
"""Blockouts: rough objects that a model is generated from, and that it then replaces."""

from __future__ import annotations

import re
from dataclasses import replace

import bpy
from mathutils import Matrix, Vector

from ...service.errors import BadInput
from ...tasks.task import Box, Placement, Task
from ...texts.text import Text
from ..app import app
from . import placement

TASKS = "rodin_blockout_of"
"""The custom property of a blockout: the ids of the tasks that were made from it, in one text. It survives a rename."""

TYPES = ("MESH", "CURVE", "SURFACE", "META", "FONT")
NAME = "{name}"
"""What stands for the object's name in a prompt."""


def is_selected(context: bpy.types.Context) -> bool:
    """Whether the active object is one that a model can be generated from, as far as its type tells."""
    item = context.active_object
    return item is not None and item.type in TYPES and context.mode == "OBJECT" and item.select_get()


def selected(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected objects that a model can be generated from, sorted by name."""
    found = [item for item in context.selected_objects if item.type in TYPES]
    return sorted(found, key=lambda item: item.name)


def prompt_for(text: str, item: bpy.types.Object) -> str:
    """A prompt in which `NAME` stands for an object's name, without the number that Blender gives to copies."""
    return text.replace(NAME, re.sub(r"\.\d{3,}$", "", item.name)).strip()


def placement_of(item: bpy.types.Object, context: bpy.types.Context) -> Placement:
    """Where a model is wanted that is made from an object. Raises BadInput for one that has no size."""
    middle, box = box_of(item, context.evaluated_depsgraph_get())
    return replace(placement.current(context), location=tuple(middle), box=box)


def remember(item: bpy.types.Object, task_id: str) -> None:
    """Have `find` find the object of a task, whatever it is called then, and also when the file was opened again."""
    app().session.blockouts[task_id] = item.session_uid
    if item.library is None:
        item[TASKS] = f"{item.get(TASKS, '')} {task_id}".strip()


def find(task_id: str, scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The object that a task was made from; None where it is no longer in the scene."""
    # A copy of the object has its properties, too, and an undo may have removed them.
    uid = app().session.blockouts.get(task_id)
    found = [item for item in scene.objects if item.session_uid == uid or task_id in str(item.get(TASKS, "")).split()]
    return next((item for item in found if item.session_uid == uid), found[0] if found else None)


def current_placement(task: Task, context: bpy.types.Context) -> Placement | None:
    """Where a task's model is wanted in the context's scene: where its blockout is now, else where that was.

    None where it was requested for another scene or file, or without a place.
    """
    wanted = placement.of(task)
    if wanted is None or wanted.scene != context.scene.name:
        return None
    item = find(task.task_id, context.scene) if wanted.box else None
    try:
        return placement_of(item, context) if item else wanted
    except BadInput:
        # All of the object's geometry was deleted in Edit mode.
        return wanted


def hide(task_id: str, context: bpy.types.Context) -> None:
    """Hide a task's blockout, for its model is in its place now."""
    item = find(task_id, context.scene)
    if item:
        item.hide_render = True
        if item.name in context.view_layer.objects:
            item.hide_set(True, view_layer=context.view_layer)


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
        raise BadInput(Text("'{object}' has no size that a model could have. Select another object.", object=item.name))
    quaternion = turn.to_quaternion()
    return turn @ ((low + high) / 2.0), Box(tuple(quaternion), tuple(size))


def _turn(matrix: Matrix) -> Matrix:
    """The rotation nearest to where a matrix takes the axes, whatever the sizes."""
    axes = [column.normalized() for column in matrix.col]
    for index, axis in enumerate(axes):
        if not axis.length:
            # An axis that is scaled to 0 has no direction.
            axes[index] = axes[index - 2].cross(axes[index - 1]).normalized()
    if axes[0].dot(axes[1].cross(axes[2])) < 0.0:
        axes[0].negate()
    turn = Matrix(axes).transposed()
    # Each step of Higham's iteration for the polar decomposition halves the shear, and squares it at the end.
    for _ in range(12):
        inverse = turn.inverted_safe().transposed()
        turn = (turn + inverse) * 0.5
    return turn
