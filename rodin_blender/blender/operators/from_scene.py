# SPDX-License-Identifier: GPL-3.0-or-later
"""What begins a generation from what is there already: a rough object in the scene, an image, a task of the list."""

from collections.abc import Mapping
from typing import Any

import bpy

from ...service.errors import BadInput
from ...tasks import options
from ...tasks.option_words import price_text
from ...tasks.options import TIERS
from ...tasks.task import Task
from ...texts.text import Text
from .. import generating
from ..app import app
from ..layouts import paragraph
from ..pictures import open_images
from ..properties import form
from ..scene import blockouts, placement, variations
from ..settings import folders
from ..voice import say
from .base import NOT_BEGUN_HERE, OfTask, StartsGeneration, refuse, text_property

DIALOG = 400
"""Pixels at a UI scale of 1."""
MAX_LINES = 8
"""Of the list of prompts in the dialog."""


class RODIN_OT_generate_from_selected(StartsGeneration, bpy.types.Operator):
    """Have a model made of each selected object, in its proportions. It comes in its place, and the object is hidden"""

    bl_idname = "rodin.generate_from_selected"
    bl_label = "Make This with Rodin"

    prompt: text_property("Prompt", "What you want to make; {name} is the object's name", default=blockouts.NAME)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set(say(Text("This is for objects: leave the mode first")))
        elif not blockouts.selected(context):
            text = "Select a rough object first, such as a cube of the size that you want"
            cls.poll_message_set(say(Text(text)))
        else:
            return True
        return False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.properties.is_property_set("prompt"):
            self.prompt = app().session.form.prompt.strip() or blockouts.NAME
        price = options.price(form.all_chosen()) * len(blockouts.selected(context))
        return context.window_manager.invoke_props_dialog(
            self, width=DIALOG, title="Make This", confirm_text=_confirm_text(price)
        )

    def draw(self, context: bpy.types.Context) -> None:
        items, width = blockouts.selected(context), DIALOG * context.preferences.system.ui_scale
        column = self.layout.column()
        column.activate_init = True
        column.prop(self, "prompt", text="")
        several = len(items) > 1
        if several or blockouts.NAME in self.prompt:
            prompts = [blockouts.prompt_for(self.prompt, item) for item in items]
            lines = column.column(align=True)
            for prompt in prompts[:MAX_LINES]:
                lines.label(text=prompt, icon="DOT", translate=False)
            if len(prompts) > MAX_LINES:
                more = Text("and {count} more", count=len(prompts) - MAX_LINES)
                lines.label(text=say(more), translate=False)
        if several and blockouts.NAME not in self.prompt:
            text = Text("Write {name} where the object's name is to stand.", name=blockouts.NAME)
            paragraph(column, text, width, icon="INFO")
        pictures = len(form.pictures())
        if pictures:
            several_ = Text("With the form's {count} pictures", count=pictures)
            text = Text("With the form's picture") if pictures == 1 else several_
            column.label(text=say(text), icon="IMAGE_DATA", translate=False)
        column.label(text=say(_price_line(len(items), form.all_chosen())), translate=False)

    def execute(self, context: bpy.types.Context) -> set[str]:
        items = blockouts.selected(context)
        words, pictures = app().session.form.prompt.strip(), form.pictures()
        try:
            drafts = [
                generating.Draft(
                    blockouts.prompt_for(self.prompt, item), pictures, blockouts.placement_of(item, context)
                )
                for item in items
            ]
            generating.begin(drafts, typed=True)
        except BadInput as error:
            return refuse(self, error.trouble)
        for item, draft in zip(items, drafts, strict=True):
            blockouts.remember(item, draft.task_id)
        left = "" if words == self.prompt.strip() else words
        if pictures or words != left:
            # The form keeps what is not on its way, as after Generate.
            form.fill(left, [])
        return {"FINISHED"}


