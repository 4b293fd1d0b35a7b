# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender --command rodin …`: the command line with this Blender's settings, its list of tasks and its importers.

A command has no window that it could hold up, so here the main thread may wait and read files.
"""

from __future__ import annotations

import errno
import platform
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import bpy

from ..configuration import Setting
from ..service.errors import BadInput
from ..service.files import PREVIEW, preview
from ..storage.model_file import triangles
from ..tasks.task import Task
from ..texts.text import Text
from . import hand_off, importing, thumbnail
from .app import app
from .importing import textures
from .settings import folders, network

if TYPE_CHECKING:
    # Only type checkers import these: a window that never runs a command does not pay for them.
    from types import FrameType

    from ..command_line.host import Host, Import, Imported

SPACE = 0.2
"""Of a model's width, between it and the next one."""


def _host() -> Host:
    from ..command_line.host import Host, Key, extension_version

    file_trouble = ""
    try:
        app().studio_files.read_now()
    except BadInput as error:
        file_trouble = str(error)
    for text in folders.migration_work()():
        sys.stderr.write(f"{text}\n")
    app().api_key.read_now()
    key = Key(app().api_key.find_known)

    def resolve(name: str) -> Setting:
        return key.setting() if name == "api_key" else app().settings.resolve(name)

    return Host(
        "blender --command rodin",
        resolve,
        folders.user_folder(),
        {"Rodin": extension_version(), "Blender": bpy.app.version_string, "Python": platform.python_version()},
        network.offline(),
        network.timeout(),
        _import_models,
        key.renew,
        app().studio_files.values,
        file_trouble,
        hand_off.operator_named,
        network.connection_limit(),
    )


def _import_models(found: list[tuple[Task | None, Path]], how: Import, imported: Imported) -> list[str]:
    """Into a new file, side by side; the catalog of assets is noted as that is saved. See `command_line.host.Importer`.

    One that cannot be imported keeps no other from it.
    """
    bpy.ops.wm.read_homefile(use_empty=True)
    made: list[importing.Imported] = []
    reasons, x = [], 0.0
    for task, path in found:
        try:
            model = _import_model(task, path, how)
        except (BadInput, RuntimeError) as error:
            model = None
            reasons.append(str(error if isinstance(error, BadInput) else importing.reason_of(error)))
        if _interrupt.pressed:
            raise KeyboardInterrupt
        if model is None:
            continue
        reasons.append("")
        low, high = importing.extent(model.objects, axis=0)
        if made:
            importing.move(model.collection, (x - low, 0.0, 0.0))
            high += x - low
        x = high + SPACE * max(high - low, 0.0)
        made.append(model)
        if task:
            imported(task, model.collection)
    if made:
        _save(made, how)
    return reasons


def _import_model(task: Task | None, path: Path, how: Import) -> importing.Imported:
    """Raises BadInput."""
    settings = app().settings
    limit = int(settings.value("import_max_triangles")) if how.max_triangles is None else how.max_triangles
    count = triangles(path) or 0
    if 0 < limit < count:
        text = (
            "'{file}' has {count:n} triangles, more than the {limit:n} that are allowed. "
            "Give --max-triangles {count} (0 for no limit), or set import_max_triangles."
        )
        raise BadInput(Text(text, file=path.name, count=count, limit=limit))
    height = float(settings.value("import_height")) if how.height is None else how.height
    merge = float(settings.value("import_merge_distance")) if how.merge_distance is None else how.merge_distance
    picture = Path(task.folder) / preview(task.files) if task else path.with_name(PREVIEW)
    # The startup file's units may be others than meters.
    units = importing.units_of_a_meter(bpy.context.scene)
    return importing.import_file(
        str(path),
        name=settings.collection_name(task) if task else path.stem,
        task_uuid=task.task_uuid if task else "",
        height=height * units,
        as_asset=bool(settings.value("import_as_asset")) if how.as_asset is None else how.as_asset,
        preview=str(picture) if picture.is_file() else "",
        description=task.prompt if task else "",
        companions=bool(settings.value("import_companions")),
        join=bool(settings.value("import_join")) if how.join is None else how.join,
        merge_distance=merge * units,
    )


def _save(made: list[importing.Imported], how: Import) -> None:
    """Raises BadInput without Cycles, or where textures cannot be saved beside the file; OSError."""
    path = how.blend
    if (how.textures or app().settings.value("import_textures")) == "BESIDE":
        packed = textures.packed(image for model in made for image in model.images)
        saved, trouble = textures.save(path.parent / textures.FOLDER, packed)
        if trouble:
            raise BadInput(trouble)
        textures.refer(saved, path)
    try:
        # No path is relative to anything yet but those of the textures, which are to the new file.
        bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False, relative_remap=False)
        if how.thumbnail:
            path = how.thumbnail
            thumbnail.render([model.collection for model in made], path)
    except thumbnail.NoCycles as error:
        raise BadInput(str(error)) from None
    except RuntimeError as error:
        if _interrupt.pressed:
            raise KeyboardInterrupt from None
        raise OSError(errno.EIO, str(importing.reason_of(error)).rstrip("."), str(path)) from None


class _Interrupt:
    """Ctrl+C, which is remembered: an operator makes an error of its own of a KeyboardInterrupt."""

    pressed = False

    def __call__(self, number: int, frame: FrameType | None) -> NoReturn:
        self.pressed = True
        raise KeyboardInterrupt


_interrupt = _Interrupt()


def _run(words: list[str]) -> int:
    from ..command_line import main

    # As in plain Python: Blender keeps Ctrl+C for itself, and in 4.3 a closed connection ends it. The program
    # ends with the command, so nothing needs to be put back.
    signal.signal(signal.SIGINT, _interrupt)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return main.run(words, _host, own_process=True)


def register() -> None:
    app().command = bpy.utils.register_cli_command("rodin", _run)


def unregister() -> None:
    bpy.utils.unregister_cli_command(app().command)
