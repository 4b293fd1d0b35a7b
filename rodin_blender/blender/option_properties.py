# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a generation as Blender's properties, made from `tasks.options`: a new row there is enough."""

from __future__ import annotations

from typing import Any

import bpy

from ..tasks.options import OPTIONS, TIERS, Option, Value
from ..texts.wording import duration_text

AUTOMATIC = "AUTOMATIC"
"""What Blender calls the choice "", which leaves the matter to the service: its own have to have a name."""

Item = tuple[str, str, str, int]


def made(option: Option, **more: Any) -> object:
    """A property for an option. `more` are arguments of it, such as `get` and `set`."""
    about = {"name": option.label, "description": option.description, **more}
    # What is read by a function has no default of its own.
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
    return tuple((identifier(choice), *_words(option, choice), option.choices.index(choice)) for choice in choices)


def identifier(choice: Value) -> str:
    return str(choice) or AUTOMATIC


def choice(identifier: Value) -> Value:
    """The value of an option as `tasks.options` has it, from what the property holds."""
    return "" if identifier == AUTOMATIC else identifier


def price_text(price: float) -> str:
    return f"{price:g} credit" if price == 1 else f"{price:g} credits"


def _words(option: Option, choice: str) -> tuple[str, str]:
    """A choice's label and description."""
    if option is OPTIONS["tier"]:
        tier = TIERS[choice]
        usual = f", about {duration_text(tier.seconds)}" if tier.seconds else ""
        return f"{tier.label} ({price_text(tier.price)}{usual})", tier.description
    if option is OPTIONS["file_format"]:
        return choice.upper(), f"A .{choice} file"
    if not choice:
        return "Automatic", "What the tier chooses"
    return choice.replace("-", " ").title() if choice.islower() else choice, ""
