"""What a user does in a window. Played by driver.py; the tests in test_window.py say what must come of it.

Places to click are a share of the sidebar's width and pixels below its upper edge, at the interface's default size.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import time

import bpy

KEY_FIELD = (0.3, 78)
"""While the list is empty."""
TRACK = (0.85, 78)
PASTE = (0.5, 98)
LINE = 26
"""How much further down these are below the line that a list has."""
DOWNLOAD = (0.5, 356)
"""With at most four tasks in the list, for one that is Done."""
CANCEL = (0.93, 351)
IMPORT_SETTINGS = (0.3, 412)
DELETE_FILES = (0.77, 531)


def _below_line(place):
    return place[0], place[1] + LINE


def _track(ui, answer):
    bpy.ops.rodin.track(
        subscription_key=answer["jobs"]["subscription_key"], task_uuid=answer["uuid"], name=answer["prompt"]
    )


def _names(ui):
    return [task.name for task in ui.rodin.tasks]


def _select(ui, name):
    ui.rodin.active_index = _names(ui).index(name)
    ui.sidebar.tag_redraw()


def _set_mode(ui, mode):
    with bpy.context.temp_override(window=ui.window, area=ui.area):
        bpy.ops.object.mode_set(mode=mode)


def _scene():
    """What there is in the scene, and how it is selected."""
    return sorted((item.name, item.select_get()) for item in bpy.context.scene.objects)


def _received(ui):
    return sum(progress.received for progress in ui.session.files.downloads.values())


def track_and_download(ui, given):
    """Paste one task, type the key of another, follow both while modeling, press Download."""
    yield from ui.open_sidebar()
    bpy.context.window_manager.clipboard = json.dumps(given["vase"])
    yield from ui.click_sidebar(*PASTE)
    yield (lambda: _names(ui) == ["A glazed vase"]), "the pasted task is in the list"
    yield from ui.click_sidebar(*_below_line(KEY_FIELD))
    yield from ui.type(given["chair"]["jobs"]["subscription_key"])
    yield from ui.press("RET")
    typed = given["chair"]["jobs"]["subscription_key"]
    yield (lambda: ui.session.follow_requests.typed_key.reveal() == typed), "the field holds all that was typed"
    ui.facts["field"] = ui.rodin.typed_key
    yield from ui.click_sidebar(*_below_line(TRACK))
    yield (lambda: _names(ui) == ["Task 1", "A glazed vase"]), "the typed task is in the list, on top"
    yield (lambda: ui.rodin.typed_key == ""), "the field is empty again"
    _select(ui, "A glazed vase")
    yield 1.0
    ui.count_from_here()
    began = time.monotonic()
    yield (lambda: ui.task("A glazed vase").jobs_done >= 4), "four jobs are done"
    yield 0.3
    ui.facts["seconds_followed"] = time.monotonic() - began
    ui.facts["viewport_draws"], ui.facts["sidebar_draws"] = ui.viewport_draws, ui.sidebar_draws
    yield from ui.picture("generating")
    ui.count_from_here()
    yield (lambda: ui.task("A glazed vase").status == "DONE"), "it is done"
    yield 0.5
    ui.facts["viewport_draws"] += ui.viewport_draws
    yield from ui.picture("done")
    yield from ui.click_sidebar(*DOWNLOAD)
    yield (lambda: any(task.folder for task in ui.session.tasks.values())), "its files are saved"
    yield 0.5
    yield (lambda: "A glazed vase" in bpy.data.collections), "the model is in the scene"
    yield 0.5
    ui.leave_sidebar()  # the news waits for the mouse
    yield 0.5
    ui.facts["folder"] = next(task.folder for task in ui.session.tasks.values() if task.folder)
    ui.facts["info"] = yield from ui.info_log()
    bpy.ops.rodin.test_key()
    yield (lambda: ui.session.key_test.result is not None), "the key is tested"
    bpy.ops.preferences.addon_show(module=ui.module("blender.properties.preferences").PACKAGE)
    yield 1.0
    yield from ui.picture("preferences")
    area = bpy.context.window_manager.windows[-1].screen.areas[0]
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1], area=area, region=region):
        for _ in range(200):
            bpy.ops.view2d.scroll_down(deltay=40)
    yield from ui.picture("preferences-of-downloads")


def ask_for_uuid(ui, given):
    """A task tracked by its bare key: Download asks for the uuid, then goes on by itself."""
    yield from ui.open_sidebar()
    bpy.ops.rodin.track(subscription_key=given["vase"]["jobs"]["subscription_key"], name="A glazed vase")
    yield (lambda: ui.task("A glazed vase") and ui.task("A glazed vase").status == "DONE"), "it is done"
    yield 0.5
    yield from ui.click_sidebar(*DOWNLOAD)
    yield from ui.picture("enter-task-uuid")
    yield from ui.type(given["vase"]["uuid"])
    yield from ui.press("RET")
    yield from ui.press("RET")
    yield (lambda: any(task.folder for task in ui.session.tasks.values())), "its files are saved"


def paste_into_the_field(ui, given):
    """Several answers, copied below each other, are pasted into the field, which takes the first line only."""
    yield from ui.open_sidebar()
    bpy.context.window_manager.clipboard = given["text"]
    yield from ui.click_sidebar(*KEY_FIELD)
    yield from ui.press("V", ctrl=True)
    yield from ui.press("RET")
    yield (lambda: bool(ui.session.follow_requests.typed_key)), "the field holds something"
    ui.facts["typed"] = ui.session.follow_requests.typed_key.reveal()
    yield from ui.click_sidebar(*TRACK)
    yield (lambda: sorted(_names(ui)) == given["names"]), "all are in the list"
    yield (lambda: not ui.session.follow_requests.typed_key), "the field is empty again"


def forget_another_in_between(ui, given):
    """Forget asks first; meanwhile another task becomes the active one."""
    yield from ui.open_sidebar()
    for answer in given["tasks"]:
        _track(ui, answer)
    yield (lambda: len(ui.rodin.tasks) == 2), "both are in the list"
    _select(ui, "A chair")
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.rodin.forget("INVOKE_DEFAULT")
    yield 0.5
    _select(ui, "A vase")
    yield from ui.picture("forget")
    yield from ui.press("RET")
    yield (lambda: _names(ui) == ["A vase"]), "the one that was asked about is forgotten"


def forget_and_have_back(ui, given):
    """Forget asks about the files, which stay unless one chooses otherwise; Undo Forget, and Copy Task with Paste."""
    yield from ui.open_sidebar()
    ui.preferences.import_after_download = False
    _track(ui, given["vase"])
    yield (lambda: ui.rodin.tasks and ui.rodin.tasks[0].status == "DONE"), "it is done"
    bpy.ops.rodin.download()
    yield (lambda: ui.rodin.tasks[0].downloaded), "its files are saved"
    folder = pathlib.Path(ui.rodin.tasks[0].folder)
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.rodin.copy_key("INVOKE_DEFAULT")
        bpy.ops.rodin.forget("INVOKE_DEFAULT")
    yield from ui.picture("forget-files")
    yield from ui.press("RET")
    yield (lambda: not ui.rodin.tasks), "it is forgotten"
    ui.facts["files"] = len(list(folder.iterdir()))
    yield from ui.picture("undo-forget")
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.rodin.undo_forget("INVOKE_DEFAULT")
    yield (lambda: _names(ui) == ["A glazed vase"] and ui.rodin.tasks[0].downloaded), "it is back, with its files"
    bpy.ops.rodin.forget(delete_files=True)
    yield (lambda: not ui.rodin.tasks and not folder.exists()), "it is forgotten, and its files are gone"
    yield from ui.click_sidebar(*PASTE)
    yield (lambda: _names(ui) == ["A glazed vase"]), "what was copied brings it back"
    ui.facts["uuid"] = ui.rodin.tasks[0].task_uuid


def each_trouble(ui, given):
    """One task for each thing that goes wrong; what the user reads of it, with a picture."""
    yield from ui.open_sidebar()
    ui.facts["messages"] = {}

    def shown(name, picture):
        _select(ui, name)
        item = ui.task(name)
        ui.facts["messages"][picture] = [item.status, item.message]
        yield from ui.picture(picture)

    for answer in given["tasks"]:
        _track(ui, answer)
    yield (lambda: len(ui.rodin.tasks) == len(given["tasks"])), "all are in the list"
    for answer in given["tasks"]:
        name = answer["prompt"]
        yield (lambda name=name: ui.task(name).message or ui.session.tasks[ui.task(name).task_id].checked_at), name
        if name in ("partly failed", "failed"):
            yield (lambda name=name: ui.task(name).status in ("PARTLY_FAILED", "FAILED")), name
        yield from shown(name, name.replace(" ", "-"))

    stuck = ui.task("unknown word")
    bpy.ops.rodin.pause(task_id=stuck.task_id)
    yield (lambda: "Paused" in ui.task("unknown word").message), "paused"
    yield from shown("unknown word", "paused")

    ui.preferences.deadline = 0.1
    yield (lambda: "not checked any more" in ui.task("stuck").message), "the deadline has passed"
    yield from shown("stuck", "overdue")
    ui.preferences.deadline = 20.0
    bpy.ops.rodin.resume(task_id=ui.task("stuck").task_id)
    yield (lambda: not ui.task("stuck").message), "resumed"

    _track(ui, given["throttled"])
    yield (lambda: ui.task("throttled") and ui.task("throttled").message), "throttled"
    throttled = ui.session.tasks[ui.task("throttled").task_id]
    ui.facts["throttled_clock"] = str(ui.module("blender.panels.details").checked_text(throttled, time.time()))
    yield from shown("throttled", "throttled")
    yield (lambda: not ui.task("throttled").message), "asked again after the pause"

    _track(ui, given["refused"])
    yield (lambda: ui.task("refused") and "API key" in ui.task("refused").message), "the API key is refused"
    yield from shown("refused", "bad-api-key")


def narrow(ui, given):
    """The sidebar at its narrowest, in a large interface."""
    bpy.context.preferences.view.ui_scale = 1.4
    yield from ui.open_sidebar()
    _track(ui, given["astrolabe"])
    yield (lambda: len(ui.rodin.tasks) == 1 and ui.rodin.tasks[0].jobs_total == 3), "it is in the list"
    yield from ui.picture("narrow")


def another_file(ui, given):
    """Another file is opened while a task runs: the list is back and goes on; nothing secret is in a saved file."""
    yield from ui.open_sidebar()
    ui.preferences.api_key = given["api_key"]
    ui.rodin.typed_key = "typed-and-not-tracked-0123456789"
    _track(ui, given["vase"])
    yield (lambda: len(ui.rodin.tasks) == 1), "it is in the list"
    bpy.ops.wm.save_as_mainfile(filepath=given["blend"], compress=False)
    bpy.ops.wm.read_homefile(use_splash=False)
    yield (lambda: _names(ui) == ["A glazed vase"]), "it is in the list again"
    bpy.ops.ed.undo_push(message="something")
    bpy.ops.ed.undo()
    yield (lambda: ui.task("A glazed vase").status == "DONE"), "it went on"
    yield (lambda: not bpy.app.timers.is_registered(ui.module("blender.timer").run)), "the timer ends by itself"
    yield (lambda: not ui.threads()), "no thread is left"


def bad_clipboards(ui, given):
    """Each with a clear sentence, and nothing changed."""
    yield from ui.open_sidebar()
    ui.facts["said"] = []
    for text in [
        "",
        "   \n",
        "x" * 10_000_000,
        "\x01\x02\x03binary",
        '{"jobs": {"uuids": []}}',
        '{"jobs": ',
        given["uuid"],
    ]:
        bpy.context.window_manager.clipboard = text
        yield 0.1
        try:
            bpy.ops.rodin.paste()
            ui.facts["said"].append("")
        except RuntimeError as error:
            ui.facts["said"].append(str(error))
    ui.facts["tasks"] = len(ui.rodin.tasks)
    ui.facts["timer"] = bpy.app.timers.is_registered(ui.module("blender.timer").run)


def quit_while_hung(ui, given):
    """A hundred tasks at a server that never answers, and the user quits."""
    for answer in given["tasks"]:
        _track(ui, answer)
    yield (lambda: len(ui.rodin.tasks) == len(given["tasks"])), "all are in the list"
    yield 1.5


def disable_while_hung(ui, given):
    """The same, and the user disables the extension."""
    yield from quit_while_hung(ui, given)
    began = ui.clock()
    bpy.ops.preferences.addon_disable(module=ui.module("blender").__package__.removesuffix(".blender"))
    ui.facts["disabling_took"] = ui.clock() - began
    yield (lambda: not ui.threads()), "no thread is left"
    with contextlib.suppress(AttributeError):
        ui.facts["left"] = repr(bpy.context.window_manager.rodin)


def download_and_import(ui, given):
    """Press Download and go on modeling: the model comes to the cursor, one Ctrl+Z takes it away."""
    yield from ui.open_sidebar()
    bpy.context.scene.cursor.location = (2.5, 0.0, -1.0)
    _track(ui, given["vase"])
    yield (lambda: ui.task("A glazed vase") and ui.task("A glazed vase").status == "DONE"), "it is done"
    yield 0.5
    yield from ui.click_sidebar(*IMPORT_SETTINGS)
    yield from ui.picture("import-settings")
    yield from ui.click_sidebar(*IMPORT_SETTINGS)
    before = _scene()
    yield from ui.click_sidebar(*DOWNLOAD)
    yield (lambda: _received(ui) > 0), "it arrives"
    yield 0.5
    ui.count_from_here()
    began = time.monotonic()
    yield (lambda: _received(ui) > 250_000 or not ui.session.files.downloads), "some of it has arrived"
    ui.facts["seconds_downloading"] = time.monotonic() - began
    ui.facts["viewport_draws"], ui.facts["sidebar_draws"] = ui.viewport_draws, ui.sidebar_draws
    yield from ui.picture("downloading")
    yield (lambda: "A glazed vase" in bpy.data.collections), "the model is in the scene"
    yield 0.5
    ui.facts["imported"] = [item.name for item in bpy.context.selected_objects]
    ui.facts["operator"] = bpy.context.window_manager.operators[-1].bl_idname
    yield from ui.picture_of_materials("imported", 700, 400)
    yield from ui.press("Z", ctrl=True)
    yield (lambda: _scene() == before), "one Ctrl+Z takes the model away, and nothing else"
    yield from ui.press("Z", ctrl=True, shift=True)
    yield (lambda: "A glazed vase" in bpy.data.collections), "redone"
    yield from ui.picture("redone")


def cancel_and_wait_for_object_mode(ui, given):
    """Cancel a download, go on with it in Edit Mode, leave that; then delete the files."""
    yield from ui.open_sidebar()
    _track(ui, given["vase"])
    yield (lambda: ui.task("A glazed vase") and ui.task("A glazed vase").status == "DONE"), "it is done"
    yield 0.5
    yield from ui.click_sidebar(*DOWNLOAD)
    yield (lambda: _received(ui) > 100_000), "it arrives"
    yield from ui.click_sidebar(*CANCEL)
    yield (lambda: not ui.session.files.downloads), "it is cancelled"
    yield from ui.picture("cancelled")
    _set_mode(ui, "EDIT")
    yield 0.3
    yield from ui.click_sidebar(*DOWNLOAD)
    yield (lambda: any(request.waits_for for request in ui.session.imports.requests.values())), "the model could be imported"
    yield 0.5
    yield from ui.picture("waits-for-object-mode")
    ui.facts["collections_meanwhile"] = [item.name for item in bpy.data.collections]
    _set_mode(ui, "OBJECT")
    yield (lambda: "A glazed vase" in bpy.data.collections), "the model is in the scene"
    yield 0.5
    yield from ui.click_sidebar(*DELETE_FILES)
    yield from ui.picture("delete-files")
    yield from ui.press("RET")
    yield (lambda: not ui.task("A glazed vase").folder), "the files are deleted"
    yield 0.5
    yield from ui.picture("deleted")
    ui.facts["still_there"] = "A glazed vase" in bpy.data.collections


def asset_browser(ui, given):
    """Models become assets with the service's pictures, in a catalog of their own."""
    yield from ui.open_sidebar()
    bpy.ops.wm.save_as_mainfile(filepath=given["blend"])
    ui.preferences.import_as_asset = True
    ui.preferences.import_height = 2.0
    for number, answer in enumerate(given["tasks"]):
        name = answer["prompt"]
        bpy.context.scene.cursor.location = (2.5 * number + 2.5, 0.0, -1.0)
        _track(ui, answer)
        yield (lambda name=name: ui.task(name) and ui.task(name).status == "DONE"), "it is done"
        bpy.ops.rodin.hand_off(task_id=ui.task(name).task_id)
        yield (lambda name=name: name in bpy.data.collections), "the model is in the scene"
    bpy.ops.wm.save_mainfile()
    with bpy.context.temp_override(window=ui.window, area=ui.area):
        bpy.ops.screen.area_split(direction="HORIZONTAL", factor=0.25)
    area = min((area for area in ui.window.screen.areas if area.type == "VIEW_3D"), key=lambda area: area.y)
    area.ui_type = "ASSETS"
    yield 1.0
    area.spaces.active.params.asset_library_reference = "LOCAL"
    yield from ui.picture_of_materials("assets", 700, 500)
    ui.facts["catalog"] = (pathlib.Path(given["blend"]).parent / "blender_assets.cats.txt").read_text()


