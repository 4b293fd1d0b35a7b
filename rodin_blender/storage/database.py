# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQLite file of tasks: its schema, how it is opened, and what its errors mean to a user."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..service.errors import RodinError
from ..tasks.task import Status, Watch
from ..texts.actions import Action
from ..texts.text import Text
from . import rows
from .disk import write_reason
from .locks import Locked

OLDEST_READER = 7
"""The oldest schema version whose code may use a file that this version wrote."""

_SCHEMA = (
    """
    CREATE TABLE task (
        task_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        subscription_key TEXT UNIQUE,
        task_uuid TEXT NOT NULL,
        status TEXT NOT NULL,
        jobs TEXT NOT NULL,
        watch TEXT NOT NULL,
        trouble TEXT NOT NULL,
        tracked_at REAL NOT NULL,
        finished_at REAL NOT NULL,
        checked_at REAL NOT NULL,
        next_check_at REAL NOT NULL,
        interval REAL NOT NULL,
        failures INTEGER NOT NULL,
        watched REAL NOT NULL,
        folder TEXT NOT NULL DEFAULT '',
        files TEXT NOT NULL DEFAULT '[]',
        download TEXT NOT NULL DEFAULT '',
        took REAL NOT NULL DEFAULT 0,
        kind TEXT NOT NULL DEFAULT '',
        parent TEXT NOT NULL DEFAULT '',
        prompt TEXT NOT NULL DEFAULT '',
        options TEXT NOT NULL DEFAULT '{}',
        pictures TEXT NOT NULL DEFAULT '[]',
        placement TEXT NOT NULL DEFAULT '',
        price REAL NOT NULL DEFAULT 0,
        credits REAL,
        claim TEXT NOT NULL DEFAULT '',
        claimed_until REAL NOT NULL DEFAULT 0
    ) STRICT
    """,
    "CREATE TABLE request (at REAL NOT NULL) STRICT",
    "CREATE TABLE hold (until REAL NOT NULL, since REAL NOT NULL DEFAULT 0) STRICT",
    "CREATE TABLE reader (oldest INTEGER NOT NULL) STRICT",
)
"""The schema as a new file gets it. A task that has no subscription key yet has NULL there."""


