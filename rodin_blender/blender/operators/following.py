# SPDX-License-Identifier: GPL-3.0-or-later
"""The list: which tasks are in it, and when the service is asked about them."""

import time
from dataclasses import replace
from functools import partial

import bpy

from ...service import keys, paste_parser
from ...service.errors import BadInput
from ...service.keys import Generation, Secret
from ...service.paste_parser import ParsedTasks
from ...tasks import schedule
from ...tasks.task import Task
from ...texts.phrases import listed
from ...texts.text import Text
from ..app import app
from ..layouts import paragraph
from ..voice import say
from .base import OPTIONS, WIDTH, OfTask, check_accepted, refuse, text_property

MAX_TROUBLES = 3
"""As many are told at once."""
UNDO_FORGET = Text("Undo Forget brings it back, until you quit Blender.")


class RODIN_OT_track(bpy.types.Operator):
    """Follow the task of this subscription key, or all tasks of these answers, until the service has finished them"""

    bl_idname = "rodin.track"
    bl_label = "Follow Rodin Task"
    bl_options = OPTIONS

    subscription_key: text_property("Subscription Key", "Or a whole answer, or several; the panel's field when empty")
    task_uuid: text_property("Task UUID", "Needed for the download; can be given later")
    name: text_property("Name", "Shown in the list")

    def execute(self, context: bpy.types.Context) -> set[str]:
        typed = Secret("") if self.subscription_key else app().session.follow_requests.typed_key
        try:
            text = self.subscription_key or _whole(typed.reveal(), context.window_manager.clipboard)
            found = _read(text, Text("The field is empty."))
            uuid, name = keys.task_uuid(self.task_uuid), self.name.strip()
            if uuid or name:
                if len(found.generations) > 1:
                    raise BadInput("A name and a task uuid are for one task, and there are several.")
                (only,) = found.generations
                only = replace(only, task_uuid=uuid or only.task_uuid, name=name or only.name)
                found = replace(found, generations=(only,))
        except BadInput as error:
            return refuse(self, error.trouble)
        _follow(found, typed)
        return {"FINISHED"}


class RODIN_OT_paste(bpy.types.Operator):
    """Follow what the clipboard holds: whole answers, one or many, also inside other text; or subscription keys"""

    bl_idname = "rodin.paste"
    bl_label = "Follow Rodin Tasks in Clipboard"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            found = _read(context.window_manager.clipboard, Text("The clipboard holds no text."))
        except BadInput as error:
            return refuse(self, error.trouble)
        _follow(found, Secret(""))
        return {"FINISHED"}


def _read(text: str, when_empty: Text) -> ParsedTasks:
    """Raises BadInput."""
    if not text.strip():
        raise keys.NoTask(when_empty)
    return paste_parser.parse(text, app().settings.for_tracker().api_key)


def _whole(typed: str, clipboard: str) -> str:
    """The whole of what was pasted into a field: Blender's fields take its first line only."""
    first = clipboard.strip().partition("\n")[0].strip()
    return clipboard if typed and typed.strip() == first else typed


def _follow(found: ParsedTasks, typed: Secret) -> None:
    """Have these tasks followed, and tell of what stood among them and cannot be."""
    session = app().session
    session.follow_requests.follow(app().tracker(), found.generations, typed)
    troubles = sorted((*found.refused, *found.invalid), key=lambda trouble: trouble.number)
    if troubles:
        told = [Text("Number {number}: {why}", number=one.number, why=one.text) for one in troubles]
        session.tell(Text("Not all of it could be followed. {troubles}", troubles=listed(told, MAX_TROUBLES, " ")))


class RODIN_OT_check_now(OfTask, bpy.types.Operator):
    """Ask the service about this task now, and not only when its next check comes"""

    bl_idname = "rodin.check_now"
    bl_label = "Check Rodin Task Now"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        session = app().session
        check_accepted(task)
        if task.status.final:
            raise BadInput(Text("'{name}' is finished; there is nothing more to ask the service.", name=task.name))
        now = time.time()
        if session.throttled_until > now:
            text = "'{name}' is asked about at {at:clock}: the service wants to be asked less often."
            raise BadInput(Text(text, name=task.name, at=session.throttled_until))
        app().api_key.renew()
        app().tracker().refresh()
        app().tracker().change(task.task_id, partial(schedule.due_now, now=now))


