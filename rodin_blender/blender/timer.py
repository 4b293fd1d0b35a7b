# SPDX-License-Identifier: GPL-3.0-or-later
"""The `bpy.app.timers` callback: takes in what the tracker tells, brings the properties up to date, redraws.

It runs while there is something to follow and unregisters itself otherwise. In background mode Blender calls no
timers: a script that wants the same calls `run` itself.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from .. import catalog, handlers
from ..service.errors import BadInput, os_reason
from ..storage import folders as places
from ..tracking.messages import ObstacleChanged
from ..tracking.tracker import Tracker
from . import api_key, form, hand_off, importing, placement, preferences, previews, properties, redraw, threads
from .folders import bringing, user_folder
from .session import Import, session

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


_settings_read_at = 0.0


def tracker() -> Tracker:
    """The running tracker with the settings as they are now, begun if there is none, and the timer with it.

    Returns at once.
    """
    global _settings_read_at
    start(0.0)
    _settings_read_at = time.monotonic()
    if not session.brings_what_is_old:
        session.brings_what_is_old = True
        threads.run(bringing(), _brought)
    preferences.follow_file()
    api_key.follow()
    settings = preferences.settings()
    session.undrawn |= settings != session.settings
    if settings.api_key != session.settings.api_key:
        session.key_test = None
        session.balance, session.balance_asked = None, False
    if session.tracker is None:
        session.connect(Tracker(places.list_path(user_folder()), settings, session.tasks.values()))
    elif settings != session.settings:
        session.tracker.configure(settings)
    session.settings = settings
    return session.tracker


def _brought(news: list[str]) -> None:
    """What an earlier version kept elsewhere is in the user's folder now."""
    if news:
        session.tell(" ".join(news))
        # The tracker may have looked at the list, and ended, before.
        tracker().refresh()


def start(first_interval: float) -> None:
    if not bpy.app.timers.is_registered(run):
        bpy.app.timers.register(run, first_interval=first_interval, persistent=True)


def look_at_form() -> None:
    """For `draw`: somebody looks at the form, so that the timer is to ask for the balance, once."""
    # What was typed is drawn now, and so may be read again.
    session.form.typed = False
    if not session.form.looked_at:
        session.form.looked_at = True
        start(0.0)


_last_trouble = ""


def run() -> float | None:
    """One call of the timer. Returns the seconds until the next, None to end."""
    try:
        return _run()
    except Exception as error:
        # Blender drops a timer that raises, and tracking would stand still without a word. The same again says no more.
        global _last_trouble
        trouble = _trace(error)
        if trouble != _last_trouble:
            _last_trouble = trouble
            print(trouble, file=sys.stderr)
        return INTERVAL


