"""The download step in every Blender: files on the disk, the model in the scene, and nothing left when it goes wrong."""

from __future__ import annotations

import functools
import os
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import pytest
from conftest import PACKAGE, Rodin, Service, wait_for_no_thread
from mathutils import Vector
from test_extension import ENABLE, blender, command

BROKEN = b"glTF" + bytes(40)
"""It begins as a model does, and is none."""
BIG = b"glTF" + bytes(2_000_000)
"""What takes a while where the file server is slow; no model."""


@pytest.fixture(autouse=True)
def _empty_scene(rodin: Rodin, service: Service) -> Iterator[None]:
    bpy.ops.wm.read_homefile(use_empty=True)
    yield
    service.host(rate=None, link_life=600.0)
    bpy.ops.wm.read_homefile(use_empty=True)


SCENES = {
    "cube": """
bpy.ops.object.empty_add()
parent = bpy.context.object
bpy.ops.mesh.primitive_cube_add(location=(0.0, 0.0, 1.0))
bpy.context.object.parent = parent
""",
    "bare cube": "bpy.ops.mesh.primitive_cube_add(size=1.0, location=(0.0, 0.0, 0.5))",
    "cubes": "for x in (0.0, 4.0): bpy.ops.mesh.primitive_cube_add(size=1.0, location=(x, 0.0, 0.5))",
    "cube on bones": """
bpy.ops.mesh.primitive_cube_add(size=1.0, location=(0.0, 0.0, 0.5))
cube = bpy.context.object
bpy.ops.object.armature_add()
bones = bpy.context.object
cube.parent = bones
cube.modifiers.new("Bones", "ARMATURE").object = bones
cube.vertex_groups.new(name="Bone").add(range(8), 1.0, "REPLACE")
""",
}
"""The cube hangs on an empty object and is 2 units high, the others are 1 unit high."""
EXPORTERS = {
    "glb": "export_scene.gltf",
    "fbx": "export_scene.fbx",
    "obj": "wm.obj_export",
    "stl": "wm.stl_export",
    "usdz": "wm.usd_export",
}


@functools.cache
def _exported() -> dict[tuple[str, str], dict[str, bytes]]:
    """All that the tests import, by kind and scene, from one Blender for all.

    It is another one, since the wheel of 4.2 crashes at its end once it has exported glTF.
    """
    wanted = [("glb", scene) for scene in SCENES] + [(kind, "cube") for kind in EXPORTERS if has_importer(kind)]
    with tempfile.TemporaryDirectory() as made:
        lines = ["import bpy, os"]
        for number, (kind, scene) in enumerate(wanted):
            folder = Path(made, str(number))
            folder.mkdir()
            lines += ["bpy.ops.wm.read_homefile(use_empty=True)", SCENES[scene]]
            lines += [f"bpy.ops.{EXPORTERS[kind]}(filepath={str(folder / f'base.{kind}')!r})"]
        script = Path(made, "export.py")
        script.write_text("\n".join([*lines, "os._exit(0)\n"]))
        subprocess.run(command(script), check=True, capture_output=True, timeout=120)
        return {
            one: {path.name: path.read_bytes() for path in Path(made, str(number)).iterdir()}
            for number, one in enumerate(wanted)
        }


def export(kind: str, scene: str = "cube") -> dict[str, bytes]:
    """A scene as Blender's exporter of that kind writes it: the contents of the files by name."""
    return _exported()[kind, scene]


def wish_import(rodin: Rodin, task_id: str, **how: object) -> None:
    """What the Import button does; without a window Blender invokes no operator."""
    rodin.module("blender.scene.model_imports").request_import(task_id, **how)


def has_importer(kind: str) -> bool:
    return kind != "usdz" or "usd_import" in dir(bpy.ops.wm)


def heights(collection: bpy.types.Collection) -> tuple[float, float]:
    bpy.context.view_layer.update()
    points = [
        item.matrix_world @ Vector(corner)
        for item in collection.objects
        if item.type == "MESH"
        for corner in item.bound_box
    ]
    return min(p.z for p in points), max(p.z for p in points)


