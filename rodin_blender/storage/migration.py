# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier versions kept in the extension's own folder is brought into the user's folder, once and whole.

Tasks move in one transaction of both lists, so that each is in exactly one, whenever the program is killed. Files are
linked, or copied and synced, before that, and leave the old place only after it. A run that is cut short is
gone on with at the next start. For a worker.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from ..service.errors import os_reason
from ..tasks.task import Task
from ..texts.text import Text, Trouble
from . import folders, locks, private_files, rows
from .database import StoreError, store_errors
from .locks import Locked
from .store import LOCK_TIMEOUT, Store

_LOCK = "takeover.lock"
_NOT_MOVED = ("tasks.sqlite", "tasks.sqlite-journal", "tasks.lock.sqlite", "tasks.new.sqlite", _LOCK)
"""What is no file of the user's, or moves as tasks do."""
_DOWNLOADING = ".lock"
"""What is locked in a task's folder while files are saved into it."""
_UNFINISHED = ".taken-over."
"""What the name of a copy begins with while it is made."""


def migrate(places: Iterable[Path], folder: Path) -> list[Text]:
    """Bring what lies in old places into the user's folder. Returns news for the user.

    What another Blender is bringing is left to it.
    """
    news: list[Text] = []
    for place in places:
        try:
            if _holds_anything(place) and not _same(place, folder):
                with locks.acquire(place / _LOCK, LOCK_TIMEOUT):
                    news += _migrate_folder(place, folder)
        except Locked:
            continue
        except (StoreError, OSError) as error:
            reason = _reason(error) if isinstance(error, OSError) else error.trouble
            news.append(_left_text(place, reason))
    return news


def _migrate_folder(place: Path, folder: Path) -> Iterator[Text]:
    old_list, new_list = folders.list_path(place), folders.list_path(folder)
    damage = None
    if old_list.exists():
        # Opening puts a damaged list right, and brings one of an old schema to the present one.
        with closing(Store(old_list, has_copy=False)) as store:
            damage = store.damage_text(folder)
    with closing(Store(new_list)):
        pass
    moved, trouble = _copy_all(place, folder)
    count = _move_tasks(old_list, new_list, {str(source): target for source, target in moved.items()})
    for source in moved:
        _remove(source, moved[source])
    _remove_if_empty(folders.downloads(place))
    if damage:
        yield damage
    if trouble:
        yield _left_text(place, trouble)
    elif count or moved:
        tasks = Text("1 task") if count == 1 else Text("{count} tasks", count=count)
        text = "What Rodin kept in {place} now lies in {folder}, where it outlives the extension: {tasks}, all files."
        yield Text(text, place=str(place), folder=str(folder), tasks=tasks)


def _left_text(place: Path, reason: Text | Trouble) -> Text:
    return Text(
        "Some of what Rodin kept in {place} could not be brought from there: {reason} It is tried again at the next "
        "start. Do not uninstall the extension before, since that deletes the folder.",
        place=str(place),
        reason=reason,
    )


def _reason(error: OSError) -> Text:
    return Text("{reason}.", reason=os_reason(error))


def _holds_anything(place: Path) -> bool:
    """Whether there is something to bring, found out without a change."""
    if not place.is_dir():
        return False
    if any(path.name not in _NOT_MOVED for path in place.iterdir()):
        return True
    path = folders.list_path(place)
    if not path.exists():
        return False
    if Path(f"{path}-journal").exists():
        return True
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return bool(db.execute("SELECT count(*) FROM task").fetchone()[0])
    except sqlite3.Error:
        return path.stat().st_size > 0


def _same(place: Path, folder: Path) -> bool:
    return folder.exists() and place.samefile(folder)


# Tasks.


