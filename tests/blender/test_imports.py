"""An import in every Blender, from each kind of file: it brings the model, and changes nothing that is not its own."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import Rodin, Service
from mathutils import Vector
from test_extension import command
from test_models import everything, has_importer, heights

KINDS = ("glb", "gltf", "fbx", "obj", "stl", "usdz")

EXPORTS = """
import bpy, os
folder = {folder!r}
for moving in (False, True):
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end = 24, 77
    bpy.ops.object.camera_add(location=(0.0, -9.0, 0.0))
    scene.camera = bpy.context.object
    bpy.ops.object.light_add(location=(0.0, 0.0, 9.0))
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=(0.0, 0.0, 0.5))
    cube = bpy.context.object
    material = bpy.data.materials.new("Paint")
    cube.data.materials.append(material)
    if moving:
        for frame, x in ((1, 0.0), (50, 5.0)):
            cube.location.x = x
            cube.keyframe_insert("location", frame=frame)
        scene.frame_set(1)
    name = os.path.join(folder, "moving" if moving else "still")
    bpy.ops.export_scene.gltf(filepath=name + ".glb", export_cameras=True, export_lights=True)
    bpy.ops.export_scene.fbx(filepath=name + ".fbx")
    if not moving:
        bpy.ops.export_scene.gltf(filepath=name + ".gltf", export_format="GLTF_SEPARATE", export_cameras=True)
        bpy.ops.wm.obj_export(filepath=name + ".obj")
        bpy.ops.wm.stl_export(filepath=name + ".stl")
        if "usd_export" in dir(bpy.ops.wm):
            bpy.ops.wm.usd_export(filepath=name + ".usdz")
