# SPDX-License-Identifier: GPL-3.0-or-later
"""The list: which tasks are in it, and when the service is asked about them."""

import time
from functools import partial

import bpy

from ...service import keys
from ...service.errors import BadInput
from ...service.keys import Generation
from ...tasks import schedule
from ...tasks.task import Download, Task
from ...texts.wording import clock_text
from .. import api_key, timer
from ..session import session
from .base import OPTIONS, OfTask, refuse, text_property


class RODIN_OT_track(bpy.types.Operator):
    """Follow the task of this subscription key until the service has finished it"""

    bl_idname = "rodin.track"
    bl_label = "Track"
    bl_options = OPTIONS

    subscription_key: text_property("Subscription Key", "The panel's field when empty")
    task_uuid: text_property("Task UUID", "Needed for the download; can be given later")
    name: text_property("Name", "Shown in the list")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            generation = Generation(
                keys.subscription_key(self.subscription_key or session.typed_key.reveal()),
                keys.task_uuid(self.task_uuid),
                self.name.strip(),
            )
        except BadInput as error:
            return refuse(self, str(error))
        timer.tracker().follow(generation)
        return {"FINISHED"}


class RODIN_OT_paste(bpy.types.Operator):
    """Follow what the clipboard holds: a subscription key, or the whole answer of a generation call"""

    bl_idname = "rodin.paste"
    bl_label = "Paste"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            generation = keys.pasted(context.window_manager.clipboard)
        except BadInput as error:
            return refuse(self, str(error))
        timer.tracker().follow(generation)
        return {"FINISHED"}


class RODIN_OT_check_now(OfTask, bpy.types.Operator):
    """Ask the service about this task now, and not only when its next check comes"""

    bl_idname = "rodin.check_now"
    bl_label = "Check Now"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if task.status.final:
            raise BadInput(f"'{task.name}' is finished; there is nothing more to ask the service.")
        now = time.time()
        if session.held_until > now:
            raise BadInput(
                f"'{task.name}' is asked about at {clock_text(session.held_until)}: "
                "the service wants to be asked less often."
            )
        api_key.renew()
        timer.tracker().refresh()
        timer.tracker().change(task.task_id, partial(schedule.asked_now, now=now))


class RODIN_OT_pause(OfTask, bpy.types.Operator):
    """Stop asking about this task. The service goes on with it: it has no way to cancel"""

    bl_idname = "rodin.pause"
    bl_label = "Pause"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if not task.followed:
            raise BadInput(f"'{task.name}' is not being asked about, so there is nothing to pause.")
        timer.tracker().change(task.task_id, schedule.paused)


class RODIN_OT_resume(OfTask, bpy.types.Operator):
    """Ask about this task again"""

    bl_idname = "rodin.resume"
    bl_label = "Resume"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if task.status.final or task.followed:
            raise BadInput(f"'{task.name}' is {'finished' if task.status.final else 'being followed'} already.")
        timer.tracker().change(task.task_id, partial(schedule.resumed, now=time.time()))


class RODIN_OT_forget(OfTask, bpy.types.Operator):
    """Remove this task from the list. Downloaded files stay"""

    bl_idname = "rodin.forget"
    bl_label = "Forget"

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        if task.status.final and (task.download is Download.SAVED or not task.status.has_files):
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=f"Forget '{task.name}'?",
            message="Without its subscription key it can no longer be followed. Copy the key first if you may need it.",
            confirm_text="Forget",
            icon="WARNING",
        )

    def act(self, context: bpy.types.Context, task: Task) -> None:
        timer.tracker().forget(task.task_id)


class RODIN_OT_copy_key(OfTask, bpy.types.Operator):
    """Copy the subscription key of this task to the clipboard"""

    bl_idname = "rodin.copy_key"
    bl_label = "Copy Key"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        context.window_manager.clipboard = task.subscription_key.reveal()
        self.report({"INFO"}, f"The subscription key of '{task.name}' is in the clipboard")


CLASSES = (
    RODIN_OT_track,
    RODIN_OT_paste,
    RODIN_OT_check_now,
    RODIN_OT_pause,
    RODIN_OT_resume,
    RODIN_OT_forget,
    RODIN_OT_copy_key,
)
