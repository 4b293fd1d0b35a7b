# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change makes visible: the sidebar's region and the status bar, never the viewport."""

from __future__ import annotations

import bpy

from .app import app


def sidebars() -> None:
    """Redraw the sidebars that show the Rodin tab, and open preferences."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI" and _shows_rodin(region):
                        region.tag_redraw()
            elif area.type == "PREFERENCES":
                area.tag_redraw()


def announce(text: str) -> bool:
    """Tell one line in the status bar, without taking the focus; it appears when the mouse next moves.

    Returns False while an earlier line still waits for that.
    """
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return True
    if app().session.announcing:
        return False
    with bpy.context.temp_override(window=windows[0]):
        bpy.ops.rodin.announce("INVOKE_DEFAULT", text=text)
    return True


def _shows_rodin(region: bpy.types.Region) -> bool:
    # A closed sidebar is one pixel wide.
    return region.width > 1 and getattr(region, "active_panel_category", "Rodin") == "Rodin"
