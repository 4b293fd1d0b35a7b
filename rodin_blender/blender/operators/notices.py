# SPDX-License-Identifier: GPL-3.0-or-later
"""How the user is told what happened, and takes it away."""

import time

import bpy

from ..app import app
from .base import INTERNAL, text_property

LONGEST_ANNOUNCEMENT = 30.0
"""Seconds that a line for the status bar waits for the user to be back."""


class RODIN_OT_dismiss(bpy.types.Operator):
    """Take this message away"""

    bl_idname = "rodin.dismiss"
    bl_label = "Dismiss Rodin News"
    bl_options = INTERNAL

    def execute(self, context: bpy.types.Context) -> set[str]:
        app().session.news.dismiss()
        return {"FINISHED"}


class RODIN_OT_announce(bpy.types.Operator):
    """Tell something in the status bar"""

    bl_idname = "rodin.announce"
    bl_label = "Announce Rodin News"
    bl_options = INTERNAL

    text: text_property("Text", "")

    # Only a report that comes out of Blender's handling of events is shown in the status bar. So this waits for the
    # next event of the user's, which it passes on: the news is told when they are back at the mouse. It does not wait
    # for ever, since Blender saves no backup while an operator is under way.
    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self._until = time.monotonic() + LONGEST_ANNOUNCEMENT
        self._timer = context.window_manager.event_timer_add(LONGEST_ANNOUNCEMENT, window=context.window)
        context.window_manager.modal_handler_add(self)
        self._news = app().session.news
        self._news.announcing = True
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type.startswith("TIMER") and time.monotonic() < self._until:
            return {"PASS_THROUGH"}
        self.cancel(context)
        self.report({"INFO"}, self.text)
        return {"FINISHED", "PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        self._news.announcing = False


CLASSES = (
    RODIN_OT_dismiss,
    RODIN_OT_announce,
)
