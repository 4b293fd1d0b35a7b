# SPDX-License-Identifier: GPL-3.0-or-later
"""From a task to its objects in the scene, and back."""

import bpy

from ...service.errors import BadInput
from ...tasks.task import Task
from ...texts.text import Text
from .. import importing, redraw
from ..app import app
from ..voice import say
from .base import OPTIONS, OfTask, refuse


def select(context: bpy.types.Context, task: Task) -> None:
    """Make a task's objects the selection. Raises BadInput where there are none that can be."""
    if context.mode != "OBJECT":
        raise BadInput("Objects can be selected in Object Mode only.")
    found = importing.in_scene(task.task_uuid, context.view_layer)
    if not found:
        text = "No object of '{name}' is in this view layer: press Import to have its model here."
        raise BadInput(Text(text, name=task.name))
    seen = [item for item in found if item.visible_get() and not item.hide_select]
    if not seen:
        text = "The objects of '{name}' are hidden, or cannot be selected: see the Outliner."
        raise BadInput(Text(text, name=task.name))
    importing.make_selection(context.view_layer, seen, next((item for item in seen if item.type == "MESH"), seen[0]))


class RODIN_OT_select_objects(OfTask, bpy.types.Operator):
    """Select the objects of this task's models in the scene"""

    bl_idname = "rodin.select_objects"
    bl_label = "Select Rodin Objects"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, task: Task) -> None:
        select(context, task)


class RODIN_OT_frame(OfTask, bpy.types.Operator):
    """Select the objects of this task's models, and move the view so that all of them are seen"""

    bl_idname = "rodin.frame"
    bl_label = "Frame Rodin Objects"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.area or context.area.type != "VIEW_3D":
            cls.poll_message_set(say(Text("It moves the view of a 3D Viewport: call it in one")))
            return False
        return super().poll(context)

    def act(self, context: bpy.types.Context, task: Task) -> None:
        select(context, task)
        # The button is in the sidebar, which has no view of its own.
        region = next(region for region in context.area.regions if region.type == "WINDOW")
        with context.temp_override(region=region):
            bpy.ops.view3d.view_selected()


class RODIN_OT_show_task(bpy.types.Operator):
    """Make the task that the active object's model is of the active one in the Rodin sidebar"""

    bl_idname = "rodin.show_task"
    bl_label = "Show Rodin Task"
    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if _uuid(context):
            return True
        cls.poll_message_set(say(Text("The active object is no Rodin model")))
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        uuid = _uuid(context)
        found = next((task for task in app().session.tasks.values() if task.task_uuid == uuid), None)
        if found is None:
            text = "The task of this object is not in the list: it was forgotten, or made elsewhere."
            return refuse(self, Text(text))
        app().task_list.activate(found.task_id)
        if found.task_id not in app().task_list.listing:
            # The filter hides it.
            view = context.window_manager.rodin
            view.search, view.show_groups = "", set()
        app().session.needs_redraw = True
        app().wake()
        area = redraw.viewport(context)
        if area:
            redraw.show_tab(area)
        return {"FINISHED"}


def _uuid(context: bpy.types.Context) -> str:
    item = context.active_object
    return str(item.get(importing.TASK_UUID, "")) if item else ""


CLASSES = (RODIN_OT_select_objects, RODIN_OT_frame, RODIN_OT_show_task)
