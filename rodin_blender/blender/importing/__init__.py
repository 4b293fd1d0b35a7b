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
from ...texts.text import Text
from . import assets, duplicates, finishing, fitting, importers, placing, textures
from .assets import asset_library, has_assets
from .duplicates import TASK_UUID
from .import_scene import created_since, last_created, remove, remove_leftovers, temporary_scene
from .importers import reason_of
from .placing import extent, move, units_of_a_meter

__all__ = [
    "TASK_UUID",
    "Imported",
    "asset_library",
    "blocked_by",
    "extent",
    "has_assets",
    "import_file",
    "in_scene",
    "make_selection",
    "move",
    "reason_of",
    "units_of_a_meter",
]

_COMPANIONS = ("CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER")
"""Types of objects that some files bring along, and that belong to a scene rather than to a model."""
_OPERATIONS = ("TRANSFORM_", "VIEW3D_", "OBJECT_", "MESH_")
"""Beginnings of the names of operators that change the scene while they run."""


@dataclass(frozen=True)
class Imported:
    """`missing` are the names of files that belong to the model and are not there: textures, an .obj's materials."""

    collection: bpy.types.Collection
    """Its own, or the one that was active."""
    objects: tuple[bpy.types.Object, ...]
    missing: tuple[str, ...]
    images: tuple[bpy.types.Image, ...]
    """Its textures, as far as they are new in the file; packed."""
    linked: bool
    """Whether it shares its meshes with one that was there before."""


def import_file(
    path: str,
    *,
    name: str,
    task_uuid: str = "",
    at: Sequence[float] | None = None,
    box: Box | None = None,
    height: float = 0.0,
    as_asset: bool = False,
    preview: str = "",
    description: str = "",
    companions: bool = False,
    join: bool = False,
    merge_distance: float = 0.0,
    own_collection: bool = True,
    linked: bool = False,
    select: bool = True,
) -> Imported:
    """Import a model file into a new collection called `name`. All else in the file stays as it is.

    It stands at the place `at` or at the origin, scaled to `height` (in the scene's units), or with 0.0 as large as the
    file says, whose unit is the meter. With a `box`, whose middle `at` is, it fills that, whatever its own proportions.
    The objects carry `task_uuid`. With `as_asset` the collection is marked as an asset whose picture is the image file
    `preview`, with this `description`. `companions` are the file's cameras and lights. `join` makes one mesh of several
    parts; `merge_distance` (in the scene's units) merges vertices that are no farther apart. The collection is a new
    one in the active one; without `own_collection` the active one itself, but for an asset. With `linked` a task's
    model that was imported so before is duplicated, with the same meshes, instead of read again. `select` makes it the
    selection; without, no local view shows it. Raises BadInput with the reason, and leaves everything as it was.
    """
    reason = blocked_by()
    if reason:
        raise BadInput(Text("No model can be imported just now. Try again when {what}.", what=reason))
    scene, layer = bpy.context.scene, bpy.context.view_layer
    units = units_of_a_meter(scene)
    own_collection = own_collection or as_asset
    # The distance is in the units of the meshes; the scenes of a file may have different units.
    choices = (
        "companions" * companions,
        "joined" * join,
        f"merged by {merge_distance / units:g} m" if merge_distance else "",
        f"{units:g} units a meter" if units != 1.0 else "",
    )
    how = duplicates.recipe(PurePath(path).name, importers.size_of(path), height, *choices)
    # A linked duplicate cannot take a box's proportions.
    originals = duplicates.find(task_uuid, how) if linked and task_uuid and not box else []
    if originals:
        # What a script did to the first one may not have been evaluated yet; else this is nothing.
        layer.update()
    before = last_created()
    place = Vector() if at is None else Vector(at)
    missing: list[str] = []
    images: list[bpy.types.Image] = []
    try:
        collection = _collection_for(name, scene, layer, own=own_collection)
        with temporary_scene() as temporary:
            if originals:
                objects, root = duplicates.make(originals, temporary)
                placing.place(objects, root, place, height, 1.0)
            else:
                importers.run(path)
                made = created_since(before)
                objects = _kept({item for item in made if isinstance(item, bpy.types.Object)}, companions=companions)
                if not any(_shows(item) for item in objects):
                    raise BadInput(Text("'{file}' holds no model.", file=PurePath(path).name))
                if join:
                    finishing.join(objects, temporary)
                root = placing.one_root(objects, temporary)
                if box:
                    root, place = fitting.fit(objects, root, place, box, temporary), fitting.foot(place, box)
                else:
                    placing.place(objects, root, place, height, units)
                    duplicates.remember(root, objects, how, place)
                if merge_distance:
                    finishing.merge(objects, merge_distance, temporary)
                images = [item for item in made if isinstance(item, bpy.types.Image)]
                missing = textures.pack(images)
            for item in objects:
                # Otherwise the object would be selected in each view layer that it is linked to.
                item.select_set(False)
                collection.objects.link(item)
        remove_leftovers(before, collection)
        main = _name(objects, root, name, data=not originals)
        if own_collection:
            collection.instance_offset = place
        if task_uuid:
            for item in (*([collection] if own_collection else ()), *objects):
                item[TASK_UUID] = task_uuid
        if as_asset:
            assets.mark(collection, preview, description)
    except BaseException:
        remove(created_since(before))
        raise
    if select:
        make_selection(layer, objects, main)
    else:
        _hide_in_local_views(layer, objects)
    # The view layer is updated once, and last: in a large file that takes nearly all of the time.
    layer.update()
    lacking = () if originals else (*importers.missing_of_obj(path), *missing)
    return Imported(collection, tuple(objects), lacking, tuple(images), bool(originals))


