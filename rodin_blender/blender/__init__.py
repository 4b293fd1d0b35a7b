# SPDX-License-Identifier: GPL-3.0-or-later
"""All that knows Blender. Runs on the main thread only, and there neither opens a file nor waits."""

import bpy

from . import commands, operators, panels, preferences, previews, properties, timer

# In the order of need; undone in the reverse order.
_PARTS = (preferences, properties, previews, operators, panels, commands, timer)


def register() -> None:
    if hasattr(bpy.types.WindowManager, "rodin"):
        raise RuntimeError("Rodin is enabled already, from another repository of extensions. Disable that one first.")
    for part in _PARTS:
        part.register()


def unregister() -> None:
    for part in reversed(_PARTS):
        part.unregister()
