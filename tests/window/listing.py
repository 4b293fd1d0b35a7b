"""What a user does with the list in a window. As in scenarios.py."""

from __future__ import annotations

import pathlib

import bpy

ROWS = (0.5, 179, 20)
"""Where the first row of the list stands while the form follows, and how far apart they are."""


def _theme(name):
    bpy.ops.script.execute_preset(
        filepath=next(path for path in _themes() if path.endswith(name)), menu_idname="USERPREF_MT_interface_theme_presets"
    )


def _themes():
    return [
        str(path)
        for folder in bpy.utils.preset_paths("interface_theme")
        for path in pathlib.Path(folder).glob("*.xml")
    ]


def _narrow(ui, share):
    """Drag the sidebar's edge until it has that share of its width."""
    region = ui.sidebar
    x, y, by = region.x, region.y + region.height // 2, int(region.width * (1.0 - share))
    ui.move(x + 30, y)
    yield 0.2
    ui.move(x, y)
    yield 0.3
    ui.window.event_simulate("LEFTMOUSE", "PRESS", x=x, y=y)
    yield 0.1
    for step in range(1, 6):
        ui.window.event_simulate("MOUSEMOVE", "NOTHING", x=x + by * step // 5, y=y)
        yield 0.1
    ui.window.event_simulate("LEFTMOUSE", "RELEASE", x=x + by, y=y)
    yield 0.5


def _fill(ui, given):
    """One task of each kind that the list tells apart."""
    ui.preferences.import_after_download = False
    for answer in given["tasks"]:
        bpy.ops.rodin.track(
            subscription_key=answer["jobs"]["subscription_key"], task_uuid=answer["uuid"], name=answer["prompt"]
        )
        name = answer["prompt"]
        yield (lambda name=name: ui.task(name) is not None), "it is in the list"
        yield 0.1
    for name in given["done"]:
        yield (lambda name=name: ui.task(name).status == "DONE"), "it is done"
    for name in given["saved"]:
        bpy.ops.rodin.download(task_id=ui.task(name).task_id)
        yield (lambda name=name: ui.task(name).downloaded), "its files are saved"


def list_looks(ui, given):
    """The list with pictures, several states, the details; narrow; a light theme."""
    if given["scale"]:
        bpy.context.preferences.view.ui_scale = given["scale"]
    yield from ui.open_sidebar("GENERATE")
    yield (lambda: ui.session.account.balance is not None), "the balance is known"
    if given["scale"]:
        yield from _narrow(ui, 0.62)
        ui.rodin.begin_by = "FOLLOW"
    for prompt in given["prompts"]:
        bpy.ops.rodin.generate(prompt=prompt, images="\n".join(given["pictures"]))
        yield (lambda prompt=prompt: ui.task(prompt) is not None), "it is in the list"
    yield from _fill(ui, given)
    ui.rodin.active_index = [task.name for task in ui.rodin.tasks].index(given["saved"][0])
    ui.sidebar.tag_redraw()
    yield 2.0
    yield from ui.picture(f"list{given['suffix']}")
    ui.rodin.selecting = True
    for task in ui.rodin.tasks[1:4]:
        task.selected = True
    yield from ui.picture(f"list-selecting{given['suffix']}")
    ui.rodin.selecting = False
    ui.rodin.show_groups = {"DONE", "FAILED"}
    yield from ui.picture(f"list-hidden{given['suffix']}")
    with bpy.context.temp_override(window=ui.window, area=ui.area, region=ui.sidebar):
        bpy.ops.wm.call_panel(name="RODIN_PT_filter")
    yield from ui.picture(f"list-filter{given['suffix']}")
    yield from ui.press("ESC")
    if not given["scale"]:
        _theme("Blender_Light.xml")
        ui.leave_sidebar()
        yield from ui.picture("list-hidden-light")
    yield from _in_language(ui, given["language"], given["suffix"])


def _in_language(ui, language, suffix):
    """The same sidebar and the preferences in another language, in pictures."""
    ui.rodin.show_groups = set()
    view = bpy.context.preferences.view
    view.language, view.use_translate_interface = language, True
    for begin_by in ("GENERATE", "FOLLOW"):
        ui.rodin.begin_by = begin_by
        ui.leave_sidebar()
        yield 0.5
        ui.sidebar.tag_redraw()
        yield from ui.picture(f"list-{begin_by.lower()}-{language}{suffix}")
    text = ui.module("texts.text").Text
    ui.facts["said"] = ui.module("blender.voice").say(text("{shown} of {total} tasks shown", shown=1, total=2))


def _row(ui, row):
    across, down, apart = ROWS
    yield from ui.click_sidebar(across, down + row * apart)


def choose_before_restart(ui, given):
    """Choose a task by a click, sort by name, quit."""
    yield from ui.open_sidebar()
    yield from _fill(ui, given)
    yield from ui.picture("rows")
    yield from _row(ui, given["row"])
    ui.rodin.sort_by = "NAME"
    yield 0.5
    ui.facts["active"] = ui.rodin.tasks[ui.rodin.active_index].name
    ui.facts["active_row"] = ui.rodin.active_row


def chosen_after_restart(ui, given):
    """The same task is active, and the order as it was."""
    yield from ui.open_sidebar()
    yield (lambda: len(ui.rodin.rows) == len(given["tasks"])), "the list is there"
    yield from ui.picture("restarted")
    ui.facts["active"] = ui.rodin.tasks[ui.rodin.active_index].name
    ui.facts["active_row"] = ui.rodin.active_row


def trouble_moves_nothing(ui, given):
    """A trouble and a piece of news come and go: two pictures of what is below their line."""
    yield from ui.open_sidebar()
    yield from _fill(ui, given)
    ui.leave_sidebar()
    yield (lambda: not bpy.app.timers.is_registered(ui.module("blender.timer").run)), "the timer ends by itself"
    yield from ui.picture("untroubled", checked=True)
    # The service is on this machine, which needs no leave to go online.
    blocker = ui.module("tracking.messages").Blocker
    ui.session.blocker = blocker("offline", "Blender may not go online. Allow it, and tasks go on by themselves.")
    ui.sidebar.tag_redraw()
    yield from ui.picture("troubled", checked=True)
    ui.session.blocker = None
    ui.session.tell("Number 4 of what was pasted is an error answer: it lacks credits, and nothing was charged.")
    ui.sidebar.tag_redraw()
    yield from ui.picture("news", checked=True)
    ui.facts["sidebar"] = [ui.sidebar.x, ui.sidebar.y, ui.sidebar.width, ui.sidebar.height, ui.window.height]
