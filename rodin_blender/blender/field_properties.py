# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as Blender's properties, made from the table of `configuration`: a new row with a label there is enough."""

from __future__ import annotations

from typing import Any

import bpy

from ..configuration import Field

# Blender 4.5 and newer show a relative path in red unless it is said to be one.
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()


def made(field: Field) -> object:
    """A property for a setting that has a label."""
    about: dict[str, Any] = {"name": field.label, "description": field.description, "default": field.default}
    match field.default:
        case bool():
            return bpy.props.BoolProperty(**about)
        case int():
            return bpy.props.IntProperty(min=int(field.low), max=int(field.high), **about)
        case float():
            return bpy.props.FloatProperty(min=field.low, max=field.high, **about)
    if field.choices:
        return bpy.props.EnumProperty(items=[(choice, choice.title(), "") for choice in field.choices], **about)
    if field.is_path:
        return bpy.props.StringProperty(subtype="FILE_PATH", options=RELATIVE, **about)
    return bpy.props.StringProperty(**about)
