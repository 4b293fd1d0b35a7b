# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a picture of models in a little studio. It needs Cycles, and no window.

The studio is a scene of its own that the models are linked into, so that theirs stays as it was.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import bpy
from mathutils import Vector

LENS = 65.0
ABOVE = math.radians(14)
"""How high the camera stands, seen from the models."""
MARGIN = 1.1
DENOISED, UNDENOISED = (16, 0.02, 12.0), (160, 0.05, 16.0)
"""The most samples of a pixel, the noise at which it gets no more, and for how many seconds samples are taken at most.
The denoiser needs a few more seconds, and makes up for the missing samples."""


class NoCycles(Exception):
    """This Blender was built without the renderer that needs no window."""


def render(
    models: Iterable[bpy.types.Object | bpy.types.Collection], picture: Path, width: int = 256, height: int = 256
) -> None:
    """Take a picture of these models, as they stand, and save it as a PNG. Raises NoCycles."""
    studio = bpy.data.scenes.new("Studio")
    for item in _objects(models):
        studio.collection.objects.link(item)
    low, high = _bounds(studio)
    middle, reach = (low + high) / 2, (high - low).length / 2
    _set_renderer(studio, picture)
    studio.render.resolution_x, studio.render.resolution_y = width, height
    _add_backdrop(studio, Vector((middle.x, middle.y, low.z)), reach)
    _add_lights(studio, middle, reach)
    _add_camera(studio, low, high)
    bpy.ops.render.render(write_still=True, scene=studio.name)


def _objects(models: Iterable[bpy.types.Object | bpy.types.Collection]) -> set[bpy.types.Object]:
    found: set[bpy.types.Object] = set()
    for model in models:
        found |= {*model.all_objects} if isinstance(model, bpy.types.Collection) else {model, *model.children_recursive}
    return found


def _bounds(scene: bpy.types.Scene) -> tuple[Vector, Vector]:
    """The lowest and the highest corner of all that is seen in the scene, instances too."""
    depsgraph = _depsgraph(scene)
    corners = [
        instance.matrix_world @ Vector(corner)
        for instance in depsgraph.object_instances
        if instance.object.type == "MESH"
        for corner in instance.object.bound_box
    ]
    if not corners:
        raise ValueError("there is no mesh to take a picture of")
    low, high = (Vector([pick(axis) for axis in zip(*corners, strict=True)]) for pick in (min, max))
    return low, high


def _depsgraph(scene: bpy.types.Scene) -> bpy.types.Depsgraph:
    layer = scene.view_layers[0]
    layer.update()
    return layer.depsgraph


def _set_renderer(scene: bpy.types.Scene, picture: Path) -> None:
    try:
        scene.render.engine = "CYCLES"
    except TypeError:
        raise NoCycles(f"Blender {bpy.app.version_string} has no Cycles, which renders without a window") from None
    scene.cycles.device = "CPU"
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.max_bounces = 5
    # Without this limit bright light in mirrors leaves fireflies.
    scene.cycles.sample_clamp_indirect = 4.0
    limits, scene.cycles.use_denoising = DENOISED, True
    try:
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError:
        # Debian's builds are without it.
        limits, scene.cycles.use_denoising = UNDENOISED, False
    scene.cycles.samples, scene.cycles.adaptive_threshold, scene.cycles.time_limit = limits
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.use_file_extension = False
    scene.render.filepath = str(picture)
    scene.view_settings.exposure = 0.25
    for transform, look in (("AgX", "AgX - Medium High Contrast"), ("Filmic", "Medium High Contrast")):
        try:
            scene.view_settings.view_transform = transform
        except TypeError:
            continue
        with suppress(TypeError):
            scene.view_settings.look = look
        break


def _add_backdrop(scene: bpy.types.Scene, foot: Vector, reach: float) -> None:
    """A floor that curves up into a wall behind the models."""
    behind, curve, top, side = 4.0 * reach, 2.5 * reach, 9.0 * reach, 14.0 * reach
    profile = [(-12.0 * reach, 0.0), (behind, 0.0)]
    for step in range(1, 25):
        angle = math.pi / 2 * step / 24
        profile.append((behind + curve * math.sin(angle), curve * (1 - math.cos(angle))))
    profile.append((behind + curve, top))
    corners = [(x, y, z) for y, z in profile for x in (-side, side)]
    faces = [(i, i + 1, i + 3, i + 2) for i in range(0, len(corners) - 2, 2)]
    mesh = bpy.data.meshes.new("Backdrop")
    mesh.from_pydata(corners, [], faces)
    mesh.shade_smooth()
    mesh.materials.append(_material("Backdrop", (0.52, 0.48, 0.43), roughness=0.55))
    backdrop = bpy.data.objects.new("Backdrop", mesh)
    backdrop.location = foot
    scene.collection.objects.link(backdrop)


def _material(name: str, color: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    shader = _node(material, "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return material


def _node(owner: bpy.types.Material | bpy.types.World, kind: str) -> bpy.types.Node:
    if owner.node_tree is None:
        # From Blender 5.0 on there always is one.
        owner.use_nodes = True
    return next(node for node in owner.node_tree.nodes if node.type == kind)


def _add_lights(scene: bpy.types.Scene, middle: Vector, reach: float) -> None:
    """A large soft key from the left, a fill from the right, a strip behind for the edges, and a dim sky."""
    for name, place, size, watts, color in (
        ("Key", (-2.6, -1.5, 3.0), (1.2, 1.2), 230.0, (1.0, 0.95, 0.88)),
        ("Fill", (3.2, -1.8, 1.0), (1.6, 3.0), 14.0, (0.85, 0.92, 1.0)),
        ("Edge", (1.6, 2.8, 2.6), (2.6, 0.9), 95.0, (1.0, 0.97, 0.94)),
    ):
        light = bpy.data.lights.new(name, "AREA")
        light.shape = "RECTANGLE"
        light.size, light.size_y = (length * reach for length in size)
        # At twice the distance a light of twice the size needs four times the power.
        light.energy = watts * reach**2
        light.color = color
        lamp = bpy.data.objects.new(name, light)
        lamp.location = middle + Vector(place) * reach
        lamp.rotation_euler = (-Vector(place)).to_track_quat("-Z", "Y").to_euler()
        scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("Studio")
    sky = _node(world, "BACKGROUND")
    sky.inputs["Color"].default_value = (0.80, 0.88, 1.0, 1.0)
    sky.inputs["Strength"].default_value = 0.10
    scene.world = world


def _add_camera(scene: bpy.types.Scene, low: Vector, high: Vector) -> None:
    """A camera in front of the models and a little above, near enough that they just fit in."""
    lens = bpy.data.cameras.new("Camera")
    lens.lens = LENS
    camera = bpy.data.objects.new("Camera", lens)
    camera.rotation_euler = (math.pi / 2 - ABOVE, 0.0, 0.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    middle = (low + high) / 2
    reached = (high - low) / 2 * MARGIN
    corners = [middle + reached * Vector(signs) for signs in itertools.product((-1, 1), repeat=3)]
    flat = [*itertools.chain.from_iterable(corners)]
    camera.location, _scale = camera.camera_fit_coords(_depsgraph(scene), flat)
    distance = (camera.location - middle).length
    lens.clip_start, lens.clip_end = distance / 100, distance * 100
