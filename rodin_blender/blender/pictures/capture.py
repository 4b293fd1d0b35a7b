# SPDX-License-Identifier: GPL-3.0-or-later
"""What a 3D viewport shows as square pictures for the form: drawn once at the press, encoded and written in a thread.

Nothing but the objects is drawn, on a ground that they stand out from: the service refuses pictures of gray on gray.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import bpy
import gpu
from mathutils import Matrix, Vector

from ...service.errors import BadInput
from ...tasks.submission import MAX_PICTURES
from ...texts.text import Text
from .. import redraw
from ..properties import form
from . import picture_files

PIXELS = 1024
MARGIN = 1.1
"""How much larger than the objects a picture is that is framed on them."""
SIDES = (("Front", 0.0), ("Right", 90.0), ("Back", 180.0), ("Left", 270.0))
"""From where a picture is taken: degrees around the Z axis from the front, which is -Y as in Blender's views."""
LIGHT_GROUND, DARK_GROUND = (255, 255, 255), (38, 42, 48)


@dataclass(frozen=True)
class _Shot:
    """A picture to be drawn. `projection` is for a square."""

    name: str
    view: Matrix
    projection: Matrix


def add(context: bpy.types.Context, source: str, *, selected_only: bool) -> None:
    """Have the form get what the view shows ("VIEW"), the camera sees ("CAMERA"), or four sides ("FOUR").

    Four sides are always of the selected objects alone. Raises BadInput; nothing was drawn then.
    """
    area = redraw.viewport(context)
    if area is None:
        raise BadInput("There is no 3D viewport in this window. Open one, then add its picture.")
    space, region = area.spaces.active, next(region for region in area.regions if region.type == "WINDOW")
    scene, layer = context.scene, context.view_layer
    shown = [*layer.objects.selected] if selected_only or source == "FOUR" else []
    if not shown and (selected_only or source == "FOUR"):
        raise BadInput("No object is selected. Select what the picture is to show.")
    shots = _four_sides(shown) if source == "FOUR" else [_one(source, context, space, region, shown)]
    room = MAX_PICTURES - len(form.pictures())
    if len(shots) > room:
        text = "The service takes {most} pictures at most, and the form has room for {room} more. Remove some first."
        raise BadInput(Text(text, most=MAX_PICTURES, room=max(room, 0)))
    with _without_overlays(space), _scene_of(shown, scene, layer) as (drawn_scene, drawn_layer):
        pixels = [_drawn(drawn_scene, drawn_layer, space, region, shot) for shot in shots]
    files = {
        picture_files.new_path(shot.name, ".png"): partial(_picture, raw)
        for shot, raw in zip(shots, pixels, strict=True)
    }
    what = Text("The picture of the viewport" if len(files) == 1 else "The four views")
    picture_files.write(files, what, form.add)


def _one(
    source: str,
    context: bpy.types.Context,
    space: bpy.types.SpaceView3D,
    region: bpy.types.Region,
    shown: list[bpy.types.Object],
) -> _Shot:
    if source == "CAMERA":
        camera = context.scene.camera
        if camera is None or camera.type != "CAMERA":
            raise BadInput("The scene has no camera. Add one, or add what the viewport shows.")
        graph = context.evaluated_depsgraph_get()
        seen = camera.evaluated_get(graph)
        view = seen.matrix_world.normalized().inverted_safe()
        projection = seen.calc_matrix_camera(graph, x=PIXELS, y=PIXELS)
        name = camera.name
    else:
        view, name = space.region_3d.view_matrix.copy(), "Viewport"
        side = min(region.width, region.height)
        projection = _scaled(region.width / side, region.height / side) @ space.region_3d.window_matrix
    if shown:
        name = shown[0].name if len(shown) == 1 else name
        projection = _framed(projection, view, _corners(shown))
    return _Shot(name, view, projection)


def _framed(projection: Matrix, view: Matrix, corners: list[Vector]) -> Matrix:
    """The projection moved and scaled so that the corners fill the picture; as it was where one lies behind the eye."""
    seen = [projection @ view @ corner.to_4d() for corner in corners]
    if any(corner.w <= 0.0 for corner in seen):
        return projection
    across = [corner.x / corner.w for corner in seen]
    up = [corner.y / corner.w for corner in seen]
    half = MARGIN * max(max(across) - min(across), max(up) - min(up)) / 2.0
    if half <= 0.0:
        return projection
    middle = Vector(((max(across) + min(across)) / 2.0, (max(up) + min(up)) / 2.0, 0.0))
    return _scaled(1.0 / half, 1.0 / half) @ Matrix.Translation(-middle) @ projection


