"""What a user does with the form, in a window. As in scenarios.py."""

from __future__ import annotations

import pathlib

import bpy

PROMPT = (0.5, 78)
"""Places in the sidebar while nothing is missing and the form is empty."""
OPTIONS = (0.3, 263)
"""With two pictures."""
GENERATE = (0.5, 300)


def form_and_model(ui, given):
    """Type a prompt, drop a picture, press, go on: the model comes to where the cursor was."""
    yield from ui.open_sidebar("GENERATE")
    yield (lambda: ui.session.account.balance is not None), "the balance is known"
    yield from ui.picture("form-empty")
    yield from ui.click_sidebar(*PROMPT)
    yield from ui.type(given["prompt"])
    yield from ui.press("RET")
    yield (lambda: ui.session.form.prompt == given["prompt"]), "the prompt is in the form"
    yield 0.5
    ui.facts["field"] = ui.rodin.form.prompt
    yield from ui.drop(given["pictures"])
    yield (lambda: len(ui.rodin.form.images) == len(given["pictures"])), "the pictures are in the form"
    yield from ui.at_rest()
    yield from ui.picture("form")
    yield from ui.click_sidebar(*OPTIONS)
    yield from ui.picture("form-options")
    yield from ui.click_sidebar(*OPTIONS)
    ui.facts["pictures"] = [item.path for item in ui.rodin.form.images]
    bpy.context.scene.cursor.location = (2.5, 0.0, -1.0)
    yield from ui.at_rest()
    yield from ui.click_sidebar(*GENERATE)
    yield (lambda: ui.task(given["prompt"]) is not None), "it is in the list"
    ui.facts["draws_by_click"] = ui.viewport_draws
    ui.count_from_here()
    yield (lambda: any(sent > 0 for sent, _ in ui.session.account.uploads.values())), "it is on its way"
    yield from ui.picture("sending")
    ui.facts["draws_while_sending"] = ui.viewport_draws
    bpy.context.scene.cursor.location = (0.0, 0.0, 0.0)
    yield from ui.at_rest()
    yield (lambda: ui.task(given["prompt"]).status == "GENERATING"), "it is generated"
    yield 0.5
    ui.facts["draws_while_generating"] = ui.viewport_draws
    yield from ui.picture("generating-here")
    yield (lambda: ui.task(given["prompt"]).status == "DONE"), "it is done"
    yield (lambda: given["prompt"] in bpy.data.collections), "the model is in the scene"
    ui.facts["stands"] = list(bpy.data.collections[given["prompt"]].instance_offset)
    yield 0.5
    ui.leave_sidebar()
    yield from ui.picture("generated")
    ui.facts["info"] = yield from ui.info_log()
    bpy.ops.wm.save_as_mainfile(filepath=given["blend"], compress=False)


def press_many_megabytes(ui, given):
    """Press with five large pictures in the form: the window does not wait."""
    yield from ui.open_sidebar("GENERATE")
    yield (lambda: ui.session.account.balance is not None), "the balance is known"
    yield 1.0
    ui.module("blender.properties.form").fill("", given["pictures"])
    # Ten megabytes take their time on a busy machine.
    yield from ui.at_rest(10.0)
    ui.facts["presses"], ui.facts["viewport_draws"] = [], []
    for number in range(given["presses"]):
        ui.module("blender.properties.form").fill(f"Vase {number}", given["pictures"])
        yield 0.6
        ui.count_from_here()
        began = ui.clock()
        bpy.ops.rodin.generate("INVOKE_DEFAULT")
        ui.facts["presses"].append(ui.clock() - began)
        yield (lambda number=number: ui.task(f"Vase {number}") is not None), "it is in the list"
        yield 0.3
        ui.facts["viewport_draws"].append(ui.viewport_draws)


def _texture(item):
    """Checkers, as a texture that the viewport's Solid shading shows where it is set to Texture."""
    image = bpy.data.images.new("Checkers", 256, 256)
    image.generated_type = "COLOR_GRID"
    material = bpy.data.materials.new("Checkers")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    nodes.active = texture
    item.data.materials.append(material)


