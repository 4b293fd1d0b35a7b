# SPDX-License-Identifier: GPL-3.0-or-later
"""The `bpy.app.timers` callback: takes in what the tracker tells, brings the properties up to date, redraws.

It runs while there is something to follow and unregisters itself otherwise. In background mode Blender calls no
timers: a script that wants the same calls `run` itself.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..configuration import list_folder
from ..service.errors import BadInput
from ..tracking.tracker import Tracker
from . import hand_off, importing, preferences, previews, properties, redraw
from .session import Import, session

INTERVAL = 0.2
"""Seconds between two calls."""
BUSY_INTERVAL = 0.01
"""Seconds until the next call when the budget did not suffice."""
BUDGET = 0.002
"""Seconds that a call may take in and show things for."""
FIRST_INTERVAL = 0.5
"""Seconds from enabling the extension to reading the stored list: Blender's start comes first."""


def tracker() -> Tracker:
    """The running tracker, begun if there is none, and the timer with it. Returns at once."""
    start(0.0)
    preferences.follow_file()
    settings = preferences.settings()
    if settings.api_key != session.settings.api_key:
        session.key_test = None
    if session.tracker is None:
        session.connect(Tracker(user_folder() / "tasks.sqlite", settings, session.tasks.values()))
    elif settings != session.settings:
        session.tracker.configure(settings)
    session.settings = settings
    return session.tracker


def start(first_interval: float) -> None:
    if not bpy.app.timers.is_registered(run):
        bpy.app.timers.register(run, first_interval=first_interval, persistent=True)


_last_trouble = ""


def run() -> float | None:
    """One call of the timer. Returns the seconds until the next, None to end."""
    try:
        return _run()
    except Exception:
        # Blender drops a timer that raises, and tracking would stand still without a word. The same again says no more.
        global _last_trouble
        trouble = traceback.format_exc()
        if trouble != _last_trouble:
            _last_trouble = trouble
            print(trouble, file=sys.stderr)
        return INTERVAL


def _run() -> float | None:
    end = time.perf_counter() + BUDGET
    messages = tracker().messages
    while time.perf_counter() < end and not messages.empty():
        session.take_in(messages.get_nowait())
    while session.unshown and time.perf_counter() < end:
        task_id = next(iter(session.unshown))
        del session.unshown[task_id]
        properties.show(task_id)
        previews.show(task_id)
    if session.unshown or not messages.empty():
        return BUSY_INTERVAL
    _act()
    _redraw()
    if session.idle:
        session.disconnect()
        return None
    return INTERVAL


def _act() -> None:
    """What the messages asked for, once the properties show it all."""
    if session.select:
        properties.select(session.select)
        session.select = ""
    _act_on_files()
    stored = [id_ for id_, uuid in session.hand_offs.items() if session.tasks[id_].task_uuid == uuid]
    for task_id in stored:
        del session.hand_offs[task_id]
        _hand_off(task_id)
    if session.announcements and redraw.announce(" · ".join(session.announcements)):
        session.announcements.clear()


def wish_import(task_id: str, model: str = "") -> None:
    """Have a model of a task in the scene, once its file was seen to off the main thread, and in Object mode.

    `model` is the file's name, the best one when empty.
    """
    session.file_troubles.pop(task_id, None)
    session.imports[task_id] = Import(model)
    session.undrawn = True
    tracker()


def _act_on_files() -> None:
    """What is to come by itself when a task has ended, and the imports whose time has come."""
    while session.ended:
        task_id = session.ended.pop()
        into_scene = preferences.value("import_when_done") and task_id in session.begun_here
        task = session.tasks.get(task_id)
        if task and task.task_uuid and (preferences.value("download_when_done") or into_scene):
            _hand_off(task_id, import_model=into_scene)
    for task_id, wish in list(session.imports.items()):
        if wish.due:
            wish.due = False
            tracker().check_model(task_id, wish.model)
        elif wish.path and bpy.context.mode == "OBJECT":
            del session.imports[task_id]
            session.undrawn = True
            _import(task_id, wish.path)


def _hand_off(task_id: str, **more: object) -> None:
    try:
        hand_off.call(task_id, **more)
    except BadInput as error:
        session.tell(f"'{session.tasks[task_id].name}': {error}")


def _import(task_id: str, path: str) -> None:
    """Have the model in the scene, as one step of undo."""
    window = bpy.context.window or next(iter(bpy.context.window_manager.windows), None)
    try:
        with bpy.context.temp_override(window=window):
            # The second argument asks for the step of undo, which a call from a script does not get otherwise.
            bpy.ops.rodin.import_model("EXEC_DEFAULT", True, task_id=task_id, model=Path(path).name)
        session.announcements.append(f"Rodin: '{session.tasks[task_id].name}' is in the scene")
    except RuntimeError as error:
        session.tell(str(error).strip().removeprefix("Error: "))


_second = 0


def _redraw() -> None:
    """Redraw the sidebar when something it shows has changed; its clock ticks once a second, where it can be seen."""
    global _second
    task = properties.active_task()
    second = int(time.time())
    ticked = task is not None and task.followed and second != _second
    _second = second
    if session.undrawn or ticked:
        session.undrawn = False
        redraw.sidebars()


def download_folder() -> Path:
    """Where the folders of tasks are made. Raises BadInput where the preferences do not tell."""
    return preferences.download_folder(user_folder() / "downloads")


def user_folder() -> Path:
    """Where the extension keeps the user's things. It may not exist yet: to make it is a worker's matter."""
    named = list_folder()
    if named:
        return named
    try:
        folder = bpy.utils.extension_path_user(preferences.PACKAGE)
    except ValueError:
        # Not installed as an extension: run from a checkout, say.
        folder = bpy.utils.user_resource("DATAFILES", path="rodin_blender")
    return Path(folder)


@persistent
def _file_loaded(_path: str) -> None:
    session.file_loaded()
    start(0.0)


@persistent
def _file_saved(_path: str) -> None:
    """The catalogue of the assets in the file stands in a list beside it, which there could be none of before."""
    library = importing.asset_library()
    if library and importing.has_assets():
        tracker().note_catalogue(library)


def register() -> None:
    bpy.app.handlers.load_post.append(_file_loaded)
    bpy.app.handlers.save_post.append(_file_saved)
    start(FIRST_INTERVAL)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_file_loaded)
    bpy.app.handlers.save_post.remove(_file_saved)
    if bpy.app.timers.is_registered(run):
        bpy.app.timers.unregister(run)
    session.disconnect()
    session.reset()
