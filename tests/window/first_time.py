"""A first-time artist, with mouse and keys alone. As in scenarios.py."""

from __future__ import annotations

import os

import bpy

ALLOW_ONLINE = (0.5, 150)
ENTER_KEY = (0.5, 175)
PROMPT = (0.5, 78)
GENERATE = (0.5, 188)
DOWNLOAD = (0.5, 488)


def _find_tab(ui):
    """Click the tabs from the top down until it is the one that is looked for, as by its name."""
    region = ui.sidebar
    for down in range(20, region.height, 30):
        yield from ui.click(region.x + region.width - 8, region.y + region.height - down)
        if region.active_panel_category == "Rodin":
            return
    raise LookupError("there is no tab called Rodin")


def first_time_artist(ui, given):
    """From the installed extension to a model in the scene."""
    viewport = ui.area
    # 4.3 gives the first click of a new profile to the splash, shown or not.
    yield from ui.click(viewport.x + 300, viewport.y + 100)
    ui.presses = 0
    ui.move(viewport.x + 400, viewport.y + 250)
    yield 0.3
    ui.move(viewport.x + 400, viewport.y + 300)
    yield 0.5
    yield from ui.press("N")
    yield (lambda: ui.sidebar.width > 1), "the sidebar is open"
    yield 0.5
    pressed = ui.presses
    yield from _find_tab(ui)
    ui.presses = pressed + 1  # One who reads finds the tab at once.
    yield from ui.picture("offline")
    yield from ui.click_sidebar(*ALLOW_ONLINE)
    yield (lambda: bpy.app.online_access), "online access is allowed"
    # From here on a simulated service takes the real one's place, which needs no leave to go online.
    os.environ["RODIN_API_URL"] = given["url"]
    ui.presses -= 1
    yield 1.0
    yield from ui.picture("no-api-key")
    # A wrong key is told at once, where it was typed.
    pressed = ui.presses
    yield from ui.click_sidebar(*ENTER_KEY)
    yield from ui.picture("enter-api-key-empty")
    yield from ui.type("a-mistyped-key")
    yield from ui.press("RET")
    yield (lambda: ui.session.key_test.result is not None), "it was tested"
    yield 0.5
    ui.facts["refused"] = str(ui.session.key_test.result.said)
    yield from ui.picture("enter-api-key-refused")
    yield from ui.press("RET")
    yield 0.5
    ui.facts["kept_after_refusal"] = bool(ui.app.api_key.kept)
    yield from ui.picture("refused")
    ui.move(viewport.x + 100, viewport.y + 100)
    yield from ui.press("ESC")
    yield 1.0
    ui.presses = pressed

    yield from ui.click_sidebar(*ENTER_KEY)
    bpy.context.window_manager.clipboard = given["api_key"]
    yield from ui.press("V", ctrl=True)
    yield from ui.press("RET")
    yield (lambda: ui.session.key_test.result is not None and ui.session.key_test.result.accepted), "it is accepted"
    yield 0.5
    yield from ui.picture("enter-api-key")
    ui.facts["accepted"] = str(ui.session.key_test.result.said)
    yield from ui.press("RET")
    yield (lambda: ui.app.api_key.kept.reveal() == given["api_key"]), "the typed key is in use"
    yield (lambda: ui.session.account.balance is not None), "the balance is known"
    yield from ui.picture("empty")
    yield from ui.click_sidebar(*PROMPT)
    yield from ui.type(given["prompt"])
    yield from ui.press("RET")
    yield from ui.picture("typed")
    yield from ui.click_sidebar(*GENERATE)
    yield (lambda: ui.task(given["prompt"]) is not None), "it is in the list"
    yield (lambda: ui.task(given["prompt"]).status == "DONE"), "it is done"
    yield 0.5
    yield from ui.picture("first-done")
    yield from ui.click_sidebar(*DOWNLOAD)
    yield (lambda: given["prompt"] in bpy.data.collections), "the model is in the scene"
    ui.facts["presses"] = ui.presses
    yield 0.5
    ui.leave_sidebar()
    yield from ui.picture("first-model")
    yield (lambda: not bpy.app.timers.is_registered(ui.module("blender.timer").run)), "the timer ends by itself"
    yield 0.5
    ui.facts["threads"] = ui.threads()


def from_blenders_menus(ui, given):
    """Found by Add, by F3 and by File > Import, with the sidebar closed; the preferences, and the last messages."""
    viewport = ui.area
    yield from ui.click(viewport.x + 300, viewport.y + 100)
    with bpy.context.temp_override(window=ui.window, area=viewport):
        bpy.ops.rodin.show_panel("INVOKE_DEFAULT", begin_by="FOLLOW")
    yield (lambda: ui.sidebar.active_panel_category == "Rodin"), "the tab is shown"
    ui.facts["begin_by"] = ui.rodin.begin_by
    yield from ui.picture("follow")
    # A pin: the gear beside it can still be pressed.
    header = {"x": ui.sidebar.x + 100, "y": ui.sidebar.y + ui.sidebar.height - 14}
    ui.move(header["x"], header["y"] + 4)
    yield 0.2
    ui.move(**header)
    yield 0.3
    ui.window.event_simulate("LEFTMOUSE", "PRESS", shift=True, **header)
    ui.window.event_simulate("LEFTMOUSE", "RELEASE", shift=True, **header)
    yield 0.5
    yield from ui.picture("pinned")
    ui.move(viewport.x + 300, viewport.y + 400)
    yield 0.3
    ui.move(viewport.x + 310, viewport.y + 410)
    yield from ui.press("A", shift=True)
    yield from ui.picture("menu-add")
    yield from ui.press("ESC")
    yield from ui.press("F3")
    yield from ui.type("rodin")
    yield from ui.picture("menu-search")
    yield from ui.press("ESC")
    yield from ui.press("ESC")
    answer = given["vase"]
    bpy.ops.rodin.track(
        subscription_key=answer["jobs"]["subscription_key"], task_uuid=answer["uuid"], name=answer["prompt"]
    )
    yield (lambda: ui.task("A glazed vase") and ui.task("A glazed vase").status == "DONE"), "it is done"
    with bpy.context.temp_override(window=ui.window, area=viewport):
        bpy.ops.rodin.import_model("INVOKE_DEFAULT")
    yield (lambda: "A glazed vase" in bpy.data.collections), "it is downloaded and in the scene"
    ui.session.tell("One more thing happened.")
    yield 1.0
    bpy.ops.preferences.addon_show(module=ui.module("blender.settings.folders").PACKAGE)
    yield 1.0
    yield from ui.picture("preferences-from-menus")
