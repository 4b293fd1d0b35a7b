# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages that the interface leads to, and the Online Manual of a right click."""

from __future__ import annotations

import sys

import bpy

from .settings.folders import PACKAGE

WEBSITE = "https://hyper3d.ai"
KEY_PAGE = "https://hyper3d.ai/api-dashboard"
SERVICE_HELP = "https://docs.hyper3d.ai/en"
"""The service's own documentation: what a task is made of, tiers and options, keys."""


def own_page() -> str:
    """The `website` of the manifest, which whoever publishes the extension sets; "" for none.

    Blender has read it when it enabled the extension.
    """
    information = getattr(sys.modules[PACKAGE], "bl_info", None) or {}
    return str(information.get("doc_url", ""))


def help_page() -> str:
    return own_page() or SERVICE_HELP


def version() -> str:
    """The extension's own, as its manifest has it."""
    information = getattr(sys.modules[PACKAGE], "bl_info", None) or {}
    return ".".join(map(str, information.get("version", ("unknown",))))


def draw(layout: bpy.types.UILayout) -> None:
    """The buttons for help."""
    row = layout.row(align=True)
    row.operator("rodin.open", text="Help", icon="HELP").target = help_page()
    row.operator("rodin.open", text="Website", icon="URL").target = WEBSITE
    row.operator("rodin.copy_report", text="Report a Bug", icon="COPYDOWN")


def _manual() -> tuple[str, tuple[tuple[str, str], ...]]:
    """For `bpy.utils.register_manual_map`: what begins each address, then its rest for each of our names."""
    return help_page(), (("bpy.ops.rodin.*", ""), ("bpy.types.rodin_*", ""))


def register() -> None:
    bpy.utils.register_manual_map(_manual)


def unregister() -> None:
    bpy.utils.unregister_manual_map(_manual)