def everything() -> dict[str, int]:
    """How many there are of each kind of data."""
    return {
        name: len(getattr(bpy.data, name)) for name in ("objects", "meshes", "materials", "images", "collections")
    }


# The main path.


def test_one_press_of_download_brings_the_textured_model_to_the_cursor(rodin: Rodin, done: Callable[..., str]) -> None:
    bpy.context.scene.cursor.location = (3.0, -2.0, 1.0)
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    task_id = done()
    bpy.ops.rodin.hand_off("INVOKE_DEFAULT", task_id=task_id)
    rodin.until(lambda: "A glazed vase" in bpy.data.collections, "the model is in the scene")
    collection = bpy.data.collections["A glazed vase"]
    assert collection.name in bpy.context.scene.collection.children
    (vase,) = [item for item in collection.objects if item.type == "MESH"]
    root = vase.parent or vase
    assert root.matrix_world.translation == Vector((3.0, -2.0, 1.0))
    low, high = heights(collection)
    assert (low, high) == (pytest.approx(1.0, abs=0.02), pytest.approx(2.9, abs=0.1)), "it stands on the cursor"
    uuid = rodin.item(task_id).task_uuid
    assert {item["rodin_task_uuid"] for item in (collection, *collection.objects)} == {uuid}
    images = [node.image for node in vase.active_material.node_tree.nodes if node.type == "TEX_IMAGE"]
    assert images and all(image.size[0] and image.packed_file for image in images), "textured, and kept in the file"
    assert not cube.select_get()
    assert all(item.select_get() for item in collection.objects)
    assert bpy.context.view_layer.objects.active == root
    assert bpy.context.view_layer.active_layer_collection.collection == bpy.context.scene.collection
    rodin.until_idle()


@pytest.mark.parametrize("kind", ["glb", "fbx", "obj", "stl", "usdz"])
def test_each_kind_of_file_is_imported(rodin: Rodin, saved: Callable[..., str], kind: str) -> None:
    if not has_importer(kind):
        task_id = saved({f"base.{kind}": b"PK\3\4"})
        with pytest.raises(RuntimeError, match=r"cannot import \.usdz files.+built without"):
            bpy.ops.rodin.import_model(task_id=task_id)
        return
    task_id = saved(export(kind))
    frames = (bpy.context.scene.frame_start, bpy.context.scene.frame_end)
    assert bpy.ops.rodin.import_model(task_id=task_id, location="ORIGIN", height=0.5) == {"FINISHED"}
    collection = bpy.data.collections["A glazed vase"]
    assert heights(collection) == (pytest.approx(0.0, abs=1e-4), pytest.approx(0.5, abs=1e-4))
    assert {item.name for item in bpy.data.collections} == {"A glazed vase"}
    assert set(bpy.context.scene.collection.all_objects) == set(collection.objects)
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == frames


def test_imported_again_without_asking_the_service(rodin: Rodin, service: Service, saved: Callable[..., str]) -> None:
    task_id = saved()
    lists, files = len(service.asked("download")), len(service.asked("files"))
    for _ in range(2):
        bpy.ops.rodin.import_model(task_id=task_id)
    assert sorted(item.name for item in bpy.data.collections) == ["A glazed vase", "A glazed vase.001"]
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    rodin.until_idle()
    assert rodin.item(task_id).downloaded
    assert (len(service.asked("download")), len(service.asked("files"))) == (lists + 1, files)


def test_the_best_model_is_taken_unless_another_one_is_named(rodin: Rodin, saved: Callable[..., str]) -> None:
    glb = export("glb")["base.glb"]
    task_id = saved({"base.glb": BROKEN, "base_basic_shaded.glb": BROKEN, "x_PBR.glb": glb})
    assert bpy.ops.rodin.import_model(task_id=task_id) == {"FINISHED"}
    with pytest.raises(RuntimeError, match=r"'base\.glb' could not be imported"):
        bpy.ops.rodin.import_model(task_id=task_id, model="base.glb")
    with pytest.raises(RuntimeError, match=r"no file 'other\.glb'"):
        bpy.ops.rodin.import_model(task_id=task_id, model="other.glb")


