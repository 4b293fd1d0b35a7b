# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to the panel, to help, and to what is on the disk."""

import bpy

from ...texts.text import Text
from .. import links, opening, redraw, report
from ..app import app
from ..voice import say
from .base import INTERNAL, OPTIONS, text_property


class RODIN_OT_open(bpy.types.Operator):
    """Open it. Where nothing on this computer does that, its address is copied"""

    bl_idname = "rodin.open"
    bl_label = "Open What Rodin Refers To"
    bl_options = INTERNAL

    target: text_property("Target", "A folder's path, or a page's address")

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        text = "Open {target}. Where nothing on this computer does that, it is copied to the clipboard"
        return say(Text(text, target=properties.target))

    def execute(self, context: bpy.types.Context) -> set[str]:
        opening.start(self.target)
        return {"FINISHED"}


class RODIN_OT_show_panel(bpy.types.Operator):
    """Show the Rodin tab in the sidebar of the 3D viewport, where models are generated, followed and imported"""

    bl_idname = "rodin.show_panel"
    bl_label = "Show Rodin Panel"
    bl_options = OPTIONS

    begin_by: bpy.props.StringProperty(
        name="Begin By", description="GENERATE or FOLLOW; as it was when empty", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if redraw.viewport(context):
            return True
        cls.poll_message_set(say(Text("No 3D viewport is open in this window")))
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.begin_by:
            app().settings.set_value("begin_by", self.begin_by)
        redraw.show_tab(redraw.viewport(context))
        return {"FINISHED"}


class RODIN_OT_copy_report(bpy.types.Operator):
    """Copy what helps to find a fault to the clipboard: versions, settings and the last messages, without any key"""

    bl_idname = "rodin.copy_report"
    bl_label = "Report a Rodin Bug"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = report.text()
        page = links.own_page()
        text = "The report is in the clipboard. Paste it at {page}, with what you did and what happened"
        if not page:
            text = (
                "The report is in the clipboard. Give it to whoever you have the extension from, with what you did and "
                "what happened"
            )
        self.report({"INFO"}, say(Text(text, page=page)))
        if page:
            opening.start(page)
        return {"FINISHED"}


CLASSES = (RODIN_OT_open, RODIN_OT_show_panel, RODIN_OT_copy_report)
