# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do with the asset library: send models to it, and have Blender's asset browser show it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import bpy

from ... import configuration
from ...service.errors import BadInput, os_reason
from ...service.files import models
from ...storage import library as files
from ...storage import task_folder
from ...tasks import templates
from ...tasks.task import Task
from ...texts.text import Text
from .. import library
from ..app import app
from ..settings.folders import PACKAGE
from ..voice import say
from .base import NO_MODEL, OfTask, refuse
from .base import OPTIONS as BUTTON
from .many import OfMany


class RODIN_OT_send_to_library(OfTask, bpy.types.Operator):
    """Have another Blender write this task's model into the asset library. What is there stays: it is a new version"""

    bl_idname = "rodin.send_to_library"
    bl_label = "Send to Rodin Library"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        """Raises BadInput."""
        if not models(task.files):
            raise BadInput(Text(NO_MODEL, name=task.name))
        if task.task_id in app().library.pending:
            raise BadInput(Text("'{name}' is being written to the library already.", name=task.name))
        if not bpy.app.binary_path:
            raise BadInput("This Blender is a Python module, which cannot start another Blender for the library.")
        settings = app().settings
        name = templates.blend_name(
            configuration.template_of(settings.resolve("blend_template"), "blend_template"), task
        )
        words = [bpy.app.binary_path, "--background", "--offline-mode", "--addons", PACKAGE, "--command", "rodin"]
        # The options are passed on, since the other Blender does not know preferences that are not saved.
        options = ["--height", str(settings.value("import_height"))]
        options += ["--merge-distance", str(settings.value("import_merge_distance"))]
        options += ["--join"] if settings.value("import_join") else []
        # The file is whole by itself, and whoever pressed has seen how large the model is.
        options += ["--textures", "packed", "--max-triangles", "0", "--asset", "--json"]

        def command(path: Path) -> list[str]:
            """Called by a worker."""
            if all(task_folder.trouble(Path(task.folder), file) for file in models(task.files)):
                raise BadInput("No model of it is whole on the disk: press Download Missing Files.")
            return [*words, "import", task.task_id, "--save", str(path), *options]

        app().library.send(task.task_id, settings.library_folder(), name, command)
        app().wake()


class RODIN_OT_send_selected_to_library(OfMany, bpy.types.Operator):
    """Write the downloaded models of the selected tasks into the asset library, one after the other"""

    bl_idname = "rodin.send_selected_to_library"
    bl_label = "Send Selected to Rodin Library"
    nothing = Text("No selected task has a model on the disk: download it first")

    @classmethod
    def fits(cls, task: Task) -> bool:
        return bool(models(task.files)) and task.task_id not in app().library.pending

    act = RODIN_OT_send_to_library.act


class RODIN_OT_cancel_library(OfTask, bpy.types.Operator):
    """Stop writing this task's model to the library"""

    bl_idname = "rodin.cancel_library"
    bl_label = "Cancel Sending to Rodin Library"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if task.task_id not in app().library.pending:
            text = "'{name}' is not being written to the library, so there is nothing to cancel."
            raise BadInput(Text(text, name=task.name))
        app().library.cancel(task.task_id)


class RODIN_OT_register_library(bpy.types.Operator):
    """Add the library's folder to Blender's preferences, so that the asset browser shows it under the name Rodin"""

    bl_idname = "rodin.register_library"
    bl_label = "Register Rodin Library"
    bl_options = BUTTON

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        with suppress(BadInput):
            if library.is_registered(app().settings.library_folder()):
                cls.poll_message_set(say(Text("The asset browser has the library already")))
                return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            folder = app().settings.library_folder()
        except BadInput as error:
            return refuse(self, error.trouble)
        # The library belongs to the user from now on, as if added by hand: it stays when the extension is removed.
        context.preferences.filepaths.asset_libraries.new(name="Rodin", directory=str(folder))
        context.preferences.is_dirty = True
        app().threads.run(partial(_prepare, folder), app().session.tell)
        app().wake()
        return {"FINISHED"}


def _prepare(folder: Path) -> Text:
    try:
        files.prepare(folder)
    except OSError as error:
        text = "The library cannot be made in {folder}: {reason}. Set another folder in the preferences."
        return Text(text, folder=str(folder), reason=os_reason(error))
    return Text("The asset browser now has the library Rodin.")


CLASSES = (
    RODIN_OT_send_to_library,
    RODIN_OT_send_selected_to_library,
    RODIN_OT_cancel_library,
    RODIN_OT_register_library,
)
