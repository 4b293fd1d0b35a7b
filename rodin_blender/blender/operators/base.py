# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operators have in common."""

from typing import TYPE_CHECKING, TypeAlias

import bpy

from ...service.errors import BadInput
from ...tasks.task import Task
from ...texts.text import Text, Trouble
from ..app import app
from ..properties import form, task_properties
from ..voice import say

# No operator is logged in the Info editor or kept for repetition (REGISTER): keys are among the arguments.
OPTIONS: set[str] = set()
INTERNAL: set[str] = {"INTERNAL"}
"""Of an operator that means nothing without what stands around its button, and so is not to be found by F3."""


NOT_BEGUN_HERE = "'{name}' was not begun here: nothing is known of what it was made from."
NO_MODEL = "'{name}' has no model on the disk: download it first."

WIDTH = 420
"""Pixels of a dialog, at the interface's default size."""


def text_property(name: str, description: str, **more: object) -> object:
    """A property of an operator that is neither shown nor kept for the next call."""
    return bpy.props.StringProperty(name=name, description=description, options={"SKIP_SAVE", "HIDDEN"}, **more)


def refuse(operator: bpy.types.Operator, said: Text | Trouble) -> set[str]:
    operator.report({"ERROR"}, say(said))
    return {"CANCELLED"}


def check_accepted(task: Task) -> None:
    """Raises BadInput for a task that the service is not known to have accepted: there is nothing to ask for."""
    if not task.status.submitted:
        text = "The service has not said that it accepted '{name}', so there is nothing to ask for yet."
        raise BadInput(Text(text, name=task.name))


# A mixin is none of Blender's classes, which register theirs; what it uses of them is known to type checkers alone.
if TYPE_CHECKING:
    from bpy.types import Operator

    Mixin: TypeAlias = Operator
else:
    Mixin = object


class StartsGeneration(Mixin):
    """An operator that begins a generation: not while there is a blocker."""

    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        blocker = form.blocker()
        if blocker:
            cls.poll_message_set(say(blocker))
        return blocker is None


class OfTask(Mixin):
    """An operator on the active task, or on the one that `task_id` names."""

    bl_options = OPTIONS
    task_id: text_property("Task ID", "The active task when empty")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.window_manager.rodin.tasks:
            return True
        cls.poll_message_set(say(Text("The list of tasks is empty: track a task first")))
        return False

    def task(self) -> Task:
        """Raises BadInput when there is no such task."""
        running = app()
        task = running.session.tasks.get(self.task_id) if self.task_id else task_properties.active_task()
        if task is None:
            unknown = Text("There is no task '{task}' in the list.", task=self.task_id)
            raise BadInput(unknown if self.task_id else Text("No task is selected."))
        if not self.task_id and task.task_id not in running.task_list.listing:
            text = "'{name}' is chosen, but the list's filter hides it. Choose a task that it shows."
            raise BadInput(Text(text, name=task.name))
        return task

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            task = self.task()
        except BadInput as error:
            return refuse(self, error.trouble)
        # Another task may have become the active one by the time the user answers a dialog.
        self.task_id = task.task_id
        return self.begin(context, event, task)

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        """From a button: here is asked what has to be asked before `act`."""
        return self.execute(context)

    def act(self, context: bpy.types.Context, task: Task) -> None:
        """Do it, without waiting. Raises BadInput with what to change."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self.act(context, self.task())
        except BadInput as error:
            return refuse(self, error.trouble)
        return {"FINISHED"}
