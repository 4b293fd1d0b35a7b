# SPDX-License-Identifier: GPL-3.0-or-later
"""Trackers for tests, and all that they tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from queue import Empty
from typing import Any, TypeVar

import pytest

from rodin_blender.service import paste_parser
from rodin_blender.service.keys import Secret
from rodin_blender.tasks.schedule import Pace
from rodin_blender.tasks.task import Status, Task
from rodin_blender.texts.text import Text, Trouble
from rodin_blender.tracking import tracker
from rodin_blender.tracking.messages import Followed, Message, Settings, TaskChanged
from rodin_blender.tracking.tracker import Tracker
from tools.simulator import API_KEY, Simulator

PACE = Pace(0.3, 0.6, 60.0)
SOON = 15.0
"""Seconds within which everything awaited here happens, on a busy machine too."""
AT_ONCE = [[(0.0, "Done")]]

M = TypeVar("M", bound=Message)


def in_words(message: M) -> M:
    """The same with all that it says in English."""
    found = {field.name: getattr(message, field.name) for field in fields(message)}
    return replace(message, **{n: str(value) for n, value in found.items() if isinstance(value, (Text, Trouble))})


class Watched:
    """A tracker and all that it told."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.told: list[Message] = []
        self.tracker = Tracker(path, settings)

    def of(self, kind: type[M]) -> list[M]:
        """What was told of one kind, up to now."""
        try:
            while True:
                self.told.append(self.tracker.messages.get_nowait())
        except Empty:
            return [message for message in self.told if isinstance(message, kind)]

    def next(self, kind: type[M], like: Callable[[M], bool] = lambda _: True) -> M:
        """The first such message from the last call of `next` on, awaited."""
        begun, end = getattr(self, "_begun", 0), time.monotonic() + SOON
        while True:
            for number, message in enumerate(self.told[begun:], begun):
                if isinstance(message, kind) and like(message):
                    self._begun = number + 1
                    return message
            try:
                self.told.append(self.tracker.messages.get(timeout=max(end - time.monotonic(), 0.0)))
            except Empty:
                pytest.fail(f"no such {kind.__name__} came after these:\n" + "\n".join(map(repr, self.told[begun:])))

    def follow(self, answer: dict[str, Any]) -> Task:
        self.tracker.follow(paste_parser.generation_answer(answer))
        key = answer["jobs"]["subscription_key"]
        return self.next(Followed, lambda m: m.task.subscription_key.reveal() == key).task

    def becomes(self, task: Task, like: Callable[[Task], bool]) -> Task:
        return self.next(TaskChanged, lambda m: m.task.task_id == task.task_id and like(m.task)).task

    def gets(self, task: Task, status: Status) -> Task:
        return self.becomes(task, lambda t: t.status is status)


Begin = Callable[..., Watched]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rodin" / "tasks.sqlite"


@pytest.fixture
def begin(
    path: Path, simulator: Simulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Begin]:
    """Makes trackers. In the end: all of their threads end, and no key shows in what was told or printed."""
    monkeypatch.setattr(tracker, "LONGEST_WAIT", 0.3)
    all_watched: list[Watched] = []

    def begin_tracker(at: Path = path, **settings: Any) -> Watched:
        usual = {"address": simulator.url, "api_key": Secret(API_KEY), "timeout": 2.0, "pace": PACE}
        all_watched.append(Watched(at, Settings(**{**usual, **settings})))
        return all_watched[-1]

    yield begin_tracker
    for watched in all_watched:
        watched.tracker.stop()
    assert not threads_after(2.0)
    shown = "".join(capfd.readouterr()) + "".join(map(repr, (m for w in all_watched for m in w.of(Message))))
    secrets = {API_KEY, *(asked.subscription_key for asked in simulator.requests if asked.subscription_key)}
    assert not [secret for secret in secrets if secret in shown]


def threads_after(seconds: float) -> list[str]:
    """The names of our threads that still run."""
    end = time.monotonic() + seconds
    while True:
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("rodin-")]
        if not names or time.monotonic() > end:
            return names
        time.sleep(0.02)


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
