# SPDX-License-Identifier: GPL-3.0-or-later
"""Every tracked task, on disk: the truth, shared by all Blenders of this user.

SQLite in its default rollback mode, which is also right on a network home folder. A change is on the disk when the
method returns. A store belongs to one thread (never the main one: it waits for the disk and for other Blenders).

Beside the tasks it holds what several Blenders must agree on: who checks which task (a *claim*, which lapses, so that
a killed Blender blocks nobody), and the requests of the last minute.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..service.errors import RodinError
from ..tasks.schedule import CLOCK_SLACK, REQUESTS_PER_MINUTE
from ..tasks.task import Status, Task
from ..texts.text import Text
from . import recovery, rows, second_copy
from .database import FOLLOWED, connect, connect_or_none, store_errors

CLAIM_LASTS = 90.0
"""Seconds; longer than the longest call, see `tracking.workers.LONGEST_CALL`."""
LOCK_TIMEOUT = 5.0
"""Seconds; shorter than `CLOCK_SLACK`."""

_IS_DUE = ("next_check_at <= :now", "CASE checked_at WHEN 0 THEN tracked_at ELSE checked_at END > :now + :slack")
"""What `schedule.is_due` says, for SQLite, since a list may be long: either of the two."""


_UNDER_WAY = f"kind != '' AND (status = '{Status.SENDING}' OR {FOLLOWED})"


class LimitReached(RodinError):
    """As many generations of this list are under way as may be at a time."""

    def __init__(self) -> None:
        super().__init__("As many generations are under way as may be at a time.")


class StatusChanged(RodinError):
    """A task is to be removed only in a status that it has no more."""

    def __init__(self) -> None:
        super().__init__("Another program has just changed it.")


class KeyTaken(RodinError):
    """A task cannot have a subscription key by which another one is followed."""

    def __init__(self, other: Task) -> None:
        text = "The key that it got is that of '{name}', which is in the list already."
        super().__init__(Text(text, name=other.name))


@dataclass(frozen=True)
class Claim:
    """The right to check one task now. It is void once the task was forgotten or the claim lapsed and was taken."""

    task: Task
    token: str


class Store:
    """An open list of tasks. Raises StoreError from every method when the disk or the file is in the way."""

    def __init__(self, path: Path, timeout: float | None = None, *, has_copy: bool = True) -> None:
        """Open or make the file at `path`, mode 0600, and bring it to the present schema.

        `timeout` is how long to wait for other Blenders, in seconds, LOCK_TIMEOUT where it is not given.

        A damaged file is set aside, see `set_aside`, and what can still be read of it is in the new one, with what
        only its second copy has still; without `has_copy` the list has no such copy. Raises StoreError, also for a file
        of a newer version of this extension, which stays as it is.
        """
        self.path = path
        self.set_aside: Path | None = None
        """Where a damaged file now lies; None when there was none. See `damage_text`."""
        self.requests_per_minute = REQUESTS_PER_MINUTE
        """For all programs that use the list. Each keeps to its own number, and counts the requests of all."""
        self._was_gone = False
        self._version_seen = -1
        timeout = LOCK_TIMEOUT if timeout is None else timeout
        with store_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            db = self._connect(timeout, has_copy)
            if db is None:
                with recovery.lock(path, timeout):
                    db = self._connect(timeout, has_copy)  # again: another Blender may have been first
                    if db is None:
                        copy = second_copy.path_of(path) if has_copy else None
                        self.set_aside = recovery.replace_damaged(path, _write_new, copy)
                        self._was_gone = self.set_aside is None
                        db = connect(path, timeout)
            self._db, self._has_copy = db, has_copy
            self.renew_copy()
            self._file = path.stat()

    def _connect(self, timeout: float, has_copy: bool) -> sqlite3.Connection | None:
        """None for a list that is destroyed."""
        gone = has_copy and second_copy.is_all_there_is(self.path)
        return None if gone else connect_or_none(self.path, timeout)

    def close(self) -> None:
        self._db.close()

    def renew_copy(self) -> None:
        """Have the second copy as the list is. Where it cannot be renewed, as on a full disk, the last one stays."""
        if self._has_copy:
            with suppress(sqlite3.Error, OSError):
                second_copy.renew(self.path, self._db)

    def set_lock_timeout(self, seconds: float) -> None:
        """Wait no longer than this for other Blenders from now on."""
        with store_errors(self.path):
            self._db.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def damage_text(self, folder: Path | None = None) -> Text | None:
        """What became of a damaged list, for the user; None when it was sound. Raises StoreError.

        `folder` is where the damaged file is about to be moved to.
        """
        if self._was_gone:
            text = "The list of tasks was gone. It was made anew from its second copy, with {count} tasks."
            return Text(text, count=len(self.tasks()))
        if not self.set_aside:
            return None
        text = (
            "The list of tasks was damaged. It now lies at {path}; {count} of its tasks could still be read and are in "
            "the list."
        )
        path = folder / self.set_aside.name if folder else self.set_aside
        return Text(text, path=str(path), count=len(self.tasks()))

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
        with store_errors(self.path):
            found = self._db.execute(f"SELECT {rows.SELECTED} FROM task ORDER BY tracked_at DESC, rowid DESC")
            return [rows.task(row) for row in found]

    def changed_by_others(self) -> bool:
        """Whether another Blender has written since the last call; the first call says yes."""
        with store_errors(self.path):
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            changed = version != self._version_seen
            self._version_seen = version
            return bool(changed)

    def add(self, task: Task) -> Task:
        """Store a new task. Returns it; or the stored one of the same subscription key, with the task uuid now given.

        One with the same id stays as it is stored, too.
        A task without a name gets the next free "Task N".
        """
        with self._writing() as db:
            # No row has the empty key: a task that has none yet has NULL there.
            found = self._find(db, "subscription_key", task.subscription_key.reveal())
            found = found or self._find(db, "task_id", task.task_id)
            if found:
                if task.task_uuid:
                    db.execute("UPDATE task SET task_uuid = ? WHERE task_id = ?", (task.task_uuid, found.task_id))
                return self._find(db, "task_id", found.task_id) or found
            values = rows.row(task)
            values["name"] = task.name or self._free_name(db)
            marks = ", ".join(f":{column}" for column in rows.COLUMNS)
            db.execute(f"INSERT INTO task ({rows.SELECTED}) VALUES ({marks})", values)
            return self._find(db, "task_id", task.task_id) or task

    def change(self, task_id: str, change: Callable[[Task], Task], *, max_under_way: int = 0) -> Task | None:
        """Apply `change` to the stored task, whatever another Blender made of it. None when it is not there.

        Raises KeyTaken, or LimitReached where `max_under_way` generations or more are under way (0: no limit), and then
        all stays as it was.
        """
        with self._writing() as db:
            if max_under_way and self.under_way() >= max_under_way:
                raise LimitReached
            task = self._find(db, "task_id", task_id)
            return self._write(db, task, change(task)) if task else None

    def under_way(self) -> int:
        """How many generations of this list are being sent, or are followed and not ended."""
        with store_errors(self.path):
            return int(self._db.execute(f"SELECT count(*) FROM task WHERE {_UNDER_WAY}").fetchone()[0])

    def forget(self, task_id: str, status: Status | None = None) -> bool:
        """Remove a task. Returns whether it was there.

        Raises StatusChanged where a status is given, and it is in another one.
        """
        # The list is locked against readers, too, so that no copy is made meanwhile.
        with self._writing("EXCLUSIVE") as db:
            task = self._find(db, "task_id", task_id)
            if task is None:
                return False
            if status and task.status is not status:
                raise StatusChanged
            db.execute("DELETE FROM task WHERE task_id = ?", (task_id,))
            second_copy.forget(self.path, task_id)
            return True

    def claim_due(self, now: float, limit: int, exclude: Collection[str] = ()) -> list[Claim]:
        """Up to `limit` due tasks, longest due first, that no other Blender is checking; each counts as one request.

        `exclude` are the ids of tasks that are being checked here, however long ago they were claimed. Fewer when the
        minute's requests are used up or the service asked for a pause, see `next_request_at`.
        """
        with self._writing() as db:
            limit = min(limit, self._requests_left(db, now))
            claims: list[Claim] = []
            for task in self._due(db, now, limit, exclude) if limit > 0 else ():
                token = secrets.token_hex(8)
                db.execute(
                    "UPDATE task SET claim = ?, claimed_until = ? WHERE task_id = ?",
                    (token, now + CLAIM_LASTS, task.task_id),
                )
                db.execute("INSERT INTO request (at) VALUES (?)", (now,))
                claims.append(Claim(task, token))
            return claims

    def complete_check(self, claim: Claim, change: Callable[[Task], Task]) -> Task | None:
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
            return self._write(db, task, changed) if task.followed or changed.status.final else task

    def release_all_claims(self) -> None:
        """End all claims, for one who knows that they are a killed program's: nobody else is at this list."""
        with self._writing() as db:
            db.execute("UPDATE task SET claim = '', claimed_until = 0 WHERE claim != ''")

    def throttle(self, until: float, now: float) -> None:
        """No request for any task before `until`, in any Blender: the service asked for a pause. Never shortens one."""
        with self._writing() as db:
            db.execute("DELETE FROM hold WHERE until <= ? OR since > ?", (until, now + CLOCK_SLACK))
            db.execute("INSERT INTO hold (until, since) VALUES (?, ?)", (until, now))

    def reserve_request(self, now: float) -> float:
        """Count one request for no claimed task, if one may be sent now. Returns when it may: at most `now` for now."""
        with self._writing() as db:
            if self._requests_left(db, now):
                db.execute("INSERT INTO request (at) VALUES (?)", (now,))
                return now
            return self.next_request_at(now)

    def next_request_at(self, now: float) -> float:
        """The earliest time at which any request may be sent; at most `now` when one may be sent at once."""
        with store_errors(self.path):
            # A pause begun later than now is from before the clock was set back, and nobody knows how long it lasts.
            holding = self._db.execute("SELECT max(until) FROM hold WHERE since <= ?", (now + CLOCK_SLACK,))
            held = holding.fetchone()[0] or 0.0
            recent = self._db.execute(
                "SELECT at FROM request WHERE at > ? AND at <= ? ORDER BY at DESC LIMIT 1 OFFSET ?",
                (now - 60.0, now + CLOCK_SLACK, self.requests_per_minute - 1),
            ).fetchone()
            return max(held, recent[0] + 60.0 if recent else 0.0)

    def _requests_left(self, db: sqlite3.Connection, now: float) -> int:
        if self.next_request_at(now) > now:
            return 0
        # A request that is later than now is from before the clock was set back.
        db.execute("DELETE FROM request WHERE at <= ? OR at > ?", (now - 60.0, now + CLOCK_SLACK))
        return self.requests_per_minute - int(db.execute("SELECT count(*) FROM request").fetchone()[0])

    def _due(self, db: sqlite3.Connection, now: float, limit: int, exclude: Collection[str]) -> list[Task]:
        found: dict[str, Task] = {}
        late = now + CLAIM_LASTS + CLOCK_SLACK
        values = {"now": now, "slack": CLOCK_SLACK, "late": late, "limit": limit + len(exclude)}
        for is_due in _IS_DUE:
            # The second condition scans all rows, so it is skipped where the first has found enough.
            if len(found) < limit:
                found_rows = db.execute(
                    f"SELECT {rows.SELECTED} FROM task WHERE {FOLLOWED} AND {is_due} "
                    "AND (claimed_until <= :now OR claimed_until > :late) ORDER BY next_check_at LIMIT :limit",
                    values,
                )
                found |= {task.task_id: task for task in map(rows.task, found_rows) if task.task_id not in exclude}
        return sorted(found.values(), key=lambda task: task.next_check_at)[:limit]

    def _find(self, db: sqlite3.Connection, column: str, value: str) -> Task | None:
        row = db.execute(f"SELECT {rows.SELECTED} FROM task WHERE {column} = ?", (value,)).fetchone()
        return rows.task(row) if row else None

    def _write(self, db: sqlite3.Connection, before: Task, task: Task) -> Task:
        """Write what has changed, and only that: a word of a newer version that was not understood stays."""
        was, values = rows.row(before), rows.row(task)
        changed = [column for column in rows.COLUMNS if values[column] != was[column]]
        other = self._find(db, "subscription_key", task.subscription_key.reveal())
        if "subscription_key" in changed and other:
            raise KeyTaken(other)
        if changed:
            assignments = ", ".join(f"{column} = :{column}" for column in changed)
            db.execute(f"UPDATE task SET {assignments} WHERE task_id = :task_id", values)
        return task

    def _free_name(self, db: sqlite3.Connection) -> str:
        taken = {row[0] for row in db.execute("SELECT name FROM task WHERE name LIKE 'Task %'")}
        number = 1
        while f"Task {number}" in taken:
            number += 1
        return f"Task {number}"

    @contextmanager
    def _writing(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with store_errors(self.path):
            self._db.execute(f"BEGIN {kind}")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk can have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _write_new(path: Path, tasks: list[Task]) -> None:
    with closing(Store(path, has_copy=False)) as store:
        for task in tasks:
            store.add(task)
