# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `import`: models of the list, of a batch's results or of files, into a new .blend file."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

from .. import handlers
from ..configuration import template_of
from ..service.errors import BadInput
from ..service.files import MODEL_KINDS, models
from ..service.keys import Secret
from ..storage import task_folder
from ..tasks.task import Status, Task
from ..tasks.templates import blend_name
from . import hooks, places, results
from .downloading import fetch, raise_if_any
from .following import Ended, opened
from .host import Host, Import
from .named import Named, listed
from .output import Exit, Output, describe


def run(host: Host, output: Output, given: Namespace) -> Exit:
    if host.import_models is None:
        raise BadInput("import needs Blender: blender --background --command rodin import …")
    how = Import(
        given.save.absolute(),
        given.height,
        given.asset,
        given.thumbnail and given.thumbnail.absolute(),
        given.join,
        given.merge_distance,
        given.textures and given.textures.upper(),
        given.max_triangles,
    )
    # Before anything is downloaded.
    template = template_of(host.resolve("blend_template"), "blend_template")
    named_by_task = how.blend.is_dir()
    if not named_by_task:
        places.check_file(how.blend, "--save", ".blend")
    if how.thumbnail:
        places.check_file(how.thumbnail, "--thumbnail", ".png")
    troubles: list[str] = []
    paths = [word for word in given.tasks if Path(word).suffix.lower() in MODEL_KINDS and Path(word).is_file()]
    found: list[tuple[Task | None, Path]] = [(None, Path(word).absolute()) for word in paths]
    words = [word for word in given.tasks if word not in paths]
    if words:
        tasks = _of_batch(given.results, words) if given.results else _of_list(host, output, words)
        advice = "Run `batch` again, which fetches what is missing." if given.results else "Run `download` for it."
        found += ((task, _model(task, advice)) for task in tasks)
    if named_by_task:
        first = found[0][0] or Task("", found[0][1].stem, Secret(""))
        how = replace(how, blend=how.blend / blend_name(template, first))
        places.check_file(how.blend, "--save", ".blend")
    reasons = host.import_models(found, how, partial(hooks.call, output, handlers.import_done))
    for (of, path), reason in zip(found, reasons, strict=True):
        task = of or Task("", path.stem, Secret(""))
        made = {"blend": str(how.blend), "thumbnail": str(how.thumbnail or "")} if not reason else {}
        members = {**describe(task), "model": str(path), "blend": "", "thumbnail": "", **made, "text": reason}
        told = output.tell if reason else output.result
        told("import", f"{task.name}  {reason or f'in {how.blend}'}", **members)
        if reason:
            troubles.append(f"'{task.name}' was not imported: {reason}")
    if troubles:
        others = f" The other {len(found) - len(troubles)} are in {how.blend}." if len(found) > len(troubles) else ""
        raise Ended(Exit.USAGE, f"{' '.join(troubles)}{others}")
    return Exit.DONE


def _of_list(host: Host, output: Output, words: list[str]) -> list[Task]:
    """Tasks to import, downloaded if need be. Raises BadInput, Ended."""
    with opened(host.list_path, output) as store:
        wanted = listed(store, words)
    missing = [task for task in wanted if not _model_or_none(task)]
    raise_if_any(fetch(host, output, missing, host.downloads))
    with opened(host.list_path, output) as store:
        return listed(store, [task.task_id for task in wanted])


def _of_batch(path: Path, words: list[str]) -> list[Task]:
    """The same of a batch's results; nothing is downloaded. Raises BadInput, Ended."""
    tasks = Named(results.read(path), str(path))
    found = []
    for word in words:
        task = tasks.task(word)
        if task.status is Status.FAILED:
            raise Ended(Exit.FAILED, f"'{task.name}' failed, so there is nothing to import.")
        found.append(task)
    return found


def _model(task: Task, advice: str) -> Path:
    """The best model of a task. Raises Ended."""
    model = _model_or_none(task)
    if model is None:
        found = task_folder.troubles(task.folder, models(task.files))
        name, why = next(iter(found.items()), ("", None))
        what = f"'{name}' in {task.folder}: {why} {advice}"
        if not name:
            what = f"there is no model among its files in {task.folder}."
        raise Ended(Exit.TROUBLE, f"'{task.name}': {what}")
    return model


def _model_or_none(task: Task) -> Path | None:
    """The best model of a task that is on the disk and whole."""
    folder = Path(task.folder)
    return next((folder / file.name for file in models(task.files) if not task_folder.trouble(folder, file)), None)
