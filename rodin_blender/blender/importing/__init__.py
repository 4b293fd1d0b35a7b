# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a model file into the scene, by Blender's own importers. Knows nothing of tasks that are followed.

Importers read the file on the main thread and hold up the window meanwhile; Blender offers no other way. They work in a
scene of their own, since they change more than they are asked for; what they made is then brought over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import bpy
from mathutils import Vector

from ...service.errors import BadInput
from ...tasks.task import Box
from . import assets, fitting, importers, placing
from .aside import everything, remove, remove_leftovers, scene_aside
from .assets import asset_library, has_assets
from .importers import reason_of
from .placing import extent, move, units_of_a_meter

__all__ = [
    "TASK_UUID",
    "Imported",
    "asset_library",
    "bring",
    "extent",
    "has_assets",
    "hindrance",
    "import_model",
    "move",
    "reason_of",
    "units_of_a_meter",
]

TASK_UUID = "rodin_task_uuid"
"""The custom property of imported objects and their collection."""

_COMPANIONS = ("CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER")
"""Types of objects that some files bring along, and that belong to a scene rather than to a model."""
_OPERATIONS = ("TRANSFORM_", "VIEW3D_", "OBJECT_", "MESH_")
"""Beginnings of the names of operators that change the scene while they run."""


@dataclass(frozen=True)
class Imported:
    """`missing` are the names of files that belong to the model and are not there: textures, an .obj's materials."""

    collection: bpy.types.Collection
    missing: tuple[str, ...]


def import_model(
    path: str,
    *,
    name: str,
    task_uuid: str = "",
    at: Sequence[float] | None = None,
    height: float = 0.0,
    as_asset: bool = False,
    preview: str = "",
) -> bpy.types.Collection:
    """Import a model file into a new collection called `name`, select it, and return that. See `bring`."""
    return bring(
        path, name=name, task_uuid=task_uuid, at=at, height=height, as_asset=as_asset, preview=preview
    ).collection


def bring(
    path: str,
    *,
    name: str,
    task_uuid: str = "",
    at: Sequence[float] | None = None,
    box: Box | None = None,
    height: float = 0.0,
    as_asset: bool = False,
    preview: str = "",
    companions: bool = False,
    select: bool = True,
) -> Imported:
    """Import a model file into a new collection called `name`. All else in the file stays as it is.

    It stands at the place `at` or at the origin, scaled to `height` (in the scene's units), or with 0.0 as large as the
    file says, whose unit is the meter. With a `box`, whose middle `at` is, it fills that, whatever its own proportions.
    The objects carry `task_uuid`. With `as_asset` the collection is marked as an asset whose picture is the image file
    `preview`. `companions` are the file's cameras and lights. `select` makes it the selection; without, no local view
    shows it. Raises BadInput with the reason, and leaves everything as it was.
    """
    reason = hindrance()
    if reason:
        raise BadInput(f"No model can be imported just now. Try again when {reason}.")
    scene, layer = bpy.context.scene, bpy.context.view_layer
    before = everything()
    place = Vector() if at is None else Vector(at)
    try:
        collection = _new_collection(name, scene)
        with scene_aside() as aside:
            importers.run(path)
            made = everything() - before
            objects = _kept({item for item in made if isinstance(item, bpy.types.Object)}, companions=companions)
            for item in objects:
                # Else it were selected wherever it is linked.
                item.select_set(False)
            if not any(_shows(item) for item in objects):
                raise BadInput(f"'{PurePath(path).name}' holds no model.")
            root = placing.one_root(objects, aside)
            if box:
                root, place = fitting.fit(objects, root, place, box, aside), fitting.foot(place, box)
            else:
                placing.place(objects, root, place, height, units_of_a_meter(scene))
            missing = _pack(item for item in made if isinstance(item, bpy.types.Image))
            for item in objects:
                collection.objects.link(item)
        remove_leftovers(before, collection)
        collection.instance_offset = place
        main = _name(objects, root, name)
        if task_uuid:
            for item in (collection, *objects):
                item[TASK_UUID] = task_uuid
        if as_asset:
            assets.mark(collection, preview)
    except BaseException:
        remove(everything() - before)
        raise
    layer.update()
    if select:
        _select(layer, objects, main)
    else:
        _hide_in_local_views(layer, objects)
    return Imported(collection, (*importers.missing_of_obj(path), *missing))