os._exit(0)
"""
"""A cube of one meter that stands on the ground, with a camera and a light, and once more with an animation."""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models that Blender's exporters wrote, in a Blender of its own."""
    folder = tmp_path_factory.mktemp("models")
    script = folder / "export.py"
    script.write_text(EXPORTS.format(folder=str(folder)))
    subprocess.run(command(script), check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(autouse=True)
def _empty_file(rodin: Rodin) -> Iterator[None]:
    bpy.ops.wm.read_homefile(use_empty=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


@pytest.fixture
def bring(rodin: Rodin) -> Callable[..., Any]:
    """`importing.import_file`, which tells what was missing, too."""

    def call(path: Path, **how: Any) -> Any:
        return rodin.module("blender.importing").import_file(str(path), **{"name": "A vase", **how})

    return call


def furnished() -> None:
    """A scene in the middle of work."""
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 30, 1.001
    scene.frame_start, scene.frame_end, scene.frame_current = 5, 99, 42
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.01
    scene.cursor.location = (1.0, 2.0, 3.0)
    bpy.data.scenes.new("Another")
    scene.world = bpy.data.worlds.new("Mine")
    bpy.ops.object.camera_add()
    scene.camera = bpy.context.object
    for name in ("Mine", "Hers"):
        bpy.ops.mesh.primitive_cube_add()
        bpy.context.object.name = name
    props = bpy.data.collections.new("Props")
    scene.collection.children.link(props)
    layer = bpy.context.view_layer
    layer.active_layer_collection = layer.layer_collection.children["Props"]
    for item in layer.objects:
        item.select_set(item.name == "Mine")
    layer.objects.active = bpy.data.objects["Hers"]


def state() -> dict[str, object]:
    """All that an import leaves alone."""
    scene, layer, window = bpy.context.scene, bpy.context.view_layer, bpy.context.window
    spaces = [area.spaces.active for area in window.screen.areas if area.type == "VIEW_3D"] if window else []
    return {
        "frame rate": (scene.render.fps, round(scene.render.fps_base, 5)),
        "frame range": (scene.frame_start, scene.frame_end, scene.frame_current),
        "units": (scene.unit_settings.system, round(scene.unit_settings.scale_length, 5)),
        "scenes": sorted(item.name for item in bpy.data.scenes),
        "scene shown": (scene.name, window.scene.name if window else ""),
        "world": (scene.world, len(bpy.data.worlds)),
        "camera": (scene.camera, len(bpy.data.cameras), len(bpy.data.lights)),
        "views": [(space.camera, space.region_3d.view_perspective if space.region_3d else "") for space in spaces],
        "cursor": tuple(scene.cursor.location),
        "active collection": layer.active_layer_collection.name,
        "selection": sorted(item.name for item in layer.objects.selected),
        "active": layer.objects.active.name,
        "mode": bpy.context.mode,
        "local view": [bool(space.local_view) for space in spaces],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_import_leaves_all_that_is_not_its_own_as_it_was(bring: Callable[..., Any], files: Path, kind: str) -> None:
    if not has_importer(kind):
        pytest.skip("this Blender has no such importer")
    furnished()
    before, counts = state(), everything()
    collection = bring(files / f"still.{kind}", select=False).collection
    assert state() == before
    (cube,) = collection.objects
    more = {"objects": 1, "meshes": 1, "collections": 1, "images": 0, "materials": 0 if kind == "stl" else 1}
    assert {name: count - counts[name] for name, count in everything().items()} == more
    assert heights(collection) == (pytest.approx(0.0, abs=1e-3), pytest.approx(100.0)), "a meter in this scene's units"
    assert cube.name == cube.data.name == "A vase" and cube.rotation_mode == "XYZ"
    assert tuple(cube.scale) == pytest.approx((1.0, 1.0, 1.0))
    assert [material.name for material in cube.data.materials] == ([] if kind == "stl" else ["A vase"])
    other = bring(files / f"still.{kind}", height=30.0, at=(5.0, 0.0, 1.0)).collection
    assert heights(other) == (pytest.approx(1.0, abs=1e-3), pytest.approx(31.0, abs=1e-3)), "30 cm, at the place"
    assert {**state(), "selection": 0, "active": 0} == {**before, "selection": 0, "active": 0}
    assert bpy.context.view_layer.objects.active == other.objects[0] and other.objects[0].select_get()
    assert tuple(other.objects[0].scale) == pytest.approx((1.0, 1.0, 1.0)), "applied"


@pytest.mark.parametrize("kind", ["glb", "fbx"])
def test_an_animated_model_stays_where_it_was_put(bring: Callable[..., Any], files: Path, kind: str) -> None:
    scene = bpy.context.scene
    collection = bring(files / f"moving.{kind}", height=2.0, at=(0.0, 7.0, 1.0)).collection
    for frame in (1, 20, 80):
        scene.frame_set(frame)
        assert heights(collection) == (pytest.approx(1.0, abs=1e-3), pytest.approx(3.0, abs=1e-3))
        (cube,) = [item for item in collection.objects if item.type == "MESH"]
        assert cube.matrix_world.translation.y == pytest.approx(7.0, abs=1e-3)
    assert cube.matrix_world.translation.x == pytest.approx(10.0, abs=1e-2), "it moves, twice as large"
    (root,) = [item for item in collection.objects if item.parent is None]
    assert root.type == "EMPTY" and root.location == Vector((0.0, 7.0, 1.0))


def test_cameras_and_lights_come_along_where_that_is_wished(bring: Callable[..., Any], files: Path) -> None:
    types = [item.type for item in bring(files / "still.glb", companions=True).collection.objects]
    assert sorted(types) == ["CAMERA", "EMPTY", "LIGHT", "MESH"]
    assert bpy.context.scene.camera is None


def glb(document: dict[str, Any], binary: bytes = b"") -> bytes:
    text = json.dumps({"asset": {"version": "2.0"}, **document}).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


TRIANGLE = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)


def triangles(**changes: Any) -> bytes:
    """A GLB with a triangle of one meter in the default scene, and another one in another scene."""
    document = {
        "scene": 1,
        "scenes": [{"name": "Other", "nodes": [0]}, {"name": "Default", "nodes": [2]}],
        "nodes": [{"name": "Wrong", "mesh": 0}, {"name": "Right", "mesh": 0}, {"children": [1], "scale": [2, 2, 2]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
        ],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36}],
        **changes,
    }
    return glb(document, TRIANGLE)


@pytest.mark.parametrize("default", [0, 1])
def test_of_a_file_with_several_scenes_the_default_one_is_brought(
    bring: Callable[..., Any], tmp_path: Path, default: int
) -> None:
    path = tmp_path / "base.glb"
    path.write_bytes(triangles(scene=default))
    (item,) = bring(path).collection.objects
    assert heights(bpy.data.collections["A vase"]) == (pytest.approx(0.0), pytest.approx(2.0 if default else 1.0))
    assert tuple(item.scale) == (1.0, 1.0, 1.0)
    assert len(bpy.data.scenes) == 1 and len(bpy.data.objects) == 1 and len(bpy.data.meshes) == 1


# Why one could not be imported.


def has_draco() -> bool:
    return any(Path(bpy.utils.resource_path("LOCAL")).rglob("*draco*.so"))


NOT_THERE = {"meshes": [{"primitives": [{"attributes": {"POSITION": 7}}]}]}
DRACO = {
    "extensionsUsed": ["KHR_draco_mesh_compression"],
    "extensionsRequired": ["KHR_draco_mesh_compression"],
    "meshes": [
        {
            "primitives": [
                {
                    "attributes": {"POSITION": 0},
                    "extensions": {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}},
                }
            ]
        }
    ],
    "accessors": [{"componentType": 5126, "count": 3, "type": "VEC3"}],
}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("index.glb", triangles(**NOT_THERE), "Mesh 0 names number 7 of its accessors, which is not there"),
        ("twice.glb", triangles(nodes=[{}, {"mesh": 0}, {"children": [1, 1]}]), "listed twice"),
        ("draco.glb", triangles(**DRACO), "Draco"),
        ("unknown.glb", triangles(extensionsRequired=["X_new"]), "X_new"),
        ("empty.glb", b"", "It is empty"),
        ("page.glb", b"<html>login</html>", "It is a web page"),
        ("picture.glb", b"\x89PNG\r\n\x1a\n" + bytes(40), "It does not begin as a .glb file does"),
        ("cut.fbx", b"Kaydara FBX Binary  \0\x1a\0\xe8\x1c\0\0" + bytes(20), "'cut.fbx'"),
        ("nothing.obj", b"# nothing\n", "holds no model"),
        ("gone.glb", None, "No such file"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_file_that_cannot_be_imported_says_why(
    rodin: Rodin, bring: Callable[..., Any], tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    furnished()
    before, counts = state(), everything()
    path = tmp_path / name
    if name == "draco.glb" and has_draco():
        pytest.skip("this Blender has the Draco library")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(rodin.module("service.errors").BadInput) as caught:
        bring(path)
    told = str(caught.value)
    assert words in told and "Location" not in told and "Traceback" not in told and "Error:" not in told, told
    assert (state(), everything()) == (before, counts)


def test_what_is_missing_is_told(bring: Callable[..., Any], tmp_path: Path) -> None:
    face = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl Paint\nf 1/1 2/1 3/1\n"
    (tmp_path / "a.obj").write_text(f"mtllib lost.mtl\n{face}")
    assert bring(tmp_path / "a.obj").missing == ("lost.mtl",)
    (tmp_path / "b.obj").write_text(f"mtllib b.mtl\n{face}")
    (tmp_path / "b.mtl").write_text("newmtl Paint\nmap_Kd paint.png\n")
    assert bring(tmp_path / "b.obj").missing == ("paint.png",)


def test_a_vertex_that_is_nowhere_does_not_make_the_model_so(bring: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "base.glb"
    path.write_bytes(triangles().replace(TRIANGLE, struct.pack("<9f", 0, 0, 0, float("nan"), 0, 0, 0, 1, 0)))
    (item,) = bring(path, height=3.0).collection.objects
    assert max(vertex.co.z for vertex in item.data.vertices if vertex.co.z == vertex.co.z) == pytest.approx(3.0)


# By itself, and in its place.


def test_an_import_that_nobody_asked_for_leaves_the_selection_alone(
    rodin: Rodin, service: Service, files: Path
) -> None:
    furnished()
    before = state()
    rodin.preferences.import_when_done = True
    try:
        task_id = rodin.track(service.add("one-job", prompt="A vase", files={"base.glb": (files / "still.glb").read_bytes()}))
        rodin.until(lambda: "A vase" in bpy.data.collections, "it is imported")
    finally:
        rodin.preferences.import_when_done = False
    assert state() == before
    rodin.until_idle()
    # A press of the button makes it the selection, though.
    rodin.module("blender.scene.model_imports").request_import(task_id)
    rodin.until(lambda: "A vase.001" in bpy.data.collections, "it is imported again")
    assert bpy.context.view_layer.objects.active == bpy.data.collections["A vase.001"].objects[0]


def test_local_view_has_what_was_asked_for_only(bring: Callable[..., Any], files: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    window = bpy.context.window
    area = next((area for area in window.screen.areas if area.type == "VIEW_3D"), None) if window else None
    if area is None:
        pytest.skip("this Blender has no 3D view without a window")
    region, space = next(region for region in area.regions if region.type == "WINDOW"), area.spaces.active
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.localview(frame_selected=False)
    shown = [
        [item.visible_get(viewport=space) for item in bring(files / "still.glb", select=asked).collection.objects]
        for asked in (False, True)
    ]
    assert space.local_view and shown == [[False], [True]]


def test_a_model_that_waits_keeps_the_place_and_the_scene_of_the_press(
    rodin: Rodin, saved: Callable[..., str], files: Path
) -> None:
    task_id = saved({"base.glb": (files / "still.glb").read_bytes()}, prompt="A vase")
    bpy.ops.mesh.primitive_cube_add()
    scene, cube = bpy.context.scene, bpy.context.object
    scene.cursor.location = (3.0, 4.0, 5.0)
    bpy.ops.object.mode_set(mode="EDIT")
    rodin.module("blender.scene.model_imports").request_import(task_id, bpy.context.window)
    rodin.until(lambda: rodin.session.imports.requests[task_id].waits_for, "it waits")
    scene.cursor.location = (0.0, 0.0, 0.0)
    bpy.ops.object.mode_set(mode="OBJECT")
    if bpy.context.window:
        bpy.context.window.scene = bpy.data.scenes.new("Another")
    rodin.until(lambda: "A vase" in bpy.data.collections, "it is imported")
    (vase,) = bpy.data.collections["A vase"].objects
    assert vase.location == Vector((3.0, 4.0, 5.5)), "it stands there"
    assert bpy.data.collections["A vase"].name in scene.collection.children
    assert cube.name in scene.objects


def test_one_undo_takes_an_import_back_and_redo_brings_it(rodin: Rodin, saved: Callable[..., str], files: Path) -> None:
    task_id = saved({"base.glb": (files / "still.glb").read_bytes()}, prompt="A vase")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="Before")
    rodin.module("blender.scene.model_imports").request_import(task_id)
    rodin.until(lambda: "A vase" in bpy.data.collections, "it is imported")
    for _ in range(2):
        bpy.ops.ed.undo()
        assert sorted(item.name for item in bpy.data.objects) == ["Cube"]
        assert len(bpy.data.scenes) == 1 and not bpy.data.collections
        bpy.ops.ed.redo()
        assert sorted(item.name for item in bpy.data.objects) == ["A vase", "Cube"]
        assert len(bpy.data.scenes) == 1 and bpy.context.scene.collection.children.keys() == ["A vase"]
