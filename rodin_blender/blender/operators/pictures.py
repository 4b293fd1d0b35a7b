# SPDX-License-Identifier: GPL-3.0-or-later
"""How pictures come into the form: from files, the clipboard, dropped, or from what is open in Blender."""

from pathlib import Path

import bpy

from ...service.errors import BadInput
from ...tasks.submission import MAX_PICTURES
from ...texts.text import Text
from ..pictures import capture, open_images
from ..properties import form
from ..voice import say
from .base import INTERNAL, OPTIONS, Mixin, refuse, text_property


def _add(operator: bpy.types.Operator, paths: list[str]) -> set[str]:
    try:
        left = form.add(paths)
    except BadInput as error:
        return refuse(operator, error.trouble)
    if left:
        text = Text("The service takes {most} pictures at most; {left} were left out", most=MAX_PICTURES, left=left)
        operator.report({"WARNING"}, say(text))
    return {"FINISHED"}


class RODIN_OT_add_pictures(bpy.types.Operator):
    """Add pictures of what you want to make (PNG, JPEG, WebP). The first one decides how it looks"""

    bl_idname = "rodin.add_pictures"
    # Blender shows this label in a menu where a dropped picture could mean other things, too.
    bl_label = "Add Pictures to Rodin Form"
    bl_options = OPTIONS

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{ending}" for ending in form.PICTURE_ENDINGS), options={"HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.files:  # They were dropped.
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        names = [file.name for file in self.files if file.name]
        if not names:
            return refuse(self, Text("No picture was chosen."))
        return _add(self, [str(Path(self.directory) / name) for name in names])


class RODIN_OT_paste_pictures(bpy.types.Operator):
    """Add the pictures whose files were copied in a file manager, or whose paths are in the clipboard, one a line"""

    bl_idname = "rodin.paste_pictures"
    bl_label = "Paste Pictures into Rodin Form"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        lines = [line for line in context.window_manager.clipboard[:20_000].splitlines() if line.strip()]
        # GNOME's file managers put this word before the paths.
        paths = [line for line in lines if line not in ("copy", "cut", "x-special/nautilus-clipboard")]
        if not paths:
            text = (
                "The clipboard holds no path of a picture. Copy the picture's file; or paste the picture itself into "
                "an Image Editor, and add it from Open Images."
            )
            return refuse(self, Text(text))
        return _add(self, paths)


class RODIN_OT_add_open_image(bpy.types.Operator):
    """Add this image, which is open in Blender, as it is now"""

    bl_idname = "rodin.add_open_image"
    bl_label = "Add Open Image to Rodin Form"
    bl_options = INTERNAL

    image: text_property("Image", "Its name")

    def execute(self, context: bpy.types.Context) -> set[str]:
        image = bpy.data.images.get(self.image)
        try:
            if image is None:
                raise BadInput(Text("No image '{image}' is open.", image=self.image))
            open_images.take(image, context.scene)
        except BadInput as error:
            return refuse(self, error.trouble)
        return {"FINISHED"}


class RODIN_OT_add_viewport(bpy.types.Operator):
    """Add what the viewport shows as a picture: objects alone, on a plain ground, in the shading that is chosen"""

    bl_idname = "rodin.add_viewport"
    bl_label = "Add Viewport to Rodin Form"
    bl_options = OPTIONS

    source: bpy.props.EnumProperty(
        name="Source",
        items=(
            ("VIEW", "View", "What the viewport shows"),
            ("CAMERA", "Camera", "What the scene's camera sees"),
            ("FOUR", "Four Views", "The selected objects from the front, the right, the back and the left"),
        ),
        options={"SKIP_SAVE"},
    )
    selected_only: bpy.props.BoolProperty(
        name="Selected Only", description="Show only the selected objects, filling the picture", options={"SKIP_SAVE"}
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        if properties.source == "FOUR":
            return say(Text("Add pictures of the selected objects from the front, the right, the back and the left"))
        seen = Text("what the scene's camera sees" if properties.source == "CAMERA" else "what the viewport shows")
        text = "Add {seen} as a picture: on a plain ground, in the viewport's shading"
        if properties.selected_only:
            text = "Add {seen} as a picture, the selected objects alone: on a plain ground, in the viewport's shading"
        return say(Text(text, seen=seen))

    def execute(self, context: bpy.types.Context) -> set[str]:
        if bpy.app.background:
            return refuse(self, Text("A picture of the viewport needs Blender's window, and there is none."))
        try:
            capture.add(context, self.source, selected_only=self.selected_only)
        except BadInput as error:
            return refuse(self, error.trouble)
        return {"FINISHED"}


class _OfPicture(Mixin):
    bl_options = INTERNAL
    index: bpy.props.IntProperty(name="Picture", options={"SKIP_SAVE", "HIDDEN"})

    def act(self, images: bpy.types.bpy_prop_collection) -> None:
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        images = form.view().images
        if not 0 <= self.index < len(images):
            return refuse(self, Text("There is no such picture in the form."))
        self.act(images)
        form.show()
        return {"FINISHED"}


class RODIN_OT_remove_picture(_OfPicture, bpy.types.Operator):
    """Take this picture out of the form. Its file stays"""

    bl_idname = "rodin.remove_picture"
    bl_label = "Remove Picture from Rodin Form"

    def act(self, images: bpy.types.bpy_prop_collection) -> None:
        images.remove(self.index)


class RODIN_OT_move_picture(_OfPicture, bpy.types.Operator):
    """Move this picture up, or down. The first one decides how the model looks"""

    bl_idname = "rodin.move_picture"
    bl_label = "Move Picture in Rodin Form"

    down: bpy.props.BoolProperty(name="Down", options={"SKIP_SAVE", "HIDDEN"})

    def act(self, images: bpy.types.bpy_prop_collection) -> None:
        target = self.index + (1 if self.down else -1)
        if 0 <= target < len(images):
            images.move(self.index, target)


class RODIN_FH_pictures(bpy.types.FileHandler):
    bl_idname = "RODIN_FH_pictures"
    bl_label = "Generate from Pictures (Rodin)"
    bl_import_operator = "rodin.add_pictures"
    bl_file_extensions = ";".join(form.PICTURE_ENDINGS)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return bool(context.area and context.area.type == "VIEW_3D" and form.allowed())


CLASSES = (
    RODIN_OT_add_pictures,
    RODIN_OT_paste_pictures,
    RODIN_OT_add_open_image,
    RODIN_OT_add_viewport,
    RODIN_OT_remove_picture,
    RODIN_OT_move_picture,
    RODIN_FH_pictures,
)