def test_a_model_becomes_an_asset_with_picture_tag_and_catalog(
    rodin: Rodin, saved: Callable[..., str], tmp_path: Path
) -> None:
    task_id = saved()
    rodin.preferences.import_as_asset = True
    try:
        bpy.ops.rodin.import_model(task_id=task_id)
    finally:
        rodin.preferences.import_as_asset = False
    collection = bpy.data.collections["A glazed vase"]
    assert [tag.name for tag in collection.asset_data.tags] == ["Rodin"]
    cursor = bpy.context.scene.cursor.location
    assert collection.instance_offset == cursor
    blend = tmp_path / "library.blend"
    (tmp_path / "blender_assets.cats.txt").write_text("VERSION 1\n\n11111111-2222-3333-4444-555555555555:Mine:Mine")
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    rodin.until_idle()
    wait_for_no_thread()
    lines = (tmp_path / "blender_assets.cats.txt").read_text().splitlines()
    assert lines[2:] == ["11111111-2222-3333-4444-555555555555:Mine:Mine", f"{collection.asset_data.catalog_id}:Rodin:Rodin"]
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(blend), assets_only=True) as (there, wanted):
        assert list(there.collections) == ["A glazed vase"]
        wanted.collections = there.collections
    preview = bpy.data.collections["A glazed vase"].preview
    assert tuple(preview.image_size) == (256, 256) and len(set(preview.image_pixels[:])) > 50


def test_no_key_is_in_the_saved_file(rodin: Rodin, saved: Callable[..., str], tmp_path: Path) -> None:
    task_id = saved()
    bpy.ops.rodin.import_model(task_id=task_id)
    blend = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=False)
    content = blend.read_bytes()
    assert rodin.item(task_id).task_uuid.encode() in content
    assert rodin.session.tasks[task_id].subscription_key.reveal().encode() not in content
    assert os.environ["RODIN_API_KEY"].encode() not in content


@pytest.mark.parametrize("layout", ["excluded collection", "several roots", "local scene"])
def test_whatever_the_scene_and_the_file_are_like(
    rodin: Rodin, saved: Callable[..., str], layout: str
) -> None:
    task_id = saved(export("glb", "cubes" if layout == "several roots" else "bare cube"))
    layer = bpy.context.view_layer
    if layout == "excluded collection":
        bpy.context.scene.collection.children.link(bpy.data.collections.new("Hidden"))
        layer.active_layer_collection = layer.layer_collection.children["Hidden"]
        layer.layer_collection.children["Hidden"].exclude = True
    bpy.context.scene.cursor.location = (0.0, 0.0, 5.0)
    bpy.ops.rodin.import_model(task_id=task_id, height=2.0)
    collection = bpy.data.collections["A glazed vase"]
    assert heights(collection) == (pytest.approx(5.0), pytest.approx(7.0))
    meshes = [item for item in collection.objects if item.type == "MESH"]
    places = sorted(round(item.matrix_world.translation.x, 3) for item in meshes)
    assert places == ([0.0, 8.0] if layout == "several roots" else [0.0]), "scaled as one"
    assert layer.objects.active in list(collection.objects)
    assert len(collection.objects) == (3 if layout == "several roots" else 1), "one root carries the place"


def test_what_a_button_sets_goes_before_the_preferences(rodin: Rodin, saved: Callable[..., str]) -> None:
    wish_import(rodin, saved(), height=0.5, location="ORIGIN", model="base_basic_shaded.glb")
    rodin.until(lambda: "A glazed vase" in bpy.data.collections, "it is imported")
    assert heights(bpy.data.collections["A glazed vase"]) == (pytest.approx(0.0, abs=0.01), pytest.approx(0.5, abs=0.02))


def test_bones_do_not_count_for_the_height(rodin: Rodin, saved: Callable[..., str]) -> None:
    bpy.ops.rodin.import_model(task_id=saved(export("glb", "cube on bones")), height=2.0)
    collection = bpy.data.collections["A glazed vase"]
    assert heights(collection) == (pytest.approx(0.0, abs=1e-4), pytest.approx(2.0, abs=1e-4))
    assert sorted(item.type for item in collection.objects) == ["ARMATURE", "MESH"]


