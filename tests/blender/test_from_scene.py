"""Make This, variations, and what becomes of the words in the form, in every Blender, on a real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import Rodin, Service
from mathutils import Quaternion, Vector
from test_blockouts import UNITS, block, check_fits, points_of, stand, ten_boxes
from test_generate import DONE, png


@pytest.fixture(autouse=True)
def _empty_file(rodin: Rodin, service: Service) -> Iterator[None]:
    service.account(balance=100.0, story=DONE)
    for option in rodin.module("tasks.options").OPTIONS:
        rodin.preferences.property_unset(f"generate_{option}")
    bpy.ops.wm.read_homefile(use_empty=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


def select(*items: bpy.types.Object) -> None:
    bpy.context.view_layer.update()
    for item in bpy.context.scene.objects:
        item.select_set(item in items)
    bpy.context.view_layer.objects.active = items[0]


def make_this(rodin: Rodin, *items: bpy.types.Object, prompt: str = "{name}") -> list[str]:
    """Press it with these selected; the ids of the new tasks in the order of the objects' names."""
    select(*items)
    known = {task.task_id for task in rodin.view.tasks}
    assert bpy.ops.rodin.generate_from_selected(prompt=prompt) == {"FINISHED"}
    rodin.until(lambda: len(rodin.view.tasks) == len(known) + len(items), "all are in the list")
    rodin.until(lambda: not {item.status for item in rodin.view.tasks} & {"UNSENT", "SENDING", "UNKNOWN"}, "all are sent")
    return [task_id for task_id in reversed([item.task_id for item in rodin.view.tasks]) if task_id not in known]


def task_of(rodin: Rodin, prompt: str) -> Any:
    return next(task for task in rodin.session.tasks.values() if task.prompt == prompt)


def bring(rodin: Rodin, task_id: str) -> bpy.types.Collection:
    """Press Download; the model's collection."""
    rodin.until(lambda: rodin.item(task_id) and rodin.item(task_id).status == "DONE", "it is done")
    uuid = rodin.item(task_id).task_uuid
    assert bpy.ops.rodin.hand_off(task_id=task_id) == {"FINISHED"}

    def found() -> list[bpy.types.Collection]:
        return [item for item in bpy.data.collections if item.get("rodin_task_uuid") == uuid]

    rodin.until(found, "the model is in the scene")
    return found()[0]


@pytest.mark.parametrize("meters", UNITS)
def test_ten_blockouts_become_ten_models_in_their_boxes(rodin: Rodin, service: Service, meters: float) -> None:
    bpy.context.scene.unit_settings.scale_length = meters
    items = ten_boxes()
    items[0].name = "Tall.001"
    make_this(rodin, *items, prompt="{name}, made of brass")
    sent = {submission["prompt"]: dict(submission["fields"]) for submission in service.submissions()}
    assert len(sent) == 10 and all(not submission["outcome"] for submission in service.submissions())
    assert json.loads(sent["Tall, made of brass"]["bbox_condition"]) == [20, 100, 15], "x, up, depth"
    assert json.loads(sent["Flat, made of brass"]["bbox_condition"]) == [100, 3, 56]
    assert json.loads(sent["Nested, made of brass"]["bbox_condition"]) == [22, 44, 100]
    for item in items:
        task = task_of(rodin, f"{item.name.removesuffix('.001')}, made of brass")
        turn = Quaternion(task.placement.box.turn)
        corners = points_of([item])
        model = bring(rodin, task.task_id)
        assert item.hide_get() and item.hide_render, "hidden and not deleted"
        assert corners
        item.hide_set(False)
        bpy.context.view_layer.update()
        check_fits(list(model.objects), item, turn)
        item.hide_set(True)