def _move_tasks(old_list: Path, new_list: Path, moved: dict[str, Path]) -> int:
    """Move all tasks from one list to the other, and have them know where their folders are now. Returns how many.

    Raises StoreError.
    """
    with store_errors(new_list), closing(sqlite3.connect(new_list, timeout=LOCK_TIMEOUT, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        there = old_list.exists()
        if there:
            db.execute("ATTACH ? AS old", (str(old_list),))
            db.execute("PRAGMA old.synchronous = FULL")
            # A key that has left is not to be read from the old file any more.
            db.execute("PRAGMA old.secure_delete = ON")
        db.execute("BEGIN IMMEDIATE")
        try:
            count = _merge(db) if there else 0
            for task_id, path in db.execute("SELECT task_id, folder FROM task WHERE folder != ''").fetchall():
                target = _target_of(path, moved)
                if target:
                    db.execute("UPDATE task SET folder = ? WHERE task_id = ?", (str(target), task_id))
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        return count


def _target_of(path: str, moved: dict[str, Path]) -> Path | None:
    if path in moved:
        return moved[path]
    # The same folder by another way, such as a link to the user's home. The disk is asked only where the name fits.
    name = Path(path).name
    for source, target in moved.items():
        if Path(source).name == name and os.path.realpath(path) == os.path.realpath(source):
            return target
    return None


def _merge(db: sqlite3.Connection) -> int:
    """Move the rows of old.task to main.task. Returns how many."""
    columns = {row[1] for row in db.execute("PRAGMA main.table_info(task)")} - {"claim", "claimed_until"}
    shared = ", ".join(row[1] for row in db.execute("PRAGMA old.table_info(task)") if row[1] in columns)
    found = db.execute(f"SELECT {rows.SELECTED} FROM old.task ORDER BY rowid").fetchall()
    for values in found:
        task = rows.task(values)
        key = task.subscription_key.reveal()
        query = f"SELECT {rows.SELECTED} FROM main.task WHERE subscription_key = ? OR task_id = ?"
        stored = [rows.task(row) for row in db.execute(query, (key, task.task_id))]
        same = next((other for other in stored if key and other.subscription_key == task.subscription_key), None)
        if same:
            changed = rows.row(_merged(same, task))
            marks = ", ".join(f"{column} = :{column}" for column in rows.COLUMNS)
            db.execute(f"UPDATE main.task SET {marks} WHERE task_id = :task_id", changed)
            continue
        if stored:
            # Another task has the same id.
            new_id = {"new": secrets.token_hex(4), "old": task.task_id}
            db.execute("UPDATE old.task SET task_id = :new WHERE task_id = :old", new_id)
            task = replace(task, task_id=new_id["new"])
        # The row goes over as it stands, with words that this version may not know.
        db.execute(
            f"INSERT INTO main.task ({shared}) SELECT {shared} FROM old.task WHERE task_id = ?", (task.task_id,)
        )
    db.execute("DELETE FROM old.task")
    return len(found)


def _merged(stored: Task, other: Task) -> Task:
    """A task that both lists have."""
    if other.status.final and not stored.status.final:
        stored = replace(other, task_id=stored.task_id, name=stored.name, folder=stored.folder, files=stored.files,
                         download=stored.download, task_uuid=stored.task_uuid)  # fmt: skip
    if not stored.folder:
        stored = replace(stored, folder=other.folder, files=other.files, download=other.download)
    return replace(stored, task_uuid=stored.task_uuid or other.task_uuid)


# Files.


def _copy_all(place: Path, folder: Path) -> tuple[dict[Path, Path], Text | None]:
    """Have copies of all files in the user's folder. Returns them by what they are copies of, and what went wrong."""
    moved: dict[Path, Path] = {}
    trouble: Text | None = None
    old_downloads = folders.downloads(place)
    for source in (*_entries(old_downloads), *_entries(place)):
        if source == old_downloads or source.name in _NOT_MOVED:
            continue
        parent = folders.downloads(folder) if source.parent == old_downloads else folder
        try:
            with ExitStack() as stack:
                if source.parent == old_downloads and source.is_dir():
                    stack.enter_context(locks.acquire(source / _DOWNLOADING))
                moved[source] = _copied(source, parent)
        except Locked:
            trouble = trouble or Text("another Blender is downloading into {name}.", name=source.name)
        except OSError as error:
            trouble = trouble or Text("{name}: {reason}.", name=source.name, reason=os_reason(error))
    return moved, trouble


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != _DOWNLOADING) if folder.is_dir() else []


def _copied(source: Path, parent: Path) -> Path:
    """A copy of a file or folder in `parent`, synced. It is the one of an earlier run, where that was cut short."""
    number, target = 1, parent / source.name
    while not _fits(source, target):
        number += 1
        target = parent / f"{source.stem}-{number}{source.suffix}"
    parent.mkdir(parents=True, exist_ok=True)
    _copy(source, target)
    private_files.sync_folder(parent)
    return target


def _fits(source: Path, target: Path) -> bool:
    """Whether a copy can be made there: of what is there already, nothing differs."""
    if not os.path.lexists(target):
        return True
    if source.is_dir() and not source.is_symlink():
        return target.is_dir() and all(_fits(path, target / path.name) for path in _entries(source))
    return target.is_file() and source.is_file() and filecmp.cmp(source, target, shallow=False)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        for path in _entries(source):
            _copy(path, target / path.name)
        private_files.sync_folder(target)
        return
    if os.path.lexists(target):
        return
    with suppress(OSError):
        if not source.is_symlink():
            os.link(source, target)
            return
    # What is a link, or lies on another file system or on one without links, is copied. A run that was killed may have
    # left the same name.
    part = target.with_name(f"{_UNFINISHED}{hashlib.sha256(os.fsencode(source)).hexdigest()[:8]}")
    part.unlink(missing_ok=True)
    try:
        if source.is_symlink():
            part.symlink_to(source.readlink())
        else:
            # A file that only the user may read stays so at each moment.
            os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o600))
            shutil.copy2(source, part)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _remove(source: Path, copy: Path) -> None:
    """Remove what has a copy. What came meanwhile stays, and so does what is in use: it has its copy."""
    with suppress(OSError):
        if source.is_dir() and not source.is_symlink():
            for path in _entries(source):
                if os.path.lexists(copy / path.name):
                    _remove(path, copy / path.name)
            source.rmdir()
        else:
            source.unlink()


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