def _four_sides(shown: list[bpy.types.Object]) -> list[_Shot]:
    """Without perspective, all at the same scale, so that what is equal is equally large."""
    corners = _corners(shown)
    low, high = Vector(map(min, zip(*corners, strict=True))), Vector(map(max, zip(*corners, strict=True)))
    size = high - low
    half = MARGIN * max(size) / 2.0
    if half <= 0.0:
        raise BadInput("The selected objects have no size. Select what the pictures are to show.")
    reach = 2.0 * size.length
    projection = Matrix.Diagonal((1.0 / half, 1.0 / half, -1.0 / reach, 1.0))
    projection[2][3] = -1.0
    name = shown[0].name if len(shown) == 1 else "Selection"
    return [
        _Shot(f"{name} {side}", _eye((low + high) / 2.0, math.radians(angle), reach).inverted_safe(), projection)
        for side, angle in SIDES
    ]


def _eye(middle: Vector, angle: float, distance: float) -> Matrix:
    """The place of an upright eye that looks at the middle from so far away; it looks along its own -Z."""
    upright = Matrix.Rotation(angle, 4, "Z") @ Matrix.Rotation(math.radians(90.0), 4, "X")
    return Matrix.Translation(middle) @ upright @ Matrix.Translation((0.0, 0.0, distance))


def _corners(shown: Iterable[bpy.types.Object]) -> list[Vector]:
    graph = bpy.context.evaluated_depsgraph_get()
    evaluated = [item.evaluated_get(graph) for item in shown]
    return [item.matrix_world @ Vector(corner) for item in evaluated for corner in item.bound_box]


def _scaled(x: float, y: float) -> Matrix:
    return Matrix.Diagonal((x, y, 1.0, 1.0))


@contextmanager
def _without_overlays(space: bpy.types.SpaceView3D) -> Iterator[None]:
    before = space.overlay.show_overlays
    try:
        space.overlay.show_overlays = False
        yield
    finally:
        space.overlay.show_overlays = before


@contextmanager
def _scene_of(
    shown: list[bpy.types.Object], scene: bpy.types.Scene, layer: bpy.types.ViewLayer
) -> Iterator[tuple[bpy.types.Scene, bpy.types.ViewLayer]]:
    """A scene with these objects alone, which is thrown away: hiding the others would change the user's own scene."""
    if not shown:
        yield scene, layer
        return
    alone = bpy.data.scenes.new("Rodin Picture")
    try:
        alone.world = scene.world
        alone.view_settings.view_transform = scene.view_settings.view_transform
        alone.render.engine = scene.render.engine
        for item in shown:
            alone.collection.objects.link(item)
        # The drawing needs an evaluated scene, and ends Blender without one.
        alone.view_layers[0].update()
        yield alone, alone.view_layers[0]
    finally:
        bpy.data.scenes.remove(alone)


def _drawn(
    scene: bpy.types.Scene,
    layer: bpy.types.ViewLayer,
    space: bpy.types.SpaceView3D,
    region: bpy.types.Region,
    shot: _Shot,
) -> bytes:
    """The picture's pixels, RGBA, from the lower left."""
    try:
        canvas = gpu.types.GPUOffScreen(PIXELS, PIXELS)
    except (RuntimeError, SystemError, ValueError) as error:
        raise BadInput(Text("Blender cannot draw a picture here: {reason}", reason=str(error))) from None
    try:
        canvas.draw_view3d(
            scene, layer, space, region, shot.view, shot.projection, do_color_management=True, draw_background=False
        )
        with canvas.bind():
            buffer = gpu.state.active_framebuffer_get().read_color(0, 0, PIXELS, PIXELS, 4, 0, "UBYTE")
        # Blender 4.3 hands out wrong bytes of a buffer of several dimensions.
        buffer.dimensions = PIXELS * PIXELS * 4
        return bytes(memoryview(buffer))
    finally:
        canvas.free()


def _picture(raw: bytes) -> bytes:
    """A PNG of what was drawn, on a ground that differs from it. For a thread. Raises BadInput for an empty view."""
    import numpy

    pixels = numpy.frombuffer(raw, dtype=numpy.uint8).reshape(PIXELS, PIXELS, 4)[::-1].astype(numpy.float32)
    color, cover = pixels[..., :3], pixels[..., 3:] / 255.0
    if cover.max() < 0.5:
        raise BadInput("It shows no object. Turn the view to what you want to make, or select it.")
    brightness = float((color.mean(axis=-1) * cover[..., 0]).sum() / cover.sum())
    ground = LIGHT_GROUND if brightness < 140.0 else DARK_GROUND
    # Blender hands out colors that are multiplied by their opacity already.
    whole = color + numpy.array(ground, dtype=numpy.float32) * (1.0 - cover)
    return picture_files.png(numpy.clip(numpy.round(whole), 0.0, 255.0).astype(numpy.uint8))
