# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an imported model stands, and how large: one root carries its place, turn and size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import bpy
from mathutils import Matrix, Vector


def units_of_a_meter(scene: bpy.types.Scene) -> float:
    """How many of a scene's units a meter has."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else 1.0 / units.scale_length


def one_root(objects: list[bpy.types.Object], scene: bpy.types.Scene) -> bpy.types.Object:
    """The object that all others are below: the file's own where it is one that nothing moves, else a new empty.

    What an animation moves would leave its place with the next frame. Empties around a single part are removed from
    `objects` and from the file: a click then takes hold of the model itself.
    """
    roots, children = roots_of(objects), children_of(objects)
    while len(roots) == 1 and _is_wrapping(roots[0], children.get(roots[0], [])):
        (child,) = children[roots[0]]
        matrix = roots[0].matrix_basis @ child.matrix_parent_inverse @ child.matrix_basis
        child.parent = None
        child.matrix_parent_inverse.identity()
        child.matrix_basis = matrix
        objects.remove(roots[0])
        bpy.data.objects.remove(roots[0])
        roots = [child]
    if len(roots) == 1 and is_still(roots[0]):
        return roots[0]
    root = bpy.data.objects.new("Root", None)
    scene.collection.objects.link(root)
    for item in roots:
        item.parent = root
    objects.append(root)
    return root


def roots_of(objects: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    among = set(objects)
    return [item for item in objects if item.parent not in among]


def is_still(item: bpy.types.Object) -> bool:
    """Whether nothing but its own place, turn and size decides where an object is."""
    return not (item.animation_data or item.constraints or item.parent_type != "OBJECT" or item.instance_collection)


def are_still(objects: Iterable[bpy.types.Object]) -> bool:
    """Whether nothing is animated or has bones."""
    return all(is_still(item) and not item.modifiers and item.type != "ARMATURE" for item in objects)


def have_own_meshes(objects: Iterable[bpy.types.Object]) -> bool:
    """Whether no mesh is used twice, so that a size can go into it."""
    return all(item.data.users == 1 for item in objects if item.type == "MESH")


def children_of(objects: Iterable[bpy.types.Object]) -> dict[bpy.types.Object | None, list[bpy.types.Object]]:
    """The children of each parent among `objects`. To ask an object looks through all of the file's."""
    found: dict[bpy.types.Object | None, list[bpy.types.Object]] = {}
    for item in objects:
        found.setdefault(item.parent, []).append(item)
    return found


def _is_wrapping(item: bpy.types.Object, children: Sequence[bpy.types.Object]) -> bool:
    """Whether an object only holds another one, and can do without: what is lost is a shear, so there must be none."""
    if item.type != "EMPTY" or len(children) != 1 or not is_still(item):
        return False
    (child,) = children
    matrix = item.matrix_basis @ child.matrix_parent_inverse @ child.matrix_basis
    return is_still(child) and _is_plain(matrix)


def _is_plain(matrix: Matrix) -> bool:
    difference = matrix - Matrix.LocRotScale(*matrix.decompose())
    size = max(abs(part) for row in matrix for part in row)
    return all(abs(part) <= 1e-5 * size for row in difference for part in row)


def place(objects: Sequence[bpy.types.Object], root: bpy.types.Object, at: Vector, height: float, units: float) -> None:
    """Have a model that stands at the origin in meters stand at a place, scaled to a height; without, to `units`.

    Where nothing is animated or has bones, sizes are applied to the meshes, and turns are Euler angles.
    """
    factor = units
    if height > 0.0:
        low, high = extent(objects)
        factor = height / (high - low) if high > low else units
    root.matrix_basis = Matrix.Translation(at) @ Matrix.Scale(factor, 4) @ root.matrix_basis
    if are_still(objects):
        for item in objects:
            item.rotation_mode = "XYZ"
        if have_own_meshes(objects):
            _apply_scale(root, 1.0, children_of(objects))


def _apply_scale(
    item: bpy.types.Object, factor: float, children: dict[bpy.types.Object | None, list[bpy.types.Object]]
) -> None:
    """Have an object's size be 1, by what is below it being as much larger; `factor` is that of what is above it."""
    matrix = item.matrix_parent_inverse @ item.matrix_basis
    item.matrix_parent_inverse.identity()
    location, rotation, scale = matrix.decompose()
    scale *= factor
    size = scale[0]
    even = size > 0.0 and all(abs(part - size) <= 1e-5 * size for part in scale) and _is_plain(matrix)
    if not even:
        item.matrix_basis = Matrix.Translation(location * factor) @ matrix.to_3x3().to_4x4() @ Matrix.Scale(factor, 4)
        return
    item.matrix_basis = Matrix.LocRotScale(location * factor, rotation, None)
    item.scale = (1.0, 1.0, 1.0)
    if item.type == "MESH" and abs(size - 1.0) > 1e-6:
        item.data.transform(Matrix.Scale(size, 4), shape_keys=True)
        item.data.update()
    elif item.type == "EMPTY":
        item.empty_display_size *= size
    for child in children.get(item, ()):
        _apply_scale(child, size, children)


def move(collection: bpy.types.Collection, way: Sequence[float]) -> None:
    """Move an imported model."""
    for item in roots_of(list(collection.objects)):
        item.matrix_world = Matrix.Translation(way) @ item.matrix_world
    collection.instance_offset += Vector(way)
    bpy.context.view_layer.update()


def extent(objects: Iterable[bpy.types.Object], axis: int = 2) -> tuple[float, float]:
    """The lowest and the highest place on an axis of the world, see `bounds`."""
    low, high = bounds(objects)
    return low[axis], high[axis]


def bounds(objects: Iterable[bpy.types.Object]) -> tuple[Vector, Vector]:
    """The lowest and the highest corner of all vertices in the context's scene; infinite where there is none."""
    # The import is late, since it takes longer than importing the whole extension.
    import numpy

    graph = bpy.context.evaluated_depsgraph_get()
    low, high = numpy.full(3, numpy.inf), numpy.full(3, -numpy.inf)
    for item in objects:
        if item.type == "MESH":
            evaluated = item.evaluated_get(graph)
            points = numpy.empty(len(evaluated.data.vertices) * 3, dtype=numpy.float32)
            evaluated.data.vertices.foreach_get("co", points)
            matrix = numpy.array(evaluated.matrix_world, dtype=numpy.float32)
            places = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
            # A broken file has vertices that are nowhere.
            places = places[numpy.isfinite(places).all(axis=1)]
            if len(places):
                low, high = numpy.minimum(low, places.min(axis=0)), numpy.maximum(high, places.max(axis=0))
    return Vector(low), Vector(high)
