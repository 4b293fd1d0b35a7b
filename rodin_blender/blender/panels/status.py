# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing or new, on a line that is always there: what comes and goes moves no button under the mouse."""

from __future__ import annotations

import time

import bpy

from ...tasks.listing import Group
from ...texts.text import Text
from ...tracking.messages import Blocker
from ..app import app
from ..layouts import fits, paragraph, ui_scale
from ..settings.folders import PACKAGE
from ..voice import say
from . import welcome

UNITS = 16
"""The width of a text that a button opens, in the interface's own units of 20 pixels."""
UNDO_SHOWN = 60.0
"""Seconds for which the line offers to have back what was forgotten; the menu does until Blender quits."""
_SHORT = {
    "offline": Text("Blender is offline"),
    "no_key": Text("No API key"),
    "bad_key": Text("API key not accepted"),
    "address": Text("Wrong service address"),
    "client": Text("A part is missing"),
    "store": Text("The list is not readable"),
    "settings": Text("Wrong settings"),
}


def draw_line(layout: bpy.types.UILayout, width: float, blocker: Blocker | None) -> None:
    """One line: what keeps all tasks from being asked, else what was told last, else what there is."""
    session = app().session
    row = layout.row(align=True)
    if blocker:
        row.alert = True
        text = say(_SHORT.get(blocker.code, Text("Nothing can be asked")))
        row.popover("RODIN_PT_obstacle", text=text, icon="ERROR", translate=False)
        # The button that removes the blocker stands beside it.
        if blocker.code == "offline":
            row.operator("rodin.allow_online", text="", icon="INTERNET")
        elif blocker.code in ("no_key", "bad_key") and not app().api_key.source.fixed:
            row.operator("rodin.enter_api_key", text="", icon="KEY_HLT")
    elif session.news.notice:
        row.popover("RODIN_PT_notice", text=session.news.notice, icon="INFO", translate=False)
        row.operator("rodin.dismiss", text="", icon="X")
    elif session.forgotten and time.time() < session.forgotten.at + UNDO_SHOWN:
        draw_undo(row)
    else:
        row.label(text=_summary(width), translate=False)


def draw_in_full(layout: bpy.types.UILayout, width: float, blocker: Blocker | None) -> None:
    """The same at its whole length, where no list is yet whose buttons it could move."""
    session = app().session
    if blocker and welcome.guides_to(blocker):
        welcome.draw_steps(layout, blocker, width)
    elif blocker:
        _draw_blocker(layout.box(), blocker, width)
    if session.news.notice:
        row = layout.box().row()
        paragraph(row, session.news.notice, width - 30, icon="INFO")
        row.operator("rodin.dismiss", text="", icon="X", emboss=False)


def undo_text() -> str:
    """What Undo Forget brings back: "Undo Forget 'A vase'"."""
    group = app().session.forgotten.last
    if not group:
        return say(Text("Undo Forget"))
    if len(group) == 1:
        return say(Text("Undo Forget '{name}'", name=group[0].name))
    return say(Text("Undo Forget of {count} Tasks", count=len(group)))


def _draw_blocker(layout: bpy.types.UILayout, blocker: Blocker, width: float) -> None:
    """What is missing before anything can be asked, with the button that mends it."""
    paragraph(layout, say(blocker), width, icon="ERROR")
    match blocker.code:
        case "bad_key" if app().api_key.source.fixed:
            text = Text("It comes from {origin}: change that and restart Blender.", origin=app().api_key.source.origin)
            paragraph(layout, text, width)
        case "offline" | "no_key" | "bad_key":
            welcome.draw_fixes(layout, blocker)
        case "address":
            draw_preferences_button(layout, text="Open Preferences", emboss=True)


def draw_undo(layout: bpy.types.UILayout) -> None:
    """What was forgotten last can be had back."""
    if app().session.forgotten:
        layout.operator("rodin.undo_forget", text=undo_text(), translate=False, icon="LOOP_BACK")


def draw_preferences_button(layout: bpy.types.UILayout, *, text: str, emboss: bool) -> None:
    button = layout.operator("preferences.addon_show", text=text, icon="PREFERENCES", emboss=emboss)
    button.module = PACKAGE


def _summary(width: float) -> str:
    """How many tasks stand how, as far as there is room for it, those first that wait for the user."""
    members = app().task_list.members
    attention, done, running = (len(members[group]) for group in (Group.ATTENTION, Group.DONE, Group.RUNNING))
    texts = [
        Text("{count} need attention", count=attention) if attention > 1 else Text("1 needs attention"),
        Text("{count} to download", count=done),
        Text("{count} in progress", count=running),
    ]
    said = [say(text) for text, count in zip(texts, (attention, done, running), strict=True) if count]
    while len(said) > 1 and not fits(" · ".join(said), width):
        said.pop()
    total = sum(map(len, members.values()))
    return " · ".join(said) or say(Text("1 task") if total == 1 else Text("{count} tasks", count=total))


class RODIN_PT_obstacle(bpy.types.Panel):
    """Why the service is not asked, and what to do"""

    bl_idname = "RODIN_PT_obstacle"
    bl_label = "Nothing Can Be Asked"
    bl_space_type = "VIEW_3D"
    # The HEADER region shows no panels, so this one opens by its button only.
    bl_region_type = "HEADER"
    bl_ui_units_x = UNITS

    def draw(self, context: bpy.types.Context) -> None:
        blocker = app().lasting_blocker()
        if blocker:
            _draw_blocker(self.layout.column(), blocker, UNITS * 20 * ui_scale())


class RODIN_PT_notice(bpy.types.Panel):
    """All of what is told here"""

    bl_idname = "RODIN_PT_notice"
    bl_label = "News"
    bl_space_type = "VIEW_3D"
    bl_region_type = "HEADER"
    bl_ui_units_x = UNITS

    def draw(self, context: bpy.types.Context) -> None:
        paragraph(self.layout, app().session.news.notice, UNITS * 20 * ui_scale(), icon="INFO")