def test_an_asset_without_its_picture_is_an_asset_all_the_same(rodin: Rodin, saved: Callable[..., str]) -> None:
    task_id = saved()
    (Path(rodin.item(task_id).folder) / "preview.webp").unlink()
    bpy.ops.rodin.import_model(task_id=task_id, as_asset=True)
    assert bpy.data.collections["A glazed vase"].asset_data
    assert rodin.module("blender.importing").has_assets()


def test_assets_that_a_file_links_are_another_files_matter(
    rodin: Rodin, saved: Callable[..., str], tmp_path: Path
) -> None:
    bpy.ops.rodin.import_model(task_id=saved(), as_asset=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "asset.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "asset.blend"), link=True) as (there, wanted):
        wanted.collections = there.collections
    assert bpy.data.collections["A glazed vase"].library
    assert not rodin.module("blender.importing").has_assets()


# Waiting for the right moment.


def test_in_edit_mode_it_waits_and_says_so(rodin: Rodin, done: Callable[..., str]) -> None:
    bpy.ops.mesh.primitive_cube_add()
    task_id = done()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.rodin.hand_off("INVOKE_DEFAULT", task_id=task_id)
    rodin.until(lambda: rodin.session.imports.requests[task_id].waits_for, "the model could be imported")
    for _ in range(5):
        assert rodin.module("blender.timer").run() is not None, "the timer goes on"
    assert bpy.context.mode == "EDIT_MESH" and "A glazed vase" not in bpy.data.collections
    assert str(rodin.session.imports.requests[task_id].waits_for) == "you leave Edit Mode"
    with pytest.raises(RuntimeError, match="Try again when you leave Edit Mode"):
        bpy.ops.rodin.import_model(task_id=task_id)
    bpy.ops.object.mode_set(mode="OBJECT")
    rodin.until(lambda: "A glazed vase" in bpy.data.collections, "it is imported")
    rodin.until_idle()


def test_a_waiting_import_can_be_cancelled(rodin: Rodin, saved: Callable[..., str]) -> None:
    task_id = saved()
    with pytest.raises(RuntimeError, match="nothing to cancel"):
        bpy.ops.rodin.cancel_download(task_id=task_id)
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="SCULPT")
    wish_import(rodin, task_id)
    rodin.until(lambda: str(rodin.session.imports.requests[task_id].waits_for) == "you leave Sculpt Mode", "it waits")
    bpy.ops.rodin.cancel_download(task_id=task_id)
    bpy.ops.object.mode_set(mode="OBJECT")
    rodin.until_idle()
    assert "A glazed vase" not in bpy.data.collections


def test_another_file_opened_meanwhile_gets_no_model(rodin: Rodin, service: Service, done: Callable[..., str]) -> None:
    service.host(rate=400_000.0)
    task_id = done()
    bpy.ops.rodin.hand_off("INVOKE_DEFAULT", task_id=task_id)
    rodin.until(lambda: rodin.session.files.downloads, "it is under way")
    bpy.ops.wm.read_homefile(use_empty=True)
    service.host(rate=None)
    rodin.until(lambda: rodin.item(task_id) and rodin.item(task_id).downloaded, "the download goes on")
    rodin.until_idle()
    assert len(bpy.data.collections) == 0
    assert "For the file before, but not yet imported: 'A glazed vase'. Press Import" in rodin.session.news.notice


def test_a_forgotten_task_is_not_imported(rodin: Rodin, service: Service, done: Callable[..., str]) -> None:
    service.host(rate=200_000.0)
    task_id = done({"base.glb": BIG})
    bpy.ops.rodin.hand_off("INVOKE_DEFAULT", task_id=task_id)
    rodin.until(lambda: rodin.session.files.downloads[task_id].received, "under way")
    folder = Path(rodin.session.tasks[task_id].folder)
    bpy.ops.rodin.forget(task_id=task_id)
    rodin.until_idle()
    wait_for_no_thread()
    assert not rodin.session.imports and not rodin.session.files.downloads and not folder.exists()


