# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done about a damaged list: it is set aside, and what can still be read of it goes into a new one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..tasks.task import Task
from . import locks, rows

_MISSING = {
    "files": "'[]'", "took": "0.0", "options": "'{}'", "pictures": "'[]'", "price": "0.0", "credits": "NULL"
}  # fmt: skip
"""What stands in for a column that an older file does not have, where that is not an empty text."""


def lock(path: Path, timeout: float) -> AbstractContextManager[None]:
    """Keep other Blenders from setting aside the same file, or the one that has just been put in its place."""
    return locks.acquire(_beside(path, "lock"), timeout)


def replace_damaged(path: Path, write: Callable[[Path, list[Task]], None], copy: Path | None = None) -> Path | None:
    """Put a new file, with what could be salvaged, in the place of a damaged one.

    Returns where that one now lies, None where nothing was left of it. `write` makes a list at a path, with these
    tasks in it. `copy` is the second copy of the list, which has what the damaged file has no more.
    The new file is complete before the damaged one is moved, so that a full disk in between leaves all as it was.
    """
    new = _beside(path, "new")
    new.unlink(missing_ok=True)
    try:
        write(new, _merged(_salvaged(path), _salvaged(copy) if copy else []))
        aside = _set_aside(path) if path.exists() and path.stat().st_size else None
        try:
            new.replace(path)
        except OSError:
            # On Windows the rename fails while another Blender has the file open. All is put back, to be tried again.
            if aside and path.exists():
                aside.unlink()
            elif aside:
                aside.rename(path)
            raise
    finally:
        new.unlink(missing_ok=True)
        _beside(path, "new", "-journal").unlink(missing_ok=True)
    return aside


def _merged(tasks: list[Task], of_copy: list[Task]) -> list[Task]:
    """The tasks of a damaged list, and those that only its copy has still; oldest first."""
    by_id = {task.task_id: task for task in of_copy}
    # The list lacks a uuid that was damaged; its copy may have it.
    known = [replace(task, task_uuid=task.task_uuid or _uuid_of(by_id.get(task.task_id))) for task in tasks]
    ids = {task.task_id for task in known}
    keys = {task.subscription_key for task in known if task.subscription_key}
    missing = [task for task in of_copy if task.task_id not in ids and task.subscription_key not in keys]
    return sorted([*known, *missing], key=lambda task: task.tracked_at)


def _uuid_of(task: Task | None) -> str:
    return task.task_uuid if task else ""


def _beside(path: Path, kind: str, ending: str = "") -> Path:
    return path.with_name(f"{path.stem}.{kind}{path.suffix}{ending}")


def _set_aside(path: Path) -> Path:
    """Give a damaged file, and the journal that belongs to it, names that were free. Returns the file's.

    Where the disk can do it, the file stays under its old name too, so that there is always one to be found.
    """
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    number = 0
    while True:
        aside = _beside(path, f"damaged-{stamp}{f'-{number}' if number else ''}")
        if not aside.exists():
            break
        number += 1
    journal = Path(f"{path}-journal")
    if journal.exists():
        journal.rename(f"{aside}-journal")
    try:
        os.link(path, aside)
    except OSError:
        path.rename(aside)
    return aside


def _salvaged(path: Path) -> list[Task]:
    """The tasks of a damaged file that can still be read, oldest first."""
    tasks: dict[int, Task] = {}
    if not path.exists():
        return []
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(path)) as db:
        db.text_factory = lambda content: content.decode("utf-8", "replace")
        # For a file that is shorter than it says: without this SQLite refuses all of it.
        db.execute("PRAGMA writable_schema = ON")
        there = {row[1] for row in db.execute("PRAGMA table_info(task)")}
        # Before version 7 a trouble was a sentence in a column of another name.
        missing = {**_MISSING, "trouble": "message"} if "message" in there else _MISSING
        columns = ", ".join(column if column in there else missing.get(column, "''") for column in rows.COLUMNS)
        # From both ends, since reading stops at damage; one by one, since Python reads a row ahead and so loses one.
        for start, beyond, order in ((-1, ">", "ASC"), (2**62, "<", "DESC")):
            rowid = start
            query = f"SELECT rowid, {columns} FROM task WHERE rowid {beyond} ? ORDER BY rowid {order} LIMIT 1"
            with suppress(sqlite3.Error, UnicodeDecodeError):
                while found := db.execute(query, (rowid,)).fetchone():
                    before, (rowid, *row) = rowid, found
                    if rowid == before or (rowid > before) != (beyond == ">"):
                        break  # Damage that leads back, and so round and round.
                    with suppress(sqlite3.DataError):
                        found_task = rows.task(tuple(row))
                        # With a damaged key nothing can be asked; a task uuid the user can bring again.
                        if _is_sound(found_task.subscription_key.reveal()):
                            uuid = found_task.task_uuid if _is_sound(found_task.task_uuid) else ""
                            tasks[rowid] = replace(found_task, task_uuid=uuid)
    by_id = {tasks[rowid].task_id: tasks[rowid] for rowid in sorted(tasks)}
    return list(by_id.values())


def _is_sound(text: str) -> bool:
    """Whether a key or uuid is made of what they are made of. Bytes that are no text were replaced when it was read."""
    return text.isascii() and text.isprintable()