def test_one_undo_takes_the_model_and_brings_the_blockout_back(rodin: Rodin) -> None:
    chair = block("Chair", (0.5, 0.5, 1.0))
    (task_id,) = make_this(rodin, chair)
    bpy.ops.ed.undo_push(message="Before")
    bring(rodin, task_id)
    assert bpy.data.objects["Chair.001" if "Chair.001" in bpy.data.objects else "Chair"]
    (hidden,) = [item for item in bpy.data.objects if "rodin_blockout_of" in item]
    assert hidden.hide_get()
    bpy.ops.ed.undo()
    (back,) = bpy.data.objects
    assert not back.hide_get() and not back.hide_render and not bpy.data.collections


def test_the_model_goes_where_its_blockout_is_now(rodin: Rodin) -> None:
    moved, renamed, deleted = (block(name, (1.0, 0.5, 0.25)) for name in ("Moved", "Renamed", "Deleted"))
    for number, item in enumerate((moved, renamed, deleted)):
        stand(item, (2.0 * number, 0.0, 0.0))
    make_this(rodin, moved, renamed, deleted)
    copy = moved.copy()
    bpy.context.scene.collection.objects.link(copy)
    stand(moved, (0.0, 7.0, 0.0), (0.0, 0.0, 50.0), (1.0, 2.0, 3.0))
    renamed.name = "Something"
    bpy.data.objects.remove(deleted)
    bpy.context.view_layer.update()
    for item, prompt in ((moved, "Moved"), (renamed, "Renamed")):
        expected = points_of([item])
        model = bring(rodin, task_of(rodin, prompt).task_id)
        middle = sum(expected, Vector()) / len(expected)
        found = points_of(list(model.objects))
        assert (sum((Vector(map(f, zip(*found, strict=True))) for f in (min, max)), Vector()) / 2 - middle).length < 0.01
        assert item.hide_get() and not copy.hide_get()
    model = bring(rodin, task_of(rodin, "Deleted").task_id)
    found = points_of(list(model.objects))
    low, high = (Vector(map(f, zip(*found, strict=True))) for f in (min, max))
    assert tuple(low) == pytest.approx((3.5, -0.25, -0.125), abs=0.01), "where it was"
    assert tuple(high) == pytest.approx((4.5, 0.25, 0.125), abs=0.01)


def test_a_blockout_is_found_after_the_file_was_opened_again_and_not_from_another(rodin: Rodin, tmp_path: Path) -> None:
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    chair, table = block("Chair", (0.5, 0.5, 1.0)), block("Table", (2.0, 1.0, 0.75))
    make_this(rodin, chair, table)
    chair.name = "Seat"
    stand(chair, (5.0, 0.0, 0.0))
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    rodin.preferences.import_when_done = True
    try:
        rodin.until_idle()
        assert not bpy.data.collections, "in another file it waits for a press"
    finally:
        rodin.preferences.import_when_done = False
    bpy.context.scene.cursor.location = (0.0, 3.0, 0.0)
    model = bring(rodin, task_of(rodin, "Table").task_id)
    assert tuple(model.instance_offset) == (0.0, 3.0, 0.0), "at the cursor, as any other"
    bpy.ops.wm.open_mainfile(filepath=path)
    model = bring(rodin, task_of(rodin, "Chair").task_id)
    assert bpy.data.objects["Seat"].hide_get()
    assert tuple(model.instance_offset) == pytest.approx((5.0, 0.0, -0.5), abs=1e-5)


def test_a_second_model_of_a_hidden_blockout_fills_its_box_too(rodin: Rodin) -> None:
    chair = stand(block("Chair", (0.5, 0.4, 1.0)), (1.0, 2.0, 3.0), (0.0, 0.0, 20.0))
    (first,) = make_this(rodin, chair)
    bring(rodin, first)
    chair.location.x += 4.0
    assert bpy.ops.rodin.import_model(task_id=first) == {"FINISHED"}
    model = bpy.context.object.users_collection[0]
    chair.hide_set(False)
    bpy.context.view_layer.update()
    check_fits(list(model.objects), chair, Quaternion(rodin.session.tasks[first].placement.box.turn))


