"""What a modeler wishes of an import, and what is done after it: collections, duplicates, joining, textures, a limit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import Rodin, Service, wait_for_no_thread
from mathutils import Vector
from test_commands import environment, run  # noqa: F401
from test_imports import triangles
from test_models import export, heights, wish_import


@pytest.fixture(autouse=True)
def _empty_file(rodin: Rodin) -> Iterator[None]:
    bpy.ops.wm.read_homefile(use_empty=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


@pytest.fixture
def cubes() -> dict[str, bytes]:
    """A model of two parts, each a cube of a meter that stands on the ground."""
    return export("glb", "cubes")


@pytest.fixture
def setting(rodin: Rodin) -> Iterator[Callable[..., None]]:
    """Sets preferences, which are as they were afterwards."""
    changed: list[str] = []

    def change(**values: object) -> None:
        for name, value in values.items():
            changed.append(name)
            setattr(rodin.preferences, name, value)

    yield change
    for name in changed:
        rodin.preferences.property_unset(name)


def meshes(collection: str) -> list[bpy.types.Object]:
    return [item for item in bpy.data.collections[collection].objects if item.type == "MESH"]


# Where it goes.


def test_it_goes_into_the_active_collection_in_one_of_its_own_or_not(
    saved: Callable[..., str], cubes: dict[str, bytes], setting: Callable[..., None]
) -> None:
    task_id = saved(cubes)
    props = bpy.data.collections.new("Props")
    bpy.context.scene.collection.children.link(props)
    layer = bpy.context.view_layer
    layer.active_layer_collection = layer.layer_collection.children["Props"]
    bpy.ops.rodin.import_model(task_id=task_id)
    assert props.children.keys() == ["A glazed vase"] and not props.objects
    setting(import_collection="ACTIVE")
    bpy.ops.rodin.import_model(task_id=task_id, linked=False)
    assert len(props.objects) == 3 and props.children.keys() == ["A glazed vase"]
    assert props.instance_offset == Vector() and "rodin_task_uuid" not in props
    # What nobody would see, and what becomes an asset, has a place all the same.
    layer.layer_collection.children["Props"].hide_viewport = True
    bpy.ops.rodin.import_model(task_id=task_id)
    assert len(bpy.context.scene.collection.objects) == 3
    bpy.ops.rodin.import_model(task_id=task_id, as_asset=True)
    assert bpy.data.collections["A glazed vase.001"].asset_data


# Once more.


def test_a_second_import_is_a_linked_duplicate_unless_a_copy_is_wished(
    saved: Callable[..., str], cubes: dict[str, bytes]
) -> None:
    task_id = saved(cubes)
    bpy.context.scene.cursor.location = (0.0, 0.0, 2.0)
    bpy.ops.rodin.import_model(task_id=task_id)
    first = {item.data for item in meshes("A glazed vase")}
    # Wherever the first is by now, and however large.
    root = next(item for item in bpy.data.objects if item.parent is None)
    root.location, root.scale = (9.0, 9.0, 9.0), (2.0, 2.0, 2.0)
    bpy.context.scene.cursor.location = (0.0, 0.0, 5.0)
    count = len(bpy.data.meshes), len(bpy.data.materials)
    bpy.ops.rodin.import_model(task_id=task_id)
    assert {item.data for item in meshes("A glazed vase.001")} == first
    assert (len(bpy.data.meshes), len(bpy.data.materials)) == count
    assert heights(bpy.data.collections["A glazed vase.001"]) == (pytest.approx(5.0), pytest.approx(7.0))
    assert {item.parent for item in meshes("A glazed vase.001")} <= set(bpy.data.collections["A glazed vase.001"].objects)
    bpy.ops.rodin.import_model(task_id=task_id, height=0.5)
    assert {item.data for item in meshes("A glazed vase.002")} == first
    assert heights(bpy.data.collections["A glazed vase.002"]) == (pytest.approx(5.0), pytest.approx(5.5))
    assert heights(bpy.data.collections["A glazed vase"]) == (pytest.approx(9.0), pytest.approx(11.0)), "left alone"
    bpy.ops.rodin.import_model(task_id=task_id, linked=False)
    copies = {item.data for item in meshes("A glazed vase.003")}
    assert not copies & first and heights(bpy.data.collections["A glazed vase.003"])[1] == pytest.approx(6.0)


@pytest.mark.parametrize("change", ["a part is gone", "joined now", "another model", "other content"])
def test_what_would_be_another_model_is_read_from_the_file(
    rodin: Rodin, saved: Callable[..., str], cubes: dict[str, bytes], change: str
) -> None:
    task_id = saved({**cubes, "other.glb": cubes["base.glb"]})
    bpy.ops.rodin.import_model(task_id=task_id, model="base.glb")
    first = {item.data for item in meshes("A glazed vase")}
    how: dict[str, Any] = {"model": "base.glb"}
    if change == "a part is gone":
        bpy.data.objects.remove(meshes("A glazed vase")[0])
    elif change == "joined now":
        how["join"] = True
    elif change == "another model":
        how["model"] = "other.glb"
    else:
        path = Path(rodin.item(task_id).folder) / "base.glb"
        path.write_bytes(triangles())
    bpy.ops.rodin.import_model(task_id=task_id, **how)
    assert not {item.data for item in meshes("A glazed vase.001")} & first
    assert len(meshes("A glazed vase.001")) == (1 if change in ("joined now", "other content") else 2)


def test_a_large_file_is_evaluated_once(rodin: Rodin, saved: Callable[..., str], cubes: dict[str, bytes]) -> None:
    """In a file of 20,000 objects that is nearly all of the time that an import takes, Blender's own, too."""
    task_id = saved(cubes)
    path = Path(rodin.item(task_id).folder) / "base.glb"
    scene, updated = bpy.context.scene, []
    bpy.context.view_layer.update()

    def count(updated_scene: bpy.types.Scene, _graph: object) -> None:
        updated.append(updated_scene.name)

    bpy.app.handlers.depsgraph_update_post.append(count)
    try:
        rodin.module("blender.importing").import_file(str(path), name="A vase", height=1.0, at=(1.0, 2.0, 3.0))
        assert updated.count(scene.name) == 1
        bpy.context.view_layer.update()
        assert updated.count(scene.name) == 1, "nothing is left to be evaluated"
    finally:
        bpy.app.handlers.depsgraph_update_post.remove(count)


