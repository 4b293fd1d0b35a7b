# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of tasks, with what finds, sorts and selects in it."""

from typing import Any

import bpy

from ...tasks.task import Task
from ...texts.text import Text
from .. import task_states
from ..app import App, app
from ..layouts import font_size, text_width, ui_scale
from ..voice import say
from . import status

MARGINS = 46.0
"""Pixels beside a row, at a UI scale of 1: the sidebar's tabs and the list's frame."""
SCROLL_BAR = 16.0
ICON = 20.0
PADDING = 16.0
"""Of a text on a button."""
MAX_ROWS = 8
NO_PICTURE = "FILE_3D"


class RODIN_UL_tasks(bpy.types.UIList):
    """A list of rows that are numbers: which task stands in which, `Listing` tells"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: Any,
        item: Any,
        icon: int,
        active_data: Any,
        active_property: str,
        index: int,
    ) -> None:
        running = app()
        listing = running.task_list.listing
        task = running.session.tasks.get(listing[index]) if index < len(listing) else None
        if task:
            _draw_row(layout, context.region.width, running, task, item)

    def filter_items(self, context: bpy.types.Context, data: Any, property_name: str) -> tuple[list[int], list[int]]:
        # The rows are found and sorted already, and not by what Blender kept of this list in a .blend file.
        return [], []

    def draw_filter(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        draw_filter(layout, context)


def _draw_row(
    layout: bpy.types.UILayout, width: float, running: App, task: Task, item: bpy.types.PropertyGroup
) -> None:
    scale, size = ui_scale(), font_size()
    row = layout.row(align=True)
    width -= (MARGINS + ICON) * scale
    if len(running.task_list.listing) > MAX_ROWS:
        width -= SCROLL_BAR * scale
    if running.task_list.selecting:
        row.prop(item, "selected", text="")
        width -= ICON * scale
    icon, state, _sentence = task_states.state(task)
    word = say(state)
    if task.followed and (task.trouble or running.session.blocker):
        icon = "ERROR"
    needed = ICON * scale + text_width(word, size) + 2 * PADDING * scale
    # A name that would be cut takes the word's room, and the icon says it alone.
    alone = text_width(task.name, size) + PADDING * scale + needed > width
    if alone:
        needed = ICON * scale
    picture = running.previews.thumbnail(task.task_id)
    if picture:
        # As large as the details show it: each size of a picture is loaded once, and then Blender draws all windows.
        row.template_icon(icon_value=picture)
    else:
        row.label(text="", icon=NO_PICTURE)
    split = row.split(factor=min(max(1.0 - needed / max(width, 1.0), 0.3), 0.95))
    split.prop(item, "name", text="", emboss=False)
    end = split.row()
    end.alignment = "RIGHT"
    if alone:
        # The icon is a button, since a label has no tooltip.
        end.operator("rodin.activate", text="", icon=icon, emboss=False).task_id = task.task_id
    else:
        end.label(text=word, icon=icon, translate=False)


def draw(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    shown = context.window_manager.rodin
    column = layout.column(align=True)
    _draw_bar(column, shown)
    column.template_list(
        "RODIN_UL_tasks", "", shown, "rows", shown, "active_row", rows=4, maxrows=MAX_ROWS, sort_lock=True
    )
    listing = app().task_list.listing
    if listing.arrangement.filters:
        row = layout.row()
        text = Text("{shown} of {total} tasks shown", shown=len(listing), total=len(shown.tasks))
        row.label(text=say(text), icon="FILTER", translate=False)
        row.operator("rodin.show_all_tasks", text="", icon="X", emboss=False)


def _draw_bar(layout: bpy.types.UILayout, shown: bpy.types.PropertyGroup) -> None:
    row = layout.row(align=True)
    row.prop(shown, "search", text="", icon="VIEWZOOM", placeholder="Search Tasks")
    row.popover("RODIN_PT_filter", text="", icon="FILTER")
    row.prop(shown, "selecting", text="", icon="CHECKBOX_HLT", toggle=True)
    row.menu("RODIN_MT_tasks", text="", icon="DOWNARROW_HLT")


def draw_filter(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    shown = context.window_manager.rodin
    column = layout.column()
    column.label(text="Show")
    column.column(align=True).prop(shown, "show_groups")
    column.label(text="Sort By")
    column.row(align=True).prop(shown, "sort_by", expand=True)


class RODIN_PT_filter(bpy.types.Panel):
    """Which tasks the list shows, and in which order"""

    bl_idname = "RODIN_PT_filter"
    bl_label = "Filter and Sort"
    bl_space_type = "VIEW_3D"
    # The HEADER region shows no panels, so this one opens by its button only.
    bl_region_type = "HEADER"
    bl_ui_units_x = 12

    def draw(self, context: bpy.types.Context) -> None:
        draw_filter(self.layout, context)


class RODIN_MT_tasks(bpy.types.Menu):
    """Things to do with many tasks at once. What the filter hides, they leave alone"""

    bl_idname = "RODIN_MT_tasks"
    bl_label = "Tasks"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("rodin.download_all", text="Download All", icon="IMPORT")
        layout.separator()
        layout.operator("rodin.clear_finished", text="Clear Finished", icon="TRASH")
        layout.operator("rodin.clear_failed", text="Clear Failed", icon="TRASH")
        layout.operator("rodin.undo_forget", text=status.undo_text(), translate=False, icon="LOOP_BACK")
        layout.separator()
        layout.operator("rodin.select_tasks", text="Select All", icon="CHECKBOX_HLT").action = "ALL"
        layout.operator("rodin.select_tasks", text="Select None", icon="CHECKBOX_DEHLT").action = "NONE"
        layout.operator("rodin.select_tasks", text="Invert Selection").action = "INVERT"
