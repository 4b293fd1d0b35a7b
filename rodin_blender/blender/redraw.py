# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change makes visible: the sidebar's region and the status bar, never the viewport."""

from __future__ import annotations

import time
from collections.abc import Iterator

import bpy

from .app import app

TAB_TIMEOUT = 3.0
"""Seconds for Blender to draw a sidebar that was just opened, so that it knows its tabs."""


def sidebars() -> None:
    """Redraw the sidebars that show the Rodin tab, and open preferences."""
    for region in _sidebars():
        region.tag_redraw()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()


def any_sidebar() -> bool:
    """Whether a sidebar shows the Rodin tab."""
    return any(True for _ in _sidebars())


def announce(text: str) -> bool:
    """Tell one line in the status bar, without taking the focus; it appears when the mouse next moves.

    Returns False while an earlier line still waits for that.
    """
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return True
    if app().session.news.announcing:
        return False
    with bpy.context.temp_override(window=windows[0]):
        bpy.ops.rodin.announce("INVOKE_DEFAULT", text=text)
    return True


def dialog() -> None:
    """Lay the open dialog out anew: Blender does that by itself for its own properties only."""
    opened = app().dialog
    if opened:
        window, region = opened
        if window in bpy.context.window_manager.windows.values():
            region.tag_refresh_ui()
            region.tag_redraw()


def viewport(context: bpy.types.Context) -> bpy.types.Area | None:
    """The 3D viewport that an operator was called in, else the largest one of its window."""
    if context.area and context.area.type == "VIEW_3D":
        return context.area
    areas = context.window.screen.areas if context.window else ()
    found = [area for area in areas if area.type == "VIEW_3D"]
    return max(found, key=lambda area: area.width * area.height, default=None)


def show_tab(area: bpy.types.Area) -> None:
    """Open a viewport's sidebar at the Rodin tab: the pump chooses it once Blender knows the tabs."""
    area.spaces.active.show_region_ui = True
    app().session.tab_wanted = area.as_pointer(), time.monotonic() + TAB_TIMEOUT
    app().wake()


def tab_shown(pointer: int, until: float) -> bool:
    """Show the tab in the area of that address. Returns whether that is done, or need not be tried again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.as_pointer() == pointer and area.type == "VIEW_3D":
                region = next(region for region in area.regions if region.type == "UI")
                # New in Blender 4.3.
                if getattr(region, "active_panel_category", "Rodin") == "Rodin":
                    return True
                try:
                    region.active_panel_category = "Rodin"
                except TypeError:
                    return time.monotonic() > until
                region.tag_redraw()
                return True
    return True


def _sidebars() -> Iterator[bpy.types.Region]:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                yield from (region for region in area.regions if region.type == "UI" and _shows_rodin(region))


def _shows_rodin(region: bpy.types.Region) -> bool:
    # A closed sidebar is one pixel wide.
    return region.width > 1 and getattr(region, "active_panel_category", "Rodin") == "Rodin"
