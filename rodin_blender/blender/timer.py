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

from ..service.errors import BadInput
from ..tracking.tracker import Tracker
from . import hand_off, preferences, properties, redraw
from .session import session

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
    stored = [id_ for id_, uuid in session.hand_offs.items() if session.tasks[id_].task_uuid == uuid]
    for task_id in stored:
        del session.hand_offs[task_id]
        try:
            hand_off.call(task_id)
        except BadInput as error:
            session.tell(f"'{session.tasks[task_id].name}': {error}")
    if session.announcements and redraw.announce(" · ".join(session.announcements)):
        session.announcements.clear()


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


def user_folder() -> Path:
    """Where the extension keeps the user's things. It may not exist yet: to make it is a worker's matter."""
    try:
        folder = bpy.utils.extension_path_user(preferences.PACKAGE)
    except ValueError:
        # Not installed as an extension: run from a checkout, say.
        folder = bpy.utils.user_resource("DATAFILES", path="rodin_blender")
    return Path(folder)


@persistent
def _file_loaded(_path: str) -> None:
    session.show_all_again()
    start(0.0)


def register() -> None:
    bpy.app.handlers.load_post.append(_file_loaded)
    start(FIRST_INTERVAL)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_file_loaded)
    if bpy.app.timers.is_registered(run):
        bpy.app.timers.unregister(run)
    session.disconnect()
    session.reset()