# From the task to its objects, and back.


def test_select_objects_and_show_task(rodin: Rodin, saved: Callable[..., str], cubes: dict[str, bytes]) -> None:
    vase, bowl = saved(cubes), saved(cubes, prompt="A bowl")
    with pytest.raises(RuntimeError, match="No object of 'A glazed vase' is in this view layer"):
        bpy.ops.rodin.select_objects(task_id=vase)
    for task_id in (vase, bowl):
        bpy.ops.rodin.import_model(task_id=task_id)
    layer = bpy.context.view_layer
    assert bpy.ops.rodin.select_objects(task_id=vase) == {"FINISHED"}
    assert set(layer.objects.selected) == set(bpy.data.collections["A glazed vase"].objects)
    assert layer.objects.active in meshes("A glazed vase")
    rodin.app.task_list.activate(bowl)
    assert bpy.ops.rodin.show_task() == {"FINISHED"}
    assert rodin.view.tasks[rodin.view.active_index].task_id == vase
    for item in bpy.data.collections["A glazed vase"].objects:
        item.hide_set(True)
    with pytest.raises(RuntimeError, match="are hidden"):
        bpy.ops.rodin.select_objects(task_id=vase)
    bpy.ops.mesh.primitive_cube_add()
    assert not bpy.ops.rodin.show_task.poll(), "a cube of the user's is of no task"
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Object Mode only"):
        bpy.ops.rodin.select_objects(task_id=bowl)


def test_frame_moves_the_view_of_a_3d_viewport_only(saved: Callable[..., str], cubes: dict[str, bytes]) -> None:
    task_id = saved(cubes)
    bpy.ops.rodin.import_model(task_id=task_id)
    assert not bpy.ops.rodin.frame.poll()
    window = bpy.context.window
    area = next((area for area in window.screen.areas if area.type == "VIEW_3D"), None) if window else None
    if area is None:
        pytest.skip("this Blender has no 3D view without a window")
    sidebar = next(region for region in area.regions if region.type == "UI")
    bpy.context.view_layer.objects.active.location.x = 50.0
    bpy.ops.object.select_all(action="DESELECT")
    with bpy.context.temp_override(window=window, area=area, region=sidebar):
        assert bpy.ops.rodin.frame(task_id=task_id) == {"FINISHED"}
    assert area.spaces.active.region_3d.view_location.x > 40.0


