# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing helpers."""

from __future__ import annotations

import textwrap

import bpy

_CHARACTER = 6.4
"""Pixels a character takes on the average at resolution scale 1: Blender's labels do not wrap by themselves."""


def paragraph(layout: bpy.types.UILayout, text: str, width: float, *, icon: str = "NONE") -> None:
    """Text over as many lines as fit into `width` pixels, with an icon before the first."""
    scale = bpy.context.preferences.system.ui_scale
    characters = max(int((width / scale - 50.0) / _CHARACTER), 12)
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(text, characters)):
        if icon == "NONE":
            column.label(text=line)
        else:
            column.label(text=line, icon=icon if number == 0 else "BLANK1")
