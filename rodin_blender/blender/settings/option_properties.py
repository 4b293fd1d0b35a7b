# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a generation as Blender's properties, made from `tasks.options`: a new row there is enough."""

from __future__ import annotations

from typing import Any

import bpy

from ...tasks.option_words import words
from ...tasks.options import Option, Value

AUTOMATIC = "AUTOMATIC"
"""What Blender calls the choice "", which leaves the matter to the service: its own have to have a name."""

Item = tuple[str, str, str, int]


def made(option: Option, **more: Any) -> object:
    """A property for an option. `more` are arguments of it, such as `get` and `set`."""
    about = {"name": option.label, "description": option.description, **more}
    # A property with a getter has no default of its own.
    default = {} if "get" in more else {"default": option.default}
    if isinstance(option.default, bool):
        return bpy.props.BoolProperty(**default, **about)
    if isinstance(option.default, int):
        limits = {"min": min(option.default, option.low), "max": option.high}
        return bpy.props.IntProperty(**limits, **default, **about)
    if "items" in more:
        return bpy.props.EnumProperty(**about)
    return bpy.props.EnumProperty(items=items(option, option.choices), default=identifier(option.default), **about)


def items(option: Option, choices: tuple[str, ...]) -> tuple[Item, ...]:
    """Those of an option's choices, as an EnumProperty has them. The numbers are the places among all choices."""
    return tuple((identifier(choice), *words(option, choice), option.choices.index(choice)) for choice in choices)


def identifier(choice: Value) -> str:
    return str(choice) or AUTOMATIC


def choice(identifier: Value) -> Value:
    """The value of an option as `tasks.options` has it, from what the property holds."""
    return "" if identifier == AUTOMATIC else identifier