def test_a_very_large_model_is_not_imported_by_itself(
    rodin: Rodin, done: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rodin.module("blender.state.import_queue"), "LARGEST_AUTO_IMPORT", 1000)
    task_id = done(export("glb"))
    bpy.ops.rodin.hand_off("INVOKE_DEFAULT", task_id=task_id)
    rodin.until(lambda: rodin.session.files.troubles, "it is told")
    assert "stands still while it imports" in str(rodin.session.files.troubles[task_id])
    assert "A glazed vase" not in bpy.data.collections
    wish_import(rodin, task_id)
    rodin.until(lambda: "A glazed vase" in bpy.data.collections, "the user wishes it")


# By itself.


@pytest.mark.parametrize("wish", ["download_when_done", "import_when_done", "neither"])
def test_what_comes_by_itself_when_a_task_is_done(rodin: Rodin, service: Service, wish: str) -> None:
    if wish != "neither":
        setattr(rodin.preferences, wish, True)
    try:
        task_id = rodin.track(service.add("one-job", prompt="A glazed vase"))
        rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
        if wish != "neither":
            rodin.until(lambda: rodin.item(task_id).downloaded, "its files are saved")
        rodin.until_idle()
    finally:
        rodin.preferences.download_when_done = rodin.preferences.import_when_done = False
    assert rodin.item(task_id).downloaded is (wish != "neither")
    assert ("A glazed vase" in bpy.data.collections) is (wish == "import_when_done")


def test_a_file_that_is_opened_gets_no_model_of_a_task_tracked_before(rodin: Rodin, service: Service) -> None:
    rodin.preferences.import_when_done = True
    try:
        task_id = rodin.track(service.add("one-job", prompt="A glazed vase"))
        bpy.ops.wm.read_homefile(use_empty=True)
        rodin.until(lambda: rodin.item(task_id) and rodin.item(task_id).status == "DONE", "it is done")
        rodin.until_idle()
    finally:
        rodin.preferences.import_when_done = False
    assert len(bpy.data.collections) == 0 and not rodin.item(task_id).downloaded


# What goes wrong.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"glTF\2\0\0\0\xff\0\0\0 and no more", "It is incomplete"),
        (BROKEN, "could not be imported. Blender says"),
        (b"this is no model at all", "It does not begin as a .glb file does"),
        (b"<html><body>Blocked</body></html>", "It is a web page"),
        (b"", "It is empty"),
    ],
)
def test_a_broken_model_is_told_and_leaves_the_scene_as_it_was(
    rodin: Rodin, saved: Callable[..., str], content: bytes, words: str
) -> None:
    bpy.ops.mesh.primitive_cube_add()
    cube, before = bpy.context.object, everything()
    # As it stands on the disk; a download lets none but the second pass.
    task_id = saved({"base.glb": BROKEN})
    (Path(rodin.item(task_id).folder) / "base.glb").write_bytes(content)
    wish_import(rodin, task_id)
    rodin.until(lambda: rodin.session.files.troubles, "it is told")
    assert words in str(rodin.session.files.troubles[task_id])
    rodin.until_idle()
    assert everything() == before
    assert bpy.context.view_layer.objects.active == cube and cube.select_get()


def test_the_textures_of_a_model_in_a_folder_are_those_of_its_own_folder(
    rodin: Rodin, saved: Callable[..., str]
) -> None:
    files = {
        "shaded/base.mtl": b"newmtl clay\nmap_Kd red.png\n",
        "shaded/red.png": png(b"\xff\0\0"),
        "pbr/base.obj": b"mtllib base.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl clay\nf 1/1 2/1 3/1\n",
        "pbr/base.mtl": b"newmtl clay\nmap_Kd maps/green.png\n",
        "pbr/maps/green.png": png(b"\0\xff\0"),
    }
    task_id = saved(files)
    assert bpy.ops.rodin.import_model(task_id=task_id) == {"FINISHED"}
    (image,) = [image for image in bpy.data.images if image.source == "FILE"]
    assert image.packed_file and tuple(image.pixels[:3]) == (0.0, 1.0, 0.0)
    folder = Path(rodin.item(task_id).folder)
    bpy.ops.rodin.delete_files(task_id=task_id)
    rodin.until(lambda: not folder.exists(), "nothing of it is left on the disk")