class RODIN_OT_generate_from_image(StartsGeneration, bpy.types.Operator):
    """Have a model made of what this image shows. It comes to where the 3D cursor is now"""

    bl_idname = "rodin.generate_from_image"
    bl_label = "Make a Rodin Model of This Image"

    image: text_property("Image", "Its name; the one that the Image Editor shows when empty")
    prompt: text_property("Prompt", "What it is, in your own words; may be empty")

    def _found(self, context: bpy.types.Context) -> bpy.types.Image:
        """Raises BadInput."""
        shown = getattr(context.space_data, "image", None)
        image = bpy.data.images.get(self.image) if self.image else shown
        if image is None:
            first = Text("Open an image in the Image Editor first.")
            raise BadInput(Text("No image '{image}' is open.", image=self.image) if self.image else first)
        return image

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            self.image = self._found(context).name
        except BadInput as error:
            return refuse(self, error.trouble)
        price = options.price(form.all_chosen())
        return context.window_manager.invoke_props_dialog(
            self, width=DIALOG, title="Make a Model of This", confirm_text=_confirm_text(price)
        )

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.label(text=self.image, icon="IMAGE_DATA", translate=False)
        column.activate_init = True
        column.prop(self, "prompt", text="", placeholder="What it is (optional)")
        column.label(text=say(_price_line(1, form.all_chosen())), translate=False)

    def execute(self, context: bpy.types.Context) -> set[str]:
        prompt, wanted = self.prompt.strip(), placement.current(context)

        def begin(paths: list[str]) -> None:
            try:
                generating.begin([generating.Draft(prompt, paths, wanted)], typed=True)
            except BadInput as error:
                text = "No model of the image '{image}' was begun. {why}"
                app().session.tell(Text(text, image=name, why=error.trouble))

        try:
            image = self._found(context)
            name = image.name
            form.check(prompt, 1, form.all_chosen())
            open_images.take(image, context.scene, begin)
        except BadInput as error:
            return refuse(self, error.trouble)
        text = "A model of '{image}' is begun: see the tab Rodin in the 3D viewport's sidebar"
        self.report({"INFO"}, say(Text(text, image=name)))
        return {"FINISHED"}


class RODIN_OT_variations(OfTask, bpy.types.Operator):
    """Have this made again with other seeds. The models come side by side, beside the first one"""

    bl_idname = "rodin.variations"
    bl_label = "Make Rodin Variations"

    count: bpy.props.IntProperty(name="Variations", default=3, min=1, max=10, options={"SKIP_SAVE"})

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        return context.window_manager.invoke_props_dialog(
            self, width=DIALOG, title=say(Text("Variations of '{name}'", name=task.name)), confirm_text="Generate"
        )

    def draw(self, context: bpy.types.Context) -> None:
        task = app().session.tasks.get(self.task_id)
        if task:
            self.layout.prop(self, "count")
            self.layout.label(text=say(_price_line(self.count, task.options)), translate=False)

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if not task.kind:
            raise BadInput(Text(NOT_BEGUN_HERE, name=task.name))
        relatives = variations.family(task)
        pictures = [str(folders.outbox() / task.task_id / name) for name in task.pictures]
        wanted = blockouts.current_placement(task, context) or placement.current(context)
        seeds = variations.seeds((relative.options.get("seed", -1) for relative in relatives), self.count)
        drafts = [
            generating.Draft(
                task.prompt,
                pictures,
                wanted,
                {**task.options, "seed": seed},
                name=f"{relatives[0].name} {len(relatives) + number}",
                parent=variations.first_of(task),
            )
            for number, seed in enumerate(seeds, 1)
        ]
        generating.begin(drafts)
        item = blockouts.find(task.task_id, context.scene)
        if item:
            for draft in drafts:
                blockouts.remember(item, draft.task_id)


class RODIN_OT_keep_this_one(OfTask, bpy.types.Operator):
    """Remove the models of the other variations from the scene. Their tasks stay in the list"""

    bl_idname = "rodin.keep_this_one"
    bl_label = "Keep This Rodin Variation"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if context.mode != "OBJECT":
            raise BadInput("Leave the mode first: models are removed in Object mode.")
        count = variations.keep(task, context)
        if not count:
            raise BadInput(Text("No other variation of '{name}' is in the scene.", name=task.name))
        removed = Text("{count} models removed from the scene", count=count)
        self.report({"INFO"}, say(Text("1 model removed from the scene") if count == 1 else removed))


def _confirm_text(price: float) -> str:
    return say(Text("Generate · about {price}", price=price_text(price)))


def _price_line(count: int, chosen_options: Mapping[str, Any]) -> Text:
    """What so many cost, with the tier that makes them."""
    price = options.price(chosen_options)
    tier = TIERS[str(chosen_options["tier"])].label
    if count == 1:
        return Text("About {price}, {tier}", price=price_text(price), tier=tier)
    text = "{count} × about {price} = about {total}, {tier}"
    return Text(text, count=count, price=price, total=price_text(count * price), tier=tier)


CLASSES = (
    RODIN_OT_generate_from_selected,
    RODIN_OT_generate_from_image,
    RODIN_OT_variations,
    RODIN_OT_keep_this_one,
)
