# SPDX-License-Identifier: GPL-3.0-or-later
"""A log that several programs write, for Python's `logging`: one line for each record, written off the calling thread.

A record that has `fields` (see `tracking.log`) is told by them. A writer's thread is begun when there is something to
write, and ends when that is written, so that none is left where nothing happens.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import platform
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..service.errors import RodinError
from . import locks

MAX_BYTES = 5_000_000
"""Bytes of a log; what is larger is renamed to NAME.1 and so on."""
BACKUP_COUNT = 5
"""How many older logs are kept."""
MAX_WAITING = 10_000
"""Records that wait for a disk that does not answer; later ones are dropped."""
LOCK_TIMEOUT = 2.0
"""Seconds that another program is waited for."""


class Line(logging.Formatter):
    """A record as a line: words, or one JSON object. Both have the time in UTC, the user and the computer."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self._host = platform.node()

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        fields: dict[str, Any] = getattr(record, "fields", None) or {"event": "message", "text": record.getMessage()}
        if record.exc_info:
            fields = {**fields, "trace": self.formatException(record.exc_info)}
        if self._as_json:
            known = {"time": at, "level": record.levelname, "user": user(), "host": self._host}
            return json.dumps({**known, "logger": record.name, **fields}, ensure_ascii=False, default=str)
        event, *rest = fields.values()
        names = [*fields][1:]
        told = " ".join(f"{name}={_word(value)}" for name, value in zip(names, rest, strict=True))
        return f"{at} {record.levelname} {user()}@{self._host} {event} {told}".rstrip()


def user() -> str:
    """The user's name on this computer. Reads the environment, and the system's list of users where that is silent."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _word(value: object) -> str:
    """A value in a line of words, which it neither breaks nor splits in two."""
    text = str(value)
    return text if text and text.isprintable() and not set(' "=') & set(text) else json.dumps(text, ensure_ascii=False)


class LogFile(logging.Handler):
    def __init__(self, path: Path, *, as_json: bool) -> None:
        super().__init__()
        self.path = path
        self.setFormatter(Line(as_json=as_json))
        self._waiting: list[logging.LogRecord] = []
        self._writer: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """For any thread; `Handler.handle` holds the lock. The disk is not touched."""
        try:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(record)
            if self._writer is None:
                # The thread is no daemon, so that its lines are complete when the program ends.
                self._writer = threading.Thread(target=self._write, name="rodin-log")
                self._writer.start()
        except Exception:  # noqa: BLE001, a log must not end what it tells of
            self._writer = None
            self.handleError(record)

    def _write(self) -> None:
        while True:
            self.acquire()
            try:
                records, self._waiting = self._waiting, []
                if not records:
                    self._writer = None
                    return
            finally:
                self.release()
            # A disk that is full, or a share that is gone, is no reason to stop anything else.
            with suppress(OSError, RodinError):
                lines = "".join(f"{self.format(record)}\n" for record in records)
                self._append(lines.encode(errors="backslashreplace"))

    def _append(self, content: bytes) -> None:
        """Raises OSError, Locked."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locks.acquire(self.path.with_name(f".{self.path.name}.lock"), LOCK_TIMEOUT):
            with suppress(FileNotFoundError):
                if self.path.stat().st_size + len(content) > MAX_BYTES:
                    self._rotate()
            with self.path.open("ab") as file:
                file.write(content)

    def _rotate(self) -> None:
        for number in range(BACKUP_COUNT - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(self._older(number), self._older(number + 1))  # noqa: PTH105
        self.path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
