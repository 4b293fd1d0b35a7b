# SPDX-License-Identifier: GPL-3.0-or-later
"""All that knows Blender. Runs on the main thread only, and there neither opens a file nor waits."""

import bpy

from . import app, commands, file_events, languages, links, operators, panels, timer
from .properties import preferences, task_properties

# Each part may need the ones before it, so they are unregistered in the reverse order.
_PARTS = (languages, preferences, task_properties, operators, panels, commands, links, file_events)


def register() -> None:
    if hasattr(bpy.types.WindowManager, "rodin"):
        raise RuntimeError("Rodin is enabled already, from another repository of extensions. Disable that one first.")
    app.begin(timer.run)
    for part in _PARTS:
        part.register()
    app.app().task_list.remember()
    app.app().wake(timer.FIRST_INTERVAL)


def unregister() -> None:
    for part in reversed(_PARTS):
        part.unregister()
    app.end()