def viewport_pictures(ui, given):
    """Put what the viewport shows into the form: the view, the selection alone, the camera, four sides."""
    import gpu

    if given["theme"]:
        folders = bpy.utils.preset_paths("interface_theme")
        path = next(path for folder in folders for path in pathlib.Path(folder).rglob(given["theme"]))
        bpy.ops.script.execute_preset(filepath=str(path), menu_idname="USERPREF_MT_interface_theme_presets")
    yield from ui.open_sidebar("GENERATE")
    bpy.ops.mesh.primitive_monkey_add(size=1.5, location=(2.5, 0.5, 0.0))
    monkey = bpy.context.object
    if given["textured"]:
        _texture(monkey)
        ui.area.spaces[0].shading.color_type = "TEXTURE"
    names = [scene.name for scene in bpy.data.scenes], [item.name for item in bpy.data.objects]
    space, region = ui.area.spaces[0], next(region for region in ui.area.regions if region.type == "WINDOW")
    space.overlay.show_overlays = True
    yield from ui.at_rest()

    def drawn_once():
        canvas = gpu.types.GPUOffScreen(1024, 1024)
        view = space.region_3d
        began = ui.clock()
        canvas.draw_view3d(
            bpy.context.scene, bpy.context.view_layer, space, region, view.view_matrix, view.window_matrix
        )
        with canvas.bind():
            gpu.state.active_framebuffer_get().read_color(0, 0, 1, 1, 4, 0, "UBYTE")
        canvas.free()
        return ui.clock() - began

    ui.facts["presses"], ui.facts["plain"] = [], []
    for name, arguments in (
        ("view", {}),
        ("selected", {"selected_only": True}),
        ("camera", {"source": "CAMERA"}),
        ("again", {}),
        ("once-more", {}),
    ):
        ui.facts["plain"].append(drawn_once())
        count = len(ui.rodin.form.images)
        with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
            began = ui.clock()
            bpy.ops.rodin.add_viewport("EXEC_DEFAULT", **arguments)
            ui.facts["presses"].append(ui.clock() - began)
        yield (lambda count=count: len(ui.rodin.form.images) == count + 1), f"the picture {name} is in the form"
        path = pathlib.Path(ui.rodin.form.images[count].path)
        (ui.folder / f"viewport-{name}{given['suffix']}.png").write_bytes(path.read_bytes())
        # The view is drawn anew as an operator's press may have it, and once more for the icon; then it rests.
        yield from ui.at_rest(2.0)
    ui.facts["called"] = [pathlib.Path(item.path).name for item in ui.rodin.form.images]
    ui.facts["refused"] = []
    for arguments in ({}, {"source": "FOUR"}):
        with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
            try:
                bpy.ops.rodin.add_viewport("EXEC_DEFAULT", **arguments)
            except RuntimeError as error:
                ui.facts["refused"].append(str(error))
    ui.module("blender.properties.form").clear()
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.rodin.add_viewport("EXEC_DEFAULT", source="FOUR")
    yield (lambda: len(ui.rodin.form.images) == 4), "the four sides are in the form"
    for item in ui.rodin.form.images:
        path = pathlib.Path(item.path)
        (ui.folder / f"side {path.stem.split()[-1]}{given['suffix']}.png").write_bytes(path.read_bytes())
    ui.facts["sides"] = [pathlib.Path(item.path).name for item in ui.rodin.form.images]
    yield 1.0
    yield from ui.picture(f"viewport-pictures{given['suffix']}")
    ui.facts["same"] = names == ([s.name for s in bpy.data.scenes], [item.name for item in bpy.data.objects])
    ui.facts["overlays"] = space.overlay.show_overlays
    bpy.ops.object.select_all(action="DESELECT")
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        try:
            bpy.ops.rodin.add_viewport("EXEC_DEFAULT", source="FOUR")
        except RuntimeError as error:
            ui.facts["refused"].append(str(error))
    bpy.ops.rodin.generate("INVOKE_DEFAULT")
    yield (lambda: len(ui.rodin.tasks) == 1 and ui.rodin.tasks[0].status == "GENERATING"), "it is generated"


