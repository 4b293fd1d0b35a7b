# SPDX-License-Identifier: GPL-3.0-or-later
"""The last messages with their times, and help, at the panel's end."""

from __future__ import annotations

import bpy

from ...texts.text import Text
from ...texts.wording import clock_text
from .. import links
from ..app import app
from ..layouts import paragraph
from ..voice import say


def draw(layout: bpy.types.UILayout, width: float) -> None:
    told = app().session.news.entries
    header, body = layout.panel("rodin_messages", default_closed=True)
    title = Text("Messages ({count})", count=len(told)) if told else Text("Messages")
    header.label(text=say(title), translate=False)
    if not body:
        return
    for entry in reversed(told):
        paragraph(body, f"{clock_text(entry.at)}  {entry.text}", width)
    if not told:
        body.label(text="None since Blender was started")
    links.draw(body)
