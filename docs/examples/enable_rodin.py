"""Enables Rodin for every user of a site-wide installation.

A startup script: copy it to startup/ of the folder that your studio's BLENDER_SYSTEM_SCRIPTS names. Startup scripts run
before Blender knows its extensions, so it waits for the startup file to be loaded.
"""

import addon_utils
import bpy
from bpy.app.handlers import persistent

NAME = "bl_ext.system.rodin_blender"


@persistent
def enable(*_arguments):
    if NAME not in bpy.context.preferences.addons:
        # With an entry in the preferences, so that the user finds its settings there.
        addon_utils.enable(NAME, default_set=True)


def register():
    bpy.app.handlers.load_post.append(enable)


def unregister():
    bpy.app.handlers.load_post.remove(enable)
