# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models are to come into the scene, and when: once a task has ended, its file is there, and Blender can."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import bpy

from ...service.errors import BadInput
from ...texts.text import Text
from .. import hand_off, importing
from ..app import app
from ..importing import textures
from ..state.import_queue import ImportRequest
from . import placement


def request_import(task_id: str, window: bpy.types.Window | None = None, **how: object) -> None:
    """Have a model of a task in a window's scene, once its file was checked off the main thread and Blender can import.

    `how` are arguments for `rodin.import_model`. Until then the place stays the one where the 3D cursor is now.
    """
    session = app().session
    session.files.troubles.pop(task_id, None)
    session.imports.add(task_id, requested_in(window, **how))
    session.needs_redraw = True
    app().tracker().check_model(task_id, str(how.get("model", "")))


def confirm(task_id: str) -> None:
    """Import a model although it has more triangles than the settings allow without confirmation."""
    session = app().session
    request = session.imports.unconfirmed[task_id]
    request.automatic = False
    request.options["any_size"] = True
    session.files.troubles.pop(task_id, None)
    session.imports.add(task_id, request)
    session.needs_redraw = True
    app().wake()


def save_textures(task_id: str, imported: importing.Imported) -> bool:
    """Have a model's packed textures in files beside the .blend file instead. Returns whether there is one.

    They are written off the main thread, and stay packed until they are there.
    """
    blend = bpy.data.filepath
    if not blend:
        return False

    def done(result: tuple[dict[int, Path], Text | None]) -> None:
        saved, trouble = result
        # The file that is open now may be another one, or lie elsewhere.
        if bpy.data.filepath == blend:
            textures.refer(saved, Path(blend))
        app().session.files.tell(task_id, trouble, trouble=True)

    found = textures.packed(imported.images)
    app().threads.run(partial(textures.save, Path(blend).parent / textures.FOLDER, found), done)
    app().wake()
    return True


def requested_in(window: bpy.types.Window | None, **how: object) -> ImportRequest:
    """The request that a press in that window makes, with its scene and the place of the 3D cursor there."""
    scene = window.scene if window else bpy.context.scene
    return ImportRequest({"at": tuple(scene.cursor.location), **how}, window.as_pointer() if window else 0, scene.name)


def run_due() -> None:
    """Start the downloads and imports that are due: the automatic ones of ended tasks, and those that waited."""
    session = app().session
    for task_id in [task_id for task_id in session.files.ended if task_id not in session.files.downloads]:
        session.files.ended.remove(task_id)
        _start_automatic(task_id)
    for task_id in [task_id for task_id, request in session.imports.requests.items() if request.ready]:
        _import_if_possible(task_id)
    stored = [id_ for id_, uuid in session.files.hand_offs.items() if session.tasks[id_].task_uuid == uuid]
    for task_id in stored:
        del session.files.hand_offs[task_id]
        _hand_off(task_id)


def _start_automatic(task_id: str) -> None:
    """Download a task that has ended, and import its model, where the settings say so."""
    session, settings = app().session, app().settings
    task = session.tasks.get(task_id)
    here = task_id in session.started_here or (task is not None and placement.of(task) is not None)
    into_scene = bool(settings.value("import_when_done")) and here
    if task and (into_scene or settings.value("download_when_done")):
        if task.task_uuid:
            _hand_off(task_id, import_model=into_scene)
            if task_id in session.imports.requests:
                session.imports.requests[task_id].automatic = True
        else:
            text = "'{name}' is done. Its download needs the task uuid: press Download."
            session.tell(Text(text, name=task.name))


def _hand_off(task_id: str, **more: object) -> None:
    try:
        hand_off.call(task_id, **more)
    except BadInput as error:
        app().session.files.tell(task_id, error.trouble, trouble=True)


def _context_for(task_id: str, request: ImportRequest) -> dict[str, object]:
    """What an import is for, for `temp_override`: the window, the first one where it was closed; nothing without.

    It goes into the scene that was shown at the press; what follows from a download, into the one that the task is for.
    """
    windows = list(bpy.context.window_manager.windows)
    first = windows[0] if windows else None
    window = next((window for window in windows if window.as_pointer() == request.window), first)
    task = app().session.tasks.get(task_id)
    wanted = placement.of(task) if task and request.after_download else None
    shown = window.scene if window else bpy.context.scene
    scene = bpy.data.scenes.get(wanted.scene if wanted else request.scene)
    if scene in (None, shown):
        return {"window": window}
    window = next((window for window in windows if window.scene == scene), None)
    return {"window": window} if window else {"scene": scene, "view_layer": scene.view_layers[0]}


def _is_too_large(request: ImportRequest) -> bool:
    limit = int(app().settings.value("import_max_triangles"))
    return 0 < limit < (request.triangles or 0) and not request.options.get("any_size")


def too_large(request: ImportRequest) -> Text:
    """Why a model is imported after a press only."""
    return Text(
        "It has {triangles:n} triangles, more than the {limit:n} of the Import Settings: Blender stands still while it "
        "imports them, and may be slow after that.",
        triangles=request.triangles or 0,
        limit=int(app().settings.value("import_max_triangles")),
    )


def _import_if_possible(task_id: str) -> None:
    """Have the model in the scene, as one step of undo."""
    session = app().session
    request = session.imports.requests[task_id]
    if _is_too_large(request):
        session.imports.ask(task_id)
        session.needs_redraw = True
        text = Text("{why} It waits for a press of Import Anyway.", why=too_large(request))
        session.files.tell(task_id, text, trouble=False)
        return
    with bpy.context.temp_override(**_context_for(task_id, request)):
        reason = importing.blocked_by()
        session.needs_redraw |= reason != request.waits_for
        request.waits_for = reason
        if reason:
            return
        del session.imports.requests[task_id]
        session.needs_redraw = True
        try:
            # The second argument asks for the step of undo, which a call from a script does not get otherwise.
            select = not request.automatic
            bpy.ops.rodin.import_model("EXEC_DEFAULT", True, task_id=task_id, select=select, **request.options)
        except RuntimeError as error:
            why = Text("{why} Open Folder shows the files.", why=importing.reason_of(error))
            session.files.tell(task_id, why, trouble=True)