def submissions_in_trouble(ui, given):
    """Rejected and uncertain ones, with a picture of each, at two widths."""
    if given["scale"]:
        bpy.context.preferences.view.ui_scale = given["scale"]
    yield from ui.open_sidebar("GENERATE")
    suffix = "-narrow" if given["scale"] else ""
    yield (lambda: ui.session.account.balance is not None), "the balance is known"
    ui.facts["messages"] = {}

    def task(prompt):
        return next((task for task in ui.rodin.tasks if task.prompt == prompt), None)

    for name, status in (("rejected", "REJECTED"), ("uncertain", "UNCERTAIN"), ("unsent", "UNSENT")):
        prompt = given[name]
        bpy.ops.rodin.generate(prompt=prompt, images="\n".join(given["pictures"]))
        yield (lambda prompt=prompt: task(prompt) is not None), "it is in the list"
        yield (lambda prompt=prompt, status=status: task(prompt).status == status), status
        yield 1.0
        ui.facts["messages"][name] = task(prompt).message
        yield from ui.picture(f"{name}{suffix}")
        if name == "uncertain" and not suffix:
            # What may be paid for twice is not sent by a press of Enter.
            with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
                bpy.ops.rodin.send_again("INVOKE_DEFAULT", task_id=task(prompt).task_id)
            yield from ui.picture("send-again")
            yield from ui.press("RET")
            yield 1.0
            ui.facts["tasks_after_enter"] = len(ui.rodin.tasks)
    task_id = task(given["rejected"]).task_id
    bpy.ops.rodin.again(task_id=task_id)
    ui.app.settings.set_value("generate_high_pack", True)
    ui.sidebar.tag_redraw()
    yield from ui.picture(f"again{suffix}")
    pathlib.Path(ui.folder / "played").touch()


def pictures_in_local_view(ui, given):
    """Put the selection alone into the form while the viewport shows but a part of the scene."""
    yield from ui.open_sidebar("GENERATE")
    bpy.ops.mesh.primitive_monkey_add(size=1.5, location=(2.5, 0.5, 0.0))
    monkey, cube = bpy.context.object, bpy.data.objects["Cube"]
    space, region = ui.area.spaces[0], next(region for region in ui.area.regions if region.type == "WINDOW")
    here = {"window": ui.window, "area": ui.area, "region": region}

    def add(name, count=1):
        before = len(ui.rodin.form.images)
        with bpy.context.temp_override(**here):
            bpy.ops.rodin.add_viewport("EXEC_DEFAULT", selected_only=True, source="FOUR" if count == 4 else "VIEW")
        yield (lambda: len(ui.rodin.form.images) == before + count), f"the pictures {name} are in the form"
        for number, item in enumerate(list(ui.rodin.form.images)[before:]):
            path = pathlib.Path(item.path)
            (ui.folder / f"{name}-{number}.png").write_bytes(path.read_bytes())

    yield from add("whole scene")
    with bpy.context.temp_override(**here):
        bpy.ops.view3d.localview(frame_selected=False)
    yield (lambda: space.local_view), "it shows the monkey only"
    seen = [item.local_view_get(space) for item in (monkey, cube)]
    yield from add("local view")
    ui.module("blender.properties.form").clear()
    yield from add("four sides", 4)
    ui.facts["seen as before"] = seen == [item.local_view_get(space) for item in (monkey, cube)]
    with bpy.context.temp_override(**here):
        bpy.ops.view3d.localview(frame_selected=False)
    ui.module("blender.properties.form").clear()
    space.use_local_collections = True
    yield 0.5
    yield from add("local collections")
    ui.facts["local"] = [bool(space.local_view), space.use_local_collections]
    ui.facts["scenes"] = len(bpy.data.scenes)