def _make_schema(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        db.execute(statement)


def _migrate_first_schemas(db: sqlite3.Connection) -> None:
    """Bring a list of a snapshot of 0.1.0, schema versions 1 to 5, to the present one.

    The table is made anew since SQLite cannot take NOT NULL from a column.
    """
    _migrate_messages(db)
    columns = {row[1] for row in db.execute("PRAGMA table_info(hold)")}
    holds = db.execute(f"SELECT until, {'since' if 'since' in columns else '0.0'} FROM hold").fetchall()
    requests = db.execute("SELECT at FROM request").fetchall()
    db.execute("DROP INDEX IF EXISTS followed")
    db.execute("ALTER TABLE task RENAME TO old_task")
    db.execute("DROP TABLE hold")
    db.execute("DROP TABLE request")
    _make_schema(db)
    kept = {row[1] for row in db.execute("PRAGMA table_info(task)")}
    shared = ", ".join(row[1] for row in db.execute("PRAGMA table_info(old_task)") if row[1] in kept)
    db.execute(f"INSERT INTO task ({shared}) SELECT {shared} FROM old_task ORDER BY rowid")
    db.execute("DROP TABLE old_task")
    db.executemany("INSERT INTO hold (until, since) VALUES (?, ?)", holds)
    db.executemany("INSERT INTO request (at) VALUES (?)", requests)


def _migrate_messages(db: sqlite3.Connection) -> None:
    """Bring a list of version 6 to version 7. Its sentences stay: `rows` reads each as a text without fields."""
    db.execute("ALTER TABLE task RENAME COLUMN message TO trouble")


_MIGRATIONS: dict[int, tuple[int, Callable[[sqlite3.Connection], None]]] = {
    0: (7, _make_schema),
    **dict.fromkeys(range(1, 6), (7, _migrate_first_schemas)),
    6: (7, _migrate_messages),
}
"""What leads from each schema version (SQLite's `user_version`) to a later one. A change of the schema adds a row."""
VERSION = max(target for target, _ in _MIGRATIONS.values())

FOLLOWED = (
    f"subscription_key IS NOT NULL AND watch = '{Watch.FOLLOWING}' "
    f"AND status NOT IN {tuple(status.value for status in Status if status.final)}"
)
_INDEX = f"CREATE INDEX IF NOT EXISTS followed ON task (next_check_at) WHERE {FOLLOWED}"
"""For the tasks that are due. It belongs to no schema version: those that do not know of it keep it up all the same."""


class StoreError(RodinError):
    """The list of tasks cannot be read or written now; the sentence says why."""

    _code = "store"


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    # Made by us before SQLite opens it, so that no moment has it readable by others; the journal takes its mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = FULL")
        # Not the quick check: it leaves out the indexes, by which tasks are found.
        if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DataError("the check found damage")
        _migrate(db)
        db.execute(_INDEX)
        for row in db.execute(f"SELECT {rows.SELECTED} FROM task"):
            rows.task(row)
        # Fails where a table or column is not there, which no check of SQLite's tells.
        db.execute("SELECT claim, claimed_until, at, until, since FROM task, request, hold LIMIT 0")
    except BaseException:
        db.close()
        raise
    return db


def connect_or_none(path: Path, timeout: float) -> sqlite3.Connection | None:
    """None for a damaged file."""
    try:
        return connect(path, timeout)
    except UnicodeDecodeError:
        return None  # Damage in a name that SQLite's error quotes.
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return None


def _migrate(db: sqlite3.Connection) -> None:
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        while (version := _version(db)) < VERSION:  # Read again: another Blender may have been first.
            target, migrate = _MIGRATIONS[version]
            migrate(db)
            db.execute(f"PRAGMA user_version = {target}")
        if version == VERSION:
            db.execute("DELETE FROM reader")
            db.execute("INSERT INTO reader (oldest) VALUES (?)", (OLDEST_READER,))
        elif db.execute("SELECT max(oldest) FROM reader").fetchone()[0] > VERSION:
            raise StoreError(
                "The list of tasks was written by a newer version of the Rodin extension, and is left as it is.",
                Action.UPDATE,
            )
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # No code: not from SQLite, but ours or the Python module's, such as for text that is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    # SQLITE_ERROR: a table or column that belongs to the file's schema version is not there.
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


_LOCKED = Text("another program holds it locked"), Action.CLOSE_BLENDERS
_DAMAGED = Text("it is damaged, and is set aside at the next start"), Action.RESTART
_REASONS: dict[int, tuple[Text, Action]] = {
    sqlite3.SQLITE_FULL: (Text("the disk is full"), Action.FREE_SPACE),
    sqlite3.SQLITE_IOERR: (Text("the disk reports an error, perhaps it is full"), Action.FREE_SPACE),
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_READONLY: (Text("it is read-only"), Action.ALLOW_WRITING),
    sqlite3.SQLITE_CANTOPEN: (Text("it cannot be opened"), Action.ALLOW_WRITING),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    0: _DAMAGED,
}


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    def unusable(reason: Text, *actions: Action) -> StoreError:
        return StoreError(
            Text("The list of tasks ({path}) cannot be used: {reason}.", path=str(path), reason=reason), *actions
        )

    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_READONLY_DBMOVED:
            raise unusable(Text("its file was just moved or deleted"), Action.TRY_AGAIN) from None
        if code & 0xFF in _REASONS:
            raise unusable(*_REASONS[code & 0xFF]) from None
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise unusable(Text("the database reports {error}", error=name)) from None
    except UnicodeDecodeError:  # From an error of SQLite that quotes what is damaged.
        raise unusable(*_DAMAGED) from None
    except Locked:
        raise unusable(*_LOCKED) from None
    except OSError as error:
        raise unusable(write_reason(error, path)) from None
