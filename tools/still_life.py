"""Six rough objects on a low table, and the same table beside it for what becomes of them. Runs inside Blender."""

from __future__ import annotations

import math
from collections.abc import Iterable

import bpy

TOP = (1.30, 0.62, 0.05)
LEGS, LEG = 0.20, 0.07
"""Their height and thickness, in meters as all here."""
APART = 1.52
"""From the middle of one table to that of the other."""

BLOCKOUTS = (
    # Name, shape, place on the table, size, degrees of turn.
    ("bottle", "cylinder", (-0.50, 0.14), (0.15, 0.15, 0.42), 0),
    ("vase", "cube", (-0.22, 0.14), (0.27, 0.27, 0.36), 24),
    ("bowl", "cube", (0.27, -0.13), (0.36, 0.28, 0.14), -12),
    ("brass goblet", "cylinder", (0.07, 0.10), (0.15, 0.15, 0.26), 0),
    ("brass candlestick", "cube", (0.50, 0.15), (0.19, 0.19, 0.44), 30),
    ("plate", "cylinder", (-0.36, -0.15), (0.34, 0.34, 0.035), 0),
)


def build(x: float) -> tuple[list[bpy.types.Object], list[bpy.types.Object]]:
    """Two tables at x with the same blockouts on them. Returns what stays as it is, and the blockouts to be made."""
    wood, clay = _wood(), _material("Clay", (0.36, 0.36, 0.38), 0.85)
    left = [*_table(x, wood), *(_blockout(x, clay, *about) for about in BLOCKOUTS)]
    return [*left, *_table(x + APART, wood)], [_blockout(x + APART, clay, *about) for about in BLOCKOUTS]


def _table(x: float, wood: bpy.types.Material) -> list[bpy.types.Object]:
    parts = [_box("Table", (x, 0.0, LEGS + TOP[2] / 2), TOP, wood, bevel=0.012)]
    for across in (-1, 1):
        for along in (-1, 1):
            place = (x + across * (TOP[0] / 2 - LEG), along * (TOP[1] / 2 - LEG), LEGS / 2)
            parts.append(_box("Leg", place, (LEG, LEG, LEGS), wood, bevel=0.008))
    return parts


def _blockout(
    x: float,
    clay: bpy.types.Material,
    name: str,
    shape: str,
    place: tuple[float, float],
    size: tuple[float, float, float],
    turn: int,
) -> bpy.types.Object:
    middle = (x + place[0], place[1], LEGS + TOP[2] + size[2] / 2)
    item = _box(name, middle, size, clay, bevel=0.004) if shape == "cube" else _cylinder(name, middle, size, clay)
    item.rotation_euler.z = math.radians(turn)
    return item


def _box(
    name: str, place: Iterable[float], size: Iterable[float], material: bpy.types.Material, *, bevel: float
) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=tuple(place))
    item = _finished(name, size, material)
    edges = item.modifiers.new("Bevel", "BEVEL")
    edges.width, edges.segments = bevel, 3
    return item


def _cylinder(
    name: str, place: Iterable[float], size: Iterable[float], material: bpy.types.Material
) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cylinder_add(vertices=64, radius=0.5, depth=1.0, location=tuple(place))
    item = _finished(name, size, material)
    for polygon in item.data.polygons:
        polygon.use_smooth = len(polygon.vertices) == 4
    return item


def _finished(name: str, size: Iterable[float], material: bpy.types.Material) -> bpy.types.Object:
    item = bpy.context.object
    item.name, item.scale = name, tuple(size)
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    item.data.materials.append(material)
    return item


def _material(name: str, color: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        # From Blender 5.0 on there always is one.
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return material


def _wood() -> bpy.types.Material:
    """Long grain along X."""
    material = _material("Wood", (0.3, 0.15, 0.07), 0.42)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    place, grain, ramp = (nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "TexNoise", "ValToRGB"))
    mapping = nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (1.2, 16.0, 16.0)
    grain.inputs["Scale"].default_value, grain.inputs["Detail"].default_value = 2.2, 6.0
    grain.inputs["Distortion"].default_value = 0.6
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.32, 0.70
    ramp.color_ramp.elements[0].color = (0.13, 0.055, 0.022, 1.0)
    ramp.color_ramp.elements[1].color = (0.38, 0.19, 0.085, 1.0)
    links.new(place.outputs["Object"], mapping.inputs["Vector"])
    links.new(mapping.outputs["Vector"], grain.inputs["Vector"])
    links.new(grain.outputs[0], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material
