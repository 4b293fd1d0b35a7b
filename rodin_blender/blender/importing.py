# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a model file into the scene, by Blender's own importers. Knows nothing of tasks that are followed.

Importers read the file on the main thread and hold up the window meanwhile; Blender offers no other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

import bpy
from mathutils import Matrix, Vector

from ..catalogue import CATALOGUE_ID
from ..service.errors import BadInput
from ..service.keys import shown

TASK_UUID = "rodin_task_uuid"
"""The custom property of imported objects and their collection."""

_IMPORTERS = {
    ".glb": ("import_scene.gltf",),
    ".gltf": ("import_scene.gltf",),
    # Blender 4.5 has a new one, written in C++; the old one is an add-on.
    ".fbx": ("wm.fbx_import", "import_scene.fbx"),
    ".obj": ("wm.obj_import",),
    ".stl": ("wm.stl_import",),
    **dict.fromkeys((".usd", ".usda", ".usdc", ".usdz"), ("wm.usd_import",)),
}
_ARGUMENTS = {
    # Of an importer that has them. Everything goes into the one collection, and the scene's own settings stay.
    "import_scene_as_collection": False,
    "import_scene_extras": False,
    "set_frame_range": False,
    # Else the importer adds an object of its own for the bones to look like.
    "disable_bone_shape": True,
}
_OPERATIONS = ("TRANSFORM_", "VIEW3D_", "OBJECT_", "MESH_")
"""Beginnings of the names of operators that change the scene while they run. Some add-ons have endless ones."""


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
    """Import a model file into a new collection called `name`, and return that.

    It stands at the place `at` or at the origin, scaled to `height` (in the scene's units; 0.0 leaves it as it is),
    selected. The objects carry `task_uuid`. With `as_asset` the collection is marked as an asset whose picture is
    the image file `preview`. Raises BadInput with the reason, and leaves everything as it was.
    """
    reason = hindrance()
    if reason:
        raise BadInput(f"No model can be imported just now. Try again when {reason}.")
    importer = _importer(PurePath(path).suffix.lower())
    layer = bpy.context.view_layer
    selected, active = list(layer.objects.selected), layer.objects.active
    # Made the active one, so that an importer finds a collection that is neither hidden nor excluded.
    previous = layer.active_layer_collection.collection
    before = set(bpy.data.user_map())
    try:
        collection = _new_collection(name)
        _run(importer, path)
        new = set(bpy.data.user_map()) - before
        objects = sorted((item for item in new if isinstance(item, bpy.types.Object)), key=lambda item: item.name)
        if not any(_shows(item) for item in objects):
            raise BadInput(f"'{PurePath(path).name}' holds no model.")
        _gather(objects, collection, (item for item in new if isinstance(item, bpy.types.Collection)))
        _pack(item for item in new if isinstance(item, bpy.types.Image))
        roots = _roots(objects)
        place = Vector() if at is None else Vector(at)
        _place(layer, objects, roots, place, height)
        collection.instance_offset = place
        if len(roots) == 1:
            roots[0].name = name
        if task_uuid:
            for item in (collection, *objects):
                item[TASK_UUID] = task_uuid
        if as_asset:
            _mark_as_asset(collection, preview)
    except BaseException:
        bpy.data.batch_remove(set(bpy.data.user_map()) - before)
        _select(layer, selected, active)
        raise
    finally:
        _make_active(layer, previous)
    meshes = [item for item in objects if item.type == "MESH"]
    _select(layer, objects, roots[0] if len(roots) == 1 or not meshes else meshes[0])
    return collection


def hindrance() -> str:
    """What has to happen before a model can be imported into the context's window, "" where nothing has to.

    Importers leave any mode but Object mode; and a step of undo in the middle of an operation would tear that apart.
    """
    context = bpy.context
    if context.mode != "OBJECT":
        item = context.active_object
        mode = item.bl_rna.properties["mode"].enum_items[item.mode].name if item else "this mode"
        return f"you leave {mode}"
    running = context.window.modal_operators if context.window else ()
    if any(operator.bl_idname.startswith(_OPERATIONS) for operator in running):
        return "the operation under way has ended"
    if bpy.app.is_job_running("RENDER"):
        return "the render has ended"
    return ""


def _new_collection(name: str) -> bpy.types.Collection:
    scene, layer = bpy.context.scene, bpy.context.view_layer
    collection = bpy.data.collections.new(name)
    try:
        scene.collection.children.link(collection)
    except RuntimeError:
        raise BadInput(f"The scene '{scene.name}' is linked from another file: nothing can be added to it.") from None
    layer.active_layer_collection = layer.layer_collection.children[collection.name]
    return collection


def _shows(item: bpy.types.Object) -> bool:
    return item.type != "EMPTY" and (item.type != "MESH" or len(item.data.vertices) > 0)


