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
from . import hooks, results, write_checks
from .downloading import fetch
from .following import CommandEnd, open_store
from .host import Host, Import
from .output import Exit, Output, describe
from .task_lookup import TaskLookup, lookup


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
    # The paths are checked before anything is downloaded.
    template = template_of(host.resolve("blend_template"), "blend_template")
    named_by_task = how.blend.is_dir()
    if named_by_task:
        write_checks.check_folder(how.blend)
    else:
        write_checks.check_file(how.blend, "--save", ".blend")
    if how.thumbnail:
        write_checks.check_file(how.thumbnail, "--thumbnail", ".png")
    paths = [word for word in given.tasks if Path(word).suffix.lower() in MODEL_KINDS and Path(word).is_file()]
    words = [word for word in given.tasks if word not in paths]
    troubles: dict[str, tuple[Exit, str]] = {}
    tasks: list[Task] = []
    if words and given.results:
        tasks = _of_batch(given.results, words)
    elif words:
        tasks, troubles = _of_list(host, output, words)
    found: list[tuple[Task | None, Path]] = [(None, Path(word).absolute()) for word in paths]
    advice = "Run `batch` again, which fetches what is missing." if given.results else "Run `download` for it."
    for task in tasks:
        try:
            if task.task_id not in troubles:
                found.append((task, _model(task, advice)))
        except CommandEnd as error:
            troubles[task.task_id] = error.code, str(error)
    failed = [(task, "", *troubles[task.task_id]) for task in tasks if task.task_id in troubles]
    if named_by_task and found:
        first = found[0][0] or Task("", found[0][1].stem, Secret(""))
        how = replace(how, blend=how.blend / blend_name(template, first))
        write_checks.check_file(how.blend, "--save", ".blend")
    reasons = host.import_models(found, how, partial(hooks.call, output, handlers.import_done)) if found else []
    for (of, path), reason in zip(found, reasons, strict=True):
        task = of or Task("", path.stem, Secret(""))
        if reason:
            failed.append((task, str(path), Exit.USAGE, f"'{task.name}' was not imported: {reason}"))
        else:
            made = {"model": str(path), "blend": str(how.blend), "thumbnail": str(how.thumbnail or ""), "text": ""}
            output.result("import", f"{task.name}  in {how.blend}", **describe(task) | made)
    for task, model, _, text in failed:
        none = {"model": model, "blend": "", "thumbnail": "", "text": text}
        output.tell("import", text, **describe(task) | none)
    if failed:
        count = reasons.count("")
        others = f" The other {count} are in {how.blend}." if count else ""
        text = " ".join(text for *_, text in failed)
        raise CommandEnd(max(code for _, _, code, _ in failed), f"{text}{others}")
    return Exit.DONE


def _of_list(host: Host, output: Output, words: list[str]) -> tuple[list[Task], dict[str, tuple[Exit, str]]]:
    """Tasks to import, downloaded if need be, and by their ids why some could not be. Raises BadInput, CommandEnd."""
    with open_store(host.list_path, output) as store:
        wanted = lookup(store, words)
    missing = [task for task in wanted if not _model_or_none(task)]
    if not missing:
        # The folder of the downloads may be one that only a .blend file tells.
        return wanted, {}
    troubles = fetch(host, output, missing, host.downloads)
    with open_store(host.list_path, output) as store:
        kept = {task.task_id: task for task in store.tasks()}
    return [kept.get(task.task_id, task) for task in wanted], troubles


def _of_batch(path: Path, words: list[str]) -> list[Task]:
    """The same of a batch's results; nothing is downloaded. Raises BadInput."""
    tasks = TaskLookup(results.read(path), str(path))
    return [tasks.task(word) for word in words]


def _model(task: Task, advice: str) -> Path:
    """The best model of a task. Raises CommandEnd."""
    if task.status is Status.FAILED:
        raise CommandEnd(Exit.FAILED, f"'{task.name}' failed, so there is nothing to import.")
    model = _model_or_none(task)
    if model is None:
        found = task_folder.troubles(task.folder, models(task.files))
        name, why = next(iter(found.items()), ("", None))
        what = f"'{name}' in {task.folder}: {why} {advice}"
        if not name:
            what = f"there is no model among its files in {task.folder}."
        raise CommandEnd(Exit.TROUBLE, f"'{task.name}': {what}")
    return model


def _model_or_none(task: Task) -> Path | None:
    """The best model of a task that is on the disk and whole."""
    folder = Path(task.folder)
    return next((folder / file.name for file in models(task.files) if not task_folder.trouble(folder, file)), None)