def in_scene(task_uuid: str, layer: bpy.types.ViewLayer) -> list[bpy.types.Object]:
    """The objects of a task's models in a view layer; none for a task without a uuid."""
    return [item for item in layer.objects if task_uuid and item.get(TASK_UUID) == task_uuid]


def blocked_by() -> Text | None:
    """What has to happen before a model can be imported into the context's window, None where nothing has to.

    A step of undo that is made in another mode, or in the middle of an operation, would tear that apart.
    """
    context = bpy.context
    if context.mode != "OBJECT":
        item = context.active_object
        mode = Text(item.bl_rna.properties["mode"].enum_items[item.mode].name) if item else Text("this mode")
        return Text("you leave {mode}", mode=mode)
    if bpy.app.is_job_running("RENDER"):
        return Text("the render has ended")
    if bpy.app.is_job_running("OBJECT_BAKE"):
        return Text("the bake has ended")
    running = (item.bl_idname for window in context.window_manager.windows for item in window.modal_operators)
    if any(_blocks_import(name) for name in running):
        return Text("the operation under way has ended")
    return None


def _blocks_import(operator: str) -> bool:
    """Whether an import has to wait for a modal operator: any of Blender's own, such as a simulation's bake.

    Add-ons have some that run as long as Blender does.
    """
    return operator.startswith(_OPERATIONS) or bpy.types.Operator.bl_rna_get_subclass_py(operator) is None


def _collection_for(
    name: str, scene: bpy.types.Scene, layer: bpy.types.ViewLayer, *, own: bool
) -> bpy.types.Collection:
    """A new collection in the active one, or that itself; Blender has no hidden one active.

    Where that is linked from another file, the scene's counts.
    """
    active = layer.active_layer_collection.collection
    parent = active if active.is_editable else scene.collection
    if not own and parent.is_editable:
        return parent
    collection = bpy.data.collections.new(name)
    try:
        parent.children.link(collection)
    except RuntimeError:
        text = "The scene '{scene}' is linked from another file: nothing can be added to it."
        raise BadInput(Text(text, scene=scene.name)) from None
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
    rest, children = objects - unwanted, placing.children_of(objects)
    while bare := {
        item
        for item in rest
        if item.type == "EMPTY"
        and (item in children or item.name.startswith("_materials"))
        and not rest.intersection(children.get(item, ()))
    }:
        unwanted |= bare
        rest -= bare
    remove(unwanted)
    return sorted(rest, key=lambda item: item.name)


def _shows(item: bpy.types.Object) -> bool:
    return item.type not in ("EMPTY", *_COMPANIONS) and (item.type != "MESH" or len(item.data.vertices) > 0)


def _name(
    objects: Sequence[bpy.types.Object], root: bpy.types.Object, name: str, *, data: bool
) -> bpy.types.Object:
    """Name what was imported after its task, with its `data` (meshes, materials, images).

    Returns the object to make active: the only mesh, else the root.
    """
    meshes = [item for item in objects if item.type == "MESH"]
    main = meshes[0] if len(meshes) == 1 else root
    main.name = name
    if root != main:
        root.name = f"{name} Root"
    if not data:
        return main
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


def make_selection(layer: bpy.types.ViewLayer, objects: Iterable[bpy.types.Object], active: bpy.types.Object) -> None:
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