# Joined, merged, textures.


def test_parts_are_joined_and_vertices_merged(
    saved: Callable[..., str], cubes: dict[str, bytes], setting: Callable[..., None]
) -> None:
    task_id = saved(cubes)
    bpy.context.scene.unit_settings.scale_length = 0.01
    setting(import_join=True, import_merge_distance=0.001)
    bpy.ops.rodin.import_model(task_id=task_id, height=50.0, location="ORIGIN")
    (whole,) = bpy.data.collections["A glazed vase"].objects
    assert heights(bpy.data.collections["A glazed vase"]) == (pytest.approx(0.0, abs=1e-3), pytest.approx(50.0))
    # A file of glTF has a vertex for each normal at a corner.
    assert (len(whole.data.vertices), len(whole.data.polygons)) == (16, 24)
    assert whole.name == whole.data.name == "A glazed vase" and whole.parent is None
    assert len(bpy.data.meshes) == 1 and len(bpy.data.objects) == 1
    assert len(bpy.context.scene.objects) == 1 and tuple(whole.scale) == (1.0, 1.0, 1.0)
    # The distance is one of the scene, whatever size the file has: a side is of 50 now.
    for distance, merged in ((49.0, False), (51.0, True)):
        bpy.ops.rodin.import_model(task_id=task_id, height=50.0, merge_distance=distance, linked=False)
        (whole,) = bpy.context.selected_objects
        assert (len(whole.data.vertices) < 16) is merged
        bpy.data.collections.remove(whole.users_collection[0])
    bpy.ops.rodin.import_model(task_id=task_id, height=0.01, location="ORIGIN", join=False, merge_distance=0.0)
    assert sum(len(item.data.vertices) for item in meshes("A glazed vase.001")) == 48, "as the file has them"


def test_textures_are_saved_beside_the_blend_file_and_overwrite_none(
    rodin: Rodin, saved: Callable[..., str], setting: Callable[..., None], tmp_path: Path
) -> None:
    setting(import_textures="BESIDE")
    task_id = saved()
    told = rodin.session.news.entries
    bpy.ops.rodin.import_model(task_id=task_id)
    images = [image for image in bpy.data.images if image.source == "FILE"]
    assert images and all(image.packed_file for image in images)
    assert "packed into the .blend file, since that is not saved yet" in told[-1].text
    contents = {bytes(image.packed_file.data) for image in images}
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    rodin.until(lambda: rodin.item(task_id), "the list is shown again")
    folder = tmp_path / "textures"
    for _turn in range(2):
        bpy.ops.rodin.import_model(task_id=task_id, linked=False)
        rodin.until_idle()
        wait_for_no_thread()
        images = [image for image in bpy.data.images if image.source == "FILE"]
        assert not any(image.packed_file for image in images)
        assert all(image.filepath.startswith("//textures") for image in images)
        assert all(image.size[0] for image in images), "they can be read"
        assert {path.read_bytes() for path in folder.iterdir()} == contents, "the same files serve"
        count = len(list(folder.iterdir()))
    # Another file of that name is the user's.
    theirs = sorted(folder.iterdir())[0]
    theirs.write_bytes(b"mine")
    bpy.ops.rodin.import_model(task_id=task_id, linked=False)
    rodin.until_idle()
    wait_for_no_thread()
    assert theirs.read_bytes() == b"mine" and len(list(folder.iterdir())) == count + 1


def test_where_they_cannot_be_saved_textures_stay_packed(
    rodin: Rodin, saved: Callable[..., str], setting: Callable[..., None], tmp_path: Path
) -> None:
    setting(import_textures="BESIDE")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    (tmp_path / "textures").write_text("a file where the folder is to be")
    task_id = saved()
    bpy.ops.rodin.import_model(task_id=task_id)
    rodin.until(lambda: rodin.session.files.troubles, "it is told")
    assert "They are packed into the file" in str(rodin.session.files.troubles[task_id])
    images = [image for image in bpy.data.images if image.source == "FILE"]
    assert images and all(image.packed_file for image in images)


