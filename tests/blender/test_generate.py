"""The form and what becomes of what is generated from it, in every Blender, on a real service."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import bpy
import pytest
from conftest import Rodin, Service, wait_for_no_thread

DONE = [[[0, "Done"]]]


def png(path: Path, side: int = 512, shade: int = 90) -> Path:
    """A small file of a gray picture."""
    rows = (b"\0" + bytes([shade]) * side) * side
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
            for name, content in parts
        )
    )
    return path


@pytest.fixture
def form(rodin: Rodin, service: Service):
    service.account(story=DONE)
    for option in rodin.module("tasks.options").OPTIONS:
        rodin.preferences.property_unset(f"generate_{option}")
    rodin.view.form.images.clear()
    rodin.view.form.prompt = ""
    return rodin.view.form


def the_task(rodin: Rodin):
    rodin.until(lambda: len(rodin.view.tasks) == 1, "the task is in the list")
    return rodin.session.tasks[rodin.view.tasks[0].task_id]


def status(rodin: Rodin, wanted: str) -> str:
    """Wait for the one task to be there; its id."""
    rodin.until(lambda: [item.status for item in rodin.view.tasks] == [wanted], wanted)
    return str(rodin.view.tasks[0].task_id)


def test_words_and_pictures_become_a_model_in_the_scene(
    rodin: Rodin, service: Service, form, tmp_path: Path
) -> None:
    form.prompt = "A glazed vase"
    for number in range(2):
        form.images.add().path = str(png(tmp_path / f"view {number}.png", shade=50 + number))
    assert [item.path for item in form.images] == [str(tmp_path / f"view {number}.png") for number in range(2)]
    form.material = "Shaded"
    form.seed = 7
    bpy.context.scene.cursor.location = (1.0, 2.0, 3.0)
    submitted = []
    rodin.module("handlers").task_submitted.append(submitted.append)
    try:
        assert bpy.ops.rodin.generate() == {"FINISHED"}
        assert (form.prompt, len(form.images)) == ("", 0), "a second press pays nothing"
        with pytest.raises(RuntimeError, match="Say what you want to make"):
            bpy.ops.rodin.generate()
        bpy.context.scene.cursor.location = (0.0, 0.0, 0.0)
        task_id = status(rodin, "DONE")
        rodin.until(lambda: submitted, "the handler is called")
    finally:
        rodin.module("handlers").task_submitted.clear()
    assert (submitted[0].task_id, submitted[0].credits) == (task_id, 0.5)
    item = rodin.item(task_id)
    assert (item.name, item.prompt) == ("A glazed vase", "A glazed vase")
    (sent,) = service.submissions()
    assert sent["prompt"] == "A glazed vase"
    assert [picture["size"] for picture in sent["pictures"]] == [
        (tmp_path / f"view {number}.png").stat().st_size for number in range(2)
    ]
    assert {("material", "Shaded"), ("seed", "7"), ("tier", "Gen-2.5-Medium")} <= {tuple(f) for f in sent["fields"]}
    rodin.until(lambda: rodin.session.account.balance == 12.0, "the balance is told")
    assert bpy.ops.rodin.hand_off(task_id=task_id) == {"FINISHED"}
    rodin.until(lambda: "A glazed vase" in bpy.data.collections, "the model is in the scene")
    assert tuple(bpy.data.collections["A glazed vase"].instance_offset) == (1.0, 2.0, 3.0)


def test_what_a_script_gives_goes_before_the_form_which_stays(
    rodin: Rodin, service: Service, form, tmp_path: Path
) -> None:
    form.prompt = "A chair"
    picture = png(tmp_path / "vase.png")
    assert bpy.ops.rodin.generate(prompt="A vase", images=f"{picture}\n") == {"FINISHED"}
    status(rodin, "DONE")
    (sent,) = service.submissions()
    assert (sent["prompt"], [p["name"] for p in sent["pictures"]]) == ("A vase", ["1.png"])
    assert form.prompt == "A chair"


@pytest.mark.parametrize(
    ("prompt", "images", "words"),
    [
        ("", "", "Say what you want to make"),
        ("x" * 1025, "", "1,025 characters"),
        ("A vase", "\n".join(f"/tmp/{number}.png" for number in range(6)), "6 pictures"),
        ("A vase", "vase.png", "no whole path"),
        ("A vase", "/tmp/vase.exr", "none of the pictures"),
    ],
    ids=["empty", "long", "many", "relative", "another kind"],
)
def test_what_cannot_be_is_refused_at_the_press(
    rodin: Rodin, service: Service, form, prompt: str, images: str, words: str
) -> None:
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.rodin.generate(prompt=prompt, images=images)
    rodin.until_idle()
    assert service.submissions() == [] and not rodin.view.tasks


def test_a_picture_that_cannot_be_brings_the_form_back(rodin: Rodin, service: Service, form, tmp_path: Path) -> None:
    form.prompt = "A vase"
    form.images.add().path = str(png(tmp_path / "small.png", side=100))
    bpy.ops.rodin.generate()
    rodin.until(lambda: "too small" in rodin.session.news.notice, "it is told")
    rodin.until(lambda: form.prompt == "A vase", "the form is as it was")
    assert [item.path for item in form.images] == [str(tmp_path / "small.png")]
    assert service.submissions() == [] and not rodin.view.tasks


def test_nothing_can_be_generated_offline_or_without_a_key_or_leave(
    rodin: Rodin, form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RODIN_ALLOW_GENERATION", "false")
    with pytest.raises(RuntimeError, match="switched off by the environment variable RODIN_ALLOW_GENERATION"):
        bpy.ops.rodin.generate(prompt="A vase")
    monkeypatch.delenv("RODIN_ALLOW_GENERATION")
    monkeypatch.setenv("RODIN_API_KEY", "")
    with pytest.raises(RuntimeError, match="API key"):
        bpy.ops.rodin.generate(prompt="A vase")
    monkeypatch.setenv("RODIN_API_URL", "https://rodin.invalid/api/v2")
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="not allowed to go online"):
        bpy.ops.rodin.generate(prompt="A vase")


def test_a_limit_of_credits_holds(rodin: Rodin, service: Service, form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RODIN_MAX_CREDITS_PER_TASK", "1")
    form.high_pack = True
    with pytest.raises(RuntimeError, match="at most 1 are allowed"):
        bpy.ops.rodin.generate(prompt="A vase")
    form.high_pack = False
    bpy.ops.rodin.generate(prompt="A vase")
    status(rodin, "DONE")
    assert len(service.submissions()) == 1


def test_options_are_settings_that_a_studio_can_fix(rodin: Rodin, form, monkeypatch: pytest.MonkeyPatch) -> None:
    form.material = "Shaded"
    assert rodin.preferences.generate_material == "Shaded"
    monkeypatch.setenv("RODIN_GENERATE_MATERIAL", "All")
    monkeypatch.setenv("RODIN_GENERATE_FACES", "30000")
    assert (form.material, form.faces) == ("All", 30_000)
    form.material = "PBR"
    assert (form.material, rodin.preferences.generate_material) == ("All", "Shaded")
    assert form.texture_mode == "AUTOMATIC"
    form.texture_mode = "high"
    assert rodin.app.settings.value("generate_texture_mode") == "high"
    bpy.ops.rodin.reset_options()
    assert (form.texture_mode, form.material) == ("AUTOMATIC", "All")


def test_each_option_of_the_table_is_in_the_form_and_in_the_preferences(rodin: Rodin, form) -> None:
    options = rodin.module("tasks.options")
    names = set(options.OPTIONS)
    assert names <= set(form.bl_rna.properties.keys())
    assert {f"generate_{name}" for name in names} <= set(rodin.preferences.bl_rna.properties.keys())
    assert rodin.module("blender.properties.form").all_chosen() == options.defaults()
    for name, option in options.OPTIONS.items():
        rodin.preferences.generate_tier = "Gen-2.5-Medium" if option.takes("Gen-2.5-Medium", "Raw") else "Regular"
        for choice in option.choices:
            setattr(form, name, choice or "AUTOMATIC")
            assert getattr(form, name) == (choice or "AUTOMATIC")
        rodin.preferences.property_unset(f"generate_{name}")


def test_what_the_tier_does_not_take_is_neither_shown_nor_sent(rodin: Rodin, service: Service, form) -> None:
    module, table = rodin.module("blender.properties.form"), rodin.module("tasks.options").OPTIONS
    form.geometry_instruct_mode = "creative"
    form.faces = 5
    assert form.faces == 20_000, "the fewest that the tier makes"
    form.file_format = "usdz"
    form.tier = "Sketch"
    assert not module.offered(table["geometry_instruct_mode"]) and not module.offered(table["file_format"])
    assert form.file_format == "glb"
    bpy.ops.rodin.generate(prompt="A vase")
    status(rodin, "DONE")
    (sent,) = service.submissions()
    assert "geometry_instruct_mode" not in dict(sent["fields"])
    form.tier = "Gen-2.5-Medium"
    assert (form.file_format, form.geometry_instruct_mode) == ("usdz", "creative"), "it is as it was"


def test_what_a_script_puts_into_the_form_is_shown(rodin: Rodin, form) -> None:
    timers, run = bpy.app.timers, rodin.module("blender.timer").run
    for change in (lambda: setattr(form, "prompt", "A vase"), lambda: form.images.add().__setattr__("path", "/a.png")):
        if timers.is_registered(run):
            timers.unregister(run)
        rodin.session.needs_redraw = False
        change()
        assert timers.is_registered(run) and rodin.session.needs_redraw


def test_pictures_are_ordered_and_removed(rodin: Rodin, form, tmp_path: Path) -> None:
    def names() -> list[str]:
        return [Path(item.path).stem for item in form.images]

    files = [{"name": f"{name}.png"} for name in "abc"]
    bpy.ops.rodin.add_pictures(directory=str(tmp_path), files=files)
    bpy.ops.rodin.add_pictures(directory=str(tmp_path), files=files[:1])
    assert names() == ["a", "b", "c"], "none is there twice"
    bpy.ops.rodin.move_picture(index=2)
    assert names() == ["a", "c", "b"]
    bpy.ops.rodin.move_picture(index=0, down=True)
    assert names() == ["c", "a", "b"]
    bpy.ops.rodin.remove_picture(index=1)
    assert names() == ["c", "b"]
    bpy.context.window_manager.clipboard = f"copy\nfile://{tmp_path}/d%20e.jpg\n{tmp_path}/f.webp"
    if bpy.context.window_manager.clipboard:  # In background mode some Blenders have none.
        bpy.ops.rodin.paste_pictures()
        assert names() == ["c", "b", "d e", "f"]
    bpy.ops.rodin.add_pictures(directory=str(tmp_path), files=[{"name": f"{number}.png"} for number in range(5)])
    assert len(form.images) == 5, "the service takes no more"
    bpy.ops.rodin.clear_form()
    assert names() == []


def test_the_form_outlives_opening_another_file_and_is_not_saved_with_it(
    rodin: Rodin, form, tmp_path: Path
) -> None:
    form.prompt = "A secret prompt"
    form.images.add().path = "/tmp/secret-picture.png"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"), compress=False)
    saved = (tmp_path / "scene.blend").read_bytes()
    assert saved.startswith(b"BLENDER")
    assert b"A secret prompt" not in saved and b"secret-picture" not in saved
    bpy.ops.wm.read_homefile(app_template="")
    now = rodin.view.form
    assert (now.prompt, [item.path for item in now.images]) == ("A secret prompt", ["/tmp/secret-picture.png"])
    now.images.clear()


def test_images_that_are_open_in_blender_are_written_off_the_main_thread(rodin: Rodin, form, tmp_path: Path) -> None:
    painted = bpy.data.images.new("Painted", 512, 512)
    painted.pixels[:4] = (1.0, 0.5, 0.0, 1.0)
    file = bpy.data.images.load(str(png(tmp_path / "file.png")))
    packed = bpy.data.images.load(str(png(tmp_path / "packed.png", shade=10)))
    packed.pack()
    floats = bpy.data.images.new("Floats", 512, 512, float_buffer=True)
    floats.pixels[:4] = (0.2140411, 2.0, 0.0, 1.0)
    try:
        for number, image in enumerate((painted, file, packed, floats), 1):
            bpy.ops.rodin.add_open_image(image=image.name)
            rodin.until(lambda number=number: len(form.images) == number, "it is in the form")
        paths = [Path(item.path) for item in form.images]
        assert paths[1] == tmp_path / "file.png"
        assert paths[2].read_bytes() == (tmp_path / "packed.png").read_bytes()
        for path, color in ((paths[0], (255, 128, 0, 255)), (paths[3], (127, 255, 0, 255))):
            back = bpy.data.images.load(str(path))
            assert tuple(back.size) == (512, 512)
            assert [round(value * 255) for value in back.pixels[:4]] == pytest.approx(color, abs=1)
            bpy.data.images.remove(back)
        with pytest.raises(RuntimeError, match="is open"):
            bpy.ops.rodin.add_open_image(image="No such image")
    finally:
        for image in (painted, file, packed, floats):
            bpy.data.images.remove(image)


def test_a_render_is_taken_as_it_is_seen_and_the_scene_keeps_its_settings(rodin: Rodin, form) -> None:
    scene = bpy.context.scene
    render = scene.render
    engine = render.engine
    try:
        render.engine = "CYCLES"
    except TypeError:
        pytest.skip("this Blender has no renderer that needs no window")
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    render.resolution_x = render.resolution_y = 512
    render.resolution_percentage = 100
    render.image_settings.file_format, render.image_settings.color_depth = "OPEN_EXR", "16"
    with pytest.raises(RuntimeError, match=r"no render yet|No image"):
        bpy.ops.rodin.add_open_image(image="Render Result")
    if scene.camera is None:
        scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(scene.camera)
    try:
        bpy.ops.render.render()
        bpy.ops.rodin.add_open_image(image="Render Result")
        assert (render.image_settings.file_format, render.image_settings.color_depth) == ("OPEN_EXR", "16")
        (path,) = (Path(item.path) for item in form.images)
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG") and struct.unpack(">II", content[16:24]) == (512, 512)
    finally:
        render.engine = engine
        render.image_settings.file_format = "PNG"


def test_rejected_is_told_and_again_fills_the_form(rodin: Rodin, service: Service, form, tmp_path: Path) -> None:
    service.fail("rodin", "refused-insufficient-fund")
    rejected = []
    rodin.module("handlers").task_rejected.append(rejected.append)
    form.prompt = "A vase"
    form.images.add().path = str(png(tmp_path / "vase.png"))
    form.material = "Shaded"
    try:
        bpy.ops.rodin.generate()
        task_id = status(rodin, "REJECTED")
        rodin.until(lambda: rejected, "the handler is called")
    finally:
        rodin.module("handlers").task_rejected.clear()
    assert "too few credits" in rodin.item(task_id).message
    (tmp_path / "vase.png").unlink()
    form.material = "PBR"
    bpy.ops.rodin.again(task_id=task_id)
    assert (form.prompt, form.material, len(form.images)) == ("A vase", "Shaded", 1)
    assert bpy.ops.rodin.discard.poll()
    bpy.ops.rodin.generate()
    rodin.until(lambda: len(rodin.view.tasks) == 2 and rodin.view.tasks[0].status == "DONE", "sent anew")
    bpy.ops.rodin.discard(task_id=task_id)
    rodin.until(lambda: rodin.item(task_id) is None, "it is gone")
    with pytest.raises(RuntimeError, match="was accepted"):
        bpy.ops.rodin.discard(task_id=rodin.view.tasks[0].task_id)


def test_uncertain_is_sent_again_by_the_user_only(rodin: Rodin, service: Service, form) -> None:
    service.fail("rodin", "taken-and-reset")
    bpy.ops.rodin.generate(prompt="A vase")
    task_id = status(rodin, "UNCERTAIN")
    rodin.until_idle()
    before = len(service.submissions())
    assert "may have been charged" in rodin.item(task_id).message
    for name in ("check_now", "resume", "hand_off", "download"):
        with pytest.raises(RuntimeError, match="has not said that it accepted"):
            getattr(bpy.ops.rodin, name)(task_id=task_id)
    bpy.ops.rodin.send_again(task_id=task_id)
    rodin.until(lambda: any(item.status == "DONE" for item in rodin.view.tasks), "it is sent again")
    assert len(service.submissions()) == before + 1


def test_uncertain_goes_on_by_the_answer(rodin: Rodin, service: Service, form) -> None:
    service.fail("rodin", "taken-and-reset")
    bpy.ops.rodin.generate(prompt="A vase")
    task_id = status(rodin, "UNCERTAIN")
    answer = service.add(DONE, prompt="A vase")
    rodin.app.tracker().settle(task_id, json.dumps(answer).encode())
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is followed")


def test_the_model_waits_for_a_press_when_another_file_is_open(rodin: Rodin, service: Service, form) -> None:
    rodin.preferences.import_when_done = True
    service.account(story=[[[0, "Generating"], [6, "Done"]]])
    try:
        bpy.context.scene.cursor.location = (1.0, 2.0, 3.0)
        bpy.ops.rodin.generate(prompt="A bowl")
        status(rodin, "GENERATING")
        bpy.ops.wm.read_homefile(app_template="")
        task_id = status(rodin, "DONE")
        rodin.until_idle()
        assert "A bowl" not in bpy.data.collections
        bpy.context.scene.cursor.location = (5.0, 0.0, 0.0)
        bpy.ops.rodin.hand_off(task_id=task_id)
        rodin.until(lambda: "A bowl" in bpy.data.collections, "it comes by a press")
        assert tuple(bpy.data.collections["A bowl"].instance_offset) == (5.0, 0.0, 0.0)
    finally:
        rodin.preferences.import_when_done = False


def test_the_model_comes_by_itself_into_the_scene_where_it_was_wished(rodin: Rodin, service: Service, form) -> None:
    rodin.preferences.import_when_done = True
    service.account(story=[[[0, "Generating"], [6, "Done"]]])
    wished = bpy.context.scene
    other = bpy.data.scenes.new("Other")
    try:
        wished.cursor.location = (1.0, 2.0, 3.0)
        bpy.ops.rodin.generate(prompt="A plate")
        if bpy.context.window:
            bpy.context.window.scene = other
        rodin.until(lambda: "A plate" in bpy.data.collections, "the model is there")
        collection = bpy.data.collections["A plate"]
        # In the collection that is active there.
        assert collection in wished.collection.children_recursive and not other.collection.children
        assert tuple(collection.instance_offset) == (1.0, 2.0, 3.0)
        assert len(other.objects) == 0
    finally:
        rodin.preferences.import_when_done = False
        if bpy.context.window:
            bpy.context.window.scene = wished
        bpy.data.scenes.remove(other)


def test_enabling_again_leaves_no_trace_of_the_form(rodin: Rodin, form) -> None:
    form.prompt = "A vase"
    form.images.add().path = "/tmp/a.png"
    rodin.disable()
    assert not hasattr(bpy.types, "RODIN_FH_pictures")
    rodin.enable()
    assert (rodin.view.form.prompt, len(rodin.view.form.images)) == ("", 0)


def test_the_balance_is_asked_once_the_form_is_touched(rodin: Rodin, service: Service) -> None:
    rodin.until_idle()
    assert rodin.session.account.balance is None
    rodin.view.form.prompt = "A vase"
    rodin.until(lambda: rodin.session.account.balance is not None, "the balance is known")


def test_the_timer_does_not_end_before_the_settings_are_known(rodin: Rodin, service: Service) -> None:
    rodin.disable()
    wait_for_no_thread()
    rodin.enable()
    rodin.view.form.prompt = "A vase"
    rodin.until_idle()
    assert rodin.session.account.balance is not None, "it was asked for when that could be"


def test_the_timer_does_not_end_before_what_its_last_call_began(rodin: Rodin) -> None:
    session, threads, outcomes = rodin.session, rodin.app.threads, []
    tracker = rodin.app.tracker()
    while not session.idle:
        session.handle(tracker.messages.get(timeout=30.0))
    # As the import of a model does, which has its textures saved.
    session.pending_calls.append(([lambda _task: threads.run(lambda: "saved", outcomes.append)], None))
    rodin.until_idle()
    assert outcomes == ["saved"]
