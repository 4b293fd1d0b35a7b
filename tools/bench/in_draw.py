"""Runs inside a Blender with a window: how long our code takes on its main thread. It is timed from the outside."""

import importlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import bpy

PACKAGE = "bl_ext.user_default.rodin_blender"
PATIENCE = 60.0

given = json.loads(Path(os.environ["RODIN_BENCH"]).read_text())
facts = {"idle": [], "busy": [], "draws": [], "arranged": [], "rows": [], "sidebar": []}
facts |= {"draws_cpu": [], "arranged_cpu": []}
spent = {"code": 0.0, "cpu": 0.0, "rows": 0, "began": 0.0, "timer": []}


def ours(name):
    return importlib.import_module(f"{PACKAGE}.{name}")


def area():
    return next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")


def sidebar():
    return next(region for region in area().regions if region.type == "UI")


def time_drawing():
    """Blender looks these functions up in their classes at each call, and counts their arguments."""
    panels = ours("blender.panels")
    draw, header = panels.RODIN_PT_tasks.draw, panels.RODIN_PT_tasks.draw_header_preset
    draw_item = panels.RODIN_UL_tasks.draw_item

    def timed(function, *arguments):
        began, used = time.perf_counter(), time.thread_time()
        spent["began"] = spent["began"] or began
        function(*arguments)
        spent["cpu"] += time.thread_time() - used
        spent["code"] += time.perf_counter() - began

    def timed_item(self, context, layout, data, item, icon, active_data, active_property, index):
        # In the time of draw, which it is called from.
        spent["rows"] += 1
        draw_item(self, context, layout, data, item, icon, active_data, active_property, index)

    panels.RODIN_PT_tasks.draw = lambda self, context: timed(draw, self, context)
    panels.RODIN_PT_tasks.draw_header_preset = lambda self, context: timed(header, self, context)
    panels.RODIN_UL_tasks.draw_item = timed_item


def time_timer():
    timer = ours("blender.timer")
    function = timer._run

    def timed(running):
        tracker = running.session.tracker
        news = tracker is None or not tracker.messages.empty()
        began, used = time.perf_counter(), time.thread_time()
        wait = function(running)
        used = time.thread_time() - used
        spent["timer"].append((time.perf_counter() - began, used, news))
        return wait

    timer._run = timed


def sidebar_drawn():
    if spent["began"] and given["drawing"]:
        facts[given["drawing"]].append(spent["code"])
        facts[f"{given['drawing']}_cpu"].append(spent["cpu"])
        if given["drawing"] == "draws":
            facts["rows"].append(spent["rows"])
            facts["sidebar"].append(time.perf_counter() - spent["began"])
    spent.update(code=0.0, cpu=0.0, rows=0, began=0.0)


def play():
    """Yields seconds to wait."""
    bpy.context.preferences.view.show_splash = False
    area().spaces[0].show_region_ui = True
    yield 1.0
    bpy.ops.preferences.addon_enable(module=PACKAGE)
    time_drawing()
    time_timer()
    yield 0.1
    sidebar().active_panel_category = "Rodin"
    sidebar().tag_redraw()
    session = ours("blender.app").app().session
    end = time.monotonic() + PATIENCE
    while len(bpy.context.window_manager.rodin.tasks) < given["tasks"] or session.dirty_tasks:
        assert time.monotonic() < end, f"{len(session.tasks)} tasks known"
        yield 0.2
    yield 4.0  # the first questions and answers

    spent["timer"].clear()
    yield given["idle"]
    facts["idle"] = [took for took, _cpu, news in spent["timer"] if not news]
    messages, job_of = ours("tracking.messages"), ours("tasks.task").Job
    trouble = ours("texts.text").Trouble("changed", "It is all different now.")
    tasks = list(session.tasks.values())[: given["changing"]]
    spent["timer"].clear()
    for task in tasks:
        jobs = tuple(replace(job, status="Polishing") for job in task.jobs) or (job_of("x", "Polishing"),)
        session.tracker.messages.put(messages.TaskChanged(replace(task, jobs=jobs, trouble=trouble)))
    while session.dirty_tasks or not session.tracker.messages.empty():
        yield 0.01
    yield 0.3
    facts["busy"], facts["busy_cpu"], _news = zip(*spent["timer"], strict=True)

    yield from drawn("draws")
    shown = bpy.context.window_manager.rodin
    began = time.perf_counter()
    shown.sort_by, shown.search = "NAME", "1"
    facts["arranging"] = time.perf_counter() - began
    facts["found"] = len(shown.rows)
    yield from drawn("arranged")
    finish()


def drawn(what):
    given["drawing"] = what
    for _ in range(given["redraws"]):
        sidebar().tag_redraw()
        yield 0.05
    given["drawing"] = ""


def finish(trouble=""):
    part = Path(given["facts"] + ".part")
    part.write_text(json.dumps({**facts, "trouble": trouble}))
    part.rename(given["facts"])
    os._exit(0)


def step():
    try:
        return next(playing)
    except Exception as error:  # noqa: BLE001 - Blender would drop the timer and wait
        finish(f"{type(error).__name__}: {error}")


given["drawing"] = ""
playing = play()
bpy.types.SpaceView3D.draw_handler_add(sidebar_drawn, (), "UI", "POST_PIXEL")
bpy.app.timers.register(step, first_interval=1.0)