# More triangles than the settings let pass.


def test_a_model_with_too_many_triangles_is_a_question(
    rodin: Rodin, saved: Callable[..., str], cubes: dict[str, bytes], setting: Callable[..., None]
) -> None:
    setting(import_max_triangles=23)
    task_id = saved(cubes)
    wish_import(rodin, task_id, height=3.0)
    rodin.until(lambda: rodin.session.imports.unconfirmed, "it is asked")
    text = str(rodin.module("blender.scene.model_imports").too_large(rodin.session.imports.unconfirmed[task_id]))
    assert "24 triangles, more than the 23" in text and text in rodin.session.news.entries[-1].text
    rodin.until_idle()
    assert not bpy.data.collections
    bpy.ops.rodin.cancel_download(task_id=task_id)
    assert not rodin.session.imports.unconfirmed
    wish_import(rodin, task_id, height=3.0)
    rodin.until(lambda: rodin.session.imports.unconfirmed, "it is asked again")
    rodin.module("blender.scene.model_imports").confirm(task_id)
    rodin.until(lambda: bpy.data.collections, "it is imported")
    assert heights(bpy.data.collections["A glazed vase"])[1] == pytest.approx(3.0), "as it was wished"
    setting(import_max_triangles=24)
    wish_import(rodin, task_id)
    rodin.until(lambda: len(bpy.data.collections) == 2, "as many as are let pass")


def test_an_import_by_itself_waits_for_a_press_then(
    rodin: Rodin, service: Service, cubes: dict[str, bytes], setting: Callable[..., None]
) -> None:
    setting(import_max_triangles=23, import_when_done=True)
    task_id = rodin.track(service.add("one-job", prompt="A vase", files=cubes))
    rodin.until(lambda: rodin.session.imports.unconfirmed, "it waits")
    assert not bpy.data.collections and rodin.item(task_id).downloaded
    rodin.until_idle()
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not rodin.session.imports.unconfirmed and "not yet imported: 'A vase'" in rodin.session.news.notice


def test_the_command_line_refuses_it_and_does_what_the_settings_say(
    environment: dict[str, str], cubes: dict[str, bytes], tmp_path: Path  # noqa: F811
) -> None:
    model, blend = tmp_path / "base.glb", tmp_path / "scene.blend"
    model.write_bytes(cubes["base.glb"])
    environment["RODIN_IMPORT_MAX_TRIANGLES"] = "23"
    code, told, said = run(environment, "import", str(model), "--save", str(blend))
    assert code == 2 and not blend.exists(), said
    assert "'base.glb' has 24 triangles, more than the 23" in told[-1]["text"] and "--max-triangles 24" in told[-1]["text"]
    words = ["--max-triangles", "24", "--join", "--merge-distance", "0.001", "--textures", "beside"]
    code, told, said = run(environment, "import", str(model), "--save", str(blend), *words)
    assert code == 0, said
    with bpy.data.libraries.load(str(blend)) as (there, wanted):
        wanted.meshes = there.meshes
    (mesh,) = wanted.meshes
    assert len(mesh.vertices) == 16


def test_the_command_line_saves_textures_beside(
    service: Service, environment: dict[str, str], tmp_path: Path  # noqa: F811
) -> None:
    answer = service.add("one-job", prompt="A glazed vase")
    code, _told, said = run(environment, "wait", "-", given=json.dumps(answer))
    assert code == 0, said
    blend = tmp_path / "show" / "vase.blend"
    blend.parent.mkdir()
    words = ["A glazed vase", "--save", str(blend), "--textures", "beside"]
    code, _told, said = run(environment, "import", *words)
    assert code == 0, said
    assert list((tmp_path / "show" / "textures").iterdir())
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    images = [image for image in bpy.data.images if image.source == "FILE"]
    assert images and not any(image.packed_file for image in images)
    assert all(image.filepath.startswith("//textures") and image.size[0] for image in images)
