# SPDX-License-Identifier: GPL-3.0-or-later
"""The form: beginning a generation, and what goes into the form before."""

import bpy

from ...service.errors import BadInput
from ...tasks.options import OPTIONS
from .. import form, generating
from ..app import app
from .base import OPTIONS as BUTTON
from .base import refuse, text_property


class RODIN_OT_generate(bpy.types.Operator):
    """Have a model made of this. It goes on while you work, and comes to where the 3D cursor is now"""

    bl_idname = "rodin.generate"
    bl_label = "Generate Rodin Model"
    bl_options = BUTTON

    prompt: text_property("Prompt", "What you want to make; the form's when empty")
    images: text_property("Pictures", "Paths, one a line; the form's when empty")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        obstacle = form.obstacle()
        if obstacle:
            cls.poll_message_set(obstacle.text)
        return obstacle is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = app().session
        prompt = self.prompt.strip() or session.form.prompt.strip()
        try:
            given = [form.file_of(line) for line in self.images.splitlines() if line.strip()]
            pictures = given or [form.file_of(path) for path in form.pictures()]
            task_id = generating.begin(context, prompt, pictures, {})
        except BadInput as error:
            return refuse(self, str(error))
        if not self.prompt and not self.images:
            # At once, so that a second press does not pay a second time.
            session.form.sent[task_id] = prompt, pictures
            session.form.originals[task_id] = pictures
            form.clear()
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
    RODIN_OT_clear_form,
    RODIN_OT_reset_options,
)
