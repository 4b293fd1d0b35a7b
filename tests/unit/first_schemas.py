"""The schemas of the snapshots of 0.1.0, versions 1 to 5, as they were: lists of theirs are to be taken over."""

STATEMENTS = (
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
"""Statements that led from each of those versions (SQLite's `user_version`) to the next."""

COLUMNS = (
    "task_id", "name", "subscription_key", "task_uuid", "status", "jobs", "watch", "message", "tracked_at",
    "finished_at", "checked_at", "next_check_at", "interval", "failures", "watched", "folder", "files", "download",
    "took",
)  # fmt: skip
"""Of version 5."""
