# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `files`: what was downloaded, how old it is, whether it is as it was saved, and how it leaves the disk.

Deleted is only what the list names as downloaded, and of that only what is still as it was saved: what somebody has
changed since, such as a repainted texture, stays. Tasks stay in the list.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..service.errors import BadInput
from ..service.files import SavedFile
from ..storage.store import Store
from ..storage.task_folder import FolderLocked, difference, remove
from ..tasks.task import Download, Task, without_files
from ..texts.wording import duration_text, size_text
from .following import CommandEnd, open_store
from .host import Host
from .output import Exit, Output
from .task_lookup import lookup


@dataclass(frozen=True)
class _Found:
    """A task's files as they lie on the disk. `age` is that of the youngest, in seconds; None where none is there."""

    task: Task
    size: int
    age: float | None
    wrong: Mapping[str, str] = field(default_factory=dict)
    """How files are not as they were saved, by name, where that was looked at."""
    deleted: tuple[str, ...] = ()
    freed: int = 0
    trouble: str = ""

    @property
    def members(self) -> dict[str, Any]:
        return {
            "task_id": self.task.task_id,
            "name": self.task.name,
            "folder": self.task.folder,
            "files": len(self.task.files),
            "size": self.size,
            "age": self.age,
            "wrong": dict(self.wrong),
            "deleted": list(self.deleted),
            "freed": self.freed,
            "trouble": self.trouble,
        }

    def line(self, *, dry: bool) -> str:
        age = "gone" if self.age is None else f"{duration_text(self.age)} old"
        parts = [self.task.task_id, self.task.name, f"{len(self.task.files)} files", size_text(self.size), age]
        if self.deleted:
            parts.append(f"{size_text(self.freed)} {'would be ' if dry else ''}deleted")
        parts += (f"'{name}': {why}" for name, why in self.wrong.items())
        return "  ".join([*parts, self.trouble or f"in {self.task.folder}"])


def run(host: Host, output: Output, given: Namespace) -> Exit:
    """Raises BadInput, CommandEnd where files are not as they were saved, or could not be deleted."""
    if given.dry_run and not given.delete:
        raise BadInput("--dry-run belongs to --delete.")
    if given.delete and not given.tasks and given.older_than is None:
        raise BadInput("--delete would take all that was ever downloaded: name tasks, or give --older-than 30d.")
    host = host.of_batch(given.batch)
    now = time.time()
    found: list[_Found] = []
    with open_store(host.list_path, output) as store:
        tasks = lookup(store, given.tasks) if given.tasks else store.tasks()
        for task in tasks:
            if not task.files:
                continue
            one = _inspect(task, now, read=given.verify or given.delete)
            if given.older_than is not None and (one.age is None or one.age < given.older_than):
                continue
            if given.delete:
                one = _delete(store, one, dry=given.dry_run)
            found.append(one)
            output.tell("files", one.line(dry=given.dry_run), **one.members)
    output.live(_summary(found, given), now)
    if any(one.trouble for one in found):
        raise CommandEnd(Exit.TROUBLE, "Not everything could be deleted.")
    if given.verify and any(one.wrong for one in found):
        way = "`download TASK --again` fetches them anew"
        if given.batch:
            way = "Run again, `batch` fetches what is gone, empty or cut"
        advice = f"{way}, while the service has them."
        raise CommandEnd(Exit.TROUBLE, f"Files are not as they were saved. {advice}")
    return Exit.DONE


def _summary(found: list[_Found], given: Namespace) -> str:
    text = f"{len(found)} tasks have {size_text(sum(one.size for one in found))} of files."
    if given.delete:
        done = "would be deleted" if given.dry_run else "were deleted"
        text += f" {size_text(sum(one.freed for one in found))} {done}."
    return text


def _inspect(task: Task, now: float, *, read: bool) -> _Found:
    folder, size, youngest = Path(task.folder), 0, None
    for file in task.files:
        try:
            state = (folder / file.name).stat()
        except OSError:
            continue
        size += state.st_size
        youngest = max(youngest or 0.0, state.st_mtime)
    wrong = {file.name: str(why) for file in task.files if (why := difference(folder, file))} if read else {}
    # A file with a time in the future was written while the clock was ahead.
    return _Found(task, size, None if youngest is None else max(now - youngest, 0.0), wrong)


def _delete(store: Store, found: _Found, *, dry: bool) -> _Found:
    """Delete what is as it was saved. What is gone already leaves the task's files, too. Raises StoreError."""
    task, folder = found.task, Path(found.task.folder)
    if task.download is Download.WANTED:
        return replace(found, trouble="It is being downloaded: cancel that first.")
    going = [file for file in task.files if file.name not in found.wrong]
    freed = sum(file.size for file in going)
    if dry:
        return replace(found, deleted=tuple(file.name for file in going), freed=freed)
    try:
        freed, reasons = remove(folder, [file.name for file in going])
    except FolderLocked as error:
        return replace(found, trouble=str(error))
    left = tuple(file for file in task.files if file.name in reasons or _is_there(folder, file))
    store.change(task.task_id, partial(without_files, left=left))
    trouble = " ".join(f"'{name}' in {folder} could not be deleted: {why}." for name, why in reasons.items())
    deleted = tuple(file.name for file in going if file.name not in reasons)
    return replace(found, deleted=deleted, freed=freed, trouble=trouble)


def _is_there(folder: Path, file: SavedFile) -> bool:
    try:
        return (folder / file.name).exists()
    except OSError:
        return True
