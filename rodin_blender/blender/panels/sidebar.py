# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in the sidebar: what is missing, the ways to begin, the list, the active task."""

from __future__ import annotations

import bpy

from ...texts.text import Text
from ..app import app
from ..layouts import paragraph
from ..properties import task_properties
from . import details, form, messages, status, task_list


class RODIN_PT_tasks(bpy.types.Panel):
    bl_idname = "RODIN_PT_tasks"
    bl_label = "Rodin"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Rodin"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        status.draw_preferences_button(self.layout, text="", emboss=False)
        if self.use_pin:
            # Blender draws the pin over what stands there.
            self.layout.label(text="", icon="BLANK1")

    def draw(self, context: bpy.types.Context) -> None:
        with app().settings.drawing():
            self._draw(context)

    def _draw(self, context: bpy.types.Context) -> None:
        layout, width = self.layout, context.region.width
        # The blocker is worked out once for all parts of the panel.
        blocker = app().lasting_blocker()
        if context.window_manager.rodin.tasks:
            status.draw_line(layout, width, blocker)
            form.draw(layout, context, blocker)
            task_list.draw(layout, context)
            _draw_chosen(layout, context)
        else:
            status.draw_in_full(layout, width, blocker)
            form.draw(layout, context, blocker)
            paragraph(layout.column(), Text("Your models show here, from the moment you ask for them."), width)
            status.draw_undo(layout)
        messages.draw(layout, width)


def _draw_chosen(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The active task's details, or what is to be done with the selected ones."""
    task = task_properties.active_task()
    if app().task_list.selecting:
        details.draw_selection(layout)
    elif task and task.task_id not in app().task_list.listing:
        details.draw_hidden(layout, context, task)
    elif task:
        details.draw(layout, context, task)
