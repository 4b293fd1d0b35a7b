# SPDX-License-Identifier: GPL-3.0-or-later
"""Every tracked task, on disk: the truth, shared by all Blenders of this user.

SQLite in its default rollback mode, which is also right on a network home folder. A change is on the disk when the
method returns. A store belongs to one thread (never the main one: it waits for the disk and for other Blenders).

Beside the tasks it holds what several Blenders must agree on: who checks which task (a *claim*, which lapses, so that
a killed Blender blocks nobody), and the requests of the last minute.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..service.answers import Job
from ..service.errors import RodinError, os_reason
from ..service.files import SavedFile
from ..service.keys import Secret
from ..tasks.schedule import CLOCK_SLACK, REQUESTS_PER_MINUTE
from ..tasks.task import Download, Status, Task, Watch

CLAIM_LASTS = 90.0
"""Seconds; longer than the longest call, see `tracker.LONGEST_CALL`."""
LOCK_TIMEOUT = 5.0
"""Seconds; shorter than `CLOCK_SLACK`."""

_MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE task (
        task_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        subscription_key TEXT NOT NULL UNIQUE,
        task_uuid TEXT NOT NULL,
        status TEXT NOT NULL,
        jobs TEXT NOT NULL,
        watch TEXT NOT NULL,
        message TEXT NOT NULL,
        tracked_at REAL NOT NULL,
        finished_at REAL NOT NULL,
        checked_at REAL NOT NULL,
        next_check_at REAL NOT NULL,
        interval REAL NOT NULL,
        failures INTEGER NOT NULL,
        watched REAL NOT NULL,
        claim TEXT NOT NULL DEFAULT '',
        claimed_until REAL NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE request (at REAL NOT NULL) STRICT;
    CREATE TABLE hold (until REAL NOT NULL) STRICT;
    """,
    "ALTER TABLE task ADD COLUMN folder TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE hold ADD COLUMN since REAL NOT NULL DEFAULT 0",
    """
    ALTER TABLE task ADD COLUMN files TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE task ADD COLUMN download TEXT NOT NULL DEFAULT ''
    """,
    "ALTER TABLE task ADD COLUMN took REAL NOT NULL DEFAULT 0",
)
"""Statements that lead from each schema version (SQLite's `user_version`) to the next. Only ever appended to."""

_COLUMNS = (
    "task_id", "name", "subscription_key", "task_uuid", "status", "jobs", "watch", "message", "tracked_at",
    "finished_at", "checked_at", "next_check_at", "interval", "failures", "watched", "folder",
    "files", "download", "took",
)  # fmt: skip


_FOLLOWED = f"watch = '{Watch.FOLLOWING}' AND status NOT IN {tuple(status.value for status in Status if status.final)}"
_IS_DUE = ("next_check_at <= :now", "CASE checked_at WHEN 0 THEN tracked_at ELSE checked_at END > :now + :slack")
"""What `schedule.is_due` says, for SQLite, since a list may be long: either of the two."""
_INDEX = f"CREATE INDEX IF NOT EXISTS followed ON task (next_check_at) WHERE {_FOLLOWED}"
"""For the first of them. It belongs to no schema version: those that do not know of it keep it up all the same."""

_MISSING = {"files": "'[]'", "took": "0.0"}
"""What stands in for a column that an older file does not have, where that is not an empty text."""

_TEXTS = ("task_id", "name", "subscription_key", "task_uuid", "message", "folder")
_NUMBERS = ("tracked_at", "finished_at", "checked_at", "next_check_at", "interval", "failures", "watched", "took")


class StoreError(RodinError):
    """The list of tasks cannot be read or written now; the sentence says why."""


@dataclass(frozen=True)
class Claim:
    """The right to check one task now. It is void once the task was forgotten or the claim lapsed and was taken."""

    task: Task
    token: str