def test_what_cannot_be_made_is_refused_at_the_press(rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = bpy.ops.rodin.generate_from_selected
    with pytest.raises(RuntimeError, match="Select a rough object first"):
        operator()
    good, empty = block("Good", (1.0, 1.0, 1.0)), bpy.data.objects.new("Bare", bpy.data.meshes.new("Bare"))
    bpy.context.scene.collection.objects.link(empty)
    select(good, empty)
    with pytest.raises(RuntimeError, match="'Bare' has no size"):
        operator()
    select(good)
    with pytest.raises(RuntimeError, match="Say what you want to make"):
        operator(prompt=" ")
    monkeypatch.setenv("RODIN_MAX_CREDITS_PER_TASK", "0.1")
    with pytest.raises(RuntimeError, match=r"at most 0\.1"):
        operator()
    monkeypatch.delenv("RODIN_MAX_CREDITS_PER_TASK")
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="leave the mode first"):
        operator()
    bpy.ops.object.mode_set(mode="OBJECT")
    rodin.until_idle()
    assert service.submissions() == [] and not rodin.view.tasks
    assert not any("rodin_blockout_of" in item for item in bpy.data.objects)


def test_the_pictures_of_the_form_go_along_once(rodin: Rodin, service: Service, tmp_path: Path) -> None:
    form = rodin.view.form
    form.images.add().path = str(png(tmp_path / "vase.png"))
    form.prompt = "A chair"
    make_this(rodin, block("Vase", (1.0, 1.0, 2.0)), prompt="A vase")
    (sent,) = service.submissions()
    assert len(sent["pictures"]) == 1 and len(form.images) == 0
    assert form.prompt == "A chair", "other words stay"
    make_this(rodin, bpy.data.objects["Vase"], prompt="A chair")
    assert form.prompt == ""


def test_the_studio_s_limit_of_parallel_tasks_holds_for_all(rodin: Rodin, service: Service) -> None:
    service.account(parallel=1, story=[[[0, "Generating"], [3, "Done"]]])
    items = [block(f"Box {number}", (1.0, 1.0, 1.0)) for number in range(2)]
    select(*items)
    bpy.ops.rodin.generate_from_selected()
    rodin.until(lambda: sorted(item.status for item in rodin.view.tasks) == ["DONE", "UNSENT"], "one waits for the other")
    outcomes = [sent["outcome"] for sent in service.submissions()]
    assert outcomes.count("") == 1


# An image.


def test_a_model_is_made_of_an_image_that_is_open(rodin: Rodin, service: Service) -> None:
    bpy.context.scene.cursor.location = (1.0, 2.0, 0.0)
    rodin.view.form.prompt = "What I am thinking about"
    painted = bpy.data.images.new("A painted vase", 600, 512)
    painted.pixels[:4] = (1.0, 0.5, 0.0, 1.0)
    with pytest.raises(RuntimeError, match="in the Image Editor first"):
        bpy.ops.rodin.generate_from_image()
    with pytest.raises(RuntimeError, match="No image 'Another' is open"):
        bpy.ops.rodin.generate_from_image(image="Another")
    with pytest.raises(RuntimeError, match="characters"):
        bpy.ops.rodin.generate_from_image(image=painted.name, prompt="x" * 1025)
    assert not service.submissions()
    assert bpy.ops.rodin.generate_from_image(image=painted.name, prompt=" In red ") == {"FINISHED"}
    bpy.context.scene.cursor.location = (0.0, 0.0, 0.0)
    rodin.until(lambda: [item.status for item in rodin.view.tasks] == ["DONE"], "it is done")
    (sent,) = service.submissions()
    assert (sent["prompt"], [picture["kind"] for picture in sent["pictures"]]) == ("In red", ["image/png"])
    assert tuple(bring(rodin, rodin.view.tasks[0].task_id).instance_offset) == (1.0, 2.0, 0.0)
    assert rodin.view.form.prompt == "What I am thinking about", "the form is another matter"

    empty = bpy.data.images.new("Too small", 64, 64)
    bpy.ops.rodin.generate_from_image(image=empty.name)
    rodin.until(lambda: "512" in rodin.session.news.notice, "what is wrong with it is told")
    assert len(service.submissions()) == 1 and len(rodin.view.tasks) == 1