def _roots(objects: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    among = set(objects)
    return [item for item in objects if item.parent not in among]


def move(collection: bpy.types.Collection, way: Sequence[float]) -> None:
    """Move an imported model."""
    for item in _roots(list(collection.objects)):
        item.matrix_world = Matrix.Translation(way) @ item.matrix_world
    collection.instance_offset += Vector(way)
    bpy.context.view_layer.update()


def has_assets() -> bool:
    """Whether the open file itself has models that were marked as assets here."""
    own = (item.asset_data for item in bpy.data.collections if item.asset_data and not item.library)
    return any(about.catalog_id == CATALOGUE_ID for about in own)


def asset_library() -> Path | None:
    """The folder whose list of catalogues holds for the open file: its asset library, or its own; None if not saved."""
    if not bpy.data.filepath:
        return None
    file = Path(bpy.data.filepath)
    libraries = [Path(bpy.path.abspath(library.path)) for library in bpy.context.preferences.filepaths.asset_libraries]
    return next((library for library in libraries if library in file.parents), file.parent)


def _importer(kind: str) -> Callable[..., object]:
    for operator in _IMPORTERS.get(kind, ()):
        module, _, function = operator.partition(".")
        found = getattr(getattr(bpy.ops, module), function)
        try:
            found.get_rna_type()
        except KeyError:
            continue
        return found
    advice = {
        ".glb": "Enable the add-on glTF 2.0 in the preferences.",
        ".gltf": "Enable the add-on glTF 2.0 in the preferences.",
        ".fbx": "Enable the add-on FBX format in the preferences.",
    }.get(kind, "It may have been built without; Blender from blender.org has it.")
    raise BadInput(f"This Blender cannot import {kind or 'such'} files. {advice}")


def _run(importer: Callable[..., object], path: str) -> None:
    known = importer.get_rna_type().properties.keys()
    arguments = {name: value for name, value in _ARGUMENTS.items() if name in known}
    try:
        importer(filepath=path, **arguments)
    except RuntimeError as error:
        text = f"'{PurePath(path).name}' could not be imported. Blender says: {reason_of(error)}"
        raise BadInput(text) from None


def reason_of(error: Exception) -> str:
    """What an operator that failed said: its report, or the last line of its traceback."""
    text = str(error).strip().removeprefix("Error: ")
    return shown(text.splitlines()[-1] if "Traceback" in text else text, 200)


def _gather(
    objects: Iterable[bpy.types.Object], target: bpy.types.Collection, made: Iterable[bpy.types.Collection]
) -> None:
    """Have all objects in the one collection, whatever collections the file has, and those removed."""
    for item in objects:
        for collection in item.users_collection:
            if collection != target:
                collection.objects.unlink(item)
        if item.name not in target.objects:
            target.objects.link(item)
    for collection in list(made):
        if collection != target:
            bpy.data.collections.remove(collection)


def _pack(images: Iterable[bpy.types.Image]) -> None:
    """Keep textures in the .blend file: the downloaded files may be deleted."""
    for image in images:
        if image.source == "FILE" and not image.packed_file:
            try:
                image.pack()
            except RuntimeError:
                continue  # Its file is not there, which shows in the model.


def _place(
    layer: bpy.types.ViewLayer,
    objects: Iterable[bpy.types.Object],
    roots: Iterable[bpy.types.Object],
    place: Vector,
    height: float,
) -> None:
    layer.update()
    factor = 1.0
    if height > 0.0:
        low, high = extent(objects)
        factor = height / (high - low) if high > low else 1.0
    for item in roots:
        item.matrix_world = Matrix.Translation(place) @ Matrix.Scale(factor, 4) @ item.matrix_world
    layer.update()


def extent(objects: Iterable[bpy.types.Object], axis: int = 2) -> tuple[float, float]:
    """The lowest and the highest place on an axis of the world that a vertex has."""
    # Late: to import it takes longer than all of the extension does.
    import numpy

    graph = bpy.context.evaluated_depsgraph_get()
    low, high = float("inf"), float("-inf")
    for item in objects:
        if item.type == "MESH":
            mesh = item.evaluated_get(graph).data
            points = numpy.empty(len(mesh.vertices) * 3, dtype=numpy.float32)
            mesh.vertices.foreach_get("co", points)
            if len(points):
                row = item.matrix_world[axis]
                places = points.reshape(-1, 3) @ numpy.array(row[:3], dtype=numpy.float32) + row[3]
                low, high = min(low, float(places.min())), max(high, float(places.max()))
    return low, high


def _mark_as_asset(collection: bpy.types.Collection, preview: str) -> None:
    collection.asset_mark()
    about = collection.asset_data
    about.catalog_id = CATALOGUE_ID
    about.description = "Made with Rodin"
    about.tags.new("Rodin", skip_if_exists=True)
    if preview:
        # Without its picture it is an asset all the same.
        with bpy.context.temp_override(id=collection), suppress(RuntimeError):
            bpy.ops.ed.lib_id_load_custom_preview(filepath=preview)


def _select(layer: bpy.types.ViewLayer, objects: Iterable[bpy.types.Object], active: bpy.types.Object | None) -> None:
    for item in list(layer.objects.selected):
        item.select_set(False)
    for item in objects:
        if item.name in layer.objects:
            item.select_set(True)
    layer.objects.active = active


def _make_active(layer: bpy.types.ViewLayer, collection: bpy.types.Collection) -> None:
    waiting = [layer.layer_collection]
    while waiting:
        found = waiting.pop()
        if found.collection == collection:
            layer.active_layer_collection = found
            return
        waiting += found.children