class Store:
    """An open list of tasks. Raises StoreError from every method when the disk or the file is in the way."""

    def __init__(self, path: Path, patience: float | None = None) -> None:
        """Open or make the file at `path`, mode 0600, and bring it to the present schema.

        `patience` is how long to wait for other Blenders, in seconds, LOCK_TIMEOUT where it is not given.

        A damaged file is set aside, see `set_aside`, and what can still be read of it is in the new one. Raises
        StoreError, also for a file of a newer version of this extension, which stays as it is.
        """
        self.path = path
        self.set_aside: Path | None = None
        """Where a damaged file now lies; None when there was none. See `damage_text`."""
        self._version_seen = -1
        patience = LOCK_TIMEOUT if patience is None else patience
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            db = _opened_or_none(path, patience)
            if db is None:
                with _alone(path, patience):
                    db = _opened_or_none(path, patience)  # again: another Blender may have been first
                    if db is None:
                        self.set_aside = _replace_damaged(path)
                        db = _opened(path, patience)
            self._db = db
            self._file = path.stat()

    def close(self) -> None:
        self._db.close()

    def be_patient(self, seconds: float) -> None:
        """Wait no longer than this for other Blenders from now on."""
        with _explained(self.path):
            self._db.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def damage_text(self) -> str:
        """What became of a damaged list, for the user; "" when it was sound. Raises StoreError."""
        if not self.set_aside:
            return ""
        return (
            f"The list of tasks was damaged. It now lies at {self.set_aside}; "
            f"{len(self.tasks())} of its tasks could still be read and are in the list."
        )

    @property
    def moved(self) -> bool:
        """Whether the opened file is no longer the one at its path: deleted, moved, or another put in its place."""
        try:
            return not os.path.samestat(self.path.stat(), self._file)
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def tasks(self) -> list[Task]:
        """All tasks, newest first."""
        with _explained(self.path):
            rows = self._db.execute(f"SELECT {', '.join(_COLUMNS)} FROM task ORDER BY tracked_at DESC, rowid DESC")
            return [_task(row) for row in rows]

    def changed_by_others(self) -> bool:
        """Whether another Blender has written since the last call; the first call says yes."""
        with _explained(self.path):
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            changed = version != self._version_seen
            self._version_seen = version
            return bool(changed)

    def add(self, task: Task) -> Task:
        """Store a new task. Returns it; or the stored one of the same subscription key, with the task uuid now given.

        A task without a name gets the next free "Task N".
        """
        with self._writing() as db:
            found = self._find(db, "subscription_key", task.subscription_key.reveal())
            if found:
                if task.task_uuid:
                    db.execute("UPDATE task SET task_uuid = ? WHERE task_id = ?", (task.task_uuid, found.task_id))
                return self._find(db, "task_id", found.task_id) or found
            values = _row(task)
            values["name"] = task.name or self._free_name(db)
            marks = ", ".join(f":{column}" for column in _COLUMNS)
            db.execute(f"INSERT INTO task ({', '.join(_COLUMNS)}) VALUES ({marks})", values)
            return self._find(db, "task_id", task.task_id) or task

    def change(self, task_id: str, change: Callable[[Task], Task]) -> Task | None:
        """Apply `change` to the stored task, whatever another Blender made of it. None when it is not there."""
        with self._writing() as db:
            task = self._find(db, "task_id", task_id)
            return self._write(db, change(task)) if task else None

    def forget(self, task_id: str) -> None:
        with self._writing() as db:
            db.execute("DELETE FROM task WHERE task_id = ?", (task_id,))

    def claim_due(self, now: float, most: int, but: Collection[str] = ()) -> list[Claim]:
        """Up to `most` due tasks, longest due first, that no other Blender is checking; each counts as one request.

        `but` are the ids of tasks that are being checked here, however long ago they were claimed. Fewer when the
        minute's requests are used up or the service asked for a pause, see `next_request_at`.
        """
        with self._writing() as db:
            most = min(most, self._requests_left(db, now))
            claims: list[Claim] = []
            for task in self._due(db, now, most, but) if most > 0 else ():
                token = secrets.token_hex(8)
                db.execute(
                    "UPDATE task SET claim = ?, claimed_until = ? WHERE task_id = ?",
                    (token, now + CLAIM_LASTS, task.task_id),
                )
                db.execute("INSERT INTO request (at) VALUES (?)", (now,))
                claims.append(Claim(task, token))
            return claims

    def settle(self, claim: Claim, change: Callable[[Task], Task]) -> Task | None:
        """End a claim with what the check brought. Returns the task as stored, None when it was forgotten.

        The answer is dropped where the claim lapsed and another Blender has taken one since: it has a newer one. So is
        an answer to a task that the user stopped meanwhile, unless it is final.
        """
        with self._writing() as db:
            task = self._find(db, "task_id", claim.task.task_id)
            if task is None:
                return None
            free = "UPDATE task SET claim = '', claimed_until = 0 WHERE task_id = ? AND claim = ?"
            if not db.execute(free, (task.task_id, claim.token)).rowcount or task.status.final:
                return task
            changed = change(task)
            return self._write(db, changed) if task.followed or changed.status.final else task

    def void_claims(self) -> None:
        """End all claims, for one who knows that they are a killed program's: nobody else is at this list."""
        with self._writing() as db:
            db.execute("UPDATE task SET claim = '', claimed_until = 0 WHERE claim != ''")

    def hold(self, until: float, now: float) -> None:
        """No request for any task before `until`, in any Blender: the service asked for a pause. Never shortens one."""
        with self._writing() as db:
            db.execute("DELETE FROM hold WHERE until <= ? OR since > ?", (until, now + CLOCK_SLACK))
            db.execute("INSERT INTO hold (until, since) VALUES (?, ?)", (until, now))

    def take_request(self, now: float) -> float:
        """Count one request for no claimed task, if one may be sent now. Returns when it may: at most `now` for now."""
        with self._writing() as db:
            if self._requests_left(db, now):
                db.execute("INSERT INTO request (at) VALUES (?)", (now,))
                return now
            return self.next_request_at(now)

    def next_request_at(self, now: float) -> float:
        """The earliest time at which any request may be sent; at most `now` when one may be sent at once."""
        with _explained(self.path):
            # Begun later than now: from before the clock was set back, and nobody knows how long it lasts still.
            holding = self._db.execute("SELECT max(until) FROM hold WHERE since <= ?", (now + CLOCK_SLACK,))
            held = holding.fetchone()[0] or 0.0
            recent = self._db.execute(
                "SELECT at FROM request WHERE at > ? AND at <= ? ORDER BY at DESC LIMIT 1 OFFSET ?",
                (now - 60.0, now + CLOCK_SLACK, REQUESTS_PER_MINUTE - 1),
            ).fetchone()
            return max(held, recent[0] + 60.0 if recent else 0.0)

    def _requests_left(self, db: sqlite3.Connection, now: float) -> int:
        if self.next_request_at(now) > now:
            return 0
        # Later than now: from before the clock was set back.
        db.execute("DELETE FROM request WHERE at <= ? OR at > ?", (now - 60.0, now + CLOCK_SLACK))
        return REQUESTS_PER_MINUTE - int(db.execute("SELECT count(*) FROM request").fetchone()[0])

    def _due(self, db: sqlite3.Connection, now: float, most: int, but: Collection[str]) -> list[Task]:
        found: dict[str, Task] = {}
        values = {"now": now, "slack": CLOCK_SLACK, "late": now + CLAIM_LASTS + CLOCK_SLACK, "most": most + len(but)}
        for is_due in _IS_DUE:
            # The second looks at all of them, so not where there are enough, as in a long list.
            if len(found) < most:
                rows = db.execute(
                    f"SELECT {', '.join(_COLUMNS)} FROM task WHERE {_FOLLOWED} AND {is_due} "
                    "AND (claimed_until <= :now OR claimed_until > :late) ORDER BY next_check_at LIMIT :most",
                    values,
                )
                found |= {task.task_id: task for task in map(_task, rows) if task.task_id not in but}
        return sorted(found.values(), key=lambda task: task.next_check_at)[:most]

    def _find(self, db: sqlite3.Connection, column: str, value: str) -> Task | None:
        row = db.execute(f"SELECT {', '.join(_COLUMNS)} FROM task WHERE {column} = ?", (value,)).fetchone()
        return _task(row) if row else None

    def _write(self, db: sqlite3.Connection, task: Task) -> Task:
        db.execute(f"UPDATE task SET {', '.join(f'{c} = :{c}' for c in _COLUMNS)} WHERE task_id = :task_id", _row(task))
        return task

    def _free_name(self, db: sqlite3.Connection) -> str:
        taken = {row[0] for row in db.execute("SELECT name FROM task WHERE name LIKE 'Task %'")}
        number = 1
        while f"Task {number}" in taken:
            number += 1
        return f"Task {number}"

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk can have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _opened(path: Path, patience: float) -> sqlite3.Connection:
    # Made by us before SQLite opens it, so that no moment has it readable by others; the journal takes its mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=patience, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = FULL")
        # Not the quick check: it leaves out the indexes, by which tasks are found.
        if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DataError("the check found damage")
        _migrate(db)
        db.execute(_INDEX)
        for row in db.execute(f"SELECT {', '.join(_COLUMNS)} FROM task"):
            _task(row)
        # Fails where a table or column is not there, which no check of SQLite's tells.
        db.execute("SELECT claim, claimed_until, at, until, since FROM task, request, hold LIMIT 0")
    except BaseException:
        db.close()
        raise
    return db