def test_a_picture_of_the_viewport_needs_a_window(rodin: Rodin) -> None:
    with pytest.raises(RuntimeError, match="needs Blender's window"):
        bpy.ops.rodin.add_viewport()


# Variations.


def test_variations_stand_side_by_side_until_one_is_kept(rodin: Rodin, service: Service) -> None:
    bpy.context.scene.cursor.location = (1.0, 2.0, 0.0)
    bpy.ops.rodin.generate(prompt="A vase")
    rodin.until(lambda: [item.status for item in rodin.view.tasks] == ["DONE"], "it is done")
    first = rodin.view.tasks[0].task_id
    bpy.context.scene.cursor.location = (0.0, 0.0, 0.0)
    assert bpy.ops.rodin.variations(task_id=first, count=2) == {"FINISHED"}
    rodin.until(lambda: [item.status for item in rodin.view.tasks] == ["DONE"] * 3, "all are done")
    others = [item.task_id for item in rodin.view.tasks if item.task_id != first]
    assert {rodin.session.tasks[other].parent for other in others} == {first}
    assert sorted(item.name for item in rodin.view.tasks) == ["A vase", "A vase 2", "A vase 3"]
    sent = [dict(submission["fields"]) for submission in service.submissions()]
    assert len({fields.get("seed") for fields in sent}) == 3 and {fields["prompt"] for fields in sent} == {"A vase"}
    models = [bring(rodin, task_id) for task_id in (first, *others)]
    assert tuple(models[0].instance_offset) == (1.0, 2.0, 0.0)
    sides = []
    for model in models:
        points = points_of(list(model.objects))
        sides.append((min(p.x for p in points), max(p.x for p in points)))
        assert model.instance_offset.y == 2.0
    assert sides[0][1] < sides[1][0] < sides[1][1] < sides[2][0], "side by side, along X"
    assert sides[2][0] - sides[1][1] < sides[0][1] - sides[0][0], "not far apart"
    cube = block("Mine", (1.0, 1.0, 1.0))
    bpy.ops.ed.undo_push(message="Before")
    assert bpy.ops.rodin.keep_this_one(task_id=others[0]) == {"FINISHED"}
    (left,) = bpy.data.collections
    assert left["rodin_task_uuid"] == rodin.item(others[0]).task_uuid
    assert tuple(left.instance_offset) == pytest.approx((1.0, 2.0, 0.0)), "it comes to where it was wished"
    assert cube.name in bpy.context.scene.objects and len(rodin.view.tasks) == 3
    with pytest.raises(RuntimeError, match="No other variation"):
        bpy.ops.rodin.keep_this_one(task_id=others[0])


def test_one_undo_brings_removed_variations_back(rodin: Rodin) -> None:
    bpy.ops.rodin.generate(prompt="A vase")
    rodin.until(lambda: [item.status for item in rodin.view.tasks] == ["DONE"], "it is done")
    first = rodin.view.tasks[0].task_id
    bpy.ops.rodin.variations(task_id=first, count=1)
    rodin.until(lambda: [item.status for item in rodin.view.tasks] == ["DONE"] * 2, "all are done")
    for item in [*rodin.view.tasks]:
        bring(rodin, item.task_id)
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.rodin.keep_this_one("EXEC_DEFAULT", True, task_id=first)
    assert len(bpy.data.collections) == 1
    bpy.ops.ed.undo()
    assert len(bpy.data.collections) == 2


