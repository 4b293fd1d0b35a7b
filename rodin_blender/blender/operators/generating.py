# SPDX-License-Identifier: GPL-3.0-or-later
"""The form: beginning a generation, and what goes into the form before."""

import bpy

from ...service.errors import BadInput
from ...tasks.options import OPTIONS
from ...tasks.task import Placement
from ...texts.text import Text
from .. import generating
from ..app import app
from ..properties import form
from ..scene import blockouts, placement
from ..voice import say
from .base import INTERNAL, StartsGeneration, refuse, text_property
from .base import OPTIONS as BUTTON


class RODIN_OT_generate(StartsGeneration, bpy.types.Operator):
    """Have a model made of this. It goes on while you work, and comes to where the 3D cursor is now"""

    bl_idname = "rodin.generate"
    bl_label = "Generate Rodin Model"

    prompt: text_property("Prompt", "What you want to make; the form's when empty")
    images: text_property("Pictures", "Paths, one a line; the form's when empty")

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = app().session
        prompt = self.prompt.strip() or session.form.prompt.strip()
        try:
            given = [form.file_of(line) for line in self.images.splitlines() if line.strip()]
            pictures = given or [form.file_of(path) for path in form.pictures()]
            of_form = not self.prompt and not self.images
            blockout = session.form.in_place_of if of_form else ""
            draft = generating.Draft(prompt, pictures, _placement(blockout, context))
            generating.begin([draft], typed=of_form)
        except BadInput as error:
            return refuse(self, error.trouble)
        item = blockouts.find(blockout, context.scene) if blockout else None
        if item:
            blockouts.remember(item, draft.task_id)
        if of_form:
            # The form is emptied at once, so that a second press does not pay a second time.
            form.clear()
        return {"FINISHED"}


def _placement(blockout_of: str, context: bpy.types.Context) -> Placement:
    """Where a model of the form is wanted: in the place of that task's blockout, else where the 3D cursor is."""
    task = app().session.tasks.get(blockout_of)
    return (blockouts.current_placement(task, context) if task else None) or placement.current(context)


class RODIN_OT_take_back(bpy.types.Operator):
    """Have these words and pictures in the form. What is in it is kept here meanwhile"""

    bl_idname = "rodin.take_back"
    bl_label = "Put Back into Rodin Form"
    bl_options = INTERNAL

    index: bpy.props.IntProperty(options={"SKIP_SAVE", "HIDDEN"})
    drop: bpy.props.BoolProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return say(Text("Forget these words") if properties.drop else Text(str(cls.__doc__)))

    def execute(self, context: bpy.types.Context) -> set[str]:
        kept = app().session.form.set_aside
        if not 0 <= self.index < len(kept):
            return refuse(self, Text("Nothing was set aside."))
        if self.drop:
            del kept[self.index]
            form.show()
        else:
            form.take_back(self.index)
        return {"FINISHED"}


class RODIN_OT_leave_place(bpy.types.Operator):
    """Have the model where the 3D cursor is, and not in the place and the proportions of that object"""

    bl_idname = "rodin.leave_place"
    bl_label = "Leave Place for Rodin Model"
    bl_options = INTERNAL

    def execute(self, context: bpy.types.Context) -> set[str]:
        app().session.form.in_place_of = ""
        form.show()
        return {"FINISHED"}


class RODIN_OT_clear_form(bpy.types.Operator):
    """Empty the prompt and take all pictures out. Options stay"""

    bl_idname = "rodin.clear_form"
    bl_label = "Clear Rodin Form"
    bl_options = BUTTON

    def execute(self, context: bpy.types.Context) -> set[str]:
        form.clear()
        return {"FINISHED"}


class RODIN_OT_reset_options(bpy.types.Operator):
    """Set all options but the tier back to how they are when nothing is chosen"""

    bl_idname = "rodin.reset_options"
    bl_label = "Reset Rodin Options"
    bl_options = BUTTON

    def execute(self, context: bpy.types.Context) -> set[str]:
        for option in OPTIONS.values():
            if option.name != "tier":
                app().settings.set_value(f"generate_{option.name}", option.default)
        form.show()
        return {"FINISHED"}


CLASSES = (
    RODIN_OT_generate,
    RODIN_OT_take_back,
    RODIN_OT_leave_place,
    RODIN_OT_clear_form,
    RODIN_OT_reset_options,
)
