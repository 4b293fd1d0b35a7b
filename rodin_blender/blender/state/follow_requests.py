# SPDX-License-Identifier: GPL-3.0-or-later
"""Presses of Follow and Paste: how many tasks each gave to the tracker, and the one line that tells what came of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...service.keys import Generation, Secret
from ...tasks.task import Task
from ...texts.phrases import quoted
from ...texts.text import Text
from ...tracking.messages import Followed, Message, NotFollowed
from ...tracking.tracker import Tracker
from .news import News

MAX_NAMES = 5
_NOTHING = Secret("")


@dataclass
class FollowRequest:
    """One press, which the tracker answers once for each of its tasks."""

    awaited: int = 1
    """How many tasks have no answer yet."""
    typed: Secret = field(default_factory=lambda: Secret(""))
    """What the panel's field held, to be cleared once all of it is stored."""
    new: int = 0
    known: list[str] = field(default_factory=list)
    """The names of those that were in the list before."""
    failed: bool = False

    def succeed(self, name: str, was_known: bool) -> None:
        self.awaited -= 1
        if was_known:
            self.known.append(name)
        else:
            self.new += 1

    def fail(self) -> None:
        self.awaited -= 1
        self.failed = True

    @property
    def text(self) -> Text | None:
        """One line for the status bar; None where the list shows enough."""
        if not self.known:
            return Text("{count} tasks are followed now", count=self.new) if self.new > 1 else None
        names = quoted(self.known, MAX_NAMES)
        if not self.new:
            return Text("already in the list: {names}", names=names)
        if self.new == 1:
            return Text("1 task is followed now; already in the list: {names}", names=names)
        return Text("{count} tasks are followed now; already in the list: {names}", count=self.new, names=names)


class FollowRequests:
    """The tracker answers in the order in which it was called, so that its answers belong to the oldest press."""

    def __init__(self, news: News) -> None:
        self.typed_key = Secret("")
        """What the panel's field holds."""
        self.pending: deque[FollowRequest] = deque()
        """Those that the tracker has not answered yet, the oldest first."""
        self._news = news

    def follow(
        self, tracker: Tracker, generations: Sequence[Generation], typed: Secret = _NOTHING, task_id: str = ""
    ) -> None:
        """Have the tracker follow these; the only one under this id, where one is given and its key is new.

        `typed` is what was in the panel's field, where they come from there.
        """
        self.pending.append(FollowRequest(len(generations), typed))
        for generation in generations:
            tracker.follow(generation, task_id)

    def handle(self, message: Message, _before: Task | None) -> None:
        match message:
            case Followed(task, was_known):
                if task.subscription_key == self.typed_key:
                    self.typed_key = Secret("")
                self._oldest.succeed(task.name, was_known)
                self._end_oldest()
            case NotFollowed(said):
                self._oldest.fail()
                self._end_oldest()
                # After the line of the press, which may have ended with it.
                self._news.show(said)

    @property
    def _oldest(self) -> FollowRequest:
        if not self.pending:
            self.pending.append(FollowRequest())
        return self.pending[0]

    def _end_oldest(self) -> None:
        request = self._oldest
        if request.awaited > 0:
            return
        self.pending.popleft()
        if not request.failed and request.typed == self.typed_key:
            self.typed_key = Secret("")
        told = request.text
        if told:
            self._news.tell(told)
