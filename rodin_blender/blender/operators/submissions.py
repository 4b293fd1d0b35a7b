# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a generation that was begun here and that the service has not accepted, and making it once more."""

import bpy

from ...service.errors import BadInput
from ...tasks.option_words import price_text
from ...tasks.submission import answer_in
from ...tasks.task import Status, Task, new_task_id
from ...texts.text import Text
from ..app import app
from ..layouts import paragraph
from ..properties import form
from ..settings import folders
from ..voice import say
from .base import NOT_BEGUN_HERE, WIDTH, OfTask


class RODIN_OT_send_again(OfTask, bpy.types.Operator):
    """Send this generation to the service. It is charged as often as it is sent"""

    bl_idname = "rodin.send_again"
    bl_label = "Send Rodin Generation Again"

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        if task.status is not Status.UNCERTAIN:
            return self.execute(context)
        # Enter must not confirm this: it may be paid for twice.
        return context.window_manager.invoke_props_dialog(
            self,
            width=WIDTH,
            title=say(Text("Send '{name}' Again?", name=task.name)),
            confirm_text="Send Again",
            cancel_default=True,
        )

    def draw(self, context: bpy.types.Context) -> None:
        task = app().session.tasks.get(self.task_id)
        if task:
            width = WIDTH * context.preferences.system.ui_scale
            paragraph(self.layout, task.trouble or "", width, icon="INFO")
            again = "Sent again it costs about {price}, whatever became of the first one."
            paragraph(self.layout, Text(again, price=price_text(task.price)), width, icon="ERROR")

    def act(self, context: bpy.types.Context, task: Task) -> None:
        session = app().session
        if task.status not in (Status.UNSENT, Status.UNCERTAIN):
            text = "'{name}' is not waiting to be sent. Press Again to make it once more."
            raise BadInput(Text(text, name=task.name))
        blocker = form.blocker()
        if blocker:
            raise BadInput(Text("It cannot be sent. {why}", why=blocker))
        form.check_price(task.price)
        if task.status is Status.UNSENT:
            app().tracker().send_now(task.task_id)
            return
        new = new_task_id()
        session.started_here.add(new)
        session.select = new
        app().tracker().send_again(task.task_id, new)


class RODIN_OT_discard(OfTask, bpy.types.Operator):
    """Remove this generation, which has no subscription key, from the list, with the copies of its pictures"""

    bl_idname = "rodin.discard"
    bl_label = "Discard Rodin Generation"

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        if task.status is not Status.UNCERTAIN:
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=say(Text("Discard '{name}'?", name=task.name)),
            message="If it was charged, its model is lost: the website does not show what other programs begin.",
            confirm_text="Discard",
            icon="WARNING",
        )

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if task.status not in (Status.UNSENT, Status.UNCERTAIN, Status.REJECTED):
            text = "'{name}' was accepted or is being sent: it cannot be discarded."
            raise BadInput(Text(text, name=task.name))
        app().tracker().forget(task.task_id)


class RODIN_OT_paste_answer(OfTask, bpy.types.Operator):
    """Go on with this task by the service's answer to it, from a log of yours, which the clipboard holds"""

    bl_idname = "rodin.paste_answer"
    bl_label = "Paste Answer to Rodin Generation"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if task.status is not Status.UNCERTAIN:
            raise BadInput(Text("'{name}' needs no answer.", name=task.name))
        app().tracker().settle(task.task_id, answer_in(context.window_manager.clipboard))


class RODIN_OT_cancel_submission(OfTask, bpy.types.Operator):
    """Do not send this. It can be cancelled until its first byte has left"""

    bl_idname = "rodin.cancel_submission"
    bl_label = "Cancel Rodin Generation"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if task.status not in (Status.SENDING, Status.UNSENT):
            raise BadInput(Text("'{name}' is not being sent, so there is nothing to cancel.", name=task.name))
        if app().session.account.uploads.get(task.task_id, (0, 0))[0]:
            text = "'{name}' is on its way already, so it can no longer be cancelled."
            raise BadInput(Text(text, name=task.name))
        app().tracker().cancel_submission(task.task_id)


class RODIN_OT_again(OfTask, bpy.types.Operator):
    """Put the prompt, the pictures and the options of this task back into the form"""

    bl_idname = "rodin.again"
    bl_label = "Make Rodin Model Again"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if not task.kind:
            raise BadInput(Text(NOT_BEGUN_HERE, name=task.name))
        if not form.allowed():
            raise BadInput("Generating is switched off: tasks can only be followed.")
        form.load_task(task, folders.outbox() / task.task_id)
        app().settings.set_value("begin_by", "GENERATE")
        text = "What '{name}' was made from is in the form, at the top of the panel: change it, then press Generate"
        self.report({"INFO"}, say(Text(text, name=task.name)))


CLASSES = (
    RODIN_OT_send_again,
    RODIN_OT_discard,
    RODIN_OT_paste_answer,
    RODIN_OT_cancel_submission,
    RODIN_OT_again,
)
