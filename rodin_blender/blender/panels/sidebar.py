# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in the sidebar: what is missing, the ways to begin, the list, the selected task."""

from __future__ import annotations

import bpy

from ...tracking.messages import Obstacle
from .. import properties
from ..app import app
from ..folders import PACKAGE
from ..layouts import paragraph
from ..session import message_of
from . import details, form, messages, welcome, words

NARROW = 200.0
"""The width of a sidebar, in pixels at a UI scale of 1, up to which the icon alone tells a task's state."""
CHARACTER = 7.0
"""The width of a letter, about."""


class RODIN_UL_tasks(bpy.types.UIList):
    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index, flt_flag):
        session = app().session
        task = session.tasks.get(item.task_id)
        if task is None:
            return
        scale = context.preferences.system.ui_scale
        troubled = bool(message_of(task, session.obstacle)) and task.followed
        word = words.word(task) if context.region.width > NARROW * scale else ""
        # The word takes what it needs, and the name the rest.
        needed = (CHARACTER * len(word) + 24.0 * troubled + 16.0) * scale
        factor = min(max(1.0 - needed / max(context.region.width - 60.0 * scale, 1.0), 0.5), 0.95)
        split = layout.split(factor=factor)
        split.prop(item, "name", text="", emboss=False, icon=words.icon(task))
        row = split.row()
        row.alignment = "RIGHT"
        if troubled:
            row.label(text="", icon="ERROR")
        row.label(text=word)


class RODIN_PT_tasks(bpy.types.Panel):
    bl_idname = "RODIN_PT_tasks"
    bl_label = "Rodin"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Rodin"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        _draw_preferences_button(self.layout, text="", emboss=False)
        if self.use_pin:
            # Blender draws the pin over what stands there.
            self.layout.label(text="", icon="BLANK1")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        shown = context.window_manager.rodin
        width = context.region.width
        obstacle = app().settings.for_tracker().obstacle or app().session.obstacle
        if obstacle and not shown.tasks and welcome.leads(obstacle):
            welcome.draw_steps(layout, obstacle, width)
        elif obstacle and not obstacle.pending:
            _draw_obstacle(layout, obstacle, width)
        _draw_notice(layout, context)

        form.draw(layout, context)
        if not shown.tasks:
            paragraph(layout.column(), "Your models show here, from the moment you ask for them.", width)
            _draw_undo(layout)
            messages.draw(layout, width)
            return
        layout.template_list(
            "RODIN_UL_tasks", "", shown, "tasks", shown, "active_index", rows=3, maxrows=8, sort_lock=True
        )
        _draw_undo(layout)
        task = properties.active_task()
        if task:
            details.draw(layout, context, task)
        messages.draw(layout, width)


def _draw_undo(layout: bpy.types.UILayout) -> None:
    """What was forgotten last can be had back."""
    session = app().session
    if session.forgotten:
        text = f"Undo Forget '{session.forgotten[-1].name}'"
        layout.operator("rodin.undo_forget", text=text, translate=False, icon="LOOP_BACK")


def _draw_obstacle(layout: bpy.types.UILayout, obstacle: Obstacle, width: float) -> None:
    """What is missing before anything can be asked, with the button that mends it."""
    box = layout.box()
    paragraph(box, obstacle.text, width, icon="ERROR")
    match obstacle.kind:
        case "bad_key" if app().api_key.source.fixed:
            text = f"It comes from {app().api_key.source.origin}: change that and restart Blender."
            paragraph(box, text, width)
        case "offline" | "no_key" | "bad_key":
            welcome.draw_mending(box, obstacle)
        case "address":
            _draw_preferences_button(box, text="Open Preferences", emboss=True)


def _draw_preferences_button(layout: bpy.types.UILayout, *, text: str, emboss: bool) -> None:
    button = layout.operator("preferences.addon_show", text=text, icon="PREFERENCES", emboss=emboss)
    button.module = PACKAGE


def _draw_notice(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    session = app().session
    if session.notice:
        row = layout.box().row()
        paragraph(row, session.notice, context.region.width - 30, icon="INFO")
        row.operator("rodin.dismiss", text="", icon="X", emboss=False)
