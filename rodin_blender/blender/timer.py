# SPDX-License-Identifier: GPL-3.0-or-later
"""The pump: the `bpy.app.timers` callback that takes in what the tracker tells, and has it shown.

It runs while there is something to follow and unregisters itself otherwise. In background mode Blender calls no
timers: a script that wants the same calls `run` itself.
"""

from __future__ import annotations

import logging
import time
from collections import deque

from ..service.errors import trace
from ..tracking.messages import PENDING, BlockerChanged
from . import generating, redraw
from .app import App, app
from .properties import form, task_properties
from .scene import in_scene, model_imports

_log = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two calls."""
BUSY_INTERVAL = 0.01
"""Seconds until the next call when the budget did not suffice."""
BUDGET = 0.0015
"""Seconds that a call may take in and show things for; with the last of them and the rest it stays below 0.002."""
SETTINGS_INTERVAL = 1.0
"""Seconds after which it looks whether a setting has changed: that takes most of a call that has nothing to do."""
FIRST_INTERVAL = 0.5
"""Seconds from enabling the extension to reading the stored list: Blender's start comes first."""


def run() -> float | None:
    """One call of the timer. Returns the seconds until the next, None to end."""
    running = app()
    try:
        return _run(running)
    except Exception as error:
        # Blender drops a timer that raises, and tracking would stand still without a word. The same again says no more.
        trouble = trace(error)
        if trouble != running.pump_trouble:
            running.pump_trouble = trouble
            _log.error("%s", trouble)
        return INTERVAL


def _run(running: App) -> float | None:
    end = time.perf_counter() + BUDGET
    session = running.session
    running.threads.run_callbacks()
    known = session.tracker if time.monotonic() < running.settings_read_at + SETTINGS_INTERVAL else None
    messages = (known or running.tracker()).messages
    while time.perf_counter() < end and not messages.empty():
        message = messages.get_nowait()
        session.handle(message)
        if isinstance(message, BlockerChanged):
            running.api_key.blocker_changed(message.blocker)
    while session.dirty_tasks and time.perf_counter() < end:
        task_id = next(iter(session.dirty_tasks))
        del session.dirty_tasks[task_id]
        task_properties.show(task_id)
        running.previews.show(task_id, form.pictures_of(task_id))
    # A studio's file of functions may lie on a disk that does not answer, and nothing else is to wait for that.
    calls = deque() if running.hooks.pending else session.pending_calls
    while calls and not session.dirty_tasks and time.perf_counter() < end:
        running.hooks.call(*calls.popleft())
    if session.dirty_tasks or calls or not messages.empty():
        return BUSY_INTERVAL
    _act(running)
    _redraw(running)
    blocker = session.settings.blocker
    # Tasks that wait for settings would otherwise wait for the next press.
    pending = blocker is not None and blocker.code == PENDING
    # This is asked last: the call may have started something, and nobody else handles its outcome.
    if session.idle and not pending and not running.threads.busy:
        session.disconnect()
        return None
    return INTERVAL


def _act(running: App) -> None:
    """What the messages asked for, once the properties show it all."""
    session = running.session
    generating.begin_waiting()
    running.ask_account()
    form.update()
    if session.select in session.tasks:
        running.task_list.activate(session.select)
        session.select = ""
    running.task_list.settle()
    if running.task_list.in_scene is None:
        in_scene.scan()
    model_imports.run_due()
    if session.tab_wanted and redraw.tab_shown(*session.tab_wanted):
        session.tab_wanted = None
    if session.news and redraw.announce(session.news.line()):
        session.news.clear_pending()


def _redraw(running: App) -> None:
    """Redraw the sidebar when something it shows has changed; its clock ticks once a second, where it can be seen."""
    session, second = running.session, int(time.time())
    if second != running.drawn_second:
        running.drawn_second = second
        task = task_properties.active_task()
        session.needs_redraw |= task is not None and task.followed
        if form.is_shown() and redraw.any_sidebar():
            form.touch()
    if session.key_test.dialog_outdated:
        session.key_test.dialog_outdated = False
        redraw.dialog()
    if session.needs_redraw:
        session.needs_redraw = False
        redraw.sidebars()
