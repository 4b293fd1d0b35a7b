# SPDX-License-Identifier: GPL-3.0-or-later
"""A second copy of the list beside it, for the day on which the list is destroyed.

It is made anew when the list was opened sound and has changed since the last time. A task that is forgotten leaves the
copy before it leaves the list, so that no rebuilt list brings it back.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from . import locks, private_files
from .locks import Locked


def path_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.copy{path.suffix}")


def is_all_there_is(path: Path) -> bool:
    """Whether there is nothing of a list any more but its copy."""
    try:
        gone = path.stat().st_size == 0
    except FileNotFoundError:
        gone = True
    return gone and path_of(path).exists()


def renew(path: Path, db: sqlite3.Connection) -> None:
    """Copy the open, sound list at `path`, unless it has not changed since. Raises sqlite3.Error and OSError."""
    copy = path_of(path)
    if _is_of(copy, path):
        return
    try:
        with locks.acquire(copy.with_name(f"{copy.name}.lock")):
            _renew(path, copy, db)
    except Locked:
        return  # Another Blender makes it.


def _renew(path: Path, copy: Path, db: sqlite3.Connection) -> None:
    # The lock of a reader is held until the copy stands: nobody forgets a task meanwhile, see `forget`.
    db.execute("BEGIN")
    try:
        db.execute("SELECT 1 FROM task LIMIT 1").fetchone()
        if not _is_of(copy, path):
            _replace(copy, db, path.stat().st_mtime_ns)
    finally:
        db.execute("ROLLBACK")


def _is_of(copy: Path, path: Path) -> bool:
    """Whether the list is as it was when it was copied.

    Its time of change tells: to look into the file is for SQLite alone, since closing it gives up SQLite's locks on it.
    """
    return copy.exists() and copy.stat().st_mtime_ns == path.stat().st_mtime_ns


def _replace(copy: Path, db: sqlite3.Connection, changed_at: int) -> None:
    new = copy.with_name(f"{copy.stem}-new{copy.suffix}")
    journal = Path(f"{new}-journal")
    try:
        # A run that was killed may have left these.
        new.unlink(missing_ok=True)
        journal.unlink(missing_ok=True)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as target:
            # The copy is synced once, at its end.
            target.execute("PRAGMA synchronous = OFF")
            db.backup(target)
            if target.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DataError("the copy is not sound")
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        os.utime(new, ns=(changed_at, changed_at))
        # A journal that a killed `forget` left there belongs to the copy before.
        Path(f"{copy}-journal").unlink(missing_ok=True)
        new.replace(copy)
    finally:
        new.unlink(missing_ok=True)
        journal.unlink(missing_ok=True)
    private_files.sync_folder(copy.parent)


def forget(path: Path, task_id: str) -> None:
    """Take a task out of the copy, for one who holds the list locked against readers. Raises OSError."""
    copy = path_of(path)
    if not copy.exists():
        return
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("DELETE FROM task WHERE task_id = ?", (task_id,))
    except sqlite3.Error:
        # No copy is better than one that remembers the task; the next start makes another.
        copy.unlink()