def import_while_moving(ui, given):
    """The model comes while the user moves the cube: it waits, so that undo stays whole."""
    yield from ui.open_sidebar()
    _track(ui, given["vase"])
    yield (lambda: ui.task("A glazed vase") and ui.task("A glazed vase").status == "DONE"), "it is done"
    cube = bpy.data.objects["Cube"]
    cube.select_set(True)
    before = cube.location.copy()
    ui.move(500, 400)
    yield 0.3
    region = next(region for region in ui.area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=region):
        bpy.ops.transform.translate("INVOKE_DEFAULT")
        bpy.ops.rodin.hand_off(task_id=ui.task("A glazed vase").task_id)
    yield (lambda: any(request.waits_for for request in ui.session.imports.requests.values())), "it waits"
    ui.facts["waits_for"] = str(next(iter(ui.session.imports.requests.values())).waits_for)
    ui.move(600, 450)
    yield 0.3
    yield from ui.press("RET")
    yield (lambda: "A glazed vase" in bpy.data.collections), "the model is in the scene"
    moved = bpy.data.objects["Cube"].location.copy()
    ui.facts["moved"] = moved != before
    yield from ui.press("Z", ctrl=True)
    yield (lambda: "A glazed vase" not in bpy.data.collections), "the model is away"
    ui.facts["cube_stays"] = bpy.data.objects["Cube"].location == moved
    yield from ui.press("Z", ctrl=True)
    yield (lambda: bpy.data.objects["Cube"].location == before), "the move is taken back"


def two_windows(ui, given):
    """Import is pressed in a second window with another scene: it goes there."""
    yield from ui.open_sidebar()
    _track(ui, given["vase"])
    yield (lambda: ui.task("A glazed vase") and ui.task("A glazed vase").status == "DONE"), "it is done"
    with bpy.context.temp_override(window=ui.window):
        bpy.ops.wm.window_new_main()
    yield 1.0
    second = bpy.context.window_manager.windows[-1]
    with bpy.context.temp_override(window=second):
        bpy.ops.scene.new(type="EMPTY")
    second.scene.name = "Second"
    _set_mode(ui, "EDIT")
    yield 0.5
    with bpy.context.temp_override(window=second):
        bpy.ops.rodin.hand_off("INVOKE_DEFAULT", task_id=ui.task("A glazed vase").task_id)
    yield (lambda: "A glazed vase" in bpy.data.collections), "the model is there"
    ui.facts["scenes"] = [s.name for s in bpy.data.scenes if "A glazed vase" in s.collection.children]
