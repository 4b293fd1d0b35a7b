# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that are open in Blender as files that can be sent.

Their pixels can be read on the main thread only (0.3 s for 2048 x 2048 on a busy machine). All that comes after, which
takes much longer, is a thread's work. A render's pixels Blender lets nobody read: it writes the file itself, and the
window stands still for as long as that takes (1 s for 1920 x 1080 on that machine).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ...service.errors import BadInput
from ...texts.text import Text
from ..properties import form
from . import picture_files

if TYPE_CHECKING:
    import numpy

MAX_PIXELS = 4096 * 4096
RENDER = "Render Result"


def names() -> list[str]:
    """Those images that can be taken, by name."""
    return [image.name for image in bpy.data.images if _can_be_taken(image)]


def take(image: bpy.types.Image, scene: bpy.types.Scene, then: Callable[[list[str]], object] = form.add) -> None:
    """Hand the image's file to `then` (into the form, if nothing else is said); soon, where it must be written first.

    Raises BadInput.
    """
    if image.type == "RENDER_RESULT":
        then([_render(image, scene)])
        return
    if not _can_be_taken(image):
        raise BadInput(Text("The image '{image}' has no pixels that can be read.", image=image.name))
    plain = image.source == "FILE" and not image.is_dirty
    file = bpy.path.abspath(image.filepath, library=image.library) if plain else ""
    if Path(file).suffix.lower() in form.PICTURE_ENDINGS and not image.packed_file:
        then([file])
        return
    if plain and image.packed_file and image.file_format in ("PNG", "JPEG", "WEBP"):
        content = image.packed_file.data
        _write(image.name, {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[image.file_format], lambda: content, then)
        return
    width, height = image.size
    if not width or not height:
        text = "The image '{image}' has no pixels: its file is gone, or nothing was rendered into it."
        raise BadInput(Text(text, image=image.name))
    if width * height > MAX_PIXELS:
        text = "The image '{image}' has {width} x {height} pixels; the service takes up to 4096 x 4096."
        raise BadInput(Text(text, image=image.name, width=width, height=height))
    pixels = _pixels(image)
    _write(image.name, ".png", partial(_png, pixels, width, height, linear=image.is_float), then)


def _can_be_taken(image: bpy.types.Image) -> bool:
    if image.type == "RENDER_RESULT":
        return True
    # The image's size is not asked for: Blender would read the file of an image that is not shown anywhere.
    return image.source in ("FILE", "GENERATED", "VIEWER") and image.type != "MULTILAYER"


def _render(image: bpy.types.Image, scene: bpy.types.Scene) -> str:
    """The new file of the render."""
    if bpy.app.is_job_running("RENDER"):
        raise BadInput("The render is still under way. Add it when it has ended.")
    path = picture_files.new_path(image.name, ".png")
    try:
        with _saving_as_png(scene.render.image_settings):
            image.save_render(str(path), scene=scene)
    except RuntimeError:
        text = "The scene '{scene}' has no render yet. Render an image (F12), then add it."
        raise BadInput(Text(text, scene=scene.name)) from None
    return str(path)


@contextmanager
def _saving_as_png(how: bpy.types.ImageFormatSettings) -> Iterator[None]:
    """Within it the scene saves renders as PNG, with the colors that the user sees; the render is the scene's own."""
    wanted = {"media_type": "IMAGE", "file_format": "PNG", "color_mode": "RGBA", "color_depth": "8", "compression": 15}
    # `media_type` is new in Blender 5.0; the values that each setting can take depend on those before it.
    wanted = {name: value for name, value in wanted.items() if hasattr(how, name)}
    before = {name: getattr(how, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(how, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(how, name, value)


def _pixels(image: bpy.types.Image) -> numpy.ndarray:
    import numpy

    pixels = numpy.empty(len(image.pixels), dtype=numpy.float32)
    image.pixels.foreach_get(pixels)
    return pixels


def _png(pixels: numpy.ndarray, width: int, height: int, *, linear: bool) -> bytes:
    """A PNG of an image's pixels, which begin at the lower left. For a thread."""
    import numpy

    channels = len(pixels) // (width * height)
    if channels not in (1, 3, 4):
        text = "It has {channels} channels, and the service takes pictures with colors."
        raise BadInput(Text(text, channels=channels))
    rows = numpy.clip(pixels.reshape(height, width, channels)[::-1], 0.0, 1.0)
    if linear:
        color = rows[..., :3]
        rows[..., :3] = numpy.where(color <= 0.0031308, color * 12.92, 1.055 * numpy.power(color, 1 / 2.4) - 0.055)
    return picture_files.png(numpy.round(rows * 255.0).astype(numpy.uint8))


def _write(name: str, ending: str, content: Callable[[], bytes], then: Callable[[list[str]], object]) -> None:
    picture_files.write({picture_files.new_path(name, ending): content}, Text("The image '{image}'", image=name), then)