def hindrance() -> str:
    """What has to happen before a model can be imported into the context's window, "" where nothing has to.

    A step of undo that is made in another mode, or in the middle of an operation, would tear that apart.
    """
    context = bpy.context
    if context.mode != "OBJECT":
        item = context.active_object
        mode = item.bl_rna.properties["mode"].enum_items[item.mode].name if item else "this mode"
        return f"you leave {mode}"
    if bpy.app.is_job_running("RENDER"):
        return "the render has ended"
    if bpy.app.is_job_running("OBJECT_BAKE"):
        return "the bake has ended"
    running = (item.bl_idname for window in context.window_manager.windows for item in window.modal_operators)
    if any(_holds_up(name) for name in running):
        return "the operation under way has ended"
    return ""


def _holds_up(operator: str) -> bool:
    """Whether an import has to wait for a modal operator: any of Blender's own, such as a simulation's bake.

    Add-ons have some that run as long as Blender does.
    """
    return operator.startswith(_OPERATIONS) or bpy.types.Operator.bl_rna_get_subclass_py(operator) is None


def _new_collection(name: str, scene: bpy.types.Scene) -> bpy.types.Collection:
    collection = bpy.data.collections.new(name)
    try:
        scene.collection.children.link(collection)
    except RuntimeError:
        raise BadInput(f"The scene '{scene.name}' is linked from another file: nothing can be added to it.") from None
    return collection


def _kept(objects: set[bpy.types.Object], *, companions: bool) -> list[bpy.types.Object]:
    """Those of a file's objects that are brought over, by name; the others are removed."""
    unwanted = set() if companions else {item for item in objects if item.type in _COMPANIONS}
    for item in objects - unwanted:
        if item.parent in unwanted:
            matrix = item.matrix_world.copy()
            item.parent = None
            item.matrix_world = matrix
    # Empties that held nothing else, and so on upwards, or that are what USD files call their folder of materials.
    rest = objects - unwanted
    while bare := {
        item
        for item in rest
        if item.type == "EMPTY"
        and (item.children or item.name.startswith("_materials"))
        and not rest.intersection(item.children)
    }:
        unwanted |= bare
        rest -= bare
    bpy.data.batch_remove(unwanted)
    return sorted(rest, key=lambda item: item.name)


def _shows(item: bpy.types.Object) -> bool:
    return item.type not in ("EMPTY", *_COMPANIONS) and (item.type != "MESH" or len(item.data.vertices) > 0)


def _pack(images: Iterable[bpy.types.Image]) -> list[str]:
    """Keep textures in the .blend file, as the downloaded files may be deleted. Returns those that are not there."""
    missing = []
    for image in images:
        if image.source == "FILE" and not image.packed_file:
            try:
                image.pack()
            except RuntimeError:
                missing.append(PurePath(image.filepath).name or image.name)
    return sorted(missing)


def _name(objects: Sequence[bpy.types.Object], root: bpy.types.Object, name: str) -> bpy.types.Object:
    """Name what was imported after its task. Returns the object to make active: the only mesh, else the root."""
    meshes = [item for item in objects if item.type == "MESH"]
    main = meshes[0] if len(meshes) == 1 else root
    main.name = name
    if root != main:
        root.name = f"{name} Root"
    for item in meshes:
        if item.data:
            item.data.name = item.name
    materials = list(dict.fromkeys(slot.material for item in meshes for slot in item.material_slots if slot.material))
    trees = [material.node_tree for material in materials if material.node_tree]
    nodes = [node for tree in trees for node in tree.nodes if node.type == "TEX_IMAGE"]
    for kind in (materials, list(dict.fromkeys(node.image for node in nodes if node.image))):
        for item in kind:
            item.name = name if len(kind) == 1 else f"{name} {item.name}"
    return main


def _select(layer: bpy.types.ViewLayer, objects: Iterable[bpy.types.Object], active: bpy.types.Object) -> None:
    for item in list(layer.objects.selected):
        item.select_set(False)
    for item in objects:
        item.select_set(True)
    layer.objects.active = active


def _hide_in_local_views(layer: bpy.types.ViewLayer, objects: Iterable[bpy.types.Object]) -> None:
    """Keep new objects, which Blender shows in each local view, out of those that the user works in."""
    windows = [window for window in bpy.context.window_manager.windows if window.view_layer == layer]
    spaces = [area.spaces.active for window in windows for area in window.screen.areas if area.type == "VIEW_3D"]
    for space in spaces:
        if space.local_view:
            for item in objects:
                item.local_view_set(space, False)
