"""Puts each downloaded Rodin model into the asset library of the show.

A startup script: copy it to scripts/startup/ of your studio's BLENDER_SYSTEM_SCRIPTS or of a user's scripts folder, and
set SHOW_LIBRARY to a folder. It does the heavy work in a Blender of its own, so that the artist's window goes on; what
that says stands in publish.log there.
"""

import importlib
import os
import subprocess
from pathlib import Path

import bpy


def publish(task):
    """Called on the main thread when the files of a task have been saved; returns at once."""
    library = Path(os.environ["SHOW_LIBRARY"])
    command = [bpy.app.binary_path, "--background", "--command", "rodin", "import", task.task_id, "--asset"]
    command += ["--save", str(library / f"{Path(task.folder).name}.blend")]
    command += ["--thumbnail", str(library / f"{Path(task.folder).name}.png")]
    with (library / "publish.log").open("a") as log:
        subprocess.Popen(command, stdout=log, stderr=log)


def connect():
    """Startup scripts run before extensions are enabled, so this is tried again by a timer until it is there."""
    for name in list(bpy.context.preferences.addons.keys()):
        # bl_ext.user_default.rodin_blender, or the name of whatever repository it was installed from.
        if name.rpartition(".")[2] == "rodin_blender":
            handlers = importlib.import_module(f"{name}.handlers")
            if publish not in handlers.download_done:
                handlers.download_done.append(publish)
            return None
    return 5.0


def register():
    if Path(os.environ.get("SHOW_LIBRARY", "?")).is_dir():
        bpy.app.timers.register(connect, first_interval=1.0, persistent=True)


def unregister():
    if bpy.app.timers.is_registered(connect):
        bpy.app.timers.unregister(connect)
