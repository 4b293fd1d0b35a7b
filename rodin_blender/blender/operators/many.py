# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do with several tasks at once. What the list's filter hides, they leave alone."""

import bpy

from ...service.errors import BadInput
from ...service.files import models
from ...tasks.listing import Group
from ...tasks.task import Download, Status, Task
from ...texts.phrases import listed, quoted
from ...texts.text import Text
from .. import hand_off, importing, task_states
from ..app import app
from ..properties import task_properties
from ..scene import model_imports, placement
from ..voice import say
from . import files, following
from .base import INTERNAL, OPTIONS, Mixin, text_property

MAX_NAMES = 5
USUAL_HEIGHT = 1.9
"""Meters: of the service's models, whatever they show."""
APART = 1.3
"""The distance of models that are brought into the scene together, as a share of their height."""


class OfMany(Mixin):
    """An operator on all tasks of `those` for which it `fits`."""

    bl_options = OPTIONS
    nothing = Text("No selected task can be used for this")

    @classmethod
    def those(cls) -> list[Task]:
        return app().task_list.selection()

    @classmethod
    def fits(cls, task: Task) -> bool:
        raise NotImplementedError

    @classmethod
    def tasks(cls) -> list[Task]:
        return [task for task in cls.those() if cls.fits(task)]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if any(cls.fits(task) for task in cls.those()):
            return True
        cls.poll_message_set(say(cls.nothing))
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        troubles = []
        for task in self.tasks():
            try:
                self.act(context, task)
            except BadInput as error:
                troubles.append(error.trouble)
        if troubles:
            self.report({"ERROR"}, say(listed(troubles, 3, " ")))
        return {"FINISHED"}

    def act(self, context: bpy.types.Context, task: Task) -> None:
        """Raises BadInput where it cannot be done."""
        raise NotImplementedError


class _Download(OfMany):
    @classmethod
    def fits(cls, task: Task) -> bool:
        waiting = task.task_id in app().session.files.downloads
        return task.status.has_files and task.download is not Download.SAVED and not waiting

    def act(self, context: bpy.types.Context, task: Task) -> None:
        files.check_downloadable(task, task.task_uuid)
        hand_off.call(task.task_id)


class RODIN_OT_download_selected(_Download, bpy.types.Operator):
    """Download the models of the selected tasks"""

    bl_idname = "rodin.download_selected"
    bl_label = "Download Selected Rodin Tasks"


class RODIN_OT_download_all(_Download, bpy.types.Operator):
    """Download the models of all tasks in the list that are done and not downloaded yet"""

    bl_idname = "rodin.download_all"
    bl_label = "Download All Rodin Models"
    nothing = Text("No task in the list waits to be downloaded")

    @classmethod
    def those(cls) -> list[Task]:
        return app().task_list.visible(Group.DONE)


class RODIN_OT_import_selected(OfMany, bpy.types.Operator):
    """Bring the downloaded models of the selected tasks into the scene, side by side"""

    bl_idname = "rodin.import_selected"
    bl_label = "Import Selected Rodin Models"
    nothing = Text("No selected task has a model on the disk: download it first")

    @classmethod
    def fits(cls, task: Task) -> bool:
        return bool(models(task.files)) and task.task_id not in app().session.imports.requests

    def execute(self, context: bpy.types.Context) -> set[str]:
        x, y, z = context.scene.cursor.location
        height = float(app().settings.value("import_height")) or USUAL_HEIGHT
        step = APART * height * importing.units_of_a_meter(context.scene)
        number = 0
        for task in self.tasks():
            if placement.of(task):
                model_imports.request_import(task.task_id, context.window)
            else:
                model_imports.request_import(task.task_id, context.window, at=(x + number * step, y, z))
                number += 1
        return {"FINISHED"}


class RODIN_OT_pause_selected(OfMany, bpy.types.Operator):
    """Stop asking about the selected tasks. The service goes on with them: it has no way to cancel"""

    bl_idname = "rodin.pause_selected"
    bl_label = "Pause Selected Rodin Tasks"
    nothing = Text("No selected task is being asked about")

    @classmethod
    def fits(cls, task: Task) -> bool:
        return task.followed

    act = following.RODIN_OT_pause.act