def png(color: bytes) -> bytes:
    """A picture of one pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" + color)) + chunk(b"IEND", b"")


def test_files_that_were_moved_away_are_told_and_fetched_again(rodin: Rodin, saved: Callable[..., str]) -> None:
    task_id = saved()
    model = Path(rodin.item(task_id).folder) / "base_basic_pbr.glb"
    model.unlink()
    wish_import(rodin, task_id)
    rodin.until(lambda: rodin.session.files.troubles, "it is told")
    assert "base_basic_pbr.glb cannot be read: No such file" in str(rodin.session.files.troubles[task_id])
    rodin.until(lambda: not rodin.item(task_id).downloaded, "so that Download is there to be pressed")
    bpy.ops.rodin.download(task_id=task_id, import_model=True)
    rodin.until(lambda: "A glazed vase" in bpy.data.collections, "it is there again")
    assert model.exists()


def test_cancel_and_go_on(rodin: Rodin, service: Service, done: Callable[..., str]) -> None:
    service.host(rate=1_000_000.0)
    task_id = done({"base.glb": BIG})
    bpy.ops.rodin.hand_off("INVOKE_DEFAULT", task_id=task_id)
    rodin.until(lambda: rodin.session.files.downloads and rodin.session.files.downloads[task_id].received > 300_000, "under way")
    with pytest.raises(RuntimeError, match="being downloaded already"):
        bpy.ops.rodin.download(task_id=task_id)
    bpy.ops.rodin.cancel_download(task_id=task_id)
    rodin.until(lambda: not rodin.session.files.downloads, "it is cancelled")
    assert not rodin.session.files.troubles, "what the user wished is no trouble"
    assert not rodin.item(task_id).downloaded and not rodin.session.imports
    service.host(rate=None)
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    rodin.until(lambda: rodin.item(task_id).downloaded, "it is there")
    assert (Path(rodin.item(task_id).folder) / "base.glb").read_bytes() == BIG
    assert service.asked("files")[-1]["range"] not in ("", "bytes=0-"), "it went on where it was"


def test_cancelled_before_it_began(rodin: Rodin, service: Service, done: Callable[..., str]) -> None:
    task_id = done({"base.glb": BIG})
    bpy.ops.rodin.download(task_id=task_id)
    bpy.ops.rodin.cancel_download(task_id=task_id)
    rodin.until_idle()
    assert not rodin.item(task_id).downloaded and not rodin.session.files.downloads and not rodin.session.imports


def test_done_while_what_there_is_arrives(rodin: Rodin, service: Service) -> None:
    rodin.preferences.import_when_done = True
    service.host(rate=600_000.0)
    try:
        task_id = rodin.track(service.add([[[0, "Generating"], [4, "Done"]]], prompt="A glazed vase"))
        rodin.until(lambda: rodin.item(task_id).status == "GENERATING", "it goes on")
        bpy.ops.rodin.hand_off(task_id=task_id)
        rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
        assert task_id in rodin.session.files.downloads, "in the middle of it"
        rodin.until(lambda: "A glazed vase" in bpy.data.collections, "it is downloaded once more, and imported")
    finally:
        rodin.preferences.import_when_done = False
    assert not rodin.session.files.troubles and not rodin.session.news.notice


def test_offline_nothing_is_downloaded_and_it_is_said_what_to_do(
    rodin: Rodin, done: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = done()
    monkeypatch.setenv("RODIN_API_URL", "https://rodin.invalid/api/v2")
    bpy.context.preferences.system.use_online_access = False
    bpy.ops.rodin.download(task_id=task_id)
    rodin.until(lambda: rodin.session.files.troubles, "it is told")
    said = rodin.module("blender.voice").say(rodin.session.files.troubles[task_id])
    assert said.startswith("Nothing was downloaded. Blender is not allowed to go online.")
    assert said.endswith("Tasks go on automatically then. Press Download to try again.")
    rodin.until_idle()


def test_disabled_in_the_middle_it_goes_on_when_enabled(rodin: Rodin, service: Service, done: Callable[..., str]) -> None:
    service.host(rate=500_000.0)
    task_id = done({"base.glb": BIG})
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    rodin.until(lambda: rodin.session.files.downloads and rodin.session.files.downloads[task_id].received > 100_000, "under way")
    rodin.disable()
    wait_for_no_thread()
    service.host(rate=None)
    rodin.enable()
    rodin.until(lambda: rodin.item(task_id) and rodin.item(task_id).downloaded, "it went on")
    assert (Path(rodin.item(task_id).folder) / "base.glb").read_bytes() == BIG
    assert service.asked("files")[-1]["range"], "where it was"


def test_killed_in_the_middle_it_goes_on_after_the_restart(
    rodin: Rodin, service: Service, done: Callable[..., str], tmp_path: Path
) -> None:
    service.host(rate=400_000.0)
    task_id = done({"base.glb": BIG})
    rodin.disable()
    wait_for_no_thread()
    bpy.ops.wm.save_userpref()
    script = tmp_path / "killed.py"
    script.write_text(
        ENABLE + "import importlib, time\n"
        f"timer = importlib.import_module({PACKAGE + '.blender.timer'!r})\n"
        f"session = importlib.import_module({PACKAGE + '.blender.app'!r}).app().session\n"
        f"while {task_id!r} not in session.tasks: timer.run(); time.sleep(0.02)\n"
        f"bpy.ops.rodin.download(task_id={task_id!r}, import_model=False)\n"
        "while True:\n"
        "    timer.run(); time.sleep(0.02)\n"
        f"    progress = session.files.downloads.get({task_id!r})\n"
        "    if progress and progress.received > 200_000: print('HALF', flush=True)\n"
    )
    process = subprocess.Popen(command(script), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert any("HALF" in line for line in process.stdout)
    process.kill()
    process.communicate(timeout=30)
    service.host(rate=None)
    rodin.enable()
    rodin.until(lambda: rodin.item(task_id) and rodin.item(task_id).folder, "it is in the list")
    rodin.until(lambda: rodin.item(task_id).downloaded, "it went on by itself")
    assert (Path(rodin.item(task_id).folder) / "base.glb").read_bytes() == BIG
    assert service.asked("files")[-1]["range"], "where it was"


def test_leaving_does_not_wait_for_a_hung_download(
    rodin: Rodin, service: Service, done: Callable[..., str], tmp_path: Path
) -> None:
    task_id = done({"base.glb": BIG})
    service.fail("files", "silent-in-the-middle")
    rodin.disable()
    wait_for_no_thread()
    script = tmp_path / "leave.py"
    script.write_text(
        ENABLE + "import importlib, time\n"
        f"timer = importlib.import_module({PACKAGE + '.blender.timer'!r})\n"
        f"session = importlib.import_module({PACKAGE + '.blender.app'!r}).app().session\n"
        f"while {task_id!r} not in session.tasks: timer.run(); time.sleep(0.02)\n"
        f"bpy.ops.rodin.download(task_id={task_id!r}, import_model=False)\n"
        f"while not getattr(session.files.downloads.get({task_id!r}), 'size', 0): timer.run(); time.sleep(0.02)\n"
        "print('LEAVING', time.time(), flush=True)\n"
    )
    left = blender(script)
    assert left.returncode == 0 and "LEAVING" in left.stdout, left.stdout[-2000:]
    began = float(next(line for line in left.stdout.splitlines() if "LEAVING" in line).split()[-1])
    assert left.ended - began < 5.0


# Where the files are.


def test_the_download_folder_of_the_preferences(
    rodin: Rodin, service: Service, done: Callable[..., str], tmp_path: Path
) -> None:
    task_id = done()
    try:
        rodin.preferences.download_folder = "//models"
        with pytest.raises(RuntimeError, match=r"beside the \.blend file, which is not saved yet"):
            bpy.ops.rodin.download(task_id=task_id)
        rodin.preferences.download_folder = "models"
        with pytest.raises(RuntimeError, match="no whole path"):
            bpy.ops.rodin.download(task_id=task_id)
        assert not rodin.session.imports, "a refused wish leaves nothing behind"
        rodin.preferences.download_folder = "//models"
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
        bpy.ops.rodin.download(task_id=task_id, import_model=False)
        rodin.until(lambda: rodin.item(task_id).downloaded, "its files are saved")
    finally:
        rodin.preferences.download_folder = ""
    assert Path(rodin.item(task_id).folder) == tmp_path / "models" / f"A glazed vase {task_id}"
    other = done(prompt="../../A bowl")
    bpy.ops.rodin.download(task_id=other, directory=str(tmp_path / "elsewhere"), import_model=False)
    rodin.until(lambda: rodin.item(other).downloaded, "its files are saved")
    assert Path(rodin.item(other).folder).parent == tmp_path / "elsewhere"


def test_delete_files_takes_only_what_was_downloaded(rodin: Rodin, saved: Callable[..., str]) -> None:
    task_id = saved()
    folder = Path(rodin.item(task_id).folder)
    (folder / "mine.blend").write_bytes(b"the user's own")
    assert rodin.session.files.bytes_saved == sum(path.stat().st_size for path in folder.iterdir()) - 14
    bpy.ops.rodin.import_model(task_id=task_id)
    bpy.ops.rodin.delete_files(task_id=task_id)
    rodin.until(lambda: not rodin.item(task_id).downloaded, "they are deleted")
    assert [path.name for path in folder.iterdir()] == ["mine.blend"]
    assert rodin.session.files.bytes_saved == 0
    with pytest.raises(RuntimeError, match="no files"):
        bpy.ops.rodin.delete_files(task_id=task_id)
    images = [image for image in bpy.data.images if image.source == "FILE"]
    assert images and all(image.packed_file for image in images), "the model in the scene keeps its textures"


def test_a_hint_from_a_ceiling_on(rodin: Rodin, saved: Callable[..., str]) -> None:
    over = rodin.module("blender.panels.details").is_over_size_warning
    saved()
    assert not over()
    rodin.preferences.storage_hint = 1e-6
    try:
        assert over()
    finally:
        rodin.preferences.storage_hint = 5.0


def test_what_there_is_of_a_task_that_goes_on(rodin: Rodin, service: Service) -> None:
    task_id = rodin.track(service.add("waiting", prompt="A glazed vase"))
    rodin.until(lambda: rodin.item(task_id).status == "WAITING", "it is asked about")
    bpy.ops.rodin.hand_off(task_id=task_id)
    rodin.until(lambda: rodin.session.tasks[task_id].files, "what there is is saved")
    rodin.until(lambda: task_id not in rodin.session.files.downloads, "it has ended")
    assert not rodin.item(task_id).downloaded, "more may come"
    assert len(bpy.data.collections) == 0


def test_a_failed_task_has_nothing_to_download(rodin: Rodin, service: Service) -> None:
    task_id = rodin.track(service.add([[[0, "Failed"]]], prompt="A teapot"))
    rodin.until(lambda: rodin.item(task_id).status == "FAILED", "it has failed")
    with pytest.raises(RuntimeError, match="'A teapot' failed, so there is nothing to download"):
        bpy.ops.rodin.hand_off(task_id=task_id)


def test_previews_are_freed(rodin: Rodin, saved: Callable[..., str]) -> None:
    previews = rodin.app.previews
    task_id = saved()
    # Without a window, icons have no numbers.
    rodin.until(lambda: len(previews._collection) == 1, "the picture is there")
    bpy.ops.rodin.delete_files(task_id=task_id)
    rodin.until(lambda: len(previews._collection) == 0, "it is gone")
    assert previews._loaded == {}


def test_the_studios_operator_gets_what_it_takes(rodin: Rodin, done: Callable[..., str]) -> None:
    called = []

    class STUDIO_OT_take(bpy.types.Operator):
        bl_idname = "studio.take"
        bl_label = "Take"
        task_id: bpy.props.StringProperty()

        def execute(self, context):
            called.append(self.task_id)
            return {"FINISHED"}

    bpy.utils.register_class(STUDIO_OT_take)
    rodin.preferences.hand_off_operator = "studio.take"
    rodin.preferences.download_when_done = True
    try:
        task_id = done()
        rodin.until(lambda: called, "it is called by itself")
        assert called == [task_id]
    finally:
        rodin.preferences.download_when_done = False
        bpy.utils.unregister_class(STUDIO_OT_take)