class RODIN_OT_pause(OfTask, bpy.types.Operator):
    """Stop asking about this task. The service goes on with it: it has no way to cancel"""

    bl_idname = "rodin.pause"
    bl_label = "Pause Rodin Task"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if not task.followed:
            raise BadInput(Text("'{name}' is not being asked about, so there is nothing to pause.", name=task.name))
        app().tracker().change(task.task_id, schedule.paused)


class RODIN_OT_resume(OfTask, bpy.types.Operator):
    """Ask about this task again"""

    bl_idname = "rodin.resume"
    bl_label = "Resume Rodin Task"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        check_accepted(task)
        if task.status.final or task.followed:
            text = "'{name}' is finished already." if task.status.final else "'{name}' is being followed already."
            raise BadInput(Text(text, name=task.name))
        app().tracker().change(task.task_id, partial(schedule.resumed, now=time.time()))


class RODIN_OT_forget(OfTask, bpy.types.Operator):
    """Remove this task from the list. Downloaded files stay, unless you choose otherwise"""

    bl_idname = "rodin.forget"
    bl_label = "Forget Rodin Task"

    delete_files: bpy.props.BoolProperty(
        name="Delete Its Files, Too",
        description="Delete what was downloaded for it from the disk. Models in scenes stay as they are",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        manager, title = context.window_manager, say(Text("Forget '{name}'?", name=task.name))
        if task.folder:
            return manager.invoke_props_dialog(self, width=WIDTH, title=title, confirm_text="Forget")
        if task.status.final and not task.status.has_files:
            return self.execute(context)
        return manager.invoke_confirm(
            self, event, title=title, message=say(UNDO_FORGET), confirm_text="Forget", icon="WARNING"
        )

    def draw(self, context: bpy.types.Context) -> None:
        task = app().session.tasks.get(self.task_id)
        if task:
            text = say(Text("Delete its files, too ({size:size})", size=task.size))
            self.layout.prop(self, "delete_files", text=text, translate=False)
        text = "{undo} Deleted files do not come back; the service keeps them for 7 days."
        paragraph(self.layout, Text(text, undo=UNDO_FORGET), WIDTH * context.preferences.system.ui_scale, icon="INFO")

    def act(self, context: bpy.types.Context, task: Task) -> None:
        app().tracker().forget(task.task_id, files=self.delete_files)


class RODIN_OT_undo_forget(bpy.types.Operator):
    """Put what was forgotten last into the list again. Deleted files stay deleted"""

    bl_idname = "rodin.undo_forget"
    bl_label = "Undo Forgetting Rodin Task"
    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if app().session.forgotten:
            return True
        cls.poll_message_set(say(Text("No task was forgotten since Blender was started")))
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        for task in app().session.forgotten.pop():
            app().tracker().restore(task)
        return {"FINISHED"}


class RODIN_OT_copy_key(OfTask, bpy.types.Operator):
    """Copy what brings this task back to the clipboard: its subscription key, uuid and name. Paste reads it"""

    bl_idname = "rodin.copy_key"
    bl_label = "Copy Rodin Task"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if not task.subscription_key:
            text = "'{name}' has no subscription key yet: the service has not accepted it."
            raise BadInput(Text(text, name=task.name))
        whole = Generation(task.subscription_key, task.task_uuid, task.name)
        context.window_manager.clipboard = paste_parser.serialized(whole)
        text = "'{name}' is in the clipboard. Paste brings it back, here or in another Blender"
        self.report({"INFO"}, say(Text(text, name=task.name)))


CLASSES = (
    RODIN_OT_track,
    RODIN_OT_paste,
    RODIN_OT_check_now,
    RODIN_OT_pause,
    RODIN_OT_resume,
    RODIN_OT_forget,
    RODIN_OT_undo_forget,
    RODIN_OT_copy_key,
)
