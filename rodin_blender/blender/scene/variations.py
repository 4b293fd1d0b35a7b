# SPDX-License-Identifier: GPL-3.0-or-later
"""Variations: the same request with other seeds. Their models stand side by side until one is kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import bpy

from ...tasks.task import Task
from .. import importing
from ..app import app

MOVED = "rodin_moved_beside"
"""The custom property of a model's collection: how far along X it stands from the place that it was requested for."""
GAP = 0.15
"""The room between two models, as a share of the wider one's width."""
SEEDS = 65_536


def first_of(task: Task) -> str:
    """The id of the task that a task is a variation of: its own where it is none."""
    return task.parent or task.task_id


def family(task: Task) -> list[Task]:
    """A task, the one that it is a variation of, and the other variations of that, the oldest first."""
    session, first = app().session, first_of(task)
    ids = {first: None, **session.made_from.get(first, {}), task.task_id: None}
    return [session.tasks[task_id] for task_id in ids if task_id in session.tasks]


def seeds(taken: Iterable[object], count: int) -> list[int]:
    """As many other seeds, each once."""
    known = set(taken)
    found: list[int] = []
    while len(found) < count:
        seed = secrets.randbelow(SEEDS)
        if seed not in known:
            known.add(seed)
            found.append(seed)
    return found


def others_in(scene: bpy.types.Scene, task: Task) -> list[bpy.types.Collection]:
    """The models of a task's family that are in a scene, without its own."""
    uuids = {other.task_uuid for other in family(task) if other.task_id != task.task_id and other.task_uuid}
    if not uuids:
        return []
    return [found for found in scene.collection.children_recursive if found.get(importing.TASK_UUID) in uuids]


def put_beside(task: Task, model: bpy.types.Collection, context: bpy.types.Context) -> None:
    """Have a model that was just imported stand to the right of the others of its family, where there are any."""
    others = others_in(context.scene, task)
    sides = [importing.extent(other.all_objects, 0) for other in others]
    left, right = importing.extent(model.all_objects, 0)
    if not sides or left > right:
        return
    widest = max(high - low for low, high in [*sides, (left, right)])
    way = max(high for _low, high in sides) + GAP * widest - left
    importing.move(model, (way, 0.0, 0.0))
    model[MOVED] = way


def keep(task: Task, context: bpy.types.Context) -> int:
    """Remove the models of the rest of a task's family from the scene; its own moves to the requested place.

    Returns how many were removed.
    """
    others = others_in(context.scene, task)
    unused: set[bpy.types.ID] = set()
    for other in others:
        objects = [item for item in other.all_objects if item.get(importing.TASK_UUID) == other[importing.TASK_UUID]]
        unused |= {item.data for item in objects if item.data}
        bpy.data.batch_remove(objects)
        bpy.data.collections.remove(other)
    bpy.data.batch_remove([data for data in unused if not data.users])
    for model in context.scene.collection.children_recursive:
        if task.task_uuid and model.get(importing.TASK_UUID) == task.task_uuid and MOVED in model:
            importing.move(model, (-model[MOVED], 0.0, 0.0))
            del model[MOVED]
    return len(others)
