"""Imports in the middle of a user's work, in a window. As in scenarios.py."""

from __future__ import annotations

import bpy


class TEST_OT_endless(bpy.types.Operator):
    """Runs as long as Blender does, as some add-ons' do."""

    bl_idname = "test.endless"
    bl_label = "Endless"

    def invoke(self, context, event):
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        return {"PASS_THROUGH"}


def import_amid_work(ui, given):
    """In local view, in the camera's view, with operators that run: Blender's own are waited for, an add-on's are not."""
    yield from ui.open_sidebar()
    vase = given["vase"]
    bpy.ops.rodin.track(
        subscription_key=vase["jobs"]["subscription_key"], task_uuid=vase["uuid"], name=vase["prompt"]
    )
    yield (lambda: ui.task("A vase") and ui.task("A vase").status == "DONE"), "it is done"
    task_id = ui.task("A vase").task_id
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    yield (lambda: ui.task("A vase").downloaded), "its files are saved"
    blocked_by = ui.module("blender.importing").blocked_by
    region = next(region for region in ui.area.regions if region.type == "WINDOW")
    space = ui.area.spaces.active
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=region):
        cube = bpy.data.objects["Cube"]
        cube.select_set(True)
        ui.window.view_layer.objects.active = cube
        bpy.ops.view3d.localview(frame_selected=False)
        bpy.ops.view3d.view_camera()
        # As after each press of a user's; a call from a script makes no step.
        bpy.ops.ed.undo_push(message="Local View")
    yield (lambda: space.local_view), "it shows the cube only"
    bpy.utils.register_class(TEST_OT_endless)
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=region):
        bpy.ops.test.endless("INVOKE_DEFAULT")
    with bpy.context.temp_override(window=ui.window):
        ui.facts["endless"] = str(blocked_by())
    ui.move(500, 400)
    yield 0.3
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=region):
        bpy.ops.wm.radial_control("INVOKE_DEFAULT", data_path_primary="scene.render.resolution_x")
    with bpy.context.temp_override(window=ui.window):
        ui.facts["own"] = str(blocked_by())
    yield from ui.press("ESC")
    view = (space.camera.name, space.region_3d.view_perspective)
    for name, press in (("by itself", False), ("pressed", True)):
        with bpy.context.temp_override(window=ui.window):
            ui.module("blender.scene.model_imports").request_import(task_id, ui.window)
        ui.session.imports.requests[task_id].automatic = not press
        known = set(bpy.data.collections)
        yield (lambda known=known: set(bpy.data.collections) - known), "it is imported"
        yield 0.5
        (collection,) = set(bpy.data.collections) - known
        assert space.local_view, "still in local view"
        # `local_view_get` says no of each object there.
        ui.facts[name] = [item.visible_get(viewport=space) for item in collection.objects]
        ui.facts[f"{name} active"] = ui.window.view_layer.objects.active.name
        yield from ui.press("Z", ctrl=True)
        yield (lambda known=known: not set(bpy.data.collections.keys()) & {"A vase"}), "one Ctrl+Z takes it away"
    ui.facts["view stays"] = view == (space.camera.name, space.region_3d.view_perspective) and bool(space.local_view)


def question_before_a_large_model(ui, given):
    """A model with more triangles than the settings let pass waits for a press; then it is found from the sidebar."""
    yield from ui.open_sidebar()
    vase = given["vase"]
    bpy.ops.rodin.track(
        subscription_key=vase["jobs"]["subscription_key"], task_uuid=vase["uuid"], name=vase["prompt"]
    )
    yield (lambda: ui.task("A vase") and ui.task("A vase").status == "DONE"), "it is done"
    ui.preferences.import_max_triangles = 1000
    with bpy.context.temp_override(window=ui.window):
        bpy.ops.rodin.download("INVOKE_DEFAULT", task_id=ui.task("A vase").task_id, import_model=True)
    yield (lambda: ui.session.imports.unconfirmed), "it is asked"
    yield 1.0
    yield from ui.picture("too-many-triangles")
    ui.facts["imported before"] = list(bpy.data.collections.keys())
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.rodin.import_model("INVOKE_DEFAULT", any_size=True)
    yield (lambda: "A vase" in bpy.data.collections), "it is imported after the press"
    bpy.data.collections["A vase"].objects[0].location.x = 50.0
    yield 0.5
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.rodin.frame()
    yield (lambda: ui.area.spaces.active.region_3d.view_location.x > 40.0), "the view moves to it"
    yield from ui.picture("framed")


def to_the_library(ui, given):
    """A model is sent to the library, which is registered by a press; the window and its viewport have no part in it."""
    yield from ui.open_sidebar()
    vase = given["vase"]
    bpy.ops.rodin.track(
        subscription_key=vase["jobs"]["subscription_key"], task_uuid=vase["uuid"], name=vase["prompt"]
    )
    yield (lambda: ui.task("A vase") and ui.task("A vase").status == "DONE"), "it is done"
    task_id = ui.task("A vase").task_id
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    yield (lambda: ui.task("A vase").downloaded), "its files are saved"
    yield 1.0
    ui.count_from_here()
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.wm.call_menu(name="RODIN_MT_models")
    yield 0.5
    yield from ui.picture("library-menu")
    yield from ui.press("ESC")
    with bpy.context.temp_override(window=ui.window):
        bpy.ops.rodin.send_to_library("INVOKE_DEFAULT", task_id=task_id)
    yield 0.5
    ui.facts["under way"] = list(ui.app.library.pending) == [task_id]
    ui.count_from_here()
    yield (lambda: not ui.app.library.pending), "it is in the library"
    yield 0.5
    ui.facts["drawn"] = ui.viewport_draws
    ui.facts["trouble"] = {task_id: str(said) for task_id, said in ui.session.files.troubles.items()}
    with bpy.context.temp_override(window=ui.window):
        bpy.ops.rodin.register_library()
    folder = ui.app.settings.library_folder()
    ui.facts["files"] = sorted(path.name for path in folder.glob("*.blend"))
    ui.facts["libraries"] = [known.name for known in bpy.context.preferences.filepaths.asset_libraries]
    # Long enough to be seen.
    bpy.ops.rodin.send_to_library(task_id=task_id)
    yield 0.4
    yield from ui.picture("to-library")
    bpy.ops.rodin.cancel_library(task_id=task_id)
    yield (lambda: not ui.app.library.pending), "it is cancelled"
