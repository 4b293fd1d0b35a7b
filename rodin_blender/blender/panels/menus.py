# SPDX-License-Identifier: GPL-3.0-or-later
"""Rodin in Blender's own menus: F3 searches them, and Quick Favorites take their names."""

from __future__ import annotations

import bpy

from ...service.files import models
from ...tasks.task import Task
from .. import importing
from ..app import app
from ..properties import form, task_properties
from ..scene import blockouts
from ..settings.folders import PACKAGE

MAX_MODELS = 20


class RODIN_MT_add(bpy.types.Menu):
    """Generate, follow and import models with Rodin"""

    bl_idname = "RODIN_MT_add"
    bl_label = "Rodin"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        if form.allowed():
            operator = layout.operator("rodin.show_panel", text="Generate Rodin Model...", icon="OUTLINER_OB_MESH")
            operator.begin_by = "GENERATE"
            layout.operator("rodin.generate_from_selected", icon="MESH_CUBE")
        layout.operator("rodin.show_panel", text="Follow Rodin Task...", icon="LINKED").begin_by = "FOLLOW"
        layout.operator("rodin.paste", icon="PASTEDOWN")
        layout.menu("RODIN_MT_import", text="Import Rodin Model", icon="IMPORT")
        layout.separator()
        layout.menu("RODIN_MT_task")
        layout.operator("rodin.undo_forget")
        layout.separator()
        layout.operator("rodin.download_all")
        layout.operator("rodin.clear_finished")
        layout.operator("rodin.clear_failed")
        layout.operator("rodin.register_library")
        layout.separator()
        layout.operator("rodin.show_panel")
        layout.operator("rodin.enter_api_key")
        layout.operator("preferences.addon_show", text="Rodin Preferences").module = PACKAGE
        layout.operator("rodin.copy_report")


class RODIN_MT_task(bpy.types.Menu):
    """What can be done with the task that is selected in the Rodin panel"""

    bl_idname = "RODIN_MT_task"
    bl_label = "Selected Rodin Task"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        task = task_properties.active_task()
        if task:
            layout.label(text=task.name, translate=False)
        for names in (
            ("hand_off", "import_model", "cancel_download", "send_to_library", "cancel_library"),
            ("check_now", "pause", "resume"),
            ("select_objects", "frame"),
            ("again", "variations", "keep_this_one"),
            ("copy_key", "delete_files", "forget"),
        ):
            layout.separator()
            for name in names:
                layout.operator(f"rodin.{name}")


class RODIN_MT_import(bpy.types.Menu):
    """Import a model of Rodin into the scene; it is downloaded first where that was not done yet"""

    bl_idname = "RODIN_MT_import"
    bl_label = "Import Rodin Model"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator("rodin.import_model", text="Import Rodin Model", icon="IMPORT")
        layout.separator()
        ready = newest_with_model()
        for task in ready:
            operator = layout.operator("rodin.import_model", text=task.name, translate=False, icon="OUTLINER_OB_MESH")
            operator.task_id = task.task_id
        if not ready:
            layout.label(text="No model is ready yet")


def newest_with_model() -> list[Task]:
    """The tasks that have a model or can download one, newest first."""
    tasks = app().session.tasks.values()
    found = [task for task in tasks if models(task.files) or (task.status.has_files and task.task_uuid)]
    return sorted(found, key=lambda task: task.tracked_at, reverse=True)[:MAX_MODELS]


def _draw_in_add(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.menu("RODIN_MT_add", icon="OUTLINER_OB_MESH")


def _draw_in_import(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.menu("RODIN_MT_import", text="Rodin Model")


def _draw_in_object(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    if form.allowed() and blockouts.is_selected(context):
        self.layout.separator()
        self.layout.operator_context = "INVOKE_DEFAULT"
        self.layout.operator("rodin.generate_from_selected", icon="MESH_CUBE")


def _draw_task_of(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    if context.active_object and importing.TASK_UUID in context.active_object:
        self.layout.separator()
        self.layout.operator("rodin.show_task", icon="VIEWZOOM")


def _draw_in_image(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    if form.allowed() and getattr(context.space_data, "image", None):
        self.layout.separator()
        self.layout.operator_context = "INVOKE_DEFAULT"
        self.layout.operator("rodin.generate_from_image", text="Make a Rodin Model of This", icon="MESH_CUBE")


class RODIN_PT_image(bpy.types.Panel):
    bl_idname = "RODIN_PT_image"
    bl_label = "Rodin"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Rodin"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return form.allowed()

    def draw(self, context: bpy.types.Context) -> None:
        if not context.space_data.image:
            self.layout.label(text="Open an image to make a model of it")
            return
        column = self.layout.column()
        column.scale_y = 1.4
        column.operator("rodin.generate_from_image", text="Make a Model of This", icon="MESH_CUBE")
        column = self.layout.column()
        operator = column.operator("rodin.add_open_image", text="Add to the Form", icon="ADD")
        operator.image = context.space_data.image.name


CLASSES = (RODIN_PT_image, RODIN_MT_add, RODIN_MT_task, RODIN_MT_import)

_IN_MENUS = (
    (bpy.types.VIEW3D_MT_add, _draw_in_add),
    (bpy.types.TOPBAR_MT_file_import, _draw_in_import),
    (bpy.types.VIEW3D_MT_object, _draw_in_object),
    (bpy.types.VIEW3D_MT_object_context_menu, _draw_in_object),
    (bpy.types.VIEW3D_MT_object, _draw_task_of),
    (bpy.types.VIEW3D_MT_object_context_menu, _draw_task_of),
    (bpy.types.OUTLINER_MT_object, _draw_task_of),
    (bpy.types.IMAGE_MT_image, _draw_in_image),
)


def register() -> None:
    for menu, draw in _IN_MENUS:
        menu.append(draw)


def unregister() -> None:
    for menu, draw in _IN_MENUS:
        menu.remove(draw)