class RODIN_OT_resume_selected(OfMany, bpy.types.Operator):
    """Ask about the selected tasks again"""

    bl_idname = "rodin.resume_selected"
    bl_label = "Resume Selected Rodin Tasks"
    nothing = Text("No selected task is paused")

    @classmethod
    def fits(cls, task: Task) -> bool:
        return task.status.submitted and not task.status.final and not task.followed

    act = following.RODIN_OT_resume.act


class _Forget(OfMany):
    @classmethod
    def fits(cls, task: Task) -> bool:
        # Tasks that were not sent, or that may have been charged, are discarded one at a time.
        return task.status.submitted or task.status is Status.REJECTED

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        tasks = self.tasks()
        # Other tasks may match by the time the user answers the dialog.
        self._asked = [task.task_id for task in tasks]
        names = quoted([task.name for task in tasks], MAX_NAMES)
        title = Text("Forget 1 task?") if len(tasks) == 1 else Text("Forget {count} tasks?", count=len(tasks))
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=say(title),
            message=say(Text("{names}. Their files stay. {undo}", names=names, undo=following.UNDO_FORGET)),
            confirm_text="Forget",
            icon="WARNING",
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        task_ids = getattr(self, "_asked", None) or [task.task_id for task in self.tasks()]
        app().session.forgotten.group(task_ids)
        for task_id in task_ids:
            app().tracker().forget(task_id)
        return {"FINISHED"}


class RODIN_OT_forget_selected(_Forget, bpy.types.Operator):
    """Remove the selected tasks from the list. Downloaded files stay"""

    bl_idname = "rodin.forget_selected"
    bl_label = "Forget Selected Rodin Tasks"


class RODIN_OT_clear_finished(_Forget, bpy.types.Operator):
    """Remove all tasks from the list whose files are downloaded. The files stay"""

    bl_idname = "rodin.clear_finished"
    bl_label = "Clear Finished Rodin Tasks"
    nothing = Text("No task in the list is downloaded")

    @classmethod
    def those(cls) -> list[Task]:
        return app().task_list.visible(Group.DOWNLOADED)


class RODIN_OT_clear_failed(_Forget, bpy.types.Operator):
    """Remove all tasks from the list that failed or were rejected"""

    bl_idname = "rodin.clear_failed"
    bl_label = "Clear Failed Rodin Tasks"
    nothing = Text("No task in the list has failed")

    @classmethod
    def those(cls) -> list[Task]:
        return app().task_list.visible(Group.FAILED)


class RODIN_OT_select_tasks(bpy.types.Operator):
    """Select all tasks that the list shows, or none"""

    bl_idname = "rodin.select_tasks"
    bl_label = "Select Rodin Tasks"
    bl_options = INTERNAL

    action: bpy.props.EnumProperty(
        name="Action",
        items=(("ALL", "All", ""), ("NONE", "None", ""), ("INVERT", "Invert", "")),
        options={"SKIP_SAVE", "HIDDEN"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        task_list = app().task_list
        shown = {task_list.listing[row] for row in range(len(task_list.listing))}
        task_list.selected = {"ALL": shown, "NONE": set(), "INVERT": shown - task_list.selected}[self.action]
        context.window_manager.rodin.selecting = True
        return {"FINISHED"}


class RODIN_OT_activate(bpy.types.Operator):
    bl_idname = "rodin.activate"
    bl_label = "Select Rodin Task"
    bl_options = INTERNAL

    task_id: text_property("Task ID", "")

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        task = app().session.tasks.get(properties.task_id)
        return f"{task.name}: {say(task_states.sentence(task))}" if task else ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        app().task_list.activate(self.task_id)
        return {"FINISHED"}


class RODIN_OT_show_all_tasks(bpy.types.Operator):
    """Show all tasks in the list again: take the search and the filter away"""

    bl_idname = "rodin.show_all_tasks"
    bl_label = "Show All Rodin Tasks"
    bl_options = INTERNAL

    def execute(self, context: bpy.types.Context) -> set[str]:
        task_properties.show_all()
        return {"FINISHED"}


CLASSES = (
    RODIN_OT_download_selected,
    RODIN_OT_download_all,
    RODIN_OT_import_selected,
    RODIN_OT_pause_selected,
    RODIN_OT_resume_selected,
    RODIN_OT_forget_selected,
    RODIN_OT_clear_finished,
    RODIN_OT_clear_failed,
    RODIN_OT_select_tasks,
    RODIN_OT_activate,
    RODIN_OT_show_all_tasks,
)
