# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `import`: models of the list, of a batch's results or of files, into a new .blend file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..service.errors import BadInput
from ..service.files import MODEL_KINDS, models
from ..storage import task_folder
from ..tasks.task import Status, Task
from . import results
from .downloading import fetch, raise_if_any
from .following import Ended, opened
from .host import Host, Import
from .named import Named, listed
from .output import Exit, Output


def run(host: Host, output: Output, given: Namespace) -> Exit:
    if host.import_models is None:
        raise BadInput("import needs Blender: blender --background --command rodin import …")
    if given.save.suffix != ".blend":
        raise BadInput(f"--save takes the name of a .blend file, and {given.save} is none.")
    paths = [word for word in given.tasks if Path(word).suffix.lower() in MODEL_KINDS and Path(word).is_file()]
    found: list[tuple[Task | None, Path]] = [(None, Path(word).absolute()) for word in paths]
    words = [word for word in given.tasks if word not in paths]
    if words:
        tasks = _of_batch(given.results, words) if given.results else _of_list(host, output, words)
        advice = "Run `batch` again, which fetches what is missing." if given.results else "Run `download` for it."
        found += ((task, _model(task, advice)) for task in tasks)
    how = Import(given.save.absolute(), given.height, given.asset, given.thumbnail and given.thumbnail.absolute())
    host.import_models(found, how)
    for of, path in found:
        name = of.name if of else path.stem
        members = {"name": name, "model": str(path), "blend": str(how.blend), "task_id": of.task_id if of else ""}
        output.tell("import", f"{name}  in {how.blend}", **members)
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
        name, why = next(iter(found.items()), ("", ""))
        what = f"'{name}' in {task.folder}: {why} {advice}"
        if not name:
            what = f"there is no model among its files in {task.folder}."
        raise Ended(Exit.TROUBLE, f"'{task.name}': {what}")
    return model


def _model_or_none(task: Task) -> Path | None:
    """The best model of a task that is on the disk and whole."""
    folder = Path(task.folder)
    return next((folder / file.name for file in models(task.files) if not task_folder.trouble(folder, file)), None)
