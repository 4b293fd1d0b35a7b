# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do. Each operator checks its input, tells the tracker what is wanted, and returns at once."""

import time
from dataclasses import replace
from functools import partial

import bpy

from ..service import keys
from ..service.errors import BadInput
from ..service.keys import Generation
from ..tasks import schedule
from ..tasks.task import Download, Status, Task
from ..texts.wording import clock_text
from . import hand_off, preferences, properties, timer
from .layouts import paragraph
from .session import session

# No operator here is logged in the Info editor or kept for repetition (REGISTER): keys are among the arguments.
OPTIONS: set[str] = {"INTERNAL"}


LONGEST_ANNOUNCEMENT = 30.0
"""Seconds that a line for the status bar waits for the user to be back."""


def text_property(name: str, description: str, **more: object) -> object:
    """A property of an operator that is neither shown nor kept for the next call."""
    return bpy.props.StringProperty(name=name, description=description, options={"SKIP_SAVE", "HIDDEN"}, **more)


def refuse(operator: bpy.types.Operator, text: str) -> set[str]:
    operator.report({"ERROR"}, text)
    return {"CANCELLED"}


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


class OfTask:
    """An operator on the active task, or on the one that `task_id` names."""

    bl_options = OPTIONS
    task_id: text_property("Task ID", "The active task when empty")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.window_manager.rodin.tasks:
            return True
        cls.poll_message_set("The list of tasks is empty: track a task first")
        return False

    def task(self) -> Task:
        """Raises BadInput when there is no such task."""
        task = session.tasks.get(self.task_id) if self.task_id else properties.active_task()
        if task is None:
            raise BadInput(
                f"There is no task '{self.task_id}' in the list." if self.task_id else "No task is selected."
            )
        return task

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            task = self.task()
        except BadInput as error:
            return refuse(self, str(error))
        # The active task may be another one when a question is answered.
        self.task_id = task.task_id
        return self.begin(context, event, task)

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        """From a button: here is asked what has to be asked before `act`."""
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self.act(context, self.task())
        except BadInput as error:
            return refuse(self, str(error))
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


def check_downloadable(task: Task, task_uuid: str) -> None:
    """Raises BadInput for a task whose files cannot be asked for."""
    if task.status is Status.FAILED:
        raise BadInput(f"'{task.name}' failed, so there is nothing to download.")
    if not task_uuid:
        raise BadInput(f"The download of '{task.name}' needs its task uuid, from the generation call's answer.")


class RODIN_OT_hand_off(OfTask, bpy.types.Operator):
    """Download the model of this task"""

    bl_idname = "rodin.hand_off"
    bl_label = "Download"

    task_uuid: text_property("Task UUID", 'The "uuid" at the top level of the generation call\'s answer')

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        if task.task_uuid or task.status is Status.FAILED:
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=420, title="Task UUID", confirm_text="Download")

    def draw(self, context: bpy.types.Context) -> None:
        paragraph(
            self.layout,
            'The download needs the task\'s uuid, which the subscription key does not tell. It is the "uuid" at the '
            "top level of the generation call's answer, not one of the jobs' uuids.",
            420 * context.preferences.system.ui_scale,
        )
        self.layout.activate_init = True
        self.layout.prop(self, "task_uuid")

    def act(self, context: bpy.types.Context, task: Task) -> None:
        uuid = keys.task_uuid(self.task_uuid)
        check_downloadable(task, uuid or task.task_uuid)
        if uuid and uuid != task.task_uuid:
            session.hand_offs[task.task_id] = uuid
            timer.tracker().change(task.task_id, lambda stored: replace(stored, task_uuid=uuid))
        else:
            hand_off.call(task.task_id)


class RODIN_OT_test_key(bpy.types.Operator):
    """Ask the service for the account's balance, which costs nothing, to see whether the API key is accepted"""

    bl_idname = "rodin.test_key"
    bl_label = "Test Key"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        session.key_test = None
        timer.tracker().test_key()
        return {"FINISHED"}


class RODIN_OT_enter_api_key(bpy.types.Operator):
    """Enter the API key of your Hyper3D account"""

    bl_idname = "rodin.enter_api_key"
    bl_label = "Enter API Key"
    bl_options = OPTIONS

    api_key: text_property("API Key", "From the API page of the Hyper3D website", subtype="PASSWORD")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Use This Key")

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.activate_init = True
        self.layout.prop(self, "api_key")
        paragraph(
            self.layout,
            "Blender keeps it with the preferences, in clear text. On a shared computer, set the environment variable "
            "RODIN_API_KEY instead.",
            420 * context.preferences.system.ui_scale,
            icon="INFO",
        )
        self.layout.operator("wm.url_open", text="Get a Key", icon="URL").url = preferences.KEY_PAGE

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            key = keys.api_key(self.api_key)
        except BadInput as error:
            return refuse(self, str(error))
        if not key:
            return refuse(self, "No API key was entered; nothing has changed.")
        if preferences.key_source().fixed:
            return refuse(self, f"The API key comes from {preferences.key_source().origin}, and is changed there.")
        preferences.get().api_key = key.reveal()
        context.preferences.is_dirty = True
        timer.tracker()
        return {"FINISHED"}


class RODIN_OT_allow_online(bpy.types.Operator):
    """Allow Blender and its extensions to go online (Preferences > System > Network)"""

    bl_idname = "rodin.allow_online"
    bl_label = "Allow Online Access"
    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not bpy.app.online_access_override:
            return True
        cls.poll_message_set("Blender was started with --offline-mode: start it without")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.preferences.system.use_online_access = True
        timer.tracker()
        return {"FINISHED"}


class RODIN_OT_dismiss(bpy.types.Operator):
    """Take this message away"""

    bl_idname = "rodin.dismiss"
    bl_label = "Dismiss"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        session.notice = ""
        return {"FINISHED"}


class RODIN_OT_announce(bpy.types.Operator):
    """Tell something in the status bar"""

    bl_idname = "rodin.announce"
    bl_label = "Announce"
    bl_options = OPTIONS

    text: text_property("Text", "")

    # Only a report that comes out of Blender's handling of events is shown in the status bar. So this waits for the
    # next event of the user's, which it passes on: the news is told when they are back at the mouse. It does not wait
    # for ever, since Blender saves no backup while an operator is under way.
    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self._until = time.monotonic() + LONGEST_ANNOUNCEMENT
        self._timer = context.window_manager.event_timer_add(LONGEST_ANNOUNCEMENT, window=context.window)
        context.window_manager.modal_handler_add(self)
        session.announcing = True
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type.startswith("TIMER") and time.monotonic() < self._until:
            return {"PASS_THROUGH"}
        self.cancel(context)
        self.report({"INFO"}, self.text)
        return {"FINISHED", "PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        session.announcing = False


register, unregister = bpy.utils.register_classes_factory((
    RODIN_OT_track,
    RODIN_OT_paste,
    RODIN_OT_check_now,
    RODIN_OT_pause,
    RODIN_OT_resume,
    RODIN_OT_forget,
    RODIN_OT_copy_key,
    RODIN_OT_hand_off,
    RODIN_OT_test_key,
    RODIN_OT_enter_api_key,
    RODIN_OT_allow_online,
    RODIN_OT_dismiss,
    RODIN_OT_announce,
))