def _trace(error: Exception) -> str:
    """A traceback without the lines of the sources, which would be read from the disk."""
    calls = [f"  {frame.f_code.co_filename}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
    return "\n".join([*calls, f"{type(error).__name__}: {error}"])


def _run() -> float | None:
    end = time.perf_counter() + BUDGET
    under_way = threads.take_in()
    known = session.tracker if time.monotonic() < _settings_read_at + SETTINGS_INTERVAL else None
    messages = (known or tracker()).messages
    _ask_balance()
    while time.perf_counter() < end and not messages.empty():
        message = messages.get_nowait()
        session.take_in(message)
        if isinstance(message, ObstacleChanged):
            api_key.obstacle_changed(message.obstacle)
    while session.unshown and time.perf_counter() < end:
        task_id = next(iter(session.unshown))
        del session.unshown[task_id]
        properties.show(task_id)
        previews.show(task_id, _pictures(task_id))
    while session.pending_calls and not session.unshown and time.perf_counter() < end:
        call_handlers(*session.pending_calls.popleft())
    if session.unshown or session.pending_calls or not messages.empty():
        return BUSY_INTERVAL
    _act()
    _redraw()
    if session.idle and not under_way:
        session.disconnect()
        return None
    return INTERVAL


def _ask_balance() -> None:
    """Ask for the account's credits when the form was first looked at and the service can be asked."""
    wanted = session.form.looked_at and not session.balance_asked
    if wanted and session.tracker and not session.settings.obstacle and not session.obstacle:
        session.balance_asked = True
        session.tracker.ask_balance()


def outbox() -> Path:
    """Where the folders of submissions are, with copies of their pictures."""
    return places.outbox(user_folder())


def _pictures(task_id: str) -> list[str]:
    """The files of the pictures that a task is made from: as they were in the form, where they are shown already."""
    task = session.tasks.get(task_id)
    if not task or not task.pictures:
        return []
    return session.form.originals.get(task_id) or [str(outbox() / task_id / name) for name in task.pictures]


def _act() -> None:
    """What the messages asked for, once the properties show it all."""
    if session.key_test_wanted and not session.api_key.looking:
        session.key_test_wanted = False
        tracker().test_key()
    returned, session.form.returned = session.form.returned, None
    if returned and not session.form.prompt and not form.pictures():
        form.fill(*returned)
    on_their_way = (path for _prompt, paths in session.form.sent.values() for path in paths)
    previews.show_in_form([*form.pictures(), *on_their_way])
    if session.select in session.tasks:
        properties.select(session.select)
        session.select = ""
    _act_on_files()
    stored = [id_ for id_, uuid in session.hand_offs.items() if session.tasks[id_].task_uuid == uuid]
    for task_id in stored:
        del session.hand_offs[task_id]
        _hand_off(task_id)
    if session.announcements and redraw.announce(" · ".join(session.announcements)):
        session.announcements.clear()


def wish_import(task_id: str, window: bpy.types.Window | None = None, **how: object) -> None:
    """Have a model of a task in a window's scene, once its file was seen to off the main thread, and it can be.

    `how` are arguments for `rodin.import_model`. Until then the place stays the one where the 3D cursor is now.
    """
    session.file_troubles.pop(task_id, None)
    session.imports[task_id] = pressed(window, **how)
    session.undrawn = True
    tracker().check_model(task_id, str(how.get("model", "")))


def pressed(window: bpy.types.Window | None, **how: object) -> Import:
    """The wish of a press in that window, with its scene and the place of the 3D cursor there."""
    scene = window.scene if window else bpy.context.scene
    return Import({"at": tuple(scene.cursor.location), **how}, window.as_pointer() if window else 0, scene.name)


def call_handlers(functions: list[Callable[..., None]], *arguments: object) -> None:
    """Call a studio's functions, and tell of those that raised."""
    for trouble in handlers.call(functions, *arguments):
        session.tell(trouble)


def _act_on_files() -> None:
    """What is to come by itself when a task has ended, and the imports whose time has come."""
    for task_id in [task_id for task_id in session.ended if task_id not in session.downloads]:
        session.ended.remove(task_id)
        task = session.tasks.get(task_id)
        here = task_id in session.begun_here or (task is not None and placement.of(task) is not None)
        into_scene = bool(preferences.value("import_when_done")) and here
        if task and (into_scene or preferences.value("download_when_done")):
            if task.task_uuid:
                _hand_off(task_id, import_model=into_scene)
                if task_id in session.imports:
                    session.imports[task_id].unasked = True
            else:
                session.tell(f"'{task.name}' is done. Its download needs the task uuid: press Download.")
    for task_id in [task_id for task_id, wish in session.imports.items() if wish.ready]:
        _import_if_possible(task_id)


def _hand_off(task_id: str, **more: object) -> None:
    try:
        hand_off.call(task_id, **more)
    except BadInput as error:
        session.tell_of_files(task_id, str(error), trouble=True)


def _context_for(task_id: str, wish: Import) -> dict[str, object]:
    """What an import is for, for `temp_override`: the window, the first one where it was closed; nothing without.

    It goes into the scene that was shown at the press; what follows from a download, into the one where it was wished.
    """
    windows = list(bpy.context.window_manager.windows)
    window = next((window for window in windows if window.as_pointer() == wish.window), windows[0] if windows else None)
    task = session.tasks.get(task_id)
    wanted = placement.of(task) if task and wish.by_itself else None
    shown = window.scene if window else bpy.context.scene
    scene = bpy.data.scenes.get(wanted.scene if wanted else wish.scene)
    if scene in (None, shown):
        return {"window": window}
    window = next((window for window in windows if window.scene == scene), None)
    return {"window": window} if window else {"scene": scene, "view_layer": scene.view_layers[0]}


def _import_if_possible(task_id: str) -> None:
    """Have the model in the scene, as one step of undo."""
    wish = session.imports[task_id]
    with bpy.context.temp_override(**_context_for(task_id, wish)):
        reason = importing.hindrance()
        session.undrawn |= reason != wish.waits_for
        wish.waits_for = reason
        if reason:
            return
        del session.imports[task_id]
        session.undrawn = True
        try:
            # The second argument asks for the step of undo, which a call from a script does not get otherwise.
            bpy.ops.rodin.import_model("EXEC_DEFAULT", True, task_id=task_id, select=not wish.unasked, **wish.how)
        except RuntimeError as error:
            text = f"{importing.reason_of(error)} Open Folder shows the files."
            session.tell_of_files(task_id, text, trouble=True)


_second = 0


def _redraw() -> None:
    """Redraw the sidebar when something it shows has changed; its clock ticks once a second, where it can be seen."""
    global _second
    second = int(time.time())
    if second != _second:
        _second = second
        task = properties.active_task()
        session.undrawn |= task is not None and task.followed
    if session.undrawn:
        session.undrawn = False
        redraw.sidebars()


def download_folder() -> Path:
    """Where the folders of tasks are made. Raises BadInput where the preferences do not tell."""
    return preferences.download_folder(places.downloads(user_folder()))


@persistent
def _file_loading(_path: str) -> None:
    # Blender empties the properties; what is in the form stays there.
    session.form.kept = form.pictures()


@persistent
def _file_loaded(_path: str) -> None:
    session.file_loaded()
    form.fill(session.form.prompt, session.form.kept)
    start(0.0)


@persistent
def _file_saved(_path: str) -> None:
    """The catalog of the assets in the file stands in a list beside it, which there could be none of before."""
    if importing.has_assets():
        note_catalog()


def note_catalog() -> None:
    """Have the assets' catalog noted where the open file's catalogs are, if it was saved."""

    def note(library: Path) -> str:
        try:
            catalog.note(library)
        except OSError as error:
            return f"The asset catalog Rodin could not be noted in {library}: {os_reason(error)}. The asset is there."
        return ""

    library = importing.asset_library()
    if library:
        start(0.0)
        threads.run(partial(note, library), lambda trouble: session.tell(trouble) if trouble else None)


def register() -> None:
    bpy.app.handlers.load_pre.append(_file_loading)
    bpy.app.handlers.load_post.append(_file_loaded)
    bpy.app.handlers.save_post.append(_file_saved)
    start(FIRST_INTERVAL)


def unregister() -> None:
    bpy.app.handlers.load_pre.remove(_file_loading)
    bpy.app.handlers.load_post.remove(_file_loaded)
    bpy.app.handlers.save_post.remove(_file_saved)
    if bpy.app.timers.is_registered(run):
        bpy.app.timers.unregister(run)
    session.disconnect()
    session.reset()
