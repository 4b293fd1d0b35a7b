# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing helpers."""

from __future__ import annotations

import textwrap
from functools import lru_cache

import blf
import bpy

from ..texts.text import Text, Trouble
from .voice import say

_CHARACTER = 6.4
"""Pixels a character takes on the average at resolution scale 1: Blender's labels do not wrap by themselves."""


def paragraph(
    layout: bpy.types.UILayout, said: Text | Trouble | str, width: float, *, icon: str = "NONE", max_lines: int = 0
) -> None:
    """What is said, in lines of `width` pixels, `max_lines` at most (0 for all), with an icon before the first."""
    text = say(said)
    column = layout.column(align=True)
    column.scale_y = 0.8
    room = _characters(width)
    # Most texts are short, and the sidebar is drawn often.
    lines = [text] if 0 < len(text) <= room and "\n" not in text else textwrap.wrap(text, room)
    if 0 < max_lines < len(lines):
        lines = [*lines[: max_lines - 1], f"{lines[max_lines - 1]} …"]
    for number, line in enumerate(lines):
        if icon == "NONE":
            column.label(text=line, translate=False)
        else:
            column.label(text=line, icon=icon if number == 0 else "BLANK1", translate=False)


def fits(text: str, width: float) -> bool:
    """Whether a text stands on one line of `width` pixels."""
    return len(text) <= _characters(width)


@lru_cache(maxsize=1024)
def text_width(text: str, size: float) -> float:
    """Pixels that a text of that size takes."""
    blf.size(0, size)
    return blf.dimensions(0, text)[0]


def font_size() -> float:
    """The size of the texts on buttons, in pixels."""
    return bpy.context.preferences.ui_styles[0].widget.points * ui_scale()


def ui_scale() -> float:
    return bpy.context.preferences.system.ui_scale


def _characters(width: float) -> int:
    return max(int((width / ui_scale() - 50.0) / _CHARACTER), 12)
