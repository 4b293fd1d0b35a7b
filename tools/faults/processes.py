"""The campaign's side of a process that follows tasks: it is told what to do, and all that it shows is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 25.0
LONGEST_END = 15.0
"""Seconds from the wish to stop until a process must be gone."""


def without_proxies() -> dict[str, str]:
    """Our environment, without those that this machine may have."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


class NotSeen(Exception):
    """What a fault should lead to did not come in time."""


@dataclass
class Event:
    at: float
    kind: str
    what: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.what[name]


@dataclass
class Process:
    """A follower, in plain Python or in a Blender. `name` is for the campaign's own lines."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    events: list[Event] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    """What it printed beside its events."""
    errors: list[str] = field(default_factory=list)
    shown: dict[str, Event] = field(default_factory=dict)
    """The last that it showed of each task."""
    exit_code: int | None = None
    killed: bool = False
    ended: float = float("inf")

    def begin(self) -> Process:
        self._running = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, text=True, errors="replace", bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._news = threading.Condition()
        readers = ((self._running.stdout, self._told), (self._running.stderr, self.errors.append))
        self._readers = [threading.Thread(target=self._read, args=reader, daemon=True) for reader in readers]
        for reader in self._readers:
            reader.start()
        return self

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def alive(self) -> bool:
        return self._running.poll() is None

    def do(self, wish: str, **what: Any) -> None:
        assert self._running.stdin
        with suppress(BrokenPipeError):  # It is gone: what is awaited of it will tell.
            self._running.stdin.write(json.dumps({"do": wish, **what}) + "\n")

    def until(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        end = time.monotonic() + patience
        with self._news:
            while True:
                found = condition()
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0:
                    raise NotSeen(f"not within {patience:g} s: {what}")
                if not self.alive and not any(reader.is_alive() for reader in self._readers):
                    last = "".join((*self.output, *self.errors)[-6:])
                    raise NotSeen(f"{self.name} ended ({self._running.returncode}) before: {what}\n{last}")
                self._news.wait(min(left, 0.25))

    def event(self, kind: str, patience: float = PATIENCE, **like: Any) -> Event:
        """The first event of that kind, awaited."""

        def found() -> Event | None:
            alike = (e for e in self.all(kind) if all(e.what[name] == value for name, value in like.items()))
            return next(alike, None)

        return self.until(found, f"{kind} {like or ''}".strip(), patience)  # type: ignore[no-any-return]

    def all(self, kind: str) -> list[Event]:
        return [event for event in list(self.events) if event.kind == kind]

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.killed = True
        self._running.kill()
        self._gone(LONGEST_END)

    def stop(self, wish: str = "stop") -> float:
        """Have it end by itself, or kill it. Returns how long it took."""
        began = time.monotonic()
        if self.exit_code is None and not self.killed:
            self.do(wish)
            try:
                self._gone(LONGEST_END)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._gone(LONGEST_END)
        return time.monotonic() - began

    def _gone(self, patience: float) -> None:
        self.exit_code = self._running.wait(patience)
        self.ended = time.time()
        for reader in self._readers:
            reader.join(5.0)

    def _read(self, stream: Any, take: Callable[[str], None]) -> None:
        for line in stream:
            with self._news:
                take(line)
                self._news.notify_all()

    def _told(self, line: str) -> None:
        if not line.startswith("@{"):
            self.output.append(line)
            return
        what = json.loads(line[1:])
        event = Event(time.time(), what.pop("kind"), what)
        self.events.append(event)
        if event.kind == "shown":
            self.shown[event.task_id] = event