def test_variations_of_a_blockout_have_its_proportions(rodin: Rodin, service: Service) -> None:
    chair = stand(block("Chair", (0.5, 0.4, 1.0)), (1.0, 2.0, 3.0))
    (first,) = make_this(rodin, chair)
    bring(rodin, first)
    bpy.ops.rodin.variations(task_id=first, count=1)
    rodin.until(lambda: len(rodin.view.tasks) == 2 and rodin.view.tasks[0].status == "DONE", "it is done")
    variation = rodin.view.tasks[0].task_id
    assert [dict(sent["fields"])["bbox_condition"] for sent in service.submissions()] == ["[50, 100, 40]"] * 2
    model = bring(rodin, variation)
    points = points_of(list(model.objects))
    assert min(p.x for p in points) > 1.25
    bpy.ops.rodin.keep_this_one(task_id=variation)
    chair.hide_set(False)
    bpy.context.view_layer.update()
    check_fits(list(bpy.data.collections[model.name].objects), chair, Quaternion())


# Again, and words that are not lost.


@pytest.mark.parametrize("end", ["REJECTED", "FAILED"])
def test_again_of_a_blockout_is_made_in_its_place(rodin: Rodin, service: Service, end: str) -> None:
    chair = stand(block("Chair", (0.5, 0.4, 1.0)), (1.0, 2.0, 3.0))
    if end == "REJECTED":
        service.fail("rodin", "refused-insufficient-fund")
    else:
        service.account(story=[[[0, "Failed"]]])
    (first,) = make_this(rodin, chair)
    rodin.until(lambda: rodin.item(first).status == end, end)
    service.account(story=DONE)
    bpy.ops.rodin.again(task_id=first)
    assert rodin.view.form.prompt == "Chair"
    chair.name = "Seat"
    assert bpy.ops.rodin.generate() == {"FINISHED"}
    rodin.until(lambda: len(rodin.view.tasks) == 2 and rodin.view.tasks[0].status == "DONE", "it is done")
    second = rodin.view.tasks[0].task_id
    assert dict(service.submissions()[-1]["fields"])["bbox_condition"] == "[50, 100, 40]"
    model = bring(rodin, second)
    assert chair.hide_get()
    chair.hide_set(False)
    bpy.context.view_layer.update()
    check_fits(list(model.objects), chair, Quaternion())
    assert not rodin.session.form.in_place_of, "the next one is one of its own"


def test_words_that_the_form_has_no_room_for_are_not_lost(rodin: Rodin, service: Service, tmp_path: Path) -> None:
    form, held = rodin.view.form, rodin.session.form
    small = str(png(tmp_path / "small.png", side=100))
    form.prompt = "A vase"
    form.images.add().path = small
    bpy.ops.rodin.generate()
    form.prompt = "A chair"
    rodin.until(lambda: "too small" in rodin.session.news.notice, "it is told")
    rodin.until(lambda: held.set_aside == [("A vase", [small])], "it is kept")
    assert form.prompt == "A chair"
    bpy.ops.rodin.take_back(index=0)
    assert (form.prompt, [item.path for item in form.images]) == ("A vase", [small])
    assert held.set_aside == [("A chair", [])]
    bpy.ops.rodin.clear_form()
    bpy.ops.rodin.generate(prompt="A plate")
    rodin.until(lambda: len(rodin.view.tasks) == 1, "it is in the list")
    form.prompt = "A table"
    bpy.ops.rodin.again(task_id=rodin.view.tasks[0].task_id)
    assert form.prompt == "A plate" and ("A table", []) in held.set_aside
    bpy.ops.rodin.take_back(index=0, drop=True)
    assert held.set_aside == [("A table", [])] and form.prompt == "A plate"
    with pytest.raises(RuntimeError, match="Nothing was set aside"):
        bpy.ops.rodin.take_back(index=7)
    # What is still on its way would arrive in the next test.
    rodin.until(lambda: rodin.view.tasks[0].task_uuid, "it is accepted")
