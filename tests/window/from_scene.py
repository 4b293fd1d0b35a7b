"""What a user does with objects of the scene, in a window. As in scenarios.py."""

from __future__ import annotations

import bpy
from mathutils import Vector


def _blocks(count):
    """As many boxes in a row, all selected."""
    bpy.data.batch_remove(list(bpy.data.objects))
    made = []
    for number in range(count):
        bpy.ops.mesh.primitive_cube_add(location=(2.5 * number - 5.0, 0.0, 1.0))
        item = bpy.context.object
        item.name, item.dimensions = f"Chair {number + 1}", (1.0, 0.8 + 0.2 * number, 2.0)
        made.append(item)
    for item in made:
        item.select_set(True)
    return made


def make_this(ui, given):
    """Press it with some objects selected, by script and in the dialog, until a model is in its place."""
    yield from ui.open_sidebar("GENERATE")
    yield (lambda: ui.session.account.balance is not None), "the balance is known"
    ui.facts["presses"], ui.facts["viewport_draws"] = [], []
    for number in range(given["presses"]):
        items = _blocks(given["objects"])
        yield from ui.at_rest(1.5)
        began = ui.clock()
        bpy.ops.rodin.generate_from_selected(prompt=f"{{name}} of press {number}")
        ui.facts["presses"].append(ui.clock() - began)
        names = [f"{item.name} of press {number}" for item in items]
        yield (lambda names=names: all(ui.task(name) for name in names)), "they are in the list"
        yield (lambda names=names: all(ui.task(name).status == "GENERATING" for name in names)), "they are generated"
        yield 1.0
        ui.facts["viewport_draws"].append(ui.viewport_draws)
    ui.rodin.form.prompt = "{name}, made of oak"
    _blocks(3)
    yield from ui.at_rest(1.5)
    ui.leave_sidebar()
    region = next(region for region in ui.area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=region):
        bpy.ops.rodin.generate_from_selected("INVOKE_DEFAULT")
    yield from ui.picture("make-this")
    # The first one ends the editing of the field, which the dialog begins with.
    yield from ui.press("RET")
    yield from ui.press("RET")
    yield (lambda: ui.task("Chair 1, made of oak") is not None), "it is in the list"
    ui.facts["left_in_form"] = ui.rodin.form.prompt
    yield from ui.at_rest(1.5)
    yield (lambda: ui.task("Chair 3, made of oak").status == "DONE"), "it is done"
    yield 0.5
    ui.facts["draws_until_done"] = ui.viewport_draws
    before = bpy.data.objects["Chair 3"]
    before.location.z += 1.0
    # What a script changes is no step of undo by itself.
    bpy.ops.ed.undo_push(message="Moved")
    task = ui.task("Chair 3, made of oak")
    bpy.ops.rodin.hand_off(task_id=task.task_id)
    yield (lambda: task.name in bpy.data.collections), "the model is in the scene"
    points = [
        item.matrix_world @ Vector(corner)
        for item in bpy.data.collections[task.name].objects
        if item.type == "MESH"
        for corner in item.bound_box
    ]
    ui.facts["sides"] = [max(p[axis] for p in points) - min(p[axis] for p in points) for axis in range(3)]
    ui.facts["foot"] = min(p.z for p in points)
    ui.facts["hidden"] = bpy.data.objects["Chair 3"].hide_get()
    yield from ui.picture("made-this")
    ui.leave_sidebar()
    yield from ui.press("Z", ctrl=True)
    ui.facts["after_undo"] = [task.name in bpy.data.collections, bpy.data.objects["Chair 3"].hide_get()]
