# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as Blender's properties, made from the table of `configuration`: a new row there is enough."""

from __future__ import annotations

from typing import Any

import bpy

from ...configuration import GENERATE, Field
from ...tasks.options import OPTIONS
from . import option_properties

# Blender 4.5 and newer show a relative path in red unless it is said to be one.
_RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()


def made(field: Field, **access: Any) -> object:
    """A property for a setting. `access` are its `get` and `set`, where it is not simply stored."""
    if field.name.startswith(GENERATE):
        return option_properties.made(OPTIONS[field.name.removeprefix(GENERATE)])
    about: dict[str, Any] = {"name": field.label, "description": field.description, **access}
    if not access:
        about["default"] = field.default
    match field.default:
        case bool():
            return bpy.props.BoolProperty(**about)
        case int():
            return bpy.props.IntProperty(**about, **_limits(field, int))
        case float():
            kind = {"subtype": "TIME_ABSOLUTE"} if field.is_time else {}
            return bpy.props.FloatProperty(**about, **kind, **_limits(field, float), precision=field.decimals)
    if field.choices:
        return bpy.props.EnumProperty(items=items(field), **about)
    if field.is_secret:
        return bpy.props.StringProperty(subtype="PASSWORD", **about)
    if field.is_path:
        subtype = "DIR_PATH" if field.is_folder else "FILE_PATH"
        return bpy.props.StringProperty(subtype=subtype, options=_RELATIVE, **about)
    return bpy.props.StringProperty(**about)


def items(field: Field) -> tuple[tuple[str, str, str], ...]:
    """The choices of a setting, as an EnumProperty has them."""
    return tuple((choice, *words) for choice, words in zip(field.choices, field.choice_words, strict=True))


def _limits(field: Field, number: type[int] | type[float]) -> dict[str, Any]:
    limits = {"min": field.low, "max": field.high, "soft_min": field.soft_low, "soft_max": field.soft_high}
    return {name: number(limit) for name, limit in limits.items() if limit is not None}