def _opened_or_none(path: Path, patience: float) -> sqlite3.Connection | None:
    """None for a damaged file."""
    try:
        return _opened(path, patience)
    except UnicodeDecodeError:
        return None  # Damage in a name that SQLite's error quotes.
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return None


def _migrate(db: sqlite3.Connection) -> None:
    if _version(db) == len(_MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # again: another Blender may have been first
        if version > len(_MIGRATIONS):
            raise StoreError(
                "The list of tasks was written by a newer version of the Rodin extension. "
                "Update the extension in this Blender; the list is left as it is."
            )
        for statements in _MIGRATIONS[version:]:
            for statement in statements.split(";"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _alone(path: Path, patience: float) -> Iterator[None]:
    """Keep other Blenders from setting aside the same file, or the one that has just been put in its place."""
    with closing(sqlite3.connect(_beside(path, "lock"), timeout=patience, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _replace_damaged(path: Path) -> Path:
    """Put a new file, with what could be salvaged, in the place of a damaged one. Returns where that one now lies.

    The new file is complete before the damaged one is moved, so that a full disk in between leaves all as it was.
    """
    new = _beside(path, "new")
    new.unlink(missing_ok=True)
    try:
        with closing(Store(new)) as store:
            for task in _salvaged(path):
                store.add(task)
        aside = _set_aside(path)
        try:
            new.replace(path)
        except OSError:
            # Such as on Windows, while another Blender has it open. All as it was, to be tried again.
            if path.exists():
                aside.unlink()
            else:
                aside.rename(path)
            raise
    finally:
        new.unlink(missing_ok=True)
        _beside(path, "new", "-journal").unlink(missing_ok=True)
    return aside


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
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(path)) as db:
        db.text_factory = lambda content: content.decode("utf-8", "replace")
        # For a file that is shorter than it says: without this SQLite refuses all of it.
        db.execute("PRAGMA writable_schema = ON")
        there = {row[1] for row in db.execute("PRAGMA table_info(task)")}
        columns = ", ".join(column if column in there else _MISSING.get(column, "''") for column in _COLUMNS)
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
                        found_task = _task(tuple(row))
                        # With a damaged key nothing can be asked; a task uuid the user can bring again.
                        if _is_sound(found_task.subscription_key.reveal()):
                            uuid = found_task.task_uuid if _is_sound(found_task.task_uuid) else ""
                            tasks[rowid] = replace(found_task, task_uuid=uuid)
    by_id = {tasks[rowid].task_id: tasks[rowid] for rowid in sorted(tasks)}
    return list(by_id.values())


def _is_sound(text: str) -> bool:
    """Whether a key or uuid is made of what they are made of. Bytes that are no text were replaced when it was read."""
    return text.isascii() and text.isprintable()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # No code: not from SQLite, but ours or the Python module's, such as for text that is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    # SQLITE_ERROR: a table or column that belongs to the file's schema version is not there.
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


_DAMAGED = "it is damaged; restart Blender, and it is set aside"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        reason = {
            sqlite3.SQLITE_FULL: "the disk is full; free some space",
            sqlite3.SQLITE_IOERR: "the disk reports an error, perhaps it is full; free some space",
            sqlite3.SQLITE_BUSY: "another program holds it locked; close other Blenders if this stays",
            sqlite3.SQLITE_READONLY: "it is read-only; allow writing to it",
            sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the folder and its permissions",
            sqlite3.SQLITE_CORRUPT: _DAMAGED,
            sqlite3.SQLITE_NOTADB: _DAMAGED,
            0: _DAMAGED,
        }.get(code, f"SQLite says {getattr(error, 'sqlite_errorname', type(error).__name__)}")
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
            reason = "its file was just moved or deleted; try again in a moment"
        raise StoreError(f"The list of tasks ({path}) cannot be used: {reason}.") from None
    except UnicodeDecodeError:  # From an error of SQLite that quotes what is damaged.
        raise StoreError(f"The list of tasks ({path}) cannot be used: {_DAMAGED}.") from None
    except OSError as error:
        raise StoreError(f"The list of tasks ({path}) cannot be used: {os_reason(error)}.") from None


def _row(task: Task) -> dict[str, Any]:
    values = {column: getattr(task, column) for column in _COLUMNS}
    values["subscription_key"] = task.subscription_key.reveal()
    values["jobs"] = json.dumps([[job.uuid, job.status, job.queue_length] for job in task.jobs])
    values["files"] = json.dumps([[file.name, file.size] for file in task.files])
    return values


def _task(row: tuple[Any, ...]) -> Task:
    """Raises sqlite3.DataError for a row that cannot be a task's."""
    try:
        values = dict(zip(_COLUMNS, row, strict=True))
        if any(not isinstance(values[c], str) for c in _TEXTS) or any(not math.isfinite(values[c]) for c in _NUMBERS):
            raise ValueError
        values["subscription_key"] = Secret(values["subscription_key"])
        values["status"] = Status(values["status"])
        values["watch"] = Watch(values["watch"])
        values["download"] = Download(values["download"])
        values["jobs"] = tuple(_job(*job) for job in json.loads(values["jobs"]))
        values["files"] = tuple(_file(*file) for file in json.loads(values["files"]))
        return Task(**values)
    except (ValueError, TypeError):
        raise sqlite3.DataError(f"the row of task {row[0]!r} is damaged") from None


def _job(uuid: object, status: object, queue_length: object) -> Job:
    if isinstance(uuid, str) and isinstance(status, str) and isinstance(queue_length, int | None):
        return Job(uuid, status, queue_length)
    raise ValueError


def _file(name: object, size: object) -> SavedFile:
    if isinstance(name, str) and isinstance(size, int):
        return SavedFile(name, size)
    raise ValueError
